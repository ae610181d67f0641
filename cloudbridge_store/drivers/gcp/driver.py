"""The driver for Google Cloud Storage, by its JSON interface, and by its XML interface where that can do more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from cloudbridge_store.config import ConfigKey, Settings
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
    Stored,
    UploadInfo,
    VersionInfo,
)
from cloudbridge_store.drivers.gcp import (
    buckets,
    copying,
    errors,
    listing,
    names,
    publishing,
    reading,
    regions,
    removal,
    rules,
    signing,
    uploads,
    versions,
    writing,
)
from cloudbridge_store.drivers.gcp.resumable import ResumableUploads
from cloudbridge_store.drivers.gcp.service import Service
from cloudbridge_store.drivers.gcp.settings import CONFIG_KEYS, capabilities_of, refuse_contradictions
from cloudbridge_store.errors import StoreError

_CHALLENGES = ".well-known/acme-challenge/"


class GcpDriver(Driver):
    """Objects of Google Cloud Storage."""

    name: ClassVar[str] = "gcp"
    config_keys: ClassVar[Sequence[ConfigKey]] = CONFIG_KEYS

    def __init__(self, service: Service) -> None:
        self._service = service
        self._resumable = ResumableUploads(service)
        self.capabilities = capabilities_of(anonymous=service.identity.anonymous)

    @classmethod
    def connect(cls, config: Mapping[str, Any], settings: Settings) -> Self:
        refuse_contradictions(config)
        return cls(Service(config, settings))

    @property
    def native(self) -> Any:
        """The SDK's ``google.cloud.storage.Client``."""
        return self._service.native

    def classify(self, error: BaseException) -> Failure | None:
        if isinstance(error, StoreError):
            return Failure(type(error), reason=error.reason)
        return errors.classify(error)

    def renew(self) -> bool:
        return self._service.identity.renew()

    def close(self) -> None:
        self._service.close()

    def authenticate(self) -> None:
        buckets.check_credentials(self._service)

    def refuse_key(self, key: str) -> str | None:
        if key in (".", ".."):
            return "the service has no objects called . or .."
        if "\r" in key or "\n" in key:
            return "the service takes no line breaks in names"
        if key.startswith(_CHALLENGES):
            return f"the service takes no names that begin with {_CHALLENGES}"
        return None

    def bucket_name(self, text: str) -> str:
        return names.bucket_of(text, self._service.endpoint)

    def object_key(self, bucket: str, text: str) -> str:
        return names.key_of(bucket, text, self._service.endpoint)

    # Buckets

    def create_bucket(self, bucket: str, *, location: str | None = None) -> BucketInfo:
        return buckets.create_bucket(self._service, bucket, location)

    def head_bucket(self, bucket: str) -> BucketInfo:
        return buckets.head_bucket(self._service, bucket)

    def list_buckets(self, *, limit: int, token: str | None = None) -> Page[BucketInfo]:
        return listing.list_buckets(self._service, limit, token)

    def delete_bucket(self, bucket: str) -> None:
        buckets.delete_bucket(self._service, bucket)

    def regions(self) -> Sequence[str]:
        return regions.known_locations(self._service.config["gcp_region_name"])

    # Objects

    def head_object(self, bucket: str, key: str, options: ReadOptions = READ_ALL) -> ObjectInfo:
        return reading.head_object(self._service, bucket, key, options)

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
        return reading.get_object(self._service, bucket, key, options)

    def put_object(self, bucket: str, key: str, body: Body, options: PutOptions) -> Stored:
        if body.size > self.capabilities.multipart_threshold:
            return self._resumable.put_object(bucket, key, body, options)
        return writing.put_object(self._service, bucket, key, body, options)

    def delete_object(self, bucket: str, key: str, version: str | None = None) -> None:
        removal.delete_object(self._service, bucket, key, version)

    def delete_objects(self, bucket: str, keys: Sequence[str]) -> Mapping[str, Exception]:
        return removal.delete_objects(self._service, bucket, keys)

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
        return copying.copy(self._service, bucket, key, to_bucket, to_key, options, source)

    def set_storage_class(self, bucket: str, key: str, storage_class: str) -> None:
        copying.set_storage_class(self._service, bucket, key, storage_class)

    def sign_url(self, bucket: str, key: str, method: Method, seconds: int, options: SignOptions) -> SignedRequest:
        return signing.sign_url(self._service, bucket, key, method, seconds, options)

    def sign_form(self, bucket: str, key: str, seconds: int, options: FormOptions) -> SignedForm:
        return signing.sign_form(self._service, bucket, key, seconds, options)

    # Uploads in parts

    def start_upload(self, bucket: str, key: str, options: PutOptions) -> str:
        return uploads.start(self._service, bucket, key, options)

    def upload_part(
        self, bucket: str, key: str, upload_id: str, number: int, body: Body, options: PutOptions = PUT_PLAIN
    ) -> Part:
        return uploads.send_part(self._service, bucket, key, upload_id, number, body, options)

    def list_parts(self, bucket: str, key: str, upload_id: str) -> Sequence[Part]:
        return uploads.list_parts(self._service, bucket, key, upload_id)

    def finish_upload(
        self, bucket: str, key: str, upload_id: str, parts: Sequence[Part], options: PutOptions
    ) -> Stored:
        return uploads.finish(self._service, bucket, key, upload_id, parts, options)

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        uploads.abort(self._service, bucket, key, upload_id)

    def list_uploads(
        self, bucket: str, *, prefix: str = "", limit: int = 1000, token: str | None = None
    ) -> Page[UploadInfo]:
        return uploads.list_uploads(self._service, bucket, prefix, limit, token)

    # Versions

    def list_versions(
        self, bucket: str, *, prefix: str = "", limit: int = 1000, token: str | None = None
    ) -> Page[VersionInfo]:
        return versions.list_versions(self._service, bucket, prefix, limit, token)

    def get_versioning(self, bucket: str) -> bool:
        return versions.get_versioning(self._service, bucket)

    def set_versioning(self, bucket: str, *, enabled: bool) -> None:
        versions.set_versioning(self._service, bucket, enabled=enabled)

    # Who may read, and rules

    def set_public(self, bucket: str, *, public: bool) -> None:
        publishing.set_public(self._service, bucket, public=public)

    def public_url(self, bucket: str, key: str) -> str:
        return publishing.public_url(self._service, bucket, key)

    def set_website(self, bucket: str, index: str | None, error: str | None) -> str:
        return publishing.set_website(self._service, bucket, index, error)

    def get_rules(self, bucket: str, kind: RuleKind) -> Sequence[Mapping[str, Any]]:
        return rules.get_rules(self._service, bucket, kind)

    def set_rules(self, bucket: str, kind: RuleKind, rules_: Sequence[Mapping[str, Any]]) -> None:
        rules.set_rules(self._service, bucket, kind, rules_)
