"""Large objects of Swift: their segments are nobody's but theirs, and go with them."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from urllib.parse import quote

import pytest

pytest.importorskip("keystoneauth1")

from servers.memory import PEAK
from servers.openstack_harnesses import SwiftHarness

from cloudbridge_store import TransferConfig, errors
from cloudbridge_store.drivers.openstack import copying, uploads
from cloudbridge_store.drivers.openstack.names import OWN
from cloudbridge_store.testing.fixtures import noise

HARNESS = SwiftHarness

MiB = 2**20
CUT = TransferConfig(threshold=MiB, part_size=MiB, max_concurrency=2)
LARGE = noise(2 * MiB + 1000, seed=9)
OTHER = noise(2 * MiB + 7, seed=10)


@pytest.fixture
def bucket(harness, provider):
    bucket = harness.make_bucket(provider)
    yield bucket
    harness.remove_bucket(bucket)
    assert beside(bucket) is None


def beside(bucket):
    """Return the container of a bucket's segments."""
    return bucket.provider.storage.buckets.get(f"{bucket.name}_segments")


def segments(bucket):
    """Return the names of all that is beside a bucket."""
    return [each.name for each in beside(bucket).objects]


def ask(harness, method, path, body=None, **headers):
    """Send a request as another program would."""
    server = harness.server
    login = urllib.request.Request(
        server.auth_url, headers={"X-Auth-User": server.access_key, "X-Auth-Key": server.secret_key}
    )
    with urllib.request.urlopen(login) as answer:
        url, token = answer.headers["X-Storage-Url"], answer.headers["X-Auth-Token"]
    fields = {"X-Auth-Token": token, **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = urllib.request.Request(url + path, body, fields, method=method)
    with urllib.request.urlopen(request) as answer:
        return answer.headers, answer.read()


def store_large(bucket, name="large", content=LARGE):
    return bucket.objects.create(name).upload(content, CUT, content_type="x/y", metadata={"a_b": "1"})


def test_a_large_object_is_a_manifest(harness, bucket):
    obj = store_large(bucket)
    headers, manifest = ask(harness, "GET", f"/{bucket.name}/large?multipart-manifest=get")
    assert headers["X-Static-Large-Object"] == "True"
    assert [each["bytes"] for each in json.loads(manifest)] == [MiB, MiB, 1000]
    assert len(segments(bucket)) == 3
    found = bucket.objects.get("large")
    assert (found.size, found.content_type, found.metadata) == (len(LARGE), "x/y", {"a_b": "1"})
    assert (found.checksums, found.content()) == ({}, LARGE)
    assert [(each.size, each.etag) for each in bucket.objects] == [(len(LARGE), obj.etag)]
    assert found.read_range(MiB - 2, 4) == LARGE[MiB - 2 : MiB + 2]


@pytest.mark.parametrize(
    "replace",
    [
        lambda bucket: bucket.objects.create("large").upload(b"small"),
        lambda bucket: store_large(bucket, content=OTHER),
        lambda bucket: bucket.objects.create("plain").upload(b"1").copy_to(bucket, "large"),
        lambda bucket: bucket.objects.create("large").delete(),
        lambda bucket: bucket.objects.delete_many(["large", "not there"]),
        lambda bucket: bucket.objects.create("large").copy_to(bucket, "large", content_type="x/z"),
    ],
    ids=["put", "upload", "copy", "delete", "batch", "copy onto itself"],
)
def test_what_is_replaced_or_deleted_takes_its_segments_along(bucket, replace):
    kept = store_large(bucket, "kept", OTHER)
    before = set(segments(bucket))
    store_large(bucket)
    old = set(segments(bucket)) - before
    assert len(old) == 3
    replace(bucket)
    assert not old & set(segments(bucket))
    assert kept.content() == OTHER
    assert bucket.objects.get("large") is None or bucket.objects.get("large").content() in (
        b"small",
        b"1",
        OTHER,
        LARGE,
    )


@pytest.mark.parametrize(
    ("method", "act"),
    [
        ("PUT", lambda bucket: bucket.objects.create("large").upload(b"small")),
        ("PUT", lambda bucket: bucket.objects.create("plain").upload(b"1").copy_to(bucket, "large")),
        ("DELETE", lambda bucket: bucket.objects.create("large").delete()),
        ("POST", lambda bucket: bucket.objects.delete_many(["large"])),
    ],
    ids=["put", "copy", "delete", "batch"],
)
def test_a_lost_answer_leaves_no_segments(bucket, monkeypatch, method, act):
    store_large(bucket)
    transport = bucket.provider.session.driver._service._transport
    send, lost = transport.send, []

    def lose_once(verb, url, headers, body):
        answer = send(verb, url, headers, body)
        if verb == method and answer.status < 300 and not lost and (verb == "POST" or url.endswith("/large")):
            lost.append(answer.read())
            raise ConnectionResetError
        return answer

    monkeypatch.setattr(transport, "send", lose_once)
    act(bucket)
    assert len(lost) == 1
    assert segments(bucket) == []


def test_a_write_that_replaces_nothing_is_one_request(bucket, monkeypatch):
    store_large(bucket)
    bucket.objects.create("first").upload(b"1")
    transport = bucket.provider.session.driver._service._transport
    send, sent = transport.send, []

    def count(verb, url, headers, body):
        sent.append((verb, url.rpartition("/")[2]))
        return send(verb, url, headers, body)

    monkeypatch.setattr(transport, "send", count)
    new = bucket.objects.create("new").upload(b"2", metadata={"a": "1"})
    assert sent == [("PUT", "new")]
    sent.clear()
    new.upload(b"3")
    assert sent == [("PUT", "new"), ("HEAD", "new"), ("PUT", "new")]
    sent.clear()
    # While objects are being replaced, that one is there is the better guess.
    bucket.objects.create("large").upload(b"4")
    assert sent[:2] == [("HEAD", "large"), ("GET", "large?multipart-manifest=get")]
    assert (segments(bucket), new.content(), bucket.objects.get("large").content()) == ([], b"3", b"4")


def test_a_copy_shares_no_segment(bucket):
    source = store_large(bucket)
    copy = source.copy_to(bucket, "copy")
    source.delete()
    assert (copy.content(), copy.content_type, copy.metadata) == (LARGE, "x/y", {"a_b": "1"})
    assert len(segments(bucket)) == 3
    copy.delete()
    assert segments(bucket) == []


@pytest.mark.parametrize("content", [LARGE, noise(2 * MiB + 1, seed=3)], ids=["of segments", "plain"])
@pytest.mark.parametrize("options", [{}, {"content_type": "x/z"}], ids=str)
def test_a_copy_by_ranges(bucket, monkeypatch, content, options):
    monkeypatch.setattr(copying, "LARGEST", MiB)
    monkeypatch.setattr(copying, "STEP", MiB)
    source = bucket.objects.create("source").upload(content, CUT if content is LARGE else None, metadata={"a": "ü"})
    before = set(segments(bucket)) if content is LARGE else set()
    copy = source.copy_to(bucket, "copy", **options)
    assert len(set(segments(bucket)) - before) == 3
    source.delete()
    assert copy.content() == content
    assert bucket.objects.get("copy").metadata == ({} if options else {"a": "ü"})
    copy.delete()
    assert segments(bucket) == []


def test_a_source_that_changes_while_it_is_copied(bucket, monkeypatch):
    monkeypatch.setattr(copying, "LARGEST", MiB)
    source = store_large(bucket)
    look = copying.Copy.run

    def change_first(self, options):
        bucket.objects.create("large").upload(OTHER)
        return look(self, options)

    monkeypatch.setattr(copying.Copy, "run", change_first)
    with pytest.raises(errors.ObjectChangedError):
        source.copy_to(bucket, "copy")
    assert bucket.objects.get("copy") is None
    assert segments(bucket) == []


def test_segments_are_not_seen(harness, provider, bucket):
    store_large(bucket)
    names = [each.name for each in provider.storage.buckets]
    assert bucket.name in names
    assert f"{bucket.name}_segments" not in names
    alone = f"{harness.bucket_name()}_segments"
    ask(harness, "PUT", f"/{alone}")
    assert alone in [each.name for each in provider.storage.buckets]
    ask(harness, "DELETE", f"/{alone}")


def test_what_others_put_beside_a_bucket_stays(harness, bucket):
    store_large(bucket)
    ask(harness, "PUT", f"/{bucket.name}_segments/mine", b"1")
    bucket.delete(delete_contents=True)
    _, content = ask(harness, "GET", f"/{bucket.name}_segments/mine")
    assert content == b"1"
    ask(harness, "DELETE", f"/{bucket.name}_segments/mine")
    ask(harness, "DELETE", f"/{bucket.name}_segments")


@pytest.mark.parametrize("prefix", ["a b/17.500000/4/2/", "a b/", "a b"])
def test_a_dynamic_large_object(harness, bucket, prefix):
    ask(harness, "PUT", f"/{bucket.name}_segments")
    names = {"a b/17.500000/4/2/0": b"01", "a b/17.500000/4/2/1": b"23", "a b/c/18.000000/1/2/0": b"?", "a b2": b"!"}
    for name, content in names.items():
        ask(harness, "PUT", f"/{bucket.name}_segments/{quote(name)}", content)
    manifest = f"{bucket.name}_segments/{quote(prefix)}"
    ask(harness, "PUT", f"/{bucket.name}/{quote('a b')}", b"", X_Object_Manifest=manifest)
    obj = bucket.objects.get("a b")
    content = b"".join(content for name, content in names.items() if name.startswith(prefix))
    assert (obj.size, obj.content(), obj.checksums) == (len(content), content, {})
    assert obj.read_range(1, 2) == b"12"
    obj.delete()
    # Below a shorter prefix than python-swiftclient's are segments of other objects.
    assert segments(bucket) == sorted(names)[2 if "17" in prefix else 0 :]
    for name in segments(bucket):
        ask(harness, "DELETE", f"/{bucket.name}_segments/{quote(name)}")
    ask(harness, "DELETE", f"/{bucket.name}_segments")


def test_an_upload_that_was_completed_cannot_be_aborted(bucket, monkeypatch):
    monkeypatch.setattr(uploads.Uploads, "_unmark", lambda *_: None)
    upload = bucket.objects.create("a").create_multipart_upload()
    upload.complete([upload.upload_part(1, b"content")])
    monkeypatch.undo()
    assert [each.id for each in bucket.list_uploads()] == [upload.id]
    assert bucket.abort_uploads() == 1
    assert bucket.objects.get("a").content() == b"content"
    assert list(bucket.list_uploads()) == []


def test_an_end_that_nobody_answered_is_not_undone(bucket, monkeypatch):
    def lose(*_):
        message = "lost"
        raise ConnectionResetError(message)

    upload = bucket.objects.create("a").create_multipart_upload()
    part = upload.upload_part(1, b"content")
    with monkeypatch.context() as patch:
        patch.setattr(uploads, "put_manifest", lose)
        with pytest.raises(errors.ConnectionFailedError):
            upload.complete([part])
    upload.abort()
    assert [each.part_number for each in upload.list_parts()] == [1]
    assert upload.complete([part]).content() == b"content"
    assert list(bucket.list_uploads()) == []


def test_an_end_that_was_refused_leaves_nothing(harness, bucket):
    upload = bucket.objects.create("a").create_multipart_upload()
    parts = [upload.upload_part(1, bytes(MiB)), upload.upload_part(2, b"end")]
    first, _ = (name for name in segments(bucket) if "/segments/" in name)
    ask(harness, "DELETE", f"/{bucket.name}_segments/{quote(first)}")
    with pytest.raises(errors.InvalidRequestError):
        upload.complete(parts)
    upload.abort()
    assert segments(bucket) == []
    assert list(bucket.list_uploads()) == []


def another_segment(self, name, piece, copy=copying.Copy._copy_piece):
    return copy(self, name, piece)._replace(etag="0" * 32)


def a_lost_answer(self, name, piece, copy=copying.Copy._copy_piece):
    copy(self, name, piece)
    if piece.start == MiB:
        raise ConnectionResetError


@pytest.mark.parametrize(
    ("copy_piece", "error"),
    [(another_segment, errors.InvalidRequestError), (a_lost_answer, errors.ConnectionFailedError)],
)
def test_a_copy_by_ranges_that_fails_leaves_nothing(bucket, monkeypatch, copy_piece, error):
    monkeypatch.setattr(copying, "LARGEST", MiB)
    monkeypatch.setattr(copying, "STEP", MiB)
    monkeypatch.setattr(copying.Copy, "_copy_piece", copy_piece)
    source = bucket.objects.create("source").upload(LARGE)
    with pytest.raises(error):
        source.copy_to(bucket, "copy")
    assert segments(bucket) == []


def test_keys_too_long_for_a_name_beside(bucket):
    names = ["x" * 1024, "x" * 1023 + "y", "ü" * 512]
    started = [bucket.objects.create(name).create_multipart_upload() for name in names]
    assert [each.object_name for each in bucket.list_uploads()] == sorted(names, key=str.encode)
    assert [each.object_name for each in bucket.list_uploads("x" * 1023)] == sorted(names[:2])
    for upload in started:
        assert upload.complete([upload.upload_part(1, b"1")]).name == upload.object_name
    bucket.objects.delete_many(names)
    assert segments(bucket) == []


def test_objects_that_expire(harness, bucket):
    bucket.objects.create("a").upload(b"1", extra={"X-Delete-After": 3600})
    headers, _ = ask(harness, "HEAD", f"/{bucket.name}/a")
    assert int(headers["X-Delete-At"]) > 0


def expiry(harness, path):
    headers, _ = ask(harness, "HEAD", f"/{quote(path)}")
    return int(headers.get("X-Delete-At", 0))


@pytest.mark.parametrize("after", [False, True])
def test_segments_expire_behind_their_object(harness, bucket, monkeypatch, after):
    monkeypatch.setattr(copying, "LARGEST", MiB)
    begun = time.time()
    at = None if after else int(begun) + 5000
    extra = {"x-delete-at": at} if at else {"X-Delete-After": 4000}
    obj = bucket.objects.create("large").upload(LARGE, CUT, extra=extra)
    obj.copy_to(bucket, "copy")
    assert obj.copy_to(bucket, "lasting", content_type="x/y").content() == LARGE
    moment = expiry(harness, f"{bucket.name}/large")
    assert moment == at or (at is None and moment > time.time() + 3000)
    assert [expiry(harness, f"{bucket.name}/{name}") for name in ("copy", "lasting")] == [moment, 0]
    found = [expiry(harness, f"{bucket.name}_segments/{name}") for name in segments(bucket)]
    assert found.count(0) == 3
    assert len(found) == 9
    # What is to be in a time is counted from when it is said: of the segments, before it is of their object.
    passed = time.time() - begun + 1
    assert all(-passed <= each - moment - 3600 <= passed for each in found if each)


def test_metadata_of_the_account(provider):
    provider.storage.set_metadata({"owner": "Zoë"})
    assert provider.storage.info().metadata == {"owner": "Zoë"}
    with pytest.raises(errors.InvalidRequestError):
        provider.storage.set_metadata({"temp-url-key": "known to all"})
    provider.storage.set_metadata({})
    assert provider.storage.info().metadata == {}


WORKER = f"""{PEAK}
import json, os, signal, sys
from cloudbridge_store import CloudProviderFactory, TransferConfig

job = json.loads(sys.argv[1])
provider = CloudProviderFactory().create_provider("openstack", job["config"])
driver = provider.session.driver
obj = provider.storage.buckets.get(job["bucket"]).objects.create("key")

def upload_part(bucket, key, upload_id, number, body, options, method=driver.upload_part):
    if number == job["dies_at"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return method(bucket, key, upload_id, number, body, options)

driver.upload_part = upload_part
cut = TransferConfig(job["part"], job["part"], job["workers"])
obj.upload_from_file(job["path"], cut)
if job["to"]:
    obj.download_to_file(job["to"], cut)
print(peak())
"""


def digest(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def work(harness, bucket, path, **more):
    """Transfer a file in another process; return what it said, or its exit status."""
    config = {"os_auth_url": harness.server.auth_url, **harness.credentials(), "journal": str(path.parent / "journal")}
    job = {"config": config, "bucket": bucket.name, "path": str(path), "to": None, "dies_at": 0, "workers": 1, **more}
    done = subprocess.run(
        [sys.executable, "-c", WORKER, json.dumps(job)], check=False, capture_output=True, timeout=280
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr[-2000:].decode()
    return done.returncode or float(done.stdout)


def test_an_upload_that_was_killed_is_gone_on_with(harness, bucket, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(LARGE)
    assert work(harness, bucket, source, part=MiB, dies_at=3) == -signal.SIGKILL
    assert bucket.objects.get("key") is None
    [upload] = bucket.list_uploads()
    assert [each.part_number for each in upload.list_parts()] == [1, 2]
    before = {each.name: each.modified for each in beside(bucket).objects if f"{OWN}segments/" in each.name}
    assert len(before) == 2
    assert work(harness, bucket, source, part=MiB) > 0
    assert bucket.objects.get("key").content() == LARGE
    after = {each.name: each.modified for each in beside(bucket).objects}
    # What was sent was not sent again.
    assert before.items() <= after.items()
    assert len(after) == 3
    assert list(bucket.list_uploads()) == []


def test_a_gibibyte_goes_up_and_down_in_little_memory(harness, bucket, tmp_path):
    size = int(os.environ.get("CBS_TEST_LARGE", 1024 * MiB))
    source, target = tmp_path / "source", tmp_path / "target"
    block = noise(16 * MiB, seed=5)
    with source.open("wb") as file:
        for number in range(size // len(block)):
            file.write(number.to_bytes(8, "big") + block[8:])
    most = work(harness, bucket, source, part=64 * MiB, to=str(target), workers=4)
    assert most < 200
    digests = [digest(path) for path in (source, target)]
    assert digests[0] == digests[1]
    assert bucket.objects.get("key").size == size
    assert len(segments(bucket)) == size // (64 * MiB)
    bucket.objects.create("key").delete()
    assert segments(bucket) == []


def test_the_services_own_limits_hold(provider, bucket):
    limits = provider.session.upload_limits()
    assert (limits.min_part, limits.max_parts) == (1, 1200)
    assert limits.max_part == limits.max_put > 5 * 2**30
    # Parts of less than is documented.
    obj = bucket.objects.create("small").upload(b"12345", TransferConfig(threshold=1, part_size=2))
    assert len(segments(bucket)) == 3
    assert obj.content() == b"12345"
    with pytest.raises(errors.InvalidValueException, match="1200"):
        obj.create_multipart_upload().upload_part(1201, b"1")
    assert obj.create_multipart_upload().upload_part(1200, b"1").size == 1
    for upload in bucket.list_uploads():
        upload.abort()
    obj.delete()
