"""What the memory driver stores, and in which order."""

from __future__ import annotations

import base64
import itertools
import json
import os
import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cloudbridge_store.drivers.base import BucketInfo, ObjectInfo, Part, PutOptions, Stored
from cloudbridge_store.errors import (
    InvalidRequestError,
    ObjectNotFoundError,
    PreconditionFailedError,
    UploadNotFoundError,
)

# One lock for everything: what happens under it takes microseconds. It is held over every fork, so that a child gets
# neither a lock that nobody will release nor a table in the middle of a change. It is reentrant because the garbage
# collector may run a finalizer that aborts an upload anywhere, under the lock too.
lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


@dataclass(frozen=True, slots=True)
class Record:
    """One object as it was stored; never changed, only replaced."""

    info: ObjectInfo
    content: bytes
    tags: Mapping[str, str]

    def handed_out(self) -> ObjectInfo:
        """Return the description with mappings that the caller may keep and change."""
        key, size, modified, etag, content_type, checksums, headers, metadata, storage_class, _ = self.info
        mappings = dict(checksums or ()), dict(headers or ()), dict(metadata or ())
        return ObjectInfo(key, size, modified, etag, content_type, *mappings, storage_class)

    def stored(self) -> Stored:
        """Return the answer to the write that made this."""
        return Stored(self.info.etag, checksums=dict(self.info.checksums or ()))


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload and what has come of it; ``order`` tells which of two was started first."""

    key: str
    options: PutOptions
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    order: int = field(default_factory=itertools.count().__next__)
    parts: dict[int, tuple[Part, bytes]] = field(default_factory=dict)


class Table:
    """One bucket. Whoever uses it holds the lock."""

    def __init__(self, name: str) -> None:
        self.info = BucketInfo(name, datetime.now(UTC))
        self.records: dict[str, Record] = {}
        self.uploads: dict[str, Upload] = {}
        # UTF-8 sorts as code points do, and so as text does in Python.
        self._keys: list[str] = []

    def find(self, key: str) -> Record:
        """Return an object. :raises ObjectNotFoundError:"""
        try:
            return self.records[key]
        except KeyError:
            raise ObjectNotFoundError("there is no such object", bucket=self.info.name, key=key) from None

    def find_upload(self, key: str, upload_id: str) -> Upload:
        """Return an upload of this key. :raises UploadNotFoundError:"""
        upload = self.uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise UploadNotFoundError("there is no such upload", bucket=self.info.name, key=key)
        return upload

    def store(self, record: Record, options: PutOptions) -> None:
        """Put a record in place if the conditions hold. :raises PreconditionFailedError: they do not."""
        key = record.info.key
        present = self.records.get(key)
        if options.if_none_match is not None and present is not None:
            raise PreconditionFailedError("the object exists already", bucket=self.info.name, key=key)
        if options.if_match is not None and (present is None or present.info.etag != options.if_match):
            raise PreconditionFailedError("the object has another ETag, or is gone", bucket=self.info.name, key=key)
        if present is None:
            insort(self._keys, key)
        self.records[key] = record

    def remove(self, keys: Iterable[str]) -> None:
        """Remove the records of these keys, as far as there are any."""
        gone = {key for key in keys if self.records.pop(key, None) is not None}
        if gone:
            start, stop = bisect_left(self._keys, min(gone)), bisect_right(self._keys, max(gone))
            self._keys[start:stop] = [key for key in self._keys[start:stop] if key not in gone]

    def start_of(self, prefix: str, start_after: str, token: str | None) -> int:
        """Return the position at which a page starts, or a page behind the one that gave ``token``."""
        start = bisect_left(self._keys, prefix)
        if start_after:
            start = max(start, bisect_right(self._keys, start_after))
        if token is not None:
            last, is_prefix = read_token(token)
            start = self._behind(last, start) if is_prefix else bisect_right(self._keys, last, start)
        return start

    def page(self, start: int, prefix: str, delimiter: str, limit: int) -> tuple[list[Record], list[str], str | None]:
        """Collect from a position on: records, common prefixes, and a token where more would follow."""
        keys, records, prefixes = self._keys, list[Record](), list[str]()
        position, last = start, ("", 0)
        while position < len(keys) and (key := keys[position]).startswith(prefix):
            if len(records) + len(prefixes) == limit:
                return records, prefixes, make_token(*last)
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            if cut < 0:
                records.append(self.records[key])
                position, last = position + 1, (key, 0)
            else:
                common = key[: cut + len(delimiter)]
                prefixes.append(common)
                position, last = self._behind(common, position), (common, 1)
        return records, prefixes, None

    def _behind(self, prefix: str, start: int) -> int:
        """Return the position of the first key from ``start`` on that sorts behind all that begin with ``prefix``."""
        return bisect_left(self._keys, True, start, key=lambda key: key > prefix and not key.startswith(prefix))


def make_token(last: str, detail: int) -> str:
    """Return the token of a page that ended with ``last``."""
    return base64.urlsafe_b64encode(json.dumps([last, detail]).encode()).decode()


def read_token(token: str) -> tuple[str, int]:
    """Return what a token was made of. :raises InvalidRequestError: it was not made here."""
    try:
        last, detail = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
    except (ValueError, TypeError):
        last = detail = None
    if not isinstance(last, str) or not isinstance(detail, int):
        raise InvalidRequestError("the token does not come from a listing")
    return last, detail
