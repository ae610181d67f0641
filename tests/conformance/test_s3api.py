"""The conformance suite on OpenStack Swift's S3 API, which checks signatures."""

from __future__ import annotations

import pytest

from cloudbridge_store import CloudProviderFactory, ProviderList
from cloudbridge_store.testing import ConformanceSuite, ProviderHarness


class SwiftHarness(ProviderHarness):
    """Swift by its S3 API."""

    def __init__(self, server):
        super().__init__()
        self._server = server

    def make_provider(self, **overrides):
        config = {
            "aws_access_key": self._server.user,
            "aws_secret_key": self._server.password,
            "s3_endpoint_url": self._server.url,
            "s3_preset": "swift-s3",
            **overrides,
        }
        return CloudProviderFactory().create_provider(ProviderList.AWS, config)


class TestSwiftS3(ConformanceSuite):
    """The suite, but for a fault of Swift: to its S3 API an upload that was completed is still there."""

    def test_upload_is_over_when_completed(self, upload):
        upload.complete([upload.upload_part(1, b"1")])
        upload.abort()
        assert upload.bucket.objects.create(upload.object_name).content() == b"1"

    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, server):
        with SwiftHarness(server("swift")) as harness:
            yield harness
