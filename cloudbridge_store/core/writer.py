"""Writing an object as a file: committed by a clean close, aborted by an exception."""

from __future__ import annotations

import io
from types import TracebackType
from typing import Any, Self, cast

from cloudbridge_store.core.multipart import PartUploader, Target, decide_cut, upload_part_size
from cloudbridge_store.core.progress import Progress
from cloudbridge_store.core.source import BytesBody
from cloudbridge_store.drivers.base import PutOptions


class ObjectWriter(io.BufferedIOBase):
    """A binary file that becomes an object when it is closed.

    Nothing is visible before. Leaving a ``with`` block by an exception, :meth:`abort`, or forgetting to close it leaves
    what was stored before. Memory: one part being filled and ``max_concurrency`` in flight.
    """

    def __init__(self, target: Target, options: PutOptions, *, split: bool) -> None:
        self._target = target
        self._options = options
        self._cut = decide_cut(target.session, None)
        self._size = upload_part_size(target.session, self._cut, 0) if split else None
        self._buffer = bytearray()
        self._uploader: PartUploader | None = None
        self._written = 0

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
        view = memoryview(data).cast("B")
        self._written += len(view)
        rest = view
        while self._size is not None and len(self._buffer) + len(rest) > self._size:
            room = self._size - len(self._buffer)
            self._buffer += rest[:room]
            rest = rest[room:]
            self._send_part()
        self._buffer += rest
        return len(view)

    def _send_part(self) -> None:
        if self._uploader is None:
            self._uploader = PartUploader(self._target, self._options, self._cut.concurrency, Progress(None, None))
        self._uploader.add(BytesBody(self._buffer))
        self._buffer = bytearray()

    def abort(self) -> None:
        """Give it up: nothing is stored, what was stored before stays."""
        if self.closed:
            return
        super().close()
        if self._uploader is not None:
            self._uploader.__exit__(None, None, None)

    def close(self) -> None:
        """Make it the object's content. :raises StoreError: nothing was stored."""
        if self.closed:
            return
        super().close()
        session, bucket, key = self._target
        if self._uploader is None:
            session.call(session.driver.put_object, bucket, key, BytesBody(self._buffer), self._options)
            return
        with self._uploader as uploader:
            uploader.add(BytesBody(self._buffer))
            uploader.finish()

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
