"""One object: store, read, copy, share."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Literal, Protocol, Self, Unpack, cast

from cloudbridge_store.config import TransferConfig
from cloudbridge_store.core import checks, transfer
from cloudbridge_store.core.checks import PutKeywords
from cloudbridge_store.core.multipart import Target, takes_parts
from cloudbridge_store.core.progress import Progress, ProgressArgument
from cloudbridge_store.core.source import Data
from cloudbridge_store.core.streams import ObjectReader, ResumingStream
from cloudbridge_store.core.writer import ObjectWriter, TextWriter
from cloudbridge_store.drivers.base import Method, ObjectInfo, ReadOptions, SignedRequest, SignOptions
from cloudbridge_store.errors import InvalidValueException, UnsupportedOperationError
from cloudbridge_store.resources import CloudResource, utc_text
from cloudbridge_store.uploads import MultipartUpload

if TYPE_CHECKING:
    from cloudbridge_store.buckets import Bucket
    from cloudbridge_store.core.session import Session
    from cloudbridge_store.provider import CloudProvider

_BUFFER_SIZE = 128 * 1024


class Writable(Protocol):
    """Anything with ``write(bytes)``."""

    def write(self, data: bytes, /) -> object:
        """Take all of the bytes."""


class BucketObject(CloudResource):
    """An object, or the name of one to come. What describes it is asked for once, when it is first needed."""

    __slots__ = ("_info", "_name", "_partial", "bucket")

    def __init__(self, bucket: Bucket, name: str, info: ObjectInfo | None = None, *, partial: bool = False) -> None:
        self.bucket = bucket
        self._name = name
        self._info = info
        self._partial = partial
        """Whether ``_info`` comes from a listing, which may leave out what is ``None`` in it."""

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
        self._info = self._session.call(self._session.driver.head_object, self.bucket.name, self._name)
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

    def exists(self) -> bool:
        """Say whether it is stored now."""
        return self.bucket.objects.get(self._name) is not None

    # Writing

    def upload(
        self,
        data: Data,
        config: TransferConfig | None = None,
        *,
        progress: ProgressArgument = None,
        **options: Unpack[PutKeywords],
    ) -> Self:
        """Store data as its content, in one step for every reader, and return the object.

        :param data: text (stored as UTF-8), bytes, a binary stream from its current position on (seekable or not), or
            an iterable of bytes. Data of unknown length passes in bounded memory.
        :param config: how to cut it; what is left open is the provider's configuration.
        :param progress: ``True``, or a callable of bytes done and bytes in all.
        :raises TypeError: a path, or text that is not ``str``. :raises PreconditionFailedError: a condition failed.
        """
        checked = checks.put_options(self._session, self._name, options)
        self._forget()
        transfer.upload_data(self._target, data, checked, config, progress)
        return self

    def upload_from_file(
        self,
        path: str | os.PathLike[str],
        config: TransferConfig | None = None,
        *,
        progress: ProgressArgument = None,
        **options: Unpack[PutKeywords],
    ) -> Self:
        """Store a local file as its content and return the object.

        :raises LocalIOError: the file cannot be read. :raises SourceChangedError: it changed meanwhile.
        """
        checked = checks.put_options(self._session, self._name, options)
        self._forget()
        transfer.upload_file(self._target, path, checked, config, progress)
        return self

    def _forget(self) -> None:
        self._info = None
        self._partial = False

    def create_multipart_upload(self, **options: Unpack[PutKeywords]) -> MultipartUpload:
        """Start an upload whose parts are sent by the caller, in any order and from any thread or process."""
        self._session.require("multipart", "upload in parts")
        checked = checks.put_options(self._session, self._name, options)
        checks.refuse_conditions(self._session, checked)
        upload_id = self._session.call(self._session.driver.start_upload, self.bucket.name, self._name, checked)
        return MultipartUpload(self.bucket, self._name, upload_id, options=checked)

    def resume_upload(self, upload_id: str) -> MultipartUpload:
        """Return a handle for an upload that was started elsewhere; ``list_parts()`` tells what is there."""
        self._session.require("multipart", "upload in parts")
        return MultipartUpload(self.bucket, self._name, upload_id)

    def delete(self) -> None:
        """Delete it; a missing one is fine."""
        self._forget()
        self._session.call(self._session.driver.delete_object, self.bucket.name, self._name)

    def copy_to(self, bucket: Bucket | str, name: str | None = None, **options: Unpack[PutKeywords]) -> BucketObject:
        """Copy it within the service and return the copy. All that describes it comes along, tags too.

        :param bucket: of the same provider, or its name.
        :param name: the copy's key; by default the same.
        :param options: given any, they alone describe the copy.
        :raises UnsupportedOperationError: the service cannot copy, or the bucket is another provider's.
        """
        self._session.require("copy", "copy within the service")
        to_bucket = self._own_bucket(bucket)
        key = checks.object_key(self._session, self._name if name is None else name)
        checked = checks.put_options(self._session, key, options) if options else None
        if checked is not None:
            checks.refuse_conditions(self._session, checked)
        driver = self._session.driver
        self._session.call(driver.copy_object, self.bucket.name, self._name, to_bucket.name, key, checked)
        return BucketObject(to_bucket, key)

    def _own_bucket(self, bucket: Bucket | str) -> Bucket:
        if isinstance(bucket, str):
            return self.bucket.sibling(bucket)
        if bucket.provider != self.provider:
            message = "a service can copy only within itself; upload the object's iter_content() to the other provider"
            raise UnsupportedOperationError(message, provider=self.provider.PROVIDER_ID, bucket=bucket.name)
        return bucket

    # Reading

    def content(self) -> bytes:
        """Return its content. :raises NotFoundError: nothing is stored."""
        with closing(self._open_stream()) as stream:
            return stream.read_exactly()

    def read_range(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``, or those there are.

        :raises InvalidRangeError: ``offset`` is behind the end. :raises InvalidValueException: a negative number.
        """
        options = _range_options(offset, length)
        if length == 0:
            self._known()
            return b""
        with closing(self._open_stream(options)) as stream:
            return stream.read_exactly()

    def iter_content(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Yield its content in pieces of ``chunk_size`` bytes (by default ``iter_chunk_size``), the last one shorter.

        A broken connection is replaced. The last piece is withheld until the digest has been compared, where the
        service holds one.

        :raises InvalidValueException: a size below 1, before anything is asked for.
        """
        size = self._session.settings.iter_chunk_size if chunk_size is None else chunk_size
        checks.positive("chunk_size", size)
        return self._iter_content(size)

    def _iter_content(self, size: int) -> Iterator[bytes]:
        with closing(self._open_stream()) as stream:
            while stream.left:
                yield stream.read_up_to(size)

    def save_content(self, target_stream: Writable, chunk_size: int | None = None) -> None:
        """Write its content to a binary stream."""
        for chunk in self.iter_content(chunk_size):
            target_stream.write(chunk)

    def download_to_file(
        self,
        path: str | os.PathLike[str],
        config: TransferConfig | None = None,
        *,
        overwrite: bool = True,
        progress: ProgressArgument = None,
        offset: int = 0,
        length: int | None = None,
    ) -> None:
        """Make a local file of its content. The file appears whole, checked and flushed to the disk, or not at all.

        :param overwrite: ``False`` refuses a file that exists.
        :param offset: first byte, and :param length: number of bytes, to have only a range.
        :raises LocalIOError: the file cannot be written; what was there is left.
        :raises IntegrityError: what arrived is not what is stored.
        """
        options = _range_options(offset, length)
        with Progress(progress, None, self._name) as counter:
            transfer.download_file(self._target, path, config, options=options, overwrite=overwrite, progress=counter)

    def _open_stream(self, options: ReadOptions | None = None) -> ResumingStream:
        return ResumingStream(self._session, self.bucket.name, self._name, options or ReadOptions())

    def open(
        self,
        mode: Literal["rb", "wb", "r", "w", "rt", "wt"] = "rb",
        *,
        encoding: str | None = None,
        newline: str | None = None,
        buffer_size: int = _BUFFER_SIZE,
        **options: Unpack[PutKeywords],
    ) -> IO[Any]:
        """Open it as a file.

        Reading is seekable, by ranges, of the version that is there when it is opened. Writing stores at a clean close;
        an exception in the ``with`` block stores nothing.

        :param encoding: for text; UTF-8 by default.
        :param buffer_size: bytes read ahead at least.
        :raises NotFoundError: nothing is stored to be read.
        :raises ObjectChangedError: from a read, when the object was replaced after it was opened.
        """
        if mode not in ("rb", "wb", "r", "w", "rt", "wt"):
            raise InvalidValueException("mode", mode, 'one of "rb", "wb", "r", "w"')
        text = "b" not in mode
        if mode.startswith("r"):
            reader = io.BufferedReader(ObjectReader(*self._target), buffer_size)
            return io.TextIOWrapper(reader, encoding or "utf-8", newline=newline) if text else reader
        checked = checks.put_options(self._session, self._name, options)
        self._forget()
        writer = ObjectWriter(self._target, checked, split=takes_parts(self._session, checked))
        file = TextWriter(cast("BinaryIO", writer), encoding or "utf-8", newline=newline) if text else writer
        return cast("IO[Any]", file)

    # Sharing and describing

    def generate_url(
        self,
        expires_in: int = 3600,
        writable: bool = False,
        content_disposition: str | None = None,
        content_type: str | None = None,
    ) -> str:
        """Return a URL with which somebody without credentials can read the object, or with ``writable`` store it.

        :param expires_in: seconds.
        :param content_disposition: reading: the header that the answer will carry. Storing: without effect.
        :param content_type: reading: the type that the answer will carry. Storing: without effect; see :meth:`sign`.
        :raises InvalidValueException: an expiry that the service refuses.
        :raises UnsupportedOperationError: the provider cannot sign that.
        """
        if writable:
            return self.sign("PUT", expires_in).url
        return self.sign("GET", expires_in, content_disposition=content_disposition, content_type=content_type).url

    def sign(
        self,
        method: Method = "GET",
        expires_in: int = 3600,
        *,
        content_type: str | None = None,
        content_disposition: str | None = None,
    ) -> SignedRequest:
        """Return a request that somebody without credentials can make: its URL, and the headers to send with it.

        :param content_type: GET: the type that the answer carries. PUT: the one that the request must carry.
        """
        if method not in self._session.capabilities.sign:
            able = ", ".join(sorted(self._session.capabilities.sign)) or "none"
            message = f"this provider cannot sign {method} requests (it can sign: {able})"
            raise UnsupportedOperationError(message, provider=self.provider.PROVIDER_ID)
        seconds = checks.expiry(self._session, expires_in)
        options = SignOptions(
            checks.optional_header("content_type", content_type),
            checks.optional_header("content_disposition", content_disposition),
        )
        driver = self._session.driver
        return self._session.call(driver.sign_url, self.bucket.name, self._name, method, seconds, options)

    @property
    def public_url(self) -> str:
        """The URL that works while the bucket is public. :raises UnsupportedOperationError:"""
        self._session.require("public_access", "publish objects")
        return self._session.call(self._session.driver.public_url, self.bucket.name, self._name)

    def get_tags(self) -> dict[str, str]:
        """Return its tags. :raises UnsupportedOperationError:"""
        self._session.require("tags", "tag objects")
        return dict(self._session.call(self._session.driver.get_tags, self.bucket.name, self._name))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Replace its tags; content and ETag stay. :raises UnsupportedOperationError:"""
        self._session.require("tags", "tag objects")
        checked = checks.tags(self._session, tags)
        self._session.call(self._session.driver.set_tags, self.bucket.name, self._name, checked)

    def to_json(self) -> dict[str, Any]:
        """Return what is known about it, without asking the service, as values that ``json.dumps`` accepts."""
        known: dict[str, Any] = {"id": self.id, "name": self.name, "bucket": self.bucket.name}
        if self._info is not None:
            known.update(size=self.size, last_modified=self.last_modified, etag=self.etag)
            known.update({name: value for name in _DETAILS if (value := getattr(self._info, name)) is not None})
        return known

    def _identity(self) -> tuple[Any, ...]:
        return (self.provider, self.bucket.name, self._name)


_DETAILS = ("content_type", "metadata", "headers", "checksums", "storage_class", "version")


def _range_options(offset: int, length: int | None) -> ReadOptions:
    for param, value in (("offset", offset), ("length", length)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            raise InvalidValueException(param, value, "a whole number of 0 or more")
    return ReadOptions(offset, None if length is None else offset + length)
