"""Listings of buckets and of objects."""

from __future__ import annotations

from collections.abc import Mapping

from cloudbridge_store.drivers.base import BucketInfo, ObjectInfo, Page
from cloudbridge_store.drivers.gcp.service import Query, Service, bucket_path
from cloudbridge_store.drivers.gcp.translate import BUCKET_FIELDS, LISTED_FIELDS, bucket_info, object_info

MAX_PAGE = 1000
_KINDS = "kind,nextPageToken"


def list_buckets(service: Service, limit: int, token: str | None) -> Page[BucketInfo]:
    """List the buckets of the project."""
    query: Query = {
        "project": service.project(),
        "maxResults": page_size(limit),
        "pageToken": token,
        "fields": f"{_KINDS},items({BUCKET_FIELDS})",
    }
    found = service.ask("GET", "/b", query)
    return Page([bucket_info(each) for each in found.get("items", ())], next_token(found))


def list_objects(
    service: Service, bucket: str, prefix: str, delimiter: str, start_after: str, limit: int, token: str | None
) -> Page[ObjectInfo]:
    """List objects.

    The service starts *at* a name, and would answer that name itself. What comes right after it in the order of bytes
    is the same name with the least character behind it.
    """
    query = {
        "prefix": prefix or None,
        "delimiter": delimiter or None,
        "startOffset": start_after + _LEAST if start_after else None,
        "maxResults": page_size(limit),
        "pageToken": token,
        "fields": f"{_KINDS},prefixes,items({LISTED_FIELDS})",
    }
    found = service.ask("GET", f"{bucket_path(bucket)}/o", query)
    items = [object_info(each, listed=True) for each in found.get("items", ())]
    return Page(items, next_token(found), found.get("prefixes", ()))


_LEAST = "\0"


def page_size(limit: int) -> int:
    """Return how many results to ask for."""
    return max(1, min(limit, MAX_PAGE))


def next_token(found: Mapping[str, str]) -> str | None:
    """Return the token of the next page; ``None`` at the end."""
    return found.get("nextPageToken") or None
