"""Listings of Ceph's Swift API, whose pages are shorter than was asked for, and than its /info says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("keystoneauth1")

from servers.openstack_harnesses import CephSwiftHarness

HARNESS = CephSwiftHarness


def test_more_than_a_page_is_listed(bucket):
    names = [f"{number:04}" for number in range(1100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: bucket.objects.create(name).upload(b""), names))
    assert [each.name for each in bucket.objects] == names
    assert [each.name for each in bucket.objects.list(limit=1050)] == names[:1050]
    # The server's page is no longer, as long as this is worth a test.
    driver = bucket.provider.session.driver
    assert len(driver.list_objects(bucket.name, limit=10_000).items) == 1000
