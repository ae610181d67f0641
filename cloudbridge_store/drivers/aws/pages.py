"""Pages of a listing, read quickly where they look as they always do.

Entries are cut out of the page and read by patterns, one for each order of elements that occurs. What is left is a
small page with one empty entry, which botocore reads and so judges. A page in which anything is not as it should be - a
declaration, a comment, an attribute in an entry, a character that XML does not have - is left to botocore as a whole.

An entry has what the driver reads: key, time, ETag, size and storage class.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from cloudbridge_store.drivers.aws.translate import parse_time

_OPEN, _CLOSE = "<Contents>", "</Contents>"
_MOST_SHAPES = 64
_DECLARATION = re.compile(r"""<\?xml version=["']1\.0["'](?:\s+encoding=["']utf-8["'])?\s*\?>\s*""", re.IGNORECASE)
_CONTROL = bytes(code for code in range(32) if code not in b"\t\n")
_LEAF = re.compile(r"\s*<([A-Za-z]+)>[^<]*</\1>")
_GROUP = re.compile(r"\s*<([A-Za-z]+)>((?:\s*<([A-Za-z]+)>[^<]*</\3>)+)\s*</\1>")
_END = re.compile(rf"\s*{_CLOSE}")
_REFERENCE = re.compile("&(?:#x([0-9A-Fa-f]{1,6});|#([0-9]{1,7});|(amp|lt|gt|quot|apos);)?")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_FIELDS = ("Key", "LastModified", "ETag", "Size", "StorageClass")


class _StrangeError(Exception):
    """The page is not as pages are."""


class _Shape(NamedTuple):
    """An order of elements: the pattern of such an entry, and which of its groups is what."""

    match: Callable[[str], re.Match[str] | None]
    key: int
    modified: int
    tag: int
    size: int
    storage_class: int
    """-1: not told."""


_shapes: dict[tuple[str, ...], _Shape] = {}


def read_entries(body: bytes) -> tuple[bytes, list[dict[str, Any]]] | None:
    """Return a page with one empty entry, and its entries as botocore has them; ``None`` leaves it to botocore."""
    if len(body.translate(None, _CONTROL)) != len(body):
        return None
    try:
        text = body.decode()
        declaration = _DECLARATION.match(text)
        start = declaration.end() if declaration else 0
        foreign = any(sign in text for sign in ("<!", "]]>", "\ufffe", "\uffff")) or text.find("<?", start) >= 0
        if foreign or not text.startswith("<ListBucketResult", start):
            return None
        head, *pieces = text.split(_OPEN)
        entries, rest = _read_pieces(pieces)
    except (_StrangeError, ValueError):
        return None
    return f"{head}{_OPEN}{_CLOSE}{rest}".encode(), entries


def _read_pieces(pieces: list[str]) -> tuple[list[dict[str, Any]], str]:
    """Return the entries, and what follows the last of them."""
    entries = []
    rest = ""
    shape = _shape_of(pieces[0] if pieces else "")
    for piece in pieces:
        found = shape.match(piece)
        if found is None:
            shape = _shape_of(piece)
            found = shape.match(piece)
        if found is None or (rest and not rest.isspace()):
            raise _StrangeError
        rest = piece[found.end() :]
        values = found.groups()
        tag = values[shape.tag].replace("&quot;", '"')
        if "&" in piece and ("&" in tag or piece.count("&") != values[shape.tag].count("&")):
            values = tuple(map(_decode, values))
            tag = values[shape.tag]
        entry: dict[str, Any] = {
            "Key": values[shape.key],
            "LastModified": parse_time(values[shape.modified]),
            "ETag": tag,
            "Size": int(values[shape.size]),
        }
        if shape.storage_class >= 0:
            entry["StorageClass"] = values[shape.storage_class]
        entries.append(entry)
    return entries, rest


def _shape_of(piece: str) -> _Shape:
    """Find out which elements an entry consists of."""
    names: list[str] = []
    position = 0
    while not _END.match(piece, position):
        found = _LEAF.match(piece, position) or _GROUP.match(piece, position)
        if not found:
            raise _StrangeError
        names.append(found[1])
        if found.re is _GROUP:
            names += [f"{found[1]}.{name}" for name in re.findall("<([A-Za-z]+)>", found[2])] + [f"/{found[1]}"]
        position = found.end()
    key = tuple(names)
    if key not in _shapes:
        if len(_shapes) >= _MOST_SHAPES:
            _shapes.clear()
        _shapes[key] = _compile(names)
    return _shapes[key]


def _compile(names: list[str]) -> _Shape:
    read = [name for name in names if name in _FIELDS]
    if len(set(read)) != len(read) or not set(read) >= set(_FIELDS[:-1]):
        raise _StrangeError
    pattern = ""
    for name in names:
        own = name.rpartition(".")[2]
        if name.startswith("/") or f"/{name}" in names:
            pattern += rf"\s*<{name}>"
        else:
            text = "([^<]*)" if name in _FIELDS else "[^<&]*"
            pattern += rf"\s*<{own}>{text}</{own}>"
    places = [read.index(name) if name in read else -1 for name in _FIELDS]
    return _Shape(re.compile(rf"{pattern}\s*{_CLOSE}").match, *places)


def _decode(text: str) -> str:
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(found: re.Match[str]) -> str:
    hexadecimal, decimal, name = found.groups()
    if name:
        return _NAMED[name]
    code = int(hexadecimal, 16) if hexadecimal else int(decimal or "0")
    if code in (9, 10, 13) or 32 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000:  # noqa: PLR2004 - XML's characters
        return chr(code)
    raise _StrangeError
