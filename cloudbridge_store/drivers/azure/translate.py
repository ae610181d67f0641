"""The service's headers in the words of the contract, and the contract's options in headers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode

from cloudbridge_store.drivers.azure.codes import ADDRESS
from cloudbridge_store.drivers.base import Encryption, ObjectInfo, PutOptions, Stored
from cloudbridge_store.drivers.http import decode_own_text, encode_text
from cloudbridge_store.errors import ForeignAnswerError, InvalidRequestError
from cloudbridge_store.redaction import hide

_HEADERS = {
    "cache_control": "Cache-Control",
    "content_disposition": "Content-Disposition",
    "content_encoding": "Content-Encoding",
    "content_language": "Content-Language",
}
_METADATA = "x-ms-meta-"
_EXTRA_NAME = re.compile("x-ms-[a-z0-9-]+|if-(?:un)?modified-since", re.IGNORECASE)
_EXTRA_VALUE = re.compile("[!-~](?:[ -~]*[!-~])?")
_TAG_TEXT = re.compile(r"[A-Za-z0-9 +./:=_-]*")
"""What the service takes in names and values."""
# Names are identifiers of C#. What they cannot hold is written as .NET does in names of XML.
_UNNAMED = re.compile("-|_(?=x00(?:2d|5f)_)")
_ENCODED = re.compile("_x00(2d|5f)_")
_CHARACTERS = {"2d": "-", "5f": "_"}
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1
    )
}
_TIME = re.compile(r"\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")


def require(headers: Mapping[str, str], name: str) -> str:
    """Return a header that the service always sends. :raises ForeignAnswerError: this is not the service."""
    value = headers.get(name)
    if value is None:
        raise ForeignAnswerError(f"the answer has no {name}", hint=ADDRESS)
    return value


def parse_time(value: str) -> datetime:
    """Read a time as the service writes it, in headers and in listings."""
    found = _TIME.fullmatch(value)
    if found and found[2] in _MONTHS:
        day, month, year, hour, minute, second = found.groups()
        return datetime(int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    try:
        return parsedate_to_datetime(value)
    except ValueError:
        raise ForeignAnswerError(f"{value[:40]!r} is no time", hint=ADDRESS) from None


def etag_of(headers: Mapping[str, str]) -> str:
    """Return an answer's ETag without its quotes."""
    return require(headers, "ETag").strip('"')


def object_info(key: str, headers: Any, size: int | None = None) -> ObjectInfo:
    """Describe an object by the answer to a HEAD or GET."""
    # An answer with a part has the digest of that part, if any, under the plain name.
    digest = headers.get("x-ms-blob-content-md5") or (headers.get("Content-MD5") if size is None else None)
    return ObjectInfo(
        key,
        int(require(headers, "Content-Length")) if size is None else size,
        parse_time(require(headers, "Last-Modified")),
        etag_of(headers),
        headers.get("Content-Type"),
        checksums(digest),
        {name: headers[field] for name, field in _HEADERS.items() if headers.get(field)},
        metadata_of(headers),
        headers.get("x-ms-access-tier"),
        headers.get("x-ms-version-id"),
    )


def checksums(digest: str | None) -> dict[str, str]:
    """Return the digests that are held, of what the service has in base64."""
    try:
        return {"md5": base64.b64decode(digest, validate=True).hex()} if digest else {}
    except binascii.Error:
        return {}


def metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata in an answer's headers."""
    found = {}
    for name, value in headers.items():
        if (lowered := name.lower()).startswith(_METADATA):
            found[decode_name(lowered[len(_METADATA) :])] = decode_own_text(value)
    return found


def encode_name(name: str) -> str:
    """Return a metadata's name as an identifier: ``-`` is written ``_x002d_``, as .NET does in names of XML."""
    return _UNNAMED.sub(lambda found: f"_x{ord(found[0]):04x}_", name)


def decode_name(name: str) -> str:
    """Return what :func:`encode_name` was given."""
    return _ENCODED.sub(lambda found: _CHARACTERS[found[1]], name)


def metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that hold metadata."""
    return {f"{_METADATA}{encode_name(name)}": encode_text(value) for name, value in metadata.items()}


def describing(options: PutOptions) -> dict[str, str]:
    """Return the headers that describe a new object, without conditions.

    ``extra`` holds headers: ``{"x-ms-lease-id": ...}``.
    """
    headers = {f"x-ms-blob-{_HEADERS[name].lower()}": value for name, value in options.headers.items()}
    if options.content_type is not None:
        headers["x-ms-blob-content-type"] = options.content_type
    headers |= metadata_headers(options.metadata)
    if options.tags:
        check_tags(options.tags)
        headers["x-ms-tags"] = urlencode(options.tags, quote_via=quote, safe="")
    if options.storage_class is not None:
        headers["x-ms-access-tier"] = options.storage_class
    return {**headers, **asking_for(options.encryption), **more_headers(options)}


def more_headers(options: PutOptions) -> Mapping[str, str]:
    """Return ``extra``. :raises InvalidRequestError: it has what is none of the service's headers.

    The service ignores headers that it does not know, and a request with such a value would not even be sent.
    """
    for name, value in options.extra.items():
        if not _EXTRA_NAME.fullmatch(name) or not isinstance(value, str) or not _EXTRA_VALUE.fullmatch(value):
            hint = "extra holds headers of the service and their printable ASCII text: {'x-ms-lease-id': '...'}"
            raise InvalidRequestError(
                f"extra has {name!r}, which is no header of the Blob service, or not text", hint=hint
            )
    return options.extra


def check_tags(tags: Mapping[str, str]) -> None:
    """Refuse tags that the service does not take. :raises InvalidRequestError:"""
    for name, value in tags.items():
        if not _TAG_TEXT.fullmatch(name) or not _TAG_TEXT.fullmatch(value):
            hint = "letters and digits of ASCII, spaces and + - . / : = _ are possible"
            raise InvalidRequestError(f"Azure does not take the tag {name!r}: {value!r}", hint=hint)


def conditions(options: PutOptions) -> dict[str, str]:
    """Return the headers that make a write depend on what is stored."""
    return matching(options.if_match, options.if_none_match)


def matching(if_match: str | None, if_none_match: str | None) -> dict[str, str]:
    """Return the headers of conditions."""
    given = {"If-Match": if_match, "If-None-Match": if_none_match}
    return {name: etag if etag == "*" else f'"{etag}"' for name, etag in given.items() if etag is not None}


def asking_for(encryption: Encryption | None) -> dict[str, str]:
    """Return the headers of a write that say how its object is encrypted."""
    if encryption is None or encryption.kind == "service":
        return {}  # it always does
    return unlocking(encryption.key)


def unlocking(key: bytes | None) -> dict[str, str]:
    """Return the headers of a request about an object that has a customer's key; none without one."""
    if key is None:
        return {}
    return {
        "x-ms-encryption-algorithm": "AES256",
        "x-ms-encryption-key": hide(base64.b64encode(key).decode()),
        "x-ms-encryption-key-sha256": hide(base64.b64encode(hashlib.sha256(key).digest()).decode()),
    }


def encode_md5(value: bytes) -> str:
    """Return an MD5 as headers have it."""
    return base64.b64encode(value).decode()


def stored(headers: Mapping[str, str], digest: bytes | None = None) -> Stored:
    """Return what a write answers."""
    held = {"md5": digest.hex()} if digest is not None else {}
    return Stored(etag_of(headers), headers.get("x-ms-version-id"), held)
