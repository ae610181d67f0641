"""Files being written: each driver has a directory for them, and what a killed process left is removed by the next.

The directory's owner holds the lock of a file in it for as long as it lives. Making the directory and taking that lock
is one step for others, and so is looking for directories without an owner: both happen under the gate.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
import stat
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloudbridge_store.drivers.local.content import identity
from cloudbridge_store.drivers.local.control import Control
from cloudbridge_store.drivers.local.locks import lock_file, open_lock_file, try_lock
from cloudbridge_store.filesystem import open_directory

_SECONDS_BETWEEN_SWEEPS = 1.0
_REPLACES = ".replaces."
_RACES = 10
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL


@dataclass(slots=True)
class StagedFile:
    """A file without a place yet. Whoever moves it away sets ``moved``."""

    directory: int
    name: str
    file: int
    moved: bool = False

    def has_place(self) -> bool:
        """Ask the file system whether the file is no longer here, or no longer only here."""
        try:
            return os.stat(self.name, dir_fd=self.directory, follow_symlinks=False).st_nlink > 1
        except FileNotFoundError:
            return True

    @contextmanager
    def replacing(self, etag: str | None) -> Iterator[None]:
        """Have it written down, for the case of a crash, whose attributes are obsolete once this file was moved."""
        if etag is None:
            yield
            return
        note = f"{self.name}{_REPLACES}{etag}"
        os.close(os.open(note, _CREATE, 0o600, dir_fd=self.directory))
        try:
            yield
        finally:
            os.unlink(note, dir_fd=self.directory)


def obsolete_identities(folder: Path) -> Iterator[str]:
    """Yield the identities of files without a place, going by a staging directory whose owner died.

    They are those that did not get one yet, and those whose place was taken by a file that is not in there any more.
    """
    for path in folder.iterdir():
        staged, noted, etag = path.name.partition(_REPLACES)
        if noted and not (folder / staged).exists():
            yield etag
        status = path.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            yield identity(status)


def remove_tree(name: str, *, directory: int) -> None:
    """Remove a directory with all that is in it, also what is put in meanwhile."""
    for _ in range(_RACES):
        shutil.rmtree(name, ignore_errors=True, dir_fd=directory)
        try:
            os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return


@dataclass(frozen=True, slots=True)
class _Claim:
    path: Path
    directory: int
    lock: int
    process: int

    def release(self) -> None:
        if self.process == os.getpid():
            shutil.rmtree(self.path, ignore_errors=True)
        # Last: as long as the lock is held nobody else looks into the directory. Closing it in a forked child leaves
        # it with the parent.
        os.close(self.lock)


class Staging:
    """This driver's directory of files being written, made at first use."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._path = control.directory / "staging"
        self._claim: _Claim | None = None
        self._finalizer: Callable[[], object] | None = None
        self._lock = threading.Lock()
        self._names = itertools.count()
        self._next_sweep = 0.0

    @contextmanager
    def file(self) -> Iterator[StagedFile]:
        """Open a new file; it is closed in the end, and removed unless it was moved."""
        directory = self.directory()
        name = self.new_name()
        # Nobody else can enter the directory, so that the file can have the mode of its later place.
        staged = StagedFile(directory, name, os.open(name, _CREATE, 0o666, dir_fd=directory))
        try:
            yield staged
        finally:
            os.close(staged.file)
            if not staged.moved:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=directory)

    @contextmanager
    def folder(self) -> Iterator[str]:
        """Make a new directory, to be moved away or filled with what is to go; remove what is left of it."""
        name, directory = self.new_name(), self.directory()
        os.mkdir(name, 0o700, dir_fd=directory)
        try:
            yield name
        finally:
            remove_tree(name, directory=directory)

    def directory(self) -> int:
        """Return the descriptor of this driver's directory."""
        if self._claim is None:
            with self._lock, self._control.gate():
                if self._claim is None:
                    self._claim = self._make_claim()
                    # Not closed by close(): a thread that is still writing would go on in whatever gets its number.
                    weakref.finalize(self, os.close, self._claim.directory)
                    self._finalizer = weakref.finalize(self, self._claim.release)
        return self._claim.directory

    def new_name(self) -> str:
        """Return a name that nothing in the directory has."""
        return str(next(self._names))

    def sweep(self, *, on_crash: Callable[[Sequence[Path]], None]) -> None:
        """Remove what processes that died have left; does nothing where it was done a moment ago.

        :param on_crash: called with their directories, before these are removed.
        """
        now = time.monotonic()
        if now < self._next_sweep:
            return
        self._next_sweep = now + _SECONDS_BETWEEN_SWEEPS
        if not self._others():
            return
        with self._control.gate():
            dead = [found for name in self._others() if (found := self._lock_of_dead(name)) is not None]
        try:
            if dead:
                on_crash([path for path, _ in dead])
        finally:
            for path, lock in dead:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)

    def close(self) -> None:
        """Remove the directory."""
        with self._lock:
            self._claim = None
            if self._finalizer is not None:
                self._finalizer()

    def _make_claim(self) -> _Claim:
        path = self._path / f"{os.getpid()}-{secrets.token_hex(8)}"
        path.mkdir(mode=0o700)
        directory = open_directory(path)
        lock = open_lock_file("lock", directory=directory)
        lock_file(lock)
        return _Claim(path, directory, lock, os.getpid())

    def _others(self) -> list[str]:
        own = self._claim.path.name if self._claim is not None else None
        return [path.name for path in self._path.iterdir() if path.name != own]

    def _lock_of_dead(self, name: str) -> tuple[Path, int] | None:
        path = self._path / name
        try:
            lock = open_lock_file(path / "lock")
        except OSError:
            return None
        if try_lock(lock):
            return path, lock
        os.close(lock)
        return None
