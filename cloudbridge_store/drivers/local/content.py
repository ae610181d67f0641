"""Files: their bytes, from a stream in, from one to another, and out again; and what tells their states apart."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
import zlib
from datetime import UTC, datetime
from typing import BinaryIO

from cloudbridge_store.errors import ObjectChangedError, SourceChangedError
from cloudbridge_store.sinks import open_sink, write_all

if sys.platform != "win32":
    import fcntl

_PIECE = 2**20
_CLONE_WHOLE_FILE = 0x40049409  # FICLONE of linux/fs.h; the fcntl module has it from Python 3.13 on
_NOT_HERE = frozenset(
    {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY, errno.ETXTBSY, errno.EPERM}
)


def receive(stream: BinaryIO, file: int, size: int) -> int:
    """Write a stream of exactly ``size`` bytes to a file, and return its CRC-32.

    :raises SourceChangedError: the stream is shorter or longer.
    """
    read_into = getattr(stream, "readinto", None) or _reader_into(stream)
    checksum = received = 0
    with open_sink(file, size) as sink:
        # One byte more is asked for than is expected, so that a source that has grown is found out.
        while count := read_into(buffer := sink.buffer()[: size + 1 - received]):
            received += count
            if received > size:
                break
            checksum = zlib.crc32(buffer[:count], checksum)
            sink.write(buffer[:count])
    if received != size:
        found = "more" if received > size else f"only {received}"
        message = f"the source was to have {size} bytes and has {found}"
        raise SourceChangedError(message)
    return checksum


class _reader_into:  # noqa: N801 - a function with a memory
    """``readinto`` for a stream that can only ``read``."""

    def __init__(self, stream: BinaryIO) -> None:
        self._read = stream.read

    def __call__(self, buffer: memoryview) -> int:
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def copy_file(source: int, target: int, size: int, *, whole: bool = False) -> None:
    """Append the first ``size`` bytes of a file to another at its position; within the kernel where it can.

    :param whole: those are all, and the target is empty, so that file systems which share blocks may.
    :raises ObjectChangedError: the source has fewer.
    """
    if whole and size and _clone(source, target):
        return
    copied = _copy_range(source, target, size)
    copy_through(source, target, size, start=copied)


def _clone(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, _CLONE_WHOLE_FILE, source)
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
        return False
    return True


def _copy_range(source: int, target: int, size: int) -> int:
    copied = 0
    if not hasattr(os, "copy_file_range"):
        return copied
    try:
        while copied < size and (count := os.copy_file_range(source, target, size - copied, offset_src=copied)):
            copied += count
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
    return copied


def copy_through(source: int, target: int, size: int, *, start: int = 0) -> int:
    """Append the bytes from ``start`` to ``size`` of a file to another, and return their CRC-32.

    :raises ObjectChangedError: the source has fewer.
    """
    checksum, at = 0, start
    buffer = memoryview(bytearray(min(_PIECE, size - start)))
    while at < size:
        count = os.preadv(source, [buffer[: size - at]], at)
        if not count:
            message = "the object was cut short while it was being copied"
            raise ObjectChangedError(message)
        checksum = zlib.crc32(buffer[:count], checksum)
        write_all(target, buffer[:count])
        at += count
    return checksum


class FileRange:
    """A stream of ``length`` bytes of an open file from ``start`` on; it closes the file."""

    __slots__ = ("_at", "_file", "_stop")

    def __init__(self, file: int, start: int, length: int) -> None:
        self._file = file
        self._at = start
        self._stop = start + length

    def readinto(self, buffer: memoryview, /) -> int:
        """Receive the next bytes in place; 0 at the end."""
        left = self._stop - self._at
        if left <= 0 or not len(buffer):
            return 0
        view = memoryview(buffer)
        return self._advance(os.preadv(self._open_file(), [view[:left] if len(view) > left else view], self._at))

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes, all that are left if it is negative; nothing at the end."""
        left = self._stop - self._at
        wanted = left if size < 0 else min(size, left)
        if wanted <= 0:
            return b""
        data = os.pread(self._open_file(), wanted, self._at)
        self._advance(len(data))
        if size < 0 and len(data) < wanted:
            return data + self.read()
        return data

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _open_file(self) -> int:
        if self._file < 0:
            message = "the stream is closed"
            raise ValueError(message)
        return self._file

    def _advance(self, count: int) -> int:
        if not count:
            message = "the object was cut short while it was being read"
            raise ObjectChangedError(message)
        self._at += count
        return count

    def __del__(self) -> None:
        self.close()


class _Clock:
    """Times for files that never repeat within the process, whatever the system's clock does."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def next(self) -> int:
        with self._lock:
            self._last = max(time.time_ns(), self._last + 1)
            return self._last

    def renew_lock(self) -> None:
        self._lock = threading.Lock()


_clock = _Clock()
# Another thread may have held it when this process forked, and does not exist in the child.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_clock.renew_lock)


def stamp(file: int) -> os.stat_result:
    """Give a file a modification time of its own, finer than the kernel's clock, and return its state."""
    now = _clock.next()
    os.utime(file, ns=(now, now))
    return os.fstat(file)


def identity(status: os.stat_result) -> str:
    """Return what tells one state of one file from all others; it is the object's ETag."""
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def modified(status: os.stat_result) -> datetime:
    """Return a file's modification time; one that no ``datetime`` can say becomes the nearest that can."""
    try:
        return datetime.fromtimestamp(status.st_mtime, UTC)
    except (ValueError, OverflowError, OSError):
        nearest = datetime.max if status.st_mtime > 0 else datetime.min  # noqa: DTZ901 - the zone follows
        return nearest.replace(tzinfo=UTC)
