"""The driver that keeps objects in the memory of its process."""

from __future__ import annotations

import hashlib
import secrets
import zlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from cloudbridge_store.config import ConfigKey, Settings
from cloudbridge_store.drivers.base import (
    PUT_PLAIN,
    READ_ALL,
    Body,
    BucketInfo,
    Capabilities,
    Download,
    Driver,
    Failure,
    Method,
    ObjectInfo,
    Page,
    Part,
    PutOptions,
    ReadOptions,
    SignedRequest,
    SignOptions,
    Stored,
    UploadInfo,
)
from cloudbridge_store.drivers.gateway import UrlGateway
from cloudbridge_store.drivers.memory.tables import Record, Table, Upload, lock, make_token, read_token
from cloudbridge_store.errors import (
    ArchivedError,
    BucketNotEmptyError,
    BucketNotFoundError,
    DuplicateResourceException,
    InvalidRangeError,
    InvalidRequestError,
    NotModifiedError,
    PreconditionFailedError,
    QuotaExceededError,
    SourceChangedError,
    StoreError,
    UnsupportedOperationError,
)

_DEFAULT_CONTENT_TYPE = "application/octet-stream"
_DEFAULT_STORAGE_CLASS = "STANDARD"
_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_READABLE = frozenset(
    {"STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "REDUCED_REDUNDANCY"}
)
_CAPABILITIES = Capabilities(
    multipart=True,
    copy=True,
    conditional_put=frozenset({"if_match", "if_none_match"}),
    conditional_read=True,
    user_metadata=True,
    tags=True,
    storage_classes=_READABLE | _ARCHIVES,
    change_storage_class=True,
    batch_delete=1000,
    sign=frozenset({"GET", "HEAD", "PUT", "DELETE"}),
    list_uploads=True,
    shared=False,
    checksums=frozenset({"md5", "crc32"}),
)

_namespaces: dict[str, dict[str, Table]] = {}


class MemoryDriver(Driver):
    """Objects in memory, as strict as S3: sizes of parts, ETags, conditions, limits and paging are S3's.

    A write makes a record and puts it in place under a lock; a reader keeps the record it found, whatever happens to
    the key meanwhile.

    :param namespace: drivers of one process that name the same one share its buckets, which live as long as the
        process; a forked child has what was there at that moment. Without a name they are this driver's own.
    """

    name: ClassVar[str] = "memory"
    config_keys: ClassVar[Sequence[ConfigKey]] = (
        ConfigKey("memory_namespace", str, "providers of one process that name the same one share its buckets"),
    )
    capabilities = _CAPABILITIES

    def __init__(self, namespace: str | None = None) -> None:
        with lock:
            self._buckets = {} if namespace is None else _namespaces.setdefault(namespace, {})
        self._gateway = UrlGateway(self, secrets.token_bytes(32))

    @classmethod
    def connect(cls, config: Mapping[str, Any], settings: Settings) -> Self:  # noqa: ARG003 - nothing to wait for
        return cls(config.get("memory_namespace"))

    @property
    def native(self) -> UrlGateway:
        """What serves the signed URLs: there is no SDK."""
        return self._gateway

    def classify(self, error: BaseException) -> Failure | None:
        return Failure(type(error), reason=error.reason) if isinstance(error, StoreError) else None

    def close(self) -> None:
        self._gateway.close()

    # Buckets

    def create_bucket(self, bucket: str, *, location: str | None = None) -> BucketInfo:
        if location is not None:
            raise UnsupportedOperationError("there are no locations to choose from", bucket=bucket)
        if not bucket:
            raise InvalidRequestError("a bucket's name has at least one character")
        with lock:
            if bucket in self._buckets:
                raise DuplicateResourceException("the bucket exists already", bucket=bucket)
            table = self._buckets[bucket] = Table(bucket)
        return table.info

    def head_bucket(self, bucket: str) -> BucketInfo:
        with lock:
            return self._table(bucket).info

    def list_buckets(self, *, limit: int, token: str | None = None) -> Page[BucketInfo]:
        with lock:
            buckets = {name: self._buckets[name].info for name in sorted(self._buckets)}
        names = list(buckets)
        start = 0 if token is None else bisect_right(names, read_token(token)[0])
        stop = start + _page_size(limit)
        items = [buckets[name] for name in names[start:stop]]
        return Page(items, make_token(items[-1].name, 0) if stop < len(names) else None)

    def delete_bucket(self, bucket: str) -> None:
        with lock:
            if self._table(bucket).records:
                raise BucketNotEmptyError("the bucket holds objects", bucket=bucket)
            del self._buckets[bucket]

    def _table(self, bucket: str) -> Table:
        try:
            return self._buckets[bucket]
        except KeyError:
            raise BucketNotFoundError("there is no such bucket", bucket=bucket) from None

    # Objects

    def head_object(self, bucket: str, key: str, options: ReadOptions = READ_ALL) -> ObjectInfo:
        return self._find(bucket, key).handed_out()

    def list_objects(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str = "",
        start_after: str = "",
        limit: int = 1000,
        token: str | None = None,
    ) -> Page[ObjectInfo]:
        with lock:
            table = self._table(bucket)
            start = table.start_of(prefix, start_after, token)
            records, prefixes, next_token = table.page(start, prefix, delimiter, _page_size(limit))
        return Page([record.handed_out() for record in records], next_token, prefixes)

    def get_object(self, bucket: str, key: str, options: ReadOptions) -> Download:
        if options.version is not None:
            raise UnsupportedOperationError("there are no versions", bucket=bucket, key=key)
        record = self._find(bucket, key)
        info = record.info
        if options.if_match not in (None, info.etag):
            raise PreconditionFailedError("the object has another ETag", bucket=bucket, key=key)
        if options.if_none_match == info.etag:
            raise NotModifiedError("the object still has this ETag", bucket=bucket, key=key)
        _refuse_archived(record)
        stop = info.size if options.stop is None else min(options.stop, info.size)
        nothing = options.start == info.size == 0
        if not 0 <= options.start < stop and not nothing:
            raise InvalidRangeError(f"there is nothing of {info.size} bytes in that range", bucket=bucket, key=key)
        content = memoryview(record.content)[options.start : stop]
        return Download(record.handed_out(), _Stream(content), options.start, len(content))

    def put_object(self, bucket: str, key: str, body: Body, options: PutOptions) -> Stored:
        _check_options(options)
        return self._store(bucket, _make_record(key, _receive(body), options), options)

    def delete_object(self, bucket: str, key: str, version: str | None = None) -> None:
        with lock:
            self._table(bucket).remove([key])

    def delete_objects(self, bucket: str, keys: Sequence[str]) -> Mapping[str, Exception]:
        if len(keys) > _CAPABILITIES.batch_delete:
            raise InvalidRequestError(f"{len(keys)} keys are more than {_CAPABILITIES.batch_delete}", bucket=bucket)
        with lock:
            self._table(bucket).remove(keys)
        return {}

    def copy_object(
        self,
        bucket: str,
        key: str,
        to_bucket: str,
        to_key: str,
        options: PutOptions | None = None,
        *,
        source: ReadOptions = READ_ALL,
    ) -> Stored:
        record = self._find(bucket, key)
        if source.if_match not in (None, record.info.etag):
            raise PreconditionFailedError("the source has another ETag", bucket=bucket, key=key)
        _refuse_archived(record)
        _check_size(record.info.size)
        if options is None:
            options = _options_of(record)
        _check_options(options)
        return self._store(to_bucket, _make_record(to_key, record.content, options), options)

    def sign_url(self, bucket: str, key: str, method: Method, seconds: int, options: SignOptions) -> SignedRequest:
        return self._gateway.sign(bucket, key, method, seconds, options)

    def get_tags(self, bucket: str, key: str) -> Mapping[str, str]:
        return dict(self._find(bucket, key).tags)

    def set_tags(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        _check_tags(tags)
        with lock:
            table = self._table(bucket)
            table.records[key] = replace(table.find(key), tags=dict(tags))

    def set_storage_class(self, bucket: str, key: str, storage_class: str) -> None:
        with lock:
            table = self._table(bucket)
            record = table.find(key)
            _refuse_archived(record)
            info = record.info._replace(storage_class=storage_class, modified=datetime.now(UTC))
            table.records[key] = replace(record, info=info)

    def _find(self, bucket: str, key: str) -> Record:
        with lock:
            return self._table(bucket).find(key)

    def _store(self, bucket: str, record: Record, options: PutOptions) -> Stored:
        with lock:
            self._table(bucket).store(record, options)
        return record.stored()

    # Multipart uploads

    def start_upload(self, bucket: str, key: str, options: PutOptions) -> str:
        _check_options(options)
        upload_id = secrets.token_hex(16)
        with lock:
            self._table(bucket).uploads[upload_id] = Upload(key, options)
        return upload_id

    def upload_part(
        self, bucket: str, key: str, upload_id: str, number: int, body: Body, options: PutOptions = PUT_PLAIN
    ) -> Part:
        if not 1 <= number <= _CAPABILITIES.max_parts:
            raise InvalidRequestError(f"parts have numbers from 1 to {_CAPABILITIES.max_parts}", bucket=bucket, key=key)
        content = _receive(body)
        part = Part(number, _md5(content).hex(), len(content))
        with lock:
            self._table(bucket).find_upload(key, upload_id).parts[number] = part, content
        return part

    def list_parts(self, bucket: str, key: str, upload_id: str) -> Sequence[Part]:
        with lock:
            parts = self._table(bucket).find_upload(key, upload_id).parts
            return [parts[number][0] for number in sorted(parts)]

    def finish_upload(
        self, bucket: str, key: str, upload_id: str, parts: Sequence[Part], options: PutOptions
    ) -> Stored:
        _check_options(options)
        with lock:
            upload = self._table(bucket).find_upload(key, upload_id)
            chosen = _choose(upload.parts, parts)
        content = b"".join(piece for _, piece in chosen)
        digests = b"".join(bytes.fromhex(part.etag) for part, _ in chosen)
        record = _make_record(key, content, upload.options, etag=f"{_md5(digests).hex()}-{len(chosen)}")
        with lock:
            table = self._table(bucket)
            table.find_upload(key, upload_id)  # once more: another thread may have finished or aborted it meanwhile
            table.store(record, options)
            del table.uploads[upload_id]
        return record.stored()

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        with lock:
            uploads = self._table(bucket).uploads
            if upload_id in uploads and uploads[upload_id].key == key:
                del uploads[upload_id]

    def list_uploads(
        self, bucket: str, *, prefix: str = "", limit: int = 1000, token: str | None = None
    ) -> Page[UploadInfo]:
        last = ("", -1) if token is None else read_token(token)
        with lock:
            uploads = dict(self._table(bucket).uploads)
        found = sorted((each.key, each.order, upload_id) for upload_id, each in uploads.items())
        rest = [each for each in found if each[0].startswith(prefix) and each[:2] > last]
        chosen = rest[: _page_size(limit)]
        items = [UploadInfo(upload_id, key, uploads[upload_id].started) for key, _, upload_id in chosen]
        return Page(items, make_token(*chosen[-1][:2]) if len(chosen) < len(rest) else None)


class _Stream:
    """Bytes that are all there, as a :class:`~cloudbridge_store.drivers.base.RawStream`."""

    def __init__(self, content: memoryview) -> None:
        self._rest = content

    def readinto(self, buffer: memoryview, /) -> int:
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def read(self, size: int, /) -> bytes:
        taken = self._rest[:size] if size >= 0 else self._rest
        self._rest = self._rest[len(taken) :]
        return bytes(taken)

    def close(self) -> None:
        self._rest = memoryview(b"")


def _md5(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()


def _make_record(key: str, content: bytes, options: PutOptions, *, etag: str | None = None) -> Record:
    """Describe content. The ETag is given where it came in parts; like S3 we then hold no MD5 of the whole."""
    checksums = {"crc32": f"{zlib.crc32(content):08x}"}
    if etag is None:
        etag = checksums["md5"] = _md5(content).hex()
    info = ObjectInfo(
        key,
        len(content),
        datetime.now(UTC),
        etag,
        options.content_type or _DEFAULT_CONTENT_TYPE,
        checksums,
        dict(options.headers),
        dict(options.metadata),
        options.storage_class or _DEFAULT_STORAGE_CLASS,
    )
    return Record(info, content, dict(options.tags))


def _options_of(record: Record) -> PutOptions:
    info = record.info
    return PutOptions(info.content_type, info.headers or {}, info.metadata or {}, record.tags, info.storage_class)


def _receive(body: Body) -> bytes:
    """Read a body, whose length must be what was said, as a service finds out by Content-Length."""
    _check_size(body.size)
    chunks, missing = [], body.size
    with body.open() as stream:
        while missing > 0 and (chunk := stream.read(missing)):
            chunks.append(bytes(chunk))
            missing -= len(chunk)
        if missing or stream.read(1):
            raise SourceChangedError(f"the source does not have the {body.size} bytes it was said to have")
    return b"".join(chunks)


def _choose(held: Mapping[int, tuple[Part, bytes]], parts: Sequence[Part]) -> list[tuple[Part, bytes]]:
    numbers = [part.number for part in parts]
    if not numbers or numbers != sorted(set(numbers)):
        raise InvalidRequestError("the parts are not in ascending order, or there are none")
    for part in parts:
        if part.number not in held or held[part.number][0].etag != part.etag:
            raise InvalidRequestError(f"part {part.number} is not there, or has another ETag")
    chosen = [held[number] for number in numbers]
    for part, _ in chosen[:-1]:
        if part.size < _CAPABILITIES.min_part:
            raise InvalidRequestError(f"part {part.number} of {part.size} bytes is too small and not the last")
    return chosen


def _check_size(size: int) -> None:
    if size > _CAPABILITIES.max_put:
        raise QuotaExceededError(f"{size} bytes are more than one request may carry")


def _check_options(options: PutOptions) -> None:
    if options.extra:
        raise UnsupportedOperationError("there is no SDK that extra options could go to")
    if options.if_none_match not in (None, "*"):
        raise InvalidRequestError('if_none_match of a write is "*" or nothing')
    if options.storage_class not in (None, *_CAPABILITIES.storage_classes):
        raise InvalidRequestError(f"there is no storage class {options.storage_class}")
    size = sum(len(name.encode()) + len(value.encode()) for name, value in options.metadata.items())
    if size > _CAPABILITIES.max_metadata_bytes:
        raise InvalidRequestError(f"metadata of {size} bytes is more than {_CAPABILITIES.max_metadata_bytes}")
    _check_tags(options.tags)


def _check_tags(tags: Mapping[str, str]) -> None:
    if len(tags) > _CAPABILITIES.max_tags:
        raise InvalidRequestError(f"{len(tags)} tags are more than {_CAPABILITIES.max_tags}")


def _refuse_archived(record: Record) -> None:
    if record.info.storage_class in _ARCHIVES:
        raise ArchivedError(f"the object is in storage class {record.info.storage_class}", key=record.info.key)


def _page_size(limit: int) -> int:
    if limit < 1:
        raise InvalidRequestError("a page has at least one item")
    return min(limit, _CAPABILITIES.max_page)
