"""The conformance suite on AWS, against moto: as AWS itself, and as a service nobody has described."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import ClassVar

import pytest
from servers import moto

from cloudbridge_store import CloudProviderFactory, ProviderList
from cloudbridge_store.testing import ConformanceSuite, ProviderHarness
from cloudbridge_store.testing.keys import LITERAL_KEYS

if os.environ.get("CI") != "true":
    pytest.importorskip("boto3")
    pytest.importorskip("moto")


class MotoHarness(ProviderHarness):
    """moto, with all that AWS has.

    It checks neither the terms of a form nor a customer's key. It does not keep a checksum that it is given, so that
    MD5 takes its place; and its list of unfinished uploads knows no pages and tells one and the same time for all, so
    that there is none.
    """

    preset: ClassVar[str] = "aws"
    region: ClassVar[str] = "eu-west-1"
    # Its routes end at a line's end.
    unlisted_keys = frozenset({LITERAL_KEYS["newline"]})

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
            "s3_checksum": "md5",
            "s3_post_policy": False,
            "s3_encryption": "service,kms",
            **overrides,
        }
        provider = CloudProviderFactory().create_provider(ProviderList.AWS, config)
        driver = provider.session.driver
        driver.capabilities = replace(driver.capabilities, list_uploads=False)
        return provider


class OtherHarness(MotoHarness):
    """moto, as a service of which only the address is known.

    moto's first version of the listing counts no common prefixes and names a marker that is none.
    """

    preset = "other"
    region = "us-east-1"
    # A listing that is not URL-encoded cannot hold them.
    unlisted_keys = frozenset(LITERAL_KEYS[what] for what in ("newline", "return", "escape"))

    def make_provider(self, **overrides):
        return super().make_provider(**{"s3_list_version": 2, **overrides})


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
