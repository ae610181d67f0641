"""Large, parallel and interrupted transfers with Google Cloud Storage, on the fake of it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import uuid
from dataclasses import replace

import pytest

pytest.importorskip("google.cloud.storage")

from servers.gcs_harnesses import GcsHarness
from servers.memory import PEAK

from cloudbridge_store import TransferConfig
from cloudbridge_store.errors import (
    IntegrityError,
    ObjectChangedError,
    PreconditionFailedError,
    ServiceUnavailableError,
)
from cloudbridge_store.testing.fault_proxy import (
    EarlyStatus,
    FaultProxy,
    FlipRequestBit,
    Match,
    ResetRequestBody,
    Rule,
)

HARNESS = GcsHarness

MiB = 2**20
CUT = TransferConfig(5 * MiB, 5 * MiB, 2)
SENDER = (
    PEAK
    + """
import json, sys
from cloudbridge_store import CloudProviderFactory

bucket = CloudProviderFactory().create_provider("gcp", json.loads(sys.argv[1])).storage.buckets.get(sys.argv[2])
bucket.objects.create("pipe").upload(sys.stdin.buffer)
print(peak())
"""
)
THERE_AND_BACK = (
    PEAK
    + """
import json, sys
from cloudbridge_store import CloudProviderFactory

bucket = CloudProviderFactory().create_provider("gcp", json.loads(sys.argv[1])).storage.buckets.get(sys.argv[2])
obj = bucket.objects.create("large").upload_from_file(sys.argv[3])
obj.download_to_file(sys.argv[4])
print(peak())
"""
)
KILLED = """
import json, os, signal, sys
from cloudbridge_store import CloudProviderFactory, TransferConfig

provider = CloudProviderFactory().create_provider("gcp", json.loads(sys.argv[1]))
driver = provider.session.driver

def upload_part(bucket, key, upload_id, number, body, options, method=driver.upload_part):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return method(bucket, key, upload_id, number, body, options)

driver.upload_part = upload_part
obj = provider.storage.buckets.get(sys.argv[2]).objects.create("killed")
obj.upload_from_file(sys.argv[3], TransferConfig(5 << 20, 5 << 20, 1), metadata={"m": "ü"})
"""
needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads its memory from /proc")


@pytest.fixture
def config(harness):
    where = {"gcp_endpoint_url": harness.server.url, "gcp_iam_endpoint_url": harness.server.url}
    return {**where, "gcp_service_creds_file": str(harness.server.credentials_file)}


@pytest.fixture
def bucket(harness):
    provider = harness.make_provider()
    created = provider.storage.buckets.create(f"transfers-{uuid.uuid4().hex[:20]}")
    yield created
    created.delete(delete_contents=True)
    provider.close()


def run(script, *arguments, **options):
    return subprocess.run([sys.executable, "-c", script, *arguments], check=False, **options)


@needs_proc
def test_a_stream_of_unknown_length_in_bounded_memory(config, bucket):
    """300 MiB through a pipe, of which 5 parts of 16 MiB are in memory at a time, and one that is being filled."""
    command = [sys.executable, "-c", SENDER, json.dumps(config), bucket.name]
    digest = hashlib.sha256()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for number in range(300):
            block = number.to_bytes(4, "big") * (MiB // 4)
            digest.update(block)
            process.stdin.write(block)
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert float(said) < 80 + 16 * (5 + 1) + 40
    found = hashlib.sha256()
    for piece in bucket.objects.get("pipe").iter_content(4 * MiB):
        found.update(piece)
    assert (bucket.objects.get("pipe").size, found.digest()) == (300 * MiB, digest.digest())


@needs_proc
def test_a_gibibyte_there_and_back_in_bounded_memory(config, bucket, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as file:
        for number in range(64):
            file.seek(number * 16 * MiB)
            file.write(os.urandom(1024))
        file.truncate(1024 * MiB)
    done = run(THERE_AND_BACK, json.dumps(config), bucket.name, source, target, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    assert float(done.stdout) < 150
    with source.open("rb") as one, target.open("rb") as other:
        assert hashlib.file_digest(one, "sha256").digest() == hashlib.file_digest(other, "sha256").digest()
    # In parts, so that there is a CRC-32C of the whole and no MD5.
    assert set(bucket.objects.get("large").checksums) == {"crc32c"}


def test_an_upload_of_a_killed_process_goes_on(config, harness, bucket, tmp_path):
    path = tmp_path / "data"
    path.write_bytes(os.urandom(17 * MiB))
    with_journal = {**config, "journal": str(tmp_path / "journal")}
    assert run(KILLED, json.dumps(with_journal), bucket.name, path).returncode < 0
    assert bucket.objects.get("killed") is None
    (left,) = bucket.list_uploads()
    sent = []
    with harness.make_provider(journal=tmp_path / "journal", on_event=sent.append) as provider:
        again = provider.storage.buckets.get(bucket.name).objects.create("killed")
        again.upload_from_file(path, CUT, metadata={"m": "ü"})
        assert again.content() == path.read_bytes()
        assert again.metadata == {"m": "ü"}
        assert provider.storage.pending_transfers() == []
    assert sorted(event.bytes for event in sent if event.operation == "upload_part") == [2 * MiB, 5 * MiB]
    assert "start_upload" not in {event.operation for event in sent}
    assert list(bucket.list_uploads()) == []
    assert left.object_name == "killed"


def test_an_object_that_is_replaced_while_it_is_read_is_not_mixed(bucket):
    obj = bucket.objects.create("a").upload(b"1" * 4 * MiB)
    with obj.open("rb") as file:
        assert file.read(10) == b"1" * 10
        bucket.objects.create("a").upload(b"2" * 4 * MiB)
        file.seek(-10, os.SEEK_END)
        with pytest.raises(ObjectChangedError):
            file.read()


def test_nothing_remains_of_a_parallel_upload_that_failed(harness, bucket):
    with harness.make_provider(retry_attempts=1) as provider:
        driver = provider.session.driver
        send = driver.upload_part

        def upload_part(name, key, upload_id, number, *more):
            if number == 3:
                message = "no more"
                raise ServiceUnavailableError(message)
            return send(name, key, upload_id, number, *more)

        driver.upload_part = upload_part
        obj = provider.storage.buckets.get(bucket.name).objects.create("a")
        with pytest.raises(ServiceUnavailableError, match="no more"):
            obj.upload(os.urandom(26 * MiB), CUT)
    assert list(bucket.list_uploads()) == []
    assert list(bucket.objects) == []


def test_a_copy_of_several_calls(bucket):
    """What is copied to another class is written anew, a piece with each call, until the token leads to the end."""
    content = os.urandom(12 * MiB + 3)
    obj = bucket.objects.create("a").upload(content, metadata={"m": "ü"}, content_type="x/y", cache_control="no-store")
    copied = obj.copy_to(bucket, "b", storage_class="NEARLINE", content_type="x/z")
    assert (copied.content(), copied.storage_class, copied.content_type) == (content, "NEARLINE", "x/z")
    whole = copied.copy_to(bucket, "c")
    assert (whole.content(), whole.storage_class, whole.content_type) == (content, "NEARLINE", "x/z")
    copied.set_storage_class("STANDARD")
    assert (copied.storage_class, copied.content()) == ("STANDARD", content)
    obj.set_storage_class("COLDLINE")
    assert (obj.metadata, obj.content_type, obj.headers) == ({"m": "ü"}, "x/y", {"cache_control": "no-store"})


def test_what_has_a_condition_is_not_cut(harness, bucket):
    sent = []
    with harness.make_provider(on_event=sent.append) as provider:
        obj = provider.storage.buckets.get(bucket.name).objects.create("a")
        content = os.urandom(12 * MiB)
        obj.upload(content, CUT, if_none_match="*")
        assert obj.content() == content
        obj.upload(content[::-1], CUT, if_match=obj.etag)
    assert [event.operation for event in sent if event.bytes] == ["put_object", "put_object"]
    assert bucket.objects.create("a").content() == content[::-1]


def make_all_large(provider):
    driver = provider.session.driver
    driver.capabilities = replace(driver.capabilities, multipart_threshold=1)


@pytest.mark.parametrize("given", ["bytes", "file", "stream"])
def test_what_is_large_and_has_a_condition_goes_on_where_it_broke_off(harness, bucket, tmp_path, given):
    """Broken three times on the way, refused once: each time what has arrived is not sent again."""
    content = os.urandom(12 * MiB + 5)
    path = tmp_path / "data"
    path.write_bytes(content)
    told = []
    with FaultProxy(harness.upstream) as proxy, harness.make_provider_at(proxy.url) as provider:
        make_all_large(provider)
        pieces = Match("PUT", headers={"content-range": r"bytes \d"})
        breaks = proxy.add(Rule(pieces, ResetRequestBody(at=3 * MiB + 7, forward=True), times=3))
        busy = proxy.add(Rule(pieces, EarlyStatus(503, at=MiB)))
        obj = provider.storage.buckets.get(bucket.name).objects.create("a")
        if given == "file":
            obj.upload_from_file(path, if_none_match="*", metadata={"m": "ü"}, progress=lambda *each: told.append(each))
        else:
            data = content if given == "bytes" else iter([content[: 5 * MiB], content[5 * MiB :]])
            obj.upload(data, if_none_match="*", metadata={"m": "ü"})
        assert (breaks.consumed, busy.consumed) == (3, 1)
        sent = sum(each.body_length for each in proxy.requests if each.method == "PUT")
        # Three times 3 MiB arrived, and of what was left the proxy may have read all before it refused it.
        assert len(content) < sent < len(content) + 4 * MiB
    stored = bucket.objects.get("a")
    assert (stored.content(), stored.metadata, set(stored.checksums)) == (content, {"m": "ü"}, {"crc32c", "md5"})
    if told:
        assert told[-1] == (len(content), len(content))


def test_a_condition_that_does_not_hold_stores_nothing_of_a_large_one(harness, bucket):
    obj = bucket.objects.create("a").upload(b"first")
    with harness.make_provider() as provider:
        make_all_large(provider)
        large = provider.storage.buckets.get(bucket.name).objects.create("a")
        for condition in ({"if_none_match": "*"}, {"if_match": "17"}):
            with pytest.raises(PreconditionFailedError):
                large.upload(os.urandom(2 * MiB), **condition)
        assert obj.content() == b"first"
        large.upload(b"2" * 2 * MiB, if_match=obj.etag)
    assert bucket.objects.create("a").content() == b"2" * 2 * MiB


def test_somebody_is_faster_than_a_large_one(harness, bucket):
    with FaultProxy(harness.upstream) as proxy, harness.make_provider_at(proxy.url) as provider:
        make_all_large(provider)
        other = bucket.objects.create("a")
        pieces = Match("PUT", headers={"content-range": r"bytes \d"})
        proxy.add(Rule(pieces, ResetRequestBody(at=MiB, forward=True), hook=lambda: other.upload(b"other")))
        with pytest.raises(PreconditionFailedError):
            provider.storage.buckets.get(bucket.name).objects.create("a").upload(os.urandom(4 * MiB), if_none_match="*")
    assert bucket.objects.create("a").content() == b"other"


def test_a_large_one_that_is_damaged_on_its_way_is_not_stored(harness, bucket):
    with FaultProxy(harness.upstream) as proxy, harness.make_provider_at(proxy.url, retry_attempts=2) as provider:
        make_all_large(provider)
        proxy.add(Rule(Match("PUT", headers={"content-range": r"bytes \d"}), FlipRequestBit(at=MiB), times=None))
        with pytest.raises(IntegrityError):
            provider.storage.buckets.get(bucket.name).objects.create("a").upload(os.urandom(4 * MiB), if_none_match="*")
    assert bucket.objects.get("a") is None
