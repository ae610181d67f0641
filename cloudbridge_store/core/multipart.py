"""Cutting an upload in parts, and sending parts in parallel so that the object appears whole or not at all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import repeat
from types import TracebackType
from typing import NamedTuple, Self

from cloudbridge_store.config import TransferConfig
from cloudbridge_store.core.parallel import INTERRUPT_PATIENCE, stop_pool
from cloudbridge_store.core.progress import Progress
from cloudbridge_store.core.resuming import UploadNote
from cloudbridge_store.core.session import Session
from cloudbridge_store.drivers.base import Body, ObjectInfo, Part, PutOptions, ReadOptions, Stored
from cloudbridge_store.errors import InvalidValueException, QuotaExceededError, UnsupportedOperationError

MiB = 2**20
DEFAULT_PART_SIZE = 16 * MiB
DEFAULT_CONCURRENCY = 5

_PARTS_PER_SIZE = 1000
_OPEN = TransferConfig()
_log = logging.getLogger("cloudbridge_store")


class Target(NamedTuple):
    """Where a transfer goes to or comes from."""

    session: Session
    bucket: str
    key: str

    def head(self, source: ReadOptions) -> ObjectInfo:
        """Describe what is there. :raises NotFoundError:"""
        return self.session.call(self.session.driver.head_object, self.bucket, self.key, source)


class Cut(NamedTuple):
    """How a transfer is cut: everything of a :class:`TransferConfig`, decided."""

    threshold: int
    part_size: int
    concurrency: int
    asked_for: bool = True
    """Somebody wants this part size, so that the service's limits refuse it; else they change it."""


def decide_cut(session: Session, config: TransferConfig | None) -> Cut:
    """Settle what the call leaves open by the configuration, then by the service's own measure."""
    call, configured, able = config or _OPEN, session.settings.transfer, session.capabilities
    wanted = call.part_size or configured.part_size
    threshold = call.threshold or configured.threshold or able.multipart_threshold
    concurrency = call.max_concurrency or configured.max_concurrency or DEFAULT_CONCURRENCY
    return Cut(threshold, wanted or max(DEFAULT_PART_SIZE, able.min_part), concurrency, wanted is not None)


def upload_part_size(session: Session, cut: Cut, size: int) -> int:
    """Return the part size for ``size`` bytes: as asked for, larger where the number of parts would not suffice.

    :raises InvalidValueException: smaller or larger than the service takes.
    :raises QuotaExceededError: more than the service can hold in one object.
    """
    limits = session.upload_limits()
    part_size = min(max(cut.part_size, limits.min_part), limits.max_part)
    if cut.asked_for and part_size != cut.part_size:
        wanted = f"bytes from {limits.min_part} to {limits.max_part} here"
        raise InvalidValueException("part_size", cut.part_size, wanted)
    needed = -(-size // limits.max_parts)
    if needed > limits.max_part:
        message = f"{size} bytes are more than {limits.max_parts} parts of {limits.max_part} bytes can hold"
        raise QuotaExceededError(message, provider=session.provider)
    return max(part_size, needed)


def first_part_size(session: Session, cut: Cut) -> int:
    """Return how much content of unknown length is held before it is cut, so that what is small comes at once.

    :raises InvalidValueException: more than the service takes in a part, which is asked only for what looks too large.
    """
    return cut.part_size if cut.part_size <= session.capabilities.max_part else upload_part_size(session, cut, 0)


def growing_part_sizes(session: Session, cut: Cut) -> Iterator[int]:
    """Yield the sizes of the parts of something whose length nobody knows, which double every 1,000 parts.

    10,000 parts, from 16 MiB on, then hold more than 5 TiB. Where fewer are allowed, they double after a tenth of
    these: 1,000 hold more than 1 TiB. Where all parts must be equal, 10,000 hold 156 GiB.
    """
    size = upload_part_size(session, cut, 0)
    if session.capabilities.equal_parts:
        yield from repeat(size)
    limits = session.upload_limits()
    alike = max(1, min(_PARTS_PER_SIZE, limits.max_parts // 10))
    while True:
        yield from repeat(size, alike)
        size = min(2 * size, limits.max_part)


def takes_parts(session: Session, options: PutOptions) -> bool:
    """Say whether an object may come in parts: not under a condition that holds for a single request only."""
    able = session.capabilities
    return able.multipart and (able.conditional_multipart or not options.conditional)


def fits_at_once(session: Session, size: int) -> bool:
    """Say whether one request can carry ``size`` bytes.

    What is not worth to be cut here is believed to fit: nobody's small objects wait for a question about limits.
    """
    able = session.capabilities
    return size <= min(able.multipart_threshold, able.max_put) or size <= session.upload_limits().max_put


def refuse_single(session: Session, size: int, options: PutOptions) -> None:
    """Raise where ``size`` bytes do not fit in one request and cannot come in parts."""
    if not takes_parts(session, options) and not fits_at_once(session, size):
        message = f"{size} bytes are more than the {session.upload_limits().max_put} that one request can carry"
        raise UnsupportedOperationError(message, provider=session.provider)


class PartUploader:
    """A multipart upload under way. Leaving the ``with`` block without :meth:`finish` aborts it.

    At most ``concurrency`` parts are in flight; :meth:`add` waits for a free place.

    :param note: its place in the journal, which may name an upload to go on with.
    """

    def __init__(
        self,
        target: Target,
        options: PutOptions,
        concurrency: int,
        progress: Progress,
        note: UploadNote | None = None,
    ) -> None:
        self._target = target
        self._options = options
        self._progress = progress
        self._futures: list[Future[Part]] = []
        self._slots = threading.BoundedSemaphore(concurrency)
        self._pool = ThreadPoolExecutor(concurrency, "cloudbridge-upload") if concurrency > 1 else None
        self._failure: BaseException | None = None
        self._finished = False
        self._note = note
        self.upload_id = (note.upload_id if note is not None else "") or self._start()

    def _start(self) -> str:
        session, bucket, key = self._target
        upload_id = session.call(session.driver.start_upload, bucket, key, self._options)
        if self._note is not None:
            try:
                self._note.begin(upload_id)
            except BaseException:
                session.call(session.driver.abort_upload, bucket, key, upload_id)
                raise
        return upload_id

    def add_all(self, bodies: Iterator[Body]) -> None:
        """Send all bodies; the next is made only when there is a place for it, so that memory stays bounded."""
        while True:
            self._slots.acquire()
            body = next(bodies, None)
            if body is None:
                self._slots.release()
                return
            self._submit(body)

    def add(self, body: Body) -> None:
        """Send one more part. :raises StoreError: an earlier one failed."""
        self._slots.acquire()
        self._submit(body)

    def _submit(self, body: Body) -> None:
        number = len(self._futures) + 1
        if self._failure is not None:
            raise self._failure
        if self._pool is None:
            future: Future[Part] = Future()
            future.set_result(self._send(number, body))
            self._slots.release()
        else:
            future = self._pool.submit(self._send, number, body)
            future.add_done_callback(self._part_done)
        self._futures.append(future)

    def _send(self, number: int, body: Body) -> Part:
        session, bucket, key = self._target
        part = self._note.stored_part(session.driver, number, body) if self._note is not None else None
        if part is None:
            part = session.call(session.driver.upload_part, bucket, key, self.upload_id, number, body, self._options)
        self._progress.add(body.size)
        return part

    def _part_done(self, future: Future[Part]) -> None:
        if not future.cancelled() and future.exception() is not None:
            self._failure = self._failure or future.exception()
        self._slots.release()

    def wait_for_parts(self) -> list[Part]:
        """Wait until all parts are stored. :raises StoreError: one could not be."""
        return [future.result() for future in self._futures]

    def finish(self) -> Stored:
        """Wait for all parts and make the object of them."""
        parts = self.wait_for_parts()
        session, bucket, key = self._target
        stored = session.call(session.driver.finish_upload, bucket, key, self.upload_id, parts, self._options)
        self._finished = True
        return stored

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            interrupted = kind is not None and not issubclass(kind, Exception)
            stop_pool(self._pool, self._futures, INTERRUPT_PATIENCE if interrupted else None)
        over = self._finished or self._abort()
        if self._note is not None:
            self._note.end(over=over)
        self._target.session.end_doubt(self._target.bucket, self._target.key, self.upload_id)

    def _abort(self) -> bool:
        session, bucket, key = self._target
        try:
            session.call(session.driver.abort_upload, bucket, key, self.upload_id)
        except Exception:
            # The error that led here says more; what is left can be found by list_uploads().
            _log.warning("upload %s of %s/%s could not be aborted", self.upload_id, bucket, key, exc_info=True)
            return False
        return True
