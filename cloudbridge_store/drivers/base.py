"""The contract between this library and one storage service. The only file a driver's author has to read.

A driver *translates*: each method below is one operation of the service, said in the words of this file. Everything
else (retries, deadlines, wrapping of errors, paging, parallel transfers, resuming, checks of names and options) is
done once, above. What every driver MUST do:

* Let the SDK's exceptions fly, or raise classes of :mod:`cloudbridge_store.errors` itself. :meth:`Driver.classify`
  says what an SDK exception means. A not-found class is raised for nothing but not-found: never for 403 or 5xx.
* Do no retries and follow no redirects (switch the SDK's off), and log nothing secret.
* Be safe to share between threads. After a fork the library connects anew in the child.
* Open no connection in :meth:`Driver.connect`.
* Write atomically: readers see the old object or the new one, never a mix, and never a part of one.
* Tell the service a digest of what it sends, where the service verifies one, and answer the digests it holds.
* List in UTF-8 byte order of keys, at most ``limit`` items and prefixes; fewer, or none, with a token is fine.
* Store exactly the key it is given, or refuse it by :meth:`Driver.refuse_key`; never another.
* Implement what its :class:`Capabilities` promise. Options beyond them are refused before the driver is called.

An entry point in the group ``cloudbridge_store.drivers`` names the :class:`Driver` subclass.
"""

from __future__ import annotations

import hashlib
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from typing import Any, BinaryIO, ClassVar, Generic, Literal, NamedTuple, Protocol, Self, TypeVar, cast

from cloudbridge_store.config import ConfigKey, Settings
from cloudbridge_store.errors import StoreError, UnsupportedOperationError

KiB, MiB, GiB, TiB = 2**10, 2**20, 2**30, 2**40
Method = Literal["GET", "HEAD", "PUT", "DELETE"]
T = TypeVar("T")

CONTENT_HEADERS = frozenset({"cache_control", "content_disposition", "content_encoding", "content_language"})
"""Names of the content headers an object may carry beside its content type."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a service can do and how much of it, in one value. Sizes are bytes, ``0`` and empty mean "cannot"."""

    multipart: bool = False
    copy: bool = False
    conditional_put: frozenset[Literal["if_match", "if_none_match"]] = frozenset()
    """``if_none_match`` is ``"*"`` only: create, never replace."""
    conditional_read: bool = False
    user_metadata: bool = False
    tags: bool = False
    content_headers: frozenset[str] = CONTENT_HEADERS
    storage_classes: frozenset[str] = frozenset()
    versions: bool = False
    batch_delete: int = 0
    """Most keys in one :meth:`Driver.delete_objects`."""
    sign: frozenset[Method] = frozenset()
    public_access: bool = False
    website: bool = False
    cdn: bool = False
    list_uploads: bool = False
    locations: bool = False
    """A bucket's place can be chosen when it is created."""
    nested_keys: bool = True
    """``a`` and ``a/b`` can both exist."""
    shared: bool = True
    """Another process that connects with the same configuration sees the same data."""
    checksums: frozenset[str] = frozenset()
    """Digests held for every object that was put in one request: ``md5``, ``crc32``, ``crc32c``, ``sha256``..."""
    max_page: int = 1000
    max_put: int = 5 * GiB
    min_part: int = 5 * MiB
    """Least size of every part but the last."""
    max_part: int = 5 * GiB
    max_parts: int = 10_000
    max_url_seconds: int = 7 * 86_400
    max_key_bytes: int = 1024
    max_metadata_bytes: int = 2 * KiB
    """Names and values together, as UTF-8."""
    max_tags: int = 10
    multipart_threshold: int = 100 * MiB
    """Size from which parts are worth their requests here; used where the user does not say."""


class BucketInfo(NamedTuple):
    """One bucket. ``created`` is aware, or ``None`` where the service does not say."""

    name: str
    created: datetime | None = None
    location: str | None = None


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
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def conditional(self) -> bool:
        """Whether the write depends on what is stored now."""
        return self.if_match is not None or self.if_none_match is not None


@dataclass(frozen=True, slots=True)
class SignOptions:
    """What a signed URL binds beside bucket, key, method and expiry."""

    content_type: str | None = None
    """GET: the ``Content-Type`` the answer carries. PUT: the one the request must carry."""
    content_disposition: str | None = None
    """GET only: the ``Content-Disposition`` the answer carries."""


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
class Failure:
    """What an SDK exception means.

    ``retry`` is ``"always"`` only where the request was certainly not carried out (throttled, not connected),
    ``"idempotent"`` where it may have been, ``"no"`` where repeating cannot help.
    """

    error: type[StoreError]
    retry: Literal["no", "idempotent", "always"] = "no"
    reason: str = ""
    retry_after: float | None = None
    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    hint: str = ""


class Body(ABC):
    """Something of known size that can be opened again, once for every attempt. Digests are made when asked for."""

    size: int

    @abstractmethod
    def open(self) -> BinaryIO:
        """Return a fresh stream at the first byte; the caller closes it."""

    @cached_property
    def md5(self) -> bytes:
        """MD5 of the content, 16 bytes."""
        with self.open() as stream:
            return hashlib.file_digest(cast("Any", stream), partial(hashlib.md5, usedforsecurity=False)).digest()

    @cached_property
    def crc32(self) -> int:
        """CRC-32 (ISO 3309, as in zlib) of the content."""
        value, buffer = 0, memoryview(bytearray(min(self.size, 256 * KiB) or 1))
        with self.open() as stream:
            while count := cast("Any", stream).readinto(buffer):
                value = zlib.crc32(buffer[:count], value)
        return value


class Driver(ABC):
    """One storage service. The module's docstring says what every method keeps to."""

    name: ClassVar[str]
    """Provider name, as in ``create_provider(name, ...)``."""
    config_keys: ClassVar[Sequence[ConfigKey]] = ()
    """The settings of this provider, beside those that all have; any other is refused."""
    capabilities: Capabilities

    @classmethod
    @abstractmethod
    def connect(cls, config: Mapping[str, Any], settings: Settings) -> Self:
        """Make a driver from the values of :attr:`config_keys` (all present, ``None`` where unset). No connection.

        :raises InvalidConfigurationException: the values cannot work together.
        """

    @property
    @abstractmethod
    def native(self) -> Any:
        """The SDK's client: the way to what the contract does not cover."""

    @abstractmethod
    def classify(self, error: BaseException) -> Failure | None:
        """Say what an exception means; ``None`` if it is not the service's (a bug): it passes as it is."""

    def close(self) -> None:  # noqa: B027 - most clients have nothing to close
        """Release connections. Called once."""

    def refuse_key(self, key: str) -> str | None:
        """Say why this service cannot hold ``key`` as it is, or ``None``. Must not ask the service."""
        return None

    # Buckets
    @abstractmethod
    def create_bucket(self, bucket: str, *, location: str | None = None) -> BucketInfo:
        """Create a private bucket. :raises DuplicateResourceException: it exists, whoever owns it."""

    @abstractmethod
    def head_bucket(self, bucket: str) -> BucketInfo:
        """Describe a bucket. :raises BucketNotFoundError:"""

    @abstractmethod
    def list_buckets(self, *, limit: int, token: str | None = None) -> Page[BucketInfo]:
        """List the buckets of these credentials by name."""

    @abstractmethod
    def delete_bucket(self, bucket: str) -> None:
        """Delete an empty bucket. :raises BucketNotEmptyError: :raises BucketNotFoundError:"""

    def regions(self) -> Sequence[str]:
        """Names that ``create_bucket`` takes as location, as far as known; empty where there is no choice."""
        return ()

    # Objects
    @abstractmethod
    def head_object(self, bucket: str, key: str) -> ObjectInfo:
        """Describe an object. :raises NotFoundError: or one of its kinds, as far as the service says which."""

    @abstractmethod
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
        """List objects whose key starts with ``prefix`` and is greater than ``start_after``.

        With a delimiter, keys that hold it behind the prefix are rolled up into ``Page.prefixes``, once each.
        A ``token`` comes with the same arguments as the call that gave it. :raises BucketNotFoundError:
        """

    @abstractmethod
    def get_object(self, bucket: str, key: str, options: ReadOptions) -> Download:
        """Open an object, as it is stored: no decompression. A range beyond the end is cut to it.

        :raises InvalidRangeError: ``start`` is at or behind the end, save 0 of an empty object.
        :raises PreconditionFailedError: ``if_match`` differs. :raises NotModifiedError: ``if_none_match`` equals. Both
            with capability conditional_read; without, ``if_match`` may be ignored, as the answer's ETag is compared.
        """

    @abstractmethod
    def put_object(self, bucket: str, key: str, body: Body, options: PutOptions) -> Stored:
        """Store an object, replacing what was there.

        :raises PreconditionFailedError: a condition did not hold (``if_match`` of a missing object included).
        :raises IntegrityError: other bytes arrived than were sent.
        """

    @abstractmethod
    def delete_object(self, bucket: str, key: str) -> None:
        """Delete an object; a missing one is fine, a missing bucket is not."""

    # What follows is called only where the capability of that name promises it

    def delete_objects(self, bucket: str, keys: Sequence[str]) -> Mapping[str, Exception]:
        """Delete up to ``batch_delete`` objects; answer the error of each that was refused. Missing ones are fine."""
        raise self._unsupported()

    def copy_object(
        self,
        bucket: str,
        key: str,
        to_bucket: str,
        to_key: str,
        options: PutOptions | None = None,
        *,
        source_etag: str | None = None,
    ) -> Stored:
        """Copy within the service. Without options all that describes the object comes along, tags too; with options
        those alone describe the copy. :raises PreconditionFailedError: ``source_etag`` differs, or a condition fails.
        """
        raise self._unsupported()

    def sign_url(self, bucket: str, key: str, method: Method, seconds: int, options: SignOptions) -> SignedRequest:
        """Sign exactly this method on exactly this object for ``seconds`` from now."""
        raise self._unsupported()

    def start_upload(self, bucket: str, key: str, options: PutOptions) -> str:
        """Start a multipart upload and return its id. Conditions are checked by :meth:`finish_upload`."""
        raise self._unsupported()

    def upload_part(self, bucket: str, key: str, upload_id: str, number: int, body: Body) -> Part:
        """Store part ``number`` (from 1), replacing an earlier one. :raises UploadNotFoundError:"""
        raise self._unsupported()

    def list_parts(self, bucket: str, key: str, upload_id: str) -> Sequence[Part]:
        """List the parts stored so far, by number. :raises UploadNotFoundError:"""
        raise self._unsupported()

    def finish_upload(
        self, bucket: str, key: str, upload_id: str, parts: Sequence[Part], options: PutOptions
    ) -> Stored:
        """Make the object of these parts, which come sorted by number. :raises UploadNotFoundError:

        :raises InvalidRequestError: a part is missing, has another ETag, or is too small and not the last.
        """
        raise self._unsupported()

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """Discard an upload and its parts; one that is gone is fine."""
        raise self._unsupported()

    def list_uploads(
        self, bucket: str, *, prefix: str = "", limit: int = 1000, token: str | None = None
    ) -> Page[UploadInfo]:
        """List unfinished uploads by key."""
        raise self._unsupported()

    def get_tags(self, bucket: str, key: str) -> Mapping[str, str]:
        """Return an object's tags."""
        raise self._unsupported()

    def set_tags(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        """Replace an object's tags; the object and its ETag stay."""
        raise self._unsupported()

    def set_public(self, bucket: str, *, public: bool) -> None:
        """Let everybody read the bucket's objects, or nobody any more."""
        raise self._unsupported()

    def public_url(self, bucket: str, key: str) -> str:
        """Return the URL that works while the bucket is public."""
        raise self._unsupported()

    def set_website(self, bucket: str, index: str | None, error: str | None) -> str:
        """Serve the bucket as a static site and return its URL; ``index=None`` stops."""
        raise self._unsupported()

    def set_cdn(self, bucket: str, *, enabled: bool, ttl: int | None) -> str:
        """Put the bucket behind the service's CDN and return its URL. ``ttl`` in seconds."""
        raise self._unsupported()

    def _unsupported(self) -> UnsupportedOperationError:
        return UnsupportedOperationError("this provider has no such operation", provider=self.name)
