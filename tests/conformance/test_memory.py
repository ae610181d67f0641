"""The conformance suite on MEMORY."""

from __future__ import annotations

from servers.inside import MemoryHarness
from servers.suites import Inside

from cloudbridge_store.testing import ConformanceSuite


class TestMemory(Inside, ConformanceSuite):
    kind = MemoryHarness
