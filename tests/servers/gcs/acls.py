"""Access control lists and policies.

* https://cloud.google.com/storage/docs/json_api/v1/objectAccessControls, and the same for buckets and new objects
* https://cloud.google.com/storage/docs/json_api/v1/buckets/setIamPolicy
"""

from __future__ import annotations

import base64
import re

from servers.gcs import access, schema
from servers.gcs.model import check_conditions
from servers.gcs.refusals import Refusal, condition_failed, invalid, uniform
from servers.gcs.resources import PROJECT_NUMBERS, bucket_acl, object_acl

_OBJECT_ROLES = ("READER", "OWNER")
_BUCKET_ROLES = ("READER", "WRITER", "OWNER")
_PREDEFINED = {
    "private": [],
    "publicRead": [("allUsers", "READER")],
    "publicReadWrite": [("allUsers", "WRITER")],
    "authenticatedRead": [("allAuthenticatedUsers", "READER")],
    "projectPrivate": [("viewers", "READER"), ("editors", "WRITER")],
    "bucketOwnerRead": [("owners", "READER")],
    "bucketOwnerFullControl": [("owners", "OWNER")],
}
XML_NAMES = {
    "private": "private",
    "public-read": "publicRead",
    "authenticated-read": "authenticatedRead",
    "bucket-owner-read": "bucketOwnerRead",
    "bucket-owner-full-control": "bucketOwnerFullControl",
    "project-private": "projectPrivate",
}
"""The predefined lists of objects by their names in the XML API."""
_OF_BUCKETS = {"private", "publicRead", "publicReadWrite", "authenticatedRead", "projectPrivate"}


def team(bucket, name):
    number = PROJECT_NUMBERS[bucket.project]
    return {"entity": f"project-{name}-{number}", "projectTeam": {"projectNumber": number, "team": name}}


def predefined(bucket, name, owner, *, of_bucket=False):
    """Return the list that the name of a predefined one stands for."""
    if name not in (_OF_BUCKETS if of_bucket else _PREDEFINED.keys() - {"publicReadWrite"}):
        raise invalid(f"Invalid value '{name}' for predefined ACL", reason="invalidParameter")
    entries = [{**owner, "role": "OWNER"}]
    for entity, role in _PREDEFINED[name]:
        access.refuse_public(entity, bucket)
        who = {"entity": entity} if entity.startswith("all") else team(bucket, entity)
        entries.append({**who, "role": "READER" if role == "WRITER" and not of_bucket else role})
    return entries


def for_object(bucket, caller, predefined_name=None, given=None):
    """Return the list of a new object. :raises Refusal: it may have none, or not this one."""
    if predefined_name or given:
        if bucket.is_uniform:
            raise uniform("insert legacy ACL for an object")
        if given:
            return [_entry(bucket, each, _OBJECT_ROLES) for each in given]
    if bucket.is_uniform:
        return []
    owner = {"entity": f"user-{caller.email}", "email": caller.email} if caller.email else team(bucket, "owners")
    if predefined_name:
        return predefined(bucket, predefined_name, owner)
    return [{**owner, "role": "OWNER"}, *[each for each in bucket.default_acl if each["entity"] != owner["entity"]]]


def set_up(call, bucket, resource):
    """Give a new bucket its lists."""
    owners = team(bucket, "owners")
    change(call, bucket, resource, will_be_uniform=bucket.is_uniform)
    if not bucket.is_uniform:
        bucket.acl = bucket.acl or predefined(bucket, "projectPrivate", owners, of_bucket=True)
        bucket.default_acl = bucket.default_acl or predefined(bucket, "projectPrivate", owners)
    number = PROJECT_NUMBERS[bucket.project]
    bucket.bindings = [
        {"role": "roles/storage.legacyBucketOwner", "members": [f"projectEditor:{number}", f"projectOwner:{number}"]},
        {"role": "roles/storage.legacyBucketReader", "members": [f"projectViewer:{number}"]},
    ]


def change(call, bucket, resource, *, will_be_uniform):
    """Replace the lists of a bucket by what a call says."""
    owners = team(bucket, "owners")
    asked = ("acl", "defaultObjectAcl")
    named = ("predefinedAcl", "predefinedDefaultObjectAcl")
    if will_be_uniform:
        if any(resource.get(name) for name in asked) or any(map(call.get, named)):
            raise uniform("use ACL API to set bucket policy")
        return
    for attribute, field, parameter in zip(("acl", "default_acl"), asked, named, strict=True):
        is_bucket = attribute == "acl"
        if name := call.get(parameter):
            setattr(bucket, attribute, predefined(bucket, name, owners, of_bucket=is_bucket))
        elif resource.get(field) is not None:
            roles = _BUCKET_ROLES if is_bucket else _OBJECT_ROLES
            setattr(bucket, attribute, [_entry(bucket, each, roles) for each in resource[field]])


def _entry(bucket, given, roles):
    entity, role = given.get("entity", ""), given.get("role")
    if role not in roles:
        raise invalid(f"Invalid role: {role}", reason="invalid")
    if not re.fullmatch(
        r"allUsers|allAuthenticatedUsers|(user|group|domain|project-(owners|editors|viewers))-.+", entity
    ):
        raise invalid(f"Invalid entity: {entity}")
    access.refuse_public(entity, bucket)
    entry = {"entity": entity, "role": role}
    if entity.startswith("user-"):
        entry["email"] = entity.removeprefix("user-")
    return entry


class _List:
    """The list that the path of a call means."""

    def __init__(self, call):
        self._call = call
        self.bucket = call.bucket
        self.version = (
            self.bucket.find(call.args["object"], call.number("generation")) if "object" in call.args else None
        )
        self._is_default = "/defaultObjectAcl" in call.asked.path
        if self.bucket.is_uniform:
            verb = {"GET": "get", "POST": "insert", "DELETE": "delete"}.get(call.asked.method, "update")
            raise uniform(f"{verb} legacy ACL for {'an object' if self.version else 'a bucket'}")
        act = "getIamPolicy" if call.asked.method == "GET" else "setIamPolicy"
        if self.version:
            call.allow(f"objects.{act}", self.bucket, self.version)
        else:
            call.allow(f"buckets.{act}", self.bucket)

    @property
    def roles(self):
        return _OBJECT_ROLES if self.version or self._is_default else _BUCKET_ROLES

    @property
    def shape(self):
        return schema.OBJECT_ACL if self.version or self._is_default else schema.BUCKET_ACL

    @property
    def entries(self):
        if self.version:
            return self.version.acl
        return self.bucket.default_acl if self._is_default else self.bucket.acl

    def show(self, entry):
        if self.version:
            return object_acl(self._call.url, self.version, entry)
        return bucket_acl(self._call.url, self.bucket, entry, default=self._is_default)

    def find(self, entity):
        for entry in self.entries:
            if entry["entity"] == entity:
                return entry
        raise Refusal(404, "notFound", f"The specified ACL entry was not found: {entity}")

    def put(self, given):
        """Set an entry, in place of one for the same entity."""
        entry = _entry(self.bucket, given, self.roles)
        self.entries[:] = [each for each in self.entries if each["entity"] != entry["entity"]] + [entry]
        (self.version or self.bucket).touch()
        return entry


def list_(call):
    found = _List(call)
    check_conditions(call.number, found.bucket)
    kind = "storage#objectAccessControls" if found.shape is schema.OBJECT_ACL else "storage#bucketAccessControls"
    return call.answer({"kind": kind, "items": [found.show(entry) for entry in found.entries]})


def get(call):
    found = _List(call)
    return call.answer(found.show(found.find(call.args["entity"])))


def insert(call):
    found = _List(call)
    return call.answer(found.show(found.put(call.json(found.shape))))


def update(call):
    found = _List(call)
    old = found.find(call.args["entity"])
    return call.answer(found.show(found.put({**old, **call.json(found.shape)})))


def delete(call):
    found = _List(call)
    found.entries.remove(found.find(call.args["entity"]))
    (found.version or found.bucket).touch()
    return call.answer(None, 204)


def get_policy(call):
    bucket = call.bucket
    call.allow("buckets.getIamPolicy", bucket)
    if (call.number("optionsRequestedPolicyVersion") or 1) not in (1, 2, 3):
        raise invalid("Invalid policy version")
    return call.answer(_policy(bucket))


def _policy(bucket):
    return {
        "kind": "storage#policy",
        "resourceId": f"projects/_/buckets/{bucket.name}",
        "version": bucket.policy_version,
        "etag": _policy_etag(bucket),
        "bindings": bucket.bindings,
    }


def _policy_etag(bucket):
    return base64.b64encode(b"\x08" + bucket.policy_changes.to_bytes(2, "little")).decode()


def set_policy(call):
    bucket = call.bucket
    call.allow("buckets.setIamPolicy", bucket)
    policy = call.json(schema.POLICY)
    if policy.get("etag") not in (None, "", _policy_etag(bucket)):
        raise condition_failed()
    version = policy.get("version") or 1
    bindings = [each for each in policy.get("bindings") or [] if each.get("members")]
    if any(each.get("condition") for each in bindings):
        raise Refusal(501, "notImplemented", "The fake has no conditions of bindings")
    if version not in (1, 3):
        raise invalid(f"Invalid policy version: {version}")
    access.check_bindings(bindings, bucket)
    bucket.bindings = [{"role": each["role"], "members": sorted(set(each["members"]))} for each in bindings]
    bucket.policy_version = version
    bucket.policy_changes += 1
    bucket.touch()
    return call.answer(_policy(bucket))


def test_permissions(call):
    bucket = call.bucket
    asked = call.multiple("permissions")
    held = [each for each in asked if access.is_allowed(call.caller, each, bucket)]
    answer = {"kind": "storage#testIamPermissionsResponse"}
    return call.answer(answer | ({"permissions": held} if held else {}))
