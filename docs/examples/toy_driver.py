"""A complete driver: objects in dictionaries. It has what every service has, and nothing that is optional."""

from __future__ import annotations

import hashlib
import io
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from cloudbridge_store.config import ConfigKey, Settings
from cloudbridge_store.drivers.base import (
    READ_ALL,
    Body,
    BucketInfo,
    Capabilities,
    Download,
    Driver,
    Failure,
    ObjectInfo,
    Page,
    PutOptions,
    ReadOptions,
    Stored,
)
from cloudbridge_store.errors import (
    BucketNotEmptyError,
    BucketNotFoundError,
    DuplicateResourceException,
    IntegrityError,
    InvalidRangeError,
    ObjectNotFoundError,
)
from cloudbridge_store.provider import CloudProvider


@dataclass
class ToyBucket:
    info: BucketInfo
    objects: dict[str, tuple[ObjectInfo, bytes]] = field(default_factory=dict)


class ToyService:
    """What would be at the other end of the network."""

    def __init__(self) -> None:
        self.buckets: dict[str, ToyBucket] = {}
        self.lock = threading.Lock()

    def bucket(self, name: str) -> ToyBucket:
        if name not in self.buckets:
            raise BucketNotFoundError(f"there is no bucket {name}")
        return self.buckets[name]

    def object(self, bucket: str, key: str) -> tuple[ObjectInfo, bytes]:
        objects = self.bucket(bucket).objects
        if key not in objects:
            raise ObjectNotFoundError(f"there is no object {key}")
        return objects[key]


SERVICES: defaultdict[str, ToyService] = defaultdict(ToyService)


class ToyDriver(Driver):
    name: ClassVar[str] = "toy"
    config_keys: ClassVar[Sequence[ConfigKey]] = (
        ConfigKey("toy_name", str, "providers of one process that name the same store share it", "default"),
    )
    capabilities = Capabilities(content_headers=frozenset(), checksums=frozenset({"md5"}), shared=False)

    def __init__(self, service: ToyService) -> None:
        self._service = service

    @classmethod
    def connect(cls, config: Mapping[str, Any], settings: Settings) -> Self:
        return cls(SERVICES[config["toy_name"]])

    @property
    def native(self) -> ToyService:
        return self._service

    def classify(self, error: BaseException) -> Failure | None:
        # All that this service raises is this library's already. A driver for an SDK says here what its errors mean.
        return None

    # Buckets

    def create_bucket(self, bucket: str, *, location: str | None = None) -> BucketInfo:
        with self._service.lock:
            if bucket in self._service.buckets:
                raise DuplicateResourceException(f"there is a bucket {bucket} already")
            info = BucketInfo(bucket, datetime.now(UTC))
            self._service.buckets[bucket] = ToyBucket(info)
            return info

    def head_bucket(self, bucket: str) -> BucketInfo:
        return self._service.bucket(bucket).info

    def list_buckets(self, *, limit: int, token: str | None = None) -> Page[BucketInfo]:
        with self._service.lock:
            names = sorted(name for name in self._service.buckets if name > (token or ""))
            found = [self._service.buckets[name].info for name in names[:limit]]
        return Page(found, token=found[-1].name if len(names) > limit else None)

    def delete_bucket(self, bucket: str) -> None:
        with self._service.lock:
            if self._service.bucket(bucket).objects:
                raise BucketNotEmptyError(f"bucket {bucket} is not empty")
            del self._service.buckets[bucket]

    # Objects

    def head_object(self, bucket: str, key: str, options: ReadOptions = READ_ALL) -> ObjectInfo:
        info, _ = self._service.object(bucket, key)
        return info

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
        with self._service.lock:
            objects = self._service.bucket(bucket).objects.copy()
        # Python orders text by code points, which is the order of its UTF-8 bytes.
        entries: dict[str, ObjectInfo | None] = {}
        for key in sorted(key for key in objects if key.startswith(prefix) and key > start_after):
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            if found:
                entries[prefix + head + delimiter] = None
            else:
                entries[key] = objects[key][0]
        names = [name for name in entries if name > (token or "")]
        page = names[:limit]
        return Page(
            items=[info for name in page if (info := entries[name])],
            prefixes=[name for name in page if entries[name] is None],
            token=page[-1] if len(names) > limit else None,
        )

    def get_object(self, bucket: str, key: str, options: ReadOptions) -> Download:
        info, content = self._service.object(bucket, key)
        if options.start > 0 and options.start >= info.size:
            raise InvalidRangeError(f"the object has {info.size} bytes")
        part = content[options.start : options.stop]
        return Download(info, io.BytesIO(part), options.start, len(part))

    def put_object(self, bucket: str, key: str, body: Body, options: PutOptions) -> Stored:
        with body.open() as stream:
            content = stream.read()
        md5 = hashlib.md5(content, usedforsecurity=False)
        if len(content) != body.size or md5.digest() != body.md5:
            raise IntegrityError("other bytes arrived than were announced")
        checksums = {"md5": md5.hexdigest()}
        info = ObjectInfo(
            key=key,
            size=len(content),
            modified=datetime.now(UTC),
            etag=md5.hexdigest(),
            content_type=options.content_type,
            checksums=checksums,
            headers={},
            metadata={},
        )
        with self._service.lock:
            self._service.bucket(bucket).objects[key] = (info, content)
        return Stored(info.etag, checksums=checksums)

    def delete_object(self, bucket: str, key: str, version: str | None = None) -> None:
        with self._service.lock:
            self._service.bucket(bucket).objects.pop(key, None)


class ToyCloudProvider(CloudProvider):
    """For programs that name the class. An entry point in ``cloudbridge_store.drivers`` does without it."""

    PROVIDER_ID = "toy"
    driver_class = ToyDriver
