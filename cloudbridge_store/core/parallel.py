"""Many small jobs on a few threads."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

INTERRUPT_PATIENCE = 3.0
"""Seconds that an interrupted operation waits for jobs under way before it leaves them to themselves."""

_END = object()


def run_parallel(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Generator[Result, None, None]:
    """Yield ``function(item)`` of all items, in the order they finish. Wrap it in ``contextlib.closing``.

    Items are taken as places come free, so there may be endlessly many. The first exception stops it and is raised when
    all jobs under way have ended; an interrupt, or closing the generator, waits for :data:`INTERRUPT_PATIENCE` only.
    """
    pool = ThreadPoolExecutor(workers, "cloudbridge")
    finished: SimpleQueue[Future[Result]] = SimpleQueue()
    running: set[Future[Result]] = set()
    source = iter(items)
    patience: float | None = INTERRUPT_PATIENCE
    try:
        while True:
            while len(running) < 2 * workers and (item := next(source, _END)) is not _END:
                future = pool.submit(function, item)  # type: ignore[arg-type]
                running.add(future)
                future.add_done_callback(finished.put)
            if not running:
                return
            future = finished.get()
            running.discard(future)
            yield future.result()
    except Exception:
        patience = None
        raise
    finally:
        stop_pool(pool, running, patience)


def stop_pool(pool: ThreadPoolExecutor, futures: Iterable[Future[Any]], patience: float | None) -> None:
    """Start no more jobs and wait for those under way, ``patience`` seconds at most; then they are on their own."""
    pool.shutdown(wait=False, cancel_futures=True)
    _, late = wait([future for future in futures if not future.cancelled()], timeout=patience)
    if not late:
        pool.shutdown()
