"""Directories up and down: many files, a few at a time, each whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from fnmatch import translate
from pathlib import Path
from typing import Literal, NamedTuple

from cloudbridge_store.config import TransferConfig
from cloudbridge_store.core import checks
from cloudbridge_store.core.atomic import is_temporary_name
from cloudbridge_store.core.checks import PutKeywords
from cloudbridge_store.core.multipart import Target
from cloudbridge_store.core.parallel import run_parallel
from cloudbridge_store.core.progress import Progress, ProgressArgument
from cloudbridge_store.core.source import LocalFile, local_error
from cloudbridge_store.core.transfer import download_file, upload_body
from cloudbridge_store.drivers.base import ObjectInfo, Page
from cloudbridge_store.errors import (
    InvalidNameException,
    InvalidValueException,
    LocalIOError,
    StoreError,
    TransferError,
)
from cloudbridge_store.filesystem import open_beneath, open_directory
from cloudbridge_store.results import TransferReport, every_item

_LONGEST_NAME = 255


Patterns = Sequence[str] | Callable[[str], object]
"""Patterns of relative paths (``*`` crosses ``/``), or a test for them."""


class Choice:
    """Which relative paths are meant: those that fit an ``include`` pattern, or any without one, and no ``exclude``."""

    def __init__(self, include: Patterns, exclude: Patterns) -> None:
        self._include = _test("include", include)
        self._exclude = _test("exclude", exclude)

    def __contains__(self, path: str) -> bool:
        if self._include is not None and not self._include(path):
            return False
        return self._exclude is None or not self._exclude(path)


def _test(param: str, patterns: Patterns) -> Callable[[str], object] | None:
    if callable(patterns):
        return patterns
    if isinstance(patterns, str):
        raise InvalidValueException(param, patterns, "a sequence of patterns, or a callable")
    matches = [re.compile(translate(pattern)).match for pattern in patterns]
    return (lambda path: any(match(path) for match in matches)) if matches else None


class _Item(NamedTuple):
    """One thing to transfer: its key and its path below the directory."""

    key: str
    path: str


class _Skipped(Exception):
    """An item turned out to have no place; its argument says why."""


class _DirectoryTransfer(ABC):
    """What both directions share: running the items and adding up what became of them.

    :param target: session, bucket, and the prefix of the keys.
    """

    def __init__(
        self, target: Target, directory: str | os.PathLike[str], choice: Choice, config: TransferConfig | None
    ) -> None:
        self._session = target.session
        self._bucket = target.bucket
        self._prefix = checks.key_prefix(target.session, target.key)
        self._directory = Path(directory)
        self._choice = choice
        self._config = config
        self._lock = threading.Lock()
        self._skipped: dict[str, str] = {}
        self._failures: dict[str, Exception] = {}
        self._bytes = 0
        self._count = 0

    @abstractmethod
    def _items(self) -> Iterator[_Item]:
        """Find what there is to transfer; note what must be skipped."""

    @abstractmethod
    def _transfer(self, item: _Item, progress: Progress) -> int:
        """Transfer one item and return its bytes."""

    def run(
        self, progress: ProgressArgument, workers: int, errors: Literal["raise", "return"] = "raise"
    ) -> TransferReport:
        """Transfer everything. :raises TransferError: in the end, where something was left out."""
        if errors not in ("raise", "return"):
            raise InvalidValueException("errors", errors, '"raise" or "return"')
        started = time.perf_counter()
        with Progress(progress, None, self._bucket) as counter:

            def transfer(item: _Item) -> None:
                self._attempt(item, counter)

            with closing(run_parallel(transfer, self._items(), workers)) as results:
                for _ in results:
                    pass
        seconds = time.perf_counter() - started
        report = TransferReport(self._count, self._bytes, seconds, self._skipped, self._failures)
        if errors == "raise" and not report.ok:
            raise self._error(report)
        return report

    def _attempt(self, item: _Item, progress: Progress) -> None:
        try:
            size = self._transfer(item, progress)
        except StoreError as error:
            with self._lock:
                self._failures[item.key] = error
        except (_Skipped, InvalidNameException) as error:
            self._skip(item.key, str(error))
        else:
            with self._lock:
                self._count += 1
                self._bytes += size

    def _skip(self, name: str, reason: str) -> None:
        with self._lock:
            self._skipped[name] = reason

    def _error(self, report: TransferReport) -> TransferError:
        skipped = {name: LocalIOError(reason) for name, reason in report.skipped.items()}
        failures: dict[str, Exception] = {**skipped, **report.failures}
        name, first = next(iter(failures.items()))
        message = (
            f"{report.transferred} transferred, {len(report.skipped)} skipped, {len(report.failures)} failed, "
            f"the first: {name!r}: {first}"
        )
        hint = 'The others are in place; errors="return" gives a report instead'
        return TransferError(
            message, failures=failures, provider=self._session.provider, bucket=self._bucket, hint=hint
        )


class DirectoryUpload(_DirectoryTransfer):
    """Stores the regular files below a directory, all with the same options."""

    def __init__(
        self,
        target: Target,
        directory: str | os.PathLike[str],
        choice: Choice,
        config: TransferConfig | None,
        options: PutKeywords,
    ) -> None:
        super().__init__(target, directory, choice, config)
        self._options = options
        checks.put_options(target.session, "any", options)  # refuses them before the first file

    def _items(self) -> Iterator[_Item]:
        try:
            os.scandir(self._directory).close()
        except OSError as error:
            raise local_error(error, self._directory) from error
        for path in self._walk():
            relative = path.relative_to(self._directory).as_posix()
            if relative in self._choice:
                yield _Item(self._prefix + relative, relative)

    def _walk(self) -> Iterator[Path]:
        def note(error: OSError) -> None:
            self._skip(str(error.filename), error.strerror or str(error))

        for here, directories, files in os.walk(self._directory, onerror=note, followlinks=False):
            directories.sort()
            for path in (Path(here, name) for name in directories):
                if path.is_symlink():
                    self._note_special(path, "a symbolic link, which is not followed")
            for name in sorted(files):
                path = Path(here, name)
                if path.is_symlink():
                    self._note_special(path, "a symbolic link, which is not followed")
                elif not path.is_file():
                    self._note_special(path, "not a regular file")
                else:
                    yield path

    def _note_special(self, path: Path, reason: str) -> None:
        relative = path.relative_to(self._directory).as_posix()
        if relative in self._choice:
            self._skip(relative, reason)

    def _transfer(self, item: _Item, progress: Progress) -> int:
        key = checks.object_key(self._session, item.key)
        options = checks.put_options(self._session, key, self._options)
        with LocalFile(self._directory / item.path, follow_link=False) as file:
            progress.expect(file.size)
            target = Target(self._session, self._bucket, key)
            upload_body(target, file.body(), options, self._config, progress, file)
            return file.size


class DirectoryDownload(_DirectoryTransfer):
    """Writes objects to files, none of them outside of the directory."""

    def __init__(
        self,
        target: Target,
        directory: str | os.PathLike[str],
        choice: Choice,
        config: TransferConfig | None,
        *,
        overwrite: bool,
    ) -> None:
        super().__init__(target, directory, choice, config)
        self._overwrite = overwrite
        self._root = -1

    def run(
        self, progress: ProgressArgument, workers: int, errors: Literal["raise", "return"] = "raise"
    ) -> TransferReport:
        """Write everything. :raises LocalIOError: the directory cannot be made."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._root = open_directory(self._directory)
        except OSError as error:
            raise local_error(error, self._directory) from error
        try:
            return super().run(progress, workers, errors)
        finally:
            os.close(self._root)

    def _items(self) -> Iterator[_Item]:
        for item in every_item(self._fetch, self._item, size=self._session.capabilities.max_page):
            if item.path in self._choice and self._has_place(item):
                yield item

    def _fetch(self, limit: int, token: str | None) -> Page[ObjectInfo]:
        session = self._session
        return session.call(session.driver.list_objects, self._bucket, prefix=self._prefix, limit=limit, token=token)

    def _item(self, info: ObjectInfo) -> _Item:
        return _Item(info.key, info.key[len(self._prefix) :])

    def _has_place(self, item: _Item) -> bool:
        reason = _refusal(item.path)
        if reason is not None:
            self._skip(item.key, reason)
        return reason is None

    def _transfer(self, item: _Item, progress: Progress) -> int:
        *parents, name = item.path.split("/")
        path = self._directory / item.path
        try:
            directory = open_beneath(self._root, parents, create=True)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise _Skipped("a link or a file stands where its directory would be") from error
            raise local_error(error, path) from error
        try:
            target = Target(self._session, self._bucket, item.key)
            info = download_file(
                target, name, self._config, directory=directory, overwrite=self._overwrite, progress=progress
            )
        finally:
            os.close(directory)
        return info.size


def _refusal(path: str) -> str | None:
    if os.name != "posix":
        return "directories are restored on POSIX systems only"
    segments = path.split("/")
    if not path or "" in segments:
        return "a file's path has no empty segments"
    if "." in segments or ".." in segments:
        return "its path would lead out of its directory"
    if "\x00" in path:
        return "a file's path cannot hold NUL"
    if is_temporary_name(segments[-1]):
        return "its name is one of those that files have while they are downloaded"
    if any(len(os.fsencode(segment)) > _LONGEST_NAME for segment in segments):
        return f"a file's name has at most {_LONGEST_NAME} bytes"
    return None
