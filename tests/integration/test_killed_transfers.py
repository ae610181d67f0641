"""Uploads to and downloads from an S3 service, killed by the kernel within one system call after the other."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid

import pytest

pytest.importorskip("boto3")

from cloudbridge_store import CloudProviderFactory, TransferConfig

MiB = 2**20
CUT = TransferConfig(5 * MiB, 5 * MiB, 2)
OLD = b"what was there before"
WORKER = """
import json, sys
from cloudbridge_store import CloudProviderFactory, TransferConfig

config, name, act, path = json.loads(sys.argv[1]), *sys.argv[2:]
obj = CloudProviderFactory().create_provider("aws", config).storage.buckets.get(name).objects.create("key")
cut = TransferConfig(5 * 2**20, 5 * 2**20, 2)
obj.upload_from_file(path, cut) if act == "upload" else obj.download_to_file(path, cut)
"""
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


@pytest.fixture
def config(server, tmp_path):
    one = server("moto")
    keys = {"aws_access_key": one.access_key, "aws_secret_key": one.secret_key}
    return {
        **keys,
        "s3_endpoint_url": one.url,
        "s3_preset": "aws",
        "s3_addressing_style": "path",
        "journal": str(tmp_path / "journal"),
    }


@pytest.fixture
def bucket(config):
    with CloudProviderFactory().create_provider("aws", config) as provider:
        created = provider.storage.buckets.create(f"killed-{uuid.uuid4().hex[:20]}")
        yield created
        created.delete(delete_contents=True)


def killed_at(config, bucket, act, path, calls, when):
    """Run a transfer that is killed; skips where it ended before."""
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={calls}:signal=KILL:when={when}"]
    command = [*trace, sys.executable, "-c", WORKER, json.dumps(config), bucket.name, act, str(path)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    if done.returncode == 0:
        pytest.skip("it was over before")
    if done.returncode not in (-signal.SIGKILL, 128 + signal.SIGKILL):
        pytest.skip(f"strace cannot trace here: {done.stderr[-300:].decode()}")


@needs_strace
@pytest.mark.parametrize(
    ("calls", "when"), [("sendto,sendmsg", k) for k in (3, 5, 7, 9, 11)] + [("fsync", 1), ("fsync", 2)]
)
def test_an_upload_killed_anywhere_is_gone_on_with(config, bucket, tmp_path, calls, when):
    content = os.urandom(12 * MiB)
    source = tmp_path / "source"
    source.write_bytes(content)
    obj = bucket.objects.create("key").upload(OLD)
    killed_at(config, bucket, "upload", source, calls, when)
    assert obj.content() in (OLD, content)
    pending = bucket.provider.storage.pending_transfers()
    assert [(each.kind, each.key, each.path) for each in pending] in ([], [("upload", "key", source)])
    assert obj.upload_from_file(source, CUT).content() == content
    assert bucket.provider.storage.pending_transfers() == []
    # One that was killed before it could be written down is left, and can be listed.
    assert len(list(bucket.list_uploads())) <= (0 if pending else 1)


@needs_strace
@pytest.mark.parametrize(
    ("calls", "when"), [("pwrite64", k) for k in (1, 2, 4, 6)] + [("fsync", 2), ("rename,renameat,renameat2", 1)]
)
def test_a_download_killed_anywhere_is_gone_on_with(config, bucket, tmp_path, calls, when):
    content = os.urandom(12 * MiB)
    obj = bucket.objects.create("key").upload(content)
    place = tmp_path / "place"
    place.mkdir()
    target = place / "target"
    target.write_bytes(OLD)
    killed_at(config, bucket, "download", target, calls, when)
    assert target.read_bytes() in (OLD, content)
    obj.download_to_file(target, CUT)
    assert target.read_bytes() == content
    assert [each.name for each in place.iterdir()] == ["target"]
    assert bucket.provider.storage.pending_transfers() == []
