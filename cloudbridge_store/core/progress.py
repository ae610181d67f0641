"""Progress of a transfer: one counter for all its threads, reported at a bearable rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from cloudbridge_store.errors import InvalidValueException, MissingDependencyError

ProgressArgument = bool | Callable[[int, int | None], object] | None
"""``True``: a tqdm bar; a callable: called with bytes done and bytes in all (``None`` where unknown)."""

INTERVAL = 0.1
"""Seconds between two reports."""


class Progress:
    """Counts bytes from any thread and reports at most ten times a second, and once at the end.

    :param total: bytes in all, ``None`` where unknown.
    :raises MissingDependencyError: ``True`` was given and tqdm is not installed.
    :raises InvalidValueException: neither a bool nor a callable was given.
    """

    def __init__(self, argument: ProgressArgument, total: int | None, name: str = "") -> None:
        self.total = total
        self.done = 0
        self._lock = threading.Lock()
        self._next = 0.0
        self._bar: Any = None
        self._report: Callable[[int, int | None], object] | None = None
        if argument is True:
            self._bar = _tqdm(total, name)
        elif callable(argument):
            self._report = argument
        elif argument not in (None, False):
            raise InvalidValueException("progress", argument, "True, or a callable of (bytes_done, bytes_total)")

    @property
    def watched(self) -> bool:
        """Whether anybody is told."""
        return self._bar is not None or self._report is not None

    def __enter__(self) -> Self:
        return self

    def expect(self, size: int) -> None:
        """Count ``size`` more bytes as still to come."""
        with self._lock:
            self.total = (self.total or 0) + size

    def add(self, count: int) -> None:
        """Count ``count`` more bytes; fewer than 0 takes back what has to be sent again."""
        if not self.watched:
            return
        with self._lock:
            self.done += count
            if time.monotonic() >= self._next:
                self._show()

    def _show(self) -> None:
        self._next = time.monotonic() + INTERVAL
        if self._bar is not None:
            self._bar.total = self.total
            self._bar.update(self.done - self._bar.n)
        elif self._report is not None:
            self._report(self.done, self.total)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if kind is None:
                self._show()
            if self._bar is not None:
                self._bar.close()


def _tqdm(total: int | None, name: str) -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        message = "progress=True needs tqdm, which is not installed: pip install 'cloudbridge-store[progress]'"
        raise MissingDependencyError(message) from error
    return tqdm(total=total, desc=name or None, unit="B", unit_scale=True, unit_divisor=1024)
