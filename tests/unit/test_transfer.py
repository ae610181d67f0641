"""Uploads and downloads: what is cut how, and what is left behind when it fails."""

from __future__ import annotations

import hashlib
import io
import os
import random
import zlib
from dataclasses import replace

import pytest

from cloudbridge_store import TransferConfig, errors
from cloudbridge_store.core import source
from cloudbridge_store.core.multipart import decide_cut, growing_part_sizes, upload_part_size
from cloudbridge_store.testing.faults import Fault

MiB = 2**20
DATA = random.Random(3).randbytes(11 * MiB + 17)
PARTS = TransferConfig(threshold=MiB, part_size=5 * MiB, max_concurrency=2)


def target(provider):
    return provider.storage.buckets.create("a-bucket").objects.create("key")


class Trickle(io.RawIOBase):
    """A stream that cannot be rewound and answers little at a time."""

    def __init__(self, data, most=70_001):
        self._data = memoryview(data)
        self._most = most

    def readable(self):
        return True

    def read(self, size=-1):
        size = min(self._most, len(self._data) if size < 0 else size)
        piece, self._data = bytes(self._data[:size]), self._data[size:]
        return piece


def sources(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(DATA)
    advanced = io.BytesIO(b"skipped" + DATA)
    advanced.seek(7)
    return {
        "bytes": lambda obj, **more: obj.upload(DATA, **more),
        "bytearray": lambda obj, **more: obj.upload(bytearray(DATA), **more),
        "memoryview": lambda obj, **more: obj.upload(memoryview(DATA), **more),
        "seekable": lambda obj, **more: obj.upload(advanced, **more),
        "stream": lambda obj, **more: obj.upload(Trickle(DATA), **more),
        "generator": lambda obj, **more: obj.upload(
            (DATA[i : i + 99_999] for i in range(0, len(DATA), 99_999)), **more
        ),
        "file": lambda obj, **more: obj.upload_from_file(path, **more),
    }


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "memoryview", "seekable", "stream", "generator", "file"])
@pytest.mark.parametrize("config", [None, PARTS], ids=["default", "parts"])
def test_every_kind_of_source_arrives_whole(faulty, tmp_path, kind, config):
    provider = faulty()
    seen = []
    obj = sources(tmp_path)[kind](
        target(provider), config=config, progress=lambda done, total: seen.append((done, total))
    )
    assert obj.content() == DATA
    assert seen[-1][0] == len(DATA)
    assert seen[-1][1] in (len(DATA), None)
    if config is PARTS:
        assert provider.driver.calls.count("upload_part") == 3


@pytest.mark.parametrize(
    ("data", "stored"), [("", b""), (b"", b""), ("é", b"\xc3\xa9"), (iter(()), b""), (io.BytesIO(), b"")]
)
def test_small_and_empty_sources_take_one_request(faulty, data, stored):
    provider = faulty()
    assert target(provider).upload(data, PARTS).content() == stored
    assert provider.driver.calls.count("put_object") == 1


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda path: path, "upload_from_file"), (lambda path: path.open(encoding="utf-8"), "mode 'rb'"), (lambda _: 5, "int"),
        (lambda _: [1, 2], "int"), (lambda _: ["text"], "str"), (lambda _: io.StringIO("x"), "binary"), (lambda _: None, "NoneType"),
    ],
)  # fmt: skip
def test_what_is_not_data_is_a_type_error(faulty, tmp_path, wrong, why):
    provider = faulty()
    obj = target(provider)
    path = tmp_path / "file"
    path.touch()
    data = wrong(path)
    with pytest.raises(TypeError, match=why):
        obj.upload(data)
    if hasattr(data, "close"):
        data.close()
    assert not obj.exists()


@pytest.mark.parametrize("skip", [0, 1, 2])
def test_a_part_that_fails_for_good_leaves_nothing(faulty, skip):
    provider = faulty(Fault("upload_part", errors.PermissionDeniedError("no"), skip=skip))
    obj = target(provider)
    with pytest.raises(errors.PermissionDeniedError):
        obj.upload(DATA, PARTS)
    assert not obj.exists()
    assert list(obj.bucket.list_uploads()) == []


def test_a_part_that_fails_once_is_sent_again(faulty):
    provider = faulty(Fault("upload_part", errors.ConnectionFailedError("reset"), skip=1))
    assert target(provider).upload(DATA, PARTS).content() == DATA


@pytest.mark.parametrize("config", [None, PARTS], ids=["default", "parts"])
def test_a_producer_that_fails_stores_nothing_and_its_error_is_the_users(faulty, config):
    def producer():
        yield DATA
        raise LookupError("the producer's own")

    provider = faulty()
    obj = target(provider).upload(b"old")
    with pytest.raises(LookupError, match="own"):
        obj.upload(producer(), config)
    assert obj.content() == b"old"
    assert list(obj.bucket.list_uploads()) == []


def test_an_abort_that_fails_does_not_hide_why(faulty, caplog):
    provider = faulty(
        Fault("upload_part", errors.PermissionDeniedError("no")), Fault("abort_upload", errors.IntegrityError("?"))
    )
    with pytest.raises(errors.PermissionDeniedError):
        target(provider).upload(DATA, PARTS)
    assert "could not be aborted" in caplog.text


def test_one_part_at_a_time_needs_no_threads(faulty):
    config = TransferConfig(threshold=1, part_size=5 * MiB, max_concurrency=1)
    obj = target(faulty()).upload(DATA, config)
    assert obj.content() == DATA
    with pytest.raises(errors.PermissionDeniedError):
        target(faulty(Fault("upload_part", errors.PermissionDeniedError("no")))).upload(DATA, config)


def test_a_driver_may_sum_rewind_and_send_again(faulty, tmp_path):
    provider = faulty()
    inner = provider.driver._inner
    original = inner.put_object

    def put_object(bucket, key, body, options):
        assert body.md5.hex() == hashlib.md5(DATA).hexdigest()
        assert body.crc32 == zlib.crc32(DATA)
        with body.open() as stream:
            assert stream.read(1000) == DATA[:1000]
            assert stream.seek(0) == stream.tell() == 0
            assert stream.readable()
            assert stream.seekable()
            assert b"".join(iter(lambda: stream.read(2**20), b"")) == DATA
            assert stream.seek(-5, io.SEEK_END) == len(DATA) - 5
            assert stream.read() == DATA[-5:]
        return original(bucket, key, body, options)

    inner.put_object = put_object
    path = tmp_path / "file"
    path.write_bytes(DATA)
    seen = []
    obj = target(provider).upload_from_file(path, progress=lambda done, total: seen.append(done))
    assert obj.content() == DATA
    assert seen[-1] == len(DATA)
    obj.upload(io.BytesIO(DATA), progress=lambda done, total: seen.append(done))
    assert seen[-1] == len(DATA)
    del inner.put_object


def test_an_interrupt_aborts_what_was_begun(faulty):
    provider = faulty()

    def producer():
        yield DATA
        raise KeyboardInterrupt

    obj = target(provider)
    with pytest.raises(KeyboardInterrupt):
        obj.upload(producer(), PARTS)
    assert list(obj.bucket.list_uploads()) == []


def test_conditions_hold_for_multipart_uploads_too(faulty):
    provider = faulty()
    obj = target(provider).upload(b"old")
    with pytest.raises(errors.PreconditionFailedError):
        obj.upload(DATA, PARTS, if_none_match="*")
    assert obj.content() == b"old"
    assert list(obj.bucket.list_uploads()) == []
    obj.upload(DATA, PARTS, if_match=obj.etag)
    assert obj.content() == DATA


@pytest.mark.parametrize("config", [None, PARTS], ids=["default", "parts"])
@pytest.mark.parametrize("change", ["grows", "shrinks", "rewritten"])
def test_a_file_that_changes_meanwhile_is_not_stored(faulty, tmp_path, change, config):
    path = tmp_path / "file"
    path.write_bytes(DATA)

    def alter():
        if change == "grows":
            with path.open("ab") as file:
                file.write(b"more")
        elif change == "shrinks":
            os.truncate(path, 3 * MiB)
        else:
            os.utime(path, ns=(1, 1))

    step = "put_object" if config is None else "upload_part"
    provider = faulty(Fault(step, before=alter))
    obj = target(provider)
    with pytest.raises(errors.SourceChangedError):
        obj.upload_from_file(path, config)
    assert not obj.exists()
    assert list(obj.bucket.list_uploads()) == []


@pytest.mark.parametrize("kind", ["missing", "directory", "pipe"])
def test_files_that_cannot_be_uploaded(faulty, tmp_path, kind):
    path = tmp_path / "it"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(errors.LocalIOError, match="it: ") as caught:
        target(faulty()).upload_from_file(path)
    assert isinstance(caught.value, FileNotFoundError) == (kind == "missing")


def test_memory_stays_within_the_parts_in_flight(faulty):
    provider = faulty()
    alive, most = set(), [0]
    original = source.BytesBody.__init__

    def counted(self, data):
        original(self, data)
        alive.add(id(self))
        most[0] = max(most[0], len(alive))

    source.BytesBody.__init__ = counted
    source.BytesBody.__del__ = lambda self: alive.discard(id(self))
    try:
        target(provider).upload((bytes(MiB) for _ in range(60)), PARTS)
    finally:
        source.BytesBody.__init__ = original
        del source.BytesBody.__del__
    assert most[0] <= 4


def test_parts_grow_with_the_object(faulty):
    session = faulty().session
    cut = decide_cut(session, None)
    assert cut == (100 * MiB, 16 * MiB, 5, False)
    assert upload_part_size(session, cut, 0) == 16 * MiB
    assert upload_part_size(session, cut, 5 * 2**40) * 10_000 >= 5 * 2**40
    with pytest.raises(errors.QuotaExceededError):
        upload_part_size(session, cut, 2**60)
    sizes = growing_part_sizes(session, cut)
    assert sum(next(sizes) for _ in range(10_000)) > 5 * 2**40


@pytest.mark.parametrize("part_size", [1, 5 * MiB - 1, 6 * 2**30])
def test_a_part_size_that_the_service_refuses_is_refused_before(faulty, part_size):
    provider = faulty()
    obj = target(provider)
    provider.driver.calls.clear()
    with pytest.raises(errors.InvalidValueException, match="part_size"):
        obj.upload(DATA, TransferConfig(threshold=1, part_size=part_size))
    assert provider.driver.calls == ["upload_limits"]


def test_the_calls_settings_beat_the_configured_ones(faulty):
    session = faulty(multipart_threshold=7 * MiB, multipart_part_size=6 * MiB, multipart_max_concurrency=2).session
    assert decide_cut(session, None) == (7 * MiB, 6 * MiB, 2, True)
    assert decide_cut(session, TransferConfig(part_size=8 * MiB)) == (7 * MiB, 8 * MiB, 2, True)


def test_without_multipart_a_stream_of_unknown_length_is_spooled(faulty):
    provider = faulty()
    provider.driver.capabilities = replace(provider.capabilities, multipart=False, list_uploads=False)
    obj = target(provider)
    assert obj.upload(Trickle(DATA)).content() == DATA
    with obj.open("wb") as file:
        file.write(DATA[:5])
        file.write(DATA[5:])
    assert obj.content() == DATA
    with pytest.raises(LookupError), obj.open("wb") as file:
        file.write(b"half")
        raise LookupError
    assert obj.content() == DATA


@pytest.mark.parametrize("config", [None, TransferConfig(threshold=1, part_size=MiB)], ids=["stream", "ranges"])
def test_downloads_are_whole_and_counted(faulty, tmp_path, config):
    obj = target(faulty()).upload(DATA)
    seen = []
    obj.download_to_file(tmp_path / "file", config, progress=lambda done, total: seen.append((done, total)))
    assert (tmp_path / "file").read_bytes() == DATA
    assert seen[-1] == (len(DATA), len(DATA))
    obj.download_to_file(tmp_path / "part", config, offset=5, length=3 * MiB)
    assert (tmp_path / "part").read_bytes() == DATA[5 : 5 + 3 * MiB]
    obj.download_to_file(tmp_path / "nothing", config, offset=5, length=0)
    assert (tmp_path / "nothing").read_bytes() == b""


def test_a_download_checks_md5_where_that_is_all_there_is(faulty, tmp_path):
    provider = faulty()
    obj = target(provider).upload(DATA)
    inner = provider.driver._inner
    original = inner.get_object

    def only(md5):
        def get_object(*args):
            download = original(*args)
            return replace(
                download, info=download.info._replace(checksums={"md5": md5 or download.info.checksums["md5"]})
            )

        return get_object

    ranges = TransferConfig(threshold=1, part_size=MiB)
    inner.get_object = only(None)
    obj.download_to_file(tmp_path / "file", ranges)
    inner.get_object = only("0" * 32)
    with pytest.raises(errors.IntegrityError, match="md5"):
        obj.download_to_file(tmp_path / "wrong", ranges)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
    del inner.get_object


def test_overwriting_can_be_refused(faulty, tmp_path):
    obj = target(faulty()).upload(b"new")
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(errors.LocalIOError):
        obj.download_to_file(path, overwrite=False)
    assert path.read_bytes() == b"old"
    obj.download_to_file(tmp_path / "fresh", overwrite=False)


def test_a_missing_object_or_directory_leaves_nothing(faulty, tmp_path):
    obj = target(faulty())
    with pytest.raises(errors.ObjectNotFoundError):
        obj.download_to_file(tmp_path / "file")
    obj.upload(b"x")
    with pytest.raises(errors.LocalFileNotFoundError):
        obj.download_to_file(tmp_path / "no" / "file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [True, False])
def test_a_writer_stores_at_a_clean_close_only(faulty, text):
    provider = faulty(multipart_part_size=5 * MiB)
    obj = target(provider).upload(b"old")
    with pytest.raises(LookupError), obj.open("w" if text else "wb") as file:
        file.write("x" * 6 * MiB if text else DATA)
        raise LookupError
    assert obj.content() == b"old"
    assert list(obj.bucket.list_uploads()) == []
    with obj.open("w" if text else "wb", metadata={"a": "b"}) as file:
        file.write("é" if text else DATA)
    assert obj.content() == ("é".encode() if text else DATA)
    assert obj.metadata == {"a": "b"}


def test_a_writer_that_is_dropped_stores_nothing(faulty):
    provider = faulty(multipart_part_size=5 * MiB)
    obj = target(provider)
    file = obj.open("wb")
    file.write(DATA)
    del file
    assert not obj.exists()
    assert list(obj.bucket.list_uploads()) == []


def test_a_writer_refuses_what_comes_after_its_close(faulty):
    obj = target(faulty())
    file = obj.open("wb")
    assert file.writable()
    assert file.write(b"abc") == 3
    assert file.tell() == 3
    file.close()
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.write(b"d")
    assert obj.content() == b"abc"


def test_a_writers_failure_is_the_closes(faulty):
    provider = faulty(Fault("put_object", errors.QuotaExceededError("full")))
    file = target(provider).open("wb")
    file.write(b"abc")
    with pytest.raises(errors.QuotaExceededError):
        file.close()


@pytest.mark.parametrize("parallel", [1, 2])
@pytest.mark.parametrize("failing", ["upload_limits", "start_upload", "upload_part"])
def test_a_writer_stores_no_part_of_what_it_failed_to_take(faulty, failing, parallel):
    refusal = Fault(failing, errors.PermissionDeniedError("no"))
    provider = faulty(refusal, multipart_part_size=5 * MiB, multipart_max_concurrency=parallel)
    obj = target(provider).upload(b"old")
    file = obj.open("wb")
    with pytest.raises(errors.PermissionDeniedError):
        for _ in range(5):
            file.write(DATA)
    with pytest.raises(errors.PermissionDeniedError):
        file.write(DATA)
    # As in a "finally".
    with pytest.raises(errors.PermissionDeniedError):
        file.close()
    assert file.closed
    assert obj.content() == b"old"
    assert list(obj.bucket.list_uploads()) == []


def test_an_unknown_mode_is_refused(faulty):
    with pytest.raises(errors.InvalidValueException, match="mode"):
        target(faulty()).open("a")
