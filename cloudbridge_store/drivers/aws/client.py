"""Builds boto3's client from the configuration. Nothing is sent until the first request."""

from __future__ import annotations

import base64
import functools
import hashlib
import ipaddress
import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
from botocore.loaders import create_loader
from botocore.utils import is_valid_endpoint_url, is_valid_ipv6_endpoint_url, validate_region_name

from cloudbridge_store.config import Settings
from cloudbridge_store.drivers.aws.direct import Catcher, Direct, Origin
from cloudbridge_store.drivers.aws.translate import parse_time
from cloudbridge_store.drivers.presets import S3Preset
from cloudbridge_store.errors import BucketNotFoundError, InvalidConfigurationException, StoreError

POOL_SIZE = 50
_BUCKET = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]{1,255}|arn:[A-Za-z0-9:/_-]{1,2048}")
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
        self._maker = ClientMaker(plan, region)
        self.region = self._maker.region
        self._elsewhere: dict[str, Service] = {}
        self._lock = threading.Lock()
        self._direct = self._maker.direct()

    @property
    def client(self) -> Any:
        """boto3's client."""
        return self._maker.client

    @functools.cached_property
    def trusted(self) -> bool:
        """Whether this is AWS itself, which checks what it is told to check; of others not all do."""
        # Without an address of ours the environment can name one.
        return is_aws(self.plan.endpoint or self.client.meta.endpoint_url)

    @property
    def native(self) -> Any:
        """The same for others, who may register handlers with it."""
        return self._maker.watched()

    def send(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Carry out one operation. Parameters that are ``None`` are left out.

        :raises BucketNotFoundError: no bucket can have that name; it could lead to another address.
        """
        bucket = parameters.get("Bucket")
        if bucket is not None and not _BUCKET.fullmatch(bucket):
            raise BucketNotFoundError("no bucket has such a name", bucket=bucket)
        given = {name: value for name, value in parameters.items() if value is not None}
        try:
            answer = self._send_directly(operation, given)
            if answer is None:
                answer = getattr(self.client, operation)(**given)
        except HTTPClientError as error:
            # What the body raised while it was sent is not the connection's fault.
            cause = error.kwargs.get("error")
            if isinstance(cause, StoreError):
                raise cause from None
            raise
        return dict(answer)

    def _send_directly(self, operation: str, given: Mapping[str, Any]) -> dict[str, Any] | None:
        """Carry out an operation without the client; ``None`` where it is the client's."""
        if self._direct is None or self._maker.hooked:
            return None
        try:
            return self._direct.send(operation, given)
        except ClientError as error:
            if not self.trusted or not _leads_elsewhere(error):
                raise
        # The client goes where the bucket is, and remembers it.
        self._direct.forget(given["Bucket"])
        if "Body" in given:
            given["Body"].seek(0)
        return None

    def accepted(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters that an operation knows; its name is the protocol's, such as ``UploadPart``."""
        members = self._maker.service_model.operation_model(operation).input_shape.members
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
        self._maker.close()
        if self._direct is not None:
            self._direct.close()


class ClientMaker:
    """Makes the client when it is asked for: it takes more time than many requests.

    :raises InvalidConfigurationException: no client could be made of the configuration.
    """

    def __init__(self, plan: Plan, region: str | None = None) -> None:
        config = plan.config
        self.hooked = False
        """Somebody wants to have a say in the client's requests, so that all have to be its own."""
        self._plan = plan
        self._lock = threading.Lock()
        self._client: Any = None
        self._catcher = Catcher()
        self._watched = False
        try:
            self._session = _make_session(config)
            self.region: str = (
                region
                or config["aws_region_name"]
                or self._session.get_config_variable("region")
                or plan.preset.default_region
                or "us-east-1"
            )
            validate_region_name(self.region)
            self._config = _client_config(plan)
        except (BotoCoreError, ValueError) as error:
            raise InvalidConfigurationException(str(error)) from error
        self._verify = _verify(config, plan.settings)
        url = plan.endpoint or f"{'https' if config['s3_is_secure'] else 'http'}://s3.amazonaws.com"
        if not is_valid_endpoint_url(url) and not is_valid_ipv6_endpoint_url(url):
            raise InvalidConfigurationException(f"{url} is no address of a service")
        refuse_http(url, plan.settings)

    @property
    def client(self) -> Any:
        """The client."""
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = self._make()
        return self._client

    def _make(self) -> Any:
        plan = self._plan
        import boto3  # here, as most programs do without

        try:
            client = boto3.Session(botocore_session=self._session).client(
                "s3",
                region_name=self.region,
                endpoint_url=plan.endpoint,
                use_ssl=plan.config["s3_is_secure"],
                verify=self._verify,
                config=self._config,
            )
        except (BotoCoreError, ValueError) as error:
            raise InvalidConfigurationException(str(error)) from error
        refuse_http(client.meta.endpoint_url, plan.settings)
        _register_handlers(client, plan)
        self._catcher.register(client)
        return client

    @property
    def service_model(self) -> Any:
        """The service, as botocore describes it."""
        return self._session.get_service_model("s3")

    def watched(self) -> Any:
        """Return the client to somebody who may register handlers with it; from then on all requests are its own."""
        client = self.client
        with self._lock:
            if not self._watched:
                self._watched = True
                events = client.meta.events
                for name in ("register", "register_first", "register_last"):
                    setattr(events, name, self._noting(getattr(events, name)))
        return client

    def _noting(self, register: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(register)
        def note(*arguments: Any, **named: Any) -> Any:
            self.hooked = True
            return register(*arguments, **named)

        return note

    def direct(self) -> Direct | None:
        """Return the way without the client; ``None`` where there is none."""
        plan = self._plan
        if not plan.config["s3_direct"] or self._config.signature_version != "s3v4":
            return None
        by_path = plan.preset.addressing_style == "path"
        # As the client does: what is given goes before what the user's configuration file has.
        merged = {**(self._session.get_config_variable("s3") or {}), **(self._config.s3 or {})}
        endpoint = plan.endpoint if by_path else None
        return Direct(
            Origin(
                self._session,
                lambda bucket: self._catcher.prepare(self.client, bucket),
                lambda: self._client,
                self._config.merge(Config(s3=merged)),
                self._verify,
                self.region,
                endpoint,
            )
        )

    def close(self) -> None:
        """Release the connections."""
        if self._client is not None:
            self._client.close()


@functools.cache
def _loader(path: str | None) -> Any:
    # What it has read serves all sessions of the process.
    return create_loader(path)


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


def _leads_elsewhere(error: ClientError) -> bool:
    """Say whether an answer of AWS means that the bucket is in another region."""
    answer = error.response["ResponseMetadata"]
    return answer["HTTPStatusCode"] in (301, 302, 307, 400) and "x-amz-bucket-region" in answer["HTTPHeaders"]


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
