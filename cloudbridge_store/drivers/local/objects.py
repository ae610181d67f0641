"""Objects: opened, published, described and deleted, each by one step of the file system that others see or do not."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from cloudbridge_store.drivers.base import PutOptions, Stored
from cloudbridge_store.drivers.local.attributes import Attributes, AttributeStore
from cloudbridge_store.drivers.local.content import copy_file, copy_through, identity, stamp
from cloudbridge_store.drivers.local.control import Control
from cloudbridge_store.drivers.local.locks import StripedLocks
from cloudbridge_store.drivers.local.staging import StagedFile, Staging, obsolete_identities
from cloudbridge_store.drivers.local.trees import remove_empty_directories
from cloudbridge_store.errors import (
    BucketNotFoundError,
    ConflictError,
    InvalidRequestError,
    ObjectChangedError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StoreError,
)
from cloudbridge_store.filesystem import open_beneath, sync_directory

# Without O_NONBLOCK the opening of a pipe that somebody put there would wait for a writer.
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_DIRECTORY = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_DIRECTORY", 0)
_NO_WAY = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_RACES = 100
_MOST_OPEN = 16


class OpenBucket:
    """A bucket's directory, held open: what is made below it is never made in a later bucket of the same name.

    :raises BucketNotFoundError: there is no such directory.
    """

    __slots__ = ("directory", "name", "path")

    def __init__(self, control: Control, name: str) -> None:
        self.name = name
        self.path = bucket_path(control, name)
        try:
            self.directory = os.open(self.path, _DIRECTORY)
        except OSError as error:
            if error.errno in _NO_WAY:
                raise missing_bucket() from None
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.directory)

    def exists(self) -> bool:
        """Return whether the directory still has its name."""
        try:
            return os.path.samestat(os.fstat(self.directory), os.lstat(self.path))
        except OSError:
            return False


def missing_bucket() -> BucketNotFoundError:
    """Make the error for a bucket that does not exist."""
    return BucketNotFoundError("the bucket does not exist")


def bucket_path(control: Control, name: str) -> str:
    """Return the path of a bucket's directory. :raises BucketNotFoundError: no directory can have that name."""
    if not is_bucket_name(name):
        raise missing_bucket()
    return f"{control.root}/{name}"


def is_bucket_name(name: str) -> bool:
    """Return whether a directory of that name is a bucket."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return bool(name) and not name.startswith(".") and "/" not in name and "\0" not in name


@dataclass(slots=True)
class OpenObject:
    """An object's file and what was true of it when it was opened. ``attributes`` are empty where it has none."""

    file: int
    status: os.stat_result
    attributes: Attributes

    @property
    def etag(self) -> str:
        """The object's ETag."""
        return identity(self.status)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.file)


class ObjectStore:
    """The objects of a root."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self.locks = StripedLocks(control.directory / "locks")
        self.staging = Staging(control)
        self.attributes = AttributeStore(control, self.staging)

    def close(self) -> None:
        """Remove what is being written, and let go of the locks."""
        self.staging.close()
        self.locks.close()

    def recover(self, dead: Sequence[Path]) -> None:
        """Remove the side files that processes which died have left, going by their staging directories."""
        for folder in dead:
            for etag in obsolete_identities(folder):
                self.attributes.forget(etag)

    def place(self, key: str) -> tuple[list[str], str]:
        """Return where a key's file is. :raises InvalidRequestError: nowhere, in this layout."""
        layout = self.control.layout()
        if reason := layout.refuse(key):
            raise InvalidRequestError(reason)
        return layout.place(key)

    def open(self, bucket: OpenBucket, key: str) -> OpenObject:
        """Open an object for reading. :raises ObjectNotFoundError:"""
        directories, leaf = self.place(key)
        try:
            with open_parent(bucket, directories) as parent:
                return self._open_leaf(parent, leaf)
        except OSError as error:
            # ENXIO: a socket, or a pipe nobody reads.
            if error.errno in _NO_WAY or error.errno == errno.ENXIO:
                raise ObjectNotFoundError("the object does not exist") from None
            raise

    def _open_leaf(self, parent: int, leaf: str) -> OpenObject:
        for _ in range(_RACES):
            file = os.open(leaf, _READ, dir_fd=parent)
            try:
                status = os.fstat(file)
                if not stat.S_ISREG(status.st_mode):
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
                found = self.attributes.read(file, status)
                # A side file goes with the object it describes; if it is the object that went, the new one is wanted.
                if found is not None or os.path.samestat(os.stat(leaf, dir_fd=parent, follow_symlinks=False), status):
                    return OpenObject(file, status, found or Attributes())
            except BaseException:
                os.close(file)
                raise
            os.close(file)
        raise ConflictError("the object is replaced faster than it can be opened")

    def publish(
        self,
        bucket: OpenBucket,
        key: str,
        staged: StagedFile,
        attributes: Attributes,
        options: PutOptions,
        *,
        before: Callable[[os.stat_result], None] | None = None,
    ) -> Stored:
        """Make a staged file the object of a key, all at once, if the conditions of ``options`` hold.

        :param before: called with the file's final state when nothing is left but to give it its name.
        """
        status = stamp(staged.file)
        attributes = attributes.sealed(status)
        self.attributes.write(staged.file, status, attributes)
        try:
            if self.control.durable:
                os.fsync(staged.file)
            self._move_to(bucket, key, staged, options, before and (lambda: before(status)))
        except BaseException:
            # An interrupt may come between the step that publishes and the note of it: the file system knows better.
            if not staged.has_place():
                self.attributes.forget(identity(status))
            raise
        return Stored(identity(status), checksums=attributes.checksums(status))

    def _move_to(
        self,
        bucket: OpenBucket,
        key: str,
        staged: StagedFile,
        options: PutOptions,
        before: Callable[[], None] | None,
    ) -> None:
        directories, leaf = self.place(key)
        for _ in range(_RACES):
            try:
                with self._made_parent(bucket, directories) as parent:
                    with self.locks.hold(bucket.name, key):
                        self._switch(parent, leaf, staged, options, before)
                    if self.control.durable:
                        sync_directory(parent)
                return
            except StoreError:
                raise
            except FileNotFoundError:
                # Somebody who deleted the last object there removed the directory, or the bucket.
                if not bucket.exists():
                    raise missing_bucket() from None
                # It is the staged file that is gone: the driver was closed meanwhile.
                if staged.has_place():
                    raise
        raise ConflictError("the directories on the way to the object are removed faster than they can be made")

    def _switch(
        self, parent: int, leaf: str, staged: StagedFile, options: PutOptions, before: Callable[[], None] | None
    ) -> None:
        replaced = _current(parent, leaf)
        _check_conditions(replaced, options)
        if before is not None:
            before()
        obsolete = identity(replaced) if replaced is not None and self._goes_with(replaced) else None
        with staged.replacing(obsolete):
            if options.if_none_match is None or not _link(staged, parent, leaf):
                os.rename(staged.name, leaf, src_dir_fd=staged.directory, dst_dir_fd=parent)
            staged.moved = True
            if obsolete is not None:
                self.attributes.forget(obsolete)

    def _goes_with(self, status: os.stat_result) -> bool:
        """Return whether a side file must go when a file loses its name: another name of it may be an object too."""
        return status.st_nlink == 1 and self.attributes.is_beside(status)

    @contextmanager
    def _made_parent(self, bucket: OpenBucket, directories: Sequence[str]) -> Iterator[int]:
        if not directories:
            yield bucket.directory
            return
        try:
            parent = self._make_parent(bucket, directories)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                raise ConflictError("a part of the key before its last '/' is an object, or not a directory") from None
            if error.errno == errno.EBUSY and not bucket.exists():
                raise missing_bucket() from None
            raise
        try:
            yield parent
        finally:
            os.close(parent)

    def _make_parent(self, bucket: OpenBucket, directories: Sequence[str]) -> int:
        try:
            return open_beneath(bucket.directory, directories)
        except FileNotFoundError:
            parent = open_beneath(bucket.directory, directories, create=True)
        if self.control.durable:
            sync_directories(bucket.directory, directories[:-1])
        return parent

    def delete(self, bucket: OpenBucket, key: str, *, durable: bool = True) -> None:
        """Delete an object, and the directories that thereby hold nothing; a missing one is fine."""
        directories, leaf = self.place(key)
        try:
            with open_parent(bucket, directories) as parent:
                if self._unlink(bucket, key, parent, leaf) and durable and self.control.durable:
                    sync_directory(parent)
        except OSError as error:
            if error.errno not in _NO_WAY:
                raise
            return
        _prune(bucket.directory, directories)

    def _unlink(self, bucket: OpenBucket, key: str, parent: int, leaf: str) -> bool:
        with self.locks.hold(bucket.name, key):
            status = os.stat(leaf, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                return False
            if not self._goes_with(status):
                os.unlink(leaf, dir_fd=parent)
                return True
            # Gone in one step, but not yet for good: from the staging directory a crash lets both be removed.
            directory, name = self.staging.directory(), self.staging.new_name()
            os.rename(leaf, name, src_dir_fd=parent, dst_dir_fd=directory)
            self.attributes.forget(identity(status))
            os.unlink(name, dir_fd=directory)
        return True

    def set_tags(self, bucket: OpenBucket, key: str, tags: dict[str, str]) -> None:
        """Replace an object's tags; its content and ETag stay."""
        with self.locks.hold(bucket.name, key), self.open(bucket, key) as source:
            self.attributes.rewrite(source.file, source.status, replace(source.attributes, tags=tags))
            if self.control.durable:
                os.fsync(source.file)

    def copy(self, source: OpenObject, bucket: OpenBucket, key: str, options: PutOptions | None) -> Stored:
        """Store an open object's content once more; without options all that describes it comes along."""
        attributes = source.attributes if options is None else Attributes.describe(options)
        with self.staging.file() as staged:
            crc32 = source.attributes.valid_crc32(source.status)
            if crc32 is None:
                crc32 = f"{copy_through(source.file, staged.file, source.status.st_size):08x}"
            else:
                copy_file(source.file, staged.file, source.status.st_size, whole=True)
            if identity(os.fstat(source.file)) != source.etag:
                raise ObjectChangedError("the object was edited in place while it was being copied")
            return self.publish(bucket, key, staged, replace(attributes, crc32=crc32), options or PutOptions())


@contextmanager
def open_parent(bucket: OpenBucket, directories: Sequence[str]) -> Iterator[int]:
    """Open the directory of an object's file, if it is there."""
    if not directories:
        yield bucket.directory
        return
    parent = open_beneath(bucket.directory, directories)
    try:
        yield parent
    finally:
        os.close(parent)


def sync_directories(root: int, directories: Sequence[str]) -> None:
    """Flush a directory and those on the way to another below it, as far as they are there."""
    sync_directory(root)
    with contextlib.ExitStack() as stack, contextlib.suppress(FileNotFoundError):
        here = root
        for name in directories:
            here = open_beneath(here, [name])
            stack.callback(os.close, here)
            sync_directory(here)


def _current(parent: int, leaf: str) -> os.stat_result | None:
    """Return the state of the object to be replaced; directories that hold nothing make room."""
    try:
        status = os.stat(leaf, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISREG(status.st_mode):
        return status
    if not stat.S_ISDIR(status.st_mode):
        raise ConflictError("something that is neither a file nor a directory has the object's place")
    directory = open_beneath(parent, [leaf])
    try:
        remove_empty_directories(directory)
    finally:
        os.close(directory)
    try:
        os.rmdir(leaf, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise ConflictError("the key is that of a directory, which holds other objects") from None
    return None


def _check_conditions(current: os.stat_result | None, options: PutOptions) -> None:
    if options.if_none_match is not None and current is not None:
        raise PreconditionFailedError("the object exists already")
    if options.if_match is not None:
        if current is None:
            raise PreconditionFailedError("the object does not exist")
        if identity(current) != options.if_match:
            raise PreconditionFailedError("the object has another ETag")


def _link(staged: StagedFile, parent: int, leaf: str) -> bool:
    """Give a staged file a name that nothing has, so that whoever does not take our locks is not overwritten either."""
    try:
        os.link(staged.name, leaf, src_dir_fd=staged.directory, dst_dir_fd=parent, follow_symlinks=False)
    except FileExistsError:
        raise PreconditionFailedError("the object exists already") from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return False
    os.unlink(staged.name, dir_fd=staged.directory)
    return True


def _prune(root: int, directories: Sequence[str]) -> None:
    """Remove the directories on the way to an object that hold nothing, from the innermost on."""
    try:
        for start in reversed(range(0, len(directories), _MOST_OPEN)):
            _prune_block(root, directories[:start], directories[start : start + _MOST_OPEN])
    except OSError:
        # One holds something, or somebody else was faster, or it is not ours to remove: the object is gone anyway.
        return


def _prune_block(root: int, above: Sequence[str], names: Sequence[str]) -> None:
    with contextlib.ExitStack() as stack:
        parents = [open_beneath(root, above)]
        stack.callback(os.close, parents[0])
        for name in names[:-1]:
            parents.append(open_beneath(parents[-1], [name]))
            stack.callback(os.close, parents[-1])
        for parent, name in zip(reversed(parents), reversed(names), strict=True):
            os.rmdir(name, dir_fd=parent)
