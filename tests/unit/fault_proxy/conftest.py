"""A server and a proxy in front of it, for each test its own."""

from __future__ import annotations

import pytest
from servers.raw import PLAIN, RawServer

from cloudbridge_store.testing.fault_proxy import FaultProxy, Rule


@pytest.fixture
def serve():
    """Start both: ``server, proxy = serve(answer, rule...)``."""
    made = []

    def start(answer=PLAIN, *rules, early=lambda head: b"", **options):
        server = RawServer(answer if callable(answer) else lambda got: answer, early)
        made.append(server)
        made.append(FaultProxy(server.url, rules, **options))
        return made[-2:]

    yield start
    for each in reversed(made):
        each.close()


@pytest.fixture
def fail(serve):
    """Start both with one rule: ``server, proxy, rule = fail(fault, answer, times=2...)``."""

    def start(fault, answer=PLAIN, **options):
        rule = Rule(fault=fault, **options)
        return *serve(answer, rule), rule

    return start
