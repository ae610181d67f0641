"""Versions and snapshots. Both are an object as it was at some moment; the contract calls both versions.

Whether an account keeps versions is not for this API to say. A snapshot is taken by whoever wants one, by the SDK.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

from cloudbridge_store.drivers.azure.service import Service
from cloudbridge_store.drivers.base import ObjectInfo, Page, VersionInfo
from cloudbridge_store.errors import InvalidRequestError

SNAPSHOT, VERSION = "snapshot", "versionid"
_MARK = "snapshot:"
_LONGEST_PAGE = 5000


def selecting(version: str | None) -> dict[str, str]:
    """Return the query that names a version or a snapshot; empty for none."""
    if version is None:
        return {}
    if version.startswith(_MARK):
        return {SNAPSHOT: version.removeprefix(_MARK)}
    return {VERSION: version}


def name_of(snapshot: str | None, version: str | None) -> str | None:
    """Return a version's name in the contract's words, :func:`selecting` undone."""
    return f"{_MARK}{snapshot}" if snapshot else version or None


class Place(NamedTuple):
    """Where a listing goes on. The service lists a key's versions from the oldest on, the contract wants the newest first.

    So the page of the service on which a key begins is read again, and what was answered of it is skipped.
    """

    marker: str = ""
    """The page of the service."""
    key: str = ""
    """The last key that was answered."""
    taken: int = 0
    """How many of its versions were."""


def list_versions(service: Service, bucket: str, prefix: str, limit: int, token: str | None) -> Page[VersionInfo]:
    """List versions and snapshots of objects, by key."""
    place = Place() if token is None else _read(token)
    items: list[VersionInfo] = []
    for marker, key, versions in _by_key(service, bucket, prefix, place.marker):
        if place.key and _order(key) < _order(place.key):
            continue
        first = place.taken if key == place.key else 0
        room = limit - len(items)
        if len(versions) > first and room == 0:
            return Page(items, _make(place))
        items += versions[first : first + room]
        place = Place(marker, key, min(first + room, len(versions)))
        if place.taken < len(versions):
            return Page(items, _make(place))
    return Page(items)


def _by_key(service: Service, bucket: str, prefix: str, marker: str) -> Iterator[tuple[str, str, list[VersionInfo]]]:
    """Yield each key with its versions, the newest first, and the page of the service on which they begin."""
    entries = _entries(service, bucket, prefix, marker)
    for key, group in groupby(entries, lambda entry: str(entry[1].name)):
        found = list(group)
        newest_first = sorted((each for _, each in found), key=_moment, reverse=True)
        yield found[0][0], key, [_version_info(each) for each in newest_first]


def _entries(service: Service, bucket: str, prefix: str, marker: str) -> Iterator[tuple[str, Any]]:
    container = service.container(bucket)
    including = {"include": ["versions", "snapshots", "metadata"], "results_per_page": _LONGEST_PAGE}
    pages = container.list_blobs(name_starts_with=prefix or None, **including).by_page(marker or None)
    for page in pages:
        for blob in page:
            yield marker, blob
        marker = pages.continuation_token or ""  # type: ignore[attr-defined] # by_page() is said to return an Iterator


def _order(key: str) -> bytes:
    # As .NET compares: by the units of UTF-16.
    return key.encode("utf-16-be", "surrogatepass")


def _moment(blob: Any) -> tuple[bool, str]:
    """Return what sorts a key's versions by age. The object as it is now has no moment, or is marked."""
    return _is_current(blob), blob.snapshot or blob.version_id or ""


def _is_current(blob: Any) -> bool:
    return not blob.snapshot and (blob.version_id is None or bool(blob.is_current_version))


def _version_info(blob: Any) -> VersionInfo:
    info = ObjectInfo(
        str(blob.name),
        int(blob.size),
        blob.last_modified,
        str(blob.etag).strip('"'),
        blob.content_settings.content_type,
        storage_class=blob.blob_tier,
        version=name_of(blob.snapshot, blob.version_id),
    )
    return VersionInfo(info, latest=_is_current(blob))


def _make(place: Place) -> str:
    return json.dumps(place)


def _read(token: str) -> Place:
    try:
        marker, key, taken = json.loads(token)
        return Place(str(marker), str(key), int(taken))
    except (TypeError, ValueError) as error:
        raise InvalidRequestError("no listing of versions has such a token") from error
