"""The contract between this library and one storage service. The only file a driver's author has to read.

A driver *translates*: each method below is one operation of the service, said in the words of this file. Everything
else (retries, deadlines, wrapping of errors, paging, parallel transfers, resuming, checks of names and options) is
done once, above. What every driver MUST do:

* Let the SDK's exceptions fly, or raise classes of :mod:`cloudbridge_store.errors` itself. :meth:`Driver.classify`
  says what an SDK exception means. A not-found class is raised for nothing but not-found: never for 403 or 5xx.
* Do no retries and follow no redirects (switch the SDK's off), and log nothing secret.
* Be safe to share between threads. After a fork the library connects anew. :meth:`Driver.connect` sends nothing.
* Write atomically: readers see the old object or the new one, never a mix, and never a part of one.
* Tell the service a digest of what it sends, where the service verifies one, and answer the digests it holds.
* List in UTF-8 byte order of keys (``byte_order`` of the capabilities has the one exception), at most ``limit`` items
  and prefixes; fewer, or none, with a token is fine.
* Store exactly the key it is given, or refuse it by :meth:`Driver.refuse_key`; never another.
* Implement what its :class:`Capabilities` promise. Options beyond them are refused before the driver is called.

An entry point in the group ``cloudbridge_store.drivers`` names the :class:`Driver` subclass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from cloudbridge_store.config import ConfigKey, Settings
from cloudbridge_store.drivers.capabilities import Capabilities, UploadLimits
from cloudbridge_store.drivers.values import (
    CONTENT_HEADERS,
    PUT_PLAIN,
    READ_ALL,
    Body,
    BucketInfo,
    CdnInfo,
    Download,
    Encryption,
    Failure,
    FormOptions,
    GiB,
    KiB,
    Method,
    MiB,
    ObjectInfo,
    Page,
    Part,
    PutOptions,
    RawStream,
    ReadOptions,
    RuleKind,
    SignedForm,
    SignedRequest,
    SignOptions,
    Step,
    Stored,
    TiB,
    UploadInfo,
    Usage,
    VersionInfo,
    once,
)
from cloudbridge_store.errors import UnsupportedOperationError

__all__ = [
    "CONTENT_HEADERS",
    "PUT_PLAIN",
    "READ_ALL",
    "Body",
    "BucketInfo",
    "Capabilities",
    "CdnInfo",
    "Download",
    "Driver",
    "Encryption",
    "Failure",
    "FormOptions",
    "GiB",
    "KiB",
    "Method",
    "MiB",
    "ObjectInfo",
    "Page",
    "Part",
    "PutOptions",
    "RawStream",
    "ReadOptions",
    "RuleKind",
    "SignOptions",
    "SignedForm",
    "SignedRequest",
    "Step",
    "Stored",
    "TiB",
    "UploadInfo",
    "UploadLimits",
    "Usage",
    "VersionInfo",
    "once",
]


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

    def renew(self) -> bool:
        """Get new credentials after a failure whose retry is ``"auth"``; ``False`` where there are none to get."""
        return False

    def take_step(self, step: Step) -> None:  # noqa: B027 - in most drivers an operation is one request
        """Take what repeats a single request by the session's rules. Called once, before anything else.

        It is for operations that consist of many requests, such as copies by parts: one that fails is repeated by
        itself, and not all of them. Only for requests that may be carried out twice.
        """

    def authenticate(self) -> None:
        """Have the service look at the credentials; they need not permit anything. May need less than listing does."""
        self.list_buckets(limit=1)

    def refuse_key(self, key: str) -> str | None:
        """Say why this service cannot hold ``key`` as it is, or ``None``. Must not ask the service."""
        return None

    def bucket_name(self, bucket_id: str) -> str:
        """Return the name of the bucket that ``buckets.get()`` was asked for; must not ask the service.

        For services that CloudBridge has other ids of than names; what is not certainly one is a name.
        """
        return bucket_id

    def object_key(self, bucket: str, object_id: str) -> str:
        """Return the key of the object that ``objects.get()`` was asked for, likewise."""
        return object_id

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
    def head_object(self, bucket: str, key: str, options: ReadOptions = READ_ALL) -> ObjectInfo:
        """Describe an object. Of the options ``version`` and ``customer_key`` count.

        :raises NotFoundError: or one of its kinds, as far as the service says which.
        """

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
    def delete_object(self, bucket: str, key: str, version: str | None = None) -> None:
        """Delete an object; a missing one is fine, a missing bucket is not.

        :param version: delete this one for good; without, a bucket that keeps versions only marks the object deleted.
        """

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
        source: ReadOptions = READ_ALL,
    ) -> Stored:
        """Copy within the service. Without options all that describes the object comes along, tags too; with options
        those alone describe the copy.

        :param source: what is copied; ``if_match``, ``version`` and ``customer_key`` count.
        :raises PreconditionFailedError: ``source.if_match`` differs, or a condition fails.
        """
        raise self._unsupported()

    def copy_url(self, bucket: str, key: str, url: str, options: PutOptions) -> Stored:
        """Store what the service finds at a URL; the options alone describe the object. The URL is a secret.

        :raises InvalidRequestError: the service gets nothing from there. Not a not-found class: that is for the bucket.
        """
        raise self._unsupported()

    def sign_url(self, bucket: str, key: str, method: Method, seconds: int, options: SignOptions) -> SignedRequest:
        """Sign exactly this method on exactly this object for ``seconds`` from now.

        With ``options.prefix`` the key is how keys begin: the URL's path ends with it, and the rest goes behind it.
        """
        raise self._unsupported()

    def set_temp_url_key(self, key: str, bucket: str | None = None, *, keep: bool = False) -> None:
        """Have URLs of a bucket, or of the whole account, signed with a key; ``keep`` honours the one before, too."""
        raise self._unsupported()

    def sign_form(self, bucket: str, key: str, seconds: int, options: FormOptions) -> SignedForm:
        """Sign a form that stores one object for ``seconds`` from now, under exactly these terms."""
        raise self._unsupported()

    def upload_limits(self) -> UploadLimits:
        """Return how an upload can be cut, where the service tells; by default as the capabilities have it.

        Called at most once, and before what is large only: the first upload that may not fit in one request.
        """
        able = self.capabilities
        return UploadLimits(able.min_part, able.max_part, able.max_parts, able.max_put)

    def start_upload(self, bucket: str, key: str, options: PutOptions) -> str:
        """Start a multipart upload and return its id. Conditions are checked by :meth:`finish_upload`."""
        raise self._unsupported()

    def upload_part(
        self, bucket: str, key: str, upload_id: str, number: int, body: Body, options: PutOptions = PUT_PLAIN
    ) -> Part:
        """Store part ``number`` (from 1), replacing an earlier one. :raises UploadNotFoundError:

        :param options: those that the upload was started with; only the customer's key may be needed.
        """
        raise self._unsupported()

    def part_etag(self, body: Body) -> str | None:
        """Return the ETag that a part of these bytes has, ``None`` where that cannot be computed. Asks no service."""
        return body.md5.hex()

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

    def list_versions(
        self, bucket: str, *, prefix: str = "", limit: int = 1000, token: str | None = None
    ) -> Page[VersionInfo]:
        """List all versions and marks of objects by key, the newest of a key first."""
        raise self._unsupported()

    def get_versioning(self, bucket: str) -> bool:
        """Say whether a bucket keeps versions of what is written now."""
        raise self._unsupported()

    def set_versioning(self, bucket: str, *, enabled: bool) -> None:
        """Keep versions from now on, or no more; those that were kept stay."""
        raise self._unsupported()

    def set_storage_class(self, bucket: str, key: str, storage_class: str) -> None:
        """Move an object to another of ``storage_classes``; content and all else that describes it stay.

        :raises ArchivedError: the service first has to bring it back from where it is, which it does not do by this.
        :raises PreconditionFailedError: it was replaced meanwhile.
        """
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
        """Put the bucket behind the service's CDN, or take it out, and return its URL. ``ttl`` in seconds."""
        raise self._unsupported()

    def get_cdn(self, bucket: str) -> CdnInfo:
        """Say what the CDN has of the bucket."""
        raise self._unsupported()

    def purge_cdn(self, bucket: str, key: str | None = None, *, email: str | None = None) -> None:
        """Have the CDN forget an object, or all of the bucket's, before their time; ``email`` is told when it has."""
        raise self._unsupported()

    def get_rules(self, bucket: str, kind: RuleKind) -> Sequence[Mapping[str, Any]]:
        """Return a bucket's rules of one kind, in the service's own form; none where it has none."""
        raise self._unsupported()

    def set_rules(self, bucket: str, kind: RuleKind, rules: Sequence[Mapping[str, Any]]) -> None:
        """Replace a bucket's rules of one kind; none removes them."""
        raise self._unsupported()

    def get_account_rules(self, kind: RuleKind) -> Sequence[Mapping[str, Any]]:
        """Return the rules of one kind that hold for all buckets of the account."""
        raise self._unsupported()

    def set_account_rules(self, kind: RuleKind, rules: Sequence[Mapping[str, Any]]) -> None:
        """Replace them; none removes them."""
        raise self._unsupported()

    def get_usage(self, bucket: str | None) -> Usage:
        """Say how much is in a bucket, or in the whole account, and return its metadata."""
        raise self._unsupported()

    def set_bucket_metadata(self, bucket: str | None, metadata: Mapping[str, str]) -> None:
        """Replace the metadata of a bucket, or of the account."""
        raise self._unsupported()

    def _unsupported(self) -> UnsupportedOperationError:
        return UnsupportedOperationError("this provider has no such operation", provider=self.name)
