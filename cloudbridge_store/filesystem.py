"""Directories of the local file system, reached by descriptor.

A path given by somebody else (an object's key) is walked one component at a time from a descriptor of the directory it
must stay in, and no symbolic link is followed on the way. A check of the joined path would race with whoever can rename
in it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

_DIRECTORY = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_DIRECTORY", 0) if os.name == "posix" else os.O_RDONLY
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_RACES = 100


def open_directory(path: str | os.PathLike[str], *, directory: int | None = None) -> int:
    """Open a directory by its path, which may lead through links: this is the trusted start of a walk.

    :param directory: descriptor that a relative ``path`` is relative to.
    """
    return os.open(path, _DIRECTORY, dir_fd=directory)


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
