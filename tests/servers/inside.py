"""What the suites have to know of the stores that are within the process."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from typing import ClassVar

from cloudbridge_store import CloudProviderFactory, ProviderList
from cloudbridge_store.testing import WEIRD_KEYS, ProviderHarness

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


class MemoryHarness(ProviderHarness):
    """A namespace of its own."""

    def __init__(self):
        super().__init__()
        self._namespace = f"conformance-{uuid.uuid4().hex}"

    def make_provider(self, **overrides):
        config = {"memory_namespace": self._namespace, **overrides}
        return CloudProviderFactory().create_provider(ProviderList.MEMORY, config)
