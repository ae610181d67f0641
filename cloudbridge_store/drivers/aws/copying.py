"""Copies within the service."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from cloudbridge_store.drivers.aws import uploads
from cloudbridge_store.drivers.aws.encryption import asking_for, unlocking
from cloudbridge_store.drivers.aws.service import Service
from cloudbridge_store.drivers.aws.translate import (
    conditions,
    describing,
    etag_of,
    object_info,
    quoted,
    require,
    stored,
)
from cloudbridge_store.drivers.base import READ_ALL, Encryption, MiB, ObjectInfo, Part, PutOptions, ReadOptions, Stored
from cloudbridge_store.errors import PreconditionFailedError, UnsupportedOperationError

PART_SIZE = 512 * MiB
_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy: what the source is now, how it was asked for, and where it goes."""

    service: Service
    bucket: str
    source: ObjectInfo
    asked: ReadOptions
    to_bucket: str
    to_key: str

    @property
    def _parameters(self) -> dict[str, Any]:
        origin = {"Bucket": self.bucket, "Key": self.source.key}
        if self.asked.version is not None:
            origin["VersionId"] = self.asked.version
        return {
            "CopySource": origin,
            "CopySourceIfMatch": quoted(self.source.etag),
            **unlocking(self.asked.customer_key, "CopySource"),
        }

    def run(self, options: PutOptions | None) -> Stored:
        """Copy in one request where that is possible, else by parts."""
        service = self.service
        conditional = options is not None and options.conditional
        if self.source.size > service.preset.max_copy or (conditional and not service.trusted):
            return self._by_parts(options or self._description())
        onto_itself = (self.bucket, self.source.key) == (self.to_bucket, self.to_key) and self.asked.version is None
        if options is None and (onto_itself or self.asked.customer_key is not None):
            # S3 refuses a copy onto itself that describes nothing anew, and would drop the customer's encryption.
            options = self._description()
        parameters: dict[str, Any]
        if options is None:
            # Only the storage class does not come along by itself.
            parameters = {"MetadataDirective": "COPY", "StorageClass": self._storage_class()}
            parameters["TaggingDirective"] = "COPY" if service.preset.tagging else None
        else:
            parameters = {**describing(options), **conditions(options), "MetadataDirective": "REPLACE"}
            parameters["TaggingDirective"] = "REPLACE" if service.preset.tagging else None
        answer = service.send("copy_object", Bucket=self.to_bucket, Key=self.to_key, **self._parameters, **parameters)
        result = require(answer, "CopyObjectResult")
        return replace(stored(result, service.preset), version=stored({**answer, **result}, service.preset).version)

    def move(self, storage_class: str, encryption: Encryption | None) -> None:
        """Copy an object onto itself, in another storage class, as long as it is what it was."""
        service = self.service
        etag = self.source.etag
        if self.source.size > service.preset.max_copy or not service.trusted:
            options = replace(self._description(), storage_class=storage_class, encryption=encryption, if_match=etag)
            self._by_parts(options)
            return
        service.send(
            "copy_object",
            Bucket=self.to_bucket,
            Key=self.to_key,
            **self._parameters,
            MetadataDirective="COPY",
            TaggingDirective="COPY",
            StorageClass=storage_class,
            IfMatch=quoted(etag),
            **asking_for(encryption),
        )

    def _storage_class(self) -> str | None:
        name = self.source.storage_class
        return None if name == "STANDARD" else name

    def _description(self) -> PutOptions:
        tags = {}
        if self.service.preset.tagging:
            tags = get_tags(self.service, self.bucket, self.source.key, self.asked.version)
        source = self.source
        return PutOptions(
            source.content_type,
            source.headers or {},
            source.metadata or {},
            tags,
            storage_class=self._storage_class(),
            encryption=Encryption.customer(key) if (key := self.asked.customer_key) is not None else None,
        )

    def _by_parts(self, options: PutOptions) -> Stored:
        service = self.service
        if not service.preset.multipart_copy:
            raise UnsupportedOperationError("this service cannot copy by parts", bucket=self.to_bucket, key=self.to_key)
        upload_id = uploads.start(service, self.to_bucket, self.to_key, options)
        try:
            with ThreadPoolExecutor(_WORKERS, "cloudbridge-copy") as pool:
                parts = list(pool.map(lambda number: self._copy_part(upload_id, number, options), self._numbers()))
            return uploads.finish(service, self.to_bucket, self.to_key, upload_id, parts, options)
        except BaseException:
            uploads.abort(service, self.to_bucket, self.to_key, upload_id)
            raise

    def _part_size(self) -> int:
        preset = self.service.preset
        return max(min(PART_SIZE, preset.max_copy), -(-self.source.size // preset.max_parts))

    def _numbers(self) -> range:
        return range(1, max(1, -(-self.source.size // self._part_size())) + 1)

    def _copy_part(self, upload_id: str, number: int, options: PutOptions) -> Part:
        start = (number - 1) * self._part_size()
        stop = min(start + self._part_size(), self.source.size)
        parameters = {
            **self._parameters,
            **unlocking(options.customer_key),
            # An empty object has no range.
            "CopySourceRange": f"bytes={start}-{stop - 1}" if stop > start else None,
        }
        target = {"Bucket": self.to_bucket, "Key": self.to_key, "UploadId": upload_id, "PartNumber": number}
        answer = self.service.step(lambda: self.service.send("upload_part_copy", **target, **parameters))
        return Part(number, etag_of(require(answer, "CopyPartResult")), stop - start)


def copy(
    service: Service,
    source: ObjectInfo,
    bucket: str,
    to_bucket: str,
    to_key: str,
    options: PutOptions | None,
    asked: ReadOptions,
) -> Stored:
    """Copy an object as it is now. :raises PreconditionFailedError: ``asked.if_match`` differs."""
    if asked.if_match not in (None, source.etag):
        raise PreconditionFailedError("the source has another ETag", bucket=bucket, key=source.key)
    return Copy(service, bucket, source, asked, to_bucket, to_key).run(options)


def set_storage_class(service: Service, bucket: str, key: str, answer: Mapping[str, Any], storage_class: str) -> None:
    """Move an object to another storage class.

    :param answer: to the HEAD that describes it now.
    :raises PreconditionFailedError: it is another one by now.
    """
    source = object_info(key, answer, service.preset)
    # The key it is encrypted with would not come along: the copy would get the bucket's default one.
    kind = answer.get("ServerSideEncryption")
    encryption = Encryption.kms(answer.get("SSEKMSKeyId")) if kind == "aws:kms" else Encryption() if kind else None
    Copy(service, bucket, source, READ_ALL, bucket, key).move(storage_class, encryption)


def get_tags(service: Service, bucket: str, key: str, version: str | None = None) -> dict[str, str]:
    """Return an object's tags."""
    answer = service.send("get_object_tagging", Bucket=bucket, Key=key, VersionId=version)
    return {each["Key"]: each["Value"] for each in answer.get("TagSet", ())}
