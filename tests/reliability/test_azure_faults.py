"""Faults on the wire to Azure."""

from __future__ import annotations

from servers.azure_harnesses import AzuriteHarness
from servers.suites import OnServer

from cloudbridge_store.testing.reliability import FaultSuite


class TestAzuriteFaults(OnServer, FaultSuite):
    kind = AzuriteHarness
