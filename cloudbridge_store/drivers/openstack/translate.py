"""Swift's answers in the words of the contract, and the contract's options in Swift's headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from cloudbridge_store.drivers.base import ObjectInfo, PutOptions, Stored
from cloudbridge_store.drivers.http import decode_text, encode_text
from cloudbridge_store.drivers.openstack.errors import NOT_SWIFT
from cloudbridge_store.errors import ForeignAnswerError, InvalidValueException

META = "X-Object-Meta-"
_CEPHS_OWN = "static-large-object"
"""Ceph tells that an object is large among its metadata, too."""
_HEADERS = {
    "cache_control": "Cache-Control",
    "content_disposition": "Content-Disposition",
    "content_encoding": "Content-Encoding",
    "content_language": "Content-Language",
}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNKNOWN_TYPE = "application/octet-stream"
_LONGEST_VALUE = 250
"""Characters in one header; Swift's limit is 256 unless its operator set another."""

# A header's name has no underscore that arrives as one, and no value is long: what would be lost is spelt out.
_SPELT = {"_": "-x5f-", "-": "-x2d-"}
_TO_SPELL = re.compile("_|-(?=x(?:5f|2d|2b))")
_TO_READ = re.compile("-x(5f|2d)-")
# What is spelt out is taken whole, so that the end of it is not the beginning of a piece's number.
_PIECE = re.compile(r"((?:(?>-x(?:5f|2d)-|.))+)-x2b-(\d+)")


def metadata_headers(metadata: Mapping[str, str], prefix: str = META) -> dict[str, str]:
    """Return metadata as headers."""
    headers: dict[str, str] = {}
    for name, value in metadata.items():
        spelt = prefix + _TO_SPELL.sub(lambda found: _SPELT[found[0]], name)
        text = encode_text(value)
        if len(text) > _LONGEST_VALUE and text == value:
            # Where a piece begins or ends with a space, that would be lost.
            text = encode_text(value, always=True)
        pieces = [text[at : at + _LONGEST_VALUE] for at in range(0, len(text), _LONGEST_VALUE)] or [""]
        headers[spelt] = pieces[0]
        headers.update({f"{spelt}-x2b-{number}": piece for number, piece in enumerate(pieces[1:], 1)})
    return headers


def metadata_of(headers: Mapping[str, str], prefix: str = META) -> dict[str, str]:
    """Return the metadata that an answer's headers hold."""
    start = prefix.lower()
    found: dict[str, dict[int, str]] = {}
    for given, value in headers.items():
        name = given.lower()
        if name.startswith(start):
            name = name[len(start) :]
            piece = _PIECE.fullmatch(name)
            name, number = (piece[1], int(piece[2])) if piece else (name, 0)
            found.setdefault(name, {})[number] = value
    return {_TO_READ.sub(_unspelt, name): _joined(pieces) for name, pieces in found.items()}


def _unspelt(code: re.Match[str]) -> str:
    return chr(int(code[1], 16))


def _joined(pieces: Mapping[int, str]) -> str:
    return decode_text(_text("".join(pieces[number] for number in sorted(pieces))))


def _text(value: str) -> str:
    """Return a header's text: other programs put UTF-8 there as it is."""
    try:
        return value.encode("latin-1").decode()
    except ValueError:
        return value


def describing(options: PutOptions) -> dict[str, str]:
    """Return the headers that describe a new object, without conditions.

    :raises InvalidValueException: ``extra`` has what is no header.
    """
    headers = {_HEADERS[name]: value for name, value in options.headers.items()}
    # Swift would guess by the name.
    headers["Content-Type"] = options.content_type or _UNKNOWN_TYPE
    headers.update(metadata_headers(options.metadata))
    extra = {str(name): str(value) for name, value in options.extra.items()}
    for name, value in extra.items():
        if not _TOKEN.fullmatch(name) or _CONTROL.search(value):
            raise InvalidValueException("extra", name, "a header, in one line")
    headers.update(extra)
    return {name: value.encode().decode("latin-1") for name, value in headers.items()}


def conditions(options: PutOptions) -> dict[str, str]:
    """Return the headers that make a write depend on what is stored."""
    return {"If-None-Match": options.if_none_match} if options.if_none_match is not None else {}


def quoted(etag: str) -> str:
    """Return an ETag as a condition holds it."""
    return etag if etag == "*" else f'"{etag}"'


def etag_of(headers: Mapping[str, str]) -> str:
    """Return an answer's ETag without its quotes, which Swift has around those of large objects only.

    :raises ForeignAnswerError: there is none.
    """
    value = headers.get("etag")
    if value is None:
        raise ForeignAnswerError("the answer has no ETag", hint=NOT_SWIFT)
    return value.strip('"')


def is_static(headers: Mapping[str, str]) -> bool:
    """Say whether an object is a manifest that names its segments."""
    return headers.get("x-static-large-object", "").lower() in ("true", "1")


def is_dynamic(headers: Mapping[str, str]) -> bool:
    """Say whether an object is a manifest of all that begins with a prefix."""
    return "x-object-manifest" in headers


def is_large(headers: Mapping[str, str]) -> bool:
    """Say whether an object consists of segments, so that its ETag is not its content's MD5."""
    return is_static(headers) or is_dynamic(headers)


def object_info(key: str, headers: Mapping[str, str], size: int) -> ObjectInfo:
    """Describe an object by the answer to a HEAD or GET."""
    etag = etag_of(headers)
    metadata = metadata_of(headers)
    if is_static(headers):
        metadata.pop(_CEPHS_OWN, None)
    try:
        modified = parsedate_to_datetime(headers.get("last-modified", ""))
    except ValueError:
        raise ForeignAnswerError("the answer has no Last-Modified that is a time", hint=NOT_SWIFT) from None
    return ObjectInfo(
        key,
        size,
        modified,
        etag,
        headers.get("content-type"),
        {} if is_large(headers) else {"md5": etag},
        {name: _text(headers[field]) for name, field in _HEADERS.items() if headers.get(field)},
        metadata,
        None,
        version_of(headers),
    )


def version_of(headers: Mapping[str, str]) -> str | None:
    """Return the version; ``None`` in a container that keeps none."""
    version = headers.get("x-object-version-id")
    return None if version in (None, "", "null") else version


def stored(headers: Mapping[str, str], *, large: bool = False) -> Stored:
    """Return what a write answers."""
    etag = etag_of(headers)
    return Stored(etag, version_of(headers), {} if large else {"md5": etag})


def listed_time(value: str) -> datetime:
    """Read a time as listings have it: ISO 8601 in UTC, with a fraction that no header has."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is not None:
        # Ceph's, with a Z: there the header just has no fraction.
        return moment.replace(microsecond=0)
    if moment.microsecond:
        # The header rounds up, so that no copy is older than its original.
        moment = datetime.fromtimestamp(-(-moment.replace(tzinfo=UTC).timestamp() // 1), UTC)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
