"""Directories and what is in them: one read in order, many searched for anything, or swept of nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator

from cloudbridge_store.drivers.local.layout import Layout
from cloudbridge_store.filesystem import open_beneath

GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})

_SETTLED_NANOSECONDS = 50_000_000
_LEAST_WORTH_KEEPING = 256
_MOST_KEPT = 1_000_000


def scan(directory: int, layout: Layout) -> Iterator[tuple[str, bool, bytes]]:
    """Yield name, whether it is a directory, and sort piece of what stands for keys in a directory; nothing else."""
    with os.scandir(directory) as entries:
        for entry in entries:
            is_directory = entry.is_dir(follow_symlinks=False)
            if is_directory or entry.is_file(follow_symlinks=False):
                piece = layout.piece(entry.name, directory=is_directory)
                if piece is not None:
                    yield entry.name, is_directory, piece


def holds_object(directory: int, layout: Layout) -> bool:
    """Return whether there is an object anywhere in a directory."""
    at: tuple[str, ...] = ()
    pending = [at]
    here = os.dup(directory)
    try:
        while pending:
            path = pending.pop()
            # Mostly one goes a step down from where one is; the way from the start is long for deep keys.
            is_below = path[:-1] == at and path
            try:
                entered = open_beneath(here, path[-1:]) if is_below else open_beneath(directory, path)
            except OSError as error:
                if error.errno not in GONE:
                    raise
                continue
            os.close(here)
            here, at = entered, path
            for name, is_directory, _ in scan(here, layout):
                if not is_directory:
                    return True
                pending.append((*path, name))
    finally:
        os.close(here)
    return False


def remove_empty_directories(directory: int) -> None:
    """Remove the directories below one that hold nothing but such; whatever holds something stays."""
    found: list[tuple[str, ...]] = [()]
    for path in found:
        with opened(directory, path) as here:
            if here is not None:
                with os.scandir(here) as entries:
                    found += [(*path, entry.name) for entry in entries if entry.is_dir(follow_symlinks=False)]
    for path in reversed(found[1:]):
        with opened(directory, path[:-1]) as parent, contextlib.suppress(OSError):
            if parent is not None:
                os.rmdir(path[-1], dir_fd=parent)


@contextlib.contextmanager
def opened(root: int, path: tuple[str, ...]) -> Iterator[int | None]:
    """Open a directory below another for a while; ``None`` if it is not there any more."""
    try:
        directory = open_beneath(root, path)
    except OSError as error:
        if error.errno not in GONE:
            raise
        yield None
        return
    try:
        yield directory
    finally:
        os.close(directory)


class DirectoryCache:
    """The sorted contents of large directories read lately, so that their next page needs no reading and sorting.

    A directory's change time tells whether it is as it was, but no finer than the kernel's clock ticks: what is read
    within that time after a change is not kept.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, int, int, int], list[bytes]] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()

    def pieces(self, directory: int, layout: Layout) -> list[bytes]:
        """Return the sort pieces of a directory in order; not to be changed."""
        status = os.fstat(directory)
        state = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        with self._lock:
            if (kept := self._kept.get(state)) is not None:
                self._kept.move_to_end(state)
                return kept
        settled = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _SETTLED_NANOSECONDS
        pieces = sorted(piece for _, _, piece in scan(directory, layout))
        if settled and len(pieces) >= _LEAST_WORTH_KEEPING:
            self._keep(state, pieces)
        return pieces

    def _keep(self, state: tuple[int, int, int, int], pieces: list[bytes]) -> None:
        with self._lock:
            if state not in self._kept:
                self._total += len(pieces)
            self._kept[state] = pieces
            while self._total > _MOST_KEPT and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                self._total -= len(dropped)
