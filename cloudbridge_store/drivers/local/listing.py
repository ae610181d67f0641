"""Listings: a walk over directories in the order of keys, from anywhere, with subtrees rolled up."""

from __future__ import annotations

import base64
import os
import stat
from bisect import bisect_left
from dataclasses import dataclass

from cloudbridge_store.drivers.base import ObjectInfo, Page
from cloudbridge_store.drivers.local.content import identity, modified
from cloudbridge_store.drivers.local.layout import Layout
from cloudbridge_store.drivers.local.trees import GONE, DirectoryCache, holds_object
from cloudbridge_store.errors import InvalidRequestError
from cloudbridge_store.filesystem import open_beneath

# A key of 1,024 bytes has up to 512 directories; their descriptors at once would be a process's share for one listing.
_MOST_OPEN = 16


@dataclass(slots=True)
class _Level:
    """A directory on the way to the present key; ``base`` is what all keys in it start with."""

    base: bytes
    path: tuple[str, ...]
    directory: int
    pieces: list[bytes]
    at: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A key with its file's state, or, without one, a common prefix."""

    key: bytes
    status: os.stat_result | None


class Walk:
    """The keys of a bucket from ``floor`` on that start with ``prefix``, in order.

    What holds the delimiter behind the prefix is found once, as a common prefix.
    """

    def __init__(
        self, bucket: int, layout: Layout, cache: DirectoryCache, *, prefix: bytes, delimiter: bytes, floor: bytes
    ) -> None:
        self._bucket = bucket
        self._layout = layout
        self._cache = cache
        self._prefix = prefix
        self._delimiter = delimiter
        # Keys below are passed over. A single lower bound serves the prefix, the start, and what was rolled up.
        self._floor = max(prefix, floor)
        self._levels: list[_Level] = []
        self._push(b"", (), os.dup(bucket))

    def close(self) -> None:
        """Close the directories."""
        while self._levels:
            self._pop()

    def next(self) -> Found | None:
        """Return the next key or common prefix, or ``None`` at the end."""
        while self._levels:
            level = self._levels[-1]
            if level.at == len(level.pieces):
                self._pop()
                continue
            piece = level.pieces[level.at]
            level.at += 1
            key = level.base + piece
            if key > self._prefix and not key.startswith(self._prefix):
                level.at = len(level.pieces)
                continue
            name, is_directory = self._layout.entry(piece)
            found = self._enter(level, key, name) if is_directory else self._find_file(level, key, name)
            if found is not None:
                return found
        return None

    def _find_file(self, level: _Level, key: bytes, name: str) -> Found | None:
        # No object has an empty key, though a file could have its name.
        if key < self._floor or not key:
            return None
        directory = self._directory(level)
        if directory is None:
            return None
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return self._roll_up(key) or Found(key, status)

    def _enter(self, level: _Level, base: bytes, name: str) -> Found | None:
        above = self._directory(level)
        if above is None:
            return None
        try:
            directory = open_beneath(above, [name])
        except OSError as error:
            if error.errno not in GONE:
                raise
            return None
        # Where all of a subtree is rolled up into one prefix, it is enough that there is anything in it.
        if base >= self._floor and self._delimiter and base.find(self._delimiter, len(self._prefix)) >= 0:
            try:
                return self._roll_up(base) if holds_object(directory, self._layout) else None
            finally:
                os.close(directory)
        self._push(base, (*level.path, name), directory)
        return None

    def _roll_up(self, key: bytes) -> Found | None:
        at = key.find(self._delimiter, len(self._prefix)) if self._delimiter else -1
        if at < 0:
            return None
        common = key[: at + len(self._delimiter)]
        self._floor = behind_prefix(common)
        for level in self._levels:
            level.at = max(level.at, self._start(level.base, level.pieces))
        return Found(common, None)

    def _push(self, base: bytes, path: tuple[str, ...], directory: int) -> None:
        try:
            pieces = self._cache.pieces(directory, self._layout)
        except BaseException:
            os.close(directory)
            raise
        self._levels.append(_Level(base, path, directory, pieces, self._start(base, pieces)))
        if len(self._levels) > _MOST_OPEN:
            self._shut(self._levels[-1 - _MOST_OPEN])

    def _start(self, base: bytes, pieces: list[bytes]) -> int:
        """Return the index of the first piece with which keys from the floor on can start."""
        if self._floor <= base:
            return 0
        if not self._floor.startswith(base):
            return len(pieces)
        wanted = self._floor[len(base) :]
        at = bisect_left(pieces, wanted)
        return at - 1 if at and wanted.startswith(pieces[at - 1]) else at

    def _directory(self, level: _Level) -> int | None:
        if level.directory < 0:
            try:
                level.directory = open_beneath(self._bucket, level.path)
            except OSError as error:
                if error.errno not in GONE:
                    raise
                level.at = len(level.pieces)
                return None
        return level.directory

    def _pop(self) -> None:
        self._shut(self._levels.pop())

    def _shut(self, level: _Level) -> None:
        directory, level.directory = level.directory, -1
        if directory >= 0:
            os.close(directory)


def list_page(
    bucket: int,
    layout: Layout,
    cache: DirectoryCache,
    *,
    prefix: str,
    delimiter: str,
    start_after: str,
    limit: int,
    token: str | None,
) -> Page[ObjectInfo]:
    """Return one page of a bucket's objects."""
    floor = read_token(token) if token is not None else behind_key(start_after.encode())
    walk = Walk(bucket, layout, cache, prefix=prefix.encode(), delimiter=delimiter.encode(), floor=floor)
    items: list[ObjectInfo] = []
    prefixes: list[str] = []
    last = b""
    try:
        while (found := walk.next()) is not None:
            if len(items) + len(prefixes) >= limit:
                return Page(items, make_token(last), prefixes)
            if found.status is None:
                prefixes.append(found.key.decode())
                last = behind_prefix(found.key)
            else:
                items.append(describe(found.key, found.status))
                last = behind_key(found.key)
    finally:
        walk.close()
    return Page(items, None, prefixes)


def describe(key: bytes, status: os.stat_result) -> ObjectInfo:
    """Return what a file's state says of its object."""
    return ObjectInfo(key.decode(), status.st_size, modified(status), identity(status))


def behind_key(key: bytes) -> bytes:
    """Return the least string that is greater than a key."""
    return key + b"\0"


def behind_prefix(prefix: bytes) -> bytes:
    """Return the least string that is greater than all that start with a prefix; no byte of UTF-8 is 0xFF."""
    return prefix[:-1] + bytes((prefix[-1] + 1,))


def make_token(floor: bytes) -> str:
    """Write where the next page starts as text."""
    return base64.urlsafe_b64encode(floor).decode()


def read_token(token: str) -> bytes:
    """Read where a page starts. :raises InvalidRequestError: it is not a token of ours."""
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    except ValueError:
        raise InvalidRequestError("the token is not one that a listing gave") from None
