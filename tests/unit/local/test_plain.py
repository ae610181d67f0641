"""The plain layout: keys are relative paths, in a tree that others may have made and go on changing."""

import os
import zlib

import pytest

from cloudbridge_store.drivers.base import ReadOptions
from cloudbridge_store.errors import ConflictError, InvalidRequestError, ObjectNotFoundError, PreconditionFailedError


@pytest.fixture
def tree(make_store, tmp_path):
    """A tree that other programs made."""
    bucket = tmp_path / "root" / "bucket"
    (bucket / "src" / "deep").mkdir(parents=True)
    (bucket / "empty").mkdir()
    (bucket / "a.txt").write_bytes(b"0123456789")
    (bucket / ".hidden").write_bytes(b"h")
    (bucket / "src" / "b.txt").write_bytes(b"b")
    (bucket / "src" / "deep" / "c%2f.txt").write_bytes(b"c")
    (bucket / "link").symlink_to("a.txt")
    (bucket / "up").symlink_to("..")
    (bucket / os.fsdecode(b"\xff")).touch()
    (tmp_path / "root" / ".git").mkdir()
    return make_store(local_layout="plain")


def test_an_existing_tree_is_read_without_a_trace(tree):
    assert [info.name for info in tree.driver.list_buckets(limit=10).items] == ["bucket"]
    assert tree.keys() == [".hidden", "a.txt", "src/b.txt", "src/deep/c%2f.txt"]
    assert tree.keys(delimiter="/") == [".hidden", "a.txt", "src/"]
    assert tree.keys(prefix="src/", limit=1) == ["src/b.txt", "src/deep/c%2f.txt"]
    assert tree.get("a.txt", start=2, stop=5) == b"234"
    info = tree.head("a.txt")
    assert (info.size, info.content_type, info.metadata, info.checksums) == (10, None, {}, {})
    assert info.etag == tree.page().items[1].etag
    assert tree.driver.get_tags("bucket", "a.txt") == {}
    assert not (tree.root / ".cbs").exists()


def test_an_existing_tree_is_written(tree):
    etag = tree.head("a.txt").etag
    tree.put("a.txt", b"new", if_match=etag, metadata={"m": "1"})
    tree.put("src/new/d.txt", b"d")
    assert (tree.folder / "a.txt").read_bytes() == b"new"
    assert (tree.folder / "src" / "new" / "d.txt").read_bytes() == b"d"
    tree.driver.set_tags("bucket", "src/b.txt", {"t": "1"})
    assert tree.driver.get_tags("bucket", "src/b.txt") == {"t": "1"}
    assert tree.head("src/b.txt").checksums == {}
    copied = tree.driver.copy_object("bucket", "src/b.txt", "bucket", "copy")
    assert copied.checksums == {"crc32": "71beeff9"}
    assert (tree.root / ".cbs").exists()
    assert [info.name for info in tree.driver.list_buckets(limit=10).items] == ["bucket"]


@pytest.mark.parametrize("key", ["link", "up/bucket/a.txt", "src", "a.txt/x", "empty", "empty/x"])
def test_what_is_no_object_is_not_found(tree, key):
    for ask in (tree.head, tree.get):
        with pytest.raises(ObjectNotFoundError):
            ask(key)
    tree.delete(key)
    assert (tree.folder / "link").is_symlink()
    assert (tree.folder / "a.txt").exists()


@pytest.mark.parametrize("key", ["link", "up/x", "src", "a.txt/x"])
def test_what_is_in_the_way_is_not_replaced(tree, key):
    for options in ({}, {"if_none_match": "*"}):
        with pytest.raises(ConflictError):
            tree.put(key, **options)
    assert tree.staged() == []
    assert (tree.folder / "link").is_symlink()
    assert not (tree.root / "x").exists()


def test_directories_that_hold_nothing_make_room(plain):
    (plain.folder / "a" / "b").mkdir(parents=True)
    plain.put("a", b"1", if_none_match="*")
    assert plain.get("a") == b"1"


def test_a_key_that_no_path_can_be(plain):
    with pytest.raises(InvalidRequestError, match="'//'"):
        plain.put("a//b")
    assert "255" in plain.driver.refuse_key("x" * 256)
    assert not plain.driver.capabilities.nested_keys


def test_an_edit_in_place_keeps_the_description_and_drops_the_checksum(plain):
    before = plain.put("a", b"12345", content_type="text/plain", metadata={"m": "1"})
    with (plain.folder / "a").open("r+b") as file:
        file.write(b"54321")
    info = plain.head("a")
    assert info.etag != before.etag
    assert (info.content_type, info.metadata, info.checksums) == ("text/plain", {"m": "1"}, {})
    with pytest.raises(PreconditionFailedError):
        plain.put("a", if_match=before.etag)
    plain.driver.set_tags("bucket", "a", {"t": "1"})
    assert plain.head("a").checksums == {}
    assert plain.driver.copy_object("bucket", "a", "bucket", "b").checksums == {"crc32": f"{zlib.crc32(b'54321'):08x}"}


def test_times_that_python_cannot_say(plain):
    plain.put("a")
    os.utime(plain.folder / "a", (2**36, 2**36))
    stored = (plain.folder / "a").stat().st_mtime
    info = plain.head("a")
    assert info.modified.tzinfo is not None
    assert info == plain.driver.get_object("bucket", "a", ReadOptions()).info
    assert plain.page().items[0].modified == info.modified
    # ext4 cannot either, and keeps the last moment it can.
    assert info.modified.year == 9999 or abs(info.modified.timestamp() - stored) < 1


def test_deleting_removes_directories_that_hold_nothing(tree):
    tree.delete("src/deep/c%2f.txt")
    assert sorted(os.listdir(tree.folder / "src")) == ["b.txt"]
    tree.delete("src/b.txt")
    assert not (tree.folder / "src").exists()
    assert tree.folder.exists()
