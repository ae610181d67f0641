"""Who may do what: roles of IAM, and access control lists where a bucket has them.

https://cloud.google.com/storage/docs/access-control/iam-roles,
https://cloud.google.com/storage/docs/access-control/lists,
https://cloud.google.com/storage/docs/public-access-prevention
"""

from __future__ import annotations

from servers.gcs import identity
from servers.gcs.refusals import Refusal, denied, invalid

PUBLIC = ("allUsers", "allAuthenticatedUsers")
_UPLOADS = {f"storage.multipartUploads.{act}" for act in ("create", "abort", "listParts")}
_READ = {"storage.objects.get", "storage.objects.list"}
_POLICY = {"getIamPolicy", "setIamPolicy"}
_WRITER = {"storage.objects.create", "storage.objects.delete", "storage.objects.list"} | _UPLOADS
_WRITER |= {"storage.multipartUploads.list"}
_EVERY_OBJECT = {f"storage.objects.{act}" for act in ("create", "delete", "get", "list", "update", "restore", *_POLICY)}
_EVERY_OBJECT |= _WRITER
_EVERY_BUCKET = {f"storage.buckets.{act}" for act in ("get", "update", "delete", "restore", *_POLICY)}
ROLES = {
    "roles/storage.admin": _EVERY_OBJECT | _EVERY_BUCKET,
    "roles/storage.objectAdmin": _EVERY_OBJECT,
    "roles/storage.objectUser": _EVERY_OBJECT - {"storage.objects.getIamPolicy", "storage.objects.setIamPolicy"},
    "roles/storage.objectCreator": {"storage.objects.create"} | _UPLOADS,
    "roles/storage.objectViewer": _READ,
    "roles/storage.bucketViewer": {"storage.buckets.get"},
    "roles/storage.legacyBucketOwner": _WRITER | _EVERY_BUCKET - {"storage.buckets.delete", "storage.buckets.restore"},
    "roles/storage.legacyBucketWriter": _WRITER | {"storage.buckets.get"},
    "roles/storage.legacyBucketReader": {
        "storage.buckets.get", "storage.objects.list", "storage.multipartUploads.list",
    },
    "roles/storage.legacyObjectOwner": {
        "storage.objects.get", "storage.objects.update", "storage.objects.getIamPolicy", "storage.objects.setIamPolicy",
    },
    "roles/storage.legacyObjectReader": {"storage.objects.get"},
}  # fmt: skip
_BUCKET_ACL = {
    "READER": ROLES["roles/storage.legacyBucketReader"] - {"storage.buckets.get"},
    "WRITER": _WRITER,
    "OWNER": ROLES["roles/storage.legacyBucketOwner"],
}
_OBJECT_ACL = {"READER": {"storage.objects.get"}, "OWNER": ROLES["roles/storage.legacyObjectOwner"]}


def allow(caller, permission, bucket, version=None):
    """Let pass who has a permission on a bucket, or on a version of an object. :raises Refusal: not this one."""
    kind = "bucket" if ".buckets." in permission or permission.endswith(".list") else "object"
    _check_scopes(caller, permission)
    if not _is_allowed(caller, permission, bucket, version):
        raise denied(caller.email, permission, kind)


def allow_in_project(caller, permission, project):
    """Let pass who has a permission on a project."""
    _check_scopes(caller, permission)
    if caller.account is None or caller.account.project != project:
        raise denied(caller.email, permission, "project")


def is_allowed(caller, permission, bucket, version=None):
    try:
        _check_scopes(caller, permission)
    except Refusal:
        return False
    return _is_allowed(caller, permission, bucket, version)


def _check_scopes(caller, permission):
    act = permission.rpartition(".")[2]
    if act in ("get", "list", "listParts"):
        wanted = identity.READING
    elif act.endswith("IamPolicy") or permission == "storage.buckets.update":
        wanted = identity.FULL
    else:
        wanted = identity.WRITING
    if caller.account is not None and not caller.scopes & wanted:
        headers = {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/", error="insufficient_scope"'}
        raise Refusal(403, "insufficientPermissions", "Insufficient Permission", headers=headers)


def _is_allowed(caller, permission, bucket, version):
    account = caller.account
    if account is not None and account.project == bucket.project:
        return True
    members = {"allUsers"}
    if account is not None:
        members |= {"allAuthenticatedUsers", f"serviceAccount:{account.email}"}
    if bucket.is_private:
        members -= set(PUBLIC)
    for binding in bucket.bindings:
        if members & set(binding["members"]) and permission in ROLES[binding["role"]]:
            return True
    if bucket.is_uniform:
        return False
    entities = {member.replace("serviceAccount:", "user-") for member in members}
    lists = [(bucket.acl, _BUCKET_ACL)]
    if version is not None:
        lists.append((version.acl, _OBJECT_ACL))
    return any(
        entry["entity"] in entities and permission in roles[entry["role"]] for acl, roles in lists for entry in acl
    )


def check_bindings(bindings, bucket):
    """Refuse bindings that the service would not take."""
    for binding in bindings:
        if binding.get("role") not in ROLES:
            raise invalid(f"Role {binding.get('role')} is not supported for this resource.")
        for member in binding.get("members") or ():
            check_member(member, bucket)


def check_member(member, bucket):
    kinds = ("user", "serviceAccount", "group", "domain", "projectOwner", "projectEditor", "projectViewer")
    if member not in PUBLIC and member.partition(":")[0] not in kinds:
        raise invalid(f"Invalid argument: member {member}")
    refuse_public(member, bucket)


def refuse_public(entity, bucket):
    """Refuse to open a bucket whose public access is prevented."""
    if entity in PUBLIC and bucket.is_private:
        message = (
            "The member bindings allUsers and allAuthenticatedUsers are not allowed since public access prevention"
        )
        raise Refusal(412, "conditionNotMet", f"{message} is enforced.")
