"""Faults on the wire to Swift."""

from __future__ import annotations

from servers.openstack_harnesses import CephSwiftHarness, KeystoneHarness, SwiftHarness
from servers.suites import OnServer

from cloudbridge_store.testing.reliability import FaultSuite


class TestSwiftFaults(OnServer, FaultSuite):
    kind = SwiftHarness


class TestKeystoneFaults(OnServer, FaultSuite):
    kind = KeystoneHarness


class TestCephSwiftFaults(OnServer, FaultSuite):
    kind = CephSwiftHarness
