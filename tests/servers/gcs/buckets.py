"""Buckets: https://cloud.google.com/storage/docs/json_api/v1/buckets"""

from __future__ import annotations

import copy

from servers.gcs import acls, bucket_rules, schema
from servers.gcs.access import allow_in_project
from servers.gcs.lists import read_token, write_token
from servers.gcs.model import Bucket, check_conditions, etag, now
from servers.gcs.refusals import Refusal, condition_failed, invalid, missing_parameter, no_bucket, not_modified
from servers.gcs.resources import PROJECT_NUMBERS, bucket_resource

_MINE = "Your previous request to create the named bucket succeeded and you already own it."
_TAKEN = "The requested bucket name is not available. The bucket namespace is shared by all users of the system."
_NOT_EMPTY = "The bucket you tried to delete is not empty."


def _answer(call, bucket):
    found = bucket_resource(call.url, bucket, full=call.is_full)
    return call.answer(found, headers={"ETag": found["etag"]})


def _project(call):
    project = call.get("project")
    if not project:
        raise missing_parameter("project")
    return next((name for name, number in PROJECT_NUMBERS.items() if number == project), project)


def insert(call):
    project = _project(call)
    allow_in_project(call.caller, "storage.buckets.create", project)
    resource = call.json(schema.BUCKET)
    name = resource.get("name")
    if not name:
        raise missing_parameter("name")
    bucket_rules.check_name(name)
    fields = bucket_rules.defaults()
    given = {key: value for key, value in resource.items() if key in bucket_rules.WRITABLE and value is not None}
    fields.update({key: given[key] for key in given if key != "iamConfiguration"})
    fields["iamConfiguration"] = bucket_rules.merge(fields["iamConfiguration"], given.get("iamConfiguration", {}))
    _check_read_only(resource)
    if call.flag("enableObjectRetention"):
        fields["objectRetention"] = {"mode": "Enabled"}
    bucket_rules.settle(fields)
    if found := call.state.buckets.get(name):
        mine = found.project == project
        xml = ("BucketAlreadyOwnedByYou", _MINE) if mine else ("BucketAlreadyExists", _TAKEN)
        message = _MINE if mine else f"{_TAKEN} Please select a different name and try again."
        raise Refusal(409, "conflict", message, xml=xml)
    bucket = Bucket(name, project, call.state.next_generation(), fields)
    acls.set_up(call, bucket, resource)
    call.state.buckets[name] = bucket
    return _answer(call, bucket)


def _check_read_only(resource):
    if resource.get("hierarchicalNamespace", {}).get("enabled") or resource.get("ipFilter"):
        raise Refusal(501, "notImplemented", "The fake has no hierarchical namespaces and no filters of addresses")


def list_(call):
    project = _project(call)
    allow_in_project(call.caller, "storage.buckets.list", project)
    source = call.state.soft_buckets if call.flag("softDeleted") else call.state.buckets.values()
    found = [each for each in source if each.project == project and each.name.startswith(call.get("prefix", ""))]
    found.sort(key=lambda bucket: (bucket.name, bucket.generation))
    limit = call.number("maxResults")
    limit = 1000 if limit is None else min(limit, 1000)
    if limit < 1:
        raise invalid("Invalid value for maxResults", ("parameter", "maxResults"), "invalidParameter")
    bound = [project, call.get("prefix"), call.get("softDeleted")]
    if after := read_token(call, bound):
        found = [each for each in found if [each.name, each.generation] > after]
    answer = {"kind": "storage#buckets"}
    if found[limit:]:
        last = found[limit - 1]
        answer["nextPageToken"] = write_token(bound, [last.name, last.generation])
    if found:
        answer["items"] = [bucket_resource(call.url, each, full=call.is_full) for each in found[:limit]]
    return call.answer(answer)


def _check(call, bucket):
    check_conditions(call.number, bucket)


def get(call):
    if call.flag("softDeleted"):
        bucket = _find_deleted(call)
        call.allow("buckets.get", bucket)
        return _answer(call, bucket)
    bucket = call.bucket
    call.allow("buckets.get", bucket)
    _check(call, bucket)
    check_etags(call, etag(bucket.metageneration))
    return _answer(call, bucket)


def layout(call):
    """How names are organized: https://cloud.google.com/storage/docs/json_api/v1/buckets/getStorageLayout"""
    bucket = call.bucket
    call.allow("objects.list", bucket)
    where = {name: bucket.fields[name] for name in ("location", "locationType")}
    told = {
        "kind": "storage#storageLayout",
        "bucket": bucket.name,
        **where,
        "hierarchicalNamespace": {"enabled": False},
    }
    return call.answer(told)


def check_etags(call, found):
    """Check the headers ``If-Match`` and ``If-None-Match``, which count where something is read."""
    wanted, unwanted = call.headers.get("if-match"), call.headers.get("if-none-match")
    if wanted is not None and not _is_among(found, wanted):
        raise condition_failed()
    if unwanted is not None and _is_among(found, unwanted):
        raise not_modified()


def _is_among(found, header):
    given = [each.strip().removeprefix("W/").strip('"') for each in header.split(",")]
    return found.strip('"') in given or "*" in given


def _find_deleted(call):
    generation = call.number("generation")
    if generation is None:
        raise missing_parameter("generation")
    for bucket in call.state.soft_buckets:
        if bucket.name == call.args["bucket"] and bucket.generation == generation:
            return bucket
    raise no_bucket()


def patch(call):
    return _change(call, bucket_rules.merge)


def update(call):
    def replace(old, given):
        kept = {name: old[name] for name in ("location", "customPlacementConfig", "objectRetention") if name in old}
        return {**bucket_rules.defaults(), **kept, **bucket_rules.merge(None, given)}

    return _change(call, replace)


def _change(call, change):
    bucket = call.bucket
    call.allow("buckets.update", bucket)
    _check(call, bucket)
    resource = call.json(schema.BUCKET)
    _check_read_only(resource)
    if resource.get("name", bucket.name) != bucket.name:
        raise invalid("Bucket names cannot be changed.")
    given = {name: value for name, value in resource.items() if name in bucket_rules.WRITABLE}
    old = copy.deepcopy(bucket.fields)
    _take_old_name_of_uniform(given)
    fields = change(old, given)
    fields.setdefault("storageClass", "STANDARD")
    bucket_rules.settle(fields, bucket.fields)
    acls.change(
        call, bucket, resource, will_be_uniform=fields["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"]
    )
    bucket.fields = fields
    bucket.touch()
    return _answer(call, bucket)


def _take_old_name_of_uniform(given):
    access = given.get("iamConfiguration") or {}
    if "bucketPolicyOnly" in access and "uniformBucketLevelAccess" not in access:
        access["uniformBucketLevelAccess"] = access["bucketPolicyOnly"]


def delete(call):
    bucket = call.bucket
    call.allow("buckets.delete", bucket)
    _check(call, bucket)
    if bucket.versions or any(upload.bucket is bucket for upload in call.state.uploads.values()):
        raise Refusal(409, "conflict", _NOT_EMPTY, xml=("BucketNotEmpty", _NOT_EMPTY))
    del call.state.buckets[bucket.name]
    if bucket.soft_seconds:
        bucket.soft_deleted = now()
        call.state.soft_buckets.append(bucket)
        del call.state.soft_buckets[:-1000]
    return call.answer(None, 204)


def restore(call):
    bucket = _find_deleted(call)
    call.allow("buckets.restore", bucket)
    if bucket.name in call.state.buckets:
        raise Refusal(409, "conflict", _MINE)
    call.state.soft_buckets.remove(bucket)
    bucket.soft_deleted = None
    bucket.touch()
    call.state.buckets[bucket.name] = bucket
    return _answer(call, bucket)


def lock_retention(call):
    bucket = call.bucket
    call.allow("buckets.update", bucket)
    if "ifMetagenerationMatch" not in call.params:
        raise missing_parameter("ifMetagenerationMatch")
    _check(call, bucket)
    if "retentionPolicy" not in bucket.fields:
        raise invalid("Cannot lock a retention policy that is not there.")
    bucket.fields["retentionPolicy"]["isLocked"] = True
    bucket.touch()
    return _answer(call, bucket)
