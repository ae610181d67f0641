"""Faults on the wire to S3 services."""

from __future__ import annotations

import pytest
from servers.harnesses import MotoHarness, SwiftHarness

from cloudbridge_store.testing.reliability import FaultSuite


class TestMotoFaults(FaultSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, server):
        with MotoHarness(server("moto")) as harness:
            yield harness


class TestSwiftFaults(FaultSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, server):
        with SwiftHarness(server("swift")) as harness:
            yield harness
