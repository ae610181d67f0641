"""Copies within the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.errors import (
    BucketNotFoundError,
    InvalidValueException,
    NotFoundError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StoreError,
    UnsupportedOperationError,
)
from cloudbridge_store.objects import BucketObject
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.testing.fixtures import StoreFixtures, lacks, needs, offline_bucket
from cloudbridge_store.testing.harness import ProviderHarness


class CopyingSuite(StoreFixtures):
    """``BucketObject.copy_to``."""

    @pytest.fixture
    def other(self, harness: ProviderHarness, provider: CloudProvider) -> Iterator[Bucket]:
        """A second bucket."""
        bucket = harness.make_bucket(provider)
        yield bucket
        harness.remove_bucket(bucket)

    @needs("copy")
    def test_copy_within_a_bucket(self, bucket: Bucket, stored: BucketObject) -> None:
        copy = stored.copy_to(bucket, "copies/ä b?.txt")
        assert (copy.name, copy.bucket, copy.content(), copy.size) == ("copies/ä b?.txt", bucket, b"0123456789", 10)
        assert stored.content() == b"0123456789"
        copy.upload(b"changed")
        assert bucket.objects.create(stored.name).content() == b"0123456789"

    @needs("copy")
    def test_copy_to_another_bucket(self, stored: BucketObject, other: Bucket) -> None:
        assert stored.copy_to(other) == other.objects.get(stored.name)
        assert stored.copy_to(other.name, "second").content() == b"0123456789"
        assert [each.name for each in other.objects] == [stored.name, "second"]

    @needs("copy")
    def test_copy_replaces(self, bucket: Bucket, stored: BucketObject) -> None:
        bucket.objects.create("a").upload(b"a longer old content")
        assert stored.copy_to(bucket, "a").content() == b"0123456789"

    @needs("copy")
    def test_description_comes_along(self, provider: CloudProvider, bucket: Bucket) -> None:
        able = provider.capabilities
        obj = bucket.objects.create("a.txt")
        obj.upload(
            b"1",
            content_type="x/y",
            cache_control="no-store" if "cache_control" in able.content_headers else None,
            metadata={"a": "ü"} if able.user_metadata else None,
            tags={"k": "v"} if able.tags else None,
        )
        copy = obj.copy_to(bucket, "b.json")
        assert (copy.content_type, copy.metadata, copy.headers) == ("x/y", obj.metadata, obj.headers)
        if able.tags:
            assert copy.get_tags() == {"k": "v"}

    @needs("copy")
    def test_options_alone_describe_the_copy(self, provider: CloudProvider, bucket: Bucket) -> None:
        able = provider.capabilities
        metadata = {"a": "1"} if able.user_metadata else None
        tags = {"k": "v"} if able.tags else None
        obj = bucket.objects.create("a.txt").upload(b"1", content_type="x/y", metadata=metadata, tags=tags)
        copy = obj.copy_to(bucket, "b", content_type="x/z")
        assert (copy.content(), copy.content_type, copy.metadata, copy.headers) == (b"1", "x/z", {}, {})
        if able.tags:
            assert copy.get_tags() == {}

    @needs("copy")
    def test_copy_onto_itself_describes_it_anew(self, bucket: Bucket, stored: BucketObject) -> None:
        stored.copy_to(bucket, content_type="x/z")
        found = bucket.objects.create(stored.name)
        assert (found.content(), found.content_type) == (b"0123456789", "x/z")

    @needs("copy")
    def test_copy_of_an_empty_object(self, bucket: Bucket) -> None:
        assert bucket.objects.create("a").upload(b"").copy_to(bucket, "b").content() == b""

    @needs("copy")
    def test_copy_of_what_is_not_there(self, bucket: Bucket) -> None:
        with pytest.raises(ObjectNotFoundError):
            bucket.objects.create("missing").copy_to(bucket, "a")
        assert bucket.objects.list() == []

    @needs("copy")
    def test_copy_from_and_to_missing_buckets(self, bucket: Bucket, stored: BucketObject) -> None:
        missing = bucket.sibling(f"{bucket.name}-x")
        with pytest.raises(BucketNotFoundError):
            stored.copy_to(missing)
        with pytest.raises(NotFoundError):
            missing.objects.create("a").copy_to(bucket)

    @needs("copy")
    @needs("conditional_copy")
    @needs("conditional_put", "if_none_match")
    def test_copy_under_a_condition(self, bucket: Bucket, stored: BucketObject) -> None:
        stored.copy_to(bucket, "a", if_none_match="*")
        bucket.objects.create("other").upload(b"other")
        with pytest.raises(PreconditionFailedError):
            bucket.objects.create("other").copy_to(bucket, "a", if_none_match="*")
        assert bucket.objects.create("a").content() == b"0123456789"

    @needs("copy")
    @lacks("conditional_copy")
    @needs("conditional_put", "if_none_match")
    def test_condition_of_a_copy_is_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(UnsupportedOperationError):
            offline_bucket(unreachable).objects.create("a").copy_to("cbs-test-offline", "b", if_none_match="*")

    @lacks("copy")
    def test_copy_is_refused(self, unreachable: CloudProvider) -> None:
        bucket = offline_bucket(unreachable)
        for target in (bucket, bucket.name):
            with pytest.raises(UnsupportedOperationError):
                bucket.objects.create("a").copy_to(target, "b")

    @needs("copy_url")
    @needs("sign", "GET")
    def test_copy_from_a_url(self, harness: ProviderHarness, stored: BucketObject, other: Bucket) -> None:
        obj = other.objects.create("dir/ä b?.bin")
        copied = obj.copy_from_url(harness.source_url(stored), content_type="x/y", metadata={"a": "1"})
        assert (copied.content(), copied.content_type, copied.metadata) == (b"0123456789", "x/y", {"a": "1"})
        # Nothing that described the source comes along.
        plain = other.objects.create("plain.json").copy_from_url(harness.source_url(copied))
        assert (plain.content(), plain.content_type, plain.metadata) == (b"0123456789", "application/json", {})

    @needs("copy_url")
    @needs("sign", "GET")
    def test_copy_from_a_url_that_leads_nowhere(
        self, harness: ProviderHarness, stored: BucketObject, other: Bucket
    ) -> None:
        obj = other.objects.create("a")
        url = harness.source_url(stored)
        missing = harness.source_url(stored.bucket.objects.create("missing"))
        for wrong in (missing, f"{url[:-6]}AAAAAA"):
            with pytest.raises(StoreError) as caught:
                obj.copy_from_url(wrong)
            assert not isinstance(caught.value, NotFoundError)
            assert (urlsplit(wrong).query or wrong) not in str(caught.value)
        assert other.objects.list() == []

    @needs("copy_url")
    @lacks("conditional_copy")
    @needs("conditional_put", "if_none_match")
    def test_condition_of_a_copy_from_a_url_is_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(UnsupportedOperationError):
            offline_bucket(unreachable).objects.create("a").copy_from_url("https://x/a", if_none_match="*")

    @needs("copy_url")
    def test_urls_are_refused_before_any_request(self, unreachable: CloudProvider) -> None:
        obj = offline_bucket(unreachable).objects.create("a")
        wrong: tuple[Any, ...] = (
            "http://example.org/a?sig=secret",
            "ftp://x/",
            "a",
            "",
            None,
            7,
            "https://u:secret@x/",
        )
        for url in (*wrong, "https://x/a\nsecret", "https://x/ä?sig=secret"):
            with pytest.raises(InvalidValueException) as caught:
                obj.copy_from_url(url)
            assert "secret" not in str(caught.value)

    @lacks("copy_url")
    def test_copy_from_a_url_is_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(UnsupportedOperationError):
            offline_bucket(unreachable).objects.create("a").copy_from_url("https://example.org/a")

    def test_copy_to_another_provider_is_refused(self, harness: ProviderHarness, unreachable: CloudProvider) -> None:
        with harness.make_provider(user_agent="another") as other:
            assert other != unreachable
            with pytest.raises(UnsupportedOperationError):
                offline_bucket(unreachable).objects.create("a").copy_to(offline_bucket(other), "b")
