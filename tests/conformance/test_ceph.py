"""The conformance suite on a Ceph RADOS Gateway, over http and over https."""

from __future__ import annotations

import ssl
from typing import ClassVar

import pytest

from cloudbridge_store import CloudProviderFactory, Encryption, ProviderList
from cloudbridge_store.errors import InvalidRequestError, UnsupportedOperationError
from cloudbridge_store.testing import ConformanceSuite, ProviderHarness
from cloudbridge_store.testing.keys import LITERAL_KEYS


class CephHarness(ProviderHarness):
    """Ceph over http."""

    preset: ClassVar[str] = "ceph"
    # A listing that is not URL-encoded cannot hold it.
    unlisted_keys = frozenset({LITERAL_KEYS["escape"]})

    def __init__(self, server):
        super().__init__()
        self._server = server

    def make_provider(self, **overrides):
        config = {
            "aws_access_key": self._server.access_key,
            "aws_secret_key": self._server.secret_key,
            "s3_endpoint_url": self._server.url,
            "s3_preset": self.preset,
            **overrides,
        }
        return CloudProviderFactory().create_provider(ProviderList.AWS, config)


class TlsHarness(CephHarness):
    """Ceph over https, with a certificate that is checked."""

    def __init__(self, server):
        super().__init__(server)
        self.tls = ssl.create_default_context(cafile=server.ca_bundle)

    def make_provider(self, **overrides):
        there = {"s3_endpoint_url": self._server.tls_url, "ca_bundle": str(self._server.ca_bundle)}
        return super().make_provider(**{**there, **overrides})


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


class TestCeph(CephSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, server):
        with CephHarness(server("ceph")) as harness:
            yield harness


class TestCephByTls(CephSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, server):
        with TlsHarness(server("ceph")) as harness:
            yield harness
