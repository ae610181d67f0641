"""Encryption chosen by the writer: the service's key, its key management's, or the customer's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.config import TransferConfig
from cloudbridge_store.drivers.base import Encryption
from cloudbridge_store.errors import InvalidValueException, StoreError, UnsupportedOperationError
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.testing.fixtures import StoreFixtures, lacks, needs, noise, offline_bucket
from cloudbridge_store.testing.harness import ProviderHarness

_OWN = Encryption.customer(b"k" * 32)
_OTHER = Encryption.customer(b"o" * 32)


class EncryptionSuite(StoreFixtures):
    """``encryption=`` of uploads, of ``create`` and of ``get``."""

    @needs("encryption", "service")
    def test_the_services_key(self, bucket: Bucket) -> None:
        obj = bucket.objects.create("a").upload(b"content", encryption=Encryption())
        assert (obj.content(), obj.size) == (b"content", 7)

    @needs("encryption", "kms")
    def test_a_key_of_the_key_management(self, harness: ProviderHarness, bucket: Bucket) -> None:
        obj = bucket.objects.create("a").upload(b"content", encryption=Encryption.kms(harness.kms_key))
        assert obj.content() == b"content"

    @needs("encryption", "customer")
    def test_the_customers_key_opens_every_way_of_reading(self, bucket: Bucket, tmp_path: Path) -> None:
        written = bucket.objects.create("a", encryption=_OWN).upload(b"0123456789", metadata={"m": "1"})
        found = bucket.objects.get("a", encryption=_OWN)
        assert found is not None
        for obj in (written, found):
            assert (obj.size, obj.metadata, obj.exists()) == (10, {"m": "1"}, True)
            assert (obj.content(), obj.read_range(3, 4)) == (b"0123456789", b"3456")
        with found.open("rb") as file:
            file.seek(8)
            assert file.read() == b"89"
        found.download_to_file(tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == b"0123456789"

    @needs("encryption", "customer")
    def test_nothing_is_read_without_the_key_or_with_another(self, bucket: Bucket) -> None:
        bucket.objects.create("a").upload(b"secret", encryption=_OWN)
        for obj in (bucket.objects.create("a"), bucket.objects.create("a", encryption=_OTHER)):
            with pytest.raises(StoreError):
                obj.content()

    @needs("encryption", "customer")
    @needs("multipart")
    def test_parts_with_the_customers_key(self, bucket: Bucket, provider: CloudProvider, tmp_path: Path) -> None:
        part = provider.session.upload_limits().min_part
        content = noise(2 * part + 17)
        config = TransferConfig(threshold=part, part_size=part, max_concurrency=2)
        obj = bucket.objects.create("a", encryption=_OWN).upload(content, config)
        assert obj.content() == content
        obj.download_to_file(tmp_path / "file", config)
        assert (tmp_path / "file").read_bytes() == content
        upload = bucket.objects.create("b").create_multipart_upload(encryption=_OWN)
        assert upload.complete([upload.upload_part(1, b"one part")]).content() == b"one part"

    @needs("encryption", "customer")
    @needs("copy")
    def test_copies_with_the_customers_key(self, bucket: Bucket) -> None:
        obj = bucket.objects.create("a", encryption=_OWN).upload(b"secret", metadata={"m": "1"})
        copied = obj.copy_to(bucket, "kept")
        assert (copied.content(), copied.metadata) == (b"secret", {"m": "1"})
        with pytest.raises(StoreError):
            bucket.objects.create("kept").content()
        changed = obj.copy_to(bucket, "changed", encryption=_OTHER)
        assert changed.content() == b"secret"
        opened = obj.copy_to(bucket, "opened", content_type="text/plain")
        assert (opened.content(), bucket.objects.create("opened").content()) == (b"secret", b"secret")

    def test_a_key_never_shows(self) -> None:
        assert "kkk" not in repr(_OWN)
        wrong: tuple[Any, ...] = (b"", b"k" * 31, b"k" * 33, "k" * 32)
        for key in wrong:
            with pytest.raises(InvalidValueException) as caught:
                Encryption.customer(key)
            assert "kkk" not in str(caught.value)

    @lacks("encryption", "customer")
    def test_the_customers_key_is_refused(self, unreachable: CloudProvider) -> None:
        objects = offline_bucket(unreachable).objects
        with pytest.raises(UnsupportedOperationError):
            objects.create("a", encryption=_OWN)
        with pytest.raises(UnsupportedOperationError):
            objects.get("a", encryption=_OWN)
        with pytest.raises(UnsupportedOperationError):
            objects.create("a").upload(b"", encryption=_OWN)

    @lacks("encryption", "kms")
    def test_key_management_is_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(UnsupportedOperationError):
            offline_bucket(unreachable).objects.create("a").upload(b"", encryption=Encryption.kms("key"))

    @lacks("encryption", "service")
    def test_the_services_key_is_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(UnsupportedOperationError):
            offline_bucket(unreachable).objects.create("a").upload(b"", encryption=Encryption())
