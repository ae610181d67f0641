"""The conformance suite on MEMORY."""

from __future__ import annotations

import pytest
from servers.inside import MemoryHarness

from cloudbridge_store.testing import ConformanceSuite


class TestMemory(ConformanceSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls):
        with MemoryHarness() as harness:
            yield harness
