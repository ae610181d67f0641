"""Buckets: make, find, list, delete, and what concerns all of a bucket at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Unpack

from cloudbridge_store.config import TransferConfig
from cloudbridge_store.contents import BucketObjectService
from cloudbridge_store.core import checks, directories
from cloudbridge_store.core.bulk import delete_keys, delete_versions
from cloudbridge_store.core.checks import PutKeywords
from cloudbridge_store.core.directories import Patterns
from cloudbridge_store.core.multipart import Target
from cloudbridge_store.core.progress import ProgressArgument
from cloudbridge_store.drivers.base import BucketInfo, CdnInfo, Page, RuleKind, UploadInfo, Usage
from cloudbridge_store.errors import BucketNotEmptyError, NotFoundError, UnsupportedOperationError
from cloudbridge_store.resources import CloudResource, search, utc_text
from cloudbridge_store.results import ResultList, TransferReport, every_item, one_page, page_limit
from cloudbridge_store.uploads import MultipartUpload

if TYPE_CHECKING:
    from cloudbridge_store.core.session import Session
    from cloudbridge_store.provider import CloudProvider


class BucketService:
    """The buckets of one account."""

    def __init__(self, provider: CloudProvider) -> None:
        self.provider = provider

    @property
    def _session(self) -> Session:
        return self.provider.session

    def get(self, bucket_id: str) -> Bucket | None:
        """Return a bucket, or ``None`` if there is none of that name.

        :raises StoreError: anything but not-found, such as a lack of permission.
        """
        if not isinstance(bucket_id, str) or not bucket_id:
            return None
        try:
            driver = self._session.driver
            info = self._session.call(driver.head_bucket, driver.bucket_name(bucket_id))
        except NotFoundError:
            return None
        return Bucket(self.provider, info)

    def find(self, **criteria: Any) -> ResultList[Bucket]:
        """Return the buckets whose ``name`` is the one given, or fits a pattern with ``*`` and ``?``.

        :raises InvalidParamException: any other keyword.
        """
        return search(criteria, self.get, lambda _: self)

    def list(self, limit: int | None = None, marker: str | None = None) -> ResultList[Bucket]:
        """Return one page of exactly ``limit`` buckets, or the rest; by default ``default_result_limit``.

        :param marker: the ``marker`` of the page before.
        """
        wanted = page_limit(limit, self.provider.default_result_limit)
        largest = self.provider.capabilities.max_page
        return one_page(self._fetch, self._make, limit=wanted, marker=marker, largest=largest)

    def iter(self) -> Iterator[Bucket]:
        """Yield all buckets, a page in memory at a time."""
        return every_item(self._fetch, self._make, size=self.provider.capabilities.max_page)

    def __iter__(self) -> Iterator[Bucket]:
        return self.iter()

    def _fetch(self, limit: int, token: str | None) -> Page[BucketInfo]:
        return self._session.call(self._session.driver.list_buckets, limit=limit, token=token)

    def _make(self, info: BucketInfo) -> Bucket:
        return Bucket(self.provider, info)

    def create(self, name: str, location: str | None = None) -> Bucket:
        """Create a private bucket.

        :param location: where, as the service names it; ``None`` for the configured or the service's own choice.
        :raises InvalidNameException: not a name that all providers take.
        :raises DuplicateResourceException: there is one of that name.
        :raises UnsupportedOperationError: a location was given, and there is no choice here.
        """
        checks.bucket_name(name, self._session.capabilities.special_buckets)
        if location is not None:
            self._session.require("locations", "choose a bucket's location")
        info = self._session.call(self._session.driver.create_bucket, name, location=location)
        return Bucket(self.provider, info)

    def delete(self, bucket: Bucket | str) -> None:
        """Delete an empty bucket. :raises BucketNotFoundError: :raises BucketNotEmptyError:"""
        name = bucket.name if isinstance(bucket, Bucket) else bucket
        self._session.call(self._session.driver.delete_bucket, name)


class Bucket(CloudResource):
    """A bucket: a flat set of objects by key."""

    def __init__(self, provider: CloudProvider, info: BucketInfo) -> None:
        self._owner = provider
        self._info = info

    @property
    def name(self) -> str:
        """Its name."""
        return self._info.name

    @property
    def provider(self) -> CloudProvider:
        """Whose it is."""
        return self._owner

    @property
    def _session(self) -> Session:
        return self._owner.session

    @property
    def created(self) -> datetime | None:
        """When it was created (aware), where the service says."""
        return self._info.created

    @property
    def location(self) -> str | None:
        """Where it is, as the service names it."""
        return self._info.location

    def sibling(self, name: str) -> Bucket:
        """Return a handle for another bucket of the same account, without asking for it."""
        return Bucket(self.provider, BucketInfo(name))

    @cached_property
    def objects(self) -> BucketObjectService:
        """Its objects."""
        return BucketObjectService(self)

    @property
    def exists(self) -> bool:
        """Whether it is there now. :raises StoreError: the service does not say."""
        try:
            self._session.call(self._session.driver.head_bucket, self.name)
        except NotFoundError:
            return False
        return True

    def delete(self, delete_contents: bool = False) -> None:
        """Delete it.

        :param delete_contents: delete its objects first, with all their versions, and its unfinished uploads.
        :raises BucketNotEmptyError: it still holds objects.
        """
        if delete_contents:
            if self._session.capabilities.list_uploads:
                self.abort_uploads()
            delete_keys(self._session, self.name, (obj.name for obj in self.objects))
        try:
            self._session.call(self._session.driver.delete_bucket, self.name)
        except BucketNotEmptyError as error:
            if not (delete_contents and self._session.capabilities.versions):
                raise
            versions = ((obj.name, obj.version) for obj in self.objects.versions())
            try:
                delete_versions(self._session, self.name, versions)
            except UnsupportedOperationError:
                # Not every service of a kind has them, so that they are not why it is not empty.
                raise error from error.__cause__
            self._session.call(self._session.driver.delete_bucket, self.name)

    def list_uploads(self, prefix: str = "") -> Iterator[MultipartUpload]:
        """Yield the multipart uploads that were neither completed nor aborted, by key."""
        self._session.require("list_uploads", "list unfinished uploads")
        prefix = checks.key_prefix(self._session, prefix)

        def fetch(limit: int, token: str | None) -> Page[UploadInfo]:
            driver = self._session.driver
            return self._session.call(driver.list_uploads, self.name, prefix=prefix, limit=limit, token=token)

        def make(info: UploadInfo) -> MultipartUpload:
            return MultipartUpload(self, info.key, info.upload_id, started=info.started)

        return every_item(fetch, make, size=self._session.capabilities.max_page)

    def abort_uploads(self, prefix: str = "", older_than: timedelta | None = None) -> int:
        """Abort unfinished uploads and return how many.

        :param older_than: leave those alone that were started more recently, and those whose start is not known.
        """
        before = None if older_than is None else datetime.now(UTC) - older_than
        uploads = [
            upload
            for upload in self.list_uploads(prefix)
            if before is None or (upload.started is not None and upload.started < before)
        ]
        for upload in uploads:
            upload.abort()
        return len(uploads)

    def upload_directory(
        self,
        directory: str | PathLike[str],
        prefix: str = "",
        *,
        include: Patterns = (),
        exclude: Patterns = (),
        config: TransferConfig | None = None,
        progress: ProgressArgument = None,
        max_workers: int = 8,
        errors: Literal["raise", "return"] = "raise",
        **options: Unpack[PutKeywords],
    ) -> TransferReport:
        """Store every regular file below a directory under ``prefix`` + its relative path, in parallel.

        Links are not followed.

        :param include: patterns of relative paths (``*`` crosses ``/``), or a test for them; without, all are taken.
        :param exclude: likewise; wins over ``include``.
        :param options: how to store each of them.
        :raises TransferError: in the end, if anything was skipped or failed and ``errors`` is ``"raise"``.
        """
        choice = directories.Choice(include, exclude)
        target = Target(self._session, self.name, prefix)
        job = directories.DirectoryUpload(target, directory, choice, config, options)
        return job.run(progress, checks.positive("max_workers", max_workers), errors)

    def download_directory(
        self,
        directory: str | PathLike[str],
        prefix: str = "",
        *,
        include: Patterns = (),
        exclude: Patterns = (),
        overwrite: bool = True,
        config: TransferConfig | None = None,
        progress: ProgressArgument = None,
        max_workers: int = 8,
        errors: Literal["raise", "return"] = "raise",
    ) -> TransferReport:
        """Write every object whose key starts with ``prefix`` to a file below a directory, in parallel.

        A file's path is the key behind the prefix. Nothing is written outside of the directory, and not through a link
        in it: keys that would are skipped and reported. Each file appears whole or not at all.

        :param include: as in :meth:`upload_directory`, as is ``exclude``.
        :param overwrite: ``False`` fails for each file that exists.
        :raises TransferError: in the end, if anything was skipped or failed and ``errors`` is ``"raise"``.
        """
        choice = directories.Choice(include, exclude)
        target = Target(self._session, self.name, prefix)
        job = directories.DirectoryDownload(target, directory, choice, config, overwrite=overwrite)
        return job.run(progress, checks.positive("max_workers", max_workers), errors)

    def info(self) -> Usage:
        """Return how many objects and bytes it holds, and its metadata, in one request and without a listing.

        :raises UnsupportedOperationError: the service does not count.
        """
        self._session.require("usage", "say how much a bucket holds")
        return self._session.call(self._session.driver.get_usage, self.name)

    def set_metadata(self, metadata: Mapping[str, str]) -> None:
        """Replace its metadata; :meth:`info` returns it. :raises UnsupportedOperationError:"""
        self._session.require("usage", "keep metadata of a bucket")
        checked = checks.metadata(self._session, metadata)
        self._session.call(self._session.driver.set_bucket_metadata, self.name, checked)

    @property
    def versioning(self) -> bool:
        """Whether it keeps versions of what is written now. :raises UnsupportedOperationError:"""
        self._session.require("switch_versions", "say whether a bucket keeps versions")
        return self._session.call(self._session.driver.get_versioning, self.name)

    def enable_versioning(self) -> None:
        """Keep every version of its objects from now on. :raises UnsupportedOperationError:"""
        self._set_versioning(enabled=True)

    def suspend_versioning(self) -> None:
        """Keep no more versions; those that were kept stay. :raises UnsupportedOperationError:"""
        self._set_versioning(enabled=False)

    def _set_versioning(self, *, enabled: bool) -> None:
        self._session.require("switch_versions", "choose whether a bucket keeps versions")
        self._session.call(self._session.driver.set_versioning, self.name, enabled=enabled)

    def make_public(self) -> None:
        """Let everybody read its objects. :raises UnsupportedOperationError:"""
        self._set_public(public=True)

    def make_private(self) -> None:
        """Let nobody read its objects without credentials. :raises UnsupportedOperationError:"""
        self._set_public(public=False)

    def _set_public(self, *, public: bool) -> None:
        self._session.require("public_access", "change who may read a bucket")
        self._session.call(self._session.driver.set_public, self.name, public=public)

    def enable_website(self, index: str, error: str | None = None) -> str:
        """Serve it as a static site and return the URL. :raises UnsupportedOperationError:"""
        self._session.require("website", "serve a bucket as a website")
        pages = [None if page is None else checks.object_key(self._session, page) for page in (index, error)]
        return self._session.call(self._session.driver.set_website, self.name, *pages)

    def enable_cdn(self, ttl: int | None = None) -> str:
        """Put it behind the service's CDN and return the URL. :raises UnsupportedOperationError:

        :param ttl: seconds that the CDN may keep an object.
        """
        self._session.require("cdn", "put a bucket behind a CDN")
        seconds = None if ttl is None else checks.positive("ttl", ttl)
        return self._session.call(self._session.driver.set_cdn, self.name, enabled=True, ttl=seconds)

    def disable_cdn(self) -> None:
        """Have the CDN fetch nothing from it any more. :raises UnsupportedOperationError:"""
        self._session.require("cdn", "put a bucket behind a CDN")
        self._session.call(self._session.driver.set_cdn, self.name, enabled=False, ttl=None)

    @property
    def cdn(self) -> CdnInfo:
        """What the CDN has of it: whether it is enabled, for how long it keeps objects, and the URLs by kind.

        :raises UnsupportedOperationError: the service has no CDN.
        """
        self._session.require("cdn", "put a bucket behind a CDN")
        return self._session.call(self._session.driver.get_cdn, self.name)

    def purge_cdn(self, *, email: str | None = None) -> None:
        """Have the CDN forget all of it before its time. :raises UnsupportedOperationError:

        :param email: who is told when that is done.
        """
        self._session.require("cdn", "put a bucket behind a CDN")
        address = checks.optional_header("email", email)
        self._session.call(self._session.driver.purge_cdn, self.name, email=address)

    def disable_website(self) -> None:
        """Serve it no more. :raises UnsupportedOperationError:"""
        self._session.require("website", "serve a bucket as a website")
        self._session.call(self._session.driver.set_website, self.name, None, None)

    def get_rules(self, kind: RuleKind) -> list[dict[str, Any]]:
        """Return its rules for ``"cors"`` or for the ``"lifecycle"`` of its objects, in the service's own form.

        :raises UnsupportedOperationError: the service has no such rules.
        """
        self._refuse_rules(kind)
        return [dict(rule) for rule in self._session.call(self._session.driver.get_rules, self.name, kind)]

    def set_rules(self, kind: RuleKind, rules: Iterable[Mapping[str, Any]]) -> None:
        """Replace its rules of one kind, in the service's own form; none removes them. See :meth:`get_rules`."""
        self._refuse_rules(kind)
        self._session.call(self._session.driver.set_rules, self.name, kind, [dict(rule) for rule in rules])

    def _refuse_rules(self, kind: RuleKind) -> None:
        if kind not in self._session.capabilities.rules:
            raise self._session.lacking(f"this provider has no rules of kind {kind}", "rules", kind, bucket=self.name)

    def to_json(self) -> dict[str, Any]:
        """Return what is known about it as values that ``json.dumps`` accepts."""
        created = utc_text(self.created) if self.created else None
        return {"id": self.id, "name": self.name, "created": created, "location": self.location}

    def _identity(self) -> tuple[Any, ...]:
        return (self.provider, self.name)
