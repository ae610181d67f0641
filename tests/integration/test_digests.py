"""What arrives otherwise than it was sent is refused, on servers that compare digests."""

from __future__ import annotations

import zlib

import pytest
from botocore.exceptions import ClientError
from servers.harnesses import CephHarness, CephTlsHarness, MotoHarness, OtherHarness, SwiftS3Harness

from cloudbridge_store.core.source import BytesBody
from cloudbridge_store.drivers.base import PutOptions
from cloudbridge_store.errors import IntegrityError


class Damaged(BytesBody):
    """A body whose digests are another's, as if it had changed on its way."""

    md5 = bytes(16)
    crc32 = 1


@pytest.fixture(
    params=[MotoHarness, OtherHarness, SwiftS3Harness, CephHarness, CephTlsHarness], ids=lambda kind: kind.__name__
)
def bucket(request, server):
    with request.param(server(request.param.kind)) as harness, harness.make_provider() as provider:
        yield harness.make_bucket(provider)


def test_damaged_object_is_not_stored(bucket):
    driver = bucket.provider.session.driver
    bucket.objects.create("a").upload(b"old")
    with pytest.raises((IntegrityError, ClientError)) as caught:
        driver.put_object(bucket.name, "a", Damaged(b"new"), PutOptions())
    assert driver.classify(caught.value).error is IntegrityError
    assert bucket.objects.create("a").content() == b"old"


def test_damaged_part_is_not_stored(bucket):
    driver = bucket.provider.session.driver
    upload = bucket.objects.create("a").create_multipart_upload()
    with pytest.raises((IntegrityError, ClientError)) as caught:
        driver.upload_part(bucket.name, "a", upload.id, 1, Damaged(b"new"))
    assert driver.classify(caught.value).error is IntegrityError
    assert upload.list_parts() == []


def test_upload_in_parts_has_one_checksum_of_the_whole(server):
    with MotoHarness(server("moto")) as harness, harness.make_provider() as provider:
        bucket = harness.make_bucket(provider)
        upload = bucket.objects.create("a").create_multipart_upload()
        pieces = [bytes(provider.capabilities.min_part), b"last"]
        upload.complete([upload.upload_part(number, piece) for number, piece in enumerate(pieces, 1)])
        info = provider.session.driver.head_object(bucket.name, "a")
        assert info.checksums["crc32"] == f"{zlib.crc32(b''.join(pieces)):08x}"
        assert bucket.objects.create("a").content() == b"".join(pieces)
