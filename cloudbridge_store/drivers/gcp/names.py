"""Ids as CloudBridge has them: the *selfLink*, a URL of the JSON interface."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

_HOSTS = frozenset({"www.googleapis.com", "storage.googleapis.com"})
_BUCKET = re.compile(r"/storage/v1/b/([^/]+)")
_OBJECT = re.compile(r"/storage/v1/b/([^/]+)/o/([^/]+)")


def bucket_of(text: str, endpoint: str) -> str:
    """Return the name of the bucket that an id stands for; any other text is a name itself."""
    found = _match(_BUCKET, text, endpoint)
    return text if found is None else unquote(found[1])


def key_of(bucket: str, text: str, endpoint: str) -> str:
    """Return the key of the object of this bucket that an id stands for; any other text is a key itself.

    A key may look like a URL: only one of the service, to this very bucket, is taken for an id.
    """
    found = _match(_OBJECT, text, endpoint)
    return text if found is None or unquote(found[1]) != bucket else unquote(found[2])


def _match(pattern: re.Pattern[str], text: str, endpoint: str) -> re.Match[str] | None:
    if "://" not in text:
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    known = parts.scheme == "https" and parts.netloc in _HOSTS
    if parts.query or parts.fragment or not (known or text.startswith(f"{endpoint}/")):
        return None
    return pattern.fullmatch(parts.path)
