"""Objects of the encoded layout: what is stored is what is read, whole, or not at all."""

import io
import os
import stat
import threading
import zlib
from datetime import UTC, datetime, timedelta

import pytest

from cloudbridge_store.core.source import BytesBody
from cloudbridge_store.drivers.base import Body, PutOptions, ReadOptions
from cloudbridge_store.drivers.local import content
from cloudbridge_store.errors import (
    BucketNotEmptyError,
    BucketNotFoundError,
    ConflictError,
    DuplicateResourceException,
    InvalidRangeError,
    InvalidRequestError,
    NotModifiedError,
    ObjectChangedError,
    ObjectNotFoundError,
    PreconditionFailedError,
    SourceChangedError,
    UnsupportedOperationError,
)


class Lying(Body):
    """A body that is not as long as it says, read in pieces of one size, or failing."""

    def __init__(self, size, data, *, pieces=None, readinto=True, error=None):
        self.size = size
        self.stream = io.BytesIO(data)
        self.pieces = pieces
        self.error = error
        if readinto:
            self.readinto = self._readinto

    def open(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def _readinto(self, buffer):
        return self.stream.readinto(buffer[: self.pieces or len(buffer)])

    def read(self, size=-1):
        if self.error and self.stream.tell():
            raise self.error
        return self.stream.read(min(size, self.pieces or size))


def crc32(data):
    return {"crc32": f"{zlib.crc32(data):08x}"}


def test_an_object_and_all_that_describes_it(store):
    described = {"content_type": "text/plain", "headers": {"cache_control": "no-store"}, "metadata": {"é": "漢 字"}}
    stored = store.put("a/b", b"hello", **described, tags={"t": "1"})
    assert stored.checksums == crc32(b"hello")
    for info in (store.head("a/b"), store.driver.get_object("bucket", "a/b", ReadOptions()).info):
        assert (info.key, info.size, info.etag) == ("a/b", 5, stored.etag)
        assert (info.content_type, info.headers, info.metadata) == tuple(described.values())
        assert info.checksums == stored.checksums
        assert abs(info.modified - datetime.now(UTC)) < timedelta(minutes=1)
    assert store.get("a/b") == b"hello"
    assert store.driver.get_tags("bucket", "a/b") == {"t": "1"}


def test_a_bare_object_has_nothing_rather_than_unknown(store):
    store.put("a", b"")
    info = store.head("a")
    assert (info.content_type, info.headers, info.metadata, info.checksums) == (None, {}, {}, crc32(b""))


def test_an_object_and_a_directory_of_one_name(store):
    for key in ("a", "a/", "a/b", "a//", "/"):
        store.put(key, key.encode())
    assert store.keys() == ["/", "a", "a/", "a//", "a/b"]
    for info in store.page().items:
        assert store.get(info.key) == info.key.encode()
    store.delete("a")
    assert store.keys() == ["/", "a/", "a//", "a/b"]


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [(0, None, b"0123456789"), (3, None, b"3456789"), (3, 5, b"34"), (9, 99, b"9"), (0, 0, b""), (5, 3, b"")],
)
def test_ranges(store, start, stop, expected):
    store.put("a", b"0123456789")
    download = store.driver.get_object("bucket", "a", ReadOptions(start, stop))
    assert (download.start, download.length) == (start, len(expected))
    buffer = bytearray(20)
    assert download.stream.readinto(memoryview(buffer)) == len(expected)
    assert buffer[: len(expected)] == expected
    assert download.stream.readinto(memoryview(buffer)) == 0
    download.stream.close()
    assert store.get("a", start=start, stop=stop) == expected


def test_ranges_that_start_behind_the_end(store):
    store.put("a", b"0123456789")
    store.put("empty", b"")
    for key, start in (("a", 10), ("a", 11), ("empty", 1)):
        with pytest.raises(InvalidRangeError):
            store.get(key, start=start)
    assert store.get("empty") == b""


def test_a_reader_keeps_the_object_it_opened(store):
    store.put("a", b"old")
    stream = store.driver.get_object("bucket", "a", ReadOptions()).stream
    store.put("a", b"newer")
    assert stream.read(100) == b"old"
    stream.close()
    assert store.get("a") == b"newer"


def test_a_closed_stream(store):
    store.put("a")
    stream = store.driver.get_object("bucket", "a", ReadOptions()).stream
    stream.close()
    stream.close()
    with pytest.raises(ValueError, match="closed"):
        stream.read(1)
    with pytest.raises(ValueError, match="closed"):
        stream.readinto(memoryview(bytearray(1)))


def test_a_file_cut_short_while_it_is_read(store):
    store.put("a", b"0123456789")
    stream = store.driver.get_object("bucket", "a", ReadOptions()).stream
    os.truncate(store.folder / "a", 4)
    assert stream.read(100) == b"0123"
    with pytest.raises(ObjectChangedError):
        stream.read(100)
    stream.close()


def test_conditional_reads(store):
    etag = store.put("a").etag
    assert store.get("a", if_match=etag) == b"content"
    with pytest.raises(PreconditionFailedError):
        store.get("a", if_match="other")
    assert store.get("a", if_none_match="other") == b"content"
    with pytest.raises(NotModifiedError):
        store.get("a", if_none_match=etag)
    with pytest.raises(UnsupportedOperationError):
        store.get("a", version="1")


def test_conditional_writes(store):
    with pytest.raises(PreconditionFailedError):
        store.put("a", if_match="1-2-3")
    first = store.put("a", b"1", if_none_match="*").etag
    with pytest.raises(PreconditionFailedError):
        store.put("a", b"2", if_none_match="*")
    second = store.put("a", b"2", if_match=first).etag
    with pytest.raises(PreconditionFailedError):
        store.put("a", b"3", if_match=first)
    assert store.get("a", if_match=second) == b"2"
    assert store.staged() == []


def test_creation_where_the_file_system_has_no_links(store, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    store.put("a", b"1", if_none_match="*")
    with pytest.raises(PreconditionFailedError):
        store.put("a", b"2", if_none_match="*")
    assert store.get("a") == b"1"


def test_creation_does_not_overwrite_what_somebody_without_locks_made(store, monkeypatch):
    monkeypatch.setattr("cloudbridge_store.drivers.local.objects._current", lambda *_: None)
    (store.folder / "a").write_bytes(b"theirs")
    with pytest.raises(PreconditionFailedError):
        store.put("a", if_none_match="*")
    assert (store.folder / "a").read_bytes() == b"theirs"
    assert store.staged() == []


def test_one_of_sixteen_creates(store):
    start, outcomes = threading.Barrier(16), []

    def create(number):
        start.wait()
        try:
            store.put("deep/er/a", b"%d" % number, if_none_match="*")
            outcomes.append(number)
        except PreconditionFailedError:
            outcomes.append(None)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [number for number in outcomes if number is not None]
    assert len(outcomes) == 16
    assert len(winners) == 1
    assert store.get("deep/er/a") == b"%d" % winners[0]


@pytest.mark.parametrize("readinto", [True, False])
@pytest.mark.parametrize("data", [b"12345", b"1234567", b""])
def test_a_source_of_another_size_is_not_stored(store, data, readinto):
    store.put("a", b"old")
    with pytest.raises(SourceChangedError):
        store.driver.put_object("bucket", "a", Lying(6, data, readinto=readinto), PutOptions())
    assert store.get("a") == b"old"
    assert store.staged() == []


@pytest.mark.parametrize("readinto", [True, False])
def test_a_source_that_comes_in_small_pieces(store, readinto):
    data = os.urandom(5000)
    stored = store.driver.put_object("bucket", "a", Lying(5000, data, pieces=7, readinto=readinto), PutOptions())
    assert store.get("a") == data
    assert stored.checksums == crc32(data)


def test_a_source_that_fails(store):
    with pytest.raises(ZeroDivisionError):
        store.driver.put_object(
            "bucket", "a", Lying(6, b"123456", pieces=2, readinto=False, error=ZeroDivisionError()), PutOptions()
        )
    assert store.keys() == []
    assert store.staged() == []


def test_an_object_larger_than_a_piece(store):
    data = os.urandom(3 * 2**20 + 17)
    assert store.put("a", data).checksums == crc32(data)
    assert store.get("a", start=2**20 - 1, stop=2**21 + 1) == data[2**20 - 1 : 2**21 + 1]


def test_short_writes(store, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:1000]))
    data = os.urandom(10_000)
    store.put("a", data)
    assert store.get("a") == data


def test_files_have_the_mode_that_the_umask_says(store):
    before = os.umask(0o027)
    try:
        store.put("a")
    finally:
        os.umask(before)
    assert stat.S_IMODE((store.folder / "a").stat().st_mode) == 0o640


def test_identities_never_repeat(store, monkeypatch):
    monkeypatch.setattr("cloudbridge_store.drivers.local.content.time.time_ns", lambda: 10**18)
    assert len({store.put("a").etag for _ in range(50)}) == 50


def test_the_disk_is_told(make_store, monkeypatch):
    synced, fsync = [], os.fsync

    def record(file):
        synced.append(os.readlink(f"/proc/self/fd/{file}"))
        fsync(file)

    monkeypatch.setattr(os, "fsync", record)
    store = make_store(local_fsync=True)
    store.driver.create_bucket("bucket")
    assert {str(store.root.parent), str(store.root)} <= set(synced)
    synced.clear()
    store.put("x/y/a")
    assert "/staging/" in synced[0]
    assert set(synced[1:]) == {str(store.folder), str(store.folder / "x%"), str(store.folder / "x%" / "y%")}
    synced.clear()
    store.put("x/y/a")
    assert synced[1:] == [str(store.folder / "x%" / "y%")]
    synced.clear()
    store.delete("x/y/a")
    assert str(store.folder / "x%" / "y%") in synced[0]


def test_deleting(store):
    store.put("x/y/a")
    store.put("x/b")
    store.delete("x/y/a")
    assert not (store.folder / "x%" / "y%").exists()
    with pytest.raises(ObjectNotFoundError):
        store.get("x/y/a")
    for key in ("x/y/a", "x/b", "x/b", "never/was/there"):
        store.delete(key)
    assert os.listdir(store.folder) == []


def test_deleting_many(store):
    keys = [f"{number % 3}/{number}" for number in range(30)]
    for key in keys:
        store.put(key)
    assert store.driver.delete_objects("bucket", [*keys, "never"]) == {}
    assert os.listdir(store.folder) == []
    with pytest.raises(BucketNotFoundError):
        store.driver.delete_objects("none", keys)


def test_deleting_many_says_which_were_refused(store, monkeypatch):
    store.put("a")
    store.put("b")
    unlink = os.unlink

    def refuse(path, **keywords):
        if path == "a":
            raise PermissionError(1, "Operation not permitted")
        unlink(path, **keywords)

    monkeypatch.setattr(os, "unlink", refuse)
    failures = store.driver.delete_objects("bucket", ["a", "b"])
    assert list(failures) == ["a"]
    assert "Operation not permitted" in str(failures["a"])
    assert store.keys() == ["a"]


def test_tags_leave_the_object_as_it_is(store):
    before = store.put("a", b"1", metadata={"m": "1"}, tags={"t": "1"})
    store.driver.set_tags("bucket", "a", {"u": "2"})
    assert store.driver.get_tags("bucket", "a") == {"u": "2"}
    assert store.head("a").etag == before.etag
    assert store.head("a").metadata == {"m": "1"}
    assert store.head("a").checksums == before.checksums
    with pytest.raises(ObjectNotFoundError):
        store.driver.set_tags("bucket", "b", {})


@pytest.mark.parametrize("kernel", ["all", "no clone", "nothing"])
def test_copies(store, monkeypatch, kernel):
    if kernel != "all":
        monkeypatch.setattr(content, "_clone", lambda *_: False)
    if kernel == "nothing":
        monkeypatch.delattr(os, "copy_file_range", raising=False)
    data = os.urandom(2 * 2**20 + 5)
    source = store.put("a", data, content_type="text/plain", metadata={"m": "1"}, tags={"t": "1"})
    copied = store.driver.copy_object("bucket", "a", "bucket", "x/b")
    assert store.get("x/b") == data
    assert copied.checksums == source.checksums
    assert store.head("x/b").metadata == {"m": "1"}
    assert store.head("x/b").content_type == "text/plain"
    assert store.driver.get_tags("bucket", "x/b") == {"t": "1"}
    store.driver.copy_object("bucket", "a", "bucket", "x/c", PutOptions(metadata={"n": "2"}))
    assert store.head("x/c").metadata == {"n": "2"}
    assert store.head("x/c").content_type is None
    assert store.driver.get_tags("bucket", "x/c") == {}


def test_an_empty_copy(store):
    store.put("a", b"")
    store.driver.copy_object("bucket", "a", "bucket", "b")
    assert store.get("b") == b""


def test_a_copy_onto_itself(store):
    etag = store.put("a", b"1").etag
    store.driver.copy_object(
        "bucket", "a", "bucket", "a", PutOptions(metadata={"m": "1"}), source=ReadOptions(if_match=etag)
    )
    assert store.get("a") == b"1"
    assert store.head("a").metadata == {"m": "1"}
    with pytest.raises(PreconditionFailedError):
        store.driver.copy_object("bucket", "a", "bucket", "a", source=ReadOptions(if_match=etag))


def test_copies_of_what_is_not_there(store):
    store.put("a")
    with pytest.raises(ObjectNotFoundError):
        store.driver.copy_object("bucket", "b", "bucket", "c")
    with pytest.raises(BucketNotFoundError):
        store.driver.copy_object("bucket", "a", "other", "c")
    with pytest.raises(PreconditionFailedError):
        store.driver.copy_object("bucket", "a", "bucket", "a", PutOptions(if_none_match="*"))


def test_options_for_another_sdk_are_refused(store):
    with pytest.raises(InvalidRequestError, match="acl"):
        store.put("a", extra={"acl": "x"})


# Buckets


def test_buckets(store):
    for name in ("b2", "b1", "é"):
        created = store.driver.create_bucket(name).created
        assert store.driver.head_bucket(name).created == created
        assert abs(created - datetime.now(UTC)) < timedelta(minutes=1)
    with pytest.raises(DuplicateResourceException):
        store.driver.create_bucket("b1")
    (store.root / "file").touch()
    (store.root / "link").symlink_to("b1")
    first = store.driver.list_buckets(limit=2)
    rest = store.driver.list_buckets(limit=2, token=first.token)
    assert [info.name for info in [*first.items, *rest.items]] == ["b1", "b2", "bucket", "é"]
    assert rest.token is None


@pytest.mark.parametrize("name", ["", ".", "..", ".cbs", ".hidden", "a/b", "../bucket", "a\0b", "\udcff", "x" * 300])
def test_names_that_no_bucket_has(store, name):
    with pytest.raises(BucketNotFoundError):
        store.driver.head_bucket(name)
    with pytest.raises(BucketNotFoundError):
        store.driver.delete_bucket(name)


def test_only_empty_buckets_are_deleted(store):
    store.put("a/b/c")
    with pytest.raises(BucketNotEmptyError):
        store.driver.delete_bucket("bucket")
    store.delete("a/b/c")
    (store.folder / "left%" / "over%").mkdir(parents=True)
    store.driver.delete_bucket("bucket")
    with pytest.raises(BucketNotFoundError):
        store.driver.delete_bucket("bucket")


def test_a_bucket_with_litter_is_not_deleted(store):
    (store.folder / "left%").mkdir()
    (store.folder / "left%" / "%2F").touch()
    assert store.keys() == []
    with pytest.raises(BucketNotEmptyError):
        store.driver.delete_bucket("bucket")
    assert (store.folder / "left%" / "%2F").exists()


class Meddling(BytesBody):
    """A body while whose bytes are read something else happens."""

    def __init__(self, meddle):
        super().__init__(b"content")
        self.meddle = meddle

    def open(self):
        self.meddle()
        return super().open()


def test_a_driver_closed_while_an_object_comes_touches_nothing_else(store):
    store.put("0", b"mine")

    def meddle():
        store.driver.close()
        files.append(os.open(store.folder, os.O_RDONLY))

    files = []
    with pytest.raises(OSError, match="No such file"):
        store.driver.put_object("bucket", "a", Meddling(meddle), PutOptions())
    os.close(files[0])
    assert store.keys() == ["0"]


@pytest.mark.parametrize("key", ["a", "x/y/a"])
@pytest.mark.parametrize("again", [False, True])
def test_a_bucket_that_goes_while_an_object_comes(store, key, again):
    def meddle():
        store.driver.delete_bucket("bucket")
        if again:
            store.driver.create_bucket("bucket")

    with pytest.raises(BucketNotFoundError):
        store.driver.put_object("bucket", key, Meddling(meddle), PutOptions())
    assert store.folder.exists() == again
    assert not again or store.keys() == []
    assert store.staged() == []


def test_a_directory_that_goes_while_an_object_comes(store, monkeypatch):
    store.put("x/y/a")
    locks, done = store.driver._store.locks, []
    hold = locks.hold

    def meddle(bucket, key=""):
        if not done:
            done.append(key)
            store.delete("x/y/a")
        return hold(bucket, key)

    monkeypatch.setattr(locks, "hold", meddle)
    store.put("x/y/b")
    assert store.keys() == ["x/y/b"]


# Containment


@pytest.fixture
def outside(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a").write_bytes(b"secret")
    return tmp_path / "outside"


def test_a_link_is_not_an_object(store, outside):
    (store.folder / "a").symlink_to(outside / "a")
    _nothing_is_there(store, "a")
    with pytest.raises(ConflictError):
        store.put("a")
    with pytest.raises(ConflictError):
        store.put("a", if_none_match="*")
    assert (outside / "a").read_bytes() == b"secret"


def test_a_link_is_not_a_directory(store, outside):
    (store.folder / "x%").symlink_to(outside)
    _nothing_is_there(store, "x/a")
    with pytest.raises(ConflictError):
        store.put("x/a")
    with pytest.raises(ConflictError):
        store.put("x/y/a")
    assert os.listdir(outside) == ["a"]
    assert (outside / "a").read_bytes() == b"secret"


def test_a_link_is_not_a_bucket(store, outside):
    (store.root / "link").symlink_to(outside)
    with pytest.raises(BucketNotFoundError):
        store.driver.put_object("link", "a", BytesBody(b""), PutOptions())
    with pytest.raises(BucketNotFoundError):
        store.driver.list_objects("link")
    with pytest.raises(BucketNotFoundError):
        store.driver.delete_bucket("link")


def test_a_pipe_is_not_an_object(store):
    os.mkfifo(store.folder / "a")
    _nothing_is_there(store, "a")
    with pytest.raises(ConflictError):
        store.put("a")


def _nothing_is_there(store, key):
    for ask in (store.head, store.get, lambda key: store.driver.get_tags("bucket", key)):
        with pytest.raises(ObjectNotFoundError):
            ask(key)
    store.delete(key)
    assert store.keys() == []
