"""The conformance suite on a Ceph RADOS Gateway, over http and over https."""

from __future__ import annotations

import pytest
from servers.harnesses import AuroraHarness, CephHarness, CephTlsHarness
from servers.suites import OnServer

from cloudbridge_store import Encryption
from cloudbridge_store.errors import InvalidRequestError, UnsupportedOperationError
from cloudbridge_store.testing import ConformanceSuite
from cloudbridge_store.testing.conformance import BucketSuite, ListingSuite, UploadSuite, UrlSuite


class CephSuite(ConformanceSuite):
    """The suite, but for three faults of Ceph 16, which the driver can only refuse, or pass on."""

    def test_metadata_is_stored(self, bucket):
        # Ceph makes a hyphen of an underscore.
        with pytest.raises(UnsupportedOperationError, match="underscore"):
            bucket.objects.create("a").upload(b"", metadata={"with_underscore": "y"})
        assert bucket.objects.get("a") is None
        given = {
            "with-dash": "x",
            "unicode": "Zürich 東京 🗃",
            "spaces": " x  y ",
            "empty": "",
            "percent": "100%25 a%20b",
        }
        bucket.objects.create("a").upload(b"", metadata=given)
        assert bucket.objects.create("a").metadata == given

    def test_copies_with_the_customers_key(self, bucket):
        # Ceph 16 copies nothing that has one.
        obj = bucket.objects.create("a", encryption=Encryption.customer(b"k" * 32)).upload(b"secret")
        with pytest.raises(UnsupportedOperationError):
            obj.copy_to(bucket, "b")
        assert bucket.objects.get("b") is None

    def test_only_the_parts_named_are_used(self, upload, piece):
        # Ceph takes all parts or none.
        upload.upload_part(1, piece)
        second = upload.upload_part(2, b"2")
        with pytest.raises(InvalidRequestError):
            upload.complete([second])
        upload.complete()
        assert upload.bucket.objects.create(upload.object_name).content() == piece + b"2"


class TestCeph(OnServer, CephSuite):
    kind = CephHarness


class TestCephByTls(OnServer, CephSuite):
    kind = CephTlsHarness


class TestAuroraObjects(OnServer, BucketSuite, UploadSuite, ListingSuite, UrlSuite):
    """Ceph is what AuroraObjects runs on; these subjects are where its preset differs."""

    kind = AuroraHarness
