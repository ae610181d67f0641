"""Multipart uploads in the caller's hands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cloudbridge_store.core import checks
from cloudbridge_store.core.source import BytesBody, Data, open_data
from cloudbridge_store.drivers.base import Body, Part, PutOptions
from cloudbridge_store.errors import InvalidValueException

if TYPE_CHECKING:
    from cloudbridge_store.buckets import Bucket
    from cloudbridge_store.core.session import Session
    from cloudbridge_store.objects import BucketObject


@dataclass(frozen=True, slots=True)
class UploadPart:
    """One stored part: its number (from 1), its ETag, and its size in bytes."""

    part_number: int
    etag: str
    size: int


class MultipartUpload:
    """An upload whose parts come in any order, from any thread, and become an object at :meth:`complete`.

    As a context manager it is aborted by an exception, and by leaving the block without :meth:`complete`.
    """

    def __init__(
        self,
        bucket: Bucket,
        object_name: str,
        upload_id: str,
        *,
        options: PutOptions | None = None,
        started: datetime | None = None,
    ) -> None:
        self.bucket = bucket
        self.object_name = object_name
        self.id = upload_id
        self.started = started
        """When it was started (aware), where it was found by a listing and the service says."""
        self._options = options or PutOptions()
        self._open = True

    @property
    def _session(self) -> Session:
        return self.bucket.provider.session

    @property
    def _names(self) -> tuple[str, str, str]:
        return self.bucket.name, self.object_name, self.id

    @property
    def name(self) -> str:
        """The name of the object it will be."""
        return self.object_name

    def upload_part(self, part_number: int, data: Data) -> UploadPart:
        """Store one part, replacing an earlier one of that number. Data of unknown length is held in memory.

        :param part_number: from 1 to the service's ``max_parts``.
        :raises InvalidValueException: a number out of range. :raises UploadNotFoundError: it is over.
        """
        number, most = checks.positive("part_number", part_number), self._session.upload_limits().max_parts
        if number > most:
            raise InvalidValueException("part_number", part_number, f"at most {most} on this provider")
        source = open_data(data)
        body = source if isinstance(source, Body) else BytesBody(b"".join(source))
        part = self._session.call(self._session.driver.upload_part, *self._names, part_number, body, self._options)
        return UploadPart(part.number, part.etag, part.size)

    def list_parts(self) -> list[UploadPart]:
        """Return the parts that the service has, by number. :raises UploadNotFoundError: it is over."""
        parts = self._session.call(self._session.driver.list_parts, *self._names)
        return [UploadPart(part.number, part.etag, part.size) for part in parts]

    def complete(self, parts: Sequence[UploadPart] | None = None) -> BucketObject:
        """Make the object of these parts, whatever order they come in; by default of all that are stored.

        :raises InvalidRequestError: a part is missing, was replaced, or is too small and not the last.
        """
        chosen = self.list_parts() if parts is None else parts
        if not chosen:
            raise InvalidValueException("parts", parts, "at least one part")
        ordered = [Part(part.part_number, part.etag, part.size) for part in sorted(chosen, key=_number)]
        self._session.call(self._session.driver.finish_upload, *self._names, ordered, self._options)
        self._open = False
        self._session.end_doubt(*self._names)
        return self.bucket.objects.create(self.object_name, encryption=self._options.encryption)

    def abort(self) -> None:
        """Discard it and its parts; may be called again."""
        self._open = False
        self._session.call(self._session.driver.abort_upload, *self._names)
        self._session.end_doubt(*self._names)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open:
            self.abort()

    def __repr__(self) -> str:
        return f"<CB-MultipartUpload: {self.id} of {self.bucket.name}/{self.object_name}>"


def _number(part: UploadPart) -> int:
    return part.part_number
