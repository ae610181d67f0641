"""Versions of objects: the generations of each, and whether a bucket keeps those that were replaced or deleted.

A deletion leaves no mark of its own: the generation that was there is merely no longer the live one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from cloudbridge_store.drivers.base import Page, VersionInfo
from cloudbridge_store.drivers.gcp.listing import MAX_PAGE, page_size
from cloudbridge_store.drivers.gcp.service import Query, Service, bucket_path
from cloudbridge_store.drivers.gcp.translate import LISTED_FIELDS, object_info, required_generation
from cloudbridge_store.errors import InvalidRequestError

_LEAST = "\0"
_FIELDS = f"kind,nextPageToken,items({LISTED_FIELDS},timeDeleted)"
Entry = Mapping[str, Any]


def list_versions(service: Service, bucket: str, prefix: str, limit: int, token: str | None) -> Page[VersionInfo]:
    """List generations by key, the newest of a key first.

    The service lists the oldest first, so that all generations of a key are fetched before one of them is answered. A
    token holds the key to go on at, and the generation of it that was answered last, 0 where none was.
    """
    start, below = _position(token)
    entries, more = _fetch(service, bucket, prefix, start, page_size(limit + 1))
    groups = [list(group) for _, group in groupby(entries, key=lambda each: each["name"])]
    held = None
    if more and len(groups) > 1:
        held = groups.pop()[0]["name"]
    elif more:
        groups, held = [_fetch_all(service, bucket, groups[0][0]["name"])], groups[0][0]["name"] + _LEAST
    items = [_version(each) for group in groups for each in sorted(group, key=required_generation, reverse=True)]
    if below:
        items = [each for each in items if each.info.key != start or int(each.info.etag) < below]
    if len(items) > limit:
        last = items[limit - 1].info
        return Page(items[:limit], json.dumps([last.key, int(last.etag)]))
    return Page(items, json.dumps([held, 0]) if held is not None else None)


def _position(token: str | None) -> tuple[str, int]:
    if token is None:
        return "", 0
    try:
        key, generation = json.loads(token)
        return str(key), int(generation)
    except (ValueError, TypeError):
        raise InvalidRequestError("the token is none of a listing of versions") from None


def _fetch(service: Service, bucket: str, prefix: str, start: str, size: int) -> tuple[list[Entry], bool]:
    """Return the first generations from a key on, and whether there are more."""
    token: str | None = None
    while True:
        query: Query = {
            "versions": "true",
            "prefix": prefix or None,
            "startOffset": start or None,
            "maxResults": min(size, MAX_PAGE),
            "pageToken": token,
            "fields": _FIELDS,
        }
        found = service.ask("GET", f"{bucket_path(bucket)}/o", query)
        items, following = list(found.get("items", ())), found.get("nextPageToken")
        # A page may be empty and not the last.
        if items or not following or following == token:
            return items, bool(items and following)
        token = following


def _fetch_all(service: Service, bucket: str, key: str) -> list[Entry]:
    """Return all generations of one key."""
    entries: list[Entry] = []
    token: str | None = None
    while True:
        query: Query = {
            "versions": "true",
            "startOffset": key,
            "endOffset": key + _LEAST,
            "maxResults": MAX_PAGE,
            "pageToken": token,
            "fields": _FIELDS,
        }
        found = service.ask("GET", f"{bucket_path(bucket)}/o", query)
        entries += found.get("items", ())
        following = found.get("nextPageToken")
        if not following or following == token:
            return entries
        token = following


def _version(entry: Entry) -> VersionInfo:
    return VersionInfo(object_info(entry, listed=True), latest="timeDeleted" not in entry)


def get_versioning(service: Service, bucket: str) -> bool:
    """Say whether a bucket keeps what is replaced or deleted now."""
    found = service.ask("GET", bucket_path(bucket), {"fields": "name,versioning"})
    return bool(found.get("versioning", {}).get("enabled"))


def set_versioning(service: Service, bucket: str, *, enabled: bool) -> None:
    """Keep versions from now on, or no more."""
    document = {"versioning": {"enabled": enabled}}
    service.ask("PATCH", bucket_path(bucket), {"fields": "name"}, document=document)
