"""What objects hold: small contents in memory, larger ones in files without a name, which end with the process."""

from __future__ import annotations

import base64
import hashlib
import os

import google_crc32c

from servers.gcs.wire import PIECE

SPILLED = 64 * 1024
"""Bytes from which on content goes to a file."""


class File:
    """A file without a name, which is gone as soon as nobody refers to it."""

    def __init__(self, directory):
        self.number = os.open(directory, os.O_TMPFILE | os.O_RDWR)
        self.size = 0

    def append(self, piece):
        view = memoryview(piece)
        while view:
            count = os.write(self.number, view)
            self.size += count
            view = view[count:]

    def __del__(self):
        if hasattr(self, "number"):
            os.close(self.number)


class Content:
    """Bytes that never change: parts that are bytes, or ``(file, first, count)``, and the digests of all of them.

    Contents share parts: a copy and a composition cost no memory.
    """

    def __init__(self, parts, size, crc32c, md5):
        self.parts = parts
        self.size = size
        self.crc32c = base64.b64encode(crc32c.to_bytes(4, "big")).decode()
        self.md5 = None if md5 is None else base64.b64encode(md5).decode()

    def cut(self, first, count):
        """Return a list of the parts that make up ``count`` bytes from ``first`` on."""
        found = []
        for part in self.parts:
            size = len(part) if isinstance(part, bytes) else part[2]
            start, end = max(first, 0), min(first + count, size)
            if start < end:
                whole = isinstance(part, bytes)
                found.append(part[start:end] if whole else (part[0], part[1] + start, end - start))
            first -= size
        return found or [b""]

    def pieces(self):
        """Yield the bytes."""
        for part in self.parts:
            if isinstance(part, bytes):
                yield part
                continue
            file, first, count = part
            for offset in range(0, count, PIECE):
                yield os.pread(file.number, min(PIECE, count - offset), first + offset)


class Writer:
    """Takes bytes and makes them a :class:`Content`."""

    def __init__(self, directory):
        self._directory = directory
        self._small = bytearray()
        self._file = None
        self._crc32c = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.size = 0

    def write(self, piece):
        self._crc32c = google_crc32c.extend(self._crc32c, bytes(piece))
        self._md5.update(piece)
        self.size += len(piece)
        if self._file is None and self.size <= SPILLED:
            self._small += piece
            return
        if self._file is None:
            self._file = File(self._directory)
            self._file.append(self._small)
            self._small = bytearray()
        self._file.append(piece)

    def take(self, pieces):
        """Write all pieces, and return the content."""
        for piece in pieces:
            self.write(piece)
        return self.finish()

    def finish(self):
        part = bytes(self._small) if self._file is None else (self._file, 0, self._file.size)
        return Content([part] if self.size else [], self.size, self._crc32c, self._md5.digest())


def join(contents):
    """Return one content of several, without an MD5, which the service does not give such objects."""
    crc32c = 0
    for content in contents:
        for piece in content.pieces():
            crc32c = google_crc32c.extend(crc32c, piece)
    parts = [part for content in contents for part in content.parts]
    return Content(parts, sum(content.size for content in contents), crc32c, None)
