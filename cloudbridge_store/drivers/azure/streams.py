"""An object's bytes as they arrive."""

from __future__ import annotations

from typing import Any

from cloudbridge_store.errors import ConnectionFailedError


class BodyStream:
    """The body of a GET, received in place. Nothing is decompressed.

    :param raw: urllib3's response.
    :param length: bytes that the service announced.
    """

    def __init__(self, raw: Any, length: int) -> None:
        self._raw = raw
        self._left = length
        # urllib3 makes a copy of every piece; what it reads from does not. The name is private, and may be missing.
        source = None if getattr(raw, "chunked", True) else getattr(raw, "_fp", None)
        self._source: Any = source if hasattr(source, "readinto") else None
        if not length:
            self._release()

    def readinto(self, buffer: memoryview, /) -> int:
        """Receive bytes in place; 0 only at the end. :raises ConnectionFailedError: the end came early."""
        view = buffer[: self._left]
        if not view:
            return 0
        if self._source is not None:
            count = int(self._source.readinto(view))
        else:
            data = self._raw.read(len(view), decode_content=False)
            count = len(data)
            view[:count] = data
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
        if self._left:
            self._raw.close()
        self._release()

    def _release(self) -> None:
        # All has been read: the connection can serve the next request.
        self._raw.release_conn()
