"""What describes an object beside its content, kept so that one rename switches both.

It is JSON in an extended attribute of the object's file. Where the file system has none, or none of that size, it is a
*side file* in the control directory, named after the identity (inode, modification time, size) of the file that it
describes, and written before that file gets its name: whoever has the file open knows which attributes belong to it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from cloudbridge_store.drivers.base import ObjectInfo, PutOptions
from cloudbridge_store.drivers.local.content import identity, modified
from cloudbridge_store.drivers.local.control import Control
from cloudbridge_store.drivers.local.staging import Staging
from cloudbridge_store.filesystem import open_directory, sync_directory
from cloudbridge_store.sinks import write_all

_NAME = "user.cbs"
_NOT_HERE = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM})
_NO_ROOM = _NOT_HERE | {errno.ENOSPC, errno.E2BIG, errno.ERANGE}
_ABSENT = _NOT_HERE | {getattr(errno, "ENODATA", errno.ENOTSUP)}

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Attributes:
    """Description, tags and checksum of a file in the state that ``size`` and ``mtime_ns`` say."""

    content_type: str | None = None
    headers: Mapping[str, str] | None = None
    metadata: Mapping[str, str] | None = None
    tags: Mapping[str, str] | None = None
    crc32: str | None = None
    size: int | None = None
    mtime_ns: int | None = None

    @classmethod
    def describe(cls, options: PutOptions, *, crc32: int | None = None) -> Self:
        """Take over what ``options`` say of the object."""
        checksum = None if crc32 is None else f"{crc32:08x}"
        return cls(
            options.content_type, dict(options.headers), dict(options.metadata), dict(options.tags), crc32=checksum
        )

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Read attributes; anything that is not ours reads as none at all."""
        try:
            return cls(**json.loads(content))
        except (ValueError, TypeError):
            return cls()

    def to_json(self) -> bytes:
        """Write attributes, without those that are not set."""
        fields = ((name, getattr(self, name)) for name in self.__slots__)
        return _encode({name: value for name, value in fields if value}).encode()

    def sealed(self, status: os.stat_result) -> Self:
        """Return the same for a file in the state of ``status``."""
        return replace(self, size=status.st_size, mtime_ns=status.st_mtime_ns)

    def valid_crc32(self, status: os.stat_result) -> str | None:
        """Return the checksum, unless somebody edited the file in place since it was made."""
        return self.crc32 if (self.size or 0, self.mtime_ns) == (status.st_size, status.st_mtime_ns) else None

    def checksums(self, status: os.stat_result) -> Mapping[str, str]:
        """Return the digests that are known to cover the content."""
        crc32 = self.valid_crc32(status)
        return {} if crc32 is None else {"crc32": crc32}

    def info(self, key: str, status: os.stat_result) -> ObjectInfo:
        """Return everything that is known of an object."""
        return ObjectInfo(
            key,
            status.st_size,
            modified(status),
            identity(status),
            self.content_type,
            self.checksums(status),
            self.headers or {},
            self.metadata or {},
        )


class AttributeStore:
    """Where attributes are kept.

    :param control: the root's control directory, which has the side files.
    :param staging: where side files are written.
    """

    def __init__(self, control: Control, staging: Staging) -> None:
        self._directory = control.directory / "attributes"
        self._durable = control.durable
        self._staging = staging

    def write(self, file: int, status: os.stat_result, attributes: Attributes) -> None:
        """Describe an open file that has no attributes yet, or replace them in one step."""
        content = attributes.to_json()
        if _set(file, content):
            return
        self._write_side(status, content)
        # From here on the side file counts, as there is no extended attribute any more.
        _remove(file)

    def read(self, file: int, status: os.stat_result) -> Attributes | None:
        """Return an open file's attributes. ``None``: it has none, or was replaced and they went with it."""
        content = _get(file)
        if content is None:
            try:
                content = self._side(identity(status)).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return Attributes.from_json(content)

    def rewrite(self, file: int, status: os.stat_result, attributes: Attributes) -> None:
        """Replace the attributes of a file that others are reading, where they are."""
        if _get(file) is None and self.is_beside(status):
            self._write_side(status, attributes.to_json())
        else:
            self.write(file, status, attributes)

    def is_beside(self, status: os.stat_result) -> bool:
        """Return whether a file has a side file."""
        return self._side(identity(status)).exists()

    def forget(self, etag: str) -> None:
        """Remove the side file, if there is one, of a file that lost its name."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self._side(etag).unlink()

    def _side(self, etag: str) -> Path:
        inode = int(etag.partition("-")[0], 16)
        return self._directory / f"{inode & 0xFF:02x}" / f"{etag}.json"

    def _write_side(self, status: os.stat_result, content: bytes) -> None:
        path = self._side(identity(status))
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with self._staging.file() as draft:
            write_all(draft.file, memoryview(content))
            if self._durable:
                os.fsync(draft.file)
            os.rename(draft.name, path, src_dir_fd=draft.directory)
            draft.moved = True
        if self._durable:
            for directory in (path.parent, self._directory):
                _sync(directory)


def _sync(path: Path) -> None:
    directory = open_directory(path)
    try:
        sync_directory(directory)
    finally:
        os.close(directory)


def _set(file: int, content: bytes) -> bool:
    if not hasattr(os, "setxattr"):
        return False
    try:
        os.setxattr(file, _NAME, content)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        return False
    return True


def _get(file: int) -> bytes | None:
    if not hasattr(os, "getxattr"):
        return None
    try:
        return os.getxattr(file, _NAME)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        return None


def _remove(file: int) -> None:
    if not hasattr(os, "removexattr"):
        return
    with contextlib.suppress(OSError):
        os.removexattr(file, _NAME)
