"""The conformance suite on AWS, against moto: as AWS itself, and as a service nobody has described."""

from __future__ import annotations

from typing import ClassVar

import pytest
from servers import moto

from cloudbridge_store import CloudProviderFactory, ProviderList
from cloudbridge_store.testing import ConformanceSuite, ProviderHarness


class MotoHarness(ProviderHarness):
    """moto, with all that AWS has."""

    preset: ClassVar[str] = "aws"
    region: ClassVar[str] = "eu-west-1"

    def __init__(self, url):
        super().__init__()
        self._url = url

    def make_provider(self, **overrides):
        config = {
            "aws_access_key": moto.ACCESS_KEY,
            "aws_secret_key": moto.SECRET_KEY,
            "aws_region_name": self.region,
            "s3_endpoint_url": self._url,
            "s3_preset": self.preset,
            "s3_addressing_style": "path",
            **overrides,
        }
        return CloudProviderFactory().create_provider(ProviderList.AWS, config)


class OtherHarness(MotoHarness):
    """moto, as a service of which only the address is known."""

    preset = "other"
    region = "us-east-1"


@pytest.fixture(scope="session")
def moto_url(server):
    return server("moto").url


class TestAws(ConformanceSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, moto_url):
        with MotoHarness(moto_url) as harness:
            yield harness


class TestOther(ConformanceSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, moto_url):
        with OtherHarness(moto_url) as harness:
            yield harness
