"""Bytes to a file descriptor: all of them, and, where there are many, while the next ones are being read."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager
from queue import SimpleQueue
from types import TracebackType
from typing import Self

BUFFER_SIZE = 2**20
_BUFFERS = 3
_WORTH_A_THREAD = 8 * 2**20


def write_all(fd: int, data: memoryview) -> None:
    """Write all of ``data``, however little the system takes at a time."""
    while (written := os.write(fd, data)) < len(data):
        data = data[written:]


def open_sink(fd: int, size: int) -> Sink:
    """Return what writes ``size`` bytes to a descriptor best, to be used in a ``with`` block."""
    return WriteBehind(fd) if size > _WORTH_A_THREAD else Sink(fd, min(BUFFER_SIZE, size + 1))


class Sink(AbstractContextManager["Sink"]):
    """Takes bytes in buffers of its own: fill :meth:`buffer`, then :meth:`write` what is in it.

    :param size: bytes in a buffer.
    """

    def __init__(self, fd: int, size: int = BUFFER_SIZE) -> None:
        self._fd = fd
        self._buffer = memoryview(bytearray(size))

    def buffer(self) -> memoryview:
        """Return a buffer to be filled. :raises OSError: what was written before could not be."""
        return self._buffer

    def write(self, data: memoryview) -> None:
        """Write the beginning of the last buffer."""
        write_all(self._fd, data)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to be done."""


class WriteBehind(Sink):
    """Writes in a thread of its own, so that reading and summing the next bytes overlap with it.

    For 1 GiB within ``/dev/shm``, CRC-32 included, that takes 0.40 s where one thread takes 0.70.
    """

    def __init__(self, fd: int, size: int = BUFFER_SIZE) -> None:
        super().__init__(fd, size)
        self._free: SimpleQueue[memoryview] = SimpleQueue()
        for _ in range(_BUFFERS - 1):
            self._free.put(memoryview(bytearray(size)))
        self._full: SimpleQueue[tuple[memoryview, int] | None] = SimpleQueue()
        self._error: OSError | None = None
        self._thread: threading.Thread | None = None

    def _run(self, fd: int) -> None:
        while (item := self._full.get()) is not None:
            buffer, count = item
            if self._error is None:
                try:
                    write_all(fd, buffer[:count])
                except OSError as error:
                    self._error = error
            self._free.put(buffer)
        os.close(fd)

    def buffer(self) -> memoryview:
        """Return a buffer to be filled. :raises OSError: what was written before could not be."""
        if self._error is not None:
            raise self._error
        return self._buffer

    def write(self, data: memoryview) -> None:
        """Have the beginning of the last buffer written."""
        self._full.put((self._buffer, len(data)))
        self._buffer = self._free.get()

    def __enter__(self) -> Self:
        # A descriptor of its own: after an interrupt the caller's may be closed, and its number be another file's.
        own = (os.dup(self._fd),)
        self._thread = threading.Thread(target=self._run, args=own, name="cloudbridge write-behind", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until all is written. :raises OSError: it could not be."""
        assert self._thread is not None
        self._full.put(None)
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error
