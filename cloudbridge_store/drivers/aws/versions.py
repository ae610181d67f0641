"""Versions of objects: which there are, and whether a bucket keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from cloudbridge_store.drivers.aws.listing import MAX_PAGE, ask_page, join_markers, plain_text, split_markers
from cloudbridge_store.drivers.aws.service import Service
from cloudbridge_store.drivers.aws.translate import require
from cloudbridge_store.drivers.base import ObjectInfo, Page, VersionInfo


def list_versions(service: Service, bucket: str, prefix: str, limit: int, token: str | None) -> Page[VersionInfo]:
    """List versions and delete markers by key, the newest first."""
    key, version = split_markers(token)
    answer, encoded, truncated = ask_page(
        service,
        "list_object_versions",
        Bucket=bucket,
        Prefix=prefix or None,
        MaxKeys=max(1, min(limit, MAX_PAGE)),
        KeyMarker=key,
        VersionIdMarker=version,
    )
    # The answer holds both in one order, of which botocore makes two lists.
    entries = [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]
    entries.sort(key=itemgetter("LastModified"), reverse=True)
    items = [_version(each, encoded=encoded) for each in entries]
    items.sort(key=lambda item: (item.info.key, not item.latest))
    if not truncated:
        return Page(items)
    following = plain_text(require(answer, "NextKeyMarker"), encoded=encoded)
    return Page(items, join_markers(following, answer.get("NextVersionIdMarker", "")))


def _version(entry: Mapping[str, Any], *, encoded: bool) -> VersionInfo:
    deleted = "ETag" not in entry
    info = ObjectInfo(
        plain_text(entry["Key"], encoded=encoded),
        entry.get("Size", 0),
        entry["LastModified"],
        entry.get("ETag", "").strip('"'),
        storage_class=None if deleted else entry.get("StorageClass", "STANDARD"),
        # "null" is a version too: what was written while the bucket kept none.
        version=entry["VersionId"],
    )
    return VersionInfo(info, bool(entry.get("IsLatest")), deleted)


def get_versioning(service: Service, bucket: str) -> bool:
    """Say whether a bucket keeps versions now."""
    return bool(service.send("get_bucket_versioning", Bucket=bucket).get("Status") == "Enabled")


def set_versioning(service: Service, bucket: str, *, enabled: bool) -> None:
    """Keep versions from now on, or no more."""
    status = "Enabled" if enabled else "Suspended"
    service.send("put_bucket_versioning", Bucket=bucket, VersioningConfiguration={"Status": status})
