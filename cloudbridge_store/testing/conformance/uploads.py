"""Uploads: every kind of data, conditions, and what is left when one fails."""

from __future__ import annotations

import array
import io
import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.config import TransferConfig
from cloudbridge_store.core import progress
from cloudbridge_store.errors import (
    BucketNotFoundError,
    InvalidValueException,
    LocalIOError,
    PreconditionFailedError,
    SourceChangedError,
    StoreError,
    UnsupportedOperationError,
)
from cloudbridge_store.objects import BucketObject
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.testing.fixtures import StoreFixtures, lacks, needs, noise, offline_bucket

_CONTENT = noise(100_003)


class _OneWay(io.RawIOBase):
    """A stream like a socket's: cannot seek, and answers less than it is asked for."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._rest.read(min(len(buffer), 997))
        buffer[: len(piece)] = piece
        return len(piece)


class _ReadOnly:
    """The least that is a stream."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self._rest.read(min(size, 1000) if size >= 0 else -1)


class _Short(io.BytesIO):
    """A seekable stream that ends before the size it claims."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return super().seek(offset, whence) + (1000 if whence == io.SEEK_END else 0)


def _pieces() -> Iterator[bytes]:
    yield b""
    yield _CONTENT[:10]
    yield b""
    yield _CONTENT[10:]


def _mapped() -> mmap.mmap:
    mapped = mmap.mmap(-1, len(_CONTENT))
    mapped[:] = _CONTENT
    return mapped


_INPUTS: dict[str, Callable[[], Any]] = {
    "bytes": lambda: _CONTENT,
    "bytearray": lambda: bytearray(_CONTENT),
    "memoryview": lambda: memoryview(_CONTENT),
    "memoryview of a slice": lambda: memoryview(b"x" + _CONTENT + b"y")[1:-1],
    "memoryview of wider items": lambda: memoryview(array.array("B", _CONTENT)),
    "seekable stream": lambda: io.BytesIO(_CONTENT),
    "buffered stream": lambda: io.BufferedReader(io.BytesIO(_CONTENT)),
    "memory map": _mapped,
    "one-way stream": lambda: _OneWay(_CONTENT),
    "buffered one-way stream": lambda: io.BufferedReader(_OneWay(_CONTENT)),
    "object with read": lambda: _ReadOnly(_CONTENT),
    "generator": _pieces,
    "list": lambda: list(_pieces()),
    "generator of memoryviews": lambda: map(memoryview, _pieces()),
}

_EMPTY: dict[str, Callable[[], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "stream": io.BytesIO,
    "list": list,
    "iterator": lambda: iter(()),
    "one-way stream": lambda: _OneWay(b""),
}
_NO_DATA: dict[str, Any] = {
    "path": Path("a"),
    "number": 1,
    "none": None,
    "text stream": io.StringIO("x"),
    "list of text": ["text"],
    "list of numbers": [1],
    "object": object(),
}


def _broken_generator() -> Iterator[bytes]:
    yield _CONTENT
    message = "the source broke"
    raise RuntimeError(message)


class _BrokenStream(_OneWay):
    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        if not count:
            message = "the source broke"
            raise RuntimeError(message)
        return count


class UploadSuite(StoreFixtures):
    """``upload`` and ``upload_from_file``."""

    @pytest.mark.parametrize("kind", _INPUTS)
    def test_every_kind_of_data(self, bucket: Bucket, kind: str) -> None:
        obj = bucket.objects.create("a").upload(_INPUTS[kind]())
        assert obj.size == len(_CONTENT)
        assert bucket.objects.create("a").content() == _CONTENT

    @pytest.mark.parametrize("text", ["", "text", "line\r\nline\n", "Zürich 東京 🗃"])
    def test_text_is_stored_as_utf8(self, bucket: Bucket, text: str) -> None:
        bucket.objects.create("a").upload(text)
        assert bucket.objects.create("a").content() == text.encode()

    @pytest.mark.parametrize("kind", _EMPTY)
    def test_nothing_is_stored_as_an_empty_object(self, bucket: Bucket, kind: str) -> None:
        assert bucket.objects.create("a").upload(_EMPTY[kind]()).size == 0
        assert bucket.objects.create("a").content() == b""

    def test_stream_is_read_from_its_position(self, bucket: Bucket) -> None:
        stream = io.BytesIO(b"0123456789")
        stream.seek(4)
        bucket.objects.create("a").upload(stream)
        assert bucket.objects.create("a").content() == b"456789"
        assert stream.closed is False

    @pytest.mark.parametrize("kind", _NO_DATA)
    def test_what_is_no_data_is_refused(self, bucket: Bucket, kind: str) -> None:
        with pytest.raises(TypeError):
            bucket.objects.create("a").upload(_NO_DATA[kind])
        assert bucket.objects.list() == []

    def test_path_is_refused_with_advice(self, unreachable: CloudProvider) -> None:
        with pytest.raises(TypeError, match="upload_from_file"):
            offline_bucket(unreachable).objects.create("a").upload(Path("b"))  # type: ignore[arg-type]

    @pytest.mark.parametrize("size", [0, 1, 65_537])
    def test_file(self, bucket: Bucket, tmp_path: Path, size: int) -> None:
        path = tmp_path / "ä b.bin"
        path.write_bytes(noise(size))
        obj = bucket.objects.create("a").upload_from_file(path)
        assert bucket.objects.create("a").content() == noise(size)
        assert obj.upload_from_file(str(path), content_type="x/y").content_type == "x/y"

    def test_missing_file(self, bucket: Bucket, stored: BucketObject, tmp_path: Path) -> None:
        for path in (tmp_path / "missing", tmp_path):
            with pytest.raises(LocalIOError) as caught:
                stored.upload_from_file(path)
            assert isinstance(caught.value, OSError)
            assert caught.value.errno
        assert stored.content() == b"0123456789"

    def test_file_that_grows_meanwhile_is_not_stored(self, bucket: Bucket, tmp_path: Path) -> None:
        path = tmp_path / "growing"
        path.write_bytes(b"1" * 100)

        def grow(done: int, total: int | None) -> None:
            with path.open("ab") as file:
                file.write(b"2")

        with pytest.raises(SourceChangedError):
            bucket.objects.create("a").upload_from_file(path, progress=grow)
        assert bucket.objects.list() == []

    @pytest.mark.parametrize(
        "source", [_broken_generator, lambda: _BrokenStream(_CONTENT)], ids=["generator", "stream"]
    )
    def test_broken_source_stores_nothing(
        self, bucket: Bucket, stored: BucketObject, source: Callable[[], Any]
    ) -> None:
        for obj in (bucket.objects.create("new"), stored):
            with pytest.raises(RuntimeError, match="the source broke"):
                obj.upload(source())
        assert [each.name for each in bucket.objects] == [stored.name]
        assert stored.content() == b"0123456789"

    def test_source_that_ends_early_stores_nothing(self, bucket: Bucket, stored: BucketObject) -> None:
        for obj in (bucket.objects.create("new"), stored):
            with pytest.raises(StoreError):
                obj.upload(_Short(_CONTENT))
        assert [each.name for each in bucket.objects] == [stored.name]
        assert stored.content() == b"0123456789"

    def test_upload_to_a_missing_bucket(self, bucket: Bucket) -> None:
        with pytest.raises(BucketNotFoundError):
            bucket.sibling(f"{bucket.name}-x").objects.create("a").upload(b"1")

    @needs("conditional_put", "if_none_match")
    def test_create_only(self, bucket: Bucket) -> None:
        obj = bucket.objects.create("a")
        obj.upload(b"first", if_none_match="*")
        with pytest.raises(PreconditionFailedError) as caught:
            obj.upload(b"second", if_none_match="*", content_type="x/y")
        assert (caught.value.bucket, caught.value.key, caught.value.attempts) == (bucket.name, "a", 1)
        assert bucket.objects.create("a").content() == b"first"
        obj.delete()
        obj.upload(b"third", if_none_match="*")
        assert bucket.objects.create("a").content() == b"third"

    @needs("conditional_put", "if_match")
    def test_replace_only_what_was_seen(self, bucket: Bucket) -> None:
        obj = bucket.objects.create("a").upload(b"first")
        seen = obj.etag
        obj.upload(b"second", if_match=seen)
        with pytest.raises(PreconditionFailedError):
            obj.upload(b"third", if_match=seen)
        assert bucket.objects.create("a").content() == b"second"
        with pytest.raises(PreconditionFailedError):
            bucket.objects.create("missing").upload(b"", if_match=seen)
        assert bucket.objects.get("missing") is None

    @lacks("conditional_put", "if_none_match")
    def test_create_only_is_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(UnsupportedOperationError):
            offline_bucket(unreachable).objects.create("a").upload(b"", if_none_match="*")

    @lacks("conditional_put", "if_match")
    def test_replace_only_what_was_seen_is_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(UnsupportedOperationError):
            offline_bucket(unreachable).objects.create("a").upload(b"", if_match="etag")

    @needs("conditional_put", "if_none_match")
    def test_create_only_takes_nothing_but_a_star(self, unreachable: CloudProvider) -> None:
        obj = offline_bucket(unreachable).objects.create("a")
        with pytest.raises(InvalidValueException):
            obj.upload(b"", if_none_match="etag")  # type: ignore[arg-type]

    @needs("conditional_put", "if_match")
    @needs("conditional_put", "if_none_match")
    def test_both_conditions_together_are_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(InvalidValueException):
            offline_bucket(unreachable).objects.create("a").upload(b"", if_match="etag", if_none_match="*")

    def test_progress_is_told_all_bytes(self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(progress, "INTERVAL", 0.0)
        told: list[tuple[int, int | None]] = []
        bucket.objects.create("a").upload(_CONTENT, progress=lambda done, total: told.append((done, total)))
        assert told[-1] == (len(_CONTENT), len(_CONTENT))
        # Reading it for a digest, or to sign it, is no progress.
        assert [done for done, _ in told] == sorted(done for done, _ in told)

    def test_progress_without_a_known_size(self, bucket: Bucket) -> None:
        told: list[tuple[int, int | None]] = []
        bucket.objects.create("a").upload(_pieces(), progress=lambda done, total: told.append((done, total)))
        assert told[-1] == (len(_CONTENT), None)

    def test_progress_that_is_no_callable_is_refused(self, bucket: Bucket) -> None:
        with pytest.raises(InvalidValueException):
            bucket.objects.create("a").upload(b"", progress="yes")  # type: ignore[arg-type]
        assert bucket.objects.list() == []

    @needs("multipart")
    @pytest.mark.parametrize("kind", ["bytes", "generator", "file"])
    def test_large_upload_is_cut_and_put_together(
        self, provider: CloudProvider, bucket: Bucket, tmp_path: Path, kind: str
    ) -> None:
        size = max(provider.session.upload_limits().min_part, 10_000)
        content = noise(size + 1000, seed=1)
        config = TransferConfig(threshold=size, part_size=size, max_concurrency=2)
        obj = bucket.objects.create("a.txt")
        if kind == "file":
            (tmp_path / "a").write_bytes(content)
            obj.upload_from_file(tmp_path / "a", config)
        else:
            obj.upload(content if kind == "bytes" else iter([content[:7], content[7:]]), config)
        assert (obj.size, obj.content_type) == (len(content), "text/plain")
        assert obj.content() == content

    @needs("multipart")
    def test_broken_large_upload_leaves_nothing(self, provider: CloudProvider, bucket: Bucket) -> None:
        size = max(provider.session.upload_limits().min_part, 10_000)
        obj = bucket.objects.create("a").upload(b"old")

        def broken() -> Iterator[bytes]:
            yield noise(size)
            yield b"more"
            yield from _broken_generator()

        with pytest.raises(RuntimeError, match="the source broke"):
            obj.upload(broken(), TransferConfig(threshold=size, part_size=size, max_concurrency=2))
        assert obj.content() == b"old"
        if provider.capabilities.list_uploads:
            assert list(bucket.list_uploads()) == []

    @needs("multipart")
    def test_part_size_that_the_service_refuses(self, provider: CloudProvider, bucket: Bucket) -> None:
        limits = provider.session.upload_limits()
        wrong = limits.max_part + 1
        config = TransferConfig(threshold=1, part_size=wrong)
        with pytest.raises(InvalidValueException):
            bucket.objects.create("a").upload(_CONTENT, config)
        if limits.min_part > 1:
            with pytest.raises(InvalidValueException):
                bucket.objects.create("a").upload(_CONTENT, TransferConfig(threshold=1, part_size=1))
        assert bucket.objects.list() == []

    @pytest.mark.parametrize("field", ["threshold", "part_size", "max_concurrency"])
    @pytest.mark.parametrize("value", [0, -1, 1.5, True], ids=repr)
    def test_transfer_config_is_checked(self, field: str, value: Any) -> None:
        with pytest.raises(InvalidValueException):
            TransferConfig(**{field: value})
