"""A local file that is replaced whole or not at all, by processes that may be killed at any time."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from cloudbridge_store.filesystem import open_directory, sync_directory

if sys.platform != "win32":
    import fcntl

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FLAGS = os.O_RDWR | _NOFOLLOW | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_LONGEST_NAME = 255
_SUFFIX = ".part"
_PRIVATE = 0o600
_TEMPORARY_NAME = re.compile(rf"\..*\.\d+{re.escape(_SUFFIX)}", re.DOTALL)


def is_temporary_name(name: str) -> bool:
    """Say whether a name is one that the next download beside it may take for what a killed one left, and remove."""
    return _TEMPORARY_NAME.fullmatch(name) is not None


class AtomicFile:
    """A file that appears complete under its name, or not at all; what was there stays until then.

    It is written beside the target, readable by its owner only, flushed to the disk, and renamed. Leaving the ``with``
    block by an exception, or without :meth:`commit`, removes it. The name beside the target is ``.NAME.0.part``, or the
    next number that no living process has locked: so what a killed process left is found, and removed, by the next one
    that writes the same target.

    :param path: the target; a symbolic link there is replaced, not followed.
    :param directory: descriptor that a relative ``path`` is relative to.
    :param overwrite: ``False`` refuses an existing target, also one that appears meanwhile.
    :param adopt: asked about what a killed process left, which is locked by then; where it says yes, that file is gone
        on with as it is. Until :meth:`release_hold` an exception leaves it there.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        directory: int | None = None,
        overwrite: bool = True,
        adopt: Callable[[os.stat_result], bool] | None = None,
    ) -> None:
        self._target = Path(path)
        self._directory = directory
        self._overwrite = overwrite
        name = self._target.name
        if not name or name in (".", ".."):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        room = _LONGEST_NAME - len(f"..999{_SUFFIX}")
        self._stem = os.fsencode(name)[:room].decode("utf-8", "ignore")
        self._temporary = self._target
        self._mode = 0
        self._adopt = adopt
        self._adopted: tuple[int, Path] | None = None
        self._keep = False
        self.fd = -1

    @property
    def part_name(self) -> str:
        """The name beside the target."""
        return self._temporary.name

    def __enter__(self) -> Self:
        if not self._overwrite and self._exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(self._target))
        try:
            self._open()
        except BaseException:
            self._close()
            if self._adopted is not None:
                os.close(self._adopted[0])
            raise
        return self

    def _open(self) -> None:
        for number in count():
            if self._claim(number):
                break
        self._remove_abandoned(number + 1)
        # The kernel has applied the umask, which cannot be read without setting it for every thread.
        self._mode = os.fstat(self.fd).st_mode & 0o777
        if sys.platform != "win32":
            os.fchmod(self.fd, _PRIVATE)
        if self._adopted is not None:
            # The fresh one was only made for its mode.
            os.unlink(self._temporary, dir_fd=self._directory)
            self._close()
            (self.fd, self._temporary), self._adopted = self._adopted, None
            self._keep = True

    def _exists(self) -> bool:
        try:
            os.stat(self._target, dir_fd=self._directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _name(self, number: int) -> Path:
        return self._target.with_name(f".{self._stem}.{number}{_SUFFIX}")

    def _claim(self, number: int) -> bool:
        """Create the temporary file of that number; ``False`` where somebody has it."""
        path = self._name(number)
        while True:
            try:
                fd = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=self._directory)
            except FileExistsError:
                if not self._remove(path):
                    return False
                continue
            if self._lock(fd, path):
                self.fd, self._temporary = fd, path
                return True
            os.close(fd)  # removed by one who saw it before it was locked

    def _remove_abandoned(self, number: int) -> None:
        while self._remove(self._name(number)):
            number += 1

    def _remove(self, path: Path) -> bool:
        """Remove a temporary file whose process is gone; ``False`` where it lives, or there is none to be removed."""
        try:
            fd = os.open(path, _FLAGS, dir_fd=self._directory)
        except OSError:
            return False
        try:
            if not self._lock(fd, path):
                return False
            if self._is_wanted(fd):
                self._adopted = fd, path
                return False
            os.unlink(path, dir_fd=self._directory)
        except OSError:
            return False
        finally:
            if self._adopted is None or self._adopted[0] != fd:
                os.close(fd)
        return True

    def _is_wanted(self, fd: int) -> bool:
        if sys.platform == "win32" or self._adopt is None or self._adopted is not None:
            return False
        status = os.fstat(fd)
        # Nobody but its owner can have written it, and no other name leads to it.
        private = stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == _PRIVATE
        return private and (status.st_uid, status.st_nlink) == (os.geteuid(), 1) and self._adopt(status)

    def _lock(self, fd: int, path: Path) -> bool:
        """Lock a file; ``False`` where somebody has it locked, or the name is no longer this file's."""
        if sys.platform == "win32":
            return True  # an open file cannot be removed there
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            named = os.stat(path, dir_fd=self._directory, follow_symlinks=False)
        except OSError:
            return False
        return os.path.samestat(named, os.fstat(fd))

    def release_hold(self) -> None:
        """Treat a file that was adopted like any other from now on."""
        self._keep = False

    def commit(self) -> None:
        """Make it the target's content, durably."""
        os.fsync(self.fd)
        if sys.platform == "win32":
            self._close()  # an open file cannot be renamed there
        else:
            os.fchmod(self.fd, self._mode)
        # Before the rename, so that no limit on open files strikes when the new file is there already.
        parent = -1 if sys.platform == "win32" else open_directory(self._target.parent, directory=self._directory)
        try:
            self._rename()
            # Not before the rename: closing gives the lock up, and the name with it.
            self._close()
            if parent >= 0:
                sync_directory(parent)
        finally:
            if parent >= 0:
                os.close(parent)

    def _rename(self) -> None:
        if self._overwrite:
            os.replace(self._temporary, self._target, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        else:
            os.link(self._temporary, self._target, src_dir_fd=self._directory, dst_dir_fd=self._directory)
            os.unlink(self._temporary, dir_fd=self._directory)

    def _close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.fd < 0:
            return
        try:
            if not self._keep:
                os.unlink(self._temporary, dir_fd=self._directory)
        except FileNotFoundError:
            pass
        self._close()


def is_part_file(path: Path, device: int, inode: int) -> bool:
    """Say whether a name is still that of the very file that was a download's part file."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == (device, inode)


def remove_part_file(path: Path, device: int, inode: int) -> None:
    """Remove the very file that was a download's part file, unless it is gone or somebody has it locked."""
    try:
        fd = os.open(path, _FLAGS)
    except OSError:
        return
    try:
        if sys.platform != "win32":
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino) == (device, inode) and is_part_file(path, device, inode):
            path.unlink()
    except BlockingIOError:
        pass
    finally:
        os.close(fd)
