"""Faults on the wire to Google Cloud Storage."""

from __future__ import annotations

import pytest

pytest.importorskip("google.cloud.storage")

from servers.gcs_harnesses import GcsHarness
from servers.suites import OnServer

from cloudbridge_store.testing.reliability import FaultSuite


class TestGcpFaults(OnServer, FaultSuite):
    kind = GcsHarness
