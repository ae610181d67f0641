"""Processes that are killed at every step: what was stored is the old or the new, whole, and nothing else is left."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from cloudbridge_store.core.source import BytesBody
from cloudbridge_store.drivers.base import PutOptions
from cloudbridge_store.drivers.local import content, locks
from cloudbridge_store.errors import ObjectNotFoundError, UploadNotFoundError

_STEPS = (
    *("open", "close", "mkdir", "rename", "link", "unlink", "rmdir", "write", "utime", "fsync"),
    *("setxattr", "removexattr", "copy_file_range"),
)


def put(store):
    store.put("x/a", b"new", metadata={"is": "new"}, tags={"is": "new"})


def create(store):
    store.put("y/b", b"new", metadata={"is": "new"}, if_none_match="*")


def copy(store):
    store.driver.copy_object("bucket", "new", "bucket", "x/a")


def finish(store):
    (upload,) = store.driver.list_uploads("bucket").items
    parts = store.driver.list_parts("bucket", "x/a", upload.upload_id)
    store.driver.finish_upload("bucket", "x/a", upload.upload_id, parts, PutOptions())


def delete(store):
    store.delete("x/a")


def tag(store):
    store.driver.set_tags("bucket", "x/a", {"is": "new"})


def run_and_die(work, store, step):
    """Run ``work`` in a child that is killed before its call number ``step`` of the system; say whether it was."""
    child = os.fork()
    if not child:
        calls = 0

        def counted(function):
            def call(*arguments, **keywords):
                nonlocal calls
                calls += 1
                if calls == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **keywords)

            return call

        try:
            for name in _STEPS:
                setattr(os, name, counted(getattr(os, name)))
            for module in (locks, content):
                module.fcntl = type("fcntl", (), dict(vars(module.fcntl)))
                module.fcntl.flock = staticmethod(counted(module.fcntl.flock))
            work(store)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def prepare(store):
    store.driver.create_bucket("bucket")
    store.put("new", b"new", metadata={"is": "new"}, tags={"is": "new"})
    store.put("x/a", b"old", metadata={"is": "old"}, tags={"is": "old"})
    upload = store.driver.start_upload("bucket", "x/a", PutOptions(metadata={"is": "new"}))
    for number, data in enumerate((b"n", b"ew"), 1):
        store.driver.upload_part("bucket", "x/a", upload, number, BytesBody(data))
    store.driver.close()


@pytest.mark.parametrize("with_xattr", [True, False], ids=["xattr", "side"])
@pytest.mark.parametrize("work", [put, create, copy, finish, delete, tag])
def test_killed_at_every_step(make_store, tmp_path, request, work, with_xattr):
    if not with_xattr:
        request.getfixturevalue("no_xattr")
    for step in range(1, 200):
        root = tmp_path / str(step)
        prepare(make_store(root))
        died = run_and_die(work, make_store(root), step)
        check(make_store(root), work, ended=not died)
        if not died:
            assert step > 5
            return
        shutil.rmtree(root)
    pytest.fail("it never ends")


def check(store, work, *, ended):
    store.put("next", b"next")
    assert store.staged() == []
    assert len(os.listdir(store.root / ".cbs" / "staging")) == 1
    key = "y/b" if work is create else "x/a"
    try:
        data = store.get(key).decode()
    except ObjectNotFoundError:
        data = None
    if data is not None:
        assert store.head(key).metadata == {"is": data}
        assert store.head(key).checksums == store.put("probe", data.encode()).checksums
        store.delete("probe")
    old, new = {create: (None, "new"), delete: ("old", None), tag: ("old", "old")}.get(work, ("old", "new"))
    assert data in ((new,) if ended else (old, new))
    assert store.keys() == sorted(["new", "next", *([key] if data else []), *(["x/a"] if work is create else [])])
    if work is tag:
        assert store.driver.get_tags("bucket", key) in ({"is": "old"}, {"is": "new"})
    identities = {f"{info.etag}.json" for info in store.page().items}
    assert set(store.side_files()) <= identities
    if work is finish:
        check_upload(store, published=data == "new")


def check_upload(store, *, published):
    uploads = store.driver.list_uploads("bucket").items
    assert len(uploads) == (0 if published else 1)
    if published:
        with pytest.raises(UploadNotFoundError):
            store.driver.list_parts("bucket", "x/a", "0" * 32)
        return
    finish(store)
    assert store.get("x/a") == b"new"


_WORKER = textwrap.dedent(
    """
    import io, sys
    from pathlib import Path
    from unittest import mock
    from cloudbridge_store.config import Settings
    from cloudbridge_store.drivers.base import PutOptions
    from cloudbridge_store.drivers.local import LocalDriver

    driver = LocalDriver.connect({"local_root": Path(sys.argv[1]), "local_fsync": True}, Settings())
    for number in range(int(sys.argv[2])):
        data = b"%d" % number * 1000
        body = mock.Mock(size=len(data), open=lambda: io.BytesIO(data))
        driver.put_object("bucket", f"x/{number % 3}", body, PutOptions(metadata={"is": str(number)}))
        print(number, flush=True)
        driver.copy_object("bucket", f"x/{number % 3}", "bucket", f"y/{number % 3}")
        driver.delete_object("bucket", f"y/{number % 3}")
    """
)


def _worker(store, number, *command):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [*command, sys.executable, "-c", _WORKER, str(store.root), str(number)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _check_worker(store):
    for info in store.page().items:
        number = store.head(info.key).metadata["is"]
        assert store.get(info.key) == number.encode() * 1000
    store.put("next")
    store.delete("next")
    assert store.staged() == []
    assert store.side_files() == []


def test_killed_at_any_moment(make_store):
    store = make_store()
    store.driver.create_bucket("bucket")
    store.driver.close()
    for attempt in range(6):
        worker = _worker(store, 10**6)
        for number in range(1 + 3 * attempt):
            assert worker.stdout.readline() == f"{number}\n"
        worker.kill()
        worker.communicate()
        fresh = make_store(store.root)
        _check_worker(fresh)
        fresh.driver.close()


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize(
    ("calls", "when"),
    [("renameat,renameat2", 2), ("linkat,renameat,renameat2", 1), ("fsetxattr", 1), ("fsetxattr", 2), ("utimensat", 2)]
    + [("fsync", 3), ("unlinkat", 2), ("mkdirat,mkdir", 1)],
)
def test_killed_by_the_kernel_within_a_call(make_store, calls, when):
    store = make_store()
    store.driver.create_bucket("bucket")
    store.driver.close()
    inject = f"inject={calls}:signal=KILL:when={when}"
    worker = _worker(store, 3, "strace", "-f", "-qq", "-o", "/dev/null", "-e", inject)
    _, errors = worker.communicate()
    if worker.returncode != -signal.SIGKILL:
        pytest.skip(f"strace cannot trace here: {errors[-200:]}")
    _check_worker(make_store(store.root))
