"""Pages of versions and snapshots.

The service lists those of a key from the oldest on, the contract wants the newest first. So the service's page on which
a key begins is read again for the next page, and what was answered of it is skipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple
from xml.etree.ElementTree import Element

from cloudbridge_store.drivers.azure.documents import plain_text, read_document
from cloudbridge_store.drivers.azure.listing import MAX_PAGE, read_object
from cloudbridge_store.drivers.azure.service import Service
from cloudbridge_store.drivers.azure.versions import name_of
from cloudbridge_store.drivers.base import Page, VersionInfo
from cloudbridge_store.errors import InvalidRequestError


class Place(NamedTuple):
    """Where a listing goes on."""

    marker: str = ""
    """The page of the service on which the key begins."""
    key: str = ""
    """The last key of which something was answered."""
    taken: int = 0
    """How many of its versions were."""


Group = tuple[str, str, list[VersionInfo]]
"""The page of the service on which a key begins, the key, and its versions, the newest first."""


def list_versions(service: Service, bucket: str, prefix: str, limit: int, token: str | None) -> Page[VersionInfo]:
    """List versions and snapshots of objects, by key."""
    place = Place() if token is None else _read(token)
    items: list[VersionInfo] = []
    for marker, key, versions in _rest(_by_key(service, bucket, prefix, place.marker), place):
        first = place.taken if key == place.key else 0
        last = min(first + limit - len(items), len(versions))
        items += versions[first:last]
        if last > first:
            place = Place(marker, key, last)
        if last < len(versions):
            return Page(items, json.dumps(place))
    return Page(items)


def _rest(groups: Iterator[Group], place: Place) -> Iterator[Group]:
    """Yield what comes from the key of a place on. Names are compared only if that key is gone from its page."""
    skipped: list[Group] = []
    for group in groups:
        if group[1] == place.key or group[0] != place.marker:
            if group[1] != place.key:
                yield from _greater(skipped, place)
            yield group
            yield from groups
            return
        skipped.append(group)
    yield from _greater(skipped, place)


def _greater(groups: list[Group], place: Place) -> Iterator[Group]:
    return (group for group in groups if _order(group[1]) > _order(place.key))


def _by_key(service: Service, bucket: str, prefix: str, marker: str) -> Iterator[Group]:
    """Yield each key with its versions, the newest first, and the page of the service on which they begin."""
    for key, group in groupby(_entries(service, bucket, prefix, marker), lambda each: plain_text(each[1].find("Name"))):
        found = list(group)
        newest_first = sorted((each for _, each in found), key=_moment, reverse=True)
        yield found[0][0], key, [_version(each) for each in newest_first]


def _entries(service: Service, bucket: str, prefix: str, marker: str) -> Iterator[tuple[str, Element]]:
    path = service.path(bucket)
    query = {"restype": "container", "comp": "list", "include": "snapshots,versions", "maxresults": str(MAX_PAGE)}
    if prefix:
        query["prefix"] = prefix
    following: str | None = marker
    while following is not None:
        marker = following
        more = {"marker": marker} if marker else {}
        root = read_document(service.send("GET", path, {**query, **more}), "EnumerationResults")
        for blob in root.iterfind("Blobs/Blob"):
            yield marker, blob
        following = root.findtext("NextMarker") or None


def _order(key: str) -> bytes:
    # As .NET compares, and the emulator: by the units of UTF-16.
    return key.encode("utf-16-be", "surrogatepass")


def _moment(blob: Element) -> tuple[bool, str]:
    """Return what sorts a key's versions by age. The object as it is now has no moment, or says that it is the one."""
    return _is_current(blob), blob.findtext("Snapshot") or blob.findtext("VersionId") or ""


def _is_current(blob: Element) -> bool:
    if blob.findtext("Snapshot"):
        return False
    return not blob.findtext("VersionId") or blob.findtext("IsCurrentVersion") == "true"


def _version(blob: Element) -> VersionInfo:
    name = name_of(blob.findtext("Snapshot"), blob.findtext("VersionId"))
    return VersionInfo(read_object(blob)._replace(version=name), latest=_is_current(blob))


def _read(token: str) -> Place:
    try:
        marker, key, taken = json.loads(token)
        return Place(str(marker), str(key), int(taken))
    except (TypeError, ValueError) as error:
        raise InvalidRequestError("no listing of versions has such a token") from error
