"""Requests without botocore's generic machinery, which costs more than all else that happens to a small object.

What is on the wire stays botocore's: names and places of parameters come from its model of the service, addresses from
its rules, signatures from its signer, connections from its HTTP session, errors and small answers from its parser. What
is left out are its events, its validation of parameters, its retries and its layers for other services' protocols.

:meth:`Direct.send` answers ``None`` for what it does not take; then the client is to be asked.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import quote

import botocore
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from cloudbridge_store.drivers.aws.answers import Answers
from cloudbridge_store.drivers.aws.signing import SignedRequest, Signer, encoded, host_of
from cloudbridge_store.drivers.aws.wire import OPERATIONS, Operation, Request, compile_operation
from cloudbridge_store.drivers.streams import SentStream

_MOST_BUCKETS = 1000
# Names with these in them may mean something else than a bucket to botocore's rules.
_SPECIAL = re.compile("--|-s3alias$")
_BODIES = (SentStream, bytes, dict, type(None))
_EXPECTED = 2**20
"""Bodies from this size on wait for the service to ask for them, so that a refusal does not cost their transfer."""


class Base(NamedTuple):
    """Where a bucket is, and how requests to it are signed."""

    url: str
    host: str
    region: str


class Catcher:
    """Catches a client's request to a bucket before it is sent, for its address and its context."""

    def __init__(self) -> None:
        self._local = threading.local()

    def register(self, client: Any) -> None:
        """Have a client tell of its requests."""
        client.meta.events.register("before-call.s3.HeadBucket", self._catch)

    def _catch(self, params: Mapping[str, Any], context: Mapping[str, Any], **_: Any) -> Any:
        found = getattr(self._local, "found", None)
        if found is None:
            return None
        found.append((params["url"], context))
        return SimpleNamespace(status_code=HTTPStatus.OK), {}

    def prepare(self, client: Any, bucket: str) -> tuple[str, Mapping[str, Any]] | None:
        """Return address and context of a request to a bucket."""
        found: list[tuple[str, Mapping[str, Any]]] = []
        self._local.found = found
        try:
            client.head_bucket(Bucket=bucket)
        finally:
            self._local.found = None
        return found[0] if found else None


@dataclass
class Origin:
    """What requests are made of beside their parameters.

    :param prepare: has boto3's client say where a bucket is; its making takes longer than many requests.
    :param made_client: returns the client if it was made.
    :param endpoint: where buckets are, by their names in the path; ``None`` where the client has to be asked.
    """

    session: Any
    prepare: Callable[[str], tuple[str, Mapping[str, Any]] | None]
    made_client: Callable[[], Any]
    config: Any
    verify: bool | str | None
    region: str
    endpoint: str | None

    @cached_property
    def service_model(self) -> Any:
        """The service, as botocore describes it."""
        return self.session.get_service_model("s3")


class Direct:
    """The quick way of one service."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._operations: dict[str, Operation] = {}
        self._bases: dict[str, Base | None] = {}
        self._keys: dict[tuple[str, ...], bytes] = {}
        self._lock = threading.Lock()
        agent = (origin.config.user_agent_extra, f"Botocore/{botocore.__version__}")
        self._agent = " ".join(part for part in agent if part)
        self._answers = Answers(origin.made_client)

    def send(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
        """Carry out one operation; ``None`` if it is the client's.

        :raises ClientError: as the client does.
        """
        if operation not in OPERATIONS:
            return None
        known = self._operations.get(operation) or self._compile(operation)
        request = known.serialize(parameters)
        if request is None or not isinstance(request.body, _BODIES):
            return None
        base = self._base(parameters["Bucket"])
        if base is None:
            return None
        prepared = self._prepare(known, request, base, parameters)
        return self._answers.read(known, self._http.send(prepared))

    def close(self) -> None:
        """Release the connections."""
        if "_http" in self.__dict__:
            self._http.close()

    def _compile(self, operation: str) -> Operation:
        with self._lock:
            if operation not in self._operations:
                self._operations[operation] = compile_operation(self._origin.service_model, operation)
            return self._operations[operation]

    # Where to

    def _base(self, bucket: str) -> Base | None:
        try:
            return self._bases[bucket]
        except KeyError:
            pass
        found = self._find_base(bucket)
        if len(self._bases) >= _MOST_BUCKETS:
            self._bases.clear()
        self._bases[bucket] = found
        return found

    def _find_base(self, bucket: str) -> Base | None:
        origin = self._origin
        if bucket.startswith("arn:"):
            return None
        if origin.endpoint is not None and not _SPECIAL.search(bucket):
            url = f"{origin.endpoint.rstrip('/')}/{quote(bucket)}"
            return Base(url, host_of(url), origin.region)
        found = origin.prepare(bucket)
        if found is None:
            return None
        url, context = found
        signing = context.get("signing", {})
        if context.get("auth_type") not in ("v4", "s3v4") or signing.get("signing_name", "s3") != "s3":
            return None
        return Base(url, host_of(url), signing.get("region") or origin.region)

    # What is sent

    @cached_property
    def _http(self) -> Any:
        origin = self._origin
        config = origin.config
        proxies = config.proxies
        if proxies is None:
            proxies = get_environ_proxies(origin.endpoint or origin.made_client().meta.endpoint_url)
        verify = origin.verify if origin.verify is not None else origin.session.get_config_variable("ca_bundle")
        if verify is None:
            verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
        return URLLib3Session(
            verify=verify,
            proxies=proxies,
            timeout=(config.connect_timeout, config.read_timeout),
            max_pool_connections=config.max_pool_connections,
            # Headers and body are sent apart: the body must not wait until the headers' arrival is confirmed.
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            client_cert=config.client_cert,
            proxies_config=config.proxies_config,
        )

    def _prepare(
        self, operation: Operation, request: Request, base: Base, parameters: Mapping[str, Any]
    ) -> SignedRequest:
        url = f"{base.url.rstrip('/')}{request.path}" if request.path else base.url
        if request.query:
            url = f"{url}?{request.query}"
        headers = {**request.headers, "User-Agent": self._agent}
        body: Any = b""
        if operation.streams_input:
            body = self._body(request.body, headers)
        elif operation.payload is not None and not operation.streams_output:
            body = self._xml(operation, parameters)
        if "Content-Length" not in headers and operation.method not in ("GET", "HEAD"):
            headers["Content-Length"] = str(body.size if isinstance(body, SentStream) else len(body))
        prepared = SignedRequest(operation.method, url, base.host, headers, body)
        prepared.stream_output = operation.streams_output
        prepared.context = {"client_config": self._origin.config, "has_streaming_input": operation.streams_input}
        credentials = self._origin.session.get_credentials()
        Signer(credentials.get_frozen_credentials(), base.region, self._keys).add_auth(prepared)
        prepared.headers = encoded(prepared.headers.items())
        if isinstance(body, SentStream):
            prepared.body = body.pieces()
        return prepared

    def _body(self, body: Any, headers: dict[str, str]) -> Any:
        if not isinstance(body, SentStream):
            return body or b""
        if body.size >= _EXPECTED:
            headers["Expect"] = "100-continue"
            return body
        return b"".join(map(bytes, body.pieces()))

    def _xml(self, operation: Operation, parameters: Mapping[str, Any]) -> bytes:
        from botocore.serialize import create_serializer

        body: bytes = create_serializer("rest-xml").serialize_to_request(parameters, operation.model)["body"]
        return body
