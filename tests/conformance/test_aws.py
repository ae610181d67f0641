"""The conformance suite on AWS, against moto: as AWS itself, and as a service nobody has described."""

from __future__ import annotations

import pytest
from servers.harnesses import MotoHarness, OtherHarness

from cloudbridge_store.testing import ConformanceSuite


class TestAws(ConformanceSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, server):
        with MotoHarness(server("moto")) as harness:
            yield harness


class TestOther(ConformanceSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, server):
        with OtherHarness(server("moto")) as harness:
            yield harness
