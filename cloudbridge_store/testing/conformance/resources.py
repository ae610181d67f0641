"""Providers, buckets and objects as Python values: identity, pickles, text, JSON; and a provider's own life."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.core.session import Event
from cloudbridge_store.errors import InvalidConfigurationException, ObjectNotFoundError, ProviderClosedError
from cloudbridge_store.objects import BucketObject
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.testing.fixtures import StoreFixtures, offline_bucket
from cloudbridge_store.testing.harness import ProviderHarness


class ResourceSuite(StoreFixtures):
    """What CloudBridge calls standard behaviour, and ``CloudProvider``."""

    def test_names_cannot_be_assigned(self, bucket: Bucket, stored: BucketObject) -> None:
        for resource in (bucket, stored):
            for attribute in ("id", "name"):
                assert isinstance(getattr(type(resource), attribute), property)
                with pytest.raises(AttributeError):
                    setattr(resource, attribute, "x")

    def test_repr_names_the_resource_without_asking(self, unreachable: CloudProvider) -> None:
        bucket = offline_bucket(unreachable, "some-bucket")
        assert bucket.id in repr(bucket)
        assert "a/b.txt" in repr(bucket.objects.create("a/b.txt"))

    def test_equality_is_of_provider_bucket_and_name(
        self, harness: ProviderHarness, bucket: Bucket, stored: BucketObject
    ) -> None:
        with harness.make_provider() as twin, harness.make_provider(user_agent="other") as other:
            there = twin.storage.buckets.get(bucket.name)
            assert there is not None
            same: list[tuple[object, object]] = [(bucket, there), (stored, there.objects.create(stored.name))]
            for left, right in same:
                assert left == right
                assert not (left != right)  # noqa: SIM202 - both operators are the subject
                assert hash(left) == hash(right)
                assert len({left, right}) == 1
            foreign = offline_bucket(other, bucket.name)
            differ: list[tuple[object, object]] = [
                (bucket, foreign),
                (stored, foreign.objects.create(stored.name)),
                (bucket, bucket.sibling("abc")),
                (stored, bucket.objects.create("x")),
                (bucket, bucket.name),
                (stored, stored.name),
                (bucket, None),
            ]
            for left, right in differ:
                assert left != right
                assert not (left == right)  # noqa: SIM201 - both operators are the subject

    def test_json(self, bucket: Bucket, stored: BucketObject) -> None:
        stored.refresh()
        for resource in (bucket, stored, bucket.objects.list()[0], bucket.objects.create("not there")):
            described = json.loads(json.dumps(resource.to_json()))
            assert (described["id"], described["name"]) == (resource.id, resource.name)
        assert stored.to_json()["size"] == 10
        assert stored.to_json()["last_modified"] == stored.last_modified

    def test_pickles(self, provider: CloudProvider, bucket: Bucket, stored: BucketObject) -> None:
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            for resource in (provider, bucket, stored, bucket.objects.list()[0]):
                again = pickle.loads(pickle.dumps(resource, protocol))
                assert (type(again), again) == (type(resource), resource)
        again = pickle.loads(pickle.dumps(stored))
        assert again.content() == b"0123456789"
        assert copy.copy(stored) == stored
        assert copy.deepcopy(bucket).objects.create(stored.name).content() == b"0123456789"

    def test_provider_describes_itself(self, harness: ProviderHarness, provider: CloudProvider) -> None:
        assert provider.PROVIDER_ID
        assert provider.name
        assert provider.native is not None
        assert provider.authenticate() is True
        assert isinstance(provider.config, dict)
        assert provider.storage.regions() == list(provider.storage.regions())
        with harness.make_provider() as other:
            assert (other == provider, hash(other) == hash(provider)) == (True, True)

    def test_provider_says_which_services_it_has(self, provider: CloudProvider) -> None:
        assert provider.has_service("storage.buckets") is True
        assert provider.has_service("storage") is True
        for missing in ("compute.instances", "storage.volumes", "no_such_service", ""):
            assert provider.has_service(missing) is False

    def test_config_keys_are_described(self, provider: CloudProvider) -> None:
        keys = list(provider.config_keys())
        assert len({key.name for key in keys}) == len(keys)
        assert all(key.help and key.name == key.name.lower() for key in keys)
        assert {"default_result_limit", "multipart_threshold", "on_event"} <= {key.name for key in keys}

    def test_unknown_config_key_is_refused(self, harness: ProviderHarness) -> None:
        with pytest.raises(InvalidConfigurationException, match="default_result_limit"):
            harness.make_provider(default_result_limt=5)

    @pytest.mark.parametrize(
        "key", ["default_result_limit", "iter_chunk_size", "multipart_part_size", "retry_attempts"]
    )
    @pytest.mark.parametrize("value", [0, -1, "many", 1.5], ids=repr)
    def test_config_values_are_checked(self, harness: ProviderHarness, key: str, value: Any) -> None:
        with pytest.raises(InvalidConfigurationException, match=key.split("_", maxsplit=1)[0]):
            harness.make_provider(**{key: value})

    def test_secrets_are_not_shown(self, provider: CloudProvider, bucket: Bucket) -> None:
        secrets = [
            str(provider.config[key.name])
            for key in provider.config_keys()
            if key.secret and provider.config.get(key.name) not in (None, "")
        ]
        shown = "".join(map(str, (repr(provider), str(provider), provider.config, repr(bucket), bucket.to_json())))
        assert [secret for secret in secrets if secret in shown] == []

    def test_clone_is_the_same_store(self, provider: CloudProvider, bucket: Bucket, stored: BucketObject) -> None:
        with provider.clone() as clone:
            assert (clone == provider, clone is provider) == (True, False)
            found = clone.storage.buckets.get(bucket.name)
            assert found is not None
            assert found.objects.create(stored.name).content() == b"0123456789"
        assert stored.content() == b"0123456789"

    def test_closed_provider_says_so(self, harness: ProviderHarness, bucket: Bucket) -> None:
        provider = harness.make_provider()
        there = provider.storage.buckets.get(bucket.name)
        assert there is not None
        obj = there.objects.create("a").upload(b"1")
        provider.close()
        provider.close()
        calls = (
            obj.content,
            obj.refresh,
            lambda: obj.upload(b"2"),
            obj.delete,
            lambda: there.objects.get("a"),
            there.objects.list,
            lambda: there.exists,
            there.delete,
            provider.storage.buckets.list,
            lambda: provider.storage.buckets.get("abc"),
            lambda: provider.storage.buckets.create("abc"),
            lambda: list(obj.iter_content()),
            lambda: obj.open("rb"),
            lambda: provider.capabilities,
        )
        for call in calls:
            with pytest.raises(ProviderClosedError):
                call()
        assert bucket.objects.create("a").content() == b"1"

    def test_events_tell_every_operation(self, harness: ProviderHarness, bucket: Bucket) -> None:
        events: list[Event] = []
        with harness.make_provider(on_event=events.append) as provider:
            there = provider.storage.buckets.get(bucket.name)
            assert there is not None
            obj = there.objects.create("a").upload(b"content")
            assert obj.content() == b"content"
            with pytest.raises(ObjectNotFoundError):
                there.objects.create("missing").refresh()
        told = [(each.operation, each.bucket, each.key) for each in events]
        assert told == [
            ("head_bucket", bucket.name, None),
            ("put_object", bucket.name, "a"),
            ("get_object", bucket.name, "a"),
            ("head_object", bucket.name, "missing"),
        ]
        assert [each.bytes for each in events] == [0, 7, 0, 0]
        assert isinstance(events[-1].error, ObjectNotFoundError)
        assert {each.error for each in events[:-1]} == {None}
        assert all(
            each.attempts == 1 and each.seconds >= 0 and each.provider == provider.PROVIDER_ID for each in events
        )
        assert "content" not in repr(events)
