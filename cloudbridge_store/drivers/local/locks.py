"""Mutual exclusion between the threads of all processes that share a root."""

from __future__ import annotations

import os
import sys
import threading
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_STRIPES = 64


class StripedLocks:
    """A lock for every object, of which a fixed number exist: objects that share one only wait a little longer.

    ``flock`` belongs to an open file, which threads share, so that each stripe has a lock for threads as well. The
    kernel drops the file's lock when its process dies.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._threads = [threading.Lock() for _ in range(_STRIPES)]
        self._files = [-1] * _STRIPES
        weakref.finalize(self, _close_all, self._files)

    @contextmanager
    def hold(self, bucket: str, key: str = "") -> Iterator[None]:
        """Keep everybody else from switching this object; without a key, from creating or deleting the bucket.

        Not to be held twice by one thread: two names may share a stripe.
        """
        stripe = zlib.crc32(f"{bucket}/{key}".encode()) % _STRIPES
        with self._threads[stripe]:
            file = self._files[stripe]
            if file < 0:
                file = self._files[stripe] = open_lock_file(self._directory / f"{stripe:02d}")
            lock_file(file)
            try:
                yield
            finally:
                # Not left to the closing of the file: a child made by fork has it open too.
                unlock_file(file)

    def close(self) -> None:
        """Close the lock files, each when nobody holds it."""
        for stripe, lock in enumerate(self._threads):
            with lock:
                file, self._files[stripe] = self._files[stripe], -1
                if file >= 0:
                    os.close(file)


def open_lock_file(path: str | os.PathLike[str], *, directory: int | None = None) -> int:
    """Open a file to lock, which is made where it is missing; the caller closes it."""
    return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600, dir_fd=directory)


def lock_file(file: int) -> None:
    """Lock an open file, waiting for it."""
    fcntl.flock(file, fcntl.LOCK_EX)


def unlock_file(file: int) -> None:
    """Let others lock an open file."""
    fcntl.flock(file, fcntl.LOCK_UN)


def try_lock(file: int) -> bool:
    """Lock an open file, unless somebody else has."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked_file(path: Path) -> Iterator[None]:
    """Hold the lock of a file, waiting for it."""
    file = open_lock_file(path)
    try:
        lock_file(file)
        try:
            yield
        finally:
            unlock_file(file)
    finally:
        os.close(file)


def _close_all(files: list[int]) -> None:
    for index, file in enumerate(files):
        if file >= 0:
            os.close(file)
            files[index] = -1
