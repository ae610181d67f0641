"""Copies and compositions, without a byte through the client.

* https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite: what stays in its place and class is done at once;
  anything else takes as many calls as the bytes need, each with the token of the one before.
* https://cloud.google.com/storage/docs/json_api/v1/objects/copy
* https://cloud.google.com/storage/docs/json_api/v1/objects/compose, https://cloud.google.com/storage/docs/composite-objects
"""

from __future__ import annotations

import hashlib
import json
import secrets

from servers.gcs import schema
from servers.gcs.content import join
from servers.gcs.creating import COPIED_KEY, WRITABLE, Plan, check_customer_key, read_customer_key
from servers.gcs.model import check_conditions
from servers.gcs.objects import answer
from servers.gcs.refusals import condition_failed, invalid
from servers.gcs.resources import object_resource

MOST_SOURCES = 32
UNIT = 1024 * 1024
"""What ``maxBytesRewrittenPerCall`` must be a multiple of."""
PER_CALL = 4 * UNIT
"""Bytes that a call copies to another place or class, where the caller asks for no fewer."""
_COPIED = tuple(name for name in WRITABLE if name not in ("temporaryHold", "eventBasedHold", "retention"))


def rewrite(call):
    source = _find_source(call)
    resource = call.json(schema.OBJECT)
    planned = _plan_copy(call, source, resource)
    limit = call.number("maxBytesRewrittenPerCall")
    if limit is not None and (limit < UNIT or limit % UNIT):
        raise invalid(f"maxBytesRewrittenPerCall must be a multiple of {UNIT}.")
    bound = _digest(call, source, resource)
    done = _read_token(call, bound)
    size = source.content.size
    step = min(limit or PER_CALL, PER_CALL) if _is_to_be_moved(source, planned) else size
    done = min(size, done + step)
    found = {"kind": "storage#rewriteResponse", "totalBytesRewritten": str(done), "objectSize": str(size)}
    if done < size:
        token = call.get("rewriteToken") or secrets.token_urlsafe(48)
        call.state.rewrites[token] = (bound, done)
        return call.answer({**found, "done": False, "rewriteToken": token})
    call.state.rewrites.pop(call.get("rewriteToken"), None)
    version = planned.commit(call.state, source.content)
    shown = object_resource(call.url, version, full=call.is_full, has_key=True)
    return call.answer({**found, "done": True, "resource": shown})


def copy(call):
    source = _find_source(call)
    return answer(call, _plan_copy(call, source, call.json(schema.OBJECT)).commit(call.state, source.content))


def _find_source(call):
    bucket = call.bucket
    version = bucket.find(call.args["object"], call.number("sourceGeneration"))
    call.allow("objects.get", bucket, version)
    check_conditions(call.number, version, live=bucket.live(version.name), prefix="ifSource")
    check_customer_key(call.headers, version, COPIED_KEY)
    return version


def _plan_copy(call, source, resource):
    """Return the object to be. Who says anything of it says everything: nothing else comes along from the source."""
    given = {name: value for name, value in resource.items() if name in WRITABLE and value is not None}
    says_something = bool(given) or "storageClass" in resource or "acl" in resource
    fields = given if says_something else {name: source.fields[name] for name in _COPIED if name in source.fields}
    bucket = call.state.bucket(call.args["to_bucket"])
    planned = Plan(
        bucket=bucket,
        name=call.args["to_object"],
        fields=fields,
        caller=call.caller,
        given=call.number,
        storage_class=resource.get("storageClass"),
        predefined_acl=call.get("destinationPredefinedAcl"),
        acl=resource.get("acl"),
        kms_key=call.get("destinationKmsKeyName") or resource.get("kmsKeyName"),
        customer_key=read_customer_key(call.headers),
        component_count=source.component_count,
    )
    planned.check()
    return planned


def _is_to_be_moved(source, planned):
    """Say whether bytes must be copied, which takes time."""
    bucket = planned.bucket
    return (
        source.bucket.fields["location"] != bucket.fields["location"]
        or source.storage_class != (planned.storage_class or bucket.fields["storageClass"])
        or source.customer_key != planned.customer_key
    )


def _digest(call, source, resource):
    target = [call.args["to_bucket"], call.args["to_object"], source.bucket.name, source.name, source.generation]
    return hashlib.sha256(json.dumps([target, resource], sort_keys=True).encode()).hexdigest()


def _read_token(call, bound):
    token = call.get("rewriteToken")
    if token is None:
        return 0
    known, done = call.state.rewrites.get(token, (None, 0))
    if known != bound:
        raise invalid("Invalid argument.", ("parameter", "rewriteToken"))
    return done


def compose(call):
    bucket, body = call.bucket, call.json(schema.COMPOSE)
    wanted = body.get("sourceObjects") or []
    if not wanted:
        raise invalid("You must provide at least one source component.", reason="required")
    if len(wanted) > MOST_SOURCES:
        message = f"The number of source components provided ({len(wanted)}) exceeds the maximum ({MOST_SOURCES})."
        raise invalid(message)
    target = body.get("destination") or {}
    key = read_customer_key(call.headers)
    planned = Plan(
        bucket=bucket,
        name=call.args["object"],
        fields={name: value for name, value in target.items() if name in WRITABLE and value is not None},
        caller=call.caller,
        given=call.number,
        storage_class=target.get("storageClass"),
        predefined_acl=call.get("destinationPredefinedAcl"),
        acl=target.get("acl"),
        kms_key=call.get("kmsKeyName") or target.get("kmsKeyName"),
        customer_key=key,
        digests={"crc32c": target["crc32c"]} if target.get("crc32c") else {},
    )
    planned.check()
    sources = [_find_component(call, bucket, each) for each in wanted]
    planned.component_count = sum(each.component_count or 1 for each in sources)
    version = planned.commit(call.state, join([each.content for each in sources]))
    if body.get("deleteSourceObjects"):
        _delete_sources(call, bucket, sources)
    return answer(call, version)


def _find_component(call, bucket, wanted):
    if not wanted.get("name"):
        raise invalid("Required", reason="required")
    generation = wanted.get("generation")
    version = bucket.find(wanted["name"], None if generation is None else int(generation))
    call.allow("objects.get", bucket, version)
    check_customer_key(call.headers, version)
    condition = (wanted.get("objectPreconditions") or {}).get("ifGenerationMatch")
    if condition is not None and int(condition) != version.generation:
        raise condition_failed()
    return version


def _delete_sources(call, bucket, sources):
    for source in sources:
        if source in bucket.versions.get(source.name, ()):
            call.allow("objects.delete", bucket, source)
            source.check_unlocked(is_kept=bucket.is_versioned)
            bucket.retire(source)
