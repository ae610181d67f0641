"""Objects without their content: https://cloud.google.com/storage/docs/json_api/v1/objects"""

from __future__ import annotations

from servers.gcs import acls, schema
from servers.gcs.access import is_allowed
from servers.gcs.bucket_rules import check_custom_time, merge
from servers.gcs.buckets import check_etags
from servers.gcs.creating import WRITABLE, check_customer_key, check_fields
from servers.gcs.media import download
from servers.gcs.model import check_conditions, now, parse_time
from servers.gcs.refusals import Refusal, denied, invalid, missing_parameter, no_object
from servers.gcs.resources import object_resource


def answer(call, version):
    """Return the answer that tells of a version. Digests are told to those alone who have the customer's key."""
    has_key = bool(call.headers.get("x-goog-encryption-key"))
    if has_key:
        check_customer_key(call.headers, version)
    found = object_resource(call.url, version, full=call.is_full, has_key=has_key)
    return call.answer(found, headers={"ETag": version.etag})


def find(call, permission):
    """Return the bucket and the version that a call means, for a caller who may do that with it.

    Who may not list a bucket does not learn which objects it has: a missing one is refused like a forbidden one.
    """
    bucket, name = call.bucket, call.args["object"]
    try:
        version = bucket.find(name, call.number("generation"))
    except Refusal:
        if not is_allowed(call.caller, "storage.objects.list", bucket):
            call.allow(permission, bucket)
            raise denied(call.caller.email, "storage.objects.list", "bucket") from None
        raise
    call.allow(permission, bucket, version)
    return bucket, version


def get(call):
    if call.get("alt", "json") == "media":
        return get_media(call)
    if call.flag("softDeleted"):
        bucket = call.bucket
        call.allow("objects.get", bucket)
        return answer(call, _find_deleted(call, bucket))
    bucket, version = find(call, "objects.get")
    check_conditions(call.number, version, live=bucket.live(version.name))
    check_etags(call, version.etag)
    return answer(call, version)


def get_media(call):
    """Answer with the content."""
    bucket, version = find(call, "objects.get")
    check_conditions(call.number, version, live=bucket.live(version.name))
    check_etags(call, version.etag)
    return download(version, call.headers, version.etag)


def _find_deleted(call, bucket):
    generation = call.number("generation")
    if generation is None:
        raise missing_parameter("generation")
    for version in bucket.soft:
        if version.name == call.args["object"] and version.generation == generation:
            return version
    raise no_object(bucket.name, call.args["object"])


def delete(call):
    bucket, version = find(call, "objects.delete")
    check_conditions(call.number, version, live=bucket.live(version.name))
    version.check_unlocked(is_kept=bucket.is_versioned and call.number("generation") is None)
    if call.number("generation") is None:
        bucket.retire(version)
    else:
        bucket.remove(version)
    return call.answer(None, 204)


def patch(call):
    return _change(call, merge)


def update(call):
    return _change(call, lambda _, given: merge(None, given))


def _change(call, change):
    bucket, version = find(call, "objects.update")
    check_conditions(call.number, version, live=bucket.live(version.name))
    resource = call.json(schema.OBJECT)
    for name, own in (("storageClass", version.storage_class), ("name", version.name), ("bucket", bucket.name)):
        if resource.get(name, own) != own:
            raise invalid(f"The field {name} of an object cannot be changed.")
    fields = change(version.fields, {name: value for name, value in resource.items() if name in WRITABLE})
    check_fields(bucket, fields)
    check_custom_time(version.fields.get("customTime"), fields.get("customTime"))
    _check_retention(call, version, fields)
    if call.get("predefinedAcl") or resource.get("acl"):
        version.acl = acls.for_object(bucket, call.caller, call.get("predefinedAcl"), resource.get("acl"))
    if version.fields.get("eventBasedHold") and not fields.get("eventBasedHold"):
        version.hold_released = now()
    version.fields = fields
    version.touch()
    return answer(call, version)


def _check_retention(call, version, fields):
    old, new = version.fields.get("retention"), fields.get("retention")
    if not old or parse_time(old["retainUntilTime"]) < now():
        return
    is_longer = new and parse_time(new["retainUntilTime"]) >= parse_time(old["retainUntilTime"])
    if is_longer and (new["mode"] == old["mode"] or new["mode"] == "Locked"):
        return
    if old["mode"] == "Locked" or not call.flag("overrideUnlockedRetention"):
        message = f"Object '{version.bucket.name}/{version.name}' is subject to object retention."
        raise Refusal(403, "retentionPolicyNotMet", message)


def restore(call):
    """Make a soft-deleted version live again, as a new generation, https://cloud.google.com/storage/docs/soft-delete."""
    bucket = call.bucket
    call.allow("objects.restore", bucket)
    call.allow("objects.create", bucket)
    call.json({})
    old = _find_deleted(call, bucket)
    live = bucket.live(old.name)
    check_conditions(call.number, live)
    if live is not None:
        live.check_unlocked(is_kept=bucket.is_versioned)
    bucket.forget(old)
    old.generation, old.metageneration = call.state.next_generation(), 1
    old.soft_deleted = old.deleted = None
    old.created = old.updated = now()
    if not call.flag("copySourceAcl"):
        old.acl = acls.for_object(bucket, call.caller)
    bucket.add(old)
    return answer(call, old)
