"""What all drivers that speak HTTP have to know."""

from __future__ import annotations

import base64
import ipaddress
import re
from datetime import UTC, datetime
from email.header import decode_header
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from cloudbridge_store.config import Settings
from cloudbridge_store.errors import InvalidConfigurationException

_ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[BbQq]\?[^?]*\?=(?:\s+=\?[^?\s]+\?[BbQq]\?[^?]*\?=)*")
_NOT_AS_IT_IS = re.compile(r"^\s|\s$|\s\s|[^ -~]")


def refuse_http(url: str, settings: Settings) -> None:
    """Raise InvalidConfigurationException for plain http to another host, unless ``allow_http`` is set."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not settings.allow_http and not _is_loopback(parts.hostname or ""):
        host = parts.netloc.rpartition("@")[2]
        message = f"{parts.scheme}://{host} would send everything in the clear: use https, or set allow_http"
        raise InvalidConfigurationException(message)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
