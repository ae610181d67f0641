"""The conformance suite on AWS, against moto: as AWS itself, and as a service nobody has described."""

from __future__ import annotations

from servers.harnesses import MotoHarness, OtherHarness
from servers.suites import OnServer

from cloudbridge_store.testing import ConformanceSuite


class TestAws(OnServer, ConformanceSuite):
    kind = MotoHarness


class TestOther(OnServer, ConformanceSuite):
    kind = OtherHarness
