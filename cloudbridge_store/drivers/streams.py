"""An object's bytes on their way, for drivers whose connections are urllib3's."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from cloudbridge_store.errors import ConnectionFailedError, SourceChangedError

_PIECE = 2**18


class SentStream:
    """A body on its way: exactly the bytes announced. A service would wait for those that are missing.

    :raises SourceChangedError: when it has more or fewer.
    """

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size

    def read(self, size: int = -1) -> bytes:
        """Return at most ``size`` bytes; none only at the end."""
        left = self._size - self._stream.tell()
        data = self._stream.read(left if size < 0 else min(size, left))
        if (not data and left and size) or (len(data) == left and self._goes_on()):
            message = f"the source does not have the {self._size} bytes it was said to have"
            raise SourceChangedError(message)
        return data

    @property
    def size(self) -> int:
        """Bytes that were announced."""
        return self._size

    def pieces(self) -> Iterator[memoryview]:
        """Yield the bytes from the position on in pieces, which are good until the next one is asked for."""
        buffer = memoryview(bytearray(min(_PIECE, self._size)))
        left = self._size - self._stream.tell()
        while left:
            count = self._stream.readinto(buffer[:left])  # type: ignore[attr-defined]
            left -= count
            if not count or (not left and self._goes_on()):
                message = f"the source does not have the {self._size} bytes it was said to have"
                raise SourceChangedError(message)
            yield buffer[:count]

    def _goes_on(self) -> bool:
        end = self._stream.tell()
        more = self._stream.read(1)
        self._stream.seek(end)
        return bool(more)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, as a signature needs to read all and begin again."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._stream.tell()


class BodyStream:
    """The body of a GET, received in place. Nothing is decompressed.

    :param body: urllib3's response, or botocore's StreamingBody around one.
    :param length: bytes that the service announced.
    """

    def __init__(self, body: Any, length: int) -> None:
        self._body = body
        self._left = length
        # urllib3 makes a copy of every piece; what it reads from does not. Both names are private, and may be missing.
        raw = getattr(body, "_raw_stream", body)
        self._raw = raw
        source = None if raw is None or getattr(raw, "chunked", True) else getattr(raw, "_fp", None)
        self._source: Any = source if hasattr(source, "readinto") else body
        if not length:
            body.read()  # nothing, by which the connection can serve the next request

    def readinto(self, buffer: memoryview, /) -> int:
        """Receive bytes in place; 0 only at the end. :raises ConnectionFailedError: the end came early."""
        view = buffer[: self._left]
        if not view:
            return 0
        count = int(self._source.readinto(view))
        if not count:
            message = f"the connection ended {self._left} bytes early"
            raise ConnectionFailedError(message)
        self._left -= count
        if not self._left:
            self._release()
        return count

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none only at the end."""
        buffer = bytearray(min(size, self._left) if size >= 0 else self._left)
        return bytes(memoryview(buffer)[: self.readinto(memoryview(buffer))])

    def close(self) -> None:
        """Give up what is left: the connection is closed, unless all has arrived."""
        self._body.close()

    def _release(self) -> None:
        # All has been read: the connection can serve the next request.
        if self._raw is not None and hasattr(self._raw, "release_conn"):
            self._raw.release_conn()
