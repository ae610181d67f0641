"""Whole objects up and down: one request where it fits, parallel parts or ranges where it does not."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import Any, BinaryIO, cast

from cloudbridge_store.checksums import combine_crc32
from cloudbridge_store.config import TransferConfig
from cloudbridge_store.core import digests, resuming
from cloudbridge_store.core.atomic import AtomicFile
from cloudbridge_store.core.multipart import (
    PartUploader,
    Target,
    decide_cut,
    first_part_size,
    fits_at_once,
    growing_part_sizes,
    refuse_single,
    takes_parts,
    upload_part_size,
)
from cloudbridge_store.core.parallel import run_parallel
from cloudbridge_store.core.progress import Progress, ProgressArgument
from cloudbridge_store.core.resuming import DownloadNote, UploadNote
from cloudbridge_store.core.source import (
    BytesBody,
    Data,
    LocalFile,
    SeekableBody,
    growing,
    local_error,
    open_data,
    open_spool,
    split,
    take,
)
from cloudbridge_store.core.streams import READ_SIZE, ResumingStream, open_pinned
from cloudbridge_store.drivers.base import Body, ObjectInfo, PutOptions, ReadOptions, Stored
from cloudbridge_store.errors import IntegrityError, NotFoundError, StoreError
from cloudbridge_store.sinks import Sink, open_sink


def upload_data(
    target: Target, data: Data, options: PutOptions, config: TransferConfig | None, progress: ProgressArgument
) -> Stored:
    """Store what :func:`~cloudbridge_store.core.source.open_data` accepts."""
    source = open_data(data)
    if isinstance(source, Body):
        with Progress(progress, source.size, target.key) as counter:
            return upload_body(target, source, options, config, counter)
    with Progress(progress, None, target.key) as counter:
        return _upload_pieces(target, source, options, config, counter)


def upload_file(
    target: Target,
    path: str | os.PathLike[str],
    options: PutOptions,
    config: TransferConfig | None,
    progress: ProgressArgument,
) -> Stored:
    """Store a local file. :raises SourceChangedError: it changed meanwhile; nothing was stored."""
    with LocalFile(path) as file, Progress(progress, file.size, target.key) as counter:
        return upload_body(target, file.body(), options, config, counter, file)


def upload_body(
    target: Target,
    body: Body,
    options: PutOptions,
    config: TransferConfig | None,
    progress: Progress,
    file: LocalFile | None = None,
) -> Stored:
    """Store a body of known size, in parts where that is worth it.

    :param file: the file that the body is all of. It is refused where it changed when all was read, before the object
        appears where it comes in parts; an upload in parts of it that a killed process left is gone on with.
    """
    session, bucket, key = target
    cut = decide_cut(session, config)
    refuse_single(session, body.size, options)
    at_once = body.size <= cut.threshold and fits_at_once(session, body.size)
    if at_once or not takes_parts(session, options):
        if progress.watched or file is not None:
            body = _CountedBody(body, progress, file.refuse_changes if file is not None else None)
        return session.call(session.driver.put_object, bucket, key, body, options)
    part_size = upload_part_size(session, cut, body.size)
    if file is not None and (note := resuming.open_upload(target, file, options, part_size)) is not None:
        return upload_parts(target, file, options, cut.concurrency, progress, note)
    with PartUploader(target, options, cut.concurrency, progress) as uploader:
        uploader.add_all(split(body, part_size))
        return _finish_unchanged(uploader, file)


def upload_parts(
    target: Target, file: LocalFile, options: PutOptions, concurrency: int, progress: Progress, note: UploadNote
) -> Stored:
    """Store a file in parts, going on with the upload that its place in the journal names."""
    with PartUploader(target, options, concurrency, progress, note) as uploader:
        uploader.add_all(split(file.body(), note.part_size))
        return _finish_unchanged(uploader, file)


def _finish_unchanged(uploader: PartUploader, file: LocalFile | None) -> Stored:
    if file is not None:
        uploader.wait_for_parts()
        file.refuse_changes()
    return uploader.finish()


def _upload_pieces(
    target: Target, pieces: Iterator[memoryview], options: PutOptions, config: TransferConfig | None, progress: Progress
) -> Stored:
    session = target.session
    if not takes_parts(session, options):
        return _upload_spooled(target, pieces, options, progress)
    cut = decide_cut(session, config)
    # Limits are asked for when there is more than one part is to hold, and may want another first part.
    begun, rest = take(pieces, first_part_size(session, cut))
    if rest is None:
        at_once = replace(config or TransferConfig(), threshold=len(begun) + 1)
        return upload_body(target, BytesBody(begun), options, at_once, progress)
    parts = growing(chain([begun], rest), growing_part_sizes(session, cut))
    del begun, rest
    with PartUploader(target, options, cut.concurrency, progress) as uploader:
        uploader.add_all(map(BytesBody, parts))
        return uploader.finish()


def _upload_spooled(target: Target, pieces: Iterator[memoryview], options: PutOptions, progress: Progress) -> Stored:
    with open_spool() as spool:
        for piece in pieces:
            spool.write(piece)
        return upload_body(target, SeekableBody(spool, 0, spool.tell()), options, None, progress)


class _CountedBody(Body):
    """A body that counts what is read of it, once, however often it is sent."""

    def __init__(self, body: Body, progress: Progress, at_end: Callable[[], None] | None) -> None:
        self._body = body
        self._progress = progress
        self._at_end = at_end
        self._counted = 0
        self.size = body.size

    def open(self) -> BinaryIO:
        self._progress.add(-self._counted)
        self._counted = 0
        return cast("BinaryIO", _CountingReader(self._body.open(), self._count))

    def _count(self, count: int) -> None:
        self._counted += count
        self._progress.add(count)
        if self._counted == self.size and self._at_end is not None:
            self._at_end()

    def feed(self, digest: Callable[[memoryview], object]) -> None:
        self._body.feed(digest)

    @property
    def md5(self) -> bytes:
        return self._body.md5

    @property
    def crc32(self) -> int:
        return self._body.crc32


class _CountingReader(io.RawIOBase):
    def __init__(self, stream: BinaryIO, count: Callable[[int], None]) -> None:
        self._stream = cast("Any", stream)
        self._count = count

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        before = self._stream.tell()
        position = int(self._stream.seek(offset, whence))
        # What is left out on the way forward has arrived before.
        self._count(position - before)
        return position

    def tell(self) -> int:
        return int(self._stream.tell())

    def readinto(self, buffer: Any) -> int:
        count = int(self._stream.readinto(buffer))
        if count:
            self._count(count)
        return count

    def read(self, size: int = -1) -> bytes:
        data = cast("bytes", self._stream.read(size))
        if data:
            self._count(len(data))
        return data

    def close(self) -> None:
        self._stream.close()
        super().close()


def download_file(
    target: Target,
    path: str | os.PathLike[str],
    config: TransferConfig | None = None,
    *,
    options: ReadOptions | None = None,
    overwrite: bool = True,
    directory: int | None = None,
    progress: Progress,
) -> ObjectInfo:
    """Make ``path`` the object's content, or leave it as it is.

    :param directory: descriptor of the directory that a relative ``path`` starts from.
    :raises LocalIOError: this machine's disk refused. :raises StoreError: the object could not be read whole.
    """
    options = options or ReadOptions()
    # A path below an open directory cannot be found again by its name, which may by then lead through a link.
    journal = resuming.find_journal(target.session) if directory is None else None
    with DownloadNote(journal, target, path, options, overwrite=overwrite) as note:
        try:
            with AtomicFile(path, directory=directory, overwrite=overwrite, adopt=note.adopt) as file:
                info = _fetch(target, file, config, options, progress, note)
                file.commit()
        except StoreError:
            raise
        except OSError as error:
            raise local_error(error, path) from error
    return info


def _fetch(
    target: Target,
    file: AtomicFile,
    config: TransferConfig | None,
    options: ReadOptions,
    progress: Progress,
    note: DownloadNote,
) -> ObjectInfo:
    if options.stop is not None and options.stop <= options.start:
        note.start_over(file)
        return target.head(options)
    cut = decide_cut(target.session, config)
    try:
        opened = ResumingStream(*target, options)
    except NotFoundError:
        note.start_over(file)
        raise
    with closing(opened) as stream:
        info, size = stream.info, stream.left
        progress.expect(size)
        if size <= cut.threshold or cut.concurrency == 1:
            note.start_over(file)
            _copy(stream, open_sink(file.fd, size), progress)
            return info
    # Pinned to what the first answer described.
    whole = replace(options, stop=options.start + size, if_match=info.etag, if_none_match=None)
    part_size, done = note.begin(file, info, size, cut.part_size)
    fetcher = _RangeFetcher(target, file.fd, info, whole, progress, note, done)
    fetcher.run(part_size, cut.concurrency, verify=not options.ranged)
    return info


def _copy(stream: ResumingStream, sink: Sink, progress: Progress) -> None:
    with sink:
        while count := stream.readinto(buffer := sink.buffer()):
            sink.write(buffer[:count])
            progress.add(count)


class _RangeFetcher:
    """Reads ranges of one version of an object in parallel into a file, and checks the whole.

    :param note: is told of every range that is there.
    :param done: the CRC-32 of the ranges, by start, that should be there already.
    """

    def __init__(
        self,
        target: Target,
        fd: int,
        info: ObjectInfo,
        whole: ReadOptions,
        progress: Progress,
        note: DownloadNote,
        done: Mapping[int, int],
    ) -> None:
        self._target = target
        self._fd = fd
        self._info = info
        self._whole = whole
        self._start = whole.start
        self._stop = info.size if whole.stop is None else whole.stop
        self._progress = progress
        self._note = note
        self._done = done
        self._lock = threading.Lock()

    def run(self, part_size: int, workers: int, *, verify: bool) -> None:
        """Fetch everything. :raises StoreError: a range is missing or wrong; the file is then worth nothing."""
        starts = range(self._start, self._stop, part_size)
        ranges = (replace(self._whole, start=at, stop=min(at + part_size, self._stop)) for at in starts)
        with closing(run_parallel(self._fetch_range, ranges, workers)) as results:
            checksums = dict(results)
        if verify:
            self._verify(checksums, part_size)

    def _fetch_range(self, options: ReadOptions) -> tuple[int, int]:
        # A descriptor of its own: after an interrupt the file's may be closed, and its number be another file's.
        fd = os.dup(self._fd)
        try:
            start, stop = options.start, options.stop or self._stop
            crc32 = self._done.get(start)
            if crc32 is not None and resuming.holds(fd, start - self._start, stop - start, crc32):
                self._progress.add(stop - start)
                return start, crc32
            crc32 = self._receive_range(fd, options)
            self._note.note_range(start, crc32)
            return start, crc32
        finally:
            os.close(fd)

    def _receive_range(self, fd: int, options: ReadOptions) -> int:
        digest = digests.Crc32()
        buffer = memoryview(bytearray(min(READ_SIZE, (options.stop or self._stop) - options.start)))
        position = options.start - self._start
        with closing(open_pinned(*self._target, options)) as stream:
            while count := stream.readinto(buffer):
                digest.update(buffer[:count])
                self._write_at(fd, buffer[:count], position)
                self._progress.add(count)
                position += count
        return digest.value

    def _write_at(self, fd: int, data: memoryview, position: int) -> None:
        rest = data
        while rest:
            if hasattr(os, "pwrite"):
                count = os.pwrite(fd, rest, position)
            else:
                with self._lock:
                    os.lseek(fd, position, os.SEEK_SET)
                    count = os.write(fd, rest)
            rest, position = rest[count:], position + count

    def _verify(self, checksums: dict[int, int], part_size: int) -> None:
        chosen = digests.choose(self._info.checksums)
        if chosen is None:
            return
        name, digest = chosen
        if isinstance(digest, digests.Crc32):
            for start in sorted(checksums):
                size = min(part_size, self._stop - start)
                digest.value = combine_crc32(digest.value, checksums[start], size)
        else:
            self._read_back(digest)
        try:
            digests.compare(name, digest.hexdigest(), self._info.checksums)
        except IntegrityError as error:
            session, bucket, key = self._target
            raise session.wrap(error, operation="get_object", bucket=bucket, key=key) from None

    def _read_back(self, digest: digests.Digest) -> None:
        buffer = memoryview(bytearray(READ_SIZE))
        with os.fdopen(os.dup(self._fd), "rb", buffering=0) as file:
            file.seek(0)
            while count := file.readinto(buffer):
                digest.update(buffer[:count])
