"""The conformance suite on LOCAL, in both layouts."""

from __future__ import annotations

import shutil
import tempfile
from typing import ClassVar

import pytest

from cloudbridge_store import CloudProviderFactory, ProviderList
from cloudbridge_store.testing import WEIRD_KEYS, ConformanceSuite, ProviderHarness

# A file's path has no empty segments, and a name in it has at most 255 bytes.
_NO_PATHS = frozenset(
    key
    for key in WEIRD_KEYS.values()
    if "" in key.split("/") or any(len(segment.encode()) > 255 for segment in key.split("/"))
)


class LocalHarness(ProviderHarness):
    """A directory of its own, in the layout that holds every key."""

    layout: ClassVar[str] = "encoded"

    def __init__(self):
        super().__init__()
        self._root = tempfile.mkdtemp(prefix="cbs-local-")

    def make_provider(self, **overrides):
        config = {"local_root": self._root, "local_layout": self.layout, "local_fsync": False, **overrides}
        return CloudProviderFactory().create_provider(ProviderList.LOCAL, config)

    def close(self):
        super().close()
        shutil.rmtree(self._root)


class PlainHarness(LocalHarness):
    """The layout whose keys are paths."""

    layout = "plain"
    refused_keys = _NO_PATHS


class TestEncoded(ConformanceSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls):
        with LocalHarness() as harness:
            yield harness


class TestPlain(ConformanceSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls):
        with PlainHarness() as harness:
            yield harness
