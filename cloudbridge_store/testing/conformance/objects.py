"""Objects: what is stored is what is read, and how it is described."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.errors import (
    InvalidParamException,
    InvalidValueException,
    NotFoundError,
    ObjectNotFoundError,
    UnsupportedOperationError,
)
from cloudbridge_store.objects import BucketObject
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.results import ResultList
from cloudbridge_store.testing.fixtures import StoreFixtures, lacks, needs, noise, offline_bucket
from cloudbridge_store.testing.harness import ProviderHarness
from cloudbridge_store.testing.keys import WEIRD_KEYS

_TYPES = {
    "a.txt": "text/plain",
    "a.JSON": "application/json",
    "a.csv.gz": "application/gzip",
    "a.parquet": "application/vnd.apache.parquet",
    "dir.html/a": "application/octet-stream",
    "a.unheard-of": "application/octet-stream",
    "no extension": "application/octet-stream",
}
_BAD_METADATA = (
    {"Upper": "x"},
    {"a b": "x"},
    {"1a": "x"},
    {"": "x"},
    {"a": "x\r\ny"},
    {"a": "x\ny"},
    {"a\r\n": "x"},
    {"a": "x\x00"},
    {"a": "\ud800"},
    {"a": 1},
    {1: "x"},
    {"ä": "x"},
)


class ObjectSuite(StoreFixtures):
    """``bucket.objects`` and ``BucketObject``, apart from how content travels."""

    def test_create_sends_nothing(self, unreachable: CloudProvider) -> None:
        created = offline_bucket(unreachable).objects.create("a/b")
        assert (created.id, created.name) == ("a/b", "a/b")

    def test_created_object_does_not_exist_yet(self, bucket: Bucket) -> None:
        created = bucket.objects.create("a")
        assert created.exists() is False
        assert bucket.objects.get("a") is None
        assert bucket.objects.exists("a") is False
        for ask in (lambda: created.size, lambda: created.etag, created.refresh, lambda: created.metadata):
            with pytest.raises(NotFoundError):
                ask()

    def test_object_lives(self, bucket: Bucket) -> None:
        created = bucket.objects.create("a.txt")
        assert created.upload("text") is created
        found = bucket.objects.get("a.txt")
        assert isinstance(found, BucketObject)
        assert (found.id, found.name, found.size, found.bucket) == ("a.txt", "a.txt", 4, bucket)
        assert found == created
        assert found.exists() is True
        assert bucket.objects.exists("a.txt") is True
        found.delete()
        assert bucket.objects.get("a.txt") is None
        assert [each.id for each in bucket.objects] == []

    def test_ids_agree_over_all_ways_to_find(self, bucket: Bucket, stored: BucketObject) -> None:
        got = bucket.objects.get(stored.id)
        ways: list[Iterable[BucketObject | None]] = [
            bucket.objects.list(),
            list(bucket.objects),
            list(bucket.objects.iter()),
            [got],
        ]
        ways.append(bucket.objects.find(name=stored.name))
        for found in ways:
            assert [each.id for each in found if each] == [stored.id]
            assert [each.name for each in found if each] == [stored.name]

    def test_a_url_of_another_host_is_a_key(self, harness: ProviderHarness, bucket: Bucket) -> None:
        if WEIRD_KEYS["url"] in harness.refused_keys:
            pytest.skip("this store has no keys that look like URLs")
        key = f"https://example.com/storage/v1/b/{bucket.name}/o/a"
        bucket.objects.create("a").upload(b"a")
        assert bucket.objects.get(key) is None
        assert bucket.objects.create(key).upload(b"url").content() == b"url"
        found = bucket.objects.get(key)
        assert found is not None
        assert (found.name, found.size) == (key, 3)

    def test_get_of_what_is_not_there_is_none(
        self, harness: ProviderHarness, bucket: Bucket, stored: BucketObject
    ) -> None:
        names = ["missing", "dir", stored.name[:-1], f"{stored.name}/below", "DIR/stored.txt"]
        if WEIRD_KEYS["trailing slash"] not in harness.refused_keys:
            names += ["dir/", f"{stored.name}/"]
        for name in names:
            assert bucket.objects.get(name) is None, name
            assert bucket.objects.exists(name) is False, name

    def test_find_by_exact_name(self, bucket: Bucket, stored: BucketObject) -> None:
        bucket.objects.create("bardir/stored.txt").upload(b"")
        found = bucket.objects.find(name=stored.name)
        assert isinstance(found, ResultList)
        assert [each.id for each in found] == [stored.id]
        assert bucket.objects.find(name="random_imagined_obj_name") == []
        assert (found.total_results, found.supports_total, found.data) == (1, True, list(found))

    def test_find_by_pattern(self, bucket: Bucket) -> None:
        names = ["a/1.txt", "a/2.txt", "a/2.txt.gz", "ab/1.txt", "b/1.txt", "b[1].txt"]
        for name in names:
            bucket.objects.create(name).upload(b"")
        expected = {
            "a/*.txt": ["a/1.txt", "a/2.txt"],
            "a/?.txt": ["a/1.txt", "a/2.txt"],
            "?/1.txt": ["a/1.txt", "b/1.txt"],
            "a*": ["a/1.txt", "a/2.txt", "a/2.txt.gz", "ab/1.txt"],
            "*.gz": ["a/2.txt.gz"],
            "b[1].*": ["b[1].txt"],
            "b[1].txt": ["b[1].txt"],
            "*": names,
            "x*": [],
        }
        for pattern, wanted in expected.items():
            assert [each.name for each in bucket.objects.find(name=pattern)] == wanted, pattern

    def test_find_refuses_other_keywords(self, unreachable: CloudProvider) -> None:
        for criteria in ({"notaparameter": "x"}, {"name": "x", "prefix": "x"}, {}):
            with pytest.raises(InvalidParamException):
                offline_bucket(unreachable).objects.find(**criteria)

    def test_delete_of_a_missing_object_is_fine(self, bucket: Bucket, stored: BucketObject) -> None:
        bucket.objects.create("missing").delete()
        bucket.objects.create("dir").delete()
        stored.delete()
        stored.delete()
        assert bucket.objects.list() == []

    def test_overwriting_replaces_everything(self, bucket: Bucket) -> None:
        obj = bucket.objects.create("a.txt").upload(b"a longer first content", content_type="text/x-first")
        first = (obj.etag, obj.content_type)
        obj.upload(b"second")
        assert (obj.size, obj.content()) == (6, b"second")
        assert obj.content_type == "text/plain"
        assert obj.etag != first[0]
        found = bucket.objects.get("a.txt")
        assert found is not None
        assert (found.size, found.etag, found.content_type) == (6, obj.etag, "text/plain")

    def test_description_is_kept_until_refreshed(self, bucket: Bucket) -> None:
        mine = bucket.objects.create("a").upload(b"1")
        other = bucket.objects.get("a")
        assert other is not None
        assert other.size == 1
        mine.upload(b"22")
        assert (mine.size, other.size) == (2, 1)
        other.refresh()
        assert (other.size, other.etag) == (2, mine.etag)
        mine.delete()
        with pytest.raises(ObjectNotFoundError):
            other.refresh()

    def test_size_is_an_int(self, bucket: Bucket, stored: BucketObject) -> None:
        listed = bucket.objects.list()[0]
        got = bucket.objects.get(stored.name)
        assert got is not None
        assert {type(each.size) for each in (listed, got)} == {int}
        assert [each.size for each in (listed, got)] == [10, 10]

    def test_times_are_utc_and_now(self, bucket: Bucket, stored: BucketObject) -> None:
        listed = bucket.objects.list()[0]
        for each in (stored, listed):
            assert each.modified.utcoffset() is not None
            assert abs(datetime.now(UTC) - each.modified) < timedelta(hours=1)
            text = datetime.strptime(each.last_modified, "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=UTC)
            assert text == each.modified
            to_the_millisecond = datetime.strptime(each.last_modified[:23], "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=UTC)
            assert each.modified - to_the_millisecond < timedelta(milliseconds=1)

    def test_listing_and_head_describe_the_same(self, bucket: Bucket, stored: BucketObject) -> None:
        listed = bucket.objects.list()[0]
        for name in ("size", "etag", "modified", "content_type", "metadata", "headers", "checksums", "storage_class"):
            assert getattr(listed, name) == getattr(stored, name), name

    def test_etag_follows_the_content(self, bucket: Bucket) -> None:
        obj = bucket.objects.create("a")
        first, second = obj.upload(b"1").etag, obj.upload(b"2").etag
        assert first != second
        assert '"' not in first + second
        assert bucket.objects.create("a").etag == second

    @pytest.mark.parametrize(("name", "expected"), _TYPES.items())
    def test_content_type_is_guessed_from_the_name(self, bucket: Bucket, name: str, expected: str) -> None:
        bucket.objects.create(name).upload(b"")
        found = bucket.objects.get(name)
        assert found is not None
        assert found.content_type == expected

    def test_content_type_is_stored(self, bucket: Bucket) -> None:
        given = 'text/plain; charset="utf-8"; format=flowed'
        bucket.objects.create("a.json").upload(b"", content_type=given)
        assert bucket.objects.create("a.json").content_type == given

    def test_content_headers_are_stored(self, provider: CloudProvider, bucket: Bucket) -> None:
        given = {
            "cache_control": "public, max-age=60",
            "content_disposition": "attachment; filename=\"a b.txt\"; filename*=UTF-8''%C3%A4.txt",
            "content_encoding": "gzip",
            "content_language": "de, en-GB",
        }
        able = {name: value for name, value in given.items() if name in provider.capabilities.content_headers}
        bucket.objects.create("a").upload(b"not gzip", **able)  # type: ignore[arg-type]
        found = bucket.objects.create("a")
        assert found.headers == able
        assert found.content() == b"not gzip"

    def test_content_headers_beyond_the_capability_are_refused(
        self, provider: CloudProvider, unreachable: CloudProvider
    ) -> None:
        known = {"cache_control", "content_disposition", "content_encoding", "content_language"}
        assert provider.capabilities.content_headers <= known
        for name in known - provider.capabilities.content_headers:
            with pytest.raises(UnsupportedOperationError):
                offline_bucket(unreachable).objects.create("a").upload(b"", **{name: "x"})  # type: ignore[arg-type]

    @pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x", "a\nb", "\x00", "ä", "\x7f", 1], ids=repr)
    def test_header_injection_is_refused_before_any_request(self, unreachable: CloudProvider, value: object) -> None:
        obj = offline_bucket(unreachable).objects.create("a")
        for name in ("content_type", "content_disposition", "cache_control"):
            expected = InvalidValueException
            with pytest.raises((expected, UnsupportedOperationError)):
                obj.upload(b"", **{name: value})  # type: ignore[arg-type]

    @needs("user_metadata")
    def test_metadata_is_stored(self, bucket: Bucket) -> None:
        given = {
            "a": "1",
            "with-dash": "x",
            "with_underscore": "y",
            "mtime": "1700000000.123456789",
            "unicode": "Zürich 東京 🗃",
            "spaces": " x  y ",
            "empty": "",
            "percent": "100%25 a%20b",
            "quote": "\"'\\",
            "equals": "=?utf-8?q?=C3=A4?=",
            "plus": "a+b",
        }
        bucket.objects.create("a").upload(b"", metadata=given)
        assert bucket.objects.create("a").metadata == given
        bucket.objects.create("a").upload(b"")
        assert bucket.objects.create("a").metadata == {}

    @needs("user_metadata")
    def test_metadata_may_be_as_large_as_promised(self, provider: CloudProvider, bucket: Bucket) -> None:
        most = provider.capabilities.max_metadata_bytes
        full = {"a": "x" * (most - 1)}
        bucket.objects.create("a").upload(b"", metadata=full)
        assert bucket.objects.create("a").metadata == full
        with pytest.raises(InvalidValueException):
            bucket.objects.create("a").upload(b"changed", metadata={"a": "x" * most})
        assert bucket.objects.create("a").size == 0

    @needs("user_metadata")
    @pytest.mark.parametrize("metadata", _BAD_METADATA, ids=ascii)
    def test_metadata_is_refused_before_any_request(self, unreachable: CloudProvider, metadata: object) -> None:
        with pytest.raises(InvalidValueException):
            offline_bucket(unreachable).objects.create("a").upload(b"", metadata=metadata)  # type: ignore[arg-type]

    @lacks("user_metadata")
    def test_any_metadata_is_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(UnsupportedOperationError):
            offline_bucket(unreachable).objects.create("a").upload(b"", metadata={"a": "1"})

    @needs("storage_classes")
    def test_storage_class_is_stored(self, provider: CloudProvider, bucket: Bucket) -> None:
        for storage_class in sorted(provider.capabilities.storage_classes):
            bucket.objects.create("a").upload(b"", storage_class=storage_class)
            assert bucket.objects.create("a").storage_class == storage_class
            bucket.objects.create("a").delete()

    @needs("change_storage_class")
    def test_storage_class_is_changed(self, provider: CloudProvider, bucket: Bucket) -> None:
        able = provider.capabilities
        tags = {"k": "v"} if able.tags else None
        obj = bucket.objects.create("dir/a").upload(b"0123", content_type="x/y", metadata={"m": "ü"}, tags=tags)
        first = obj.storage_class
        # The first one in the alphabet that can be read at once.
        other = min(able.storage_classes - {first, "ARCHIVE", "Archive", "DEEP_ARCHIVE", "GLACIER"})
        obj.set_storage_class(other)
        found = bucket.objects.create("dir/a")
        assert (found.storage_class, found.content()) == (other, b"0123")
        assert (found.content_type, found.metadata) == ("x/y", {"m": "ü"})
        if able.tags:
            assert found.get_tags() == tags
        assert obj.storage_class == other
        with pytest.raises(UnsupportedOperationError):
            obj.set_storage_class("NO_SUCH_CLASS")
        with pytest.raises(NotFoundError):
            bucket.objects.create("missing").set_storage_class(other)
        assert [each.name for each in bucket.objects] == ["dir/a"]

    @lacks("change_storage_class")
    def test_changing_the_storage_class_is_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(UnsupportedOperationError):
            offline_bucket(unreachable).objects.create("a").set_storage_class("STANDARD")

    def test_unknown_storage_class_is_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(UnsupportedOperationError):
            offline_bucket(unreachable).objects.create("a").upload(b"", storage_class="NO_SUCH_CLASS")

    def test_unknown_keyword_is_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(TypeError, match="content_typo"):
            offline_bucket(unreachable).objects.create("a").upload(b"", content_typo="x")  # type: ignore[call-arg]

    @pytest.mark.parametrize("size", [0, 1, 100_000])
    def test_checksums_are_those_promised(self, provider: CloudProvider, bucket: Bucket, size: int) -> None:
        content = noise(size)
        bucket.objects.create("a").upload(content)
        held = bucket.objects.create("a").checksums
        promised = provider.capabilities.checksums
        assert promised <= set(held)
        known = {name: hashlib.new(name, content).hexdigest() for name in ("md5", "sha1", "sha256")}
        known["crc32"] = f"{zlib.crc32(content):08x}"
        for name in known.keys() & held.keys():
            assert held[name] == known[name]
