"""Many objects in one call."""

from __future__ import annotations

import io
from typing import Any

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.errors import BucketNotFoundError, InvalidLabelException, InvalidValueException
from cloudbridge_store.objects import BucketObject
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.testing.fixtures import StoreFixtures, offline_bucket


class BulkSuite(StoreFixtures):
    """``delete_many`` and ``upload_many``."""

    def test_delete_many(self, bucket: Bucket) -> None:
        bucket.objects.upload_many({f"a/{number}": b"" for number in range(7)})
        chosen: list[BucketObject | str] = ["a/0", bucket.objects.create("a/1"), "a/3", "missing", "a"]
        assert bucket.objects.delete_many(chosen) == 5
        assert [each.name for each in bucket.objects] == ["a/2", "a/4", "a/5", "a/6"]
        assert bucket.objects.delete_many(each for each in bucket.objects) == 4
        assert bucket.objects.list() == []

    def test_delete_many_of_nothing(self, bucket: Bucket, stored: BucketObject) -> None:
        assert bucket.objects.delete_many([]) == 0
        assert bucket.objects.delete_many(iter(())) == 0
        assert stored.exists() is True

    def test_delete_many_of_the_same(self, bucket: Bucket, stored: BucketObject) -> None:
        assert bucket.objects.delete_many([stored, stored.name, stored.name]) >= 1
        assert bucket.objects.list() == []

    def test_delete_many_in_several_batches(self, provider: CloudProvider, bucket: Bucket) -> None:
        # Keys of objects that are not there cost a batch as well as others, and no uploads.
        size = (provider.capabilities.batch_delete or 100) + 1
        bucket.objects.upload_many({"0": b"", f"{size - 1}": b"", "kept": b""})
        assert bucket.objects.delete_many(str(number) for number in range(size)) == size
        assert [each.name for each in bucket.objects] == ["kept"]

    def test_delete_many_in_a_missing_bucket(self, bucket: Bucket) -> None:
        with pytest.raises(BucketNotFoundError):
            bucket.sibling(f"{bucket.name}-x").objects.delete_many(["a", "b"])

    def test_upload_many(self, bucket: Bucket) -> None:
        data: dict[str, Any] = {"b": b"1", "a/ä": "text", "c": io.BytesIO(b"3"), "d": iter([b"4", b"5"])}
        made = bucket.objects.upload_many(data)
        assert [each.name for each in made] == ["a/ä", "b", "c", "d"]
        contents = {each.name: each.content() for each in bucket.objects}
        assert contents == {"a/ä": b"text", "b": b"1", "c": b"3", "d": b"45"}

    def test_upload_many_of_pairs_with_options(self, bucket: Bucket) -> None:
        pairs = ((f"{number}", b"x" * number) for number in range(20))
        made = bucket.objects.upload_many(pairs, max_workers=3, content_type="x/y")
        assert {int(each.name): each.size for each in made} == {number: number for number in range(20)}
        assert {each.content_type for each in made} == {"x/y"}
        assert bucket.objects.upload_many({}) == []

    def test_upload_many_reports_a_failure(self, bucket: Bucket) -> None:
        with pytest.raises(InvalidLabelException):
            bucket.objects.upload_many({"a": b"", "../b": b""})
        with pytest.raises(TypeError):
            bucket.objects.upload_many({"c": 1})  # type: ignore[arg-type]
        assert {each.name for each in bucket.objects} <= {"a"}

    def test_upload_many_to_a_missing_bucket(self, bucket: Bucket) -> None:
        with pytest.raises(BucketNotFoundError):
            bucket.sibling(f"{bucket.name}-x").objects.upload_many({"a": b"1"})

    @pytest.mark.parametrize("workers", [0, -1, 1.5, True, "1"], ids=repr)
    def test_workers_are_refused_before_any_request(self, unreachable: CloudProvider, workers: Any) -> None:
        with pytest.raises(InvalidValueException):
            offline_bucket(unreachable).objects.upload_many({"a": b""}, max_workers=workers)
