"""The driver for AWS works through the proxy as without it, signed URLs too; and what fails on the way is noticed."""

from __future__ import annotations

import pytest

pytest.importorskip("boto3")

from servers import moto

from cloudbridge_store import CloudProviderFactory, RetryConfig, TransferConfig
from cloudbridge_store.errors import IntegrityError
from cloudbridge_store.testing import ProviderHarness
from cloudbridge_store.testing.fault_proxy import FaultProxy, FlipAnswerBit, LostAnswer, Match, Rule, Status
from cloudbridge_store.testing.fixtures import noise

MiB = 2**20
KEY = "dir/ä b+c%2F?x=%20&y#z"


class ProxiedHarness(ProviderHarness):
    def __init__(self, proxy):
        super().__init__()
        self.proxy = proxy

    def make_provider(self, **overrides):
        config = {
            "aws_access_key": moto.ACCESS_KEY,
            "aws_secret_key": moto.SECRET_KEY,
            "aws_region_name": "eu-west-1",
            "s3_endpoint_url": self.proxy.url,
            "s3_preset": "aws",
            "s3_addressing_style": "path",
            "s3_checksum": "md5",
            "retry": RetryConfig(attempts=3, base=0.001, throttled_base=0.001),
            **overrides,
        }
        return CloudProviderFactory().create_provider("aws", config)


@pytest.fixture
def harness(server):
    with FaultProxy(server("moto").url) as proxy:
        with ProxiedHarness(proxy) as harness:
            yield harness
        assert proxy.errors == []


@pytest.fixture
def bucket(harness):
    with harness.make_provider() as provider:
        yield harness.make_bucket(provider)


def test_objects_and_signed_urls(harness, bucket):
    content = noise(12 * MiB)
    for key in ("k", KEY, "a//b"):
        stored = bucket.objects.create(key)
        stored.upload(content, TransferConfig(5 * MiB, 5 * MiB, 2))
        assert stored.content() == content
        assert harness.get_url(stored.generate_url()).body == content
        assert harness.get_url(stored.generate_url() + "0").status == 403
    assert sorted(each.name for each in bucket.objects.list()) == sorted(["k", KEY, "a//b"])
    assert {request.status for request in harness.proxy.requests} <= {200, 204, 206, 403, 404}
    assert moto.SECRET_KEY not in repr(harness.proxy.requests)
    assert moto.ACCESS_KEY not in repr(harness.proxy.requests)


def test_what_fails_on_the_way_is_made_good_or_told(harness, bucket):
    content = noise(1000)
    harness.proxy.add(
        Rule(Match("PUT", path="/k$"), LostAnswer()),
        Rule(Match("PUT", path="/k$"), Status(503)),
        Rule(Match("GET", path="/k$"), FlipAnswerBit(), at=-1),
    )
    stored = bucket.objects.create("k").upload(content)
    with pytest.raises(IntegrityError):
        stored.content()
    assert stored.content() == content
    harness.proxy.assert_consumed()
    sent = [(each.method, each.fault) for each in harness.proxy.requests if each.target.endswith("/k")]
    assert sent[:3] == [("PUT", "LostAnswer"), ("PUT", "Status"), ("PUT", None)]
    assert sent[-2:] == [("GET", "FlipAnswerBit"), ("GET", None)]
