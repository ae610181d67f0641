"""Objects as files: seekable reading of one version, and writing that commits or leaves everything as it was."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import Any

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.errors import (
    InvalidValueException,
    ObjectChangedError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from cloudbridge_store.objects import BucketObject
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.testing.fixtures import StoreFixtures, needs, noise, offline_bucket
from cloudbridge_store.testing.harness import ProviderHarness

_SIZE = 300_000
_SEEKS = ((0, 0), (10, 0), (-10, 1), (100_000, 0), (5, 1), (-1, 2), (0, 2), (50, 2), (-_SIZE, 2), (299_999, 0))


class FileSuite(StoreFixtures):
    """``BucketObject.open``."""

    @pytest.fixture
    def longer(self, bucket: Bucket) -> BucketObject:
        """An object of more than a buffer."""
        return bucket.objects.create("longer").upload(noise(_SIZE))

    def test_reading_like_any_file(self, longer: BucketObject) -> None:
        content = noise(_SIZE)
        with longer.open("rb") as file:
            assert (file.readable(), file.seekable(), file.writable(), file.tell()) == (True, True, False, 0)
            assert file.read(7) == content[:7]
            assert file.read() == content[7:]
            assert (file.read(), file.read(1)) == (b"", b"")
        assert file.closed is True
        with pytest.raises(ValueError, match="closed"):
            file.read()

    @pytest.mark.parametrize("buffer_size", [1, 1000, 1_000_000])
    def test_seeking(self, longer: BucketObject, buffer_size: int) -> None:
        model = io.BytesIO(noise(_SIZE))
        with longer.open("rb", buffer_size=buffer_size) as file:
            for offset, whence in _SEEKS:
                assert file.seek(offset, whence) == model.seek(offset, whence), (offset, whence)
                assert file.read(100) == model.read(100), (offset, whence)
                assert file.tell() == model.tell()
            with pytest.raises((ValueError, OSError)):
                file.seek(-1)

    def test_reading_in_place(self, longer: BucketObject) -> None:
        buffer = bytearray(1000)
        with longer.open("rb") as file:
            file.seek(_SIZE - 300)
            assert file.readinto(buffer) == 300  # type: ignore[attr-defined]
        assert buffer[:300] == noise(_SIZE)[-300:]

    def test_reading_an_empty_object(self, bucket: Bucket) -> None:
        with bucket.objects.create("a").upload(b"").open("rb") as file:
            assert (file.read(), file.seek(0, io.SEEK_END), file.seek(5), file.read(3)) == (b"", 0, 5, b"")

    def test_reading_text(self, bucket: Bucket) -> None:
        text = "Zürich\r\n東京\n🗃"
        obj = bucket.objects.create("a.csv").upload(text)
        with obj.open("r") as file:
            assert file.read() == "Zürich\n東京\n🗃"
        with obj.open("r", newline="") as file:
            assert list(file) == ["Zürich\r\n", "東京\n", "🗃"]
        obj.upload("é;1\n".encode("latin-1"))
        with obj.open("r", encoding="latin-1") as file:
            assert list(csv.reader(file, delimiter=";")) == [["é", "1"]]

    def test_reading_an_archive(self, bucket: Bucket) -> None:
        obj = bucket.objects.create("a.zip")
        with obj.open("wb") as file, zipfile.ZipFile(file, "w") as archive:
            archive.writestr("first", noise(50_000))
            archive.writestr("second", b"2")
        with obj.open("rb") as file, zipfile.ZipFile(file) as archive:
            assert archive.testzip() is None
            assert (archive.read("second"), archive.read("first")) == (b"2", noise(50_000))

    def test_reading_is_pinned_to_one_version(self, longer: BucketObject) -> None:
        old = noise(_SIZE)
        with longer.open("rb", buffer_size=100) as file:
            assert file.read(100) == old[:100]
            longer.bucket.objects.create(longer.name).upload(noise(_SIZE, seed=2))
            file.seek(200_000)
            try:
                received = file.read(1000)
            except ObjectChangedError:
                received = old[200_000:201_000]
            assert received == old[200_000:201_000]
        with longer.open("rb") as file:
            assert file.read(10) == noise(_SIZE, seed=2)[:10]

    def test_reading_what_is_deleted_meanwhile(self, longer: BucketObject) -> None:
        old = noise(_SIZE)
        with longer.open("rb", buffer_size=100) as file:
            assert file.read(100) == old[:100]
            longer.bucket.objects.create(longer.name).delete()
            file.seek(200_000)
            try:
                received = file.read(1000)
            except (ObjectChangedError, ObjectNotFoundError):
                received = old[200_000:201_000]
            assert received == old[200_000:201_000]

    def test_opening_what_is_not_there(self, bucket: Bucket) -> None:
        for mode in ("rb", "r"):
            with pytest.raises(ObjectNotFoundError):
                bucket.objects.create("missing").open(mode)

    @pytest.mark.parametrize("mode", ["", "x", "a", "ab", "r+", "rb+", "rw", "w+b", "U", None])
    def test_mode_is_refused_before_any_request(self, unreachable: CloudProvider, mode: Any) -> None:
        with pytest.raises(InvalidValueException):
            offline_bucket(unreachable).objects.create("a").open(mode)

    def test_writing_commits_on_a_clean_exit(self, bucket: Bucket) -> None:
        obj = bucket.objects.create("a.txt").upload(b"old")
        with obj.open("wb", content_type="x/y") as file:
            assert (file.writable(), file.readable()) == (True, False)
            assert file.write(b"01234") == 5
            assert file.write(memoryview(b"56")) == 2
            assert file.tell() == 7
            assert bucket.objects.create("a.txt").content() == b"old"
        found = bucket.objects.create("a.txt")
        assert (found.content(), found.content_type, obj.size) == (b"0123456", "x/y", 7)
        with pytest.raises(ValueError, match="closed"):
            file.write(b"more")

    def test_writing_nothing_stores_an_empty_object(self, bucket: Bucket) -> None:
        with bucket.objects.create("a").open("wb"):
            pass
        assert bucket.objects.create("a").size == 0

    def test_writing_text(self, bucket: Bucket) -> None:
        with bucket.objects.create("a.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["Zürich", "東京"], ["1", "2"]])
        assert bucket.objects.create("a.csv").content() == "Zürich,東京\r\n1,2\r\n".encode()
        with bucket.objects.create("a.txt").open("w", encoding="latin-1") as file:
            file.write("é")
        assert bucket.objects.create("a.txt").content() == b"\xe9"

    @pytest.mark.parametrize("mode", ["wb", "w"])
    def test_writing_aborts_on_an_exception(self, bucket: Bucket, stored: BucketObject, mode: Any) -> None:
        for obj in (bucket.objects.create("new"), stored):
            with pytest.raises(RuntimeError, match="stop"), obj.open(mode) as file:
                file.write(b"half" if mode == "wb" else "half")
                message = "stop"
                raise RuntimeError(message)
            assert file.closed is True
        assert [each.name for each in bucket.objects] == [stored.name]
        assert stored.content() == b"0123456789"

    def test_writer_that_is_forgotten_stores_nothing(self, bucket: Bucket) -> None:
        file = bucket.objects.create("a").open("wb")
        file.write(b"half")
        del file
        assert bucket.objects.list() == []

    @needs("conditional_put", "if_none_match")
    def test_writing_under_a_condition(self, bucket: Bucket) -> None:
        obj = bucket.objects.create("a").upload(b"first")
        file = obj.open("wb", if_none_match="*")
        file.write(b"second")
        with pytest.raises(PreconditionFailedError):
            file.close()
        assert bucket.objects.create("a").content() == b"first"

    @needs("multipart")
    def test_writing_in_parts(self, harness: ProviderHarness, provider: CloudProvider, bucket: Bucket) -> None:
        size = max(provider.session.upload_limits().min_part, 10_000)
        content = noise(2 * size + 100, seed=3)
        with harness.make_provider(multipart_part_size=size, multipart_max_concurrency=2) as other:
            obj = other.storage.buckets.get(bucket.name).objects.create("a")  # type: ignore[union-attr]
            with obj.open("wb") as file:
                for start in range(0, len(content), 7777):
                    file.write(content[start : start + 7777])
            assert obj.content() == content
            with pytest.raises(RuntimeError, match="stop"), obj.open("wb") as file:
                file.write(noise(2 * size))
                message = "stop"
                raise RuntimeError(message)
            assert obj.content() == content
            if provider.capabilities.list_uploads:
                assert list(bucket.list_uploads()) == []
