"""Buckets: the directories of a root."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from cloudbridge_store.drivers.base import BucketInfo, Page
from cloudbridge_store.drivers.local.listing import make_token, read_token
from cloudbridge_store.drivers.local.objects import ObjectStore, OpenBucket, bucket_path, is_bucket_name, missing_bucket
from cloudbridge_store.drivers.local.trees import holds_object, remove_empty_directories
from cloudbridge_store.drivers.local.uploads import Uploads
from cloudbridge_store.errors import BucketNotEmptyError, DuplicateResourceException, InvalidRequestError
from cloudbridge_store.filesystem import open_directory, sync_directory

_CREATED = "user.cbs.created"


class Buckets:
    """The buckets of a root."""

    def __init__(self, store: ObjectStore, uploads: Uploads) -> None:
        self._store = store
        self._uploads = uploads
        self._control = store.control

    def create(self, name: str) -> BucketInfo:
        """Make a bucket's directory. :raises DuplicateResourceException: something has that name."""
        if not is_bucket_name(name):
            raise InvalidRequestError("no directory of a bucket can have that name")
        path = Path(bucket_path(self._control, name))
        with self._store.locks.hold(name):
            # What was left of an earlier bucket of that name, where its deletion was interrupted.
            if not os.path.lexists(path):
                self._uploads.discard(name)
            try:
                path.mkdir()
            except FileExistsError:
                raise DuplicateResourceException("the bucket exists already") from None
            created = _date_directory(path)
            self._sync()
        return BucketInfo(name, created)

    def head(self, name: str) -> BucketInfo:
        """Describe a bucket."""
        with OpenBucket(self._control, name) as bucket:
            return BucketInfo(name, _created(bucket.directory))

    def page(self, limit: int, token: str | None) -> Page[BucketInfo]:
        """List the buckets by name."""
        after = read_token(token) if token is not None else b""
        names = sorted(name for name in self._names() if name > after)
        found = [BucketInfo(name, _created(self._control.root / name)) for name in map(bytes.decode, names[:limit])]
        return Page(found, make_token(names[limit - 1]) if len(names) > limit else None)

    def delete(self, name: str) -> None:
        """Remove a bucket's directory with the empty ones in it. :raises BucketNotEmptyError: there is an object."""
        with self._store.locks.hold(name), OpenBucket(self._control, name) as bucket:
            if holds_object(bucket.directory, self._control.layout()):
                raise BucketNotEmptyError("the bucket has objects")
            remove_empty_directories(bucket.directory)
            try:
                Path(bucket.path).rmdir()
            except FileNotFoundError:
                raise missing_bucket() from None
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                raise BucketNotEmptyError("the bucket's directory has new files, or some that are no objects") from None
            self._sync()
            self._uploads.discard(name)

    def _names(self) -> list[bytes]:
        try:
            with os.scandir(self._control.root) as entries:
                return [
                    entry.name.encode()
                    for entry in entries
                    if is_bucket_name(entry.name) and entry.is_dir(follow_symlinks=False)
                ]
        except FileNotFoundError:
            return []

    def _sync(self) -> None:
        if self._control.durable:
            root = open_directory(self._control.root)
            try:
                sync_directory(root)
            finally:
                os.close(root)


def _date_directory(path: Path) -> datetime | None:
    """Write down when a bucket was made: Python cannot ask Linux, and the other times change with the contents."""
    now = time.time_ns()
    with contextlib.suppress(OSError, AttributeError):
        os.setxattr(path, _CREATED, str(now).encode())
        return _moment(now)
    return _created(path)


def _created(directory: int | Path) -> datetime | None:
    with contextlib.suppress(OSError, AttributeError, ValueError):
        return _moment(int(os.getxattr(directory, _CREATED)))
    try:
        status = os.stat(directory)  # noqa: PTH116 - it may be a descriptor
    except FileNotFoundError:
        return None
    return _moment(int(getattr(status, "st_birthtime", min(status.st_mtime, status.st_ctime)) * 1e9))


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)
