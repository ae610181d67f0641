"""Going on with a transfer that a killed process left: what of it still counts, and what is done anew."""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cloudbridge_store.core.atomic import AtomicFile, is_part_file
from cloudbridge_store.core.journal import Entry, Journal, Record
from cloudbridge_store.drivers.base import Body, Driver, ObjectInfo, Part, PutOptions, ReadOptions
from cloudbridge_store.errors import NotFoundError, StoreError

if TYPE_CHECKING:
    from cloudbridge_store.core.multipart import Target
    from cloudbridge_store.core.session import Session
    from cloudbridge_store.core.source import LocalFile

_READ_SIZE = 2**20
_log = logging.getLogger("cloudbridge_store")


def find_journal(session: Session) -> Journal | None:
    """Return the journal, where there is one, and another process could go on with what stands in it."""
    return session.journal if session.capabilities.shared else None


class UploadNote:
    """An upload's place in the journal.

    :param entry: that of the upload to go on with; ``None`` for one that is still to be started.
    :param parts: what the service has of it.
    """

    def __init__(
        self, journal: Journal, record: Record, entry: Entry | None = None, parts: Sequence[Part] = ()
    ) -> None:
        self._journal = journal
        self._record = record
        self._entry = entry
        self._parts = {part.number: part for part in parts}

    @property
    def upload_id(self) -> str:
        """The upload to go on with; empty where one has to be started."""
        return self._record.upload_id if self._entry is not None else ""

    @property
    def part_size(self) -> int:
        """Bytes in a part, as the upload was begun."""
        return self._record.part_size

    def begin(self, upload_id: str) -> None:
        """Write down that an upload was started, before its first part is sent."""
        self._entry = self._journal.create(replace(self._record, upload_id=upload_id))

    def stored_part(self, driver: Driver, number: int, body: Body) -> Part | None:
        """Return a part that need not be sent, because the service certainly has these bytes of it."""
        part = self._parts.get(number)
        if part is None or part.size != body.size:
            return None
        try:
            return part if part.etag == driver.part_etag(body) else None
        except OSError:
            return None  # whoever sends it meets the error again, and can say it

    def end(self, *, over: bool) -> None:
        """Strike it out; or leave it, for somebody to try again, where the service could not be told."""
        if self._entry is not None:
            if over:
                self._entry.remove()
            else:
                self._entry.release()


def open_upload(target: Target, file: LocalFile, options: PutOptions, part_size: int) -> UploadNote | None:
    """Return a file's place in the journal: that of an upload to go on with, or a new one. ``None`` without journal."""
    journal = find_journal(target.session)
    if journal is None or not journal.open(create=True):
        return None
    record = _describe_upload(journal, target, file, options, part_size)
    for entry in journal.find("upload", target.bucket, target.key):
        try:
            note = _take_up(journal, target, entry, record)
        except BaseException:
            entry.release()
            raise
        if note is not None:
            return note
        entry.release()
    return UploadNote(journal, record)


def _describe_upload(journal: Journal, target: Target, file: LocalFile, options: PutOptions, part_size: int) -> Record:
    status = file.status
    return Record(
        "upload",
        target.bucket,
        target.key,
        str(file.path.absolute()),
        status.st_size,
        part_size,
        status.st_dev,
        status.st_ino,
        _digest_options(journal, options),
        options.customer_key is not None,
        mtime_ns=status.st_mtime_ns,
        if_match=options.if_match,
        if_none_match=options.if_none_match,
    )


def _digest_options(journal: Journal, options: PutOptions) -> str:
    encryption = options.encryption
    return journal.digest(
        options.content_type,
        sorted(options.headers.items()),
        sorted(options.metadata.items()),
        sorted(options.tags.items()),
        options.storage_class,
        options.if_match,
        options.if_none_match,
        encryption and (encryption.kind, encryption.key_id, sorted(encryption.context.items()), encryption.key),
        sorted((name, repr(value)) for name, value in options.extra.items()),
    )


def is_unchanged(record: Record, status: os.stat_result) -> bool:
    """Say whether a file is the one that was being uploaded, as it was then."""
    return _file_of(record) == (status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev)


def _file_of(record: Record) -> tuple[int, ...]:
    return record.size, record.mtime_ns, record.inode, record.device


def _take_up(journal: Journal, target: Target, entry: Entry, wanted: Record) -> UploadNote | None:
    """Go on with an upload that was killed, if it is the one wanted; end it, if its file is no longer the same."""
    found = entry.record
    if (found.path, found.options) != (wanted.path, wanted.options):
        return None
    try:
        if _file_of(found) == _file_of(wanted):
            return UploadNote(journal, found, entry, list_stored(target, entry))
        abort(target, entry)
    except NotFoundError:
        entry.remove()
    except StoreError:
        # It may work for a new upload: the right to list parts, for one, is a right of its own.
        _log.warning("upload %s of %s/%s could not be gone on with", found.upload_id, *target[1:], exc_info=True)
    return None


def list_stored(target: Target, entry: Entry) -> Sequence[Part]:
    """Return the parts that the service has. :raises UploadNotFoundError: it has forgotten the upload."""
    session, bucket, key = target
    return session.call(session.driver.list_parts, bucket, key, entry.record.upload_id)


def abort(target: Target, entry: Entry) -> None:
    """Abort an upload of the journal and strike it out. :raises StoreError: it is still there."""
    session, bucket, key = target
    try:
        session.call(session.driver.abort_upload, bucket, key, entry.record.upload_id)
    except NotFoundError:
        pass  # with its bucket
    entry.remove()


class DownloadNote:
    """A download's place in the journal: what a killed process left of it, and what is done now.

    Leaving the ``with`` block strikes it out: the file is in place, or gone. Only what was adopted stays, until the
    service has said what it has: an attempt while the network is down must not cost what an earlier one fetched.

    :param journal: ``None`` makes it one of nothing.
    """

    def __init__(
        self,
        journal: Journal | None,
        target: Target,
        path: str | os.PathLike[str],
        options: ReadOptions,
        *,
        overwrite: bool,
    ) -> None:
        self._journal = journal
        self._target = target
        self._path = str(Path(path).absolute())
        self._read = options
        self._overwrite = overwrite
        self._entry: Entry | None = None
        self._answered = False

    def adopt(self, status: os.stat_result) -> bool:
        """Say whether an abandoned part file is that of a download of the same object to the same target."""
        journal = self._journal
        if self._entry is None and journal is not None and journal.open(create=False):
            options = self._digest(journal)
            for entry in journal.find("download", self._target.bucket, self._target.key):
                found = entry.record
                part = (found.device, found.inode)
                if (found.path, found.options) == (self._path, options) and part == (status.st_dev, status.st_ino):
                    self._entry = entry
                    return True
                entry.release()
        return False

    def _digest(self, journal: Journal) -> str:
        return journal.digest(self._read.start, self._read.stop, self._read.version, self._read.customer_key)

    def begin(self, file: AtomicFile, info: ObjectInfo, size: int, part_size: int) -> tuple[int, Mapping[int, int]]:
        """Write down that ranges are about to be fetched; return their size, and the CRC-32 of those already there."""
        if self._entry is not None:
            found = self._entry.record
            self._settle(file)
            if (found.etag, found.size) == (info.etag, size):
                os.ftruncate(file.fd, size)
                return found.part_size, self._entry.ranges
        self.start_over(file)
        journal = self._journal
        if journal is not None and journal.open(create=True):
            self._drop_stale(journal)
            self._entry = journal.create(self._describe(journal, file, info, size, part_size))
        return part_size, {}

    def _describe(self, journal: Journal, file: AtomicFile, info: ObjectInfo, size: int, part_size: int) -> Record:
        status = os.fstat(file.fd)
        return Record(
            "download",
            self._target.bucket,
            self._target.key,
            self._path,
            size,
            part_size,
            status.st_dev,
            status.st_ino,
            self._digest(journal),
            self._read.customer_key is not None,
            part_name=file.part_name,
            etag=info.etag,
            version=self._read.version,
            start=self._read.start,
            stop=self._read.stop,
            overwrite=self._overwrite,
        )

    def _drop_stale(self, journal: Journal) -> None:
        for entry in journal.find("download", self._target.bucket, self._target.key):
            found = entry.record
            if is_part_file(found.part_file, found.device, found.inode):
                entry.release()
            else:
                entry.remove()

    def _settle(self, file: AtomicFile) -> None:
        self._answered = True
        file.release_hold()

    def start_over(self, file: AtomicFile) -> None:
        """Give up what was adopted."""
        self._settle(file)
        if self._entry is not None:
            os.ftruncate(file.fd, 0)
            self._entry.remove()
            self._entry = None

    def note_range(self, start: int, crc32: int) -> None:
        """Write down that a range is in the file."""
        if self._entry is not None:
            self._entry.note_range(start, crc32)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._entry is not None:
            if self._answered:
                self._entry.remove()
            else:
                self._entry.release()


def holds(fd: int, position: int, size: int, crc32: int) -> bool:
    """Say whether a file has the bytes that a CRC-32 is of. Its length says nothing: it may be full of holes."""
    value = 0
    end = position + size
    while position < end:
        data = os.pread(fd, min(_READ_SIZE, end - position), position)
        if not data:
            return False
        value = zlib.crc32(data, value)
        position += len(data)
    return value == crc32
