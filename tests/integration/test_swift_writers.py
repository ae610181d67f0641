"""Large objects that several write at once, or with something in the way: what nobody needs goes, and nothing else."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("keystoneauth1")

from servers.openstack_harnesses import CephSwiftHarness, SwiftHarness
from urllib3.exceptions import ProtocolError

from cloudbridge_store import TransferConfig
from cloudbridge_store.drivers.openstack import copying, uploads
from cloudbridge_store.testing.fixtures import noise

MiB = 2**20
CUT = TransferConfig(threshold=MiB, part_size=MiB, max_concurrency=2)
LARGE, OTHER = noise(MiB + 1000, seed=9), noise(MiB + 7, seed=10)


@pytest.fixture(scope="module", params=[SwiftHarness, CephSwiftHarness], ids=lambda kind: kind.kind)
def harness(request, server):
    with request.param(server(request.param.kind)) as harness:
        yield harness


def segments(bucket):
    """Return the names of the segments beside a bucket."""
    beside = bucket.provider.storage.buckets.get(f"{bucket.name}_segments")
    return [each.name for each in beside.objects if "/segments/" in each.name]


def test_of_writers_at_the_same_moment_one_remains(harness, bucket, monkeypatch):
    # Each has looked at what it replaces before any of them replaces it.
    looked, put = threading.Barrier(3), uploads.put_manifest

    def put_together(*arguments):
        looked.wait(30)
        return put(*arguments)

    monkeypatch.setattr(uploads, "put_manifest", put_together)
    contents = [noise(MiB + number, seed=number) for number in (1, 2, 3)]

    def store(content):
        with harness.make_provider() as provider:
            provider.storage.buckets.get(bucket.name).objects.create("large").upload(content, CUT)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(store, contents))
    assert bucket.objects.get("large").content() in contents
    assert len(segments(bucket)) == 2
    bucket.objects.create("large").delete()
    assert segments(bucket) == []


def test_an_upload_under_way_is_nobodys_to_tidy_up(bucket):
    first, second = (bucket.objects.create("large").create_multipart_upload() for _ in range(2))
    parts = [[upload.upload_part(1, content)] for upload, content in ((first, LARGE), (second, OTHER))]
    first.complete(parts[0])
    assert bucket.objects.get("large").content() == LARGE
    assert len(segments(bucket)) == 2
    second.complete(parts[1])
    assert bucket.objects.get("large").content() == OTHER
    assert len(segments(bucket)) == 1


def test_what_cannot_be_tidied_up_is_no_failure(bucket, monkeypatch, caplog):
    bucket.objects.create("large").upload(LARGE, CUT)
    transport = bucket.provider.session.driver._service._transport
    send, made = transport.send, []

    def fail_behind(verb, url, headers, body):
        if made:
            raise ProtocolError("Connection aborted.", ConnectionResetError())
        answer = send(verb, url, headers, body)
        if "multipart-manifest=put" in url:
            made.append(url)
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(transport, "send", fail_behind)
        bucket.objects.create("large").upload(OTHER, CUT)
    assert "left behind" in caplog.text
    bucket.abort_uploads()
    assert bucket.objects.get("large").content() == OTHER


def test_a_container_of_segments_that_others_made_in_another_policy_will_do(harness, provider, monkeypatch):
    if harness.kind == "ceph":
        pytest.skip("this Ceph has one policy")
    monkeypatch.setattr(copying, "LARGEST", MiB)
    monkeypatch.setattr(copying, "STEP", MiB)
    first, *_, last = provider.storage.regions()
    bucket = provider.storage.buckets.create(harness.bucket_name(), location=first)
    provider.native.object_store.put(f"/{bucket.name}_segments", headers={"X-Storage-Policy": last})
    copy = bucket.objects.create("large").upload(LARGE, CUT).copy_to(bucket, "copy")
    assert (copy.content(), len(segments(bucket))) == (LARGE, 4)
    bucket.delete(delete_contents=True)
    assert provider.storage.buckets.get(f"{bucket.name}_segments") is None


def test_a_policy_holds_for_segments_too(harness, provider):
    if harness.kind == "ceph":
        pytest.skip("this Ceph has one policy")
    policies = provider.storage.regions()
    bucket = provider.storage.buckets.create(harness.bucket_name(), location=policies[-1])
    bucket.objects.create("large").upload(LARGE, CUT)
    headers = provider.native.object_store.head(f"/{bucket.name}_segments").headers
    assert headers["X-Storage-Policy"] == policies[-1]
    bucket.delete(delete_contents=True)
