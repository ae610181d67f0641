"""Transfers that a killed process left: to go on with, or to give up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cloudbridge_store.config import TransferConfig
from cloudbridge_store.core import resuming, transfer
from cloudbridge_store.core.atomic import is_part_file, remove_part_file
from cloudbridge_store.core.journal import Entry, Journal
from cloudbridge_store.core.multipart import DEFAULT_CONCURRENCY, Target, decide_cut
from cloudbridge_store.core.progress import Progress, ProgressArgument
from cloudbridge_store.core.resuming import UploadNote
from cloudbridge_store.core.session import Session
from cloudbridge_store.core.source import LocalFile
from cloudbridge_store.drivers.base import PutOptions, ReadOptions
from cloudbridge_store.errors import (
    ConflictError,
    InvalidValueException,
    SourceChangedError,
    UploadNotFoundError,
)

if TYPE_CHECKING:
    from cloudbridge_store.provider import CloudProvider


@dataclass(frozen=True, slots=True)
class PendingTransfer:
    """A transfer in parts that was under way when its process was killed."""

    kind: Literal["upload", "download"]
    bucket: str
    """The bucket's name."""
    key: str
    path: Path
    """The file that was being uploaded, or the one to come."""
    size: int
    """Bytes in all."""
    started: datetime
    """Aware."""
    _provider: CloudProvider = field(repr=False)
    _name: str = field(repr=False)

    def resume(self, *, progress: ProgressArgument = None) -> None:
        """Go on with it until it is done.

        :raises SourceChangedError: the file that was being uploaded is no longer the same; :meth:`discard` is left.
        :raises InvalidValueException: it needs a customer's key, which is written down nowhere: make the same call
            again, with the key.
        :raises ConflictError: another process goes on with it, or it is over.
        """
        _, entry = self._claim()
        try:
            self._refuse_customer_key(entry)
            if self.kind == "upload":
                with LocalFile(self.path) as file, Progress(progress, file.size, self.key) as counter:
                    self._upload(entry, file, counter)
                return
        finally:
            entry.release()
        self._download(entry, progress)

    def discard(self) -> None:
        """Give it up: abort the upload, or remove what was downloaded so far.

        :raises ConflictError: another process goes on with it, or it is over.
        """
        target, entry = self._claim()
        try:
            if self.kind == "upload":
                resuming.abort(target, entry)
            else:
                found = entry.record
                remove_part_file(found.part_file, found.device, found.inode)
                entry.remove()
        finally:
            entry.release()

    @property
    def _session(self) -> Session:
        return self._provider.session

    @property
    def _target(self) -> Target:
        return Target(self._session, self.bucket, self.key)

    def _claim(self) -> tuple[Target, Entry]:
        journal = _journal(self._session)
        entry = journal.claim(self._name) if journal is not None else None
        if entry is None:
            message = f"the {self.kind} is over, or another process goes on with it"
            raise ConflictError(message, provider=self._session.provider, bucket=self.bucket, key=self.key)
        return self._target, entry

    def _refuse_customer_key(self, entry: Entry) -> None:
        if entry.record.own_key:
            call = "upload_from_file" if self.kind == "upload" else "download_to_file"
            raise InvalidValueException("encryption", None, f"the customer's key: call {call} again with it")

    def _upload(self, entry: Entry, file: LocalFile, progress: Progress) -> None:
        record = entry.record
        if not resuming.is_unchanged(record, file.status):
            message = f"{self.path} changed since its upload was begun"
            raise SourceChangedError(message, hint="Upload it again, or discard this transfer")
        journal = _journal(self._session)
        assert journal is not None
        try:
            parts = resuming.list_stored(self._target, entry)
        except UploadNotFoundError:
            entry.remove()
            raise
        options = PutOptions(if_match=record.if_match, if_none_match=record.if_none_match)
        concurrency = decide_cut(self._session, None).concurrency
        note = UploadNote(journal, record, entry, parts)
        transfer.upload_parts(self._target, file, options, concurrency, progress, note)

    def _download(self, entry: Entry, progress: ProgressArgument) -> None:
        # It finds the entry, and the file, as any other call for this object and this target would.
        record = entry.record
        concurrency = decide_cut(self._session, None).concurrency
        workers = concurrency if concurrency > 1 else DEFAULT_CONCURRENCY
        config = TransferConfig(1, record.part_size, workers)
        options = ReadOptions(record.start, record.stop, version=record.version)
        with Progress(progress, None, self.key) as counter:
            transfer.download_file(
                self._target, self.path, config, options=options, overwrite=record.overwrite, progress=counter
            )


def _journal(session: Session) -> Journal | None:
    journal = resuming.find_journal(session)
    return journal if journal is not None and journal.open(create=False) else None


def find_pending(provider: CloudProvider) -> Iterator[PendingTransfer]:
    """Yield a provider's transfers that no living process holds, and forget the downloads whose file is gone."""
    journal = _journal(provider.session)
    if journal is None:
        return
    for entry in journal.entries():
        found = entry.record
        if found.kind == "download" and not is_part_file(found.part_file, found.device, found.inode):
            entry.remove()
            continue
        entry.release()
        started = datetime.fromtimestamp(found.started, UTC)
        where = found.kind, found.bucket, found.key, Path(found.path)
        yield PendingTransfer(*where, found.size, started, provider, entry.name)
