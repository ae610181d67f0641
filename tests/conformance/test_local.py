"""The conformance suite on LOCAL, in both layouts."""

from __future__ import annotations

from servers.inside import LocalHarness, PlainHarness
from servers.suites import Inside

from cloudbridge_store.testing import ConformanceSuite


class TestEncoded(Inside, ConformanceSuite):
    kind = LocalHarness


class TestPlain(Inside, ConformanceSuite):
    kind = PlainHarness
