"""The local file system, safely: directories reached by descriptor, files replaced whole or not at all.

A path given by somebody else (an object's key) is walked one component at a time from a descriptor of the directory it
must stay in, and no symbolic link is followed on the way. A check of the joined path would race with whoever can rename
in it.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_DIRECTORY = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_DIRECTORY", 0) if os.name == "posix" else os.O_RDONLY
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_LONGEST_NAME = 255
_RACES = 100


def open_directory(path: str | os.PathLike[str]) -> int:
    """Open a directory by its path, which may lead through links: this is the trusted start of a walk."""
    return os.open(path, _DIRECTORY)


def open_beneath(root: int, segments: Sequence[str], *, create: bool = False) -> int:
    """Open the directory ``segments`` below ``root`` without following links; the caller closes it.

    :param create: make directories that are missing, again where another process removes them meanwhile.
    :raises OSError: ``ENOENT`` or ``ENOTDIR`` as usual, ``ELOOP`` or ``ENOTDIR`` where a link stands in the way.
    """
    for _ in range(_RACES):
        try:
            return _walk(root, segments, create=create)
        except FileNotFoundError:
            if not create:
                raise
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), "/".join(segments))


def _walk(root: int, segments: Sequence[str], *, create: bool) -> int:
    here = os.dup(root)
    try:
        for segment in segments:
            below = _enter(here, segment, create=create)
            os.close(here)
            here = below
    except BaseException:
        os.close(here)
        raise
    return here


def _enter(directory: int, segment: str, *, create: bool) -> int:
    if segment in ("", ".", "..") or "/" in segment:
        raise OSError(errno.EINVAL, "not a name of something in a directory", segment)
    try:
        return os.open(segment, _DIRECTORY | _NOFOLLOW, dir_fd=directory)
    except FileNotFoundError:
        if not create:
            raise
    try:
        os.mkdir(segment, dir_fd=directory)
    except FileExistsError:
        pass
    return os.open(segment, _DIRECTORY | _NOFOLLOW, dir_fd=directory)


def sync_directory(directory: int) -> None:
    """Make names in a directory durable, where the file system can."""
    try:
        os.fsync(directory)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise


class AtomicFile:
    """A file that appears complete under its name, or not at all; what was there stays until then.

    It is written beside the target as ``.NAME.XXXXXXXX.part``, readable by its owner only, flushed to the disk, and
    renamed. Leaving the ``with`` block by an exception, or without :meth:`commit`, removes it.

    :param path: the target; a symbolic link there is replaced, not followed.
    :param directory: descriptor that a relative ``path`` is relative to.
    :param overwrite: ``False`` refuses an existing target, also one that appears meanwhile.
    """

    def __init__(self, path: str | os.PathLike[str], *, directory: int | None = None, overwrite: bool = True) -> None:
        self._target = Path(path)
        self._directory = directory
        self._overwrite = overwrite
        name = self._target.name
        if not name or name in (".", ".."):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        suffix = f".{secrets.token_hex(4)}.part"
        stem = os.fsencode(name)[: _LONGEST_NAME - len(suffix) - 1].decode("utf-8", "ignore")
        self._temporary = self._target.with_name(f".{stem}{suffix}")
        self.fd = -1

    def __enter__(self) -> Self:
        if not self._overwrite and self._exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(self._target))
        flags = (
            os.O_RDWR | os.O_CREAT | os.O_EXCL | _NOFOLLOW | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        )
        self.fd = os.open(self._temporary, flags, 0o666, dir_fd=self._directory)
        # The kernel has applied the umask, which cannot be read without setting it for every thread.
        self._mode = os.fstat(self.fd).st_mode & 0o777
        if os.name == "posix":
            os.fchmod(self.fd, 0o600)
        return self

    def _exists(self) -> bool:
        try:
            os.stat(self._target, dir_fd=self._directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def commit(self) -> None:
        """Make it the target's content, durably."""
        if os.name == "posix":
            os.fchmod(self.fd, self._mode)
        os.fsync(self.fd)
        os.close(self.fd)
        self.fd = -1
        if self._overwrite:
            os.replace(self._temporary, self._target, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        else:
            os.link(self._temporary, self._target, src_dir_fd=self._directory, dst_dir_fd=self._directory)
            os.unlink(self._temporary, dir_fd=self._directory)
        self._sync_parent()

    def _sync_parent(self) -> None:
        if os.name != "posix":
            return
        parent = os.open(self._target.parent, _DIRECTORY, dir_fd=self._directory)
        try:
            sync_directory(parent)
        finally:
            os.close(parent)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        try:
            os.unlink(self._temporary, dir_fd=self._directory)
        except FileNotFoundError:
            pass
