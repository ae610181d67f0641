"""Versions of large objects in Swift: each keeps its segments as long as it is there, and no longer."""

from __future__ import annotations

import pytest
from servers.openstack_harnesses import SwiftHarness

from cloudbridge_store import TransferConfig
from cloudbridge_store.testing.fixtures import noise

MiB = 2**20
LARGE = TransferConfig(threshold=MiB, part_size=MiB, max_concurrency=2)
FIRST, SECOND = noise(2 * MiB + 1, 1), noise(2 * MiB + 2, 2)


@pytest.fixture
def bucket(server):
    with SwiftHarness(server("swift")) as harness, harness.make_provider() as provider:
        bucket = harness.make_bucket(provider)
        bucket.enable_versioning()
        yield bucket
        harness.remove_bucket(bucket)


def segments(bucket):
    """Return how many there are beside a bucket."""
    beside = bucket.sibling(f"{bucket.name}_segments")
    return sum("/segments/" in obj.name for obj in beside.objects)


def test_every_version_keeps_its_segments(bucket):
    obj = bucket.objects.create("a").upload(FIRST, LARGE)
    obj.upload(SECOND, LARGE)
    obj.upload(b"small")
    obj.delete()
    mark, *kept = obj.versions()
    assert mark.is_delete_marker
    assert [each.content() for each in kept] == [b"small", SECOND, FIRST]
    assert segments(bucket) == 6


def test_versions_outlive_the_end_of_versioning(bucket):
    obj = bucket.objects.create("a").upload(FIRST, LARGE)
    first = obj.version
    bucket.suspend_versioning()
    obj.upload(b"small")
    assert bucket.objects.get("a", version=first).content() == FIRST
    obj.delete()
    assert bucket.objects.get("a", version=first).content() == FIRST


def test_what_is_deleted_for_good_takes_its_segments_along(bucket):
    obj = bucket.objects.create("a").upload(FIRST, LARGE)
    obj.upload(SECOND, LARGE)
    newest, oldest = obj.versions()
    newest.delete()
    assert segments(bucket) == 3
    # The one that is left is the object again.
    assert (obj.content(), obj.size) == (FIRST, len(FIRST))
    assert [each.is_latest for each in obj.versions()] == [True]
    oldest.delete()
    assert segments(bucket) == 0
    assert bucket.objects.get("a") is None


def test_a_mark_that_is_deleted_shows_what_was_there(bucket):
    obj = bucket.objects.create("a").upload(FIRST, LARGE)
    obj.delete()
    assert bucket.objects.get("a") is None
    mark, _ = obj.versions()
    mark.delete()
    assert obj.content() == FIRST


def test_a_restored_version_has_segments_or_content_of_its_own(bucket):
    obj = bucket.objects.create("a").upload(FIRST, LARGE)
    obj.upload(b"small")
    _, first = obj.versions()
    restored = first.restore_version()
    first.delete()
    assert restored.content() == FIRST


def test_older_versions_of_other_names_are_left_alone(bucket):
    bucket.objects.create("a/b").upload(b"other")
    obj = bucket.objects.create("a").upload(b"1")
    next(obj.versions()).delete()
    assert bucket.objects.get("a") is None
    assert bucket.objects.create("a/b").content() == b"other"
