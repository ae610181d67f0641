"""An object's bytes on their way, for drivers whose connections are urllib3's."""

from __future__ import annotations

from typing import Any

from cloudbridge_store.errors import ConnectionFailedError


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
