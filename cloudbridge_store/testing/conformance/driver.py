"""The contract of :mod:`cloudbridge_store.drivers.base`, asked of the driver itself."""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import fields

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.core.operations import OPERATIONS
from cloudbridge_store.core.source import BytesBody
from cloudbridge_store.drivers.base import (
    CONTENT_HEADERS,
    Driver,
    Part,
    PutOptions,
    RawStream,
    ReadOptions,
)
from cloudbridge_store.errors import (
    BucketNotFoundError,
    InvalidRangeError,
    NotModifiedError,
    PreconditionFailedError,
)
from cloudbridge_store.objects import BucketObject
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.testing.fixtures import StoreFixtures, has, lacks, needs, noise
from cloudbridge_store.testing.keys import WEIRD_KEYS

_MEMBERS = CONTENT_HEADERS | {"if_match", "if_none_match", "service", "kms", "customer", "cors", "lifecycle"}
_MEMBERS |= {"GET", "HEAD", "PUT", "DELETE"}
"""What sets of the capabilities can hold, and hints be for."""
_BEHIND_CAPABILITIES = {
    "batch_delete": ("delete_objects",),
    "copy": ("copy_object",),
    "copy_url": ("copy_url",),
    "sign": ("sign_url",),
    "multipart": ("start_upload", "upload_part", "list_parts", "finish_upload", "abort_upload"),
    "list_uploads": ("list_uploads",),
    "change_storage_class": ("set_storage_class",),
    "versions": ("list_versions",),
    "switch_versions": ("get_versioning", "set_versioning"),
    "tags": ("get_tags", "set_tags"),
    "public_access": ("set_public", "public_url"),
    "website": ("set_website",),
    "cdn": ("set_cdn", "get_cdn", "purge_cdn"),
    "temp_url_key": ("set_temp_url_key",),
    "usage": ("get_usage", "set_bucket_metadata"),
}


def _read_all(stream: RawStream) -> bytes:
    received = b""
    buffer = memoryview(bytearray(777))
    while count := stream.readinto(buffer):
        received += buffer[:count]
    return received


class DriverSuite(StoreFixtures):
    """A driver's promises that the public API would hide the breach of."""

    @pytest.fixture
    def driver(self, provider: CloudProvider) -> Driver:
        """The driver behind the provider, which raises what the SDK raises."""
        return provider.session.driver

    @pytest.mark.parametrize("capability", _BEHIND_CAPABILITIES)
    def test_promised_methods_are_there(self, driver: Driver, capability: str) -> None:
        promised = has(driver.capabilities, capability)
        for name in _BEHIND_CAPABILITIES[capability]:
            assert name in OPERATIONS
            own = getattr(type(driver), name) is not getattr(Driver, name)
            assert own or not promised, f"capability {capability} promises {name}()"

    def test_capabilities_make_sense(self, driver: Driver) -> None:
        able = driver.capabilities
        assert able.conditional_put <= {"if_match", "if_none_match"}
        assert able.sign <= {"GET", "HEAD", "PUT", "DELETE"}
        assert able.content_headers <= CONTENT_HEADERS
        assert 1 <= able.min_part <= able.max_part
        assert min(able.max_page, able.max_put, able.max_parts, able.multipart_threshold) >= 1
        assert 1 <= able.max_key_bytes <= 1024
        assert able.list_uploads <= able.multipart
        assert able.sign_options <= {"content_type", "content_disposition"}
        assert able.sign_prefix <= bool(able.sign)

    def test_hints_are_for_what_is_lacking(self, driver: Driver) -> None:
        able = driver.capabilities
        known = {each.name for each in fields(able)}
        for name, hint in able.hints.items():
            assert hint
            assert name in known | _MEMBERS
            if name in known:
                assert not getattr(able, name), f"{name} is there"
            else:
                offered = (able.conditional_put, able.encryption, able.sign, able.rules, able.content_headers)
                assert not any(name in each for each in offered), f"{name} is there"

    @needs("multipart")
    def test_upload_limits_make_sense(self, provider: CloudProvider) -> None:
        limits = provider.session.upload_limits()
        assert 1 <= limits.min_part <= limits.max_part
        assert min(limits.max_parts, limits.max_put) >= 1
        assert provider.session.upload_limits() == limits

    def test_driver_describes_itself(self, provider: CloudProvider, driver: Driver) -> None:
        assert driver.name
        assert driver.native is not None
        assert {key.name for key in driver.config_keys} <= {key.name for key in provider.config_keys()}

    def test_bugs_and_interrupts_are_not_the_services(self, driver: Driver) -> None:
        for error in (KeyboardInterrupt(), SystemExit(), ZeroDivisionError(), AttributeError("x"), AssertionError("x")):
            assert driver.classify(error) is None

    def test_keys_are_refused_without_asking(self, driver: Driver) -> None:
        for key in ("a", "a/b.txt", "2026/run-1/data_0.parquet", "Results (final).csv"):
            assert driver.refuse_key(key) is None
        for key in WEIRD_KEYS.values():
            reason = driver.refuse_key(key)
            assert reason is None or reason.strip()

    def test_put_answers_what_head_answers(self, driver: Driver, bucket: Bucket) -> None:
        content = noise(1000)
        written = driver.put_object(bucket.name, "a", BytesBody(content), PutOptions(content_type="x/y"))
        info = driver.head_object(bucket.name, "a")
        assert (info.key, info.size, info.etag, info.version) == ("a", 1000, written.etag, written.version)
        assert (info.content_type, info.modified.utcoffset() is None) == ("x/y", False)
        assert None not in (info.metadata, info.headers, info.checksums)
        held = dict(info.checksums or {})
        assert driver.capabilities.checksums <= set(held)
        for name, value in (written.checksums or {}).items():
            assert held[name] == value
        if "md5" in held:
            assert held["md5"] == hashlib.md5(content, usedforsecurity=False).hexdigest()

    def test_download_says_what_it_sends(self, driver: Driver, bucket: Bucket, stored: BucketObject) -> None:
        cases = {(0, None): (0, 10), (3, 7): (3, 4), (3, None): (3, 7), (8, 50): (8, 2), (0, 10): (0, 10)}
        for (start, stop), announced in cases.items():
            download = driver.get_object(bucket.name, stored.name, ReadOptions(start, stop))
            with closing(download.stream) as stream:
                assert (download.start, download.length) == announced
                assert (download.info.size, download.info.etag) == (10, stored.etag)
                assert _read_all(stream) == b"0123456789"[start:stop]
                assert stream.read(10) == b""

    def test_stream_is_read_by_both_ways(self, driver: Driver, bucket: Bucket, stored: BucketObject) -> None:
        stream = driver.get_object(bucket.name, stored.name, ReadOptions()).stream
        buffer = bytearray(3)
        assert stream.readinto(memoryview(buffer)) == 3
        received = bytes(buffer)
        while piece := stream.read(2):
            assert len(piece) <= 2
            received += piece
        assert received == b"0123456789"
        stream.close()

    def test_ranges_of_the_contract(self, driver: Driver, bucket: Bucket, stored: BucketObject) -> None:
        driver.put_object(bucket.name, "empty", BytesBody(b""), PutOptions())
        for key, start in ((stored.name, 10), (stored.name, 99), ("empty", 1)):
            with pytest.raises(InvalidRangeError):
                self._raised(driver, bucket, key, ReadOptions(start))
        download = driver.get_object(bucket.name, "empty", ReadOptions(0, 5))
        with closing(download.stream) as stream:
            assert (download.start, download.length, stream.read(1)) == (0, 0, b"")

    def _raised(self, driver: Driver, bucket: Bucket, key: str, options: ReadOptions) -> None:
        """Read as the session does, so that the SDK's own exception counts as what it means."""
        session = bucket.provider.session
        session.call(driver.get_object, bucket.name, key, options).stream.close()

    @needs("conditional_read")
    def test_conditional_reads(self, driver: Driver, bucket: Bucket, stored: BucketObject) -> None:
        self._raised(driver, bucket, stored.name, ReadOptions(if_match=stored.etag))
        self._raised(driver, bucket, stored.name, ReadOptions(if_none_match="other"))
        with pytest.raises(PreconditionFailedError):
            self._raised(driver, bucket, stored.name, ReadOptions(if_match="other"))
        with pytest.raises(NotModifiedError):
            self._raised(driver, bucket, stored.name, ReadOptions(if_none_match=stored.etag))

    @lacks("conditional_read")
    def test_pinned_read_shows_another_version(self, driver: Driver, bucket: Bucket, stored: BucketObject) -> None:
        download = driver.get_object(bucket.name, stored.name, ReadOptions(if_match="other"))
        download.stream.close()
        assert download.info.etag == stored.etag != "other"

    def test_pages_keep_to_the_limit(self, driver: Driver, bucket: Bucket) -> None:
        keys = ["a/1", "a/2", "b", "c/1", "d", "e"]
        bucket.objects.upload_many(dict.fromkeys(keys, b""))
        for limit in (1, 2, 3, 6, 1000):
            for delimiter, expected in (("", keys), ("/", ["a/", "b", "c/", "d", "e"])):
                found: list[str] = []
                token = None
                while True:
                    page = driver.list_objects(bucket.name, delimiter=delimiter, limit=limit, token=token)
                    assert len(page.items) + len(page.prefixes) <= limit
                    found += sorted([*page.prefixes, *(each.key for each in page.items)])
                    token = page.token
                    if token is None:
                        break
                assert found == expected

    @needs("batch_delete")
    def test_batch_delete(self, driver: Driver, bucket: Bucket) -> None:
        bucket.objects.upload_many({"a": b"", "b": b"", "c": b""})
        assert dict(driver.delete_objects(bucket.name, ["a", "missing", "c"])) == {}
        assert [each.name for each in bucket.objects] == ["b"]
        session = bucket.provider.session
        with pytest.raises(BucketNotFoundError):
            session.call(driver.delete_objects, f"{bucket.name}-x", ["a"])

    @needs("copy")
    def test_copy_of_a_certain_version(self, driver: Driver, bucket: Bucket, stored: BucketObject) -> None:
        session = bucket.provider.session
        names = (bucket.name, stored.name, bucket.name, "copy")
        with pytest.raises(PreconditionFailedError):
            session.call(driver.copy_object, *names, source=ReadOptions(if_match="other"))
        assert bucket.objects.get("copy") is None
        written = session.call(driver.copy_object, *names, source=ReadOptions(if_match=stored.etag))
        assert written.etag == driver.head_object(bucket.name, "copy").etag

    @needs("multipart")
    def test_finished_upload_answers_what_head_answers(self, driver: Driver, bucket: Bucket) -> None:
        upload_id = driver.start_upload(bucket.name, "a", PutOptions())
        part = driver.upload_part(bucket.name, "a", upload_id, 3, BytesBody(b"part"))
        assert part == Part(3, part.etag, 4)
        assert list(driver.list_parts(bucket.name, "a", upload_id)) == [part]
        written = driver.finish_upload(bucket.name, "a", upload_id, [part], PutOptions())
        info = driver.head_object(bucket.name, "a")
        assert (info.etag, info.size) == (written.etag, 4)
        assert dict(written.checksums or {}).items() <= dict(info.checksums or {}).items()

    @needs("list_uploads")
    def test_uploads_are_paged(self, driver: Driver, bucket: Bucket) -> None:
        started = [driver.start_upload(bucket.name, f"k{number // 2}", PutOptions()) for number in range(5)]
        for limit in (1, 2, 5):
            found = []
            token = None
            while True:
                page = driver.list_uploads(bucket.name, limit=limit, token=token)
                assert len(page.items) <= limit
                found += [each.upload_id for each in page.items]
                token = page.token
                if token is None:
                    break
            assert (len(found), set(found)) == (5, set(started))
