"""What the suite has to know of a store: how to reach it, and which weird keys it does not hold."""

from __future__ import annotations

import http.client
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self
from urllib.parse import urlsplit

from cloudbridge_store.core.operations import OPERATIONS
from cloudbridge_store.drivers.base import Driver, Method, SignedRequest

if TYPE_CHECKING:
    import ssl

    from cloudbridge_store.buckets import Bucket
    from cloudbridge_store.objects import BucketObject
    from cloudbridge_store.provider import CloudProvider
    from cloudbridge_store.testing.fault_proxy import Request

_TIMEOUT = 30


class Answer(NamedTuple):
    """What an HTTP server answered. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ProviderHarness(ABC):
    """One store under test. Subclass it, implement :meth:`make_provider`, and say what the store refuses.

    Tests run in parallel and may share the store with others: they look at buckets of their own only.
    """

    bucket_prefix: ClassVar[str] = "cbs-test-"
    """Beginning of the names of all buckets that the suite makes."""
    refused_keys: ClassVar[frozenset[str]] = frozenset()
    """Values of :data:`~cloudbridge_store.testing.keys.WEIRD_KEYS` that this store refuses to hold. The suite checks
    that it holds all others exactly, and that it refuses these: a driver cannot refuse anything unnoticed."""
    unlisted_keys: ClassVar[frozenset[str]] = frozenset()
    """Values of :data:`~cloudbridge_store.testing.keys.LITERAL_KEYS` that this store cannot take or list."""
    stateful_examples: ClassVar[int] = 15
    """Random histories that the suite plays against the store."""
    stateful_steps: ClassVar[int] = 20
    """Operations in each of them."""
    also_signed: ClassVar[frozenset[tuple[Method, Method]]] = frozenset({("GET", "HEAD")})
    """Pairs of methods: a URL that is signed for the first permits the second, too."""
    upstream: str | None = None
    """Address of the server, where the store has one: there faults are played on the wire."""
    kms_key: str | None = None
    """A key of the service's key management that the store may encrypt with; ``None`` stands for its default one."""
    cors_rule: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "AllowedMethods": ["GET", "PUT"],
            "AllowedOrigins": ["https://example.org"],
            "AllowedHeaders": ["*"],
            "MaxAgeSeconds": 60,
        }
    )
    """A rule for CORS in the store's own form; lists are compared without regard to order."""
    lifecycle_rule: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"ID": "old-logs", "Filter": {"Prefix": "logs/"}, "Status": "Enabled", "Expiration": {"Days": 30}}
    )
    """A rule for the life cycle of objects, likewise. What the store answers may have more in it."""
    unplayable: ClassVar[frozenset[str]] = frozenset()
    """Names of :data:`~cloudbridge_store.testing.reliability.troubles.TROUBLES` that this server does not notice, or,
    behind the name of a scenario and ``": "``, that cannot happen to it there."""
    renews: ClassVar[bool] = False
    """Where a token is refused, these credentials get a new one, and the request is repeated with it once."""
    keeps_doubtful_uploads: ClassVar[bool] = False
    """An upload whose end nobody answered stays, and is listed: what its parts are in may be an object in a moment."""
    bodiless: ClassVar[frozenset[str]] = frozenset()
    """The contract's operations, of those that S3 answers with a document, that this service answers without a body."""
    tls: ssl.SSLContext | None = None
    """For signed URLs, where the server's certificate is not one that everybody trusts."""

    def __init__(self) -> None:
        self._made: set[str] = set()
        self._lock = threading.Lock()

    @abstractmethod
    def make_provider(self, **overrides: Any) -> CloudProvider:
        """Return a new provider of this store.

        :param overrides: configuration keys that a test sets; they win over the harness's own.
        """

    def make_provider_at(self, url: str, **overrides: Any) -> CloudProvider:
        """Return a provider that reaches the store by another address; needed where :attr:`upstream` is set."""
        raise NotImplementedError

    def request_of(self, operation: str) -> Callable[[Request], bool]:
        """Return how the requests of one of the contract's operations are known on the wire; likewise."""
        raise NotImplementedError

    def make_lone_provider(self) -> CloudProvider:
        """Return a provider of an account that no other test uses at the same time, for what an account has one of.

        Where tests share one account, those that run in parallel change its rules under each other.
        """
        return self.make_provider()

    def bucket_name(self) -> str:
        """Return a name that no bucket has."""
        return f"{self.bucket_prefix}{uuid.uuid4().hex[:20]}"

    def make_bucket(self, provider: CloudProvider) -> Bucket:
        """Create an empty bucket; :meth:`remove_bucket` or :meth:`close` deletes it."""
        bucket = provider.storage.buckets.create(self.bucket_name())
        with self._lock:
            self._made.add(bucket.name)
        return bucket

    def remove_bucket(self, bucket: Bucket) -> None:
        """Delete a bucket and all that is in it, unfinished uploads too; one that is gone is fine."""
        with self._lock:
            self._made.discard(bucket.name)
        if bucket.exists:
            bucket.delete(delete_contents=True)

    def send(
        self, request: SignedRequest, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a signed request as somebody without credentials would: by HTTP, and with no header but those named.

        :param headers: added to the request's own.
        """
        return self._exchange(request.method, request.url, body, {**request.headers, **(headers or {})})

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a form, as a browser would."""
        return self._exchange("POST", url, body, headers)

    def _exchange(self, method: str, address: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        url = urlsplit(address)
        assert url.hostname is not None
        if url.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                url.hostname, url.port, timeout=_TIMEOUT, context=self.tls
            )
        else:
            connection = http.client.HTTPConnection(url.hostname, url.port, timeout=_TIMEOUT)
        target = f"{url.path}?{url.query}" if url.query else url.path
        try:
            connection.request(method, target, body, dict(headers))
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, fields, response.read())
        finally:
            connection.close()

    def get_url(self, url: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a GET, as a browser would."""
        return self.send(SignedRequest(url, "GET"), headers=headers)

    def source_url(self, obj: BucketObject) -> str:
        """Return an address that the store itself may copy an object from, by ``copy_from_url``."""
        return obj.generate_url(300)

    def close(self) -> None:
        """Delete what tests left behind. A subclass that stops a server does so afterwards."""
        with self.make_provider() as provider:
            for name in sorted(self._made):
                bucket = provider.storage.buckets.get(name)
                if bucket is not None:
                    self.remove_bucket(bucket)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def forbid_requests(provider: CloudProvider) -> list[str]:
    """Make every operation of a provider's driver fail, and return the list that the names of those tried appear in.

    What asks nobody stays: ``capabilities``, ``refuse_key`` and ``close``.
    """
    tried: list[str] = []
    for name in OPERATIONS:
        _forbid(provider.session.driver, name, tried)
    return tried


def _forbid(driver: Driver, name: str, tried: list[str]) -> None:
    def refuse(*arguments: object, **keywords: object) -> None:
        tried.append(name)
        message = f"{name} was called, with {arguments} and {keywords}"
        raise AssertionError(message)

    refuse.__name__ = name
    setattr(driver, name, refuse)
