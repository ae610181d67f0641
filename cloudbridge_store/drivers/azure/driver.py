"""The driver for Azure Blob Storage: buckets are containers, objects are block blobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, ClassVar, Self

from azure.core.exceptions import HttpResponseError

from cloudbridge_store.config import ConfigKey, Settings
from cloudbridge_store.drivers.azure import (
    buckets,
    copying,
    errors,
    history,
    keys,
    listing,
    objects,
    publishing,
    removal,
    signing,
    tagging,
    uploads,
)
from cloudbridge_store.drivers.azure.rules import get_cors, set_cors
from cloudbridge_store.drivers.azure.service import Service
from cloudbridge_store.drivers.azure.settings import CONFIG_KEYS, capabilities_of, make_service
from cloudbridge_store.drivers.base import (
    PUT_PLAIN,
    READ_ALL,
    Body,
    BucketInfo,
    Download,
    Driver,
    Failure,
    Method,
    ObjectInfo,
    Page,
    Part,
    PutOptions,
    ReadOptions,
    RuleKind,
    SignedRequest,
    SignOptions,
    Step,
    Stored,
    UploadInfo,
    VersionInfo,
)
from cloudbridge_store.errors import CredentialsExpiredError, StoreError

_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class AzureDriver(Driver):
    """Objects of one storage account."""

    name: ClassVar[str] = "azure"
    config_keys: ClassVar[Sequence[ConfigKey]] = CONFIG_KEYS

    def __init__(self, service: Service) -> None:
        self._service = service
        self._signer = signing.Signer(service)
        self.capabilities = capabilities_of(service)

    @classmethod
    def connect(cls, config: Mapping[str, Any], settings: Settings) -> Self:
        return cls(make_service(config, settings))

    @property
    def native(self) -> Any:
        """The SDK's BlobServiceClient."""
        return self._service.client

    def take_step(self, step: Step) -> None:
        self._service.step = step

    def classify(self, error: BaseException) -> Failure | None:
        if isinstance(error, StoreError):
            return Failure(type(error), reason=error.reason)
        failure = errors.classify(error)
        if failure is not None and failure.status in _REFUSED and self._service.identity.has_ended():
            # The service says why in a document, and with none to a HEAD.
            return replace(failure, error=CredentialsExpiredError, retry="auth", hint=errors.ENDED)
        return failure

    def renew(self) -> bool:
        return self._service.renew()

    def close(self) -> None:
        self._service.close()

    def refuse_key(self, key: str) -> str | None:
        return keys.refuse(key)

    # Buckets

    def create_bucket(self, bucket: str, *, location: str | None = None) -> BucketInfo:
        return buckets.create(self._service, bucket)

    def head_bucket(self, bucket: str) -> BucketInfo:
        return buckets.head(self._service, bucket)

    def list_buckets(self, *, limit: int, token: str | None = None) -> Page[BucketInfo]:
        return buckets.list_page(self._service, limit, token)

    def delete_bucket(self, bucket: str) -> None:
        buckets.delete(self._service, bucket)

    # Objects

    def head_object(self, bucket: str, key: str, options: ReadOptions = READ_ALL) -> ObjectInfo:
        return objects.head(self._service, bucket, key, options)

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
        return objects.get(self._service, bucket, key, options)

    def put_object(self, bucket: str, key: str, body: Body, options: PutOptions) -> Stored:
        try:
            return objects.put(self._service, bucket, key, body, options)
        except HttpResponseError as error:
            refused = options.if_none_match == "*" and errors.code_of(error) == "BlobAlreadyExists"
            fits = body.size <= self.capabilities.max_part
            if not (refused and fits and objects.is_missing(self._service, bucket, key)):
                raise
            return uploads.put_among_blocks(self._service, bucket, key, body, options)

    def delete_object(self, bucket: str, key: str, version: str | None = None) -> None:
        removal.delete_object(self._service, bucket, key, version)

    def delete_objects(self, bucket: str, keys: Sequence[str]) -> Mapping[str, Exception]:
        return removal.delete_objects(self._service, bucket, keys)

    # Multipart uploads

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
        return listing.list_uploads(self._service, bucket, prefix, limit, token)

    # Copies and signed URLs

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
        names = (bucket, key, to_bucket, to_key)
        return copying.copy(self._service, self._signer, names, options, source)

    def copy_url(self, bucket: str, key: str, url: str, options: PutOptions) -> Stored:
        return copying.copy_url(self._service, bucket, key, url, options)

    def sign_url(self, bucket: str, key: str, method: Method, seconds: int, options: SignOptions) -> SignedRequest:
        return signing.sign_url(self._service, self._signer, bucket, key, method, seconds, options)

    # Versions, tags, tiers, and who may read

    def list_versions(
        self, bucket: str, *, prefix: str = "", limit: int = 1000, token: str | None = None
    ) -> Page[VersionInfo]:
        return history.list_versions(self._service, bucket, prefix, limit, token)

    def get_tags(self, bucket: str, key: str) -> Mapping[str, str]:
        return tagging.get_tags(self._service, bucket, key)

    def set_tags(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        tagging.set_tags(self._service, bucket, key, tags)

    def set_storage_class(self, bucket: str, key: str, storage_class: str) -> None:
        tagging.set_storage_class(self._service, bucket, key, storage_class)

    def set_public(self, bucket: str, *, public: bool) -> None:
        publishing.set_public(self._service, bucket, public=public)

    def public_url(self, bucket: str, key: str) -> str:
        return signing.address(self._service, bucket, key)

    def get_account_rules(self, kind: RuleKind) -> Sequence[Mapping[str, Any]]:
        return get_cors(self._service)

    def set_account_rules(self, kind: RuleKind, rules: Sequence[Mapping[str, Any]]) -> None:
        set_cors(self._service, rules)

    def set_website(self, bucket: str, index: str | None, error: str | None) -> str:
        return publishing.set_website(self._service, bucket, index, error)
