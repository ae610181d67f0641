"""Dynamic large objects of more segments than a page of a listing has: Swift says little of them, and that wrongly."""

from __future__ import annotations

import urllib.request
from urllib.parse import quote

import pytest

pytest.importorskip("keystoneauth1")

from servers.openstack_harnesses import SwiftHarness

from cloudbridge_store import TransferConfig, errors
from cloudbridge_store.testing.fixtures import noise

PIECE = 5000
PREFIX = "ö b/"


class SmallHarness(SwiftHarness):
    """A Swift whose pages are short."""

    kind = "swift-small"


HARNESS = SmallHarness


@pytest.fixture
def send(harness, provider):
    """Send a request as another program would."""

    def request(path, body=b"", method="PUT", **headers):
        service = provider.session.driver._service
        fields = {"X-Auth-Token": str(service.login.ticket().token)}
        fields.update({name.replace("_", "-"): value for name, value in headers.items()})
        with urllib.request.urlopen(
            urllib.request.Request(service.storage_url + path, body, fields, method=method)
        ) as answer:
            return answer.headers

    return request


@pytest.fixture
def holder(harness, provider, bucket, send):
    """Where the segments are."""
    name = f"{bucket.name}-parts"
    send(f"/{name}")
    yield name
    harness.remove_bucket(provider.storage.buckets.get(name))


@pytest.fixture
def large(bucket, holder, send):
    """Return a function that stores such an object of a number of segments, and returns it and its content."""

    def store(count, name="dynamic", size=PIECE):
        prefix = quote(f"{PREFIX}{name}/")
        content = noise(count * size, seed=count)
        for number in range(count):
            send(f"/{holder}/{prefix}{number:02d}", content[number * size : (number + 1) * size])
        send(f"/{holder}/other", b"not of it")
        send(f"/{bucket.name}/{name}", X_Object_Manifest=f"{holder}/{prefix}", X_Object_Meta_A="1")
        return bucket.objects.create(name), content

    return store


def test_the_server_answers_so(harness, large, send):
    """What the rest is for; if it is different one day, there is less to do."""
    page = harness.server.page
    obj, content = large(page + 1)
    path = f"/{obj.bucket.name}/dynamic"
    assert send(path, None, "HEAD")["Content-Length"] == "0"
    assert send(path, None, "GET")["Content-Length"] is None
    assert send(path, None, "GET", Range=f"bytes=0-{len(content) - 2}")["Content-Range"] is None
    part = send(path, None, "GET", Range="bytes=0-9")
    assert part["Content-Range"] == f"bytes 0-9/{page * PIECE}"
    # Of what it knows all, the ETag is that of all segments, in quotes.
    assert not part["ETag"].startswith('"')
    known, _ = large(page - 1, "known")
    assert send(f"/{known.bucket.name}/known", None, "GET", Range="bytes=0-9")["ETag"].startswith('"')


def test_pages_shorter_than_usual(harness, bucket, provider):
    """Swift refuses a listing that asks for more than its operator permits."""
    names = [f"{number:02d}/a" for number in range(2 * harness.server.page + 1)]
    for name in names:
        bucket.objects.create(name).upload(b"1")
    assert [each.name for each in bucket.objects] == names
    # Another provider knows nothing of it yet.
    with harness.make_provider() as other:
        found = other.session.driver.list_objects(bucket.name, delimiter="/a")
        assert len(found.prefixes) == harness.server.page
        assert found.token
        assert len(other.session.driver.list_objects(bucket.name, limit=3).items) == 3


@pytest.mark.parametrize("count", [3, 4, 5, 8, 9])
def test_all_pages_count(bucket, large, tmp_path, count):
    obj, content = large(count)
    found = bucket.objects.get("dynamic")
    assert (found.size, found.metadata, found.checksums) == (len(content), {"a": "1"}, {})
    assert obj.content() == content
    assert b"".join(obj.iter_content()) == content
    end = len(content)
    for start, length in ((0, 1), (3, 10), (PIECE - 1, 2), (end - PIECE - 3, 6), (end - 5, 5), (1, end)):
        assert obj.read_range(start, length) == content[start : start + length]
    assert obj.read_range(len(content) - 2, 100) == content[-2:]
    with pytest.raises(errors.InvalidRangeError):
        obj.read_range(len(content), 1)
    obj.download_to_file(tmp_path / "a", TransferConfig(threshold=1000, part_size=7001, max_concurrency=3))
    assert (tmp_path / "a").read_bytes() == content
    # The connections serve on.
    assert bucket.objects.create("plain").upload(b"1").content() == b"1"


def test_one_without_segments_is_empty(bucket, holder, send):
    send(f"/{bucket.name}/dynamic", X_Object_Manifest=f"{holder}/x")
    obj = bucket.objects.get("dynamic")
    assert (obj.size, obj.content()) == (0, b"")
    assert obj.copy_to(bucket, "copy").content() == b""


def test_it_is_not_copied_by_halves(bucket, large):
    obj, _ = large(5)
    kept = bucket.objects.create("kept").upload(b"what was there")
    with pytest.raises(errors.UnsupportedOperationError, match="more segments"):
        obj.copy_to(bucket, "kept")
    with pytest.raises(errors.UnsupportedOperationError, match="more segments"):
        kept.copy_from_url(obj.public_url)
    assert kept.content() == b"what was there"
