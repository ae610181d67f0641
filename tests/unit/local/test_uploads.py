"""Multipart uploads: parts arrive in any order, and become one object or none."""

import io
import os
import zlib
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

from cloudbridge_store.core.source import BytesBody
from cloudbridge_store.drivers.base import Part, PutOptions
from cloudbridge_store.drivers.local import content
from cloudbridge_store.errors import (
    BucketNotFoundError,
    ConflictError,
    InvalidRequestError,
    PreconditionFailedError,
    SourceChangedError,
    UploadNotFoundError,
)


class Upload:
    def __init__(self, store, key="a", **options):
        self.driver, self.key = store.driver, key
        self.id = store.driver.start_upload("bucket", key, PutOptions(**options))

    def part(self, number, data):
        return self.driver.upload_part("bucket", self.key, self.id, number, BytesBody(data))

    def finish(self, parts, **options):
        return self.driver.finish_upload("bucket", self.key, self.id, parts, PutOptions(**options))

    def parts(self):
        return self.driver.list_parts("bucket", self.key, self.id)

    def abort(self):
        self.driver.abort_upload("bucket", self.key, self.id)


def left(store):
    return os.listdir(store.root / ".cbs" / "uploads")


@pytest.mark.parametrize("kernel", ["all", "nothing"])
def test_an_upload(store, monkeypatch, kernel):
    if kernel == "nothing":
        monkeypatch.delattr(os, "copy_file_range", raising=False)
    upload = Upload(store, "x/a", content_type="text/plain", metadata={"m": "1"}, tags={"t": "1"})
    pieces = [os.urandom(2**20 + 3), b"2", os.urandom(1000), b""]
    parts = {number: upload.part(number, pieces[number - 1]) for number in (3, 1, 4, 2)}
    assert store.keys() == []
    assert upload.parts() == [parts[1], parts[2], parts[3], parts[4]]
    stored = upload.finish(upload.parts())
    whole = b"".join(pieces)
    assert store.get("x/a") == whole
    assert stored.checksums == {"crc32": f"{zlib.crc32(whole):08x}"} == store.head("x/a").checksums
    assert store.head("x/a").etag == stored.etag
    assert store.head("x/a").metadata == {"m": "1"}
    assert store.driver.get_tags("bucket", "x/a") == {"t": "1"}
    assert left(store) == []
    with pytest.raises(UploadNotFoundError):
        upload.finish(list(parts.values()))


def test_a_part_replaces_another(store):
    upload = Upload(store)
    old, new = upload.part(1, b"old"), upload.part(1, b"newer")
    assert upload.parts() == [new]
    with pytest.raises(InvalidRequestError, match="part 1 has ETag"):
        upload.finish([old])
    upload.finish([new])
    assert store.get("a") == b"newer"


def test_not_all_parts_are_wanted(store):
    upload = Upload(store)
    parts = [upload.part(number, b"%d" % number) for number in (1, 5, 9)]
    upload.finish([parts[0], parts[2]])
    assert store.get("a") == b"19"


def test_parts_that_do_not_fit(store):
    upload = Upload(store)
    one, two, nothing = upload.part(1, b"1"), upload.part(2, b"2"), upload.part(3, b"")
    four = upload.part(4, b"4")
    for parts in ([], [two, one], [one, one], [Part(9, one.etag, 1)], [one, nothing, four], [Part(1, two.etag, 1)]):
        with pytest.raises(InvalidRequestError):
            upload.finish(parts)
    for number in (0, 10_001):
        with pytest.raises(InvalidRequestError):
            upload.part(number, b"")
    upload.finish([one, two, nothing])
    assert store.get("a") == b"12"


def test_a_part_of_another_size_is_not_stored(store):
    upload = Upload(store)
    body = mock.Mock(size=3, open=lambda: io.BytesIO(b"1234"))
    with pytest.raises(SourceChangedError):
        store.driver.upload_part("bucket", "a", upload.id, 1, body)
    assert upload.parts() == []
    assert store.staged() == []


def test_conditions_hold_at_the_end(store):
    upload = Upload(store)
    part = upload.part(1, b"new")
    store.put("a", b"old")
    with pytest.raises(PreconditionFailedError):
        upload.finish([part], if_none_match="*")
    assert store.get("a") == b"old"
    assert upload.parts() == [part]
    upload.finish([part], if_match=store.head("a").etag)
    assert store.get("a") == b"new"


def test_aborting(store):
    upload = Upload(store)
    upload.part(1, b"1")
    upload.abort()
    upload.abort()
    assert left(store) == []
    with pytest.raises(UploadNotFoundError):
        upload.part(1, b"1")
    with pytest.raises(UploadNotFoundError):
        upload.parts()


@pytest.mark.parametrize("upload_id", ["", ".", "..", "../staging", "a/b", "x" * 32, "0" * 32, "0" * 32 + "\n", "\0"])
def test_uploads_that_are_none(store, upload_id):
    other = Upload(store)
    for key, upload in (("a", upload_id), ("b", other.id)):
        with pytest.raises(UploadNotFoundError):
            store.driver.upload_part("bucket", key, upload, 1, BytesBody(b"1"))
        with pytest.raises(UploadNotFoundError):
            store.driver.list_parts("bucket", key, upload)
        with pytest.raises(UploadNotFoundError):
            store.driver.finish_upload("bucket", key, upload, [Part(1, "0-1", 1)], PutOptions())
        store.driver.abort_upload("bucket", key, upload)
    assert left(store) == [other.id]


def test_an_upload_that_is_aborted_while_a_part_arrives(store):
    upload = Upload(store)

    class Meddling(BytesBody):
        def open(self):
            upload.abort()
            return super().open()

    with pytest.raises(UploadNotFoundError):
        store.driver.upload_part("bucket", "a", upload.id, 1, Meddling(b"1"))
    assert store.staged() == []


def test_an_upload_that_is_aborted_while_it_is_completed(store, monkeypatch):
    upload = Upload(store)
    part = upload.part(1, b"1")

    def abort_and_copy(*arguments, **keywords):
        upload.abort()
        content.copy_file(*arguments, **keywords)

    monkeypatch.setattr("cloudbridge_store.drivers.local.uploads.copy_file", abort_and_copy)
    with pytest.raises(UploadNotFoundError):
        upload.finish([part])
    assert store.keys() == []
    assert store.staged() == []


def test_an_upload_that_is_completed_twice_at_once(store, monkeypatch):
    upload = Upload(store)
    part = upload.part(1, b"1")
    errors = []

    def finish_and_copy(*arguments, **keywords):
        with pytest.raises(ConflictError) as raised:
            upload.finish([part])
        errors.append(raised.value)
        content.copy_file(*arguments, **keywords)

    monkeypatch.setattr("cloudbridge_store.drivers.local.uploads.copy_file", finish_and_copy)
    upload.finish([part])
    assert len(errors) == 1
    assert store.get("a") == b"1"


def test_listing_uploads(store):
    uploads = [Upload(store, key) for key in ("b", "a", "a/x", "é", "b")]
    store.driver.create_bucket("other")
    store.driver.start_upload("other", "a", PutOptions())
    found, token = [], None
    while True:
        page = store.driver.list_uploads("bucket", limit=2, token=token)
        found += page.items
        token = page.token
        if token is None:
            break
    assert [(info.key, info.upload_id) for info in found] == sorted(
        ((upload.key, upload.id) for upload in uploads), key=lambda each: (each[0].encode(), each[1])
    )
    assert [info.key for info in store.driver.list_uploads("bucket", prefix="a").items] == ["a", "a/x"]
    assert all(abs(info.started - datetime.now(UTC)) < timedelta(minutes=1) for info in found)
    with pytest.raises(BucketNotFoundError):
        store.driver.list_uploads("none")


def test_uploads_go_with_their_bucket(store):
    upload = Upload(store)
    upload.part(1, b"1")
    store.driver.delete_bucket("bucket")
    assert left(store) == []
    with pytest.raises(BucketNotFoundError):
        Upload(store)


def test_uploads_of_an_earlier_bucket_do_not_come_back(store):
    Upload(store)
    store.folder.rmdir()
    store.driver.create_bucket("bucket")
    assert store.driver.list_uploads("bucket").items == []


def test_a_damaged_upload_is_none(store):
    upload = Upload(store)
    (store.root / ".cbs" / "uploads" / upload.id / "upload.json").write_bytes(b"")
    with pytest.raises(UploadNotFoundError):
        upload.parts()
    assert store.driver.list_uploads("bucket").items == []


def test_completing_again_what_was_published_but_not_tidied(store, monkeypatch):
    upload = Upload(store)
    part = upload.part(1, b"1")

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(store.driver._uploads, "_remove", die)
    with pytest.raises(KeyboardInterrupt):
        upload.finish([part], if_none_match="*")
    monkeypatch.undo()
    etag = store.head("a").etag
    assert upload.finish([part], if_none_match="*").etag == etag
    assert left(store) == []
