"""Faults around the drivers that have no wire."""

from __future__ import annotations

import pytest
from servers.inside import LocalHarness, MemoryHarness

from cloudbridge_store.testing.reliability import FaultSuite


class TestMemoryFaults(FaultSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls):
        with MemoryHarness() as harness:
            yield harness


class TestLocalFaults(FaultSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls):
        with LocalHarness() as harness:
            yield harness
