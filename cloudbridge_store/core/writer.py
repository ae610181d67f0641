"""Writing an object as a file: committed by a clean close, aborted by an exception."""

from __future__ import annotations

import io
from collections.abc import Iterator
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

from cloudbridge_store.config import TransferConfig
from cloudbridge_store.core.multipart import PartUploader, Target, decide_cut, first_part_size, growing_part_sizes
from cloudbridge_store.core.progress import Progress
from cloudbridge_store.core.source import BytesBody, SeekableBody, open_spool
from cloudbridge_store.core.transfer import upload_body
from cloudbridge_store.drivers.base import Body, PutOptions


class ObjectWriter(io.BufferedIOBase):
    """A binary file that becomes an object when it is closed.

    Nothing is visible before. Leaving a ``with`` block by an exception, :meth:`abort`, or forgetting to close it leaves
    what was stored before. Memory: one part being filled and ``max_concurrency`` in flight.

    :param split: the service takes parts; without, a temporary file holds what is to be sent at once.
    """

    def __init__(self, target: Target, options: PutOptions, *, split: bool) -> None:
        self._target = target
        self._options = options
        # First what a finalizer looks at, where the rest is refused.
        self._spool: BinaryIO | None = None
        self._uploader: PartUploader | None = None
        self._buffer = bytearray()
        self._written = 0
        self._failure: BaseException | None = None
        """Of a :meth:`write`: what is there is not all that was to be stored."""
        self._cut = decide_cut(target.session, None)
        self._sizes: Iterator[int] | None = None
        self._size = first_part_size(target.session, self._cut) if split else 0
        """Bytes in the part that is being filled. The first fits its service only when limits are asked for."""
        if not split:
            self._spool = open_spool()

    def writable(self) -> bool:
        """Whether it can be written."""
        return True

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self._written

    def write(self, data: Any) -> int:
        """Take bytes; parts that are full are sent in the background."""
        if self.closed:
            message = "write to a closed object"
            raise ValueError(message)
        if self._failure is not None:
            raise self._failure
        view = memoryview(data).cast("B")
        try:
            self._take(view)
        except BaseException as error:
            self._failure = error
            raise
        self._written += len(view)
        return len(view)

    def _take(self, view: memoryview) -> None:
        if self._spool is not None:
            self._spool.write(view)
            return
        rest = view
        while len(self._buffer) + len(rest) > self._size:
            if self._sizes is None:
                self._sizes = growing_part_sizes(self._target.session, self._cut)
                self._size = next(self._sizes)
                continue
            room = max(0, self._size - len(self._buffer))
            self._buffer += rest[:room]
            rest = rest[room:]
            self._send_part(self._sizes)
        self._buffer += rest

    def _send_part(self, sizes: Iterator[int]) -> None:
        if self._uploader is None:
            self._uploader = PartUploader(self._target, self._options, self._cut.concurrency, Progress(None, None))
        # Of the first buffer something may be left, where parts must be smaller than was thought.
        full, self._buffer = self._buffer, self._buffer[self._size :]
        self._uploader.add(BytesBody(memoryview(full)[: self._size]))
        self._size = next(sizes)

    def abort(self) -> None:
        """Give it up: nothing is stored, what was stored before stays."""
        if self.closed:
            return
        super().close()
        if self._spool is not None:
            self._spool.close()
        if self._uploader is not None:
            self._uploader.__exit__(None, None, None)

    def close(self) -> None:
        """Make it the object's content. :raises StoreError: nothing was stored, as after a failure of :meth:`write`."""
        if self.closed:
            return
        if self._failure is not None:
            self.abort()
            raise self._failure
        super().close()
        if self._spool is not None:
            with self._spool as spool:
                self._put(SeekableBody(spool, 0, self._written))
        elif self._uploader is None:
            self._put(BytesBody(self._buffer))
        else:
            with self._uploader as uploader:
                uploader.add(BytesBody(self._buffer))
                uploader.finish()

    def _put(self, body: Body) -> None:
        # In one request, where the service has no lower limit than was thought.
        at_once = TransferConfig(threshold=max(1, body.size))
        upload_body(self._target, body, self._options, at_once, Progress(None, None))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        # io's own finalizer would close, and so commit, what was never finished.
        if not getattr(self, "closed", True):
            self.abort()


class TextWriter(io.TextIOWrapper):
    """Text over an :class:`ObjectWriter`; an exception in a ``with`` block aborts here too."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
            return
        writer = cast("ObjectWriter", self.buffer)
        writer.abort()
