"""Ways from one place to another: for each pair of locations, the items to copy."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import click

from cloudbridge_store import BucketObject, TransferConfig
from cloudbridge_store.cli.copying import Item, Report, is_existing_file, unless_existing
from cloudbridge_store.cli.filters import Filters
from cloudbridge_store.cli.locations import Local, Location, Remote, Standard, Stores
from cloudbridge_store.cli.progress import Meter
from cloudbridge_store.errors import LocalFileNotFoundError, ObjectNotFoundError

PIECE = 2**20
_LINK = "a symbolic link, which is not followed"


@dataclass(frozen=True, slots=True)
class Options:
    """What the options of ``cp`` say.

    :param keywords: how to store: content type, metadata, storage class, and the condition not to replace.
    """

    filters: Filters
    keywords: dict[str, Any]
    transfer: TransferConfig
    no_clobber: bool
    jobs: int


class Route:
    """Finds the items between a source and a destination."""

    def __init__(self, stores: Stores, options: Options) -> None:
        self._stores = stores
        self._options = options

    def single(self, source: Location, destination: Location) -> Item:
        """Return the one item. :raises click.UsageError: there is no way between the two."""
        match source, destination:
            case Remote(), Remote():
                obj = self._stores.stored(source)
                return self._between(obj, source, _with_name(destination, source.key))
            case Remote(), Standard():
                return self._to_stdout(self._stores.stored(source), source)
            case Remote(), Local():
                return self._to_file(self._stores.stored(source), source, _file_for(destination, source.key))
            case Local(), Remote():
                path = readable(source)
                return self._from_file(path, _with_name(destination, path.name))
            case Standard(), Remote():
                if destination.is_directory:
                    message = f"standard input needs a whole key to be stored under, not {destination}"
                    raise click.UsageError(message)
                return self._from_stdin(destination)
        message = f"nothing to copy between {source} and {destination}: one of them has to be a cbs:// URL"
        raise click.UsageError(message)

    def _from_file(self, path: Path, destination: Remote) -> Item:
        def copy(meter: Meter) -> int:
            meter.check()
            size = path.stat().st_size
            obj = self._stores.bucket(destination).objects.create(destination.key)
            progress = meter.follow()
            obj.upload_from_file(path, self._options.transfer, progress=progress, **self._options.keywords)
            return size

        return self._item(str(path), str(destination), _size(path), copy)

    def _from_stdin(self, destination: Remote) -> Item:
        def copy(meter: Meter) -> int:
            obj = self._stores.bucket(destination).objects.create(destination.key)
            follow = meter.follow()
            count = 0

            def progress(done: int, total: int | None) -> None:
                nonlocal count
                count = done
                follow(done, total)

            stream = sys.stdin.buffer
            obj.upload(stream, self._options.transfer, progress=progress, **self._options.keywords)
            return count

        return self._item("-", str(destination), None, copy)

    def _to_stdout(self, obj: BucketObject, source: Remote) -> Item:
        def copy(meter: Meter) -> int:
            stream = sys.stdout.buffer
            count = 0
            for piece in obj.iter_content(PIECE):
                stream.write(piece)
                count += len(piece)
                meter.add(len(piece))
            stream.flush()
            return count

        return Item(str(source), "-", obj.size, copy)

    def _to_file(self, obj: BucketObject, source: Remote, path: Path) -> Item:
        def copy(meter: Meter) -> int:
            overwrite = not self._options.no_clobber
            obj.download_to_file(path, self._options.transfer, overwrite=overwrite, progress=meter.follow())
            return path.stat().st_size

        return self._item(str(source), str(path), obj.size, copy)

    def _between(self, obj: BucketObject, source: Remote, destination: Remote) -> Item:
        bucket = self._stores.bucket(destination)

        def copy(meter: Meter) -> int:
            meter.check()
            if obj.provider is bucket.provider and bucket.provider.capabilities.copy:
                keywords = {**_description(obj), **self._options.keywords} if self._options.keywords else {}
                obj.copy_to(bucket, destination.key, **keywords)
                meter.add(obj.size)
                return obj.size
            keywords = {**_description(obj), **self._options.keywords}
            with obj.open("rb") as stream:
                target = bucket.objects.create(destination.key)
                target.upload(stream, self._options.transfer, progress=meter.follow(), **keywords)
            return obj.size

        return self._item(str(source), str(destination), obj.size, copy)

    def _item(self, source: str, destination: str, size: int | None, copy: Any) -> Item:
        if not self._options.no_clobber:
            return Item(source, destination, size, copy)
        return Item(source, destination, size, lambda meter: unless_existing(lambda: int(copy(meter))))

    # Many

    def below_directory(self, source: Local, destination: Remote, report: Report) -> Iterator[Item]:
        """Yield an item for each regular file below a directory; note links and special files as skipped."""
        prefix = destination.as_prefix()
        for path, relative in _walk(source.path, self._options.filters, report):
            yield self._from_file(path, destination.at(prefix + relative))

    def below_prefix(self, source: Remote, destination: Remote) -> Iterator[Item]:
        """Yield an item for each object below a prefix, to the same relative key elsewhere."""
        prefix = destination.as_prefix()
        for obj, relative in self._objects_below(source):
            yield self._between(obj, source.at(obj.name), destination.at(prefix + relative))

    def to_directory(self, source: Remote, destination: Local) -> Iterator[Item]:
        """Yield, to be shown only, an item for each object that :meth:`download` would write to a file."""
        for obj, relative in self._objects_below(source):
            yield self._to_file(obj, source.at(obj.name), destination.path / relative)

    def _objects_below(self, source: Remote) -> Iterator[tuple[BucketObject, str]]:
        prefix = source.as_prefix()
        for obj in self._stores.bucket(source).objects.iter(prefix=prefix):
            relative = obj.name[len(prefix) :]
            if relative in self._options.filters:
                yield obj, relative

    def download(self, source: Remote, destination: Local, meter: Meter) -> Report:
        """Write the objects below a prefix to files below a directory, as the library does it: never outside of it."""
        options = self._options
        found = self._stores.bucket(source).download_directory(
            destination.path,
            source.as_prefix(),
            include=options.filters.__contains__,
            overwrite=not options.no_clobber,
            config=options.transfer,
            progress=meter.follow_all(),
            max_workers=options.jobs,
            errors="return",
        )
        existing = [key for key, error in found.failures.items() if options.no_clobber and is_existing_file(error)]
        failures = {key: error for key, error in found.failures.items() if key not in existing}
        return Report(found.transferred, found.bytes, found.seconds, existing, dict(found.skipped), failures)


def readable(source: Local) -> Path:
    """Return the path of a file to be read. :raises LocalFileNotFoundError: :raises click.UsageError: a directory."""
    if source.path.is_dir():
        message = f"{source} is a directory; cp -r copies what is below it"
        raise click.UsageError(message)
    if not source.path.exists():
        message = f"{source} does not exist"
        raise LocalFileNotFoundError(message)
    return source.path


def nothing_below(source: Remote) -> ObjectNotFoundError:
    """Return the error for a prefix without objects."""
    return ObjectNotFoundError(f"no object is below {source}")


def _with_name(destination: Remote, name: str) -> Remote:
    return destination.at(destination.key + _last_segment(name)) if destination.is_directory else destination


def _file_for(destination: Local, key: str) -> Path:
    if not destination.is_directory:
        return destination.path
    destination.path.mkdir(parents=True, exist_ok=True)
    return destination.path / _last_segment(key)


def _last_segment(name: str) -> str:
    segment = PurePosixPath(name).name
    if not segment or name.endswith("/") or segment in (".", ".."):
        message = f"{name!r} ends in no name; say what it is to be called"
        raise click.UsageError(message)
    return segment


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        # Copying it will say why; the others go on.
        return 0


def _description(obj: BucketObject) -> dict[str, Any]:
    # What goes along where the service does not copy it by itself: nothing that only the source's service understands.
    return {"content_type": obj.content_type, "metadata": obj.metadata, **obj.headers}


def _walk(root: Path, filters: Filters, report: Report) -> Iterator[tuple[Path, str]]:
    def note(error: OSError) -> None:
        report.skipped[str(error.filename)] = error.strerror or str(error)

    for here, directories, files in os.walk(root, onerror=note):
        directories.sort()
        links = [name for name in directories if Path(here, name).is_symlink()]
        for path in (Path(here, name) for name in sorted([*files, *links])):
            relative = path.relative_to(root).as_posix()
            if relative not in filters:
                continue
            if path.is_symlink():
                report.skipped[str(path)] = _LINK
            elif not path.is_file():
                report.skipped[str(path)] = "not a regular file"
            else:
                yield path, relative
