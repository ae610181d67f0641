"""The files that ``demo`` works on: the user's own, or the sources of Python's standard library."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cloudbridge_store.errors import InvalidValueException, LocalFileNotFoundError

_LEFT_OUT = frozenset({"__pycache__", "site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3"})


class Sample(NamedTuple):
    """One file."""

    path: Path
    relative: str
    size: int


@dataclass(frozen=True, slots=True)
class Samples:
    """The files below a directory, as far as they are taken."""

    directory: Path
    files: tuple[Sample, ...]
    cut: bool
    """Whether there are more than are taken."""

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(each.size for each in self.files)

    @property
    def largest(self) -> Sample:
        """The largest file."""
        return max(self.files, key=lambda each: each.size)


def find_samples(directory: Path | None, *, most_files: int, most_bytes: int) -> Samples:
    """Return regular files below a directory, by name; without one, those of Python's standard library.

    Links are not followed, and what begins with a dot is left alone.

    :raises LocalFileNotFoundError: there is no such directory. :raises InvalidValueException: it holds no file.
    """
    root = directory or Path(sysconfig.get_path("stdlib"))
    if not root.is_dir():
        message = f"{root} is no directory"
        raise LocalFileNotFoundError(message)
    files: list[Sample] = []
    total = 0
    cut = False
    for path in _regular_files(root, python_only=directory is None):
        size = path.stat().st_size
        if len(files) == most_files or total + size > most_bytes:
            cut = True
            continue
        files.append(Sample(path, path.relative_to(root).as_posix(), size))
        total += size
    if not any(each.size for each in files):
        raise InvalidValueException("directory", str(root), "a directory with files that are readable and not empty")
    return Samples(root, tuple(files), cut)


def _regular_files(root: Path, *, python_only: bool) -> Iterator[Path]:
    for here, directories, names in os.walk(root):
        unwanted = _LEFT_OUT if python_only else frozenset[str]()
        directories[:] = sorted(name for name in directories if name not in unwanted and not name.startswith("."))
        for name in sorted(names):
            path = Path(here, name)
            wanted = name.endswith(".py") if python_only else not name.startswith(".")
            if wanted and not path.is_symlink() and path.is_file() and os.access(path, os.R_OK):
                yield path
