"""What ``cp`` does: items found one by one, copied on a few threads, and counted."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from cloudbridge_store.cli.progress import Meter, Stopped
from cloudbridge_store.errors import LocalIOError, PreconditionFailedError, StoreError

_PATIENCE = 3.0
"""Seconds that interrupted transfers have to clear away what they have begun."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to copy.

    :param copy: does it, telling the meter about each piece, and returns the bytes copied.
    :param size: bytes, ``None`` where that is not known before.
    """

    source: str
    destination: str
    size: int | None
    copy: Callable[[Meter], int]


@dataclass(slots=True)
class Report:
    """What became of the items."""

    transferred: int = 0
    bytes: int = 0
    seconds: float = 0.0
    existing: list[str] = field(default_factory=list)
    """Destinations that ``--no-clobber`` left as they were."""
    skipped: dict[str, str] = field(default_factory=dict)
    """What could not be copied as it is, with the reason."""
    failures: dict[str, Exception] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether all was copied that was to be."""
        return not self.skipped and not self.failures

    @property
    def nothing(self) -> bool:
        """Whether there was nothing to do."""
        return self.ok and not self.transferred and not self.existing

    def record(self) -> dict[str, Any]:
        """Return it as values for JSON."""
        return {
            "transferred": self.transferred,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 6),
            "existing": self.existing,
            "skipped": self.skipped,
            "failures": {name: str(error) for name, error in self.failures.items()},
        }


def copy_items(items: Iterable[Item], jobs: int, meter: Meter, report: Report | None = None) -> Report:
    """Copy items as they are found, a few at a time, and say what became of them.

    Failures are noted and the others go on. An interrupt stops what is under way at its next piece.

    :param report: already holds what was skipped while items were found.
    """
    report = report if report is not None else Report()
    started = time.perf_counter()
    running: dict[Future[int], Item] = {}
    source = iter(items)
    pool = ThreadPoolExecutor(jobs, "copy")
    try:
        while True:
            for item in _some(source, 2 * jobs - len(running)):
                meter.expect(item.size or 0)
                running[pool.submit(item.copy, meter)] = item
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                _note(report, running.pop(future), future)
    except BaseException:
        meter.stop()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        wait([future for future in running if not future.cancelled()], timeout=_PATIENCE)
    report.seconds = time.perf_counter() - started
    return report


def _some(items: Iterator[Item], count: int) -> Iterator[Item]:
    for _ in range(count):
        item = next(items, None)
        if item is None:
            return
        yield item


def _note(report: Report, item: Item, future: Future[int]) -> None:
    try:
        report.bytes += future.result()
        report.transferred += 1
    except ExistsError:
        report.existing.append(item.destination)
    except (StoreError, OSError, ValueError, Stopped) as error:
        report.failures[item.source] = error


class ExistsError(Exception):
    """What ``--no-clobber`` is for."""


def unless_existing(copy: Callable[[], int]) -> int:
    """Call ``copy`` that must not replace. :raises ExistsError: it would have."""
    try:
        return copy()
    except PreconditionFailedError as error:
        raise ExistsError from error
    except LocalIOError as error:
        if is_existing_file(error):
            raise ExistsError from error
        raise


def is_existing_file(error: Exception) -> bool:
    """Say whether a download failed because its file exists."""
    return isinstance(error, OSError) and error.errno == errno.EEXIST
