"""Multipart uploads: a directory of parts each, which appears whole and goes whole.

A part is one file: its bytes, and behind them their CRC-32 in four bytes, so that one rename replaces both.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from cloudbridge_store.checksums import combine_crc32
from cloudbridge_store.drivers.base import Body, Page, Part, PutOptions, Stored, UploadInfo
from cloudbridge_store.drivers.local.attributes import Attributes
from cloudbridge_store.drivers.local.content import copy_file, identity, receive
from cloudbridge_store.drivers.local.listing import make_token, read_token
from cloudbridge_store.drivers.local.locks import try_lock, unlock_file
from cloudbridge_store.drivers.local.objects import ObjectStore, OpenBucket
from cloudbridge_store.errors import ConflictError, InvalidRequestError, NotFoundError, UploadNotFoundError
from cloudbridge_store.filesystem import open_directory, sync_directory
from cloudbridge_store.sinks import write_all

MOST_PARTS = 10_000
_TRAILER_BYTES = 4
_ID = re.compile(r"[0-9a-f]{32}")
_PART = re.compile(r"[0-9]{5}")
_RECORD, _FINISHING = "upload.json", "finishing"


def _missing() -> UploadNotFoundError:
    return UploadNotFoundError("the multipart upload does not exist, was completed, or was aborted")


@dataclass(frozen=True, slots=True)
class _Record:
    """What an upload was started with."""

    bucket: str
    key: str
    started_ns: int
    attributes: dict[str, object]


class _OpenUpload:
    """An upload's directory, held open. :raises UploadNotFoundError:"""

    __slots__ = ("directory", "record", "upload_id")

    def __init__(self, folder: Path, upload_id: str) -> None:
        if not _ID.fullmatch(upload_id):
            raise _missing()
        self.upload_id = upload_id
        try:
            self.directory = open_directory(folder / upload_id)
        except FileNotFoundError:
            raise _missing() from None
        try:
            self.record = _Record(**json.loads(self.read(_RECORD)))
        except (ValueError, TypeError):
            # A power cut without local_fsync can leave an empty file.
            os.close(self.directory)
            raise _missing() from None
        except BaseException:
            os.close(self.directory)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.directory)

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        with os.fdopen(self.open(name, os.O_RDONLY), "rb") as stream:
            return stream.read()

    def write(self, name: str, content: bytes, *, durable: bool) -> None:
        """Write a file."""
        with os.fdopen(self.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as stream:
            stream.write(content)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())

    def names(self) -> list[str]:
        """Return the names of the files in it."""
        with os.scandir(self.directory) as entries:
            return [entry.name for entry in entries]

    def open(self, name: str, flags: int) -> int:
        """Open a file in it. :raises UploadNotFoundError: the upload was removed meanwhile."""
        try:
            return os.open(name, flags, 0o600, dir_fd=self.directory)
        except FileNotFoundError:
            raise _missing() from None

    @contextmanager
    def part(self, number: int) -> Iterator[tuple[int, Part]]:
        """Open a part's file and read what is known of it."""
        file = os.open(f"{number:05d}", os.O_RDONLY, dir_fd=self.directory)
        try:
            size = os.fstat(file).st_size - _TRAILER_BYTES
            trailer = os.pread(file, _TRAILER_BYTES, max(size, 0))
            yield file, make_part(number, int.from_bytes(trailer, "big"), size)
        finally:
            os.close(file)

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Be the only one who finishes the upload."""
        lock = self.open(_RECORD, os.O_RDONLY)
        try:
            if not try_lock(lock):
                raise ConflictError("the multipart upload is being completed by somebody else")
            try:
                yield
            finally:
                unlock_file(lock)
        finally:
            os.close(lock)


def make_part(number: int, crc32: int, size: int) -> Part:
    """Make the description of a part; its ETag says which bytes it has."""
    return Part(number, f"{crc32:08x}-{size:x}", size)


class Uploads:
    """The multipart uploads of a root."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._folder = store.control.directory / "uploads"
        self._durable = store.control.durable

    def start(self, bucket: str, key: str, options: PutOptions) -> str:
        """Make an upload and return its id."""
        with OpenBucket(self._store.control, bucket):
            self._store.place(key)
        upload_id = secrets.token_hex(16)
        record = _Record(bucket, key, time.time_ns(), asdict(Attributes.describe(options)))
        directory = self._store.staging.directory()
        with self._store.staging.folder() as name:
            file = os.open(f"{name}/{_RECORD}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory)
            with os.fdopen(file, "w", encoding="utf-8") as stream:
                json.dump(asdict(record), stream)
                stream.flush()
                if self._durable:
                    os.fsync(file)
            os.rename(name, self._folder / upload_id, src_dir_fd=directory)
        self._sync()
        return upload_id

    def put_part(self, bucket: str, key: str, upload_id: str, number: int, body: Body) -> Part:
        """Store a part, replacing an earlier one at once."""
        if not 1 <= number <= MOST_PARTS:
            message = f"part numbers are 1 to {MOST_PARTS}"
            raise InvalidRequestError(message)
        with self._open(bucket, key, upload_id) as upload, self._store.staging.file() as staged:
            with body.open() as stream:
                crc32 = receive(stream, staged.file, body.size)
            write_all(staged.file, memoryview(crc32.to_bytes(_TRAILER_BYTES, "big")))
            if self._durable:
                os.fsync(staged.file)
            try:
                os.rename(staged.name, f"{number:05d}", src_dir_fd=staged.directory, dst_dir_fd=upload.directory)
            except FileNotFoundError:
                raise _missing() from None
            staged.moved = True
            if self._durable:
                sync_directory(upload.directory)
        return make_part(number, crc32, body.size)

    def parts(self, bucket: str, key: str, upload_id: str) -> list[Part]:
        """List the parts stored so far, by number."""
        found = []
        with self._open(bucket, key, upload_id) as upload:
            for name in sorted(filter(_PART.fullmatch, upload.names())):
                with contextlib.suppress(FileNotFoundError), upload.part(int(name)) as (_, part):
                    found.append(part)
        return found

    def finish(self, bucket: str, key: str, upload_id: str, parts: Sequence[Part], options: PutOptions) -> Stored:
        """Publish the parts, one after the other, as one object."""
        with self._open(bucket, key, upload_id) as upload, upload.finishing():
            with OpenBucket(self._store.control, bucket) as opened:
                stored = self._published(upload, opened) or self._join(upload, opened, parts, options)
            # The object is there: what cannot be removed now, the next sweep removes.
            with contextlib.suppress(OSError):
                self._remove(upload_id)
        return stored

    def abort(self, bucket: str, key: str, upload_id: str) -> None:
        """Remove an upload."""
        try:
            self._open(bucket, key, upload_id).__exit__()
        except UploadNotFoundError:
            return
        self._remove(upload_id)

    def page(self, bucket: str, prefix: str, limit: int, token: str | None) -> Page[UploadInfo]:
        """List a bucket's uploads by key, then id."""
        with OpenBucket(self._store.control, bucket):
            pass
        after = read_token(token) if token is not None else b""
        found = sorted(
            (place, info)
            for info in self._all(bucket)
            if info.key.startswith(prefix) and (place := f"{info.key}\0{info.upload_id}".encode()) > after
        )
        more = len(found) > limit
        return Page([info for _, info in found[:limit]], make_token(found[limit - 1][0]) if more else None)

    def discard(self, bucket: str) -> None:
        """Remove all uploads to a bucket that does not exist."""
        for info in self._all(bucket):
            self._remove(info.upload_id)

    def sweep(self) -> None:
        """Remove the uploads whose object was published by a process that died before it could do so."""
        for upload_id in self._ids():
            with contextlib.suppress(NotFoundError, ConflictError):
                self._sweep_one(upload_id)

    def _sweep_one(self, upload_id: str) -> None:
        with _OpenUpload(self._folder, upload_id) as upload, upload.finishing():
            with OpenBucket(self._store.control, upload.record.bucket) as bucket:
                published = self._published(upload, bucket)
            if published is not None:
                self._remove(upload_id)

    def _open(self, bucket: str, key: str, upload_id: str) -> _OpenUpload:
        upload = _OpenUpload(self._folder, upload_id)
        if (upload.record.bucket, upload.record.key) != (bucket, key):
            upload.__exit__()
            raise _missing()
        return upload

    def _published(self, upload: _OpenUpload, bucket: OpenBucket) -> Stored | None:
        """Return what an earlier attempt to finish has stored, if that is what is stored now."""
        try:
            announced = upload.read(_FINISHING).decode()
            with self._store.open(bucket, upload.record.key) as present:
                if present.etag == announced:
                    return Stored(present.etag, checksums=present.attributes.checksums(present.status))
        except NotFoundError:
            pass
        return None

    def _join(self, upload: _OpenUpload, bucket: OpenBucket, parts: Sequence[Part], options: PutOptions) -> Stored:
        _check_order(parts)
        # All are looked at before the first is copied, which may take long.
        for part in parts:
            with self._checked(upload, part):
                pass
        with self._store.staging.file() as staged:
            whole = 0
            for part in parts:
                with self._checked(upload, part) as source:
                    copy_file(source, staged.file, part.size)
                whole = combine_crc32(whole, int(part.etag.split("-")[0], 16), part.size)
            attributes = replace(Attributes(**upload.record.attributes), crc32=f"{whole:08x}")  # type: ignore[arg-type]

            def announce(status: os.stat_result) -> None:
                upload.write(_FINISHING, identity(status).encode(), durable=self._durable)

            return self._store.publish(bucket, upload.record.key, staged, attributes, options, before=announce)

    @contextmanager
    def _checked(self, upload: _OpenUpload, part: Part) -> Iterator[int]:
        try:
            with upload.part(part.number) as (source, found):
                if found.etag != part.etag or found.size != part.size:
                    message = f"part {part.number} has ETag {found.etag}, not {part.etag}"
                    raise InvalidRequestError(message)
                yield source
        except FileNotFoundError as error:
            upload.read(_RECORD)
            message = f"part {part.number} was not uploaded"
            raise InvalidRequestError(message) from error

    def _remove(self, upload_id: str) -> None:
        staging = self._store.staging
        with staging.folder() as name, contextlib.suppress(FileNotFoundError):
            os.rename(self._folder / upload_id, name, dst_dir_fd=staging.directory())
        self._sync()

    def _all(self, bucket: str) -> Iterator[UploadInfo]:
        for upload_id in self._ids():
            with contextlib.suppress(UploadNotFoundError), _OpenUpload(self._folder, upload_id) as upload:
                if upload.record.bucket == bucket:
                    started = datetime.fromtimestamp(upload.record.started_ns / 1e9, UTC)
                    yield UploadInfo(upload_id, upload.record.key, started)

    def _ids(self) -> list[str]:
        try:
            return [path.name for path in self._folder.iterdir() if _ID.fullmatch(path.name)]
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
            return []

    def _sync(self) -> None:
        if self._durable:
            folder = open_directory(self._folder)
            try:
                sync_directory(folder)
            finally:
                os.close(folder)


def _check_order(parts: Sequence[Part]) -> None:
    if not parts:
        raise InvalidRequestError("a multipart upload is completed with at least one part")
    numbers = [part.number for part in parts]
    if any(number >= following for number, following in itertools.pairwise(numbers)):
        raise InvalidRequestError("the parts are not sorted by number, or one stands there twice")
    if any(part.size < 1 for part in parts[:-1]):
        raise InvalidRequestError("a part that is not the last has at least one byte")
