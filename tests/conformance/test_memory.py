"""The conformance suite on MEMORY."""

from __future__ import annotations

import uuid

import pytest

from cloudbridge_store import CloudProviderFactory, ProviderList
from cloudbridge_store.testing import ConformanceSuite, ProviderHarness


class MemoryHarness(ProviderHarness):
    """A namespace of its own."""

    def __init__(self):
        super().__init__()
        self._namespace = f"conformance-{uuid.uuid4().hex}"

    def make_provider(self, **overrides):
        config = {"memory_namespace": self._namespace, **overrides}
        return CloudProviderFactory().create_provider(ProviderList.MEMORY, config)


class TestMemory(ConformanceSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls):
        with MemoryHarness() as harness:
            yield harness
