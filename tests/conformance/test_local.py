"""The conformance suite on LOCAL, in both layouts."""

from __future__ import annotations

import pytest
from servers.inside import LocalHarness, PlainHarness

from cloudbridge_store.testing import ConformanceSuite


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
