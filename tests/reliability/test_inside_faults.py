"""Faults around the drivers that have no wire."""

from __future__ import annotations

import uuid

import pytest

from cloudbridge_store import CloudProviderFactory
from cloudbridge_store.testing import ProviderHarness
from cloudbridge_store.testing.reliability import FaultSuite


class MemoryHarness(ProviderHarness):
    def __init__(self):
        super().__init__()
        self._namespace = uuid.uuid4().hex

    def make_provider(self, **overrides):
        config = {"memory_namespace": self._namespace, **overrides}
        return CloudProviderFactory().create_provider("memory", config)


class LocalHarness(ProviderHarness):
    def __init__(self, root):
        super().__init__()
        self._root = root

    def make_provider(self, **overrides):
        config = {"local_root": str(self._root), "local_fsync": False, **overrides}
        return CloudProviderFactory().create_provider("local", config)


class TestMemoryFaults(FaultSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls):
        with MemoryHarness() as harness:
            yield harness


class TestLocalFaults(FaultSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, tmp_path_factory):
        with LocalHarness(tmp_path_factory.mktemp("local")) as harness:
            yield harness
