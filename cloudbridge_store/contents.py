"""What a bucket holds: find, list, delete and upload objects by name."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import quote

from cloudbridge_store.core import checks
from cloudbridge_store.core.bulk import delete_keys
from cloudbridge_store.core.checks import PutKeywords
from cloudbridge_store.core.multipart import Target
from cloudbridge_store.core.parallel import run_parallel
from cloudbridge_store.core.source import Data
from cloudbridge_store.drivers.base import (
    Encryption,
    FormOptions,
    Method,
    ObjectInfo,
    Page,
    ReadOptions,
    SignedForm,
    SignedRequest,
    SignOptions,
    VersionInfo,
)
from cloudbridge_store.errors import InvalidValueException, NotFoundError, ProviderInternalException
from cloudbridge_store.objects import BucketObject
from cloudbridge_store.resources import search
from cloudbridge_store.results import Fetch, ResultList, every_item, one_page, page_limit

if TYPE_CHECKING:
    from cloudbridge_store.buckets import Bucket
    from cloudbridge_store.core.session import Session


class SignedPrefix:
    """A permission for one method on all objects whose name starts alike. Its URLs are secrets.

    :ivar prefix: how the names start.
    :ivar method: what may be done.
    """

    def __init__(self, objects: BucketObjectService, prefix: str, request: SignedRequest) -> None:
        self.prefix = prefix
        self.method = request.method
        self._objects = objects
        self._request = request

    def url_of(self, name: str) -> str:
        """Return the URL for one object. Asks nobody. :raises InvalidValueException: it does not start so."""
        key = self._objects.create(name).name
        if not key.startswith(self.prefix):
            raise InvalidValueException("name", name, f"a name that starts with {self.prefix!r}")
        path, mark, query = self._request.url.partition("?")
        return f"{path}{quote(key.removeprefix(self.prefix))}{mark}{query}"

    def __repr__(self) -> str:
        return f"<SignedPrefix {self.method} {self._objects.bucket.name}/{self.prefix}>"


class BucketObjectService:
    """The objects of one bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.provider = bucket.provider

    @property
    def _session(self) -> Session:
        return self.provider.session

    def create(self, name: str, *, encryption: Encryption | None = None) -> BucketObject:
        """Return a handle for an object to be uploaded. Checks the name and sends nothing.

        :param encryption: with a customer's key: the one that the handle writes and reads with.
        :raises InvalidLabelException: a key that would not be stored faithfully.
        """
        key = checks.object_key(self._session, name)
        return BucketObject(self.bucket, key, source=checks.read_source(self._session, None, encryption))

    def get(
        self, name: str, *, version: str | None = None, encryption: Encryption | None = None
    ) -> BucketObject | None:
        """Return an object, or ``None`` if there is none of that name, nor its bucket: few services tell which.

        :param version: bind the object to this version of it.
        :param encryption: the customer's key that it was encrypted with.
        :raises StoreError: anything but not-found, such as a lack of permission.
        :raises UnsupportedOperationError: the service has no versions, or takes no keys.
        """
        key = checks.object_key(self._session, self._named(name))
        target = Target(self._session, self.bucket.name, key)
        source = checks.read_source(self._session, version, encryption)
        try:
            info = target.head(source)
        except NotFoundError:
            return None
        return BucketObject(self.bucket, target.key, info, source=source)

    def _named(self, name: object) -> object:
        return self._session.driver.object_key(self.bucket.name, name) if isinstance(name, str) else name

    def exists(self, name: str) -> bool:
        """Say whether there is an object of that name."""
        return self.get(name) is not None

    def find(self, **criteria: Any) -> ResultList[BucketObject]:
        """Return the objects whose ``name`` is the one given, or fits a pattern.

        ``*`` stands for any characters, ``/`` too, ``?`` for one; the pattern covers the whole name, and its literal
        beginning is the prefix of the listing that is searched. Everything else is literal, brackets too.

        :raises InvalidParamException: any other keyword.
        """
        return search(criteria, self.get, lambda prefix: self.iter(prefix=prefix))

    def list(
        self,
        limit: int | None = None,
        marker: str | None = None,
        prefix: str | None = None,
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
    ) -> ResultList[BucketObject]:
        """Return one page of exactly ``limit`` results, or the rest, in UTF-8 byte order of the keys.

        :param limit: by default ``default_result_limit``; common prefixes count.
        :param marker: the ``marker`` of the page before, with the same other arguments.
        :param delimiter: roll keys that hold it behind the prefix up into ``ResultList.prefixes``.
        :param start_after: only keys greater than this one.
        :raises BucketNotFoundError: the bucket is gone.
        """
        wanted = page_limit(limit, self.provider.default_result_limit)
        fetch = self._fetcher(prefix, delimiter, start_after)
        return one_page(fetch, self._make, limit=wanted, marker=marker, largest=self._session.capabilities.max_page)

    def iter(
        self,
        limit: int | None = None,
        marker: str | None = None,
        prefix: str | None = None,
        *,
        start_after: str | None = None,
    ) -> Iterator[BucketObject]:
        """Yield all objects, a page in memory at a time.

        :param limit: size of the pages that are asked for, not of the result.
        """
        largest = self._session.capabilities.max_page
        size = min(page_limit(limit, largest), largest)
        ascending = self._refuse_disorder()
        return every_item(self._fetcher(prefix, None, start_after), ascending, size=size, marker=marker)

    def __iter__(self) -> Iterator[BucketObject]:
        return self.iter()

    def _fetcher(self, prefix: str | None, delimiter: str | None, start_after: str | None) -> Fetch[ObjectInfo]:
        session, bucket = self._session, self.bucket.name
        checked = {
            "prefix": checks.key_prefix(session, prefix),
            "delimiter": checks.key_prefix(session, delimiter, "delimiter"),
            "start_after": checks.key_prefix(session, start_after, "start_after"),
        }

        def fetch(limit: int, token: str | None) -> Page[ObjectInfo]:
            return session.call(session.driver.list_objects, bucket, limit=limit, token=token, **checked)

        return fetch

    def _refuse_disorder(self) -> Callable[[ObjectInfo], BucketObject]:
        last = ""
        bytewise = self._session.capabilities.byte_order

        def make(info: ObjectInfo) -> BucketObject:
            nonlocal last
            if info.key <= last and (bytewise or _in_units(info.key) <= _in_units(last)):
                message = f"the listing has {info.key!r} behind {last!r}: a page came twice, or out of order"
                raise ProviderInternalException(message, provider=self.provider.PROVIDER_ID, bucket=self.bucket.name)
            last = info.key
            return self._make(info)

        return make

    def _make(self, info: ObjectInfo) -> BucketObject:
        return BucketObject(self.bucket, info.key, info, partial=True)

    def versions(self, prefix: str | None = None) -> Iterator[BucketObject]:
        """Yield all versions of all objects, and the marks of their deletions, by key and the newest of a key first.

        :raises UnsupportedOperationError: the service keeps no versions.
        """
        session, bucket = self._session, self.bucket.name
        session.require("versions", "keep versions")
        beginning = checks.key_prefix(session, prefix)

        def fetch(limit: int, token: str | None) -> Page[VersionInfo]:
            return session.call(session.driver.list_versions, bucket, prefix=beginning, limit=limit, token=token)

        return every_item(fetch, self._make_version, size=session.capabilities.max_page)

    def _make_version(self, found: VersionInfo) -> BucketObject:
        source = ReadOptions(version=found.info.version)
        return BucketObject(self.bucket, found.info.key, found.info, partial=True, source=source, mark=found)

    def sign_prefix(self, prefix: str, method: Method = "GET", expires_in: int = 3600) -> SignedPrefix:
        """Sign one method on all objects whose name starts with ``prefix``, those to come too, with one signature.

        :param prefix: without a ``/`` at its end it is for ``2026-old`` as for ``2026/a``; ``""`` is all of the bucket.
        :param expires_in: seconds.
        :raises UnsupportedOperationError: the provider cannot sign that.
        """
        session = self._session
        session.require("sign_prefix", "sign for all objects of a prefix")
        checks.signable(session, method)
        key = checks.key_prefix(session, prefix)
        seconds = checks.expiry(session, expires_in)
        options = SignOptions(prefix=True)
        request = session.call(session.driver.sign_url, self.bucket.name, key, method, seconds, options)
        return SignedPrefix(self, key, request)

    def sign_form(
        self,
        name: str | None = None,
        expires_in: int = 3600,
        *,
        prefix: str | None = None,
        min_size: int = 0,
        max_size: int | None = None,
        content_type: str | None = None,
    ) -> SignedForm:
        """Return a form by which a browser can store one object, without credentials.

        :param name: the object's name, or :param prefix: how it begins; the browser's file name follows.
        :param expires_in: seconds.
        :param min_size: bytes, as is ``max_size``.
        :param content_type: the type that the form must carry; any, by default.
        :raises UnsupportedOperationError: the provider cannot sign forms.
        """
        self._session.require("sign_form", "sign forms")
        if (name is None) == (prefix is None):
            raise InvalidValueException("name", name, "either a name or a prefix")
        sizes = (min_size, max_size if max_size is not None else min_size)
        if not all(isinstance(size, int) and size >= 0 for size in sizes) or sizes[0] > sizes[1]:
            raise InvalidValueException("max_size", max_size, "bytes, from min_size on")
        seconds = checks.expiry(self._session, expires_in)
        kind = checks.optional_header("content_type", content_type)
        options = FormOptions(name is None, min_size, max_size, kind)
        key = checks.key_prefix(self._session, prefix) if name is None else checks.object_key(self._session, name)
        return self._session.call(self._session.driver.sign_form, self.bucket.name, key, seconds, options)

    def delete_many(self, objects: Iterable[BucketObject | str]) -> int:
        """Delete objects in batches and return how many were asked for; missing ones are fine.

        :raises TransferError: in the end, with the error of each that was refused.
        """
        names = (each.name if isinstance(each, BucketObject) else each for each in objects)
        keys = (checks.object_key(self._session, name) for name in names)
        return delete_keys(self._session, self.bucket.name, keys)

    def upload_many(
        self,
        items: Mapping[str, Data] | Iterable[tuple[str, Data]],
        *,
        max_workers: int = 8,
        **options: Unpack[PutKeywords],
    ) -> builtins.list[BucketObject]:
        """Upload data by name, in parallel, and return the objects in the order of their names.

        :raises StoreError: the first failure; uploads that had not begun are left out.
        """
        workers = checks.positive("max_workers", max_workers)
        pairs = items.items() if isinstance(items, Mapping) else items

        def upload(item: tuple[str, Data]) -> BucketObject:
            return self.create(item[0]).upload(item[1], **options)

        with closing(run_parallel(upload, pairs, workers)) as results:
            return sorted(results, key=lambda obj: obj.name)


def _in_units(key: str) -> bytes:
    """Return what orders keys as services do that keep them in UTF-16."""
    return key.encode("utf-16-be")
