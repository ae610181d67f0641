"""Several processes on one LOCAL root, and processes that are killed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from cloudbridge_store import CloudProviderFactory

HAMMER = """
import json, random, sys, threading
from cloudbridge_store import CloudProviderFactory
from cloudbridge_store.errors import NotFoundError, ObjectChangedError, PreconditionFailedError

root, layout, seed, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
provider = CloudProviderFactory().create_provider("local", {"local_root": root, "local_layout": layout, "local_fsync": False})
bucket = provider.storage.buckets.get("shared")
report = {"mixed": [], "counted": 0, "created": 0, "errors": []}
lock = threading.Lock()

def add(name, amount=1):
    with lock:
        report[name] += amount

def overwrite(chance, who):
    key = f"dir/key-{chance.randrange(4)}"
    letter, size = chr(97 + chance.randrange(26)), chance.randrange(60_000)
    bucket.objects.create(key).upload(f"{letter}{size:06}" + letter * size, metadata={"letter": letter})

def check(content, letter=None):
    text = content.decode()
    if text[1:7] != f"{len(text) - 7:06}" or set(text[7:]) - {text[0]} or letter not in (None, text[0]):
        report["mixed"].append([text[:7], len(text), letter])

def stream(chance, who):
    try:
        check(bucket.objects.create(f"dir/key-{chance.randrange(4)}").content())
    except NotFoundError:
        pass

def read(chance, who):
    try:
        with bucket.objects.create(f"dir/key-{chance.randrange(4)}").open() as file:
            check(file.read(), file.raw.info.metadata["letter"])
    except (NotFoundError, ObjectChangedError):
        pass  # deleted, or replaced after it was opened: said, not mixed

def count(chance, who):
    obj = bucket.objects.get("counter")
    try:
        obj.upload(str(int(obj.content()) + 1), if_match=obj.etag)
    except PreconditionFailedError:
        return
    add("counted")

def create(chance, who):
    try:
        bucket.objects.create(f"once/{chance.randrange(500)}").upload(str(who), if_none_match="*")
    except PreconditionFailedError:
        return
    add("created")

def delete(chance, who):
    bucket.objects.create(f"dir/key-{chance.randrange(4)}").delete()

def run(number):
    chance = random.Random(seed * 100 + number)
    try:
        for _ in range(rounds):
            chance.choice([overwrite, overwrite, stream, stream, read, count, create, delete])(chance, (seed, number))
    except Exception as error:
        report["errors"].append(repr(error))

threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps(report))
"""


def provider_at(root, **config):
    return CloudProviderFactory().create_provider("local", {"local_root": root, "local_fsync": False, **config})


@pytest.mark.parametrize("layout", ["encoded", "plain"])
def test_two_processes_of_eight_threads_lose_nothing_and_mix_nothing(tmp_path, layout):
    bucket = provider_at(tmp_path, local_layout=layout).storage.buckets.create("shared")
    bucket.objects.create("counter").upload("0")
    command = [sys.executable, "-c", HAMMER, str(tmp_path), layout]
    processes = [subprocess.Popen([*command, str(seed), "150"], stdout=subprocess.PIPE, text=True) for seed in (1, 2)]
    reports = [json.loads(process.communicate()[0]) for process in processes]
    assert [report["errors"] for report in reports] == [[], []]
    assert [report["mixed"] for report in reports] == [[], []]
    assert int(bucket.objects.get("counter").content()) == sum(report["counted"] for report in reports) > 0
    assert len(list(bucket.objects.iter(prefix="once/"))) == sum(report["created"] for report in reports) > 0
    assert litter(tmp_path) == []


def litter(root: Path) -> list[str]:
    """What is left over in a store's control directory after an operation of a new process."""
    command = [sys.executable, "-c", TOUCH, str(root)]
    subprocess.run(command, check=True)
    kept = [
        path for name in ("staging", "uploads") for path in (root / ".cbs" / name).glob("*/*") if path.name != "lock"
    ]
    return [str(path) for path in kept]


TOUCH = """
import sys
from cloudbridge_store import CloudProviderFactory
layout = "plain" if '"plain"' in open(sys.argv[1] + "/.cbs/layout.json").read() else "encoded"
provider = CloudProviderFactory().create_provider("local", {"local_root": sys.argv[1], "local_layout": layout})
bucket = next(iter(provider.storage.buckets))
bucket.objects.create("touched").upload("by the next operation")
"""

VICTIM = """
import sys
from cloudbridge_store import CloudProviderFactory, TransferConfig
root, work, where = sys.argv[1:]
provider = CloudProviderFactory().create_provider("local", {"local_root": root, "local_fsync": False})
bucket = provider.storage.buckets.get("bucket")
obj = bucket.objects.create("dir/key")
parts = TransferConfig(threshold=1, part_size=1 << 20, max_concurrency=3)
print("ready", flush=True)
while True:
    for letter in "ab":
        data = letter.encode() * (4 << 20)
        if work == "upload":
            obj.upload(data, metadata={"letter": letter})
        elif work == "multipart":
            obj.upload(data, parts, metadata={"letter": letter})
        elif work == "download":
            bucket.objects.create(f"source-{letter}").download_to_file(f"{where}/target", parts)
        else:
            bucket.download_directory(where, f"tree-{letter}/")
"""


def killed(root, work, where, chance):
    """Start the victim, and kill it at a random moment of its work."""
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(root), work, str(where)], stdout=subprocess.PIPE, text=True
    )
    assert victim.stdout.readline() == "ready\n"
    try:
        victim.wait(timeout=chance.uniform(0.0, 0.05))
    except subprocess.TimeoutExpired:
        victim.kill()
    victim.wait()
    victim.stdout.close()


@pytest.mark.parametrize("work", ["upload", "multipart"])
def test_a_killed_upload_leaves_old_or_new(tmp_path, work):
    chance = random.Random(work)
    bucket = provider_at(tmp_path).storage.buckets.create("bucket")
    bucket.objects.create("dir/key").upload(b"a" * (4 << 20), metadata={"letter": "a"})
    for _ in range(12):
        killed(tmp_path, work, tmp_path, chance)
        obj = bucket.objects.get("dir/key")
        assert obj.content() == obj.metadata["letter"].encode() * (4 << 20)
    if work == "upload":
        assert litter(tmp_path) == []
    else:
        # Parts that were stored are no litter but an upload that can be resumed; it says so, and goes when told.
        assert {upload.object_name for upload in bucket.list_uploads()} <= {"dir/key"}
        bucket.abort_uploads()
        assert litter(tmp_path) == []


def letters(path: Path) -> set[int]:
    return set(path.read_bytes())


def test_a_killed_download_leaves_old_or_new_and_the_next_one_cleans_up(tmp_path):
    chance = random.Random(1)
    root, where = tmp_path / "root", tmp_path / "where"
    where.mkdir()
    bucket = provider_at(root).storage.buckets.create("bucket")
    for letter in (b"a", b"b"):
        bucket.objects.create(f"source-{letter.decode()}").upload(letter * (4 << 20))
    target = where / "target"
    target.write_bytes(b"a" * (4 << 20))
    for _ in range(12):
        killed(root, "download", where, chance)
        assert target.stat().st_size == 4 << 20
        assert len(letters(target)) == 1
    bucket.objects.get("source-a").download_to_file(target)
    assert os.listdir(where) == ["target"]


def test_a_killed_restore_leaves_whole_files_and_the_next_one_cleans_up(tmp_path):
    chance = random.Random(2)
    root, where = tmp_path / "root", tmp_path / "where"
    bucket = provider_at(root).storage.buckets.create("bucket")
    names = [f"{number % 5}/file-{number}" for number in range(60)]
    for letter in (b"a", b"b"):
        bucket.objects.upload_many({f"tree-{letter.decode()}/{name}": letter * 50_000 for name in names})
    for _ in range(12):
        killed(root, "restore", where, chance)
        whole = [path for path in where.rglob("*") if path.is_file() and not path.name.endswith(".part")]
        assert all(path.stat().st_size == 50_000 and len(letters(path)) == 1 for path in whole)
    bucket.download_directory(where, "tree-b/")
    files = sorted(path.relative_to(where).as_posix() for path in where.rglob("*") if path.is_file())
    assert files == sorted(names)
    assert all(letters(where / name) == {ord("b")} for name in names)


def test_an_upload_of_a_killed_process_can_be_finished_by_another(tmp_path):
    script = """
import os, signal, sys
from cloudbridge_store import CloudProviderFactory
provider = CloudProviderFactory().create_provider("local", {"local_root": sys.argv[1]})
upload = provider.storage.buckets.create("bucket").objects.create("key").create_multipart_upload(metadata={"a": "b"})
upload.upload_part(2, b"world")
upload.upload_part(1, b"hello ")
print(upload.id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode < 0
    bucket = provider_at(tmp_path).storage.buckets.get("bucket")
    (found,) = bucket.list_uploads()
    assert (found.id, found.object_name) == (done.stdout.strip(), "key")
    obj = bucket.objects.create("key").resume_upload(found.id).complete()
    assert obj.content() == b"hello world"
    assert obj.metadata == {"a": "b"}
    assert list(bucket.list_uploads()) == []
