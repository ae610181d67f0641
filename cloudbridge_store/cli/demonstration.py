"""The main job from end to end, each step measured and checked against the files it began with."""

from __future__ import annotations

import filecmp
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from cloudbridge_store import Bucket, BucketObject, CloudProvider
from cloudbridge_store.cli.copying import Item, Report, copy_items
from cloudbridge_store.cli.errors import VerificationError
from cloudbridge_store.cli.progress import Meter
from cloudbridge_store.cli.samples import Sample, Samples
from cloudbridge_store.errors import PreconditionFailedError

PREFIX = "files/"
_NOTE = "notes/created-once.txt"
_METADATA = {"project": "demonstration", "note": "kept with the object: Grüße, 你好"}
_WINDOW = 1000
_JOBS = 8
_URL_SECONDS = 600
_HTTP_TIMEOUT = 10
_FORBIDDEN = 403


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did."""

    name: str
    count: int
    bytes: int
    seconds: float
    remark: str = ""


@dataclass(frozen=True, slots=True)
class _Done:
    count: int
    bytes: int = 0
    remark: str = ""


class Demonstration:
    """Runs the steps on two new buckets of a provider.

    :param restored: a directory that does not exist yet, for the files that come back.
    :param shown: show progress bars.
    """

    def __init__(self, provider: CloudProvider, samples: Samples, restored: Path, *, shown: bool) -> None:
        self._provider = provider
        self._samples = samples
        self._restored = restored
        self._shown = shown
        buckets = provider.storage.buckets
        self._first = buckets.create("demonstration")
        self._second = buckets.create("demonstration-copy")

    def run(self) -> Iterator[Step]:
        """Yield each step when it is done. :raises VerificationError: something is not as it was stored."""
        steps: tuple[tuple[str, Callable[[], _Done]], ...] = (
            ("upload, in parallel", self._upload),
            ("list by prefix", self._list),
            ("list one level", self._list_level),
            ("find by pattern", self._find),
            ("read a range", self._read_range),
            ("create once", self._create_once),
            ("metadata", self._read_metadata),
            ("signed URL over HTTP", self._fetch_url),
            ("copy to a second bucket", self._copy),
            ("restore", self._restore),
            ("verify byte for byte", self._verify),
            ("delete", self._delete),
        )
        for name, function in steps:
            started = time.perf_counter()
            done = function()
            yield Step(name, done.count, done.bytes, time.perf_counter() - started, done.remark)

    def _upload(self) -> _Done:
        report = self._each("upload", self._upload_one)
        _expect(report.bytes == self._samples.bytes, "the number of bytes uploaded is not that of the files")
        return _Done(report.transferred, report.bytes)

    def _upload_one(self, sample: Sample, meter: Meter) -> None:
        obj = self._first.objects.create(PREFIX + sample.relative)
        obj.upload_from_file(sample.path, progress=meter.follow())

    def _each(self, title: str, function: Callable[[Sample, Meter], None]) -> Report:
        def item(sample: Sample) -> Item:
            def copy(meter: Meter) -> int:
                function(sample, meter)
                return sample.size

            return Item(sample.relative, sample.relative, sample.size, copy)

        with Meter(title, shown=self._shown) as meter:
            report = copy_items(map(item, self._samples.files), _JOBS, meter)
        for name, error in report.failures.items():
            message = f"{title} of {name}: {error}"
            raise VerificationError(message) from error
        return report

    def _list(self) -> _Done:
        listed = {obj.name: obj.size for obj in self._first.objects.iter(prefix=PREFIX)}
        expected = {PREFIX + each.relative: each.size for each in self._samples.files}
        _expect(listed == expected, "the listing is not what was uploaded")
        return _Done(len(listed), sum(listed.values()))

    def _list_level(self) -> _Done:
        found: set[str] = set()
        marker = None
        while True:
            page = self._first.objects.list(limit=1000, prefix=PREFIX, delimiter="/", marker=marker)
            found.update(page.prefixes, (obj.name for obj in page))
            marker = page.marker
            if marker is None:
                break
        paths = (each.relative.partition("/") for each in self._samples.files)
        expected = {f"{PREFIX}{head}{slash}" for head, slash, _ in paths}
        _expect(found == expected, "one level of the listing is not what was uploaded")
        directories = sum(name.endswith("/") for name in found)
        return _Done(len(found), remark=f"{directories} directories, {len(found) - directories} files")

    def _find(self) -> _Done:
        name, times = Counter(each.path.name for each in self._samples.files).most_common(1)[0]
        pattern = f"{PREFIX}*/{name}" if times > 1 else f"{PREFIX}*{self._samples.largest.path.suffix}"
        found = {obj.name for obj in self._first.objects.find(name=pattern)}
        names = (PREFIX + each.relative for each in self._samples.files)
        literal = pattern.replace("[", "[[]")
        _expect(found == {name for name in names if fnmatchcase(name, literal)}, f"find({pattern!r}) is not complete")
        return _Done(len(found), remark=pattern)

    def _read_range(self) -> _Done:
        largest = self._samples.largest
        offset = largest.size // 2
        data = self._object(largest).read_range(offset, _WINDOW)
        with largest.path.open("rb") as file:
            file.seek(offset)
            _expect(data == file.read(_WINDOW), "the range is not that of the file")
        return _Done(1, len(data), f"from byte {offset} of {largest.relative}")

    def _object(self, sample: Sample) -> BucketObject:
        return self._first.objects.create(PREFIX + sample.relative)

    def _create_once(self) -> _Done:
        note = self._first.objects.create(_NOTE)
        note.upload("first", metadata=_METADATA, if_none_match="*")
        try:
            note.upload("second", if_none_match="*")
        except PreconditionFailedError:
            _expect(note.content() == b"first", "the refused second creation has changed the object")
            return _Done(2, remark="the second was refused")
        message = "a second creation replaced the first"
        raise VerificationError(message)

    def _read_metadata(self) -> _Done:
        note = self._first.objects.get(_NOTE)
        _expect(note is not None and note.metadata == _METADATA, "the metadata is not what was stored")
        return _Done(len(_METADATA), remark=", ".join(_METADATA))

    def _fetch_url(self) -> _Done:
        largest = self._samples.largest
        url = self._object(largest).generate_url(expires_in=_URL_SECONDS)
        with urlopen(url, timeout=_HTTP_TIMEOUT) as answer:  # noqa: S310 - a URL of our own making
            data = answer.read()
        _expect(data == largest.path.read_bytes(), "what the signed URL answers is not the file")
        last = "1" if url[-1] == "0" else "0"
        _expect(_status(url[:-1] + last) == _FORBIDDEN, "a tampered URL was answered")
        return _Done(1, len(data), "and a tampered one was refused")

    def _copy(self) -> _Done:
        report = self._each("copy", self._copy_one)
        copied = sum(1 for _ in self._second.objects.iter(prefix=PREFIX))
        _expect(copied == len(self._samples.files), "the second bucket does not hold all copies")
        return _Done(copied, report.bytes)

    def _copy_one(self, sample: Sample, meter: Meter) -> None:
        self._object(sample).copy_to(self._second)
        meter.add(sample.size)

    def _restore(self) -> _Done:
        with Meter("restore", shown=self._shown) as meter:
            report = self._second.download_directory(self._restored, PREFIX, progress=meter.follow_all())
        return _Done(report.transferred, report.bytes)

    def _verify(self) -> _Done:
        for sample in self._samples.files:
            same = filecmp.cmp(sample.path, self._restored / sample.relative, shallow=False)
            _expect(same, f"{sample.relative} did not come back as it was")
        restored = sum(1 for path in self._restored.rglob("*") if path.is_file())
        _expect(restored == len(self._samples.files), "something was restored that was not stored")
        return _Done(restored, self._samples.bytes, "all the same")

    def _delete(self) -> _Done:
        count = 0
        for bucket in (self._first, self._second):
            count += bucket.objects.delete_many(bucket.objects)
            bucket.delete()
            _expect(not _exists(bucket), f"bucket {bucket.name} is still there")
        return _Done(count, remark="and both buckets")


def _exists(bucket: Bucket) -> bool:
    return bucket.exists


def _status(url: str) -> int:
    try:
        with urlopen(url, timeout=_HTTP_TIMEOUT) as answer:  # noqa: S310 - a URL of our own making
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def _expect(condition: bool, message: str) -> None:
    if not condition:
        raise VerificationError(message)
