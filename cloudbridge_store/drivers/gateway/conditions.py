"""What a request's headers ask for beside the object: ranges and conditions, after RFC 9110."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.message import Message
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus

from cloudbridge_store.drivers.base import ObjectInfo
from cloudbridge_store.drivers.gateway.signing import Refusal

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII | re.IGNORECASE)
_ENTITY_TAG = re.compile(r'(W/)?"([^"]*)"')


def field(headers: Message[str, str], name: str) -> str | None:
    """Return a header field, all its lines as one, or ``None`` where there is none."""
    lines = headers.get_all(name)
    return None if lines is None else ", ".join(lines).strip()


def http_date(moment: datetime) -> str:
    """Return a date as ``Last-Modified`` has it."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def names(tags: str, etag: str, *, weak: bool = False) -> bool:
    """Say whether a list of entity tags, or ``*``, holds this one.

    :param weak: let tags count that promise no equality of bytes.
    """
    # S3 takes a tag without its quotation marks too.
    if tags in ("*", etag):
        return True
    return any(tag == etag and (weak or not prefix) for prefix, tag in _ENTITY_TAG.findall(tags))


def check_read(headers: Message[str, str], info: ObjectInfo, described: dict[str, str]) -> None:
    """Check the conditions of a GET or HEAD.

    :param described: headers that go with 304.
    :raises Refusal: 412 or 304.
    """
    modified = info.modified.replace(microsecond=0)
    wanted, known = field(headers, "If-Match"), field(headers, "If-None-Match")
    unmodified_since, modified_since = _date(headers, "If-Unmodified-Since"), _date(headers, "If-Modified-Since")
    # A date counts only where there is no tag.
    too_new = wanted is None and unmodified_since is not None and modified > unmodified_since
    if too_new or (wanted is not None and not names(wanted, info.etag)):
        raise Refusal(HTTPStatus.PRECONDITION_FAILED)
    not_newer = known is None and modified_since is not None and modified <= modified_since
    if not_newer or (known is not None and names(known, info.etag, weak=True)):
        raise Refusal(HTTPStatus.NOT_MODIFIED, described)


def asked_range(headers: Message[str, str], info: ObjectInfo) -> tuple[int, int] | None:
    """Return start and stop of the one range that is asked for, or ``None`` for all of the object.

    :raises Refusal: 416, the object has nothing there.
    """
    form = _RANGE.fullmatch(field(headers, "Range") or "")
    if form is None or not _still_current(headers, info):
        return None
    first, last = form.groups()
    if first:
        start, stop = int(first), int(last) + 1 if last else info.size
        valid = not last or start < stop
    else:
        start, stop = info.size - min(int(last or 0), info.size), info.size
        # The last bytes of nothing are nothing, which no Content-Range can say: all of it, then.
        valid = bool(last) and (info.size > 0 or int(last) == 0)
    if not valid:
        return None
    if start >= info.size:
        raise Refusal(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, {"Content-Range": f"bytes */{info.size}"})
    return start, min(stop, info.size)


def _still_current(headers: Message[str, str], info: ObjectInfo) -> bool:
    """Say whether ``If-Range`` lets the range be a range."""
    validator = field(headers, "If-Range")
    return validator is None or validator in (f'"{info.etag}"', http_date(info.modified))


def _date(headers: Message[str, str], name: str) -> datetime | None:
    """Return the date in a header; one that is none counts as absent."""
    try:
        moment = parsedate_to_datetime(headers.get(name, ""))
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else None
