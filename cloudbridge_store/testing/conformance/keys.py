"""Keys: stored exactly, or refused before any request; never another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.errors import (
    ConflictError,
    InvalidConfigurationException,
    InvalidLabelException,
    InvalidNameException,
    InvalidValueException,
)
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.testing.fixtures import StoreFixtures, lacks, needs, offline_bucket
from cloudbridge_store.testing.harness import ProviderHarness
from cloudbridge_store.testing.keys import LITERAL_KEYS, REFUSED_KEYS, WEIRD_KEYS

_CALLS: dict[str, Callable[[Bucket, Any], Any]] = {
    "create": lambda bucket, key: bucket.objects.create(key),
    "get": lambda bucket, key: bucket.objects.get(key),
    "exists": lambda bucket, key: bucket.objects.exists(key),
    "delete_many": lambda bucket, key: bucket.objects.delete_many([key]),
    "upload_many": lambda bucket, key: bucket.objects.upload_many([(key, b"")]),
}


class KeySuite(StoreFixtures):
    """The key policy, on every call that takes a key."""

    @pytest.mark.parametrize("what", WEIRD_KEYS)
    def test_weird_key_is_stored_exactly_or_refused(
        self, harness: ProviderHarness, provider: CloudProvider, bucket: Bucket, what: str
    ) -> None:
        key = WEIRD_KEYS[what]
        if key in harness.refused_keys:
            with pytest.raises(InvalidLabelException):
                bucket.objects.create(key)
            assert bucket.objects.list() == []
            return
        content = f"content of {what}".encode()
        bucket.objects.create(key).upload(content)
        found = bucket.objects.get(key)
        assert found is not None
        assert (found.name, found.content(), found.read_range(3, 4)) == (key, content, content[3:7])
        assert [each.name for each in bucket.objects] == [key]
        assert [each.name for each in bucket.objects.list(prefix=key)] == [key]
        assert [each.name for each in bucket.objects.list(prefix=key[:1])] == [key]
        if provider.capabilities.copy:
            assert found.copy_to(bucket).content() == content
        assert bucket.objects.delete_many([key]) == 1
        assert bucket.objects.list() == []

    def test_weird_keys_are_distinct(self, harness: ProviderHarness, provider: CloudProvider, bucket: Bucket) -> None:
        keys = [key for key in WEIRD_KEYS.values() if key not in harness.refused_keys]
        if not provider.capabilities.nested_keys:
            keys = [key for key in keys if not any(other.startswith(f"{key}/") for other in keys)]
        bucket.objects.upload_many({key: key.encode() for key in keys})
        assert [each.name for each in bucket.objects] == sorted(keys, key=str.encode)
        assert {each.name: each.content() for each in bucket.objects} == {key: key.encode() for key in keys}

    def test_harness_refuses_only_weird_keys(self, harness: ProviderHarness) -> None:
        assert harness.refused_keys <= set(WEIRD_KEYS.values())
        assert len(harness.refused_keys) < len(WEIRD_KEYS) / 2

    @pytest.mark.parametrize("call", _CALLS)
    @pytest.mark.parametrize("what", REFUSED_KEYS)
    def test_key_is_refused_before_any_request(self, unreachable: CloudProvider, call: str, what: str) -> None:
        with pytest.raises(InvalidLabelException) as caught:
            _CALLS[call](offline_bucket(unreachable), REFUSED_KEYS[what])
        assert isinstance(caught.value, InvalidNameException)
        assert isinstance(caught.value, ValueError)
        str(caught.value).encode()

    @pytest.mark.parametrize("what", REFUSED_KEYS)
    def test_copy_to_a_refused_key_sends_nothing(
        self, provider: CloudProvider, unreachable: CloudProvider, what: str
    ) -> None:
        if REFUSED_KEYS[what] is None:
            return  # means "the same name"
        source = offline_bucket(unreachable).objects.create("a")
        expected = InvalidLabelException if provider.capabilities.copy else NotImplementedError
        with pytest.raises(expected):
            source.copy_to(source.bucket, REFUSED_KEYS[what])  # type: ignore[arg-type]

    @pytest.mark.parametrize("prefix", ["a\x00", "\n", "\ud800", "../", "a/./b", "x" * 1025, "\uffff"], ids=ascii)
    def test_prefix_that_no_key_has_is_refused(self, unreachable: CloudProvider, prefix: str) -> None:
        objects = offline_bucket(unreachable).objects
        with pytest.raises(InvalidNameException):
            objects.list(prefix=prefix)
        with pytest.raises(InvalidNameException):
            list(objects.iter(prefix=prefix))

    @pytest.mark.parametrize("prefix", [1, b"a", ["a"]], ids=repr)
    def test_prefix_that_is_no_text_is_refused(self, unreachable: CloudProvider, prefix: object) -> None:
        with pytest.raises((InvalidValueException, InvalidNameException)):
            offline_bucket(unreachable).objects.list(prefix=prefix)  # type: ignore[arg-type]

    def test_prefixes_that_only_begin_like_dot_segments_are_fine(self, bucket: Bucket) -> None:
        for key in (".hidden", "..x", "a/...c", "a/..b"):
            bucket.objects.create(key).upload(b"")
        assert [each.name for each in bucket.objects.list(prefix=".")] == ["..x", ".hidden"]
        assert [each.name for each in bucket.objects.list(prefix="..")] == ["..x"]
        assert [each.name for each in bucket.objects.list(prefix="a/..")] == ["a/...c", "a/..b"]

    @needs("literal_keys")
    @pytest.mark.parametrize("what", LITERAL_KEYS)
    def test_odd_key_is_reached_literally(self, harness: ProviderHarness, bucket: Bucket, what: str) -> None:
        key = LITERAL_KEYS[what]
        if key in harness.unlisted_keys:
            pytest.skip(f"this server cannot hold or list a key with {what}")
        bucket.objects.create("b").upload(b"neighbour")
        with harness.make_provider(keys="literal") as literal:
            objects = literal.storage.buckets.get(bucket.name).objects  # type: ignore[union-attr]
            obj = objects.create(key).upload(b"odd")
            assert (obj.content(), objects.get(key).name) == (b"odd", key)  # type: ignore[union-attr]
            assert [each.name for each in bucket.objects] == sorted([key, "b"])
            assert [each.name for each in objects.list(prefix=key)] == [key]
            assert obj.copy_to(bucket.name, "copied").content() == b"odd"
            assert objects.delete_many([key, "copied"]) == 2
        assert [each.name for each in bucket.objects] == ["b"]
        assert bucket.objects.create("b").content() == b"neighbour"

    @needs("literal_keys")
    def test_a_bucket_with_odd_keys_can_be_emptied(self, harness: ProviderHarness, bucket: Bucket) -> None:
        keys = sorted(set(LITERAL_KEYS.values()) - harness.unlisted_keys)
        with harness.make_provider(keys="literal") as literal:
            literal.storage.buckets.get(bucket.name).objects.upload_many(dict.fromkeys(keys, b"x"))  # type: ignore[union-attr]
        assert [each.name for each in bucket.objects] == keys
        bucket.delete(delete_contents=True)
        assert not bucket.exists

    @lacks("literal_keys")
    def test_literal_keys_are_refused(self, harness: ProviderHarness) -> None:
        with pytest.raises(InvalidConfigurationException):
            harness.make_provider(keys="literal")

    def test_nested_keys(self, provider: CloudProvider, bucket: Bucket) -> None:
        assert provider.capabilities.nested_keys in (True, False)
        bucket.objects.create("a").upload(b"outer")
        if provider.capabilities.nested_keys:
            bucket.objects.create("a/b").upload(b"inner")
            bucket.objects.create("a/b/c").upload(b"innermost")
            assert {each.name: each.content() for each in bucket.objects} == {
                "a": b"outer",
                "a/b": b"inner",
                "a/b/c": b"innermost",
            }
            bucket.objects.create("a/b").delete()
            assert [each.name for each in bucket.objects] == ["a", "a/b/c"]
            return
        with pytest.raises(ConflictError):
            bucket.objects.create("a/b").upload(b"inner")
        assert {each.name: each.content() for each in bucket.objects} == {"a": b"outer"}
