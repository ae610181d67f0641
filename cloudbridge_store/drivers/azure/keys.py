"""Which keys the service cannot hold as they are."""

from __future__ import annotations

import re

_DOTS = re.compile(r"(?:^|/)\.{1,2}(?=/|$)")
_TRAILING_DOT = re.compile(r"\.(?=/|$)")
_MOST_SEGMENTS = 254
"""Documented: a name has at most 254 parts between slashes."""


def refuse(key: str) -> str | None:
    """Say why the service would store another key than this, or ``None``."""
    if _DOTS.search(key):
        return "Azure resolves the segments . and .. in addresses"
    if "\\" in key:
        return "Azure makes a slash of a backslash"
    if _TRAILING_DOT.search(key):
        return "Azure drops a dot at the end of a segment"
    if key.count("/") >= _MOST_SEGMENTS:
        return f"Azure takes at most {_MOST_SEGMENTS} segments between slashes"
    return None
