"""The driver for AWS S3 and the services that speak its protocol, on boto3's client."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, ClassVar, Self, cast

from botocore.exceptions import ClientError

from cloudbridge_store.config import ConfigKey, Settings
from cloudbridge_store.drivers.aws import copying, errors, listing, publishing, removal, uploads, versions
from cloudbridge_store.drivers.aws.encryption import unlocking
from cloudbridge_store.drivers.aws.plan import Plan
from cloudbridge_store.drivers.aws.removal import NOT_IN_XML
from cloudbridge_store.drivers.aws.rules import get_rules, set_rules
from cloudbridge_store.drivers.aws.service import Service
from cloudbridge_store.drivers.aws.settings import (
    CONFIG_KEYS,
    capabilities_of,
    choose_endpoint,
    choose_preset,
    refuse_userinfo,
)
from cloudbridge_store.drivers.aws.translate import (
    conditions,
    describing,
    encrypted,
    etag_of,
    object_info,
    quoted,
    require,
    stored,
    tag_set,
)
from cloudbridge_store.drivers.base import (
    PUT_PLAIN,
    READ_ALL,
    Body,
    BucketInfo,
    Download,
    Driver,
    Failure,
    FormOptions,
    Method,
    ObjectInfo,
    Page,
    Part,
    PutOptions,
    ReadOptions,
    RuleKind,
    SignedForm,
    SignedRequest,
    SignOptions,
    Step,
    Stored,
    UploadInfo,
    VersionInfo,
)
from cloudbridge_store.drivers.http import sent_range
from cloudbridge_store.drivers.streams import BodyStream, SentStream
from cloudbridge_store.errors import (
    BucketNotFoundError,
    DuplicateResourceException,
    IntegrityError,
    InvalidRangeError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StoreError,
)

_MD5 = re.compile("[0-9a-f]{32}")


@cache
def _aws_regions(partition: str) -> tuple[str, ...]:
    import boto3  # which reads its list of all services for this

    return tuple(boto3.Session().get_available_regions("s3", partition))


class AwsDriver(Driver):
    """Objects of S3, or of a service that speaks its protocol.

    :param plan: what the client is built from.
    """

    name: ClassVar[str] = "aws"
    config_keys: ClassVar[Sequence[ConfigKey]] = CONFIG_KEYS

    def __init__(self, plan: Plan) -> None:
        self._service = Service(plan)
        self._creating = threading.Lock()
        anonymous = bool(plan.config["aws_anonymous"])
        self.capabilities = capabilities_of(plan.preset, anonymous=anonymous, locations=plan.preset.location_constraint)

    @classmethod
    def connect(cls, config: Mapping[str, Any], settings: Settings) -> Self:
        refuse_userinfo(config)
        preset = choose_preset(config)
        return cls(Plan(config, settings, preset, choose_endpoint(config, preset)))

    @property
    def native(self) -> Any:
        """boto3's client for S3."""
        return self._service.native

    def take_step(self, step: Step) -> None:
        self._service.step = step

    def classify(self, error: BaseException) -> Failure | None:
        if isinstance(error, StoreError):
            return Failure(type(error), reason=error.reason)
        return errors.classify(error)

    def renew(self) -> bool:
        return self._service.renew()

    def close(self) -> None:
        self._service.close()

    # Buckets

    def create_bucket(self, bucket: str, *, location: str | None = None) -> BucketInfo:
        service = self._service if location is None else self._service.at(location)
        constraint = service.region if self._names_region(service) else None
        if constraint is None or not service.preset.already_exists_detectable:
            # The service answers as if it had made a bucket that it has already. Within this process one call wins.
            with self._creating:
                self._refuse_existing(bucket)
                return self._create(service, bucket, constraint)
        return self._create(service, bucket, constraint)

    def _names_region(self, service: Service) -> bool:
        return service.preset.location_constraint and service.region != "us-east-1"

    def _create(self, service: Service, bucket: str, constraint: str | None) -> BucketInfo:
        configuration = {"LocationConstraint": constraint} if constraint else None
        service.send("create_bucket", Bucket=bucket, CreateBucketConfiguration=configuration)
        self._service.remember(bucket, service.region)
        return BucketInfo(bucket, None, service.region)

    def _refuse_existing(self, bucket: str) -> None:
        try:
            self._service.send("head_bucket", Bucket=bucket)
        except ClientError as error:
            status = errors.status_of(error)
            # Whether it is another's or the keys are wrong, the answer to the creation will say.
            if status in (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN):
                return
            if status != HTTPStatus.MOVED_PERMANENTLY:
                raise
        raise DuplicateResourceException("a bucket of that name exists", bucket=bucket)

    def head_bucket(self, bucket: str) -> BucketInfo:
        answer = self._service.send("head_bucket", Bucket=bucket)
        return BucketInfo(bucket, None, answer.get("BucketRegion"))

    def list_buckets(self, *, limit: int, token: str | None = None) -> Page[BucketInfo]:
        return listing.list_buckets(self._service, limit, token)

    def delete_bucket(self, bucket: str) -> None:
        self._service.send("delete_bucket", Bucket=bucket)

    def regions(self) -> Sequence[str]:
        preset, own = self._service.preset, self._service.region
        if not preset.location_constraint:
            return ()
        known = preset.regions
        if preset.name == "aws":
            partition = self._service.client.meta.partition
            known = _aws_regions(partition)
        return (own, *sorted(set(known) - {own}))

    # Objects

    def head_object(self, bucket: str, key: str, options: ReadOptions = READ_ALL) -> ObjectInfo:
        return object_info(key, self._head(bucket, key, options), self._service.preset)

    def _head(self, bucket: str, key: str, options: ReadOptions) -> dict[str, Any]:
        try:
            return self._service.send(
                "head_object",
                Bucket=bucket,
                Key=key,
                VersionId=options.version,
                ChecksumMode=self._checksum_mode,
                **unlocking(options.customer_key),
            )
        except ClientError as error:
            if errors.status_of(error) != HTTPStatus.NOT_FOUND:
                raise
            missing = self._which_is_missing(bucket, key, error)
            raise missing from missing.__cause__

    def _which_is_missing(self, bucket: str, key: str, error: ClientError) -> Exception:
        """Ask what the answer to a HEAD cannot say, as it has no body."""
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        if headers.get("x-amz-delete-marker") != "true":
            try:
                self._service.send("head_bucket", Bucket=bucket)
            except ClientError as other:
                if errors.status_of(other) != HTTPStatus.NOT_FOUND:
                    return cast("Exception", error)
                missing = "there is no such bucket"
                return errors.reworded(BucketNotFoundError, missing, error, bucket=bucket, key=key)
        return errors.reworded(ObjectNotFoundError, "there is no such object", error, bucket=bucket, key=key)

    @property
    def _checksum_mode(self) -> str | None:
        return "ENABLED" if self._service.preset.checksum == "crc32" else None

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
        return listing.list_objects(self._service, bucket, prefix, delimiter, start_after, limit, token)

    def get_object(self, bucket: str, key: str, options: ReadOptions) -> Download:
        try:
            return self._get(bucket, key, options, ranged=options.ranged)
        except ClientError as error:
            if options.start > 0 or errors.status_of(error) != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
        # Only an empty object has nothing from 0 on.
        download = self._get(bucket, key, options, ranged=False)
        if download.info.size:
            download.stream.close()
            raise InvalidRangeError("the service refused a range that begins at 0", bucket=bucket, key=key)
        return download

    def _get(self, bucket: str, key: str, options: ReadOptions, *, ranged: bool) -> Download:
        last = "" if options.stop is None else options.stop - 1
        if options.stop is not None and options.stop <= options.start:
            raise InvalidRangeError("the range is empty", bucket=bucket, key=key)
        answer = self._service.send(
            "get_object",
            Bucket=bucket,
            Key=key,
            Range=f"bytes={options.start}-{last}" if ranged else None,
            IfMatch=quoted(options.if_match),
            IfNoneMatch=quoted(options.if_none_match),
            VersionId=options.version,
            ChecksumMode=self._checksum_mode,
            **unlocking(options.customer_key),
        )
        try:
            start, length, size = self._sent(answer)
            info = object_info(key, answer, self._service.preset, size, whole=length == size)
        except BaseException:
            answer["Body"].close()
            raise
        return Download(info, BodyStream(answer["Body"], length), start, length)

    def _sent(self, answer: Mapping[str, Any]) -> tuple[int, int, int]:
        """Return where the answer starts, its length, and the object's size."""
        status = answer["ResponseMetadata"]["HTTPStatusCode"]
        content_range = require(answer, "ContentRange") if status == HTTPStatus.PARTIAL_CONTENT else None
        return sent_range(status, int(require(answer, "ContentLength")), content_range)

    def put_object(self, bucket: str, key: str, body: Body, options: PutOptions) -> Stored:
        service = self._service
        try:
            with body.open() as stream:
                answer = service.send(
                    "put_object",
                    Bucket=bucket,
                    Key=key,
                    Body=SentStream(stream, body.size),
                    ContentLength=body.size,
                    **uploads.digest(service, body),
                    **conditions(options),
                    **describing(options),
                )
        except ClientError as error:
            failed = self._condition_failed(error, options, bucket, key)
            raise failed from failed.__cause__
        if service.preset.checksum == "md5" and service.preset.etag_is_md5 and not encrypted(answer):
            self._compare(etag_of(answer), body)
        return stored(answer, service.preset)

    def _compare(self, etag: str, body: Body) -> None:
        if _MD5.fullmatch(etag) and etag != body.md5.hex():
            raise IntegrityError(f"the service stored content of MD5 {etag}, {body.md5.hex()} was sent")

    def _condition_failed(self, error: ClientError, options: PutOptions, bucket: str, key: str) -> Exception:
        """Return the failed condition where S3 answers that what should match is missing."""
        if options.if_match is None or errors.code_of(error) != "NoSuchKey":
            return cast("Exception", error)
        reason = "there is no object that could have this ETag"
        return errors.reworded(PreconditionFailedError, reason, error, bucket=bucket, key=key)

    def delete_object(self, bucket: str, key: str, version: str | None = None) -> None:
        try:
            self._service.send("delete_object", Bucket=bucket, Key=key, VersionId=version)
        except ClientError as error:
            if errors.code_of(error) not in ("NoSuchKey", "NoSuchVersion"):
                raise

    def delete_objects(self, bucket: str, keys: Sequence[str]) -> Mapping[str, Exception]:
        for odd in filter(NOT_IN_XML.search, keys):
            self.delete_object(bucket, odd)
        plain = [key for key in keys if not NOT_IN_XML.search(key)]
        return removal.delete_objects(self._service, bucket, plain) if plain else {}

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
        found = self.head_object(bucket, key, source)
        try:
            return copying.copy(self._service, found, bucket, to_bucket, to_key, options, source)
        except ClientError as error:
            failed = self._condition_failed(error, options or PutOptions(), to_bucket, to_key)
            raise failed from failed.__cause__

    def sign_url(self, bucket: str, key: str, method: Method, seconds: int, options: SignOptions) -> SignedRequest:
        return publishing.sign_url(self._service, bucket, key, method, seconds, options)

    def sign_form(self, bucket: str, key: str, seconds: int, options: FormOptions) -> SignedForm:
        return publishing.sign_form(self._service, bucket, key, seconds, options)

    # Multipart uploads

    def start_upload(self, bucket: str, key: str, options: PutOptions) -> str:
        return uploads.start(self._service, bucket, key, options)

    def upload_part(
        self, bucket: str, key: str, upload_id: str, number: int, body: Body, options: PutOptions = PUT_PLAIN
    ) -> Part:
        return uploads.send_part(self._service, bucket, key, upload_id, number, body, options)

    def list_parts(self, bucket: str, key: str, upload_id: str) -> Sequence[Part]:
        entries = uploads.list_entries(self._service, bucket, key, upload_id)
        return [Part(each["PartNumber"], etag_of(each), each["Size"]) for each in entries]

    def finish_upload(
        self, bucket: str, key: str, upload_id: str, parts: Sequence[Part], options: PutOptions
    ) -> Stored:
        try:
            return uploads.finish(self._service, bucket, key, upload_id, parts, options)
        except ClientError as error:
            failed = self._condition_failed(error, options, bucket, key)
            raise failed from failed.__cause__

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        uploads.abort(self._service, bucket, key, upload_id)

    def list_uploads(
        self, bucket: str, *, prefix: str = "", limit: int = 1000, token: str | None = None
    ) -> Page[UploadInfo]:
        return listing.list_uploads(self._service, bucket, prefix, limit, token)

    # Versions

    def list_versions(
        self, bucket: str, *, prefix: str = "", limit: int = 1000, token: str | None = None
    ) -> Page[VersionInfo]:
        return versions.list_versions(self._service, bucket, prefix, limit, token)

    def get_versioning(self, bucket: str) -> bool:
        return versions.get_versioning(self._service, bucket)

    def set_versioning(self, bucket: str, *, enabled: bool) -> None:
        versions.set_versioning(self._service, bucket, enabled=enabled)

    # Tags, who may read, and rules

    def set_storage_class(self, bucket: str, key: str, storage_class: str) -> None:
        answer = self._head(bucket, key, READ_ALL)
        try:
            copying.set_storage_class(self._service, bucket, key, answer, storage_class)
        except ClientError as error:
            failed = self._condition_failed(error, PutOptions(if_match="*"), bucket, key)
            raise failed from failed.__cause__

    def get_tags(self, bucket: str, key: str) -> Mapping[str, str]:
        return copying.get_tags(self._service, bucket, key)

    def set_tags(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        if not tags:
            self._service.send("delete_object_tagging", Bucket=bucket, Key=key)
            return
        self._service.send("put_object_tagging", Bucket=bucket, Key=key, Tagging={"TagSet": tag_set(tags)})

    def set_public(self, bucket: str, *, public: bool) -> None:
        publishing.set_public(self._service, bucket, public=public)

    def public_url(self, bucket: str, key: str) -> str:
        return publishing.public_url(self._service, bucket, key)

    def set_website(self, bucket: str, index: str | None, error: str | None) -> str:
        return publishing.set_website(self._service, bucket, index, error)

    def get_rules(self, bucket: str, kind: RuleKind) -> Sequence[Mapping[str, Any]]:
        return get_rules(self._service, bucket, kind)

    def set_rules(self, bucket: str, kind: RuleKind, rules: Sequence[Mapping[str, Any]]) -> None:
        set_rules(self._service, bucket, kind, rules)
