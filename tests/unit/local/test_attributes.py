"""What describes an object goes with its content, also where the file system has no place for it."""

import errno
import fcntl
import os
import threading

import pytest

from cloudbridge_store.core.source import BytesBody
from cloudbridge_store.drivers.base import PutOptions
from cloudbridge_store.errors import PreconditionFailedError

DESCRIBED = {"content_type": "text/plain", "metadata": {"m": "1"}, "tags": {"t": "1"}}


@pytest.mark.usefixtures("no_xattr")
def test_without_extended_attributes(store):
    stored = store.put("a", b"12345", **DESCRIBED)
    info = store.head("a")
    assert (info.content_type, info.metadata, info.checksums) == ("text/plain", {"m": "1"}, stored.checksums)
    assert store.side_files() == [f"{stored.etag}.json"]
    store.driver.set_tags("bucket", "a", {"u": "2"})
    assert store.driver.get_tags("bucket", "a") == {"u": "2"}
    assert store.side_files() == [f"{stored.etag}.json"]
    copied = store.driver.copy_object("bucket", "a", "bucket", "b")
    assert store.head("b").metadata == {"m": "1"}
    store.delete("a")
    assert store.side_files() == [f"{copied.etag}.json"]


@pytest.mark.usefixtures("no_xattr")
def test_a_replaced_object_takes_its_side_file_along(store):
    for number in range(5):
        stored = store.put("a", b"%d" % number)
        assert store.side_files() == [f"{stored.etag}.json"]
    with pytest.raises(PreconditionFailedError):
        store.put("a", if_match="other")
    assert store.side_files() == [f"{stored.etag}.json"]


@pytest.mark.usefixtures("no_xattr")
def test_another_objects_side_file_stays(store, make_store):
    stored = store.put("a", b"1")
    os.link(store.folder / "a", store.folder / "b")
    store.delete("a")
    assert store.head("b").checksums == stored.checksums


@pytest.mark.usefixtures("no_xattr")
def test_a_reader_between_two_objects_gets_one_of_them_whole(store, monkeypatch):
    store.put("a", b"old", metadata={"is": "old"})
    attributes = store.driver._store.attributes
    read, replaced = attributes.read, []

    def replace_before(file, status):
        if not replaced:
            replaced.append(file)
            store.put("a", b"new", metadata={"is": "new"})
        return read(file, status)

    monkeypatch.setattr(attributes, "read", replace_before)
    assert store.head("a").metadata == {"is": "new"}


def test_attributes_that_an_extended_attribute_cannot_hold(store):
    metadata = {"m": "x" * 65_000}
    stored = store.put("a", b"1", metadata=metadata)
    assert store.head("a").metadata == metadata
    assert store.head("a").checksums == stored.checksums


def test_tags_that_an_extended_attribute_can_no_longer_hold(store, monkeypatch):
    stored = store.put("a", b"1", **DESCRIBED)
    setxattr = os.setxattr

    def refuse(*_):
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "setxattr", refuse)
    store.driver.set_tags("bucket", "a", {"u": "2"})
    assert store.side_files() == [f"{stored.etag}.json"]
    assert store.driver.get_tags("bucket", "a") == {"u": "2"}
    assert store.head("a").metadata == {"m": "1"}
    assert store.head("a").etag == stored.etag
    monkeypatch.setattr(os, "setxattr", setxattr)
    store.driver.set_tags("bucket", "a", {"v": "3"})
    assert store.driver.get_tags("bucket", "a") == {"v": "3"}
    store.put("a")
    assert store.side_files() == []


def test_attributes_of_somebody_else(store):
    store.put("a", b"1")
    for content in (b"", b"[]", b"{}", b'{"other": 1}', b"\xff"):
        os.setxattr(store.folder / "a", "user.cbs", content)
        assert store.head("a").metadata == {}
        assert store.get("a") == b"1"


def test_a_disk_that_is_full_is_said_so(store, monkeypatch):
    store.put("a", b"old")

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(OSError, match="No space left"):
        store.put("a", b"new")
    monkeypatch.undo()
    assert store.get("a") == b"old"
    assert store.staged() == []


@pytest.mark.parametrize("with_xattr", [True, False])
def test_tags_set_while_the_object_is_replaced_are_of_one_object(store, request, with_xattr):
    if not with_xattr:
        request.getfixturevalue("no_xattr")
    store.put("a", b"0", tags={"of": "0"})

    def replace():
        for number in range(200):
            store.driver.put_object("bucket", "a", BytesBody(b"%d" % number), PutOptions(tags={"of": str(number)}))

    thread = threading.Thread(target=replace)
    thread.start()
    while thread.is_alive():
        store.driver.set_tags("bucket", "a", {"of": "tagger"})
        assert "of" in store.driver.get_tags("bucket", "a")
    thread.join()
    assert store.head("a").checksums
    assert len(store.side_files()) == (0 if with_xattr else 1)


@pytest.mark.usefixtures("no_xattr")
@pytest.mark.parametrize("happened", [True, False])
def test_an_interrupt_at_the_last_step_leaves_an_object_with_its_side_file(store, make_store, monkeypatch, happened):
    old = store.put("a", b"old", metadata={"is": "old"})
    rename = os.rename

    def interrupt(source, target, **places):
        if target != "a":
            rename(source, target, **places)
            return
        if happened:
            rename(source, target, **places)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.put("a", b"new", metadata={"is": "new"})
    assert store.staged() == []
    assert store.head("a").metadata == {"is": "new" if happened else "old"}
    assert (store.head("a").etag == old.etag) is not happened
    # Nor does the next sweep, which takes this driver for dead, find anything to remove.
    claim = store.driver._store.staging._claim
    fcntl.flock(claim.lock, fcntl.LOCK_UN)
    fresh = make_store(store.root)
    fresh.put("b")
    assert not claim.path.exists()
    assert fresh.head("a").metadata == {"is": "new" if happened else "old"}
