"""Anything that can be uploaded, as a body that can be opened again or as pieces of bounded size."""

from __future__ import annotations

import errno
import io
import os
import stat
import threading
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self, TypeAlias, cast, runtime_checkable

from cloudbridge_store.drivers.base import Body
from cloudbridge_store.errors import LocalFileNotFoundError, LocalIOError, SourceChangedError

_PIECE = 2**20


@runtime_checkable
class Readable(Protocol):
    """A binary stream, seekable or not."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes, none only at the end."""


BytesLike: TypeAlias = bytes | bytearray | memoryview
Data: TypeAlias = str | BytesLike | Readable | Iterable[BytesLike]
"""What ``upload`` takes: text (stored as UTF-8), bytes, a binary stream from its position on, an iterable of bytes."""


class BytesBody(Body):
    """Bytes in memory. The buffer is not copied: leave it as it is until the upload is done."""

    def __init__(self, data: BytesLike) -> None:
        self._view = memoryview(data).cast("B")
        self.size = self._view.nbytes

    def open(self) -> BinaryIO:
        """Return a stream over the buffer."""
        return cast("BinaryIO", _SliceReader(self._read_at, 0, self.size))

    def slice(self, start: int, size: int) -> Body:
        """Return a part of it, which shares the buffer."""
        return BytesBody(self._view[start : start + size])

    def _read_at(self, buffer: memoryview, offset: int) -> int:
        count = min(len(buffer), self.size - offset)
        buffer[:count] = self._view[offset : offset + count]
        return count


class _ReadAt(Protocol):
    def __call__(self, buffer: memoryview, offset: int, /) -> int: ...


class _SliceReader(io.RawIOBase):
    """Part of something that is read by offset, as a seekable stream. Many can be open at once."""

    def __init__(self, read_at: _ReadAt, start: int, size: int) -> None:
        self._read_at = read_at
        self._start = start
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        view = memoryview(buffer).cast("B")[: max(0, self._size - self._position)]
        if not view:
            return 0
        count = self._read_at(view, self._start + self._position)
        self._position += count
        return count

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._position)
        wanted = left if size < 0 else min(size, left)
        buffer = bytearray(wanted)
        filled = 0
        while filled < wanted and (count := self.readinto(memoryview(buffer)[filled:])):
            filled += count
        return bytes(memoryview(buffer)[:filled])


class LocalFile:
    """A regular file to be uploaded: opened once, read by offset, and watched for changes.

    :raises LocalIOError: it cannot be opened, or is no regular file.
    """

    def __init__(self, path: str | os.PathLike[str], *, follow_link: bool = True) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        # Without O_NONBLOCK, opening a named pipe would wait for a writer.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        try:
            self._fd = os.open(path, flags if follow_link else flags | getattr(os, "O_NOFOLLOW", 0))
        except OSError as error:
            raise local_error(error, path) from error
        self._stat = os.fstat(self._fd)
        self.size = self._stat.st_size
        if not stat.S_ISREG(self._stat.st_mode):
            os.close(self._fd)
            raise LocalIOError(f"{self.path}: not a regular file", errno=errno.EINVAL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    @property
    def status(self) -> os.stat_result:
        """What it was like when it was opened."""
        return self._stat

    def body(self) -> FileBody:
        """Return all of the file."""
        return FileBody(self, 0, self.size)

    def read_at(self, buffer: memoryview, offset: int) -> int:
        """Read into ``buffer`` from ``offset``; safe from many threads. :raises LocalIOError: the disk failed.

        Any other error would be taken for one of the connection, which it is raised in the middle of.
        """
        try:
            return self._read_at(buffer, offset)
        except OSError as error:
            raise local_error(error, self.path) from error

    def _read_at(self, buffer: memoryview, offset: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._fd, [buffer], offset)
        with self._lock:
            os.lseek(self._fd, offset, os.SEEK_SET)
            data = os.read(self._fd, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def refuse_changes(self) -> None:
        """Compare with what was opened. :raises SourceChangedError: size, time or identity differ."""
        now, then = os.fstat(self._fd), self._stat
        if (now.st_size, now.st_mtime_ns) != (then.st_size, then.st_mtime_ns):
            message = f"{self.path} changed while it was being uploaded"
            raise SourceChangedError(message, hint="Upload it again when nothing writes to it")


class FileBody(Body):
    """A slice of a local file."""

    def __init__(self, file: LocalFile, start: int, size: int) -> None:
        self._file = file
        self._start = start
        self.size = size

    def open(self) -> BinaryIO:
        """Return a stream over the slice."""
        return cast("BinaryIO", _SliceReader(self._file.read_at, self._start, self.size))

    def slice(self, start: int, size: int) -> Body:
        """Return a part of it."""
        return FileBody(self._file, self._start + start, size)


class SeekableBody(Body):
    """The rest of a seekable stream. Opening it again starts over, so only one reader can use it at a time."""

    def __init__(self, stream: BinaryIO, start: int, size: int) -> None:
        self._stream = stream
        self._start = start
        self.size = size

    def open(self) -> BinaryIO:
        """Rewind the stream and return a view of it that leaves it open."""
        return cast("BinaryIO", _SliceReader(self._read_at, self._start, self.size))

    def _read_at(self, buffer: memoryview, offset: int) -> int:
        if self._stream.tell() != offset:
            self._stream.seek(offset)
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def open_data(data: object) -> Body | Iterator[memoryview]:
    """Return a body where the size is known and the data can be read again, else an iterator over its pieces.

    :raises TypeError: a path (``upload_from_file`` takes those), text that is not ``str``, or something else.
    """
    if isinstance(data, str):
        return BytesBody(data.encode())
    if isinstance(data, (bytes, bytearray, memoryview)):
        return BytesBody(data)
    _refuse_path_and_text(data)
    if isinstance(data, Readable):
        return _rewindable(data) or _stream_pieces(data)
    if isinstance(data, Iterable):
        return map(_checked, data)
    message = f"upload() takes str, bytes, a binary stream or an iterable of bytes, not {type(data).__name__}"
    raise TypeError(message)


def _refuse_path_and_text(data: object) -> None:
    if isinstance(data, os.PathLike):
        message = f"upload() takes data, not a path; use upload_from_file({str(data)!r})"
        raise TypeError(message)
    if isinstance(data, io.TextIOBase):
        message = "upload() takes binary streams; open the file with mode 'rb'"
        raise TypeError(message)


def _rewindable(stream: Readable) -> Body | None:
    seekable = getattr(stream, "seekable", None)
    if seekable is None or not seekable():
        return None
    binary = cast("BinaryIO", stream)
    start = binary.tell()
    size = binary.seek(0, io.SEEK_END) - start
    binary.seek(start)
    if size < 0 or not isinstance(binary.read(0), bytes):
        return None
    return SeekableBody(binary, start, size)


def _stream_pieces(stream: Readable) -> Iterator[memoryview]:
    while piece := _checked(stream.read(_PIECE)):
        yield piece


def _checked(piece: object) -> memoryview:
    if not isinstance(piece, (bytes, bytearray, memoryview)):
        message = f"the data to upload must consist of bytes, not {type(piece).__name__}"
        raise TypeError(message)
    return memoryview(piece).cast("B")


def open_spool() -> BinaryIO:
    """Return a file for data of unknown length on its way to a service without multipart uploads."""
    from tempfile import SpooledTemporaryFile  # here, as hardly any service needs it

    return cast("BinaryIO", SpooledTemporaryFile(max_size=16 * 2**20))


def split(body: Body, size: int) -> Iterator[Body]:
    """Yield a body's parts of ``size`` bytes, without copying where it can be read at any place."""
    if isinstance(body, (BytesBody, FileBody)):
        for start in range(0, body.size, size):
            yield body.slice(start, min(size, body.size - start))
    else:
        yield from map(BytesBody, regroup(_body_pieces(body), size))


def _body_pieces(body: Body) -> Iterator[memoryview]:
    left = body.size
    with body.open() as stream:
        while left:
            piece = stream.read(min(left, _PIECE))
            if not piece:
                message = f"the source ended {left} bytes early"
                raise SourceChangedError(message)
            left -= len(piece)
            yield memoryview(piece)


def regroup(pieces: Iterator[memoryview], size: int) -> Iterator[memoryview]:
    """Yield the same bytes in pieces of ``size``, each in memory of its own; the last may be shorter."""
    return growing(pieces, [size])


def take(pieces: Iterator[memoryview], size: int) -> tuple[memoryview, Iterator[memoryview] | None]:
    """Return the first ``size`` bytes, in memory of their own, and what follows; ``None`` where nothing does."""
    taken = bytearray()
    for piece in pieces:
        room = size - len(taken)
        taken += piece[:room]
        if len(piece) > room:
            return memoryview(taken), chain([piece[room:]], pieces)
    return memoryview(taken), None


def growing(pieces: Iterator[memoryview], sizes: Iterable[int]) -> Iterator[memoryview]:
    """Yield the same bytes in pieces of these sizes, the last of them for all further pieces."""
    wanted = iter(sizes)
    size = next(wanted)
    buffer = bytearray()
    for piece in pieces:
        rest = piece
        while rest:
            room = size - len(buffer)
            buffer += rest[:room]
            rest = rest[room:]
            if len(buffer) == size:
                yield memoryview(buffer)
                size = next(wanted, size)
                buffer = bytearray()
    if buffer:
        yield memoryview(buffer)


def local_error(error: OSError, path: str | os.PathLike[str]) -> LocalIOError:
    """Return this machine's file error as one of ours."""
    kind = LocalFileNotFoundError if isinstance(error, FileNotFoundError) else LocalIOError
    return kind(f"{os.fspath(path)}: {error.strerror or error}", errno=error.errno)
