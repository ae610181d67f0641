"""The control directory: what a root remembers beside its objects.

``.cbs/`` holds ``layout.json`` (how keys become paths here, decided once), ``secret`` (signs URLs), ``gate`` and
``locks/`` (locks), ``staging/`` (files being written), ``uploads/`` (multipart uploads) and ``attributes/`` (what
describes objects, where the file system has no extended attributes). It is only made when something is written.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import sys
import unicodedata
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from cloudbridge_store.drivers.local.layout import Layout, make_layout
from cloudbridge_store.drivers.local.locks import locked_file
from cloudbridge_store.errors import InvalidConfigurationException
from cloudbridge_store.filesystem import open_directory, sync_directory

_VERSION = 1
_FOLDERS = ("attributes", "locks", "staging", "uploads")
_SECRET_BYTES = 32


class Control:
    """A root's directory and its control directory.

    :param durable: flush what is written to the disk before it counts.
    """

    def __init__(self, root: Path, layout_name: str, *, durable: bool) -> None:
        self.root = root
        self.directory = root / ".cbs"
        self.durable = durable
        self._layout_name = layout_name
        self._layout: Layout | None = None
        self._prepared = False

    def check(self) -> None:
        """See that the root can be used, as far as that needs no writing. :raises InvalidConfigurationException:"""
        if sys.getfilesystemencoding().lower() != "utf-8":
            message = "local_root: file names must be UTF-8 here; set PYTHONUTF8=1 in the environment"
            raise InvalidConfigurationException(message)
        try:
            os.scandir(self.root).close()
        except FileNotFoundError:
            return
        except OSError as error:
            what = "is not a directory" if error.errno == errno.ENOTDIR else f"cannot be read: {error.strerror}"
            message = f"local_root {str(self.root)!r} {what}"
            raise InvalidConfigurationException(message) from error
        self.layout()

    def layout(self) -> Layout:
        """Return the layout in force. :raises InvalidConfigurationException: the root was made with another."""
        if self._layout is not None:
            return self._layout
        try:
            content = (self.directory / "layout.json").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            # Nothing was ever written here. Not kept: another process may be about to write, and decide on folding.
            return make_layout(self._layout_name, fold=False)
        except OSError as error:
            message = f"local_root {str(self.root)!r}: .cbs/layout.json cannot be read: {error.strerror}"
            raise InvalidConfigurationException(message) from error
        self._layout = self._read_layout(content)
        return self._layout

    def prepare(self) -> Layout:
        """Make what writing needs, where it is missing, and return the layout."""
        if not self._prepared:
            self._make_directories()
            self.make_once("layout.json", self._decide_layout)
            self._layout = None
            self.layout()
            self._prepared = True
        return self.layout()

    def gate(self) -> AbstractContextManager[None]:
        """Hold the lock on what happens once for all processes, waiting for it."""
        return locked_file(self.directory / "gate")

    def secret(self) -> bytes:
        """Return the secret that all processes of this root share, which is made at first use."""
        self.prepare()
        content = self.make_once("secret", lambda: secrets.token_hex(_SECRET_BYTES).encode())
        return bytes.fromhex(content.decode())

    def make_once(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Return a file's content; where there is none it is made, whole, by one process for all."""
        path = self.directory / name
        with contextlib.suppress(FileNotFoundError):
            return path.read_bytes()
        with self.gate():
            with contextlib.suppress(FileNotFoundError):
                return path.read_bytes()
            content = make()
            # One name, as the gate lets one writer in: what a killed one left is overwritten.
            draft = self.directory / f"{name}.new"
            draft.unlink(missing_ok=True)
            file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "wb") as stream:
                stream.write(content)
                stream.flush()
                if self.durable:
                    os.fsync(file)
            draft.rename(path)
            self._sync(self.directory)
        return content

    def _make_directories(self) -> None:
        missing = [path for path in (self.root, *self.root.parents) if not path.exists()]
        self.root.mkdir(parents=True, exist_ok=True)
        self.directory.mkdir(mode=0o700, exist_ok=True)
        for folder in _FOLDERS:
            (self.directory / folder).mkdir(mode=0o700, exist_ok=True)
        for path in (self.directory, self.root, *(path.parent for path in missing)):
            self._sync(path)

    def _sync(self, path: Path) -> None:
        if self.durable:
            directory = open_directory(path)
            try:
                sync_directory(directory)
            finally:
                os.close(directory)

    def _decide_layout(self) -> bytes:
        decided = {"version": _VERSION, "layout": self._layout_name, "fold": folds_names(self.directory)}
        return json.dumps(decided).encode()

    def _read_layout(self, content: bytes) -> Layout:
        where = f"local_root {str(self.root)!r}"
        try:
            decided = json.loads(content)
            version, name, fold = int(decided["version"]), str(decided["layout"]), bool(decided["fold"])
        except (ValueError, TypeError, KeyError) as error:
            message = f"{where}: .cbs/layout.json is damaged; restore it, or remove it if the layout is still the same"
            raise InvalidConfigurationException(message) from error
        if version > _VERSION:
            message = f"{where} was made by a newer version of this library (format {version}); upgrade it here"
            raise InvalidConfigurationException(message)
        if name != self._layout_name:
            message = f"{where} has local_layout {name!r}, not {self._layout_name!r}"
            raise InvalidConfigurationException(message)
        return make_layout(name, fold=fold)


def folds_names(directory: Path) -> bool:
    """Try whether a file system takes two names for one that differ in case or in normal form."""
    name = "Probe-\u00c9"
    probe = directory / name
    try:
        probe.touch(mode=0o600)
    except (OSError, UnicodeError):
        # It does not take all names; written in safe ASCII they are safe.
        return True
    try:
        return any((directory / other).exists() for other in (name.lower(), unicodedata.normalize("NFD", name)))
    finally:
        probe.unlink()
