"""Partial answers: the parameter ``fields``.

https://cloud.google.com/storage/docs/json_api#partial-response
"""

from __future__ import annotations

import re

from servers.gcs.refusals import invalid
from servers.gcs.schema import ALL_NAMES

_TOKEN = re.compile(r"[(),/]|[^(),/\s]+")


def select(value, text):
    """Return what a selection such as ``items(name,size),nextPageToken`` leaves of a resource."""
    return _cut(value, _parse(text))


def _parse(text):
    tokens = _TOKEN.findall(text)
    chosen = _read_list(tokens, text)
    if tokens:
        raise _wrong(text)
    return chosen


def _read_list(tokens, text):
    chosen = {}
    while True:
        _read_path(tokens, chosen, text)
        if not tokens or tokens[0] != ",":
            return chosen
        tokens.pop(0)


def _read_path(tokens, chosen, text):
    name = tokens.pop(0) if tokens else ""
    if name != "*" and not re.fullmatch(r"[\w.-]+", name):
        raise _wrong(text)
    below = chosen.setdefault(name, {})
    if tokens and tokens[0] == "/":
        tokens.pop(0)
        _read_path(tokens, below, text)
    elif tokens and tokens[0] == "(":
        tokens.pop(0)
        below.update(_read_list(tokens, text))
        if not tokens or tokens.pop(0) != ")":
            raise _wrong(text)


def _cut(value, chosen, *, is_open=False):
    """``is_open``: below are names of the caller's, such as those of metadata."""
    if isinstance(value, list):
        return [_cut(each, chosen) for each in value]
    if not chosen or chosen.get("*") == {} or not isinstance(value, dict):
        return value
    found = {}
    for name, below in chosen.items():
        if name not in ALL_NAMES and name != "*" and not is_open:
            raise _wrong(name)
        for each in value if name == "*" else [name]:
            if each in value:
                found[each] = _cut(value[each], below, is_open=each in ("metadata", "labels", "custom"))
    return found


def _wrong(text):
    return invalid(f"Invalid field selection {text}", ("parameter", "fields"), "invalidParameter")
