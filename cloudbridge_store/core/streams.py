"""Reading: a stream that goes on where it broke off, and a seekable file on top of it.

Every answer is held against what was asked: the range, the number of bytes, the ETag of the first answer, and at the
end the digest that the service holds. A stream raises before it reports its end if anything is missing or wrong.
"""

from __future__ import annotations

import io
import time
from dataclasses import replace
from typing import Any

from cloudbridge_store.core import digests
from cloudbridge_store.core.session import Session
from cloudbridge_store.drivers.base import Download, ObjectInfo, RawStream, ReadOptions
from cloudbridge_store.errors import (
    ConnectionFailedError,
    IntegrityError,
    InvalidRangeError,
    NotFoundError,
    ObjectChangedError,
    OperationTimeoutError,
    PreconditionFailedError,
)

READ_SIZE = 2**20
SLOWEST_RATE = 1024
"""Bytes a second below which an answer counts as stalled, over the time-out of a read."""
_PROGRESS = 64 * 1024
"""Bytes after which a connection that breaks again is another failure, and not the same one once more."""


class Pace:
    """How fast an answer comes while somebody waits for it: the time between two reads is the reader's own.

    :param window: seconds over which it must not be slower than :data:`SLOWEST_RATE`.
    """

    def __init__(self, window: float) -> None:
        self._window = window
        self._seconds = 0.0
        self._bytes = 0

    def count(self, size: int, seconds: float) -> None:
        """Count bytes, and the seconds they were waited for."""
        if self._seconds >= self._window:
            self._seconds, self._bytes = 0.0, 0
        self._seconds += seconds
        self._bytes += size

    def refuse_stall(self) -> None:
        """Raise where it was too slow. :raises OperationTimeoutError:"""
        if self._seconds >= self._window and self._bytes < SLOWEST_RATE * self._seconds:
            message = f"only {self._bytes} bytes came in {self._seconds:.0f} s"
            raise OperationTimeoutError(message)


class ResumingStream(io.RawIOBase):
    """An object's bytes, or a range of them. A connection that breaks is replaced, pinned to the same ETag.

    :param verify: compare the digest at the end, where all of the object is read and the service holds one.
    :raises StoreError: the object cannot be opened.
    """

    def __init__(self, session: Session, bucket: str, key: str, options: ReadOptions, *, verify: bool = True) -> None:
        self._session = session
        self._bucket = bucket
        self._key = key
        self._options = options
        self._position = options.start
        self._stream: RawStream | None = None
        download = session.call(session.driver.get_object, bucket, key, options)
        self.info: ObjectInfo = download.info
        size = download.info.size
        self._stop = size if options.stop is None else min(options.stop, size)
        self._stream = download.stream
        self._failures = 0
        self._since_failure = 0
        self._pace = Pace(session.settings.read_timeout)
        try:
            self._check_range(download)
        except BaseException:
            self.close()
            raise
        self._digest = digests.choose(self.info.checksums) if verify and not options.ranged else None

    @property
    def left(self) -> int:
        """Bytes still to come."""
        return self._stop - self._position

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Receive bytes in place; 0 only at the end, when all is there and right."""
        view = memoryview(buffer).cast("B")[: self.left]
        if not view:
            return 0
        count = self._receive(view)
        self._position += count
        if self._digest is not None:
            self._digest[1].update(view[:count])
        if not self.left:
            self._finish()
        return count

    def _receive(self, view: memoryview) -> int:
        while True:
            try:
                assert self._stream is not None
                self._pace.refuse_stall()
                began = time.monotonic()
                count = self._stream.readinto(view)
                if count:
                    self._pace.count(count, time.monotonic() - began)
                    self._since_failure += count
                    return count
                message = f"the connection ended {self.left} bytes early"
                raise ConnectionFailedError(message)
            except Exception as error:
                self._resume(error)

    def _resume(self, error: Exception) -> None:
        self._failures = 1 if self._since_failure >= _PROGRESS else self._failures + 1
        self._since_failure = 0
        self._pace = Pace(self._session.settings.read_timeout)
        failure = self._session.classify(error)
        most = self._session.settings.retry.attempts
        hopeless = failure is None or failure.retry == "no" or self._failures >= most
        if hopeless or not self._session.take_token():
            raise self._wrapped(error)
        self._drop()
        self._session.pause(self._session.backoff(self._failures, error))
        pinned = replace(
            self._options, start=self._position, stop=self._stop, if_match=self.info.etag, if_none_match=None
        )
        try:
            download = self._session.call(self._session.driver.get_object, self._bucket, self._key, pinned)
        except (PreconditionFailedError, NotFoundError, InvalidRangeError) as gone:
            raise self._wrapped(_changed()) from gone
        self._stream = download.stream
        self._check_range(download)

    def _check_range(self, download: Download) -> None:
        # Not every service knows If-Match, so that the answer's ETag is what counts.
        if download.info.etag != (self._options.if_match or self.info.etag):
            raise self._wrapped(_changed())
        if (download.start, download.length) != (self._position, self.left):
            message = (
                f"asked for {self.left} bytes from {self._position}, "
                f"the service sends {download.length} from {download.start}"
            )
            raise self._wrapped(IntegrityError(message))

    def _finish(self) -> None:
        if self._stream is not None and self._stream.read(1):
            raise self._wrapped(IntegrityError("the service sent more bytes than it announced"))
        if self._digest is not None:
            name, digest = self._digest
            try:
                digests.compare(name, digest.hexdigest(), self.info.checksums)
            except IntegrityError as error:
                raise self._wrapped(error) from None

    def _wrapped(self, error: Exception) -> Exception:
        context = {
            "operation": "get_object",
            "bucket": self._bucket,
            "key": self._key,
            "attempts": max(1, self._failures),
        }
        return self._session.wrap(error, **context)

    def close(self) -> None:
        """Close the connection; what was not read is not asked for."""
        self._drop()
        super().close()

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def read_exactly(self) -> bytes:
        """Return all that is left."""
        return self.read_up_to(self.left)

    def read_up_to(self, size: int) -> bytes:
        """Return ``size`` bytes, or all that is left; short answers of the network are put together."""
        buffer = bytearray(min(size, self.left))
        view = memoryview(buffer)
        filled = 0
        while filled < len(view):
            filled += self.readinto(view[filled:])
        return bytes(buffer)


def open_pinned(session: Session, bucket: str, key: str, options: ReadOptions) -> ResumingStream:
    """Open a range of the very object that ``options.if_match`` names. :raises ObjectChangedError: it is gone."""
    try:
        return ResumingStream(session, bucket, key, options)
    except (PreconditionFailedError, NotFoundError, InvalidRangeError) as error:
        raise session.wrap(_changed(), operation="get_object", bucket=bucket, key=key) from error


def _changed() -> ObjectChangedError:
    message = "the object was replaced or deleted while it was being read"
    return ObjectChangedError(message, hint="Read it again from the start")


class ObjectReader(io.RawIOBase):
    """An object as a seekable raw file, pinned to the version that was there when it was opened.

    Reads in sequence ask for ever larger ranges; a read elsewhere asks for just what it needs. So a scan costs few
    requests, and 64 KiB from the middle cost 64 KiB.
    """

    _LARGEST_RANGE = 64 * 2**20

    def __init__(self, session: Session, bucket: str, key: str, source: ReadOptions) -> None:
        self._source = source
        self._session = session
        self._bucket = bucket
        self._key = key
        self._position = 0
        self._ahead = 0
        self._stream: ResumingStream | None = None
        self._stream_position = 0
        self.info = session.call(session.driver.head_object, bucket, key, source)

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def seekable(self) -> bool:
        """Whether it can be read from anywhere."""
        return True

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; nothing is asked for until the next read."""
        if self.closed:
            message = "I/O operation on closed file"
            raise ValueError(message)
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.info.size}[whence]
        if base + offset < 0:
            message = f"negative seek position {base + offset}"
            raise ValueError(message)
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Receive bytes in place from the position on."""
        view = memoryview(buffer).cast("B")[: max(0, self.info.size - self._position)]
        if not view:
            return 0
        if self._stream is None or self._stream_position != self._position or not self._stream.left:
            self._open_range(len(view))
        assert self._stream is not None
        count = self._stream.readinto(view)
        self._position += count
        self._stream_position = self._position
        return count

    def _open_range(self, wanted: int) -> None:
        sequential = self._stream is not None and self._stream_position == self._position
        self._ahead = min(2 * max(self._ahead, wanted), self._LARGEST_RANGE) if sequential else 0
        self._drop()
        stop = min(self.info.size, self._position + max(wanted, self._ahead))
        options = replace(self._source, start=self._position, stop=stop, if_match=self.info.etag)
        self._stream = open_pinned(self._session, self._bucket, self._key, options)
        self._stream_position = self._position

    def _drop(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def close(self) -> None:
        """Close the connection."""
        self._drop()
        super().close()
