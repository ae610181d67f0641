"""Resources as the JSON API shows them: https://cloud.google.com/storage/docs/json_api/v1/objects#resource-representations"""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

from servers.gcs.model import etag, rfc3339

PROJECT_NUMBERS = {"test-project": "100000000001", "other-project": "100000000002"}
_TIMES = {
    "timeCreated": "created",
    "timeFinalized": "created",
    "updated": "updated",
    "timeDeleted": "deleted",
    "softDeleteTime": "soft_deleted",
    "timeStorageClassUpdated": "class_updated",
}


def object_url(url, version):
    return f"{url}/storage/v1/b/{version.bucket.name}/o/{quote(version.name, safe='')}"


def object_resource(url, version, *, full=False, has_key=False):
    """Return a version of an object as a resource.

    ``full`` is with its access control list. Digests of what a customer's own key encrypts are for those who have it.
    """
    link = object_url(url, version)
    media = link.replace("/storage/v1/", "/download/storage/v1/")
    content, is_open = version.content, has_key or not version.customer_key
    found = {
        "kind": "storage#object",
        "id": f"{version.bucket.name}/{version.name}/{version.generation}",
        "selfLink": link,
        "mediaLink": f"{media}?generation={version.generation}&alt=media",
        "name": version.name,
        "bucket": version.bucket.name,
        "generation": str(version.generation),
        "metageneration": str(version.metageneration),
        "storageClass": version.storage_class,
        "size": str(content.size),
        "etag": version.etag,
        "componentCount": version.component_count,
        "kmsKeyName": version.kms_key,
        **({"md5Hash": content.md5, "crc32c": content.crc32c} if is_open else {}),
        "customerEncryption": version.customer_key
        and {"encryptionAlgorithm": "AES256", "keySha256": version.customer_key},
        **version.fields,
        **_times(version),
        **(_owned(url, version) if full and not version.bucket.is_uniform else {}),
    }
    return {name: value for name, value in found.items() if value is not None}


def _times(version):
    moments = {name: getattr(version, attribute) for name, attribute in _TIMES.items()}
    moments["retentionExpirationTime"] = version.retained_until()
    if version.soft_deleted:
        moments["hardDeleteTime"] = version.soft_deleted + timedelta(seconds=version.bucket.soft_seconds)
    return {name: moment and rfc3339(moment) for name, moment in moments.items()}


def _owned(url, version):
    acl = [object_acl(url, version, entry) for entry in version.acl]
    return {"owner": {"entity": f"user-{version.owner}"}, "acl": acl}


def object_acl(url, version, entry):
    own = f"{version.bucket.name}/{version.name}/{version.generation}/{entry['entity']}"
    return {
        "kind": "storage#objectAccessControl",
        "id": own,
        "selfLink": f"{object_url(url, version)}/acl/{entry['entity']}",
        "bucket": version.bucket.name,
        "object": version.name,
        "generation": str(version.generation),
        "etag": version.etag,
        **entry,
    }


def bucket_acl(url, bucket, entry, *, default=False):
    """Return an entry of a bucket's list, or of its list for new objects."""
    part = "defaultObjectAcl" if default else "acl"
    found = {"kind": f"storage#{'object' if default else 'bucket'}AccessControl", "etag": etag(bucket.metageneration)}
    if not default:
        found["id"] = f"{bucket.name}/{entry['entity']}"
        found["bucket"] = bucket.name
        found["selfLink"] = f"{url}/storage/v1/b/{bucket.name}/{part}/{entry['entity']}"
    return {**found, **entry}


def bucket_resource(url, bucket, *, full=False):
    """Return a bucket as a resource; ``full`` with its access control lists."""
    found = {
        "kind": "storage#bucket",
        "id": bucket.name,
        "selfLink": f"{url}/storage/v1/b/{bucket.name}",
        "projectNumber": PROJECT_NUMBERS[bucket.project],
        "name": bucket.name,
        "generation": str(bucket.generation),
        "metageneration": str(bucket.metageneration),
        "etag": etag(bucket.metageneration),
        "timeCreated": rfc3339(bucket.created),
        "updated": rfc3339(bucket.updated),
        **bucket.fields,
    }
    if bucket.soft_deleted:
        found["softDeleteTime"] = rfc3339(bucket.soft_deleted)
        found["hardDeleteTime"] = rfc3339(bucket.soft_deleted + timedelta(seconds=bucket.soft_seconds))
    if full and not bucket.is_uniform:
        found["owner"] = {"entity": f"project-owners-{found['projectNumber']}"}
        found["acl"] = [bucket_acl(url, bucket, entry) for entry in bucket.acl]
        found["defaultObjectAcl"] = [bucket_acl(url, bucket, entry, default=True) for entry in bucket.default_acl]
    return {name: value for name, value in found.items() if value is not None}
