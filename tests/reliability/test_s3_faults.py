"""Faults on the wire to S3 services."""

from __future__ import annotations

from servers.harnesses import MotoHarness, SwiftS3Harness
from servers.suites import OnServer

from cloudbridge_store.testing.reliability import FaultSuite


class TestMotoFaults(OnServer, FaultSuite):
    kind = MotoHarness


class TestSwiftS3Faults(OnServer, FaultSuite):
    kind = SwiftS3Harness
