"""Versions: kept, listed, read, restored and deleted where the service has them, and refused where it has not."""

from __future__ import annotations

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.errors import InvalidValueException, ObjectNotFoundError, UnsupportedOperationError
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.testing.fixtures import StoreFixtures, lacks, needs, offline_bucket
from cloudbridge_store.testing.harness import ProviderHarness


class VersionSuite(StoreFixtures):
    """``enable_versioning``, ``versions``, ``get(version=...)``, ``restore_version`` and what a version refuses."""

    @pytest.fixture
    def versioned(self, bucket: Bucket) -> Bucket:
        """A bucket that keeps versions."""
        bucket.enable_versioning()
        return bucket

    @needs("switch_versions")
    def test_versioning_is_chosen_by_bucket(self, bucket: Bucket) -> None:
        states = [bucket.versioning]
        bucket.enable_versioning()
        states.append(bucket.versioning)
        bucket.suspend_versioning()
        states.append(bucket.versioning)
        assert states == [False, True, False]

    @needs("versions")
    @needs("switch_versions")
    def test_versions_are_kept_and_read(self, versioned: Bucket) -> None:
        obj = versioned.objects.create("a/ü b")
        for number in range(3):
            obj.upload(f"content {number}", metadata={"number": str(number)})
        found = list(obj.versions())
        assert [each.is_latest for each in found] == [True, False, False]
        assert [each.content() for each in found] == [b"content 2", b"content 1", b"content 0"]
        assert len({each.version for each in found}) == 3
        assert [each.metadata["number"] for each in found] == ["2", "1", "0"]
        assert (obj.content(), obj.version) == (b"content 2", found[0].version)

    @needs("switch_versions")
    def test_one_version_in_every_way_of_reading(self, versioned: Bucket) -> None:
        obj = versioned.objects.create("a").upload(b"the first")
        first = obj.version
        obj.upload(b"another")
        old = versioned.objects.get("a", version=first)
        assert old is not None
        assert (old.size, old.etag != obj.etag, old.exists()) == (9, True, True)
        assert old.read_range(4, 5) == b"first"
        assert b"".join(old.iter_content(2)) == b"the first"
        with old.open("rb") as file:
            file.seek(-5, 2)
            assert file.read() == b"first"

    @needs("switch_versions")
    def test_the_versions_of_a_prefix_come_by_key(self, versioned: Bucket) -> None:
        for key in ("b", "a/2", "a/1", "a/1"):
            versioned.objects.create(key).upload(b"x")
        assert [each.name for each in versioned.objects.versions()] == ["a/1", "a/1", "a/2", "b"]
        assert [each.name for each in versioned.objects.versions("a/1")] == ["a/1", "a/1"]
        versioned.objects.create("a/").upload(b"x")
        assert [each.name for each in versioned.objects.create("a/").versions()] == ["a/"]

    @needs("switch_versions")
    @needs("delete_marks")
    def test_deleting_marks_and_restoring_brings_back(self, versioned: Bucket) -> None:
        obj = versioned.objects.create("a").upload(b"kept")
        obj.delete()
        assert versioned.objects.get("a") is None
        assert list(versioned.objects) == []
        mark, kept = obj.versions()
        assert (mark.is_delete_marker, mark.is_latest) == (True, True)
        assert (kept.is_delete_marker, kept.is_latest) == (False, False)
        restored = kept.restore_version()
        assert restored.content() == b"kept"
        assert len(list(obj.versions())) == 3
        with pytest.raises(InvalidValueException):
            mark.restore_version()

    @needs("switch_versions")
    @lacks("delete_marks")
    def test_what_was_deleted_is_kept_and_restored(self, versioned: Bucket) -> None:
        obj = versioned.objects.create("a").upload(b"kept")
        obj.delete()
        assert versioned.objects.get("a") is None
        assert list(versioned.objects) == []
        (kept,) = obj.versions()
        assert (kept.is_delete_marker, kept.is_latest, kept.content()) == (False, False, b"kept")
        assert kept.restore_version().content() == b"kept"
        assert [each.is_latest for each in obj.versions()] == [True, False]

    @needs("switch_versions")
    def test_restoring_keeps_what_describes_the_version(self, versioned: Bucket) -> None:
        obj = versioned.objects.create("a").upload(b"1", content_type="text/x-one", metadata={"n": "1"})
        first = obj.version
        obj.upload(b"2", content_type="text/x-two", metadata={"n": "2"})
        old = versioned.objects.get("a", version=first)
        assert old is not None
        restored = old.restore_version()
        assert (restored.content(), restored.content_type, restored.metadata) == (b"1", "text/x-one", {"n": "1"})

    @needs("switch_versions")
    def test_a_version_is_deleted_for_good(self, provider: CloudProvider, versioned: Bucket) -> None:
        obj = versioned.objects.create("a").upload(b"1")
        obj.upload(b"2")
        latest, older = obj.versions()
        latest.delete()
        assert [each.version for each in obj.versions()] == [older.version]
        assert older.content() == b"1"
        # Where deletions are no versions, the newest one is not replaced by the one before it.
        found = obj.bucket.objects.get("a")
        assert (found is not None) is provider.capabilities.delete_marks
        older.delete()
        assert list(obj.versions()) == []
        assert versioned.objects.get("a") is None
        with pytest.raises(ObjectNotFoundError):
            older.refresh()

    @needs("switch_versions")
    def test_pages_of_versions(self, provider: CloudProvider, versioned: Bucket) -> None:
        keys = sorted(f"{number % 3}/{number}" for number in range(6))
        for key in keys:
            versioned.objects.create(key).upload(b"1")
            versioned.objects.create(key).upload(b"2").delete()
        seen: list[tuple[str, str | None]] = []
        token = None
        while True:
            page = provider.session.driver.list_versions(versioned.name, limit=4, token=token)
            assert len(page.items) <= 4
            seen += [(each.info.key, each.info.version) for each in page.items]
            token = page.token
            if token is None:
                break
        of_each = 3 if provider.capabilities.delete_marks else 2
        assert [key for key, _ in seen] == [key for key in keys for _ in range(of_each)]
        assert len(set(seen)) == 6 * of_each

    @needs("switch_versions")
    def test_a_bucket_is_deleted_with_all_versions(self, harness: ProviderHarness, provider: CloudProvider) -> None:
        bucket = harness.make_bucket(provider)
        bucket.enable_versioning()
        bucket.objects.create("a").upload(b"1")
        bucket.objects.create("a").upload(b"2").delete()
        bucket.delete(delete_contents=True)
        assert provider.storage.buckets.get(bucket.name) is None

    @needs("switch_versions")
    def test_what_a_version_refuses(self, versioned: Bucket) -> None:
        obj = versioned.objects.create("a").upload(b"1")
        version = next(iter(obj.versions()))
        for call in (
            lambda: version.upload(b"2"),
            version.create_multipart_upload,
            lambda: version.open("wb"),
            obj.restore_version,
        ):
            with pytest.raises(InvalidValueException):
                call()

    @lacks("versions")
    def test_versions_are_refused(self, unreachable: CloudProvider) -> None:
        bucket = offline_bucket(unreachable)
        for call in (
            lambda: list(bucket.objects.versions()),
            lambda: bucket.objects.get("a", version="1"),
            lambda: list(bucket.objects.create("a").versions()),
        ):
            with pytest.raises(UnsupportedOperationError):
                call()

    @lacks("switch_versions")
    def test_choosing_versions_is_refused(self, unreachable: CloudProvider) -> None:
        bucket = offline_bucket(unreachable)
        for call in (bucket.enable_versioning, bucket.suspend_versioning, lambda: bucket.versioning):
            with pytest.raises(UnsupportedOperationError):
                call()
