"""What drivers send: a body's bytes, exactly as many as were announced."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from cloudbridge_store.errors import SourceChangedError

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
        """Yield the bytes in pieces, which are good until the next one is asked for."""
        buffer = memoryview(bytearray(min(_PIECE, self._size)))
        left = self._size
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
