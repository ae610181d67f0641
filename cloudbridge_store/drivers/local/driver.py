"""The provider ``local``: buckets in a directory of this machine's file system, shared by all processes that use it.

Every write is staged beside the objects and gets its name in one step, with all that describes it. POSIX systems only:
it stands on ``openat``, ``rename`` and ``flock``.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from cloudbridge_store.config import ConfigKey, Settings
from cloudbridge_store.drivers.base import (
    PUT_PLAIN,
    READ_ALL,
    Body,
    BucketInfo,
    Capabilities,
    Download,
    Driver,
    Failure,
    KiB,
    Method,
    ObjectInfo,
    Page,
    Part,
    PutOptions,
    ReadOptions,
    SignedRequest,
    SignOptions,
    Stored,
    TiB,
    UploadInfo,
)
from cloudbridge_store.drivers.local.attributes import Attributes
from cloudbridge_store.drivers.local.buckets import Buckets
from cloudbridge_store.drivers.local.content import FileRange, receive
from cloudbridge_store.drivers.local.control import Control
from cloudbridge_store.drivers.local.layout import LAYOUTS, make_layout
from cloudbridge_store.drivers.local.listing import list_page
from cloudbridge_store.drivers.local.objects import ObjectStore, OpenBucket, OpenObject, sync_directories
from cloudbridge_store.drivers.local.trees import DirectoryCache
from cloudbridge_store.drivers.local.uploads import MOST_PARTS, Uploads, make_part
from cloudbridge_store.errors import (
    InvalidConfigurationException,
    InvalidRangeError,
    InvalidRequestError,
    LocalIOError,
    NotModifiedError,
    PermissionDeniedError,
    PreconditionFailedError,
    QuotaExceededError,
    StoreError,
    UnsupportedOperationError,
)
from cloudbridge_store.redaction import hide

if TYPE_CHECKING:
    from cloudbridge_store.drivers.gateway import UrlGateway

_LARGEST = 5 * TiB

_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG})
_PASSING = frozenset({errno.EAGAIN, errno.EBUSY, errno.EINTR, getattr(errno, "ESTALE", errno.EBUSY)})
_HINTS: Mapping[int, str] = {
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "the system has no more open files; close some",
    errno.EIO: "check the disk",
    errno.EROFS: "the file system is mounted read-only",
    errno.ENOLCK: "the file system has no locks; put local_root on one that has",
    errno.ENOENT: "something below local_root was removed while it was used; connect again",
}


class LocalDriver(Driver):
    """Objects as files. See ``layout`` for where they are, ``attributes`` for what describes them."""

    name: ClassVar[str] = "local"
    config_keys: ClassVar[Sequence[ConfigKey]] = (
        ConfigKey("local_root", Path, "directory of the buckets; default: in the user's data directory"),
        ConfigKey("local_layout", str, "'encoded' (any key) or 'plain' (keys are relative paths)", "encoded"),
        ConfigKey("local_base_url", str, "where signed URLs lead; default: a server in this process"),
        ConfigKey("local_secret", str, "signs URLs; default: made once for the root", secret=True),
        ConfigKey("local_fsync", bool, "a write is on the disk before it counts", True),
    )

    def __init__(self, control: Control, *, layout: str, base_url: str | None, secret: str | None) -> None:
        self._control = control
        self._base_url = base_url
        self._secret = secret
        self._layout = make_layout(layout, fold=False)  # what it refuses does not depend on the file system
        self.capabilities = _capabilities(nested_keys=self._layout.nested_keys)
        self._store = ObjectStore(control)
        self._uploads = Uploads(self._store)
        self._buckets = Buckets(self._store, self._uploads)
        self._cache = DirectoryCache()
        self._gateway: UrlGateway | None = None
        self._gateway_lock = threading.Lock()

    @classmethod
    def connect(cls, config: Mapping[str, Any], settings: Settings) -> Self:  # noqa: ARG003 - nothing here is a request
        if os.name != "posix":
            message = "provider local needs a POSIX system (Linux, macOS, BSD); this is not one"
            raise InvalidConfigurationException(message)
        layout = config.get("local_layout") or "encoded"
        if layout not in LAYOUTS:
            message = f"config key local_layout must be one of {', '.join(LAYOUTS)}, not {layout!r}"
            raise InvalidConfigurationException(message)
        durable = config.get("local_fsync")
        root = Path(config.get("local_root") or _default_root()).absolute()
        control = Control(root, layout, durable=True if durable is None else bool(durable))
        control.check()
        return cls(control, layout=layout, base_url=config.get("local_base_url"), secret=config.get("local_secret"))

    @property
    def native(self) -> UrlGateway:
        """The server behind signed URLs."""
        from cloudbridge_store.drivers.gateway import UrlGateway  # here, because most programs sign nothing

        with self._gateway_lock:
            if self._gateway is None:
                secret = hide(self._secret.encode() if self._secret else self._control.secret())
                self._gateway = UrlGateway(self, secret, self._base_url)
            return self._gateway

    def classify(self, error: BaseException) -> Failure | None:
        if not isinstance(error, OSError) or isinstance(error, StoreError):
            return None
        number = error.errno or 0
        reason = error.strerror or str(error) or type(error).__name__
        code, hint = errno.errorcode.get(number), _HINTS.get(number, "")
        if number in _DENIED:
            return Failure(PermissionDeniedError, "no", reason, code=code, hint=hint)
        if number in _FULL:
            return Failure(QuotaExceededError, "no", reason, code=code, hint=hint)
        return Failure(LocalIOError, "idempotent" if number in _PASSING else "no", reason, code=code, hint=hint)

    def close(self) -> None:
        with self._gateway_lock:
            gateway, self._gateway = self._gateway, None
        if gateway is not None:
            gateway.close()
        self._store.close()

    def refuse_key(self, key: str) -> str | None:
        return self._layout.refuse(key)

    # Buckets

    def create_bucket(self, bucket: str, *, location: str | None = None) -> BucketInfo:
        if location is not None:
            raise UnsupportedOperationError("a local bucket has no location to choose")
        self._begin_write()
        return self._buckets.create(bucket)

    def head_bucket(self, bucket: str) -> BucketInfo:
        return self._buckets.head(bucket)

    def list_buckets(self, *, limit: int, token: str | None = None) -> Page[BucketInfo]:
        return self._buckets.page(limit, token)

    def delete_bucket(self, bucket: str) -> None:
        self._buckets.head(bucket)
        self._begin_write()
        self._buckets.delete(bucket)

    # Objects

    def head_object(self, bucket: str, key: str, options: ReadOptions = READ_ALL) -> ObjectInfo:
        with OpenBucket(self._control, bucket) as opened, self._store.open(opened, key) as source:
            return source.attributes.info(key, source.status)

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
        with OpenBucket(self._control, bucket) as opened:
            return list_page(
                opened.directory,
                self._control.layout(),
                self._cache,
                prefix=prefix,
                delimiter=delimiter,
                start_after=start_after,
                limit=limit,
                token=token,
            )

    def get_object(self, bucket: str, key: str, options: ReadOptions) -> Download:
        if options.version is not None:
            raise UnsupportedOperationError("local objects have no versions")
        with OpenBucket(self._control, bucket) as opened:
            source = self._store.open(opened, key)
        try:
            start, length = _select(source, options)
            info = source.attributes.info(key, source.status)
        except BaseException:
            os.close(source.file)
            raise
        return Download(info, FileRange(source.file, start, length), start, length)

    def put_object(self, bucket: str, key: str, body: Body, options: PutOptions) -> Stored:
        _refuse_extra(options)
        with OpenBucket(self._control, bucket) as opened:
            self._begin_write()
            with self._store.staging.file() as staged:
                with body.open() as stream:
                    crc32 = receive(stream, staged.file, body.size)
                attributes = Attributes.describe(options, crc32=crc32)
                return self._store.publish(opened, key, staged, attributes, options)

    def delete_object(self, bucket: str, key: str, version: str | None = None) -> None:
        with OpenBucket(self._control, bucket) as opened:
            self._begin_write()
            self._store.delete(opened, key)

    def delete_objects(self, bucket: str, keys: Sequence[str]) -> Mapping[str, Exception]:
        failures: dict[str, Exception] = {}
        directories: dict[tuple[str, ...], None] = {}
        with OpenBucket(self._control, bucket) as opened:
            self._begin_write()
            for key in keys:
                try:
                    directories[tuple(self._store.place(key)[0])] = None
                    self._store.delete(opened, key, durable=False)
                except StoreError as error:
                    failures[key] = error
                except OSError as error:
                    failures[key] = self._explain(error)
            if self._control.durable:
                for path in directories:
                    sync_directories(opened.directory, path)
        return failures

    def _begin_write(self) -> None:
        self._control.prepare()
        self._store.staging.sweep(on_crash=self._recover)

    def _recover(self, dead: Sequence[Path]) -> None:
        self._uploads.sweep()
        self._store.recover(dead)

    def _explain(self, error: OSError) -> StoreError:
        failure = self.classify(error)
        assert failure is not None
        explained = failure.error(failure.reason, code=failure.code, hint=failure.hint)
        explained.__cause__ = error
        return explained

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
        if options is not None:
            _refuse_extra(options)
        with OpenBucket(self._control, bucket) as opened, self._store.open(opened, key) as original:
            if source.if_match not in (None, original.etag):
                raise PreconditionFailedError("the object to be copied has another ETag")
            with OpenBucket(self._control, to_bucket) as target:
                self._begin_write()
                return self._store.copy(original, target, to_key, options)

    def sign_url(self, bucket: str, key: str, method: Method, seconds: int, options: SignOptions) -> SignedRequest:
        return self.native.sign(bucket, key, method, seconds, options)

    def get_tags(self, bucket: str, key: str) -> Mapping[str, str]:
        with OpenBucket(self._control, bucket) as opened, self._store.open(opened, key) as source:
            return source.attributes.tags or {}

    def set_tags(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        with OpenBucket(self._control, bucket) as opened:
            self._begin_write()
            self._store.set_tags(opened, key, dict(tags))

    # Multipart uploads

    def start_upload(self, bucket: str, key: str, options: PutOptions) -> str:
        _refuse_extra(options)
        self._buckets.head(bucket)
        self._begin_write()
        return self._uploads.start(bucket, key, options)

    def upload_part(
        self, bucket: str, key: str, upload_id: str, number: int, body: Body, options: PutOptions = PUT_PLAIN
    ) -> Part:
        self._begin_write()
        return self._uploads.put_part(bucket, key, upload_id, number, body)

    def part_etag(self, body: Body) -> str:
        return make_part(1, body.crc32, body.size).etag

    def list_parts(self, bucket: str, key: str, upload_id: str) -> Sequence[Part]:
        return self._uploads.parts(bucket, key, upload_id)

    def finish_upload(
        self, bucket: str, key: str, upload_id: str, parts: Sequence[Part], options: PutOptions
    ) -> Stored:
        self._begin_write()
        return self._uploads.finish(bucket, key, upload_id, parts, options)

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        self._uploads.abort(bucket, key, upload_id)

    def list_uploads(
        self, bucket: str, *, prefix: str = "", limit: int = 1000, token: str | None = None
    ) -> Page[UploadInfo]:
        return self._uploads.page(bucket, prefix, limit, token)


def _capabilities(*, nested_keys: bool) -> Capabilities:
    return Capabilities(
        multipart=True,
        copy=True,
        conditional_put=frozenset({"if_match", "if_none_match"}),
        conditional_read=True,
        user_metadata=True,
        tags=True,
        batch_delete=1000,
        sign=frozenset({"GET", "HEAD", "PUT", "DELETE"}),
        list_uploads=True,
        nested_keys=nested_keys,
        checksums=frozenset({"crc32"}),
        max_put=_LARGEST,
        min_part=1,
        max_part=_LARGEST,
        max_parts=MOST_PARTS,
        max_metadata_bytes=64 * KiB,
        # Parts are written once when they arrive and once when they are joined: never worth it by itself.
        multipart_threshold=_LARGEST,
    )


def _default_root() -> Path:
    import platformdirs  # here, because it looks at the environment, and most configurations name a root

    return Path(platformdirs.user_data_dir("cloudbridge_store")) / "store"


def _refuse_extra(options: PutOptions) -> None:
    if options.extra:
        message = f"provider local has no extra options: {', '.join(sorted(options.extra))}"
        raise InvalidRequestError(message)


def _select(source: OpenObject, options: ReadOptions) -> tuple[int, int]:
    """Check the conditions of a read, and return start and length of what is to be sent."""
    if options.if_match is not None and source.etag != options.if_match:
        raise PreconditionFailedError("the object has another ETag")
    if options.if_none_match is not None and source.etag == options.if_none_match:
        raise NotModifiedError("the object has that ETag still")
    size = source.status.st_size
    if options.start and options.start >= size:
        message = f"the range starts at {options.start}, the object has {size} bytes"
        raise InvalidRangeError(message)
    stop = size if options.stop is None else min(options.stop, size)
    return options.start, max(stop - options.start, 0)
