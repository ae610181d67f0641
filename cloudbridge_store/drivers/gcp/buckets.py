"""Buckets: made private, described as far as the account may see, deleted when they are empty."""

from __future__ import annotations

from typing import Any

from cloudbridge_store.drivers.base import BucketInfo
from cloudbridge_store.drivers.gcp.errors import classify, failure_of
from cloudbridge_store.drivers.gcp.service import Service, bucket_path
from cloudbridge_store.drivers.gcp.translate import BUCKET_FIELDS, bucket_info
from cloudbridge_store.errors import InvalidRequestError, PermissionDeniedError


def create_bucket(service: Service, bucket: str, location: str | None) -> BucketInfo:
    """Create a bucket whose objects IAM alone gives access to, and never to everybody."""
    document: dict[str, Any] = {
        "name": bucket,
        "iamConfiguration": {
            "uniformBucketLevelAccess": {"enabled": True},
            "publicAccessPrevention": "enforced",
        },
    }
    where = location or service.config["gcp_region_name"]
    if where:
        document["location"] = where
    if service.config["gcp_storage_class"]:
        document["storageClass"] = service.config["gcp_storage_class"]
    query = {"project": service.project(), "fields": BUCKET_FIELDS}
    return bucket_info(service.ask("POST", "/b", query, document=document))


def head_bucket(service: Service, bucket: str) -> BucketInfo:
    """Describe a bucket.

    Roles for objects alone do not include seeing the bucket: who may list its objects knows that it is there.
    """
    try:
        return bucket_info(service.ask("GET", bucket_path(bucket), {"fields": BUCKET_FIELDS}))
    except Exception as error:
        if not _lacks_only(error, "storage.buckets.get") or not _may_list(service, bucket):
            raise
    return BucketInfo(bucket)


def _lacks_only(error: Exception, permission: str) -> bool:
    found = classify(error)
    return found is not None and found.error is PermissionDeniedError and permission in found.reason


def _may_list(service: Service, bucket: str) -> bool:
    try:
        service.ask("GET", f"{bucket_path(bucket)}/o", {"maxResults": 1, "fields": "kind"})
    except Exception as error:
        if failure_of(error) is PermissionDeniedError:
            return False
        raise
    return True


def delete_bucket(service: Service, bucket: str) -> None:
    """Delete an empty bucket."""
    service.ask("DELETE", bucket_path(bucket))


def check_credentials(service: Service) -> None:
    """Have the service look at the credentials, by asking for a bucket of the project.

    Without a project it looks at who asks, too, before it says what is missing.
    """
    project = service.identity.project
    try:
        service.ask("GET", "/b", {"project": project, "maxResults": 1, "fields": "kind"})
    except Exception as error:
        if project or failure_of(error) is not InvalidRequestError:
            raise
