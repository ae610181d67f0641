"""Copies of large objects: Swift compares conditions of a plain object that was made of one with that one's ETag."""

from __future__ import annotations

import pytest

pytest.importorskip("keystoneauth1")

from servers.openstack_harnesses import SwiftHarness

from cloudbridge_store import TransferConfig, errors
from cloudbridge_store.drivers.base import ReadOptions
from cloudbridge_store.drivers.openstack import copying
from cloudbridge_store.drivers.openstack.errors import AnswerError
from cloudbridge_store.testing.fault_proxy import FaultProxy, LostAnswer, Match, Rule, Status
from cloudbridge_store.testing.fixtures import noise

HARNESS = SwiftHarness
MiB = 2**20
CUT = TransferConfig(threshold=MiB, part_size=MiB, max_concurrency=2)
LARGE = noise(2 * MiB + 1000, seed=9)


@pytest.fixture
def copy(bucket):
    """A plain object that another program had Swift make of a large one."""
    swift = bucket.provider.native.object_store
    bucket.objects.create("large").upload(LARGE, CUT)
    swift.put(f"/{bucket.name}/copy", headers={"X-Copy-From": f"/{bucket.name}/large"})
    found = bucket.objects.get("copy")
    # As long as the server answers so, all this is worth a test.
    assert swift.get(f"/{bucket.name}/copy", headers={"If-Match": found.etag}).status_code == 412
    return found


def read(obj, options):
    download = obj.bucket.provider.session.driver.get_object(obj.bucket.name, obj.name, options)
    found = download.stream.read(len(LARGE))
    while len(found) < download.length:
        found += download.stream.read(len(LARGE))
    return found


def test_it_is_read_under_conditions(copy, tmp_path):
    assert read(copy, ReadOptions(if_match=copy.etag)) == LARGE
    assert read(copy, ReadOptions(MiB - 1, MiB + 2, if_match=copy.etag)) == LARGE[MiB - 1 : MiB + 2]
    copy.download_to_file(tmp_path / "copy", CUT)
    assert (tmp_path / "copy").read_bytes() == LARGE


def test_another_one_is_another(bucket, copy):
    etag = copy.etag
    bucket.objects.create("copy").upload(b"other")
    for another in (etag, "0" * 32):
        with pytest.raises(AnswerError) as caught:
            read(copy, ReadOptions(if_match=another))
        assert caught.value.status == 412


@pytest.mark.parametrize("options", [{}, {"content_type": "x/y"}], ids=str)
def test_it_is_copied(bucket, copy, options):
    assert copy.copy_to(bucket, "again", **options).content() == LARGE


def test_our_copies_answer_as_their_sources(bucket):
    source = bucket.objects.create("large").upload(LARGE, CUT)
    copy = source.copy_to(bucket, "copy", content_type="x/y")
    assert (copy.etag, copy.content_type) == (source.etag, "x/y")
    swift = bucket.provider.native.object_store
    assert swift.get(f"/{bucket.name}/copy", headers={"If-Match": copy.etag}).status_code == 200
    source.delete()
    assert copy.copy_to(bucket, "again").content() == LARGE


def test_parts_of_objects_are_copied_as_content(bucket):
    # A manifest of another program names a part of a segment: there is no object that is just this.
    bucket.objects.create("segment").upload(LARGE)
    entry = {"path": f"/{bucket.name}/segment", "range": f"1-{MiB + 1}"}
    swift = bucket.provider.native.object_store
    swift.put(f"/{bucket.name}/part?multipart-manifest=put", json=[entry])
    copy = bucket.objects.create("part").copy_to(bucket, "copy")
    bucket.objects.create("segment").delete()
    assert copy.content() == LARGE[1 : MiB + 2]


@pytest.mark.parametrize("content", [LARGE, b"small"], ids=["large", "small"])
def test_a_source_that_is_deleted_meanwhile_is_no_missing_bucket(bucket, monkeypatch, content):
    source = bucket.objects.create("source").upload(content, CUT)
    run = copying.Copy.run

    def delete_first(self, options):
        bucket.objects.create("source").delete()
        return run(self, options)

    monkeypatch.setattr(copying.Copy, "run", delete_first)
    with pytest.raises(errors.ObjectChangedError, match="deleted"):
        source.copy_to(bucket, "copy")
    monkeypatch.undo()
    assert list(bucket.objects) == []


def test_a_segment_that_fails_is_copied_again_by_itself(harness, bucket):
    source = bucket.objects.create("large").upload(LARGE, CUT)
    copied = Match("PUT", headers={"x-copy-from": "."})
    with FaultProxy(harness.upstream) as proxy, harness.make_provider_at(proxy.url) as provider:
        faults = [proxy.add(Rule(copied, fault, skip=1)) for fault in (Status(503), LostAnswer())]
        there = provider.storage.buckets.get(bucket.name)
        assert there.objects.get("large").copy_to(there, "b").content() == LARGE
        assert [rule.consumed for rule in faults] == [1, 1]
        assert sum(each.header("x-copy-from") is not None for each in proxy.requests) == 3 + 2
    source.delete()
    assert bucket.objects.get("b").content() == LARGE
