"""What describes an object. It is asked for once, when it is first needed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cloudbridge_store.core.multipart import Target
from cloudbridge_store.drivers.base import READ_ALL, ObjectInfo, ReadOptions, VersionInfo
from cloudbridge_store.resources import CloudResource, utc_text

if TYPE_CHECKING:
    from cloudbridge_store.buckets import Bucket
    from cloudbridge_store.core.session import Session
    from cloudbridge_store.provider import CloudProvider

_DETAILS = ("content_type", "metadata", "headers", "checksums", "storage_class", "version")


class DescribedObject(CloudResource):
    """An object's name, and what the service says of it.

    :param source: how it is asked for, where that is more than its name: one version of it, or the customer's key.
    :param partial: ``info`` comes from a listing, which may leave out what is ``None`` in it.
    """

    __slots__ = ("_info", "_mark", "_name", "_partial", "_source", "bucket")

    def __init__(
        self,
        bucket: Bucket,
        name: str,
        info: ObjectInfo | None = None,
        *,
        partial: bool = False,
        source: ReadOptions = READ_ALL,
        mark: VersionInfo | None = None,
    ) -> None:
        self.bucket = bucket
        self._name = name
        self._info = info
        self._partial = partial
        self._source = source
        self._mark = mark

    @property
    def name(self) -> str:
        """Its key."""
        return self._name

    @property
    def provider(self) -> CloudProvider:
        """Whose it is."""
        return self.bucket.provider

    @property
    def _session(self) -> Session:
        return self.bucket.provider.session

    @property
    def _target(self) -> Target:
        return Target(self._session, self.bucket.name, self._name)

    # What describes it

    def refresh(self) -> None:
        """Ask the service again. :raises NotFoundError: it is gone."""
        self._info = None
        self._info = self._target.head(self._source)
        self._partial = False

    def _known(self) -> ObjectInfo:
        if self._info is None:
            self.refresh()
        assert self._info is not None
        return self._info

    def _whole(self) -> ObjectInfo:
        if self._partial:
            self.refresh()
        return self._known()

    @property
    def size(self) -> int:
        """Bytes of its content. :raises NotFoundError: nothing is stored."""
        return self._known().size

    @property
    def modified(self) -> datetime:
        """When it was stored (aware). :raises NotFoundError: nothing is stored."""
        return self._known().modified

    @property
    def last_modified(self) -> str:
        """When it was stored, in UTC, as ``%Y-%m-%dT%H:%M:%S.%f``."""
        return utc_text(self.modified)

    @property
    def etag(self) -> str:
        """What changes with the content, without quotes; to be compared only."""
        return self._known().etag

    @property
    def version(self) -> str | None:
        """Its version, where the bucket keeps versions."""
        return self._known().version

    @property
    def is_latest(self) -> bool:
        """Whether it is the version that its name stands for, as far as the listing it comes from said."""
        return self._mark is None or self._mark.latest

    @property
    def is_delete_marker(self) -> bool:
        """Whether it is no content but the mark that the object was deleted then."""
        return self._mark is not None and self._mark.deleted

    @property
    def storage_class(self) -> str | None:
        """Its storage class, where there is a choice."""
        return self._known().storage_class

    @property
    def content_type(self) -> str | None:
        """Its media type, ``None`` where none was stored."""
        known = self._known()
        return known.content_type if known.content_type is not None else self._whole().content_type

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata it was stored with."""
        return dict(self._detail("metadata"))

    @property
    def headers(self) -> dict[str, str]:
        """Its content headers: those of cache_control, content_disposition, content_encoding, content_language."""
        return dict(self._detail("headers"))

    @property
    def checksums(self) -> dict[str, str]:
        """The digests of its whole content that the service holds, in hexadecimal, by algorithm."""
        return dict(self._detail("checksums"))

    def _detail(self, name: str) -> Mapping[str, str]:
        value: Mapping[str, str] | None = getattr(self._known(), name)
        if value is None:
            value = getattr(self._whole(), name)
        return value or {}

    def to_json(self) -> dict[str, Any]:
        """Return what is known about it, without asking the service, as values that ``json.dumps`` accepts."""
        known: dict[str, Any] = {"id": self.id, "name": self.name, "bucket": self.bucket.name}
        if self._info is not None:
            known.update(size=self.size, last_modified=self.last_modified, etag=self.etag)
            known.update({name: value for name in _DETAILS if (value := getattr(self._info, name)) is not None})
        return known

    def _identity(self) -> tuple[Any, ...]:
        return (self.provider, self.bucket.name, self._name, self._source.version)
