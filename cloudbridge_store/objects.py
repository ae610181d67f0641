"""One object: store, read, copy, share."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Literal, Protocol, Self, Unpack, cast

from cloudbridge_store.config import TransferConfig
from cloudbridge_store.core import checks, transfer
from cloudbridge_store.core.checks import PutKeywords
from cloudbridge_store.core.multipart import takes_parts
from cloudbridge_store.core.progress import Progress, ProgressArgument
from cloudbridge_store.core.source import Data
from cloudbridge_store.core.streams import ObjectReader, ResumingStream
from cloudbridge_store.core.writer import ObjectWriter, TextWriter
from cloudbridge_store.descriptions import DescribedObject
from cloudbridge_store.drivers.base import (
    Encryption,
    Method,
    PutOptions,
    ReadOptions,
    SignedForm,
    SignedRequest,
)
from cloudbridge_store.errors import InvalidValueException, NotFoundError, UnsupportedOperationError
from cloudbridge_store.uploads import MultipartUpload

if TYPE_CHECKING:
    from cloudbridge_store.buckets import Bucket

_BUFFER_SIZE = 128 * 1024


class Writable(Protocol):
    """Anything with ``write(bytes)``."""

    def write(self, data: bytes, /) -> object:
        """Take all of the bytes."""


class BucketObject(DescribedObject):
    """An object, or the name of one to come. What describes it is asked for once, when it is first needed.

    One that :meth:`versions` or ``get(version=...)`` answered is that version: it is what is read, and what is deleted.
    """

    __slots__ = ()

    def exists(self) -> bool:
        """Say whether it is stored now."""
        try:
            self._target.head(self._source)
        except NotFoundError:
            return False
        return True

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
        checked = self._put_options(options)
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
        checked = self._put_options(options)
        self._forget()
        transfer.upload_file(self._target, path, checked, config, progress)
        return self

    def _put_options(self, keywords: PutKeywords) -> PutOptions:
        self._refuse_version()
        if self._source.customer_key is not None and "encryption" not in keywords:
            keywords["encryption"] = Encryption.customer(self._source.customer_key)
        return checks.put_options(self._session, self._name, keywords)

    def _refuse_version(self) -> None:
        if self._source.version is not None:
            raise InvalidValueException("version", self._source.version, "an object that is not bound to a version")

    def _forget(self) -> None:
        self._info = None
        self._partial = False

    def create_multipart_upload(self, **options: Unpack[PutKeywords]) -> MultipartUpload:
        """Start an upload whose parts are sent by the caller, in any order and from any thread or process."""
        self._session.require("multipart", "upload in parts")
        checked = self._put_options(options)
        checks.refuse_conditions(self._session, checked, "multipart")
        upload_id = self._session.call(self._session.driver.start_upload, self.bucket.name, self._name, checked)
        return MultipartUpload(self.bucket, self._name, upload_id, options=checked)

    def resume_upload(self, upload_id: str, **options: Unpack[PutKeywords]) -> MultipartUpload:
        """Return a handle for an upload that was started elsewhere; ``list_parts()`` tells what is there.

        :param options: those it was started with that count at its end: conditions, and the customer's key.
        """
        self._session.require("multipart", "upload in parts")
        return MultipartUpload(self.bucket, self._name, upload_id, options=self._put_options(options))

    def delete(self) -> None:
        """Delete it; a missing one is fine. A version is deleted for good."""
        self._forget()
        self._session.call(self._session.driver.delete_object, self.bucket.name, self._name, self._source.version)

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
            checks.refuse_conditions(self._session, checked, "copy")
        driver = self._session.driver
        names = (self.bucket.name, self._name, to_bucket.name, key)
        self._session.call(driver.copy_object, *names, checked, source=self._source)
        own = self._source.customer_key if checked is None else checked.customer_key
        return BucketObject(to_bucket, key, source=ReadOptions(customer_key=own))

    def copy_from_url(self, url: str, **options: Unpack[PutKeywords]) -> Self:
        """Have the service fetch what a URL leads to and store it as its content, and return the object.

        This is how objects come from another account or service, by a signed URL of it, without passing through here.
        OpenStack Swift copies within itself: there it is the plain address of an object that we may read, also of
        another account.

        :param url: a secret, which no message shows. It has to last until the copy is done.
        :param options: what describes the object; nothing comes along.
        :raises UnsupportedOperationError: the service cannot.
        :raises InvalidValueException: no URL, or one of plain http to another host.
        """
        self._session.require("copy_url", "fetch a URL")
        checked = self._put_options(options)
        checks.refuse_conditions(self._session, checked, "copy")
        source = checks.source_url(self._session, url)
        self._forget()
        self._session.call(self._session.driver.copy_url, self.bucket.name, self._name, source, checked)
        return self

    def versions(self) -> Iterator[BucketObject]:
        """Yield its versions and the marks of its deletions, the newest first.

        :raises UnsupportedOperationError: the service keeps no versions.
        """
        return (each for each in self.bucket.objects.versions(self._name) if each.name == self._name)

    def restore_version(self) -> BucketObject:
        """Make this version the object's content again, as its newest version, and return the object.

        :raises InvalidValueException: it is no version, or the mark of a deletion.
        """
        if self._source.version is None or self.is_delete_marker:
            raise InvalidValueException("version", self._source.version, "an object that is bound to a version")
        return self.copy_to(self.bucket)

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
        options = self._range_options(offset, length)
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
        options = self._range_options(offset, length)
        with Progress(progress, None, self._name) as counter:
            transfer.download_file(self._target, path, config, options=options, overwrite=overwrite, progress=counter)

    def _open_stream(self, options: ReadOptions | None = None) -> ResumingStream:
        return ResumingStream(*self._target, options or self._source)

    def _range_options(self, offset: int, length: int | None) -> ReadOptions:
        for param, value in (("offset", offset), ("length", length)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
                raise InvalidValueException(param, value, "a whole number of 0 or more")
        return replace(self._source, start=offset, stop=None if length is None else offset + length)

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
            reader = io.BufferedReader(ObjectReader(*self._target, self._source), buffer_size)
            return io.TextIOWrapper(reader, encoding or "utf-8", newline=newline) if text else reader
        checked = self._put_options(options)
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
        checks.signable(self._session, method)
        self._refuse_version()
        seconds = checks.expiry(self._session, expires_in)
        options = checks.sign_options(self._session, method, content_type, content_disposition)
        driver = self._session.driver
        return self._session.call(driver.sign_url, self.bucket.name, self._name, method, seconds, options)

    def purge_cdn(self, *, email: str | None = None) -> None:
        """Have the CDN forget it before its time. :raises UnsupportedOperationError:

        :param email: who is told when that is done.
        """
        self._session.require("cdn", "put a bucket behind a CDN")
        address = checks.optional_header("email", email)
        self._session.call(self._session.driver.purge_cdn, self.bucket.name, self._name, email=address)

    def sign_form(
        self, expires_in: int = 3600, *, min_size: int = 0, max_size: int | None = None, content_type: str | None = None
    ) -> SignedForm:
        """Return a form by which a browser can store it, within these sizes in bytes.

        :param content_type: the type that the form must carry; any, by default.
        :raises UnsupportedOperationError: the provider cannot sign forms.
        """
        self._refuse_version()
        contents = self.bucket.objects
        return contents.sign_form(
            self._name, expires_in, min_size=min_size, max_size=max_size, content_type=content_type
        )

    @property
    def public_url(self) -> str:
        """The URL that works while the bucket is public. :raises UnsupportedOperationError:"""
        self._session.require("public_access", "publish objects")
        self._refuse_version()
        return self._session.call(self._session.driver.public_url, self.bucket.name, self._name)

    def set_storage_class(self, storage_class: str) -> None:
        """Move it to another storage class; content, metadata and tags stay, its ETag may change.

        Leaving an archive takes the service hours where it can be asked for by this; until then reads are refused.

        :raises UnsupportedOperationError: the provider cannot, or has no such class.
        :raises ArchivedError: the service does not bring it back by this. :raises NotFoundError: nothing is stored.
        """
        self._session.require("change_storage_class", "change an object's storage class")
        self._refuse_version()
        name = checks.storage_class(self._session, storage_class)
        self._forget()
        self._session.call(self._session.driver.set_storage_class, self.bucket.name, self._name, name)

    def get_tags(self) -> dict[str, str]:
        """Return its tags. :raises UnsupportedOperationError:"""
        self._session.require("tags", "tag objects")
        self._refuse_version()
        return dict(self._session.call(self._session.driver.get_tags, self.bucket.name, self._name))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Replace its tags; content and ETag stay. :raises UnsupportedOperationError:"""
        self._session.require("tags", "tag objects")
        self._refuse_version()
        checked = checks.tags(self._session, tags)
        self._session.call(self._session.driver.set_tags, self.bucket.name, self._name, checked)
