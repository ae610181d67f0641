"""Faults on the wire to S3 services."""

from __future__ import annotations

from servers.harnesses import MotoHarness, SwiftHarness
from servers.suites import OnServer

from cloudbridge_store.testing.reliability import FaultSuite


class TestMotoFaults(OnServer, FaultSuite):
    kind = MotoHarness


class TestSwiftFaults(OnServer, FaultSuite):
    kind = SwiftHarness
