"""Fixtures of several integration tests."""

from __future__ import annotations

import pytest
from servers.canaries import Watch, walk

from cloudbridge_store import CloudProviderFactory


@pytest.fixture
def watch():
    """What is shown while a test runs, for secrets to be looked for in it."""
    with Watch() as watch:
        yield watch


@pytest.fixture
def make_watched(watch):
    """Make providers whose events, and which themselves, are looked at."""
    made = []

    def start(name, **given):
        def see(event):
            watch.see_object("event", event)

        provider = CloudProviderFactory().create_provider(name, {"on_event": see, "retry_attempts": 1, **given})
        made.append(provider)
        return provider

    yield start
    for provider in made:
        watch.see(f"{provider.name} in the end", *walk(provider))
        provider.close()


@pytest.fixture(scope="module")
def harness(request, server):
    """The store that a module's tests are about: its ``HARNESS``."""
    kind = request.module.HARNESS
    with kind(server(kind.kind)) as harness:
        yield harness


@pytest.fixture(scope="module")
def provider(harness):
    """A provider of it."""
    with harness.make_provider() as provider:
        yield provider


@pytest.fixture
def bucket(harness, provider):
    """An empty bucket there."""
    bucket = harness.make_bucket(provider)
    yield bucket
    harness.remove_bucket(bucket)
