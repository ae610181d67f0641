"""Buckets: names, life, search, pages."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.errors import (
    BucketNotEmptyError,
    BucketNotFoundError,
    DuplicateResourceException,
    InvalidNameException,
    InvalidParamException,
    InvalidValueException,
    UnsupportedOperationError,
)
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.results import ResultList
from cloudbridge_store.testing.fixtures import StoreFixtures, drain, lacks, needs, offline_bucket
from cloudbridge_store.testing.harness import ProviderHarness

_BAD_NAMES = (
    "hello world",
    "helloWorld",
    "hello.world:how_goes_it",
    "-hello",
    "hello-",
    "hello_bucket",
    "a" * 64,
    "197.10.100.42",
    None,
    "cb",
    "",
    "1abc",
    "a.b.c",
    "../abc",
    "abc/def",
    "abc\n",
    "äbc",
    7,
    b"abc",
)


class BucketSuite(StoreFixtures):
    """``provider.storage.buckets`` and ``Bucket``."""

    @pytest.fixture
    def three(self, harness: ProviderHarness, provider: CloudProvider) -> Iterator[list[Bucket]]:
        """Three buckets."""
        buckets = [harness.make_bucket(provider) for _ in range(3)]
        yield buckets
        for each in buckets:
            harness.remove_bucket(each)

    def test_bucket_lives(self, harness: ProviderHarness, provider: CloudProvider) -> None:
        buckets = provider.storage.buckets
        bucket = harness.make_bucket(provider)
        assert isinstance(bucket, Bucket)
        found = buckets.get(bucket.id)
        assert found is not None
        assert (type(found), found.id, found.name, found) == (type(bucket), bucket.id, bucket.name, bucket)
        bucket.delete()
        assert buckets.get(bucket.id) is None
        assert bucket.id not in [each.id for each in buckets]

    def test_bucket_exists_until_it_is_deleted(self, bucket: Bucket) -> None:
        before = bucket.exists
        bucket.delete()
        assert (before, bucket.exists) == (True, False)

    def test_new_bucket_is_empty(self, bucket: Bucket) -> None:
        assert bucket.objects.list() == []
        assert list(bucket.objects) == []

    def test_bucket_name_can_be_used_again(self, harness: ProviderHarness, provider: CloudProvider) -> None:
        bucket = harness.make_bucket(provider)
        bucket.objects.create("left").upload(b"1")
        bucket.delete(delete_contents=True)
        again = provider.storage.buckets.create(name=bucket.name)
        assert list(again.objects) == []
        again.delete()

    @pytest.mark.parametrize("name", _BAD_NAMES, ids=repr)
    def test_bucket_name_is_refused_before_any_request(self, unreachable: CloudProvider, name: object) -> None:
        with pytest.raises(InvalidNameException):
            unreachable.storage.buckets.create(name)  # type: ignore[arg-type]

    @pytest.mark.parametrize("size", [3, 63])
    def test_bucket_name_of_least_and_most_length(self, provider: CloudProvider, size: int) -> None:
        for _ in range(100):
            name = "c" + "".join(random.choices(string.ascii_lowercase + string.digits, k=size - 1))
            try:
                bucket = provider.storage.buckets.create(name)
            except DuplicateResourceException:
                continue  # there are only so many short names, and some are taken
            assert provider.storage.buckets.get(name) == bucket
            bucket.delete()
            return
        pytest.fail(f"all of 100 names of {size} characters are taken")

    def test_duplicate_bucket_is_refused(self, provider: CloudProvider, bucket: Bucket) -> None:
        bucket.objects.create("kept").upload(b"1")
        with pytest.raises(DuplicateResourceException) as caught:
            provider.storage.buckets.create(name=bucket.name)
        assert isinstance(caught.value, FileExistsError)
        assert caught.value.bucket == bucket.name
        assert bucket.objects.create("kept").content() == b"1"

    def test_get_of_a_missing_bucket_is_none(self, harness: ProviderHarness, provider: CloudProvider) -> None:
        assert provider.storage.buckets.get(harness.bucket_name()) is None

    @pytest.mark.parametrize("name", ["", "a", "..", ".", "../x", "a/b", "A B", "ä", "a" * 300, "x\x00y"], ids=repr)
    def test_get_of_an_impossible_name_is_none(self, provider: CloudProvider, name: str) -> None:
        assert provider.storage.buckets.get(name) is None

    def test_get_does_not_take_a_prefix_for_a_name(self, provider: CloudProvider, bucket: Bucket) -> None:
        assert provider.storage.buckets.get(bucket.name[:-1]) is None

    def test_find_bucket_by_exact_name(self, provider: CloudProvider, bucket: Bucket) -> None:
        found = provider.storage.buckets.find(name=bucket.name)
        assert isinstance(found, ResultList)
        assert [each.id for each in found] == [bucket.id]
        assert provider.storage.buckets.find(name=bucket.name[:-1]) == []

    def test_find_bucket_by_pattern(self, provider: CloudProvider, three: list[Bucket]) -> None:
        buckets = provider.storage.buckets
        wanted = three[0].name
        assert [each.name for each in buckets.find(name=f"{wanted[:-1]}?")] == [wanted]
        assert {each.name for each in three} <= {each.name for each in buckets.find(name=f"{wanted[:4]}*")}
        assert buckets.find(name=f"?{wanted}") == []

    def test_find_bucket_refuses_other_keywords(self, unreachable: CloudProvider) -> None:
        for criteria in ({"notaparameter": "x"}, {"name": "x", "label": "x"}, {}):
            with pytest.raises(InvalidParamException):
                unreachable.storage.buckets.find(**criteria)

    def test_buckets_are_listed_once_and_in_order(self, provider: CloudProvider, three: list[Bucket]) -> None:
        names = [each.name for each in provider.storage.buckets.iter()]
        assert len(names) == len(set(names))
        assert {each.name for each in three} <= set(names)
        ours = [name for name in names if name in {each.name for each in three}]
        assert ours == sorted(ours)

    def test_buckets_are_paged(self, provider: CloudProvider, three: list[Bucket]) -> None:
        pages = list(drain(lambda marker: provider.storage.buckets.list(limit=2, marker=marker)))
        assert all(len(page) == 2 and page.is_truncated for page in pages[:-1])
        names = [each.name for page in pages for each in page]
        assert len(names) == len(set(names))
        assert {each.name for each in three} <= set(names)
        assert pages[-1].is_truncated is False

    def test_bucket_page_size_is_configured(self, harness: ProviderHarness, three: list[Bucket]) -> None:
        with harness.make_provider(default_result_limit=2) as provider:
            page = provider.storage.buckets.list()
            assert len(page) == 2
            assert page.marker is not None
            assert page.supports_server_paging is True
            with pytest.raises(NotImplementedError):
                _ = page.data

    @pytest.mark.parametrize("limit", [-1, 1.5, "2", True], ids=repr)
    def test_bucket_page_size_is_refused_before_any_request(self, unreachable: CloudProvider, limit: object) -> None:
        with pytest.raises(InvalidValueException):
            unreachable.storage.buckets.list(limit=limit)  # type: ignore[arg-type]

    def test_deleting_a_full_bucket_is_refused(self, provider: CloudProvider, bucket: Bucket) -> None:
        kept = bucket.objects.create("a/b").upload(b"1")
        with pytest.raises(BucketNotEmptyError):
            bucket.delete()
        with pytest.raises(BucketNotEmptyError):
            provider.storage.buckets.delete(bucket)
        assert kept.content() == b"1"

    def test_emptied_bucket_can_be_deleted(self, harness: ProviderHarness, provider: CloudProvider) -> None:
        bucket = harness.make_bucket(provider)
        for name in ("a/b/c", "a/d", "e"):
            bucket.objects.create(name).upload(b"1").delete()
        provider.storage.buckets.delete(bucket.name)
        assert bucket.exists is False

    def test_bucket_is_deleted_with_its_contents(self, harness: ProviderHarness, provider: CloudProvider) -> None:
        bucket = harness.make_bucket(provider)
        for number in range(5):
            bucket.objects.create(f"a/{number}").upload(b"1")
        bucket.delete(delete_contents=True)
        assert provider.storage.buckets.get(bucket.name) is None

    def test_deleting_a_missing_bucket(self, harness: ProviderHarness, provider: CloudProvider) -> None:
        bucket = harness.make_bucket(provider)
        bucket.delete()
        with pytest.raises(BucketNotFoundError):
            bucket.delete()
        with pytest.raises(BucketNotFoundError):
            bucket.delete(delete_contents=True)
        with pytest.raises(BucketNotFoundError):
            provider.storage.buckets.delete(bucket.name)

    def test_bucket_says_when_it_was_created(self, bucket: Bucket) -> None:
        assert bucket.created is None or bucket.created.utcoffset() is not None
        if bucket.created is not None:
            assert abs((datetime.now(UTC) - bucket.created).total_seconds()) < 3600

    @needs("locations")
    def test_bucket_is_created_in_a_location(self, harness: ProviderHarness, provider: CloudProvider) -> None:
        location = provider.storage.regions()[0]
        bucket = provider.storage.buckets.create(harness.bucket_name(), location=location)
        try:
            found = provider.storage.buckets.get(bucket.name)
            assert found is not None
            assert found.location == location
        finally:
            bucket.delete()

    @needs("usage")
    def test_bucket_says_how_much_it_holds(self, bucket: Bucket) -> None:
        assert bucket.info() == (0, 0, None, {})
        bucket.objects.create("a").upload(b"12345")
        bucket.objects.create("b").upload(b"678")
        assert bucket.info()[:2] == (2, 8)
        with pytest.raises(BucketNotFoundError):
            bucket.sibling(f"{bucket.name}-x").info()

    @needs("usage")
    def test_metadata_of_a_bucket_is_replaced(self, bucket: Bucket) -> None:
        bucket.set_metadata({"owner": "Zoë", "a_b": "1", "long": "x" * 600})
        assert bucket.info().metadata == {"owner": "Zoë", "a_b": "1", "long": "x" * 600}
        bucket.set_metadata({"a-b": "2"})
        assert bucket.info().metadata == {"a-b": "2"}
        bucket.set_metadata({})
        assert bucket.info().metadata == {}
        with pytest.raises(InvalidValueException):
            bucket.set_metadata({"Not a name": "1"})

    @needs("usage")
    def test_account_says_how_much_it_holds(self, provider: CloudProvider, bucket: Bucket) -> None:
        found = provider.storage.info()
        assert found.buckets is not None
        # Accounts are counted late by some services.
        assert min(found.buckets, found.objects, found.size) >= 0

    @lacks("usage")
    def test_usage_is_refused(self, unreachable: CloudProvider) -> None:
        bucket, storage = offline_bucket(unreachable), unreachable.storage
        for call in (bucket.info, storage.info, lambda: bucket.set_metadata({}), lambda: storage.set_metadata({})):
            with pytest.raises(UnsupportedOperationError):
                call()

    @lacks("locations")
    def test_location_is_refused(
        self, harness: ProviderHarness, provider: CloudProvider, unreachable: CloudProvider
    ) -> None:
        with pytest.raises(UnsupportedOperationError):
            unreachable.storage.buckets.create(harness.bucket_name(), location="somewhere")
        assert provider.storage.regions() == []
