"""Which path a key has, and which key a path has.

A layout is a pure function: it never looks at what is stored. Beside the way from a key to a path, it reads one name in
a directory back to the piece of key that it stands for, its *sort piece*, in such a form that a depth-first walk that
visits each directory in the order of the pieces meets the keys in UTF-8 byte order:

* a file stands for its segment,
* a directory for its segment and the slash behind it,
* a link of a chain (see :class:`EncodedLayout`) for the characters it holds.

The order is right because no piece of something with a subtree is a proper prefix of another piece in its directory.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import ClassVar

_LONGEST_NAME = 255


class Layout(ABC):
    """The mapping between keys and paths below a bucket's directory."""

    name: ClassVar[str]
    nested_keys: ClassVar[bool]
    fold = False

    @abstractmethod
    def place(self, key: str) -> tuple[list[str], str]:
        """Return the directories that lead to a key's file, and the file's name."""

    @abstractmethod
    def piece(self, name: str, *, directory: bool) -> bytes | None:
        """Return the sort piece that a name stands for; ``None`` where no key has it in its path."""

    @abstractmethod
    def entry(self, piece: bytes) -> tuple[str, bool]:
        """Return the name that stands for a sort piece, and whether it is a directory's."""

    def refuse(self, key: str) -> str | None:
        """Say why no path can stand for ``key``, or ``None``."""
        return None


class PlainLayout(Layout):
    """A key is the relative path, so that other programs see the files as they are."""

    name = "plain"
    nested_keys = False

    def place(self, key: str) -> tuple[list[str], str]:
        *directories, leaf = key.split("/")
        return directories, leaf

    def piece(self, name: str, *, directory: bool) -> bytes | None:
        try:
            return name.encode() + b"/" if directory else name.encode()
        except UnicodeEncodeError:
            return None

    def entry(self, piece: bytes) -> tuple[str, bool]:
        text = piece.decode()
        return (text[:-1], True) if text.endswith("/") else (text, False)

    def refuse(self, key: str) -> str | None:
        for segment in key.split("/"):
            if not segment:
                return "in the plain layout a key neither starts nor ends with '/' nor holds '//'"
            if segment in (".", ".."):
                return f"in the plain layout no part of a key is {segment!r}"
            if len(segment.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
                return f"in the plain layout no part of a key is longer than {_LONGEST_NAME} bytes"
        return None


_DEVICE = re.compile(r"(?i:con|prn|aux|nul|com[1-9¹²³]|lpt[1-9¹²³])(?:\.|\Z)")
_UNSAFE = r'%\x00-\x1f\x7f\\:*?"<>|'
# Without letters that have two cases, and without anything that has two normal forms.
_SAFE_WHERE_FOLDED = r"a-z0-9 !#$&'()+,\-.;=@\[\]^_`{}~"
_ESCAPED = re.compile(rb"%([0-9a-f]{2})")

_EMPTY, _DIRECTORY, _LINK = "%_", "%", "%+"


class EncodedLayout(Layout):
    """Every key has a path that every file system can hold, and no two keys have the same one.

    Characters that some system gives a meaning to are written ``%xx``, byte by byte; the empty segment is ``%_``. A
    directory's name ends in ``%``, so that the object ``a`` and the directory of ``a/b`` both live. A segment too long
    for a name is a chain of directories, each holding the shortest run of characters that reaches 180 bytes, and ending
    in ``%+``; the rest (perhaps ``%_``) follows within.

    :param fold: the file system does not tell apart upper and lower case, or normal forms: whatever has those is
        escaped too.
    """

    name = "encoded"
    nested_keys = True

    _link_bytes: ClassVar[int] = 180

    def __init__(self, *, fold: bool = False) -> None:
        self.fold = fold
        self._unsafe = re.compile(f"[^{_SAFE_WHERE_FOLDED}]" if fold else f"[{_UNSAFE}]")
        # One match decides for nearly all names: ASCII of which nothing is escaped, not chained, and not a device's.
        body = _SAFE_WHERE_FOLDED if fold else _SAFE_WHERE_FOLDED + "A-Z"
        last = body.replace(" ", "").replace(".", "")
        self._unchanged = re.compile(f"(?!{_DEVICE.pattern})[{body}]{{0,{self._link_bytes - 2}}}[{last}]")

    def place(self, key: str) -> tuple[list[str], str]:
        *segments, last = key.split("/")
        directories: list[str] = []
        for segment in segments:
            directories += self._names(segment)
            directories[-1] += _DIRECTORY
        *links, leaf = self._names(last)
        return directories + links, leaf

    def piece(self, name: str, *, directory: bool) -> bytes | None:
        if not directory and self._unchanged.fullmatch(name):
            return name.encode()
        stem, suffix = name, ""
        if directory:
            suffix = _LINK if name.endswith(_LINK) else _DIRECTORY
            stem = name.removesuffix(suffix)
        try:
            text = "" if stem == _EMPTY else _ESCAPED.sub(_byte, stem.encode()).decode()
        except UnicodeError:
            return None
        if suffix == _DIRECTORY:
            text += "/"
        piece = text.encode()
        return piece if self.entry(piece) == (name, directory) else None

    def entry(self, piece: bytes) -> tuple[str, bool]:
        text = piece.decode()
        if self._unchanged.fullmatch(text):
            return text, False
        is_directory = text.endswith("/")
        first, *rest = self._names(text[:-1] if is_directory else text)
        if rest:
            return first, True
        return (first + _DIRECTORY, True) if is_directory else (first, False)

    def _names(self, segment: str) -> list[str]:
        if self._unchanged.fullmatch(segment):
            return [segment]
        names = []
        escaped = self._escape(segment)
        while len(escaped.encode()) >= self._link_bytes:
            cut = self._link_length(segment)
            names.append(self._escape(segment[:cut]) + _LINK)
            segment = segment[cut:]
            escaped = self._escape(segment)
        names.append(_guarded(escaped))
        return names

    def _escape(self, text: str) -> str:
        return self._unsafe.sub(_hexadecimal, text)

    def _link_length(self, segment: str) -> int:
        size = 0
        for count, character in enumerate(segment, 1):
            size += len(self._escape(character).encode())
            if size >= self._link_bytes:
                return count
        return len(segment)


def _guarded(escaped: str) -> str:
    """Escape what is only special in its place: nothing at all, a dot or space at the end, a device's name."""
    if not escaped:
        return _EMPTY
    if escaped[-1] in ". ":
        escaped = escaped[:-1] + f"%{ord(escaped[-1]):02x}"
    if _DEVICE.match(escaped):
        escaped = f"%{ord(escaped[0]):02x}" + escaped[1:]
    return escaped


def _hexadecimal(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02x}" for byte in match[0].encode())


def _byte(match: re.Match[bytes]) -> bytes:
    return bytes((int(match[1], 16),))


LAYOUTS: tuple[str, ...] = (EncodedLayout.name, PlainLayout.name)


def make_layout(name: str, *, fold: bool) -> Layout:
    """Make the layout of a name in :data:`LAYOUTS`."""
    return PlainLayout() if name == PlainLayout.name else EncodedLayout(fold=fold)
