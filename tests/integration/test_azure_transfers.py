"""Large transfers with Azure, and what is known of an object afterwards; on Azurite."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("azure.storage.blob")

from servers.azure_harnesses import AzuriteHarness
from servers.memory import PEAK

from cloudbridge_store import TransferConfig
from cloudbridge_store.errors import IntegrityError

HARNESS = AzuriteHarness

MiB = 2**20
MOVER = f"""{PEAK}
import hashlib, json, sys
from cloudbridge_store import CloudProviderFactory

provider = CloudProviderFactory().create_provider("azure", json.loads(sys.argv[1]))
obj = provider.storage.buckets.get(sys.argv[2]).objects.create("large")
if sys.argv[3] == "up":
    obj.upload(sys.stdin.buffer)
else:
    digest = hashlib.sha256()
    for piece in obj.iter_content(4 * 2**20):
        digest.update(piece)
    print(digest.hexdigest())
    obj.download_to_file(sys.argv[3])
print(peak())
"""
SIZE = 1024
"""MiB."""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads its memory from /proc")
def test_a_large_object_there_and_back_in_bounded_memory(harness, bucket, tmp_path):
    """1 GiB through a pipe, of which 5 parts of 16 MiB are in memory at a time, and one that is being filled."""
    config = {"azure_endpoint_url": f"{harness.server.url}/{harness.account}", **harness.credentials()}
    command = [sys.executable, "-c", MOVER, json.dumps(config), bucket.name]
    digest = hashlib.sha256()
    with subprocess.Popen([*command, "up"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for number in range(SIZE):
            block = number.to_bytes(4, "big") * (MiB // 4)
            digest.update(block)
            process.stdin.write(block)
        said, _ = process.communicate(timeout=200)
    assert process.returncode == 0
    assert float(said) < 60 + 16 * (5 + 1) + 40
    assert bucket.objects.get("large").size == SIZE * MiB
    target = tmp_path / "large"
    done = subprocess.run([*command, str(target)], check=True, capture_output=True, text=True, timeout=200)
    received, peak = done.stdout.split()
    assert received == digest.hexdigest()
    with open(target, "rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == received
    target.unlink()
    assert float(peak) < 60 + 40


def test_what_is_known_of_an_object_is_what_was_stored_last(bucket):
    obj = bucket.objects.create("a")
    for content in (b"12345", b"1", b"", os.urandom(3 * MiB)):
        obj.upload(content, TransferConfig(threshold=MiB, part_size=MiB))
        assert (obj.size, len(obj.content()), bucket.objects.get("a").size) == (len(content),) * 3
    obj.delete()
    assert bucket.objects.get("a") is None


def test_the_digest_of_the_whole_that_comes_in_parts_is_the_writers(bucket):
    content, parts = os.urandom(3 * MiB), TransferConfig(threshold=MiB, part_size=MiB)
    right, wrong = (base64.b64encode(each).decode() for each in (hashlib.md5(content).digest(), bytes(16)))
    obj = bucket.objects.create("a").upload(content, parts, extra={"x-ms-blob-content-md5": right})
    assert obj.checksums == bucket.objects.get("a").checksums == {"md5": hashlib.md5(content).hexdigest()}
    assert obj.content() == content
    with pytest.raises(IntegrityError):
        obj.upload(content, parts, extra={"x-ms-blob-content-md5": wrong}).content()


def test_a_copy_above_the_limit_of_one_request(bucket, monkeypatch):
    """As above 256 MiB, from a lower limit on."""
    from cloudbridge_store.drivers.azure import copying

    monkeypatch.setattr(copying, "LARGEST_AT_ONCE", MiB)
    content = os.urandom(3 * MiB + 7)
    obj = bucket.objects.create("a").upload(content, metadata={"m": "ü"}, content_type="x/y", tags={"k": "v"})
    copied = obj.copy_to(bucket, "b")
    assert (copied.content(), copied.metadata, copied.content_type) == (content, {"m": "ü"}, "x/y")
    assert (copied.get_tags(), copied.checksums) == ({"k": "v"}, obj.checksums)
    changed = obj.copy_to(bucket, "c", metadata={"other": "2"}, storage_class="Cool")
    assert (changed.content(), changed.metadata, changed.storage_class) == (content, {"other": "2"}, "Cool")
