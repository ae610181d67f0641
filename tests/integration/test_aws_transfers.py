"""Large and parallel transfers with an S3 service."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("boto3")

from servers.memory import PEAK

from cloudbridge_store import CloudProviderFactory, TransferConfig, errors
from cloudbridge_store.testing.fault_proxy import FaultProxy, LostAnswer, Match, Rule, Status

MiB = 2**20
SENDER = f"""{PEAK}
import hashlib, json, sys
from cloudbridge_store import CloudProviderFactory

provider = CloudProviderFactory().create_provider("aws", json.loads(sys.argv[1]))
bucket = provider.storage.buckets.get(sys.argv[2])
if sys.argv[3] == "pipe":
    bucket.objects.create("pipe").upload(sys.stdin.buffer)
else:
    bucket.objects.create("pieces").upload(iter(lambda: sys.stdin.buffer.read(100_000), b""))
print(peak())
"""


@pytest.fixture
def config(server):
    one = server("moto")
    keys = {"aws_access_key": one.access_key, "aws_secret_key": one.secret_key}
    return {**keys, "s3_endpoint_url": one.url, "s3_preset": "minio", "s3_checksum": "md5"}


@pytest.fixture
def make(config):
    providers = []

    def make_provider(**more):
        providers.append(CloudProviderFactory().create_provider("aws", {**config, **more}))
        return providers[-1]

    yield make_provider
    for provider in providers:
        provider.close()


@pytest.fixture
def bucket(make):
    created = make().storage.buckets.create(f"transfers-{os.getpid()}-{threading.get_ident() % 100_000}")
    yield created
    created.delete(delete_contents=True)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads its memory from /proc")
@pytest.mark.parametrize("kind", ["pipe", "pieces"])
def test_a_stream_of_unknown_length_in_bounded_memory(config, bucket, kind):
    """300 MiB through a pipe, of which 5 parts of 16 MiB are in memory at a time, and one that is being filled."""
    command = [sys.executable, "-c", SENDER, json.dumps(config), bucket.name, kind]
    digest = hashlib.sha256()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False) as process:
        for number in range(300):
            block = number.to_bytes(4, "big") * (MiB // 4)
            digest.update(block)
            process.stdin.write(block)
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert float(said) < 60 + 16 * (5 + 1) + 40
    found = hashlib.sha256()
    for piece in bucket.objects.get(kind).iter_content(4 * MiB):
        found.update(piece)
    assert (bucket.objects.get(kind).size, found.digest()) == (300 * MiB, digest.digest())


def test_sixteen_threads_on_one_provider(bucket):
    def work(number):
        contents = {}
        for turn in range(5):
            obj = bucket.objects.create(f"{number}/{turn}")
            contents[obj.name] = f"{number} {turn}".encode() * 100
            assert obj.upload(contents[obj.name]).content() == contents[obj.name]
        listed = [obj.name for obj in bucket.objects.iter(prefix=f"{number}/")]
        assert listed == sorted(contents)
        return contents

    with ThreadPoolExecutor(16) as pool:
        everything = {name: content for found in pool.map(work, range(16)) for name, content in found.items()}
    assert [obj.name for obj in bucket.objects] == sorted(everything)
    assert all(bucket.objects.get(name).content() == content for name, content in everything.items())


def test_a_copy_by_parts(make, bucket):
    """As above 5 GiB, from a lower limit on."""
    content = os.urandom(12 * MiB + 3)
    name = bucket.objects.create("a").upload(content, metadata={"m": "1"}, content_type="x/y", tags={"t": "2"}).name
    small = make(s3_max_copy=5 * MiB).storage.buckets.get(bucket.name)
    copied = small.objects.get(name).copy_to(small, "b")
    assert (copied.content(), copied.metadata, copied.content_type) == (content, {"m": "1"}, "x/y")
    assert copied.get_tags() == {"t": "2"}
    assert copied.etag.endswith("-3")
    changed = small.objects.get(name).copy_to(small, "c", metadata={"other": "2"})
    assert (changed.content(), changed.metadata) == (content, {"other": "2"})


def test_a_part_of_a_copy_that_fails_is_repeated_by_itself(config, make, bucket):
    content = os.urandom(22 * MiB)
    bucket.objects.create("a").upload(content)
    parts = Match("PUT", query="partNumber=", headers={"x-amz-copy-source": "."})
    with FaultProxy(config["s3_endpoint_url"]) as proxy:
        there = make(s3_max_copy=5 * MiB, s3_endpoint_url=proxy.url).storage.buckets.get(bucket.name)
        faults = [proxy.add(Rule(parts, fault, skip=2)) for fault in (Status(503), LostAnswer())]
        assert there.objects.get("a").copy_to(there, "b").content() == content
        assert [rule.consumed for rule in faults] == [1, 1]
        asked = [each for each in proxy.requests if each.header("x-amz-copy-source")]
        assert len(asked) == 5 + 2
        assert sum("uploads" in each.target for each in proxy.requests) == 1
        # One that goes on failing ends it: nothing of it stays, and it is not begun anew.
        proxy.add(Rule(parts, Status(503), skip=1, times=None))
        with pytest.raises(errors.ThrottledError) as caught:
            there.objects.get("a").copy_to(there, "c")
        assert (caught.value.operation, caught.value.attempts, caught.value.outcome) == (
            "copy_object",
            6,
            "not_applied",
        )
        assert sum("uploads" in each.target for each in proxy.requests) == 2
    assert bucket.objects.get("c") is None
    assert list(bucket.list_uploads()) == []


def test_an_equal_part_size_is_kept_where_the_service_wants_it(make, bucket, monkeypatch):
    import cloudbridge_store.core.multipart

    monkeypatch.setattr(cloudbridge_store.core.multipart, "_PARTS_PER_SIZE", 1)
    sizes = {}
    for equal in (False, True):
        other = make(s3_equal_part_size=equal).storage.buckets.get(bucket.name)
        driver = other.provider.session.driver
        sent, send = [], driver.upload_part

        def upload_part(*arguments, send=send, sent=sent):
            sent.append((arguments[3], arguments[4].size))
            return send(*arguments)

        upload_part.__name__ = "upload_part"
        driver.upload_part = upload_part
        pieces = (bytes(MiB) for _ in range(17))
        other.objects.create("a").upload(pieces, TransferConfig(part_size=5 * MiB))
        sizes[equal] = [size // MiB for _, size in sorted(sent)]
    assert sizes == {False: [5, 10, 2], True: [5, 5, 5, 2]}


KILLED = """
import json, os, signal, sys
from cloudbridge_store import CloudProviderFactory, TransferConfig

config, bucket, path = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
provider = CloudProviderFactory().create_provider("aws", config)
driver = provider.session.driver

def upload_part(bucket, key, upload_id, number, body, options, method=driver.upload_part):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return method(bucket, key, upload_id, number, body, options)

driver.upload_part = upload_part
obj = provider.storage.buckets.get(bucket).objects.create("killed")
obj.upload_from_file(path, TransferConfig(5 << 20, 5 << 20, 1))
"""


def test_an_upload_of_a_killed_process_goes_on_where_the_etags_are_md5s(config, make, bucket, tmp_path):
    path = tmp_path / "data"
    path.write_bytes(os.urandom(17 * MiB))
    with_journal = {**config, "journal": str(tmp_path / "journal")}
    command = [sys.executable, "-c", KILLED, json.dumps(with_journal), bucket.name, str(path)]
    assert subprocess.run(command, check=False).returncode < 0
    (left,) = bucket.list_uploads()
    sent = []
    provider = make(journal=tmp_path / "journal", on_event=sent.append)
    again = provider.storage.buckets.get(bucket.name).objects.create("killed")
    again.upload_from_file(path, TransferConfig(threshold=5 * MiB, part_size=5 * MiB))
    sizes = sorted(event.bytes for event in sent if event.operation == "upload_part")
    assert sizes == [2 * MiB, 5 * MiB]
    assert "start_upload" not in {event.operation for event in sent}
    assert again.content() == path.read_bytes()
    assert list(bucket.list_uploads()) == []
    assert provider.storage.pending_transfers() == []
    assert left.object_name == "killed"
