"""Builds boto3's client from the configuration. Nothing is sent until the first request."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import logging
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
from botocore.loaders import Loader

from cloudbridge_store.config import Settings
from cloudbridge_store.drivers.aws.regions import is_elsewhere, named_region
from cloudbridge_store.drivers.aws.translate import parse_time, refuse_page
from cloudbridge_store.drivers.presets import S3Preset
from cloudbridge_store.errors import (
    BucketNotFoundError,
    InvalidConfigurationException,
    StoreError,
    UnsupportedOperationError,
    UploadNotFoundError,
)
from cloudbridge_store.redaction import protect_loggers

POOL_SIZE = 50
_MOST_HOMES = 10_000
_AWS_ONLY_CREDENTIALS = ("assume-role-with-web-identity", "sso", "login", "container-role", "iam-role")
"""What a machine gets from AWS for AWS: no other service is shown it, unless a profile is named that does."""
_CONTROL_DOCUMENTS = (
    "DeleteObjects",
    "PutBucketAcl",
    "PutBucketCors",
    "PutBucketLifecycleConfiguration",
    "PutBucketPolicy",
    "PutBucketVersioning",
    "PutBucketWebsite",
    "PutObjectTagging",
)
"""Operations that carry a document which S3 wants a digest of."""
_LOG_SECRETS = ("boto3", "botocore", "s3transfer", "urllib3")
"""What logs tokens, signatures and customers' keys at level DEBUG."""
# Of a shorter name some services say no more than that the request is bad.
_BUCKET = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]{3,255}|arn:[A-Za-z0-9:/_-]{1,2048}")
_log = logging.getLogger("cloudbridge_store")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a client is built from."""

    config: Mapping[str, Any]
    settings: Settings
    preset: S3Preset
    endpoint: str | None

    def endpoint_in(self, region: str | None) -> str | None:
        """Return the service's address in a region; one that the user gave serves them all."""
        config = self.config
        if region is None or config["s3_endpoint_url"]:
            return self.endpoint
        return self.preset.endpoint_url(region, config["s3_account"], bool(config["s3_is_secure"]))


class ChainCredentials:
    """Credentials that boto3's chain is asked for by the first request: it may have to go to the network.

    What the chain finds refreshes itself.
    """

    method = "cloudbridge-store-chain"

    def __init__(self, resolver: Any) -> None:
        self._resolver = resolver
        self._found: Any = None
        self._lock = threading.Lock()

    def load_credentials(self) -> ChainCredentials:
        """Return itself: to botocore's session this is the chain."""
        return self

    def _load(self) -> Any:
        with self._lock:
            if self._found is None:
                self._found = self._resolver.load_credentials()
            if self._found is None:
                raise NoCredentialsError
            return self._found

    def get_frozen_credentials(self) -> Any:
        """Return the credentials of this moment."""
        return self._load().get_frozen_credentials()

    def get_deferred_property(self, name: str) -> Any:
        """Return a function that returns a property of the credentials."""
        return lambda: getattr(self._load(), name, None)

    @property
    def access_key(self) -> Any:
        """The access key."""
        return self._load().access_key

    @property
    def secret_key(self) -> Any:
        """The secret key."""
        return self._load().secret_key

    @property
    def token(self) -> Any:
        """The session token."""
        return self._load().token

    @property
    def account_id(self) -> Any:
        """The account, where the chain says."""
        return getattr(self._load(), "account_id", None)


class Service:
    """A client, and the one way to it. A bucket of another region is followed there once, and remembered."""

    def __init__(self, plan: Plan, region: str | None = None) -> None:
        self.plan = plan
        self.preset = plan.preset
        self.client = make_client(plan, region)
        self.region: str = self.client.meta.region_name
        self.trusted = is_aws(self.client.meta.endpoint_url)
        """AWS itself checks what it is told to check; of others not all do."""
        self._elsewhere: dict[str, Service] = {}
        self._homes: dict[str, str] = {}
        """Regions of buckets, where they differ from this one."""
        self._lock = threading.Lock()

    def send(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Carry out one operation. Parameters that are ``None`` are left out.

        :raises BucketNotFoundError: no bucket can have that name; it could lead to another address.
        """
        bucket = parameters.get("Bucket")
        if bucket is not None and not _BUCKET.fullmatch(bucket):
            raise BucketNotFoundError("no bucket has such a name", bucket=bucket)
        if parameters.get("UploadId") == "":
            # A part of no upload would be an object.
            raise UploadNotFoundError("no upload has an empty id", bucket=bucket)
        if not self.preset.metadata_underscore and any("_" in name for name in parameters.get("Metadata") or ()):
            raise UnsupportedOperationError("this service makes a hyphen of an underscore in a name of metadata")
        given = {name: value for name, value in parameters.items() if value is not None}
        home = self.home_of(bucket)
        try:
            return home._carry_out(operation, given)  # noqa: SLF001 - another one of this class
        except ClientError as error:
            region = home.region_meant(error, bucket)
            if region is None or bucket is None or operation == "create_bucket":
                raise
            self.remember(bucket, region)
            if "Body" in given:
                given["Body"].seek(0)
            return self.at(region)._carry_out(operation, given)  # noqa: SLF001 - another one of this class

    def home_of(self, bucket: str | None) -> Service:
        """Return the service in the region of a bucket, as far as it is known."""
        region = self._homes.get(bucket) if bucket is not None else None
        return self if region is None else self.at(region)

    def remember(self, bucket: str, region: str) -> None:
        """Send what concerns a bucket to its region from now on."""
        if len(self._homes) >= _MOST_HOMES:
            self._homes.clear()
        self._homes[bucket] = region

    def region_meant(self, error: ClientError, bucket: str | None) -> str | None:
        """Return the other region that an answer sends us to, asking for it where the answer does not name it."""
        region = named_region(error)
        if region is None and bucket is not None and error.operation_name != "HeadBucket" and is_elsewhere(error):
            try:
                region = self._carry_out("head_bucket", {"Bucket": bucket}).get("BucketRegion")
            except ClientError as answer:
                region = named_region(answer)
        return region if region != self.region else None

    def _carry_out(self, operation: str, given: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self.client, operation)(**given)
        except HTTPClientError as error:
            # What the body raised while it was sent is not the connection's fault.
            cause = error.kwargs.get("error")
            if isinstance(cause, StoreError):
                raise cause from None
            raise
        if "Body" not in answer:
            refuse_page(answer)
        return answer

    def accepted(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters that an operation knows; its name is the protocol's, such as ``UploadPart``."""
        members = self.client.meta.service_model.operation_model(operation).input_shape.members
        return {name: value for name, value in parameters.items() if name in members}

    def at(self, region: str) -> Service:
        """Return the service in another region: a bucket can only be created there."""
        if region == self.region:
            return self
        with self._lock:
            if region not in self._elsewhere:
                self._elsewhere[region] = Service(self.plan, region)
            return self._elsewhere[region]

    def close(self) -> None:
        """Release the connections."""
        for each in self._elsewhere.values():
            each.close()
        self.client.close()


def make_client(plan: Plan, region: str | None = None) -> Any:
    """Return a client of its own session. :raises InvalidConfigurationException:"""
    for package in _LOG_SECRETS:
        protect_loggers(package)
    config, settings = plan.config, plan.settings
    try:
        session = _make_session(plan)
        chosen = region or config["aws_region_name"] or _usual_region(plan.preset, session)
        client = boto3.Session(botocore_session=session).client(
            "s3",
            region_name=chosen,
            endpoint_url=plan.endpoint_in(region),
            use_ssl=config["s3_is_secure"],
            verify=_verify(config, settings),
            config=_client_config(plan),
        )
    except (BotoCoreError, ValueError) as error:
        raise InvalidConfigurationException(str(error)) from error
    refuse_http(client.meta.endpoint_url, settings)
    _register_handlers(client, plan)
    return client


def _usual_region(preset: S3Preset, session: Any) -> str:
    # What AWS's configuration files say is about AWS.
    configured = session.get_config_variable("region") if preset.name == "aws" else None
    return configured or preset.default_region or "us-east-1"


class _SharedLoader(Loader):  # type: ignore[misc]
    """What botocore knows about services, read once for all clients: it takes most of the time that a client takes."""

    @property
    def search_paths(self) -> list[str]:
        """Where the data are; a copy, as each session of boto3 would add one more."""
        return list(super().search_paths)


@cache
def _loader(paths: str | None) -> Loader:
    places = paths.split(os.pathsep) if paths else []
    return _SharedLoader(extra_search_paths=[str(Path(os.path.expandvars(each)).expanduser()) for each in places])


def _make_session(plan: Plan) -> Any:
    config = plan.config
    access, secret = config["aws_access_key"], config["aws_secret_key"]
    if bool(access) != bool(secret):
        raise InvalidConfigurationException("config keys aws_access_key and aws_secret_key come together")
    session = botocore.session.Session(profile=None if access else config["aws_profile"])
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=parse_time)
    if access:
        session.set_credentials(access, secret, config["aws_session_token"])
    elif not config["aws_anonymous"]:
        resolver = session.get_component("credential_provider")
        if not (is_aws(plan.endpoint) or config["aws_profile"]):
            for source in _AWS_ONLY_CREDENTIALS:
                resolver.remove(source)
        chain = ChainCredentials(resolver)
        session.register_component("credential_provider", chain)
    return session


def _verify(config: Mapping[str, Any], settings: Settings) -> bool | str | None:
    if not (settings.verify_tls and config["s3_validate_certs"]):
        _log.warning("certificates are not checked: whoever is in between can read and change everything")
        return False
    return str(settings.ca_bundle) if settings.ca_bundle is not None else None


def _client_config(plan: Plan) -> Config:
    config, settings, preset = plan.config, plan.settings, plan.preset
    s3: dict[str, Any] = {"addressing_style": preset.addressing_style}
    if preset.checksum == "crc32":
        # Over TLS the checksum is enough; signing the content too would read it a second time.
        s3["payload_signing_enabled"] = not _is_tls(plan)
    return Config(
        signature_version=UNSIGNED if config["aws_anonymous"] else preset.signature_version,
        s3=s3,
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=POOL_SIZE,
        proxies=dict(settings.proxies) if settings.proxies else None,
        user_agent_extra=" ".join(part for part in ("cloudbridge-store", settings.user_agent) if part),
        # The driver gives the checksums itself, as headers: trailers are what compatible services fail at.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def _is_tls(plan: Plan) -> bool:
    return urlsplit(plan.endpoint).scheme == "https" if plan.endpoint else bool(plan.config["s3_is_secure"])


def refuse_http(url: str, settings: Settings) -> None:
    """Raise InvalidConfigurationException for plain http to another host, unless ``allow_http`` is set."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not settings.allow_http and not _is_loopback(parts.hostname or ""):
        host = parts.netloc.rpartition("@")[2]
        message = f"{parts.scheme}://{host} would send everything in the clear: use https, or set allow_http"
        raise InvalidConfigurationException(message)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_aws(endpoint: str | None) -> bool:
    """Say whether an endpoint is one of AWS itself."""
    host = urlsplit(endpoint).hostname or "" if endpoint else "amazonaws.com"
    return f".{host}".endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))


def _register_handlers(client: Any, plan: Plan) -> None:
    events = client.meta.events
    # Redirects are followed by us, once.
    events.register("before-parameter-build.s3", _refuse_redirect)
    if plan.preset.delete_digest == "md5":
        for operation in _CONTROL_DOCUMENTS:
            events.register(f"before-sign.s3.{operation}", _digest_by_md5)
    if not plan.preset.list_url_encode:
        for operation in ("ListObjects", "ListObjectsV2"):
            events.register(f"before-parameter-build.s3.{operation}", _leave_encoding)


def _refuse_redirect(context: dict[str, Any], **_: Any) -> None:
    context["s3_redirect"] = {**context.get("s3_redirect", {}), "redirected": True}


def _digest_by_md5(request: Any, **_: Any) -> None:
    for name in list(request.headers.keys()):
        if name.lower().startswith(("x-amz-checksum-", "x-amz-sdk-checksum-algorithm")):
            del request.headers[name]
    body = request.data if isinstance(request.data, bytes) else str(request.data).encode()
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    request.headers["Content-MD5"] = base64.b64encode(digest).decode()


def _leave_encoding(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    # botocore asks for it by itself.
    params.pop("EncodingType", None)
    context.pop("encoding_type_auto_set", None)
