"""What is written down of transfers under way, so that the next process can go on where a killed one stopped.

One file for each transfer, in a directory that only its owner reads. It is locked while its process lives, so that
nobody has to guess by age or process number whether the transfer still runs. No secret stands in it, no signed URL and
no customer's key: the provider and the options are digests, under a salt that never leaves the directory.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

from cloudbridge_store.filesystem import open_directory, sync_directory
from cloudbridge_store.redaction import unhide
from cloudbridge_store.sinks import write_all

if sys.platform != "win32":
    import fcntl

OFF = "none"
"""The value of the config key ``journal`` that switches it off."""
FORMAT = 1
RUBBISH_SECONDS = 7 * 86_400
"""How old a file must be that nobody understands before it is removed."""
_SUFFIX = ".journal"
_SALT = "salt"
_SALT_BYTES = 32
_LATEST = 2**37  # seconds, of the year 6325: what datetime can hold
_LARGEST_FILE = 64 * 2**20
_FLAGS = os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_log = logging.getLogger("cloudbridge_store")

Kind = Literal["upload", "download"]


@dataclass(frozen=True, slots=True)
class Record:
    """What a transfer needs to be gone on with. Sizes are bytes."""

    kind: Kind
    bucket: str
    key: str
    path: str
    """Absolute: the file that is uploaded, or the one to come."""
    size: int
    part_size: int
    device: int
    inode: int
    """Of the file that is uploaded, or of the part file of a download."""
    options: str
    """Digest of all that must be the same in the call that goes on."""
    own_key: bool = False
    """A customer's key is needed, which only the caller has."""
    started: float = field(default_factory=time.time)
    upload_id: str = ""
    mtime_ns: int = 0
    if_match: str | None = None
    if_none_match: str | None = None
    part_name: str = ""
    etag: str = ""
    version: str | None = None
    start: int = 0
    stop: int | None = None
    overwrite: bool = True

    @property
    def part_file(self) -> Path:
        """Where the bytes of a download are until it is whole."""
        return Path(self.path).parent / Path(self.part_name).name


_TYPES = {
    "Kind": str,
    "str": str,
    "int": int,
    "bool": bool,
    "float": (int, float),
    "str | None": (str, type(None)),
    "int | None": (int, type(None)),
}


class Entry:
    """One file of the journal, locked by this process until :meth:`release` or :meth:`remove`."""

    def __init__(self, path: Path, fd: int, record: Record, ranges: dict[int, int] | None = None) -> None:
        self.name = path.name
        self.record = record
        self.ranges = ranges or {}
        """The CRC-32 of every range that is done, by its start."""
        self._path = path
        self._fd = fd
        self._lock = threading.Lock()

    def note_range(self, start: int, crc32: int) -> None:
        """Write down that a range is done. One that cannot be written is only fetched again some day."""
        line = f'{{"start": {start}, "crc32": {crc32}}}\n'.encode()
        with self._lock:
            if self._fd >= 0:
                try:
                    write_all(self._fd, memoryview(line))
                except OSError:
                    _log.debug("a range could not be noted in %s", self._path, exc_info=True)

    def remove(self) -> None:
        """Strike it out: the transfer is over."""
        with self._lock:
            if self._fd >= 0:
                try:
                    # Not after the lock is given up: the name could be another's by then.
                    self._path.unlink()
                except OSError:
                    _log.warning("%s could not be removed", self._path, exc_info=True)
        self.release()

    def release(self) -> None:
        """Give up the lock, and leave it to the next one."""
        with self._lock:
            fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class Journal:
    """The transfers under way of one provider, in a directory that others share.

    A directory that cannot be used switches it off, with a line in the log: what it is for is never worth a failure.

    :param directory: ``None`` stands for one in the user's state directory.
    :param identity: what tells this provider's account from others; only its digest is written.
    """

    def __init__(self, directory: Path | None, identity: bytes) -> None:
        self._directory = directory
        self._identity = identity
        self._salt = b""
        self._off = sys.platform == "win32"  # no flock

    def open(self, *, create: bool) -> bool:
        """Say whether it can be used.

        :param create: make the directory where there is none.
        """
        if not self._salt and not self._off:
            try:
                self._directory = (self._directory or _default_directory()).absolute()
                self._salt = _prepare(self._directory, create=create)
                if self._salt:
                    self._sweep()
            except (OSError, RuntimeError) as error:
                self._switch_off(error)
        return bool(self._salt) and not self._off

    def _switch_off(self, error: Exception) -> None:
        if not self._off:
            self._off = True
            _log.warning("transfers are not written down, and start over after a crash: %s", error)

    @property
    def _folder(self) -> Path:
        assert self._directory is not None
        return self._directory

    def digest(self, *values: object) -> str:
        """Return what stands for values that must not be readable. The journal must be open."""
        return blake2b(
            repr(unhide(values)).encode("utf-8", "surrogatepass"), key=self._salt, digest_size=16
        ).hexdigest()

    @property
    def _provider(self) -> str:
        return self.digest(self._identity)

    def _prefix(self, kind: Kind, bucket: str, key: str) -> str:
        return f"{self.digest(self._identity, kind, bucket, key)}-"

    def create(self, record: Record) -> Entry | None:
        """Write a transfer down, durably, and hold its lock. ``None`` where that cannot be done."""
        import json

        name = f"{self._prefix(record.kind, record.bucket, record.key)}{os.urandom(8).hex()}{_SUFFIX}"
        path = self._folder / name
        head = json.dumps({"format": FORMAT, "provider": self._provider, **asdict(record)}) + "\n"
        try:
            fd = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
            entry = Entry(path, fd, record)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                write_all(fd, memoryview(head.encode()))
                os.fsync(fd)
                _sync(self._folder)
            except BaseException:
                entry.remove()
                raise
        except OSError as error:
            self._switch_off(error)
            return None
        return entry

    def find(self, kind: Kind, bucket: str, key: str) -> Iterator[Entry]:
        """Yield the transfers of an object that no living process holds, each locked: release or remove it."""
        return self._entries(self._prefix(kind, bucket, key))

    def entries(self) -> Iterator[Entry]:
        """Yield all of this provider's that no living process holds, each locked: release or remove it."""
        return self._entries("")

    def _entries(self, prefix: str) -> Iterator[Entry]:
        try:
            names = sorted(path.name for path in self._folder.iterdir())
        except OSError:
            return
        for name in names:
            if name.startswith(prefix) and (entry := self.claim(name)) is not None:
                yield entry

    def claim(self, name: str) -> Entry | None:
        """Take a transfer over. ``None`` where somebody has it, it is over, another provider's, or no transfer."""
        path = self._folder / name
        fd = _open_locked(path) if name.endswith(_SUFFIX) else None
        if fd is None:
            return None
        entry = None
        try:
            entry = self._read(path, fd)
        except OSError:
            _log.debug("%s cannot be read", path, exc_info=True)
        finally:
            if entry is None:
                os.close(fd)
        return entry

    def _read(self, path: Path, fd: int) -> Entry | None:
        data = _content(fd)
        parsed = _parse(data)
        if parsed is None or parsed[0] != self._provider:
            return None
        _, record, ranges, length = parsed
        if length < len(data):
            os.ftruncate(fd, length)  # or the next line would join the one that was cut off
        return Entry(path, fd, record, ranges)

    def _sweep(self) -> None:
        """Remove files of the journal's name that nobody understands, holds or has lately written."""
        for path in self._folder.iterdir():
            fd = _open_locked(path) if path.name.endswith(_SUFFIX) else None
            if fd is None:
                continue
            try:
                old = os.fstat(fd).st_mtime < time.time() - RUBBISH_SECONDS
                if old and _parse(_content(fd)) is None:
                    path.unlink()
            except OSError:
                _log.debug("%s cannot be removed", path, exc_info=True)
            finally:
                os.close(fd)


def _default_directory() -> Path:
    import platformdirs

    return platformdirs.user_state_path("cloudbridge_store") / "transfers"


def _prepare(directory: Path, *, create: bool) -> bytes:
    """Return the salt of a directory, or nothing where there is none. :raises OSError: it cannot be used."""
    if create:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    elif not directory.exists():
        return b""
    _refuse_others(directory)
    salt = _read_salt(directory)
    return _make_salt(directory) if create and not salt else salt


def _refuse_others(directory: Path) -> None:
    """Raise where somebody else could put into the directory what this process would then believe."""
    status = directory.stat()
    if sys.platform != "win32" and status.st_uid != os.geteuid():
        message = f"{directory} belongs to somebody else"
        raise PermissionError(message)
    if status.st_mode & 0o022:
        message = f"others may write in {directory}"
        raise PermissionError(message)


def _read_salt(directory: Path) -> bytes:
    """Return the salt, or nothing where there is none. :raises OSError: there is one that is none."""
    try:
        fd = os.open(directory / _SALT, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return b""
    with os.fdopen(fd, "rb") as file:
        salt = file.read(_SALT_BYTES + 1)
    if len(salt) != _SALT_BYTES:
        message = f"{directory / _SALT} is damaged"
        raise OSError(message)
    return salt


def _make_salt(directory: Path) -> bytes:
    # Linked to its name when it is whole: of two processes that make one, one wins, and no one reads half of it.
    path = directory / f"{os.urandom(8).hex()}{_SUFFIX}"
    fd = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(os.urandom(_SALT_BYTES))
            file.flush()
            os.fsync(fd)
        try:
            os.link(path, directory / _SALT)
        except FileExistsError:
            pass
    finally:
        path.unlink()
    _sync(directory)
    return _read_salt(directory)


def _sync(directory: Path) -> None:
    fd = open_directory(directory)
    try:
        sync_directory(fd)
    finally:
        os.close(fd)


def _open_locked(path: Path) -> int | None:
    """Open a regular file that nobody has locked, and lock it."""
    try:
        fd = os.open(path, _FLAGS | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(fd)
        named = path.lstat()
        if stat.S_ISREG(status.st_mode) and os.path.samestat(named, status):
            return fd
    except OSError:
        pass
    os.close(fd)
    return None


def _content(fd: int) -> bytes:
    with os.fdopen(os.dup(fd), "rb") as file:
        file.seek(0)
        return file.read(_LARGEST_FILE)


def _parse(data: bytes) -> tuple[str, Record, dict[int, int], int] | None:
    """Return provider, record, ranges and the bytes that hold them; ``None`` for anything not written by this code."""
    first, newline, rest = data.partition(b"\n")
    head = _json(first)
    if not newline or not isinstance(head, dict) or head.pop("format", None) != FORMAT:
        return None
    provider = head.pop("provider", None)
    if not isinstance(provider, str) or not _is_record(head):
        return None
    ranges: dict[int, int] = {}
    length = len(first) + 1
    for line in rest.split(b"\n")[:-1]:
        found = _json(line)
        if not isinstance(found, dict) or not all(type(found.get(name)) is int for name in ("start", "crc32")):
            break
        ranges[found["start"]] = found["crc32"]
        length += len(line) + 1
    return provider, Record(**head), ranges, length


def _json(data: bytes) -> Any:
    import json

    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _is_record(values: dict[str, Any]) -> bool:
    known = {each.name: _TYPES[str(each.type)] for each in fields(Record)}
    if values.keys() != known.keys() or values["kind"] not in ("upload", "download"):
        return False
    fits = all(isinstance(value, known[name]) for name, value in values.items())  # type: ignore[arg-type]
    if not fits or "\0" in values["path"] or not 0 <= values["started"] < _LATEST:
        return False
    return bool(values["size"] > 0 and values["part_size"] > 0 and values["start"] >= 0)
