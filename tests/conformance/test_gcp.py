"""The conformance suite on Google Cloud Storage, against the fake of it."""

from __future__ import annotations

import pytest

pytest.importorskip("google.cloud.storage")

from servers.gcs_harnesses import GcsHarness
from servers.suites import OnServer

from cloudbridge_store.testing import ConformanceSuite


class TestGcp(OnServer, ConformanceSuite):
    kind = GcsHarness
