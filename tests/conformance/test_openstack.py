"""The conformance suite on everything that speaks Swift's own protocol."""

from __future__ import annotations

import pytest
from servers.openstack_harnesses import (
    CephSwiftHarness,
    KeystoneHarness,
    RackspaceHarness,
    SwiftHarness,
    WeakSwiftHarness,
)
from servers.suites import OnServer

from cloudbridge_store.errors import UnsupportedOperationError
from cloudbridge_store.testing import ConformanceSuite
from cloudbridge_store.testing.conformance import (
    BucketSuite,
    CopyingSuite,
    DriverSuite,
    MultipartSuite,
    PublishingSuite,
    UploadSuite,
    UrlSuite,
    VersionSuite,
)
from cloudbridge_store.testing.keys import WEIRD_KEYS


class InSwiftsWords:
    """What Swift says in words of its own, in front of the suite."""

    def test_overridden_disposition(self, harness, stored):
        # Swift is told a file name, and makes the header of it itself, in two forms.
        disposition = "attachment; filename=\"a b;c.txt\"; filename*=UTF-8''%C3%A4.txt"
        answer = harness.get_url(stored.generate_url(100, content_disposition=disposition))
        assert (answer.status, answer.body) == (200, b"0123456789")
        said = answer.headers["content-disposition"]
        assert said.startswith("attachment;")
        # Ceph quotes the name, and does not say that it did.
        assert said.endswith(("filename*=UTF-8''%C3%A4.txt", 'filename="%C3%A4.txt"'))

    @pytest.mark.parametrize("what", WEIRD_KEYS)
    def test_reading_weird_keys(self, harness, bucket, what):
        if what == "slash":
            # tempurl takes a name of slashes alone for the container's own.
            with pytest.raises(UnsupportedOperationError, match="slashes"):
                bucket.objects.create(WEIRD_KEYS[what]).generate_url()
            return
        super().test_reading_weird_keys(harness, bucket, what)


class OpenStackSuite(InSwiftsWords, ConformanceSuite):
    """All of it."""


class TestSwift(OnServer, OpenStackSuite):
    kind = SwiftHarness


class TestSwiftWithWeakConditions(OnServer, CopyingSuite, MultipartSuite, UploadSuite):
    """What writes promise where their conditions are permitted, and what they refuse."""

    kind = WeakSwiftHarness


class TestKeystone(OnServer, OpenStackSuite):
    kind = KeystoneHarness


class TestRackspace(OnServer, InSwiftsWords, BucketSuite, DriverSuite, PublishingSuite, UrlSuite, VersionSuite):
    """The server is the Swift from above; these subjects are where Cloud Files differs."""

    kind = RackspaceHarness

    def test_website(self, bucket):
        # Only the CDN serves websites here.
        bucket.enable_cdn()
        super().test_website(bucket)


class TestCephSwift(OnServer, OpenStackSuite):
    kind = CephSwiftHarness

    def test_public_bucket(self, harness, bucket):
        # Ceph 16 with accounts in its addresses finds strangers no bucket but those of a tenant of the account's name.
        def acl():
            return bucket.provider.native.object_store.head(f"/{bucket.name}").headers.get("X-Container-Read")

        obj = bucket.objects.create("a").upload(b"for all")
        bucket.make_public()
        assert acl() == ".r:*"
        assert harness.get_url(obj.public_url).status in (401, 404)
        bucket.make_private()
        assert not acl()
