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
from botocore.exceptions import BotoCoreError, HTTPClientError, NoCredentialsError
from botocore.loaders import Loader

from cloudbridge_store.config import Settings
from cloudbridge_store.drivers.aws.translate import parse_time
from cloudbridge_store.drivers.presets import S3Preset
from cloudbridge_store.errors import (
    BucketNotFoundError,
    InvalidConfigurationException,
    StoreError,
    UnsupportedOperationError,
    UploadNotFoundError,
)

POOL_SIZE = 50
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
    """A client, and the one way to it."""

    def __init__(self, plan: Plan, region: str | None = None) -> None:
        self.plan = plan
        self.preset = plan.preset
        self.client = make_client(plan, region)
        self.region: str = self.client.meta.region_name
        self.trusted = is_aws(self.client.meta.endpoint_url)
        """AWS itself checks what it is told to check; of others not all do."""
        self._elsewhere: dict[str, Service] = {}
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
        try:
            answer: dict[str, Any] = getattr(self.client, operation)(**given)
        except HTTPClientError as error:
            # What the body raised while it was sent is not the connection's fault.
            cause = error.kwargs.get("error")
            if isinstance(cause, StoreError):
                raise cause from None
            raise
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
    config, settings = plan.config, plan.settings
    try:
        session = _make_session(config)
        region = (
            region
            or config["aws_region_name"]
            or session.get_config_variable("region")
            or plan.preset.default_region
            or "us-east-1"
        )
        client = boto3.Session(botocore_session=session).client(
            "s3",
            region_name=region,
            endpoint_url=plan.endpoint,
            use_ssl=config["s3_is_secure"],
            verify=_verify(config, settings),
            config=_client_config(plan),
        )
    except (BotoCoreError, ValueError) as error:
        raise InvalidConfigurationException(str(error)) from error
    refuse_http(client.meta.endpoint_url, settings)
    _register_handlers(client, plan)
    return client


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


def _make_session(config: Mapping[str, Any]) -> Any:
    access, secret = config["aws_access_key"], config["aws_secret_key"]
    if bool(access) != bool(secret):
        raise InvalidConfigurationException("config keys aws_access_key and aws_secret_key come together")
    session = botocore.session.Session(profile=None if access else config["aws_profile"])
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=parse_time)
    if access:
        session.set_credentials(access, secret, config["aws_session_token"])
    elif not config["aws_anonymous"]:
        chain = ChainCredentials(session.get_component("credential_provider"))
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
        message = f"{parts.scheme}://{parts.netloc} would send everything in the clear: use https, or set allow_http"
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
    if not is_aws(client.meta.endpoint_url):
        # AWS's redirect between regions stays within AWS. Any other would lead requests to where a server says.
        events.register("before-parameter-build.s3", _refuse_redirect)
    if plan.preset.delete_digest == "md5":
        events.register("before-sign.s3.DeleteObjects", _digest_by_md5)
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
