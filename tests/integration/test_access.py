"""Wrong keys and other people's buckets, on servers that check."""

from __future__ import annotations

import pytest
from servers.harnesses import CephHarness, CephTlsHarness, SwiftS3Harness

from cloudbridge_store.errors import (
    AuthenticationError,
    ConnectionFailedError,
    DuplicateResourceException,
    PermissionDeniedError,
)
from cloudbridge_store.testing.fixtures import offline_bucket


@pytest.fixture(params=[SwiftS3Harness, CephHarness, CephTlsHarness], ids=lambda kind: kind.__name__)
def harness(request, server):
    with request.param(server(request.param.kind)) as harness:
        yield harness


@pytest.fixture
def ceph(server):
    with CephHarness(server("ceph")) as harness:
        yield harness


@pytest.fixture
def bucket(harness):
    with harness.make_provider() as provider:
        yield harness.make_bucket(provider)


def test_wrong_secret_key(harness, bucket):
    bucket.objects.create("a").upload(b"1")
    with harness.make_provider(aws_secret_key="wrong") as other:
        there = other.storage.buckets
        for use in (there.list, lambda: there.create(harness.bucket_name())):
            with pytest.raises(AuthenticationError):
                use()
        with pytest.raises(AuthenticationError):
            offline_bucket(other, bucket.name).objects.create("a").upload(b"2")
    assert bucket.objects.create("a").content() == b"1"


def test_unknown_access_key(harness):
    with harness.make_provider(aws_access_key="nobody") as other, pytest.raises(AuthenticationError):
        other.storage.buckets.list()


def test_bucket_of_somebody_else(ceph):
    keys = {"aws_access_key": ceph.server.other_access_key, "aws_secret_key": ceph.server.other_secret_key}
    with ceph.make_provider() as provider, ceph.make_provider(**keys) as other:
        bucket = ceph.make_bucket(provider)
        bucket.objects.create("a").upload(b"1")
        with pytest.raises(DuplicateResourceException):
            other.storage.buckets.create(bucket.name)
        assert bucket.name not in [each.name for each in other.storage.buckets]
        with pytest.raises(PermissionDeniedError):
            other.storage.buckets.get(bucket.name)


def test_certificate_of_a_stranger(server):
    harness = CephTlsHarness(server("ceph"))
    with harness.make_provider(ca_bundle=None) as provider, pytest.raises(ConnectionFailedError, match="ca_bundle"):
        provider.storage.buckets.list()
