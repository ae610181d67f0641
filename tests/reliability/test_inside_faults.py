"""Faults around the drivers that have no wire."""

from __future__ import annotations

from servers.inside import LocalHarness, MemoryHarness
from servers.suites import Inside

from cloudbridge_store.testing.reliability import FaultSuite


class TestMemoryFaults(Inside, FaultSuite):
    kind = MemoryHarness


class TestLocalFaults(Inside, FaultSuite):
    kind = LocalHarness
