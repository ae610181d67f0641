"""Two processes with eight threads each, on the same few objects: nobody ever sees a mixture."""

import os
import random
import sys
import threading
import traceback
import zlib

import pytest

from cloudbridge_store.drivers.base import ReadOptions
from cloudbridge_store.errors import ConflictError, ObjectNotFoundError, PreconditionFailedError

KEYS = ["a", "x/a", "x/y/a", "x/y/b"]
THREADS, ROUNDS = 8, 60


def write(store, dice, key):
    """Store something that says of itself whether it is whole."""
    data = bytes([dice.randrange(256)]) * dice.choice([0, 1, 100, 5000, 70_000])
    store.put(key, data, metadata={"crc32": str(zlib.crc32(data)), "size": str(len(data))})


def read(store, dice, key):
    info = store.head(key)
    assert info.metadata["size"] == str(info.size)
    assert len(set(store.get(key))) <= 1


def read_whole(store, dice, key):
    download = store.driver.get_object(store.bucket, key, ReadOptions())
    data = download.stream.read(-1)
    download.stream.close()
    assert download.info.metadata == {"crc32": str(zlib.crc32(data)), "size": str(len(data))}
    assert download.info.checksums == {"crc32": f"{zlib.crc32(data):08x}"}


def create(store, dice, key):
    try:
        store.put(key, b"", metadata={"crc32": "0", "size": "0"}, if_none_match="*")
    except PreconditionFailedError:
        pass


def copy(store, dice, key):
    store.driver.copy_object(store.bucket, key, store.bucket, dice.choice(KEYS))


def delete(store, dice, key):
    store.delete(key)


def tag(store, dice, key):
    store.driver.set_tags(store.bucket, key, {"n": str(dice.random())})


def walk(store, dice, key):
    assert set(store.keys(limit=2)) <= set(KEYS)


WORK = [write, write, write, read, read_whole, read_whole, create, copy, delete, tag, walk]


def hammer(store, seed, errors):
    dice = random.Random(seed)
    try:
        for _ in range(ROUNDS):
            try:
                dice.choice(WORK)(store, dice, dice.choice(KEYS))
            except ObjectNotFoundError:
                pass
    except BaseException:
        errors.append(traceback.format_exc())


def run_threads(store, process):
    errors = []
    threads = [threading.Thread(target=hammer, args=(store, f"{process} {n}", errors)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


@pytest.mark.parametrize("layout", ["encoded", "plain"])
@pytest.mark.parametrize("with_xattr", [True, False], ids=["xattr", "side"])
def test_nobody_sees_a_mixture(make_store, request, layout, with_xattr):
    if not with_xattr:
        request.getfixturevalue("no_xattr")
    store = make_store(local_layout=layout)
    store.driver.create_bucket(store.bucket)
    children = []
    for process in range(2):
        child = os.fork()
        if not child:
            own = make_store(store.root, local_layout=layout)
            errors = run_threads(own, process)
            own.driver.close()
            sys.stderr.write("".join(errors))
            sys.stderr.flush()
            os._exit(bool(errors))
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    store.put("a", b"", metadata={"crc32": "0", "size": "0"})
    assert store.staged() == []
    assert set(store.side_files()) <= {f"{info.etag}.json" for info in store.page().items}
    for info in store.page().items:
        store.delete(info.key)
    assert store.side_files() == []
    store.driver.delete_bucket(store.bucket)


def test_a_counter_loses_nothing(store):
    """Compare and swap: what a writer read is what it replaces."""
    store.put("n", b"0")

    def count():
        for _ in range(20):
            while True:
                info = store.head("n")
                try:
                    number = int(store.get("n", if_match=info.etag))
                    store.put("n", b"%d" % (number + 1), if_match=info.etag)
                    break
                except (PreconditionFailedError, ConflictError):
                    continue

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("n") == b"160"
