"""The conformance suite on OpenStack Swift's S3 API, which checks signatures."""

from __future__ import annotations

from servers.harnesses import SwiftS3Harness
from servers.suites import OnServer

from cloudbridge_store.testing import ConformanceSuite


class TestSwiftS3(OnServer, ConformanceSuite):
    """The suite, but for a fault of Swift: to its S3 API an upload that was completed is still there."""

    kind = SwiftS3Harness

    def test_upload_is_over_when_completed(self, upload):
        upload.complete([upload.upload_part(1, b"1")])
        upload.abort()
        assert upload.bucket.objects.create(upload.object_name).content() == b"1"
