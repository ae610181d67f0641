"""Pages of containers and objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from cloudbridge_store.drivers.base import BucketInfo, ObjectInfo, Page
from cloudbridge_store.drivers.openstack.errors import NOT_SWIFT, AnswerError
from cloudbridge_store.drivers.openstack.names import SUFFIX
from cloudbridge_store.drivers.openstack.service import Answer, Service
from cloudbridge_store.drivers.openstack.translate import etag_of, listed_time
from cloudbridge_store.errors import ForeignAnswerError

MAX_PAGE = 10_000
_USUALLY_PERMITTED = 1000
_NEVER_CUT = 100
"""Entries fewer than which nobody has for the longest page."""
_MD5_OF_NOTHING = "d41d8cd98f00b204e9800998ecf8427e"
_LAST_CHARACTER = "\U0010ffff"


def ask_page(service: Service, bucket: str | None, limit: int, **parameters: str | None) -> list[dict[str, Any]]:
    """Return one page of the account or of a container; :func:`goes_on` says whether another may follow.

    :param parameters: those that are empty are left out.
    """
    given = {name: value for name, value in parameters.items() if value}
    wanted = most(service, limit, bucket)
    try:
        return _ask_page(service, bucket, wanted, given)
    except AnswerError as error:
        if error.status != HTTPStatus.PRECONDITION_FAILED or wanted <= (told := _told(service, bucket)):
            raise
        return _ask_page(service, bucket, told, given)


def _ask_page(service: Service, bucket: str | None, limit: int, given: Mapping[str, str]) -> list[dict[str, Any]]:
    query = {"format": "json", "limit": str(limit), **given}
    return entries_of(service.send("GET", bucket, query=query, headers={"Accept": "application/json"}))


def entries_of(answer: Answer) -> list[dict[str, Any]]:
    """Return what a listing holds. :raises ForeignAnswerError: it is none."""
    found = answer.json() if answer.body else []
    if not isinstance(found, list) or not all(map(_is_entry, found)):
        raise ForeignAnswerError("the answer is not a listing", status=answer.status, hint=NOT_SWIFT)
    return found


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("name", entry.get("subdir")), str)


def most(service: Service, limit: int, bucket: str | None) -> int:
    """Return how many entries to ask for: more than the service gives in a page is an error there.

    :param bucket: ``None`` where the entries are containers.
    """
    # Few operators have less. Theirs refuse the first page, and then it is known.
    if limit <= _USUALLY_PERMITTED and not service.knows_info:
        return max(1, limit)
    return max(1, min(limit, _told(service, bucket)))


def _told(service: Service, bucket: str | None) -> int:
    name = "account_listing_limit" if bucket is None else "container_listing_limit"
    return min(service.limit("swift", name, MAX_PAGE), MAX_PAGE)


def goes_on(service: Service, found: Sequence[Any], limit: int, bucket: str | None) -> bool:
    """Say whether something may follow a page of :func:`ask_page`.

    Of Swift's only the last is short. Ceph's are as long as ``rgw_max_listing_results`` permits (1,000), whatever was
    asked for, and its ``/info`` says 10,000: of who is not known to be Swift, a page that is not small is no end.
    """
    if len(found) >= most(service, limit, bucket):
        return True
    return len(found) >= _NEVER_CUT and not service.is_swift


def list_buckets(service: Service, limit: int, token: str | None) -> Page[BucketInfo]:
    """List containers, without those that hold the segments of another's large objects."""
    names = ask_page(service, None, limit, marker=token)
    shown = [BucketInfo(each["name"], _created(each)) for each in names if not _is_hidden(service, each["name"], names)]
    return Page(shown, names[-1]["name"] if goes_on(service, names, limit, None) else None)


def _created(entry: Mapping[str, Any]) -> datetime | None:
    value = entry.get("last_modified")
    return listed_time(value) if value else None


def _is_hidden(service: Service, name: str, page: list[dict[str, Any]]) -> bool:
    if not name.endswith(SUFFIX):
        return False
    base = name.removesuffix(SUFFIX)
    return bool(base) and (any(each["name"] == base for each in page) or exists(service, base))


def exists(service: Service, bucket: str) -> bool:
    """Say whether a container is there."""
    return service.send("HEAD", bucket, ok=(404,)).status != 404  # noqa: PLR2004 - not found


def describe_bucket(bucket: str, headers: Mapping[str, str]) -> BucketInfo:
    """Return what the answer to a HEAD says."""
    moment = headers.get("x-timestamp")
    created = datetime.fromtimestamp(float(moment), UTC) if moment else None
    return BucketInfo(bucket, created, headers.get("x-storage-policy"))


def list_objects(
    service: Service, bucket: str, prefix: str, delimiter: str, start_after: str, limit: int, token: str | None
) -> Page[ObjectInfo]:
    """List objects; a token is the marker to go on from."""
    marker = max(token or "", start_after, key=lambda text: text.encode())
    if len(delimiter.encode()) > 1:
        return _by_long_delimiter(service, bucket, prefix, delimiter, marker, limit)
    found = ask_page(service, bucket, limit, prefix=prefix, delimiter=delimiter, marker=marker)
    items, prefixes = [], []
    for entry in found:
        if "subdir" in entry:
            # With a marker inside of it Swift names a prefix once more.
            if not marker or not marker.startswith(entry["subdir"]) or entry["subdir"] > marker:
                prefixes.append(entry["subdir"])
        else:
            items.append(_exact(service, bucket, describe(entry)))
    return Page(items, _position(found[-1]) if goes_on(service, found, limit, bucket) else None, prefixes)


def _position(entry: Mapping[str, Any]) -> str:
    return f"{entry['subdir']}{_LAST_CHARACTER}" if "subdir" in entry else str(entry["name"])


def _exact(service: Service, bucket: str, info: ObjectInfo) -> ObjectInfo:
    """Ask what Ceph's listings do not say of a static large object: they have the size of its manifest."""
    if not info.size or info.etag != _MD5_OF_NOTHING:
        return info
    answer = service.send("HEAD", bucket, info.key, ok=(404,))
    if answer.status == HTTPStatus.NOT_FOUND:
        return info  # deleted meanwhile
    return info._replace(size=answer.length(), etag=etag_of(answer.headers))


def describe(entry: Mapping[str, Any]) -> ObjectInfo:
    """Return what a listing says of an object. :raises ForeignAnswerError: it does not."""
    try:
        # Of a static large object "hash" is its manifest's.
        etag = str(entry.get("slo_etag") or entry["hash"]).strip('"')
        modified = listed_time(entry["last_modified"])
        return ObjectInfo(entry["name"], int(entry["bytes"]), modified, etag, entry.get("content_type"))
    except (KeyError, TypeError, ValueError):
        raise ForeignAnswerError("the listing does not describe its objects", hint=NOT_SWIFT) from None


def _by_long_delimiter(
    service: Service, bucket: str, prefix: str, delimiter: str, marker: str, limit: int
) -> Page[ObjectInfo]:
    """Roll keys up here: Swift knew delimiters of one character only, and Ceph those of one byte."""
    found = ask_page(service, bucket, limit, prefix=prefix, marker=marker)
    items: list[ObjectInfo] = []
    prefixes: dict[str, None] = {}
    for entry in found:
        head, sign, _ = entry["name"][len(prefix) :].partition(delimiter)
        rolled = f"{prefix}{head}{delimiter}"
        if not sign:
            items.append(_exact(service, bucket, describe(entry)))
        elif not marker.startswith(rolled):
            prefixes[rolled] = None
    last = next(reversed(prefixes), None)
    if not goes_on(service, found, limit, bucket):
        return Page(items, None, list(prefixes))
    name = str(found[-1]["name"])
    inside = last is not None and name.startswith(last)
    return Page(items, f"{last}{_LAST_CHARACTER}" if inside else name, list(prefixes))
