"""The driver for OpenStack Swift and the services that speak its protocol, on keystoneauth's logins."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, Self

from cloudbridge_store.config import ConfigKey, Settings, leave_nearest
from cloudbridge_store.drivers.base import (
    PUT_PLAIN,
    READ_ALL,
    Body,
    BucketInfo,
    CdnInfo,
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
    Step,
    Stored,
    UploadInfo,
    UploadLimits,
    Usage,
    VersionInfo,
)
from cloudbridge_store.drivers.http import sent_range
from cloudbridge_store.drivers.openstack import copying, dynamic, errors, listing, publishing, removal, usage, versions
from cloudbridge_store.drivers.openstack.addresses import Place
from cloudbridge_store.drivers.openstack.errors import AnswerError
from cloudbridge_store.drivers.openstack.plan import Plan
from cloudbridge_store.drivers.openstack.segments import Segments
from cloudbridge_store.drivers.openstack.service import Answer, Service
from cloudbridge_store.drivers.openstack.settings import (
    CONFIG_KEYS,
    WAYS,
    capabilities_of,
    choose_preset,
    refuse_userinfo,
    whole_addresses,
)
from cloudbridge_store.drivers.openstack.signing import UrlSigner
from cloudbridge_store.drivers.openstack.translate import (
    conditions,
    describing,
    etag_of,
    is_dynamic,
    object_info,
    quoted,
    stored,
)
from cloudbridge_store.drivers.openstack.uploads import Uploads, upload_limits
from cloudbridge_store.drivers.streams import BodyStream
from cloudbridge_store.errors import (
    BucketNotFoundError,
    DuplicateResourceException,
    IntegrityError,
    InvalidRangeError,
    ObjectNotFoundError,
    StoreError,
)


class OpenStackDriver(Driver):
    """Objects of Swift, or of a service that speaks its protocol.

    :param plan: what the connections are made from.
    """

    name: ClassVar[str] = "openstack"
    config_keys: ClassVar[Sequence[ConfigKey]] = CONFIG_KEYS

    def __init__(self, plan: Plan) -> None:
        self._service = Service(plan)
        self._segments = Segments(self._service)
        self._uploads = Uploads(self._service, self._segments)
        self._signer = UrlSigner(self._service)
        self._creating = threading.Lock()
        self.capabilities = capabilities_of(plan.preset, weak_conditions=bool(plan.config["os_weak_conditions"]))

    @classmethod
    def connect(cls, config: Mapping[str, Any], settings: Settings) -> Self:
        refuse_userinfo(config)
        config = whole_addresses(leave_nearest(config, WAYS))
        return cls(Plan(config, settings, choose_preset(config)))

    @property
    def native(self) -> Any:
        """An ``openstack.connection.Connection`` as the same user."""
        return self._service.native

    def take_step(self, step: Step) -> None:
        self._service.step = step

    def classify(self, error: BaseException) -> Failure | None:
        if isinstance(error, StoreError):
            return Failure(type(error), reason=error.reason)
        return errors.classify(error)

    def close(self) -> None:
        self._service.close()

    # Buckets

    def create_bucket(self, bucket: str, *, location: str | None = None) -> BucketInfo:
        headers = {"X-Storage-Policy": location} if location is not None else None
        # The service answers alike whether it made a container or had it, but for the status. Looked at before, as a
        # PUT would change what is there; within this process one call wins.
        with self._creating:
            if listing.exists(self._service, bucket):
                raise DuplicateResourceException("a bucket of that name exists", bucket=bucket)
            answer = self._service.send("PUT", bucket, headers=headers)
        if answer.status == HTTPStatus.ACCEPTED:
            raise DuplicateResourceException("a bucket of that name exists", bucket=bucket)
        self._segments.forget(bucket)
        return BucketInfo(bucket, None, answer.headers.get("x-storage-policy", location))

    def head_bucket(self, bucket: str) -> BucketInfo:
        return listing.describe_bucket(bucket, self._service.send("HEAD", bucket).headers)

    def list_buckets(self, *, limit: int, token: str | None = None) -> Page[BucketInfo]:
        return listing.list_buckets(self._service, limit, token)

    def delete_bucket(self, bucket: str) -> None:
        removal.delete_bucket(self._service, self._segments, bucket)

    def get_usage(self, bucket: str | None) -> Usage:
        return usage.get_usage(self._service, bucket)

    def set_bucket_metadata(self, bucket: str | None, metadata: Mapping[str, str]) -> None:
        usage.set_metadata(self._service, bucket, metadata)

    def regions(self) -> Sequence[str]:
        policies = self._service.info.get("swift", {}).get("policies", ())
        return [each["name"] for each in sorted(policies, key=lambda each: not each.get("default", False))]

    # Objects

    def head_object(self, bucket: str, key: str, options: ReadOptions = READ_ALL) -> ObjectInfo:
        try:
            answer = self._service.send("HEAD", bucket, key, query=_version(options.version))
            return object_info(key, answer.headers, dynamic.size_of(self._service, answer))
        except AnswerError as error:
            missing = self._which_is_missing(bucket, key, error)
            raise missing from missing.__cause__

    def _which_is_missing(self, bucket: str, key: str, error: AnswerError) -> Exception:
        """Ask what an answer does not say: whether the container is missing, or the object."""
        failure = errors.classify(error)
        if error.status != HTTPStatus.NOT_FOUND or failure is None or not issubclass(failure.error, FileNotFoundError):
            return error
        if listing.exists(self._service, bucket):
            return errors.reworded(ObjectNotFoundError, "there is no such object", error, bucket=bucket, key=key)
        return errors.reworded(BucketNotFoundError, "there is no such bucket", error, bucket=bucket, key=key)

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
        if options.stop is not None and options.stop <= options.start:
            raise InvalidRangeError("the range is empty", bucket=bucket, key=key)
        try:
            answer = self._get(bucket, key, options, ranged=options.ranged)
            if is_dynamic(answer.headers) and answer.stream is not None:
                found = dynamic.open_dynamic(self._service, bucket, key, options, answer)
                if found is not None:
                    return found
        except AnswerError as error:
            missing = self._which_is_missing(bucket, key, error)
            raise missing from missing.__cause__
        if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return self._nothing(bucket, key, options)
        return self._opened(key, answer)

    def _get(self, bucket: str, key: str, options: ReadOptions, *, ranged: bool) -> Answer:
        headers = {}
        if ranged:
            headers["Range"] = f"bytes={options.start}-{'' if options.stop is None else options.stop - 1}"
        wanted = headers.copy()
        if options.if_match is not None:
            wanted["If-Match"] = quoted(options.if_match)
        if options.if_none_match is not None:
            wanted["If-None-Match"] = quoted(options.if_none_match)
        # Of an empty object no range can be had, not even from 0 on.
        ok = (416,) if ranged and options.start == 0 else ()
        about: dict[str, Any] = {"query": _version(options.version), "stream": True, "ok": ok}
        try:
            return self._service.send("GET", bucket, key, headers=wanted, **about)
        except AnswerError as error:
            if error.status != HTTPStatus.PRECONDITION_FAILED or options.if_match is None:
                raise
            # Of a plain object that is the copy of a large one Swift compares the ETag of that, and shows its own.
            answer = self._service.send("GET", bucket, key, headers=headers, **about)
            if answer.headers.get("etag", "").strip('"') == options.if_match:
                return answer
            if answer.stream is not None:
                answer.stream.raw.close()
            raise

    def _nothing(self, bucket: str, key: str, options: ReadOptions) -> Download:
        download = self._opened(key, self._get(bucket, key, options, ranged=False))
        if download.info.size:
            download.stream.close()
            raise InvalidRangeError("the service refused a range that begins at 0", bucket=bucket, key=key)
        return download

    def _opened(self, key: str, answer: Answer) -> Download:
        response = answer.stream
        assert response is not None
        try:
            announced = answer.length()
            start, length, size = sent_range(answer.status, announced, answer.headers.get("Content-Range"))
            info = object_info(key, answer.headers, size)
        except BaseException:
            response.raw.close()
            raise
        if not length:
            response.drain()
        return Download(info, BodyStream(response.raw, length), start, length)

    def put_object(self, bucket: str, key: str, body: Body, options: PutOptions) -> Stored:
        headers = {"ETag": body.md5.hex(), **describing(options), **conditions(options)}
        if options.if_none_match:
            return self._put(bucket, key, headers, body)
        if self._segments.expects_nothing(bucket, key):
            # Where nothing is replaced no segments go, which costs no question.
            try:
                return self._put(bucket, key, {**headers, "If-None-Match": "*"}, body)
            except AnswerError as error:
                if error.status != HTTPStatus.PRECONDITION_FAILED:
                    raise
                self._segments.expect_something(bucket)
        before = self._segments.of(bucket, key)
        result = self._put(bucket, key, headers, body)
        self._segments.remove(bucket, before, key)
        return result

    def _put(self, bucket: str, key: str, headers: Mapping[str, str], body: Body) -> Stored:
        answer = self._service.send("PUT", bucket, key, headers=headers, body=body)
        if (etag := etag_of(answer.headers)) != headers["ETag"]:
            raise IntegrityError(f"the service stored content of MD5 {etag}, {headers['ETag']} was sent")
        return stored(answer.headers)

    def delete_object(self, bucket: str, key: str, version: str | None = None) -> None:
        removal.delete_object(self._service, self._segments, bucket, key, version)
        if version is not None:
            versions.show_newest(self._service, bucket, key)

    def delete_objects(self, bucket: str, keys: Sequence[str]) -> Mapping[str, Exception]:
        return removal.delete_objects(self._service, self._segments, bucket, keys)

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
        try:
            target = Place(to_bucket, to_key)
            return copying.copy(self._service, self._segments, Place(bucket, key), target, options, source)
        except AnswerError as error:
            missing = self._which_is_missing(bucket, key, error)
            raise missing from missing.__cause__

    def copy_url(self, bucket: str, key: str, url: str, options: PutOptions) -> Stored:
        return copying.copy_url(self._service, self._segments, url, Place(bucket, key), options)

    # Multipart uploads

    def upload_limits(self) -> UploadLimits:
        return upload_limits(self._service)

    def start_upload(self, bucket: str, key: str, options: PutOptions) -> str:
        return self._uploads.start(bucket, key)

    def upload_part(
        self, bucket: str, key: str, upload_id: str, number: int, body: Body, options: PutOptions = PUT_PLAIN
    ) -> Part:
        return self._uploads.send_part(bucket, key, upload_id, number, body)

    def list_parts(self, bucket: str, key: str, upload_id: str) -> Sequence[Part]:
        return self._uploads.list_parts(bucket, key, upload_id)

    def finish_upload(
        self, bucket: str, key: str, upload_id: str, parts: Sequence[Part], options: PutOptions
    ) -> Stored:
        return self._uploads.finish(bucket, key, upload_id, parts, options)

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        self._uploads.abort(bucket, key, upload_id)

    def list_uploads(
        self, bucket: str, *, prefix: str = "", limit: int = 1000, token: str | None = None
    ) -> Page[UploadInfo]:
        return self._uploads.list(bucket, prefix, limit, token)

    # Versions, signatures, and who may read

    def list_versions(
        self, bucket: str, *, prefix: str = "", limit: int = 1000, token: str | None = None
    ) -> Page[VersionInfo]:
        return versions.list_versions(self._service, bucket, prefix, limit, token)

    def get_versioning(self, bucket: str) -> bool:
        return versions.get_versioning(self._service, bucket)

    def set_versioning(self, bucket: str, *, enabled: bool) -> None:
        self._segments.expect_something(bucket)
        versions.set_versioning(self._service, bucket, enabled=enabled)

    def sign_url(self, bucket: str, key: str, method: Method, seconds: int, options: SignOptions) -> SignedRequest:
        return self._signer.sign(bucket, key, method, seconds, options)

    def set_temp_url_key(self, key: str, bucket: str | None = None, *, keep: bool = False) -> None:
        self._signer.set_key(key, bucket, keep=keep)

    def set_public(self, bucket: str, *, public: bool) -> None:
        publishing.set_public(self._service, self._segments, bucket, public=public)

    def public_url(self, bucket: str, key: str) -> str:
        return publishing.public_url(self._service, bucket, key)

    def set_website(self, bucket: str, index: str | None, error: str | None) -> str:
        return publishing.set_website(self._service, bucket, index, error)

    def set_cdn(self, bucket: str, *, enabled: bool, ttl: int | None) -> str:
        return publishing.set_cdn(self._service, bucket, enabled=enabled, ttl=ttl)

    def get_cdn(self, bucket: str) -> CdnInfo:
        return publishing.get_cdn(self._service, bucket)

    def purge_cdn(self, bucket: str, key: str | None = None, *, email: str | None = None) -> None:
        publishing.purge_cdn(self._service, bucket, key, email)


def _version(version: str | None) -> dict[str, str] | None:
    return {"version-id": version} if version is not None else None
