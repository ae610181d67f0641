"""Pages of buckets, objects and uploads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from cloudbridge_store.drivers.aws.errors import NOT_S3
from cloudbridge_store.drivers.aws.service import Service
from cloudbridge_store.drivers.aws.translate import require
from cloudbridge_store.drivers.base import BucketInfo, ObjectInfo, Page, UploadInfo
from cloudbridge_store.errors import ForeignAnswerError

MAX_PAGE = 1000
_SEPARATOR = "\0"
_LAST_CHARACTER = "\U0010ffff"


def list_buckets(service: Service, limit: int, token: str | None) -> Page[BucketInfo]:
    """List buckets. A service without pages answers all of them each time; then a token is the last name."""
    kind, _, position = (token or "").partition(":")
    given = position if kind == "token" else None
    answer = service.send("list_buckets", MaxBuckets=min(limit, MAX_PAGE), ContinuationToken=given)
    buckets = [
        BucketInfo(each["Name"], each.get("CreationDate"), each.get("BucketRegion"))
        for each in require(answer, "Buckets")
    ]
    buckets.sort()
    if kind == "after":
        buckets = [each for each in buckets if each.name > position]
    if len(buckets) > limit:
        return Page(buckets[:limit], f"after:{buckets[limit - 1].name}")
    following = answer.get("ContinuationToken")
    return Page(buckets, f"token:{following}" if following and following != given else None)


def list_objects(
    service: Service, bucket: str, prefix: str, delimiter: str, start_after: str, limit: int, token: str | None
) -> Page[ObjectInfo]:
    """List objects by the call that the service has."""
    if service.preset.list_version == 1:
        operation, place = "list_objects", {"Marker": token or start_after or None}
    else:
        place = {"StartAfter": None if token else start_after or None, "ContinuationToken": token}
        operation = "list_objects_v2"
    answer, encoded, truncated = ask_page(
        service,
        operation,
        Bucket=bucket,
        Prefix=prefix or None,
        Delimiter=delimiter or None,
        MaxKeys=max(1, min(limit, MAX_PAGE)),
        **place,
    )
    items = [_object(each, encoded=encoded) for each in answer.get("Contents", ())]
    prefixes = [plain_text(each["Prefix"], encoded=encoded) for each in answer.get("CommonPrefixes", ())]
    return Page(items, _next_token(answer, items, prefixes, encoded=encoded) if truncated else None, prefixes)


def _object(entry: Mapping[str, Any], *, encoded: bool) -> ObjectInfo:
    return ObjectInfo(
        unquote_plus(entry["Key"]) if encoded else entry["Key"],
        entry["Size"],
        entry["LastModified"],
        entry["ETag"].strip('"'),
        storage_class=entry.get("StorageClass", "STANDARD"),
    )


def plain_text(value: str, *, encoded: bool) -> str:
    """Return a key as it is, where the listing has it URL-encoded."""
    return unquote_plus(value) if encoded else value


def _next_token(answer: Mapping[str, Any], items: list[ObjectInfo], prefixes: list[str], *, encoded: bool) -> str:
    if "NextContinuationToken" in answer:
        return str(answer["NextContinuationToken"])
    if "NextMarker" in answer:
        marker = plain_text(answer["NextMarker"], encoded=encoded)
        return f"{marker}{_LAST_CHARACTER}" if marker in prefixes else marker
    # Version 1 names the next marker only with a delimiter, and not on every service. A marker that is a prefix itself
    # would bring that prefix again on some; what begins with it and goes on with the last character is behind it.
    last = [items[-1].key] if items else []
    if not last and not prefixes:
        raise ForeignAnswerError("the page is not the last and holds nothing", hint=NOT_S3)
    return max([*last, *(f"{each}{_LAST_CHARACTER}" for each in prefixes[-1:])])


def ask_page(service: Service, operation: str, **parameters: Any) -> tuple[dict[str, Any], bool, bool]:
    """Return a page, whether the keys in it are URL-encoded, and whether more follows."""
    encoding = "url" if service.preset.list_url_encode else None
    answer = service.send(operation, EncodingType=encoding, **parameters)
    # A page of HTML can be well-formed XML; it says nothing about being the last.
    truncated = bool(require(answer, "IsTruncated"))
    return answer, answer.get("EncodingType") == "url", truncated


def split_markers(token: str | None) -> tuple[str | None, str | None]:
    """Return the two markers that a token holds."""
    key, _, marker = (token or "").partition(_SEPARATOR)
    return key or None, marker or None


def join_markers(key: str, marker: str) -> str:
    """Return the token that holds both markers."""
    return f"{key}{_SEPARATOR}{marker}"


def list_uploads(service: Service, bucket: str, prefix: str, limit: int, token: str | None) -> Page[UploadInfo]:
    """List unfinished uploads; a token holds both markers."""
    key, upload_id = split_markers(token)
    answer, encoded, truncated = ask_page(
        service,
        "list_multipart_uploads",
        Bucket=bucket,
        Prefix=prefix or None,
        MaxUploads=max(1, min(limit, MAX_PAGE)),
        KeyMarker=key,
        UploadIdMarker=upload_id,
    )
    items = [
        UploadInfo(each["UploadId"], plain_text(each["Key"], encoded=encoded), each.get("Initiated"))
        for each in answer.get("Uploads", ())
    ]
    if not truncated:
        return Page(items)
    # The last upload is where to go on. What services name as the next marker is not always encoded, nor always there.
    if not items:
        raise ForeignAnswerError("the page is not the last and holds nothing", hint=NOT_S3)
    return Page(items, join_markers(items[-1].key, items[-1].upload_id))
