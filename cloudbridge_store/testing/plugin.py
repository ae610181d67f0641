"""Fixtures for the tests of programs that use this library: a store in memory, empty for every test.

In ``conftest.py``::

    pytest_plugins = ["cloudbridge_store.testing.plugin"]

and then::

    def test_report_is_stored(memory_bucket):
        publish_report(memory_bucket)
        assert memory_bucket.objects.get("report.html").content_type == "text/html"

It is asked for by name, not found by pytest, so that having the library installed slows no other test run.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.factory import CloudProviderFactory, ProviderList
from cloudbridge_store.provider import CloudProvider


@pytest.fixture
def memory_provider() -> Iterator[CloudProvider]:
    """A provider whose store is empty, and nobody else's."""
    config = {"memory_namespace": f"test-{uuid.uuid4().hex}"}
    with CloudProviderFactory().create_provider(ProviderList.MEMORY, config) as provider:
        yield provider


@pytest.fixture
def memory_bucket(memory_provider: CloudProvider) -> Bucket:
    """An empty bucket of :func:`memory_provider`."""
    return memory_provider.storage.buckets.create("test-bucket")
