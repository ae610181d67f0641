"""Reads: whole, in chunks, in ranges, to files; of one version of the object, whatever happens to it meanwhile."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.config import TransferConfig
from cloudbridge_store.errors import (
    InvalidRangeError,
    InvalidValueException,
    LocalIOError,
    NotFoundError,
    ObjectChangedError,
    ObjectNotFoundError,
)
from cloudbridge_store.objects import BucketObject
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.testing.fixtures import StoreFixtures, noise, offline_bucket
from cloudbridge_store.testing.harness import ProviderHarness

MiB = 2**20
_SMALL_RANGES = TransferConfig(threshold=1, part_size=30_000, max_concurrency=3)
_RANGES = ((0, 10), (0, 1), (9, 1), (3, 4), (9, 5), (0, 11), (5, 1_000_000_000), (0, 0), (4, 0))


class _WriteOnly:
    """The least that content can be saved to."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.pieces.append(data)


class ReadSuite(StoreFixtures):
    """``content``, ``iter_content``, ``save_content``, ``read_range`` and ``download_to_file``."""

    @pytest.fixture
    def large(self, bucket: Bucket) -> BucketObject:
        """An object of three default chunks less a little."""
        return bucket.objects.create("large.bin").upload(noise(3 * MiB - 7))

    def test_content(self, stored: BucketObject) -> None:
        assert stored.content() == b"0123456789"
        target = io.BytesIO()
        stored.save_content(target)
        assert target.getvalue() == b"0123456789"
        assert b"".join(stored.iter_content()) == b"0123456789"

    @pytest.mark.parametrize("chunk_size", [1, 1000, 65_536, 99_999, 100_000, 200_000])
    @pytest.mark.parametrize("kind", ["noise", "lines"])
    def test_chunks_have_the_size_asked_for(self, bucket: Bucket, chunk_size: int, kind: str) -> None:
        content = noise(100_000) if kind == "noise" else b"short\n\n" * 10_000
        content = content[: 100 * chunk_size]
        obj = bucket.objects.create("a").upload(content)
        chunks = list(obj.iter_content(chunk_size))
        assert b"".join(chunks) == content
        assert {len(chunk) for chunk in chunks[:-1]} <= {chunk_size}
        assert 0 < len(chunks[-1]) <= chunk_size

    def test_default_chunk_is_configured(self, harness: ProviderHarness, large: BucketObject) -> None:
        assert max(map(len, large.iter_content())) == MiB
        with harness.make_provider(iter_chunk_size=1_000_000) as other:
            found = other.storage.buckets.get(large.bucket.name)
            assert found is not None
            obj = found.objects.create(large.name)
            assert max(map(len, obj.iter_content())) == 1_000_000
            assert max(map(len, obj.iter_content(700_000))) == 700_000
            assert obj.content() == noise(3 * MiB - 7)

    def test_chunks_of_an_empty_object(self, bucket: Bucket) -> None:
        obj = bucket.objects.create("a").upload(b"")
        assert b"".join(obj.iter_content()) == b""
        assert obj.content() == b""
        assert (obj.read_range(0, 1), obj.read_range(0, 10)) == (b"", b"")
        target = io.BytesIO()
        obj.save_content(target)
        assert target.getvalue() == b""

    @pytest.mark.parametrize("chunk_size", [0, -1, 1.5, True, "1"], ids=repr)
    def test_chunk_size_is_refused_before_any_request(self, unreachable: CloudProvider, chunk_size: Any) -> None:
        obj = offline_bucket(unreachable).objects.create("a")
        with pytest.raises(InvalidValueException):
            obj.iter_content(chunk_size)
        with pytest.raises(InvalidValueException):
            obj.save_content(io.BytesIO(), chunk_size)

    def test_save_content_needs_only_write(self, stored: BucketObject) -> None:
        target = _WriteOnly()
        stored.save_content(target, chunk_size=3)
        assert target.pieces == [b"012", b"345", b"678", b"9"]

    def test_reading_can_be_given_up(self, large: BucketObject) -> None:
        chunks = large.iter_content(1000)
        assert next(chunks) == noise(3 * MiB - 7)[:1000]
        chunks.close()  # type: ignore[attr-defined]
        assert large.read_range(0, 10) == noise(3 * MiB - 7)[:10]

    @pytest.mark.parametrize(("offset", "length"), _RANGES)
    def test_ranges(self, stored: BucketObject, offset: int, length: int) -> None:
        assert stored.read_range(offset, length) == b"0123456789"[offset : offset + length]

    @pytest.mark.parametrize("offset", [10, 11, 10**12])
    def test_range_behind_the_end(self, stored: BucketObject, offset: int) -> None:
        with pytest.raises(InvalidRangeError) as caught:
            stored.read_range(offset, 1)
        assert isinstance(caught.value, ValueError)
        assert (caught.value.bucket, caught.value.key) == (stored.bucket.name, stored.name)

    def test_range_behind_the_end_of_an_empty_object(self, bucket: Bucket) -> None:
        obj = bucket.objects.create("a").upload(b"")
        with pytest.raises(InvalidRangeError):
            obj.read_range(1, 1)

    @pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, -1), (0.5, 1), ("0", 1), (True, 1)], ids=repr)
    def test_range_is_refused_before_any_request(self, unreachable: CloudProvider, offset: Any, length: Any) -> None:
        with pytest.raises(InvalidValueException):
            offline_bucket(unreachable).objects.create("a").read_range(offset, length)

    def test_reading_what_is_not_there(self, bucket: Bucket, tmp_path: Path) -> None:
        obj = bucket.objects.create("missing")
        reads = (
            obj.content,
            lambda: list(obj.iter_content()),
            lambda: obj.save_content(io.BytesIO()),
            lambda: obj.read_range(0, 1),
            lambda: obj.read_range(0, 0),
            lambda: obj.open("rb"),
            lambda: obj.download_to_file(tmp_path / "a"),
        )
        for read in reads:
            with pytest.raises(ObjectNotFoundError) as caught:
                read()
            assert isinstance(caught.value, FileNotFoundError)
        assert list(tmp_path.iterdir()) == []

    def test_object_replaced_while_it_is_read(self, large: BucketObject) -> None:
        old, new = noise(3 * MiB - 7), noise(3 * MiB - 7, seed=2)
        chunks = large.iter_content(100_000)
        received = next(chunks)
        large.bucket.objects.create(large.name).upload(new)
        try:
            received += b"".join(chunks)
        except ObjectChangedError:
            assert old.startswith(received)
        else:
            assert received == old
        assert large.content() == new

    def test_object_deleted_while_it_is_read(self, large: BucketObject) -> None:
        old = noise(3 * MiB - 7)
        chunks = large.iter_content(100_000)
        received = next(chunks)
        large.bucket.objects.create(large.name).delete()
        try:
            received += b"".join(chunks)
        except (ObjectChangedError, NotFoundError):
            assert old.startswith(received)
        else:
            assert received == old

    @pytest.mark.parametrize(
        "config", [None, _SMALL_RANGES, TransferConfig(max_concurrency=1)], ids=["one", "many", "1"]
    )
    @pytest.mark.parametrize("size", [0, 1, 30_000, 30_001, 100_003])
    def test_download(self, bucket: Bucket, tmp_path: Path, config: TransferConfig | None, size: int) -> None:
        obj = bucket.objects.create("a").upload(noise(size))
        path = tmp_path / "ä b"
        path.write_bytes(b"an old file" * 20_000)
        obj.download_to_file(path, config)
        assert path.read_bytes() == noise(size)
        assert [each.name for each in tmp_path.iterdir()] == [path.name]

    def test_downloaded_file_has_the_mode_of_any_new_file(self, stored: BucketObject, tmp_path: Path) -> None:
        (tmp_path / "ordinary").touch()
        stored.download_to_file(str(tmp_path / "downloaded"))
        assert (tmp_path / "downloaded").stat().st_mode == (tmp_path / "ordinary").stat().st_mode

    def test_download_of_a_range(self, bucket: Bucket, tmp_path: Path) -> None:
        content = noise(100_003)
        obj = bucket.objects.create("a").upload(content)
        path = tmp_path / "a"
        for offset, length in ((0, None), (5, None), (5, 70_000), (100_002, 50), (0, 1)):
            for config in (None, _SMALL_RANGES):
                obj.download_to_file(path, config, offset=offset, length=length)
                assert path.read_bytes() == content[offset : None if length is None else offset + length]
        with pytest.raises(InvalidRangeError):
            obj.download_to_file(path, offset=100_003)
        assert path.read_bytes() == content[:1]

    def test_download_does_not_overwrite_when_told_so(self, stored: BucketObject, tmp_path: Path) -> None:
        path = tmp_path / "a"
        stored.download_to_file(path, overwrite=False)
        stored.upload(b"changed")
        with pytest.raises(OSError, match=path.name):
            stored.download_to_file(path, overwrite=False)
        assert path.read_bytes() == b"0123456789"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("config", [None, _SMALL_RANGES], ids=["one", "many"])
    def test_failed_download_leaves_the_old_file_and_no_litter(
        self, bucket: Bucket, tmp_path: Path, config: TransferConfig | None
    ) -> None:
        obj = bucket.objects.create("a").upload(noise(100_003))
        path = tmp_path / "a"
        path.write_bytes(b"old")

        def fail(done: int, total: int | None) -> None:
            message = "no further"
            raise KeyboardInterrupt(message)

        with pytest.raises(KeyboardInterrupt, match="no further"):
            obj.download_to_file(path, config, progress=fail)
        with pytest.raises(NotFoundError):
            bucket.objects.create("missing").download_to_file(path, config)
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_object_replaced_while_it_is_downloaded(self, bucket: Bucket, tmp_path: Path) -> None:
        content = noise(100_003)
        obj = bucket.objects.create("a").upload(content)
        path = tmp_path / "a"
        path.write_bytes(b"old")

        def replace(done: int, total: int | None) -> None:
            bucket.objects.create("a").upload(noise(100_003, seed=2))

        config = TransferConfig(threshold=1, part_size=5_000, max_concurrency=2)
        try:
            obj.download_to_file(path, config, progress=replace)
        except ObjectChangedError:
            assert path.read_bytes() == b"old"
        else:
            assert path.read_bytes() == content
        assert list(tmp_path.iterdir()) == [path]

    def test_download_to_where_no_file_can_be(self, stored: BucketObject, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "directory").mkdir()
        for path in (tmp_path / "missing" / "a", tmp_path / "file" / "a", tmp_path / "directory"):
            with pytest.raises(LocalIOError) as caught:
                stored.download_to_file(path)
            assert caught.value.errno
        assert {each.name for each in tmp_path.iterdir()} == {"directory", "file"}

    def test_download_replaces_a_link_and_not_what_it_points_to(self, stored: BucketObject, tmp_path: Path) -> None:
        target, link = tmp_path / "target", tmp_path / "link"
        target.write_bytes(b"kept")
        link.symlink_to(target)
        stored.download_to_file(link)
        assert (target.read_bytes(), link.read_bytes()) == (b"kept", b"0123456789")
        assert link.is_symlink() is False

    @pytest.mark.parametrize("config", [None, _SMALL_RANGES], ids=["one", "many"])
    def test_download_tells_its_progress(self, bucket: Bucket, tmp_path: Path, config: TransferConfig | None) -> None:
        obj = bucket.objects.create("a").upload(noise(100_003))
        told: list[tuple[int, int | None]] = []
        obj.download_to_file(tmp_path / "a", config, progress=lambda done, total: told.append((done, total)))
        assert told[-1] == (100_003, 100_003)
        assert [done for done, _ in told] == sorted(done for done, _ in told)

    def test_encoded_object_is_read_as_it_is_stored(
        self, provider: CloudProvider, bucket: Bucket, tmp_path: Path
    ) -> None:
        compressed = gzip.compress(b"x" * 100_000)
        encoding = "gzip" if "content_encoding" in provider.capabilities.content_headers else None
        obj = bucket.objects.create("a").upload(compressed, content_encoding=encoding)
        obj.download_to_file(tmp_path / "a")
        assert obj.content() == compressed
        assert obj.read_range(2, 20) == compressed[2:22]
        assert (tmp_path / "a").read_bytes() == compressed
        assert obj.size == len(compressed)
