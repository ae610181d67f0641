"""Text in headers that take ASCII only."""

from __future__ import annotations

import base64
import binascii
import re

ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[BbQq]\?[^?]*\?=(?:\s+=\?[^?\s]+\?[BbQq]\?[^?]*\?=)*")
"""Encoded words of RFC 2047."""
_NOT_AS_IT_IS = re.compile(r"^\s|\s$|\s\s|[^ -~]")
_OURS = re.compile(r"=\?UTF-8\?B\?([A-Za-z0-9+/]+=*)\?=")


def encode_value(value: str) -> str:
    """Return a value as it can travel in a header: as it is, or as an encoded word of RFC 2047."""
    if value and (_NOT_AS_IT_IS.search(value) or ENCODED_WORD.fullmatch(value)):
        return f"=?UTF-8?B?{base64.b64encode(value.encode()).decode()}?="
    return value


def decode_value(value: str) -> str:
    """Return what :func:`encode_value` was given; any other text as it is."""
    found = _OURS.fullmatch(value)
    if not found:
        return value
    try:
        return base64.b64decode(found[1], validate=True).decode()
    except (binascii.Error, ValueError):
        return value
