"""The values of the contract, what drivers are given and what they answer. Part of ``drivers.base``, which has all.

Sizes are bytes, times are aware, ETags have no quotes.
"""

from __future__ import annotations

import hashlib
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any, BinaryIO, Generic, Literal, NamedTuple, Protocol, Self, TypeVar, cast

from cloudbridge_store.errors import InvalidValueException, StoreError
from cloudbridge_store.redaction import hide

KiB, MiB, GiB, TiB = 2**10, 2**20, 2**30, 2**40
Method = Literal["GET", "HEAD", "PUT", "DELETE"]
RuleKind = Literal["cors", "lifecycle"]
T = TypeVar("T")

CONTENT_HEADERS = frozenset({"cache_control", "content_disposition", "content_encoding", "content_language"})
"""Names of the content headers an object may carry beside its content type."""

_CUSTOMER_KEY_SIZE = 32


class BucketInfo(NamedTuple):
    """One bucket. ``created`` is aware, or ``None`` where the service does not say."""

    name: str
    created: datetime | None = None
    location: str | None = None


class CdnInfo(NamedTuple):
    """What a CDN has of a bucket."""

    enabled: bool
    ttl: int | None = None
    """Seconds that it keeps an object."""
    urls: Mapping[str, str] = MappingProxyType({})
    """Where it serves the bucket, by kind: ``http``, ``https``, ``streaming``, ``ios``."""


class Usage(NamedTuple):
    """How much a bucket or an account holds, as far as the service has counted it by now."""

    objects: int
    size: int
    """Bytes of contents; what belongs to multipart objects may be counted elsewhere."""
    buckets: int | None = None
    """Of an account."""
    metadata: Mapping[str, str] = MappingProxyType({})
    """What its users wrote about it."""


class ObjectInfo(NamedTuple):
    """One object as the service describes it. ETags have no quotes; ``None`` is what the answer (a listing) left out.

    A named tuple rather than a frozen dataclass: listings build them by the hundred thousand, and it costs a third
    (0.05 against 0.14 s per 100,000 on CPython 3.11).
    """

    key: str
    size: int
    modified: datetime
    etag: str
    content_type: str | None = None
    checksums: Mapping[str, str] | None = None
    """Lower-case hexadecimal digests of the whole content by algorithm; only those that cover all of its bytes."""
    headers: Mapping[str, str] | None = None
    metadata: Mapping[str, str] | None = None
    storage_class: str | None = None
    version: str | None = None


class VersionInfo(NamedTuple):
    """One version of an object, or the mark that it was deleted."""

    info: ObjectInfo
    """``info.version`` names it. A mark has size 0 and an empty ETag."""
    latest: bool
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Encryption:
    """Who holds the key that the service encrypts an object with, where that is not left to the bucket's default."""

    kind: Literal["service", "kms", "customer"] = "service"
    """``service``: the service itself; ``kms``: its key management; ``customer``: the caller, with every request."""
    key_id: str | None = None
    """``kms``: which key, by the service's name for it; ``None`` for the account's default one."""
    context: Mapping[str, str] = field(default_factory=dict)
    """``kms``: what the key management binds the encryption to."""
    key: bytes | None = field(default=None, repr=False)
    """``customer``: 32 bytes, for AES-256. The service forgets it; without it the object cannot be read."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", hide(self.key))
        if self.kind == "customer" and (not isinstance(self.key, bytes) or len(self.key) != _CUSTOMER_KEY_SIZE):
            raise InvalidValueException("key", "...", f"{_CUSTOMER_KEY_SIZE} bytes for AES-256")

    @classmethod
    def kms(cls, key_id: str | None = None, context: Mapping[str, str] | None = None) -> Self:
        """Encrypt with a key of the service's key management."""
        return cls("kms", key_id, dict(context or {}))

    @classmethod
    def customer(cls, key: bytes) -> Self:
        """Encrypt with a key of one's own, of 32 bytes. :raises InvalidValueException: another length."""
        key = hide(key)  # from a traceback's locals too
        return cls("customer", key=key)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One answer to a listing. ``token`` asks for the next page and is ``None`` at the end, and only there."""

    items: Sequence[T]
    token: str | None = None
    prefixes: Sequence[str] = ()
    """Common prefixes, each ending in the delimiter, sorted like keys."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What to read: from ``start`` to before ``stop``, never nothing; ``None`` is the end. Conditions hold an ETag."""

    start: int = 0
    stop: int | None = None
    if_match: str | None = None
    if_none_match: str | None = None
    version: str | None = None
    customer_key: bytes | None = field(default=None, repr=False)
    """The key that the object was encrypted with, where its writer gave one."""

    @property
    def ranged(self) -> bool:
        """Whether this asks for less than all."""
        return self.start > 0 or self.stop is not None


@dataclass(frozen=True, slots=True)
class PutOptions:
    """How to store an object. ``None`` leaves the choice to the service; ``extra`` goes to the SDK as it is."""

    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    storage_class: str | None = None
    if_match: str | None = None
    if_none_match: str | None = None
    encryption: Encryption | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def conditional(self) -> bool:
        """Whether the write depends on what is stored now."""
        return self.if_match is not None or self.if_none_match is not None

    @property
    def customer_key(self) -> bytes | None:
        """The key that every part of the object, and every reader of it, has to bring."""
        return self.encryption.key if self.encryption is not None else None


READ_ALL = ReadOptions()
PUT_PLAIN = PutOptions()


@dataclass(frozen=True, slots=True)
class SignOptions:
    """What a signed URL binds beside bucket, key, method and expiry."""

    content_type: str | None = None
    """GET: the ``Content-Type`` the answer carries. PUT: the one the request must carry."""
    content_disposition: str | None = None
    """GET only: the ``Content-Disposition`` the answer carries."""
    prefix: bool = False
    """The key given is only how the keys begin that the signature is for."""


@dataclass(frozen=True, slots=True)
class FormOptions:
    """What a signed form permits."""

    prefix: bool = False
    """The key given is only how the uploaded object's key begins; the form's sender chooses the rest."""
    min_size: int = 0
    max_size: int | None = None
    content_type: str | None = None
    """The type that the form must carry; any, where ``None``."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A write's answer, so that no HEAD has to follow a PUT."""

    etag: str
    version: str | None = None
    checksums: Mapping[str, str] | None = None


class RawStream(Protocol):
    """Bytes as they arrive."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Receive bytes in place; 0 only at the end."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none only at the end."""

    def close(self) -> None:
        """Give up what is left."""


@dataclass(frozen=True, slots=True)
class Download:
    """An object being read. ``start`` and ``length`` are what the service says it is sending, not what was asked."""

    info: ObjectInfo
    stream: RawStream
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart upload; numbers start at 1."""

    number: int
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class UploadInfo:
    """A multipart upload that was started and neither completed nor aborted."""

    upload_id: str
    key: str
    started: datetime | None = None


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request that somebody without credentials can make: send exactly these headers. The URL is a secret."""

    url: str = field(repr=False)
    method: Method
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SignedForm:
    """A form by which somebody without credentials, such as a browser, can store an object.

    POST it as ``multipart/form-data``: the fields in this order, and the content last as ``file``.
    """

    url: str
    fields: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """What an SDK exception means.

    ``retry`` is ``"always"`` only where the request was certainly not carried out (throttled, not connected),
    ``"idempotent"`` where it may have been, ``"auth"`` where it was refused for credentials that may be renewed,
    ``"no"`` where repeating cannot help.
    """

    error: type[StoreError]
    retry: Literal["no", "idempotent", "always", "auth"] = "no"
    reason: str = ""
    retry_after: float | None = None
    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    hint: str = ""


class Step(Protocol):
    """Carries out one of the many requests that an operation consists of."""

    def __call__(self, request: Callable[[], T], /) -> T:
        """Return what the request answers, having repeated it by itself where it failed."""


def once(request: Callable[[], T], /) -> T:
    """Be the :class:`Step` of a driver that nobody gave another: one attempt."""
    return request()


class Body(ABC):
    """Something of known size that can be opened again, once for every attempt. Digests are made when asked for."""

    size: int

    @abstractmethod
    def open(self) -> BinaryIO:
        """Return a fresh stream at the first byte; the caller closes it."""

    def feed(self, digest: Callable[[memoryview], object]) -> None:
        """Give all of the content to a digest, piece by piece. It does not count as sent."""
        buffer = memoryview(bytearray(min(self.size, 256 * KiB) or 1))
        with self.open() as stream:
            while count := cast("Any", stream).readinto(buffer):
                digest(buffer[:count])

    @cached_property
    def md5(self) -> bytes:
        """MD5 of the content, 16 bytes."""
        digest = hashlib.md5(usedforsecurity=False)
        self.feed(digest.update)
        return digest.digest()

    @cached_property
    def crc32(self) -> int:
        """CRC-32 (ISO 3309, as in zlib) of the content."""
        value = 0

        def update(piece: memoryview) -> None:
            nonlocal value
            value = zlib.crc32(piece, value)

        self.feed(update)
        return value
