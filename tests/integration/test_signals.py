"""Forks, a thousand threads, pickles and signals: nobody gets another's bytes, and an end is an end."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading

import pytest

pytest.importorskip("boto3")

from servers.readers import content, read_own, spawned
from servers.scripted import Script

from cloudbridge_store import CloudProviderFactory
from cloudbridge_store.testing.fixtures import offline_bucket

LAST_MODIFIED = "Sat, 21 Nov 2026 12:00:00 GMT"


@pytest.fixture
def script():
    """A service whose every object holds its own path."""

    def answer(asked):
        fields = {"ETag": f'"{len(asked.path)}-1"', "Last-Modified": LAST_MODIFIED, "Content-Type": "text/plain"}
        return 200, fields, content(asked.path)

    script = Script(answer)
    yield script
    script.close()


@pytest.fixture
def aws(script):
    config = {"aws_access_key": "AK", "aws_secret_key": "SK", "s3_endpoint_url": script.url, "s3_preset": "other"}
    with CloudProviderFactory().create_provider("aws", {**config, "s3_addressing_style": "path"}) as provider:
        yield offline_bucket(provider, "a-bucket")


def in_child(work):
    """Fork; return the child's number. It ends with 0 if ``work`` returns nothing wrong."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        code = 1 if work() else 0
    finally:
        os._exit(code)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_children_of_a_warm_client_have_connections_of_their_own(script, aws):
    assert read_own(aws, "parent", 5) == []
    warm = {asked.client for asked in script.asked}
    children = [in_child(lambda who=who: read_own(aws, f"child-{who}", 40)) for who in range(8)]
    wrong = read_own(aws, "parent", 40)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
    assert wrong == []
    users = {}
    for asked in script.asked:
        users.setdefault(asked.client, set()).add(asked.path.split("/")[2])
    assert all(len(names) == 1 for names in users.values())
    assert all(users[client] == {"parent"} for client in warm)
    assert len(set.union(*users.values())) == 9


def test_a_spawned_process_uses_what_was_pickled(aws):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=spawned, args=(pickle.dumps(aws), answers))
    process.start()
    assert answers.get(timeout=60) == []
    process.join()
    assert process.exitcode == 0


def test_what_is_pickled_is_the_same_there(tmp_path):
    with CloudProviderFactory().create_provider("local", {"local_root": tmp_path}) as provider:
        obj = provider.storage.buckets.create("a-bucket").objects.create("key").upload(b"content")
        for each in (provider, obj.bucket, obj):
            there = pickle.loads(pickle.dumps(each))
            assert there == each
            assert there is not each
        assert there.content() == b"content"


def run_threads(count, work):
    """Run ``work(number)`` in many threads that begin together; return what went wrong."""
    wrong, begin = [], threading.Barrier(count)

    def run(number):
        begin.wait()
        try:
            if found := work(number):
                wrong.append(found)
        except Exception as error:
            wrong.append(repr(error))

    size = threading.stack_size(256 * 1024)
    try:
        threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        threading.stack_size(size)
    return wrong


def test_a_thousand_threads_on_one_provider_in_memory():
    with CloudProviderFactory().create_provider("memory", {}) as provider:
        bucket = provider.storage.buckets.create("a-bucket")

        def work(number):
            obj = bucket.objects.create(f"{number}").upload(f"{number}" * 100)
            return obj.content() != f"{number}".encode() * 100

        assert run_threads(1000, work) == []
        assert len(list(bucket.objects)) == 1000


def test_a_thousand_threads_on_one_client(script, aws):
    assert run_threads(1000, lambda number: read_own(aws, f"{number}", 1)) == []
    assert len({asked.path for asked in script.asked}) == 1000


LARGE = 64 << 20
# It goes slowly, says how far it got, and sends itself the signal when it is under way; nothing goes on before that is
# there. What does not end soon ends with all of it done.
WORKER = """
import os, signal, sys, threading
from cloudbridge_store import CloudProviderFactory, TransferConfig
root, where, work, number = *sys.argv[1:4], int(sys.argv[4])
under_way, arrived, slowly = threading.Event(), threading.Event(), threading.Event()
def end(*_):
    arrived.set()
    if number == signal.SIGTERM:
        sys.exit(143)
    raise KeyboardInterrupt
if number:
    signal.signal(number, end)
bucket = CloudProviderFactory().create_provider("local", {"local_root": root}).storage.buckets.get("a-bucket")
parts = TransferConfig(threshold=1, part_size=1 << 20, max_concurrency=3)
def progress(done, total):
    # Not by print: a thread that holds its lock at the end is a fatal error to Python.
    os.write(1, b"%d\\n" % done)
    if done > 4 << 20 and not under_way.is_set():
        under_way.set()
        if number:
            os.kill(os.getpid(), number)
            arrived.wait()
    slowly.wait(0.2)
if work == "upload":
    bucket.objects.create("object").upload(b"n" * (64 << 20), parts, progress=progress)
elif work == "upload file":
    bucket.objects.create("object").upload_from_file(where + "/source", parts, progress=progress)
elif work == "download":
    bucket.objects.get("large").download_to_file(where + "/target", parts, progress=progress)
elif work == "directory":
    bucket.download_directory(where + "/tree", "tree/", progress=progress)
else:
    run = lambda: bucket.objects.create("object").upload(b"n" * (64 << 20), parts, progress=progress)
    threading.Thread(target=run, daemon=True).start()
    under_way.wait()
"""


def run_worker(root, where, work, number):
    """Return the worker's exit code, and how many bytes it said were done."""
    command = [sys.executable, "-c", WORKER, str(root), str(where), work, str(int(number))]
    process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return process.returncode, int(process.stdout.split()[-1])


def litter(root, where):
    found = [str(path) for path in where.rglob("*.part")]
    return found + [str(path) for path in (root / ".cbs" / "uploads").glob("*/*")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("work", ["upload", "upload file", "download", "directory"])
def test_a_signal_ends_it_soon_and_leaves_nothing(tmp_path, work, number):
    root, where = tmp_path / "root", tmp_path / "where"
    (where / "tree").mkdir(parents=True)
    (where / "target").write_bytes(b"old")
    with (where / "source").open("wb") as file:
        file.truncate(LARGE)
    with CloudProviderFactory().create_provider("local", {"local_root": root, "local_fsync": False}) as provider:
        bucket = provider.storage.buckets.create("a-bucket")
        bucket.objects.create("object").upload(b"old")
        bucket.objects.create("large").upload(b"n" * LARGE)
        if work == "directory":
            bucket.objects.upload_many({f"tree/{each}": b"n" * (2 << 20) for each in range(40)})
        code, done = run_worker(root, where, work, number)
        assert code in (-signal.SIGINT, 130, 143)
        assert 4 << 20 < done < LARGE
        assert litter(root, where) == []
        assert list(bucket.list_uploads()) == []
        assert bucket.objects.get("object").content() == b"old"
        assert (where / "target").read_bytes() == b"old"
        assert {path.stat().st_size for path in (where / "tree").iterdir()} <= {2 << 20}


def test_an_interpreter_that_ends_with_work_under_way_ends_soon(tmp_path):
    root = tmp_path / "root"
    with CloudProviderFactory().create_provider("local", {"local_root": root, "local_fsync": False}) as provider:
        bucket = provider.storage.buckets.create("a-bucket")
        bucket.objects.create("object").upload(b"old")
        _, done = run_worker(root, tmp_path, "exit", 0)
        assert 4 << 20 < done < LARGE
        assert bucket.objects.get("object").content() == b"old"
