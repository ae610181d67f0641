"""One bar on stderr for everything that a command transfers, and the way to stop it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self


class Stopped(Exception):
    """Raised inside of a transfer that the user has interrupted, so that it clears away what it has begun."""


class Meter:
    """Adds up the progress of transfers from any thread.

    :param shown: show a bar, if stderr is a terminal and tqdm is installed.
    """

    def __init__(self, title: str = "", *, shown: bool) -> None:
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._bar: Any = _make_bar(title) if shown and sys.stderr.isatty() else None

    def expect(self, size: int) -> None:
        """Count bytes as still to come."""
        if self._bar is not None:
            with self._lock:
                self._bar.total = (self._bar.total or 0) + size

    def add(self, size: int) -> None:
        """Count bytes as done."""
        if self._bar is not None:
            with self._lock:
                self._bar.update(size)

    def follow(self) -> Callable[[int, int | None], None]:
        """Return a ``progress=`` for one transfer whose size was expected. It raises once :meth:`stop` was called."""
        done = 0

        def report(now: int, _total: int | None) -> None:
            nonlocal done
            self.check()
            self.add(now - done)
            done = now

        return report

    def follow_all(self) -> Callable[[int, int | None], None]:
        """Return a ``progress=`` for a transfer of many objects, which finds their sizes on its way."""
        report = self.follow()

        def report_all(now: int, total: int | None) -> None:
            if self._bar is not None:
                self._bar.total = total
            report(now, total)

        return report_all

    def check(self) -> None:
        """Raise :class:`Stopped` if everything is to stop."""
        if self._stopped.is_set():
            raise Stopped

    def stop(self) -> None:
        """Let every transfer end at its next piece."""
        self._stopped.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.stop()
        if self._bar is not None:
            self._bar.close()


def _make_bar(title: str) -> Any:
    try:
        from tqdm import tqdm  # here, because a bar is rarely wanted and tqdm is not quick to import
    except ImportError:
        return None
    return tqdm(
        desc=title or None, total=0, unit="B", unit_scale=True, unit_divisor=1024, dynamic_ncols=True, leave=False
    )
