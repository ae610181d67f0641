"""Builds boto3's client from the configuration. Nothing is sent until the first request."""

from __future__ import annotations

import base64
import functools
import hashlib
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.utils import is_valid_endpoint_url, is_valid_ipv6_endpoint_url, validate_region_name

from cloudbridge_store.config import Settings
from cloudbridge_store.drivers.aws.credentials import ChainCredentials, make_session
from cloudbridge_store.drivers.aws.direct import Catcher, Direct, Origin
from cloudbridge_store.drivers.aws.plan import Plan
from cloudbridge_store.drivers.http import refuse_http
from cloudbridge_store.drivers.presets import S3Preset
from cloudbridge_store.errors import InvalidConfigurationException
from cloudbridge_store.redaction import protect_loggers

POOL_SIZE = 50
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
_log = logging.getLogger("cloudbridge_store")


class ClientMaker:
    """Makes the client when it is asked for: it takes more time than many requests.

    :raises InvalidConfigurationException: no client could be made of the configuration.
    """

    def __init__(self, plan: Plan, region: str | None = None) -> None:
        for package in _LOG_SECRETS:
            protect_loggers(package)
        config = plan.config
        self.hooked = False
        """Somebody wants to have a say in the client's requests, so that all have to be its own."""
        self._plan = plan
        self._lock = threading.Lock()
        self._client: Any = None
        self._catcher = Catcher()
        self._watched = False
        self._endpoint = plan.endpoint_in(region)
        try:
            self._session = make_session(plan)
            self.region: str = region or config["aws_region_name"] or _usual_region(plan.preset, self._session)
            validate_region_name(self.region)
            self._config = _client_config(plan)
        except (BotoCoreError, ValueError) as error:
            raise InvalidConfigurationException(str(error)) from error
        self._verify = _verify(config, plan.settings)
        url = self._endpoint or f"{'https' if config['s3_is_secure'] else 'http'}://s3.amazonaws.com"
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
                endpoint_url=self._endpoint,
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

    def renew(self) -> bool:
        """Have the chain of credentials asked anew; ``False`` where the configuration gave them."""
        chain = self._session.get_component("credential_provider")
        if not isinstance(chain, ChainCredentials):
            return False
        chain.forget()
        return True

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
        endpoint = self._endpoint if by_path else None
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


def _usual_region(preset: S3Preset, session: Any) -> str:
    # What AWS's configuration files say is about AWS.
    configured = session.get_config_variable("region") if preset.name == "aws" else None
    return configured or preset.default_region or "us-east-1"


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
