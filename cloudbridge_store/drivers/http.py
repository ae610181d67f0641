"""What all drivers that speak HTTP have to know."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from email.header import decode_header
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Literal, NamedTuple

from cloudbridge_store.errors import (
    ForeignAnswerError,
    IntegrityError,
    InvalidRequestError,
    ServiceUnavailableError,
    StoreError,
)

Retry = Literal["no", "idempotent", "always", "auth"]
"""Whether repeating helps, as in :class:`~cloudbridge_store.drivers.base.Failure`."""

_ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[BbQq]\?[^?]*\?=(?:\s+=\?[^?\s]+\?[BbQq]\?[^?]*\?=)*")
_OWN_WORD = re.compile(r"=\?UTF-8\?B\?([A-Za-z0-9+/]+=*)\?=")
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_NOT_AS_IT_IS = re.compile(r"^\s|\s$|\s\s|[^ -~]")


class Meaning(NamedTuple):
    """The class of a failure, whether repeating helps, and what to do about it."""

    error: type[StoreError]
    retry: Retry = "no"
    hint: str = ""


def meaning_of_class(status: int, foreign: str) -> Meaning:
    """Return what a status says that a service's own table does not have.

    :param foreign: the hint where it is no failure, so that the service did not answer.
    """
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Meaning(ServiceUnavailableError, "idempotent")
    if status >= HTTPStatus.BAD_REQUEST:
        return Meaning(InvalidRequestError)
    return Meaning(ForeignAnswerError, hint=foreign)


def seconds_to_wait(value: str | None) -> float | None:
    """Return what a ``Retry-After`` asks for in seconds: it is a number of them, or a date. ``None``: nothing."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value).astimezone(UTC) - datetime.now(UTC)).total_seconds())
    except ValueError:
        return None


def encode_text(value: str, *, always: bool = False) -> str:
    """Return a value as it can travel in a header: as it is, or as an encoded word of RFC 2047, as S3 has it itself.

    :param always: encode it even if it could travel as it is.
    """
    if always or (value and (_NOT_AS_IT_IS.search(value) or _ENCODED_WORD.fullmatch(value))):
        return f"=?UTF-8?B?{base64.b64encode(value.encode()).decode()}?="
    return value


def decode_text(value: str) -> str:
    """Return the text of a value: :func:`encode_text` undone, and what a service encodes by itself."""
    if not _ENCODED_WORD.fullmatch(value):
        return value
    try:
        pieces = decode_header(value)
        return "".join(piece.decode(name or "ascii") if isinstance(piece, bytes) else piece for piece, name in pieces)
    except (LookupError, ValueError):
        return value


def decode_own_text(value: str) -> str:
    """Return what :func:`encode_text` was given; any other text as it is, encoded words of others too."""
    found = _OWN_WORD.fullmatch(value)
    if not found:
        return value
    try:
        return base64.b64decode(found[1], validate=True).decode()
    except (binascii.Error, ValueError):
        return value


def sent_range(status: int, length: int, content_range: str | None) -> tuple[int, int, int]:
    """Return where the body of an answer starts in the object, its length, and the object's size.

    :param length: bytes that the answer announces.
    :raises IntegrityError: what the answer says does not fit together.
    """
    if status != HTTPStatus.PARTIAL_CONTENT:
        return 0, length, length
    found = _CONTENT_RANGE.fullmatch(content_range or "")
    if not found:
        raise IntegrityError(f"the service sends the range {content_range!r}")
    start, last, size = map(int, found.groups())
    if last - start + 1 != length:
        raise IntegrityError(f"the service sends {length} bytes as {content_range}")
    return start, length, size
