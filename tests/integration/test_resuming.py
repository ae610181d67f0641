"""Transfers of processes that are killed in the middle, and what the next ones make of them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cloudbridge_store import CloudProviderFactory, Encryption, PendingTransfer, TransferConfig, errors
from cloudbridge_store.core.atomic import AtomicFile
from cloudbridge_store.core.source import LocalFile

PART = 64 * 1024
COUNT = 12
SIZE = PART * (COUNT - 1) + 1_000
DATA = random.Random(7).randbytes(SIZE)
CONFIG = TransferConfig(threshold=1, part_size=PART, max_concurrency=2)

VICTIM = """
import json, os, signal, sys
from cloudbridge_store import CloudProviderFactory, TransferConfig

job = json.loads(sys.argv[1])
provider = CloudProviderFactory().create_provider("local", job["config"])
driver = provider.session.driver
obj = provider.storage.buckets.get("bucket").objects.create("dir/key")

def reached():
    if job["then"] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    print("there", flush=True)
    sys.stdin.readline()

def upload_part(bucket, key, upload_id, number, body, options, method=driver.upload_part):
    if number == job["at"]:
        reached()
    return method(bucket, key, upload_id, number, body, options)

def get_object(bucket, key, options, method=driver.get_object):
    if options.stop is not None and options.start == job["at"]:
        reached()
    return method(bucket, key, options)

driver.upload_part, driver.get_object = upload_part, get_object
if job["work"] == "upload":
    obj.upload_from_file(job["path"], TransferConfig(1, job["part"], 1), **job["options"])
else:
    obj.download_to_file(job["path"], TransferConfig(1, job["part"], 2), **job["options"])
"""


class World:
    """A store, a journal, and a place for files; what is asked of the store is counted."""

    def __init__(self, directory: Path) -> None:
        self.journal = directory / "journal"
        self.files = directory / "files"
        self.files.mkdir()
        self.path = self.files / "data"
        self.config = {"local_root": str(directory / "root"), "local_fsync": False, "journal": str(self.journal)}
        self.provider, self.sent, self.fetched = None, [], []
        self.reopen()
        self.bucket = self.provider.storage.buckets.create("bucket")
        self.obj = self.bucket.objects.create("dir/key")

    def reopen(self, **config):
        if self.provider is not None:
            self.provider.close()
        self.provider = CloudProviderFactory().create_provider("local", {**self.config, **config})
        self.bucket = self.provider.storage.buckets.get("bucket")
        self.obj = self.bucket and self.bucket.objects.create("dir/key")
        driver = self.provider.session.driver
        put, get = driver.upload_part, driver.get_object

        def upload_part(bucket, key, upload_id, number, *rest):
            self.sent.append(number)
            return put(bucket, key, upload_id, number, *rest)

        def get_object(bucket, key, options):
            if options.stop is not None:
                self.fetched.append(options.start)
            return get(bucket, key, options)

        driver.upload_part, driver.get_object = upload_part, get_object

    def command(self, work, at, then, **options):
        config = {**self.config, **options.pop("config", {})}
        job = {"work": work, "at": at, "then": then, "path": str(self.path), "part": PART, "config": config}
        return [sys.executable, "-c", VICTIM, json.dumps({**job, "options": options})]

    def kill(self, work, at, **options):
        done = subprocess.run(self.command(work, at, "die", **options), check=False)
        assert done.returncode == -signal.SIGKILL

    def entries(self):
        return [path for path in self.journal.iterdir() if path.name != "salt"] if self.journal.exists() else []

    def noted(self):
        (entry,) = self.entries()
        return sorted(json.loads(line)["start"] for line in entry.read_text("utf-8").splitlines()[1:])

    def parts(self):
        return sorted(path for path in self.files.iterdir() if path.name.endswith(".part"))

    def assert_clean(self):
        assert self.entries() == []
        assert self.parts() == []
        assert list(self.bucket.list_uploads()) == []


def refuse(patch, world, operation, error=errors.PermissionDeniedError):
    """Make the service refuse an operation."""

    def refused(*_):
        raise error("no")

    refused.__name__ = operation
    patch.setattr(world.provider.session.driver, operation, refused)


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.provider.close()


@pytest.fixture
def source(world):
    """An upload of 12 parts, of which 4 were stored when its process was killed."""
    world.path.write_bytes(DATA)
    world.kill("upload", 5)
    return world


@pytest.fixture
def target(world):
    """A download of 12 ranges, of which some are done, whose process was killed."""
    world.obj.upload(DATA)
    world.kill("download", 8 * PART)
    return world


# Uploads


def test_a_killed_upload_is_gone_on_with(source):
    assert len(list(source.bucket.list_uploads())) == 1
    source.obj.upload_from_file(source.path, CONFIG)
    assert sorted(source.sent) == list(range(5, COUNT + 1))
    assert source.obj.content() == DATA
    source.assert_clean()


def test_an_upload_goes_on_in_the_parts_it_was_begun_with(source):
    source.obj.upload_from_file(source.path, TransferConfig(threshold=1, part_size=3 * PART))
    assert sorted(source.sent) == list(range(5, COUNT + 1))
    assert source.obj.content() == DATA
    source.assert_clean()


def test_it_can_be_killed_again_and_again(world):
    world.path.write_bytes(DATA)
    for at in (3, 5, 9):
        world.kill("upload", at)
        assert len(world.entries()) == len(list(world.bucket.list_uploads())) == 1
    world.obj.upload_from_file(world.path, CONFIG)
    assert sorted(world.sent) == list(range(9, COUNT + 1))
    assert world.obj.content() == DATA
    world.assert_clean()


def test_a_stored_part_of_other_bytes_is_sent_again(source):
    (upload,) = source.bucket.list_uploads()
    upload.upload_part(2, b"x" * PART)
    upload.upload_part(3, b"short")
    source.sent.clear()
    source.obj.upload_from_file(source.path, CONFIG)
    assert sorted(source.sent) == [2, 3, *range(5, COUNT + 1)]
    assert source.obj.content() == DATA
    source.assert_clean()


def test_parts_are_sent_again_where_no_etag_can_be_computed(source):
    source.provider.session.driver.part_etag = lambda body: None
    source.obj.upload_from_file(source.path, CONFIG)
    assert sorted(source.sent) == list(range(1, COUNT + 1))
    source.assert_clean()


def test_a_file_that_changed_is_uploaded_anew_and_the_old_upload_aborted(source):
    (old,) = source.bucket.list_uploads()
    other = DATA[::-1]
    source.path.write_bytes(other)
    source.obj.upload_from_file(source.path, CONFIG)
    assert sorted(source.sent) == list(range(1, COUNT + 1))
    assert source.obj.content() == other
    with pytest.raises(errors.UploadNotFoundError):
        old.list_parts()
    source.assert_clean()


def test_an_upload_that_the_service_forgot_is_started_anew(source):
    source.bucket.abort_uploads()
    source.obj.upload_from_file(source.path, CONFIG)
    assert sorted(source.sent) == list(range(1, COUNT + 1))
    assert source.obj.content() == DATA
    source.assert_clean()


@pytest.mark.parametrize("different", ["options", "key", "account"])
def test_another_upload_leaves_it_alone(source, different, tmp_path):
    (old,) = source.bucket.list_uploads()
    if different == "options":
        source.obj.upload_from_file(source.path, CONFIG, metadata={"a": "b"})
    elif different == "key":
        source.bucket.objects.create("dir/other").upload_from_file(source.path, CONFIG)
    else:
        config = {**source.config, "local_root": str(tmp_path / "elsewhere")}
        with CloudProviderFactory().create_provider("local", config) as other:
            other.storage.buckets.create("bucket").objects.create("dir/key").upload_from_file(source.path, CONFIG)
            assert other.storage.pending_transfers() == []
    assert [upload.id for upload in source.bucket.list_uploads()] == [old.id]
    assert len(old.list_parts()) == 4
    assert len(source.entries()) == 1


def test_a_failure_in_a_living_process_leaves_nothing(source, monkeypatch):
    refuse(monkeypatch, source, "finish_upload")
    with pytest.raises(errors.PermissionDeniedError):
        source.obj.upload_from_file(source.path, CONFIG)
    source.assert_clean()


@pytest.mark.parametrize("work", ["upload", "download"])
def test_an_interrupt_leaves_nothing(source, monkeypatch, work):
    def interrupt(*_):
        raise KeyboardInterrupt

    if work == "upload":
        monkeypatch.setattr(source.provider.session.driver, "upload_part", interrupt)
    else:
        source.obj.upload_from_file(source.path, CONFIG)
        monkeypatch.setattr(AtomicFile, "commit", interrupt)
    with pytest.raises(KeyboardInterrupt):
        if work == "upload":
            source.obj.upload_from_file(source.path, CONFIG)
        else:
            source.obj.download_to_file(source.path, CONFIG)
    assert source.path.read_bytes() == DATA
    source.assert_clean()


def test_an_upload_that_cannot_be_aborted_stays_written_down(world, monkeypatch):
    world.path.write_bytes(DATA)
    with monkeypatch.context() as patch:
        refuse(patch, world, "finish_upload")
        refuse(patch, world, "abort_upload")
        with pytest.raises(errors.PermissionDeniedError):
            world.obj.upload_from_file(world.path, CONFIG)
    world.sent.clear()
    world.obj.upload_from_file(world.path, CONFIG)
    assert world.sent == []
    world.assert_clean()


def test_who_may_not_list_parts_starts_anew(source, monkeypatch):
    with monkeypatch.context() as patch:
        refuse(patch, source, "list_parts")
        source.obj.upload_from_file(source.path, CONFIG)
    assert sorted(source.sent) == list(range(1, COUNT + 1))
    assert source.obj.content() == DATA
    assert len(source.provider.storage.pending_transfers()) == 1


def test_a_directorys_upload_goes_on_too(world):
    world.path = world.files / "key"
    world.path.write_bytes(DATA)
    world.kill("upload", 5)
    assert world.bucket.upload_directory(world.files, "dir/", config=CONFIG).ok
    assert sorted(world.sent) == list(range(5, COUNT + 1))
    assert world.obj.content() == DATA
    world.assert_clean()


# Downloads


def test_a_killed_download_is_gone_on_with(target):
    done = target.noted()
    assert len(done) >= 7
    assert [path.name for path in target.parts()] == [".data.0.part"]
    old = os.umask(0o027)
    try:
        target.obj.download_to_file(target.path, CONFIG)
    finally:
        os.umask(old)
    assert sorted([*target.fetched, *done]) == list(range(0, SIZE, PART))
    assert target.path.read_bytes() == DATA
    assert target.path.stat().st_mode & 0o777 == 0o640
    target.assert_clean()


def test_it_goes_on_in_the_ranges_it_was_begun_with(target):
    done = target.noted()
    target.obj.download_to_file(target.path, TransferConfig(threshold=1, part_size=3 * PART))
    assert sorted([*target.fetched, *done]) == list(range(0, SIZE, PART))
    assert target.path.read_bytes() == DATA
    target.assert_clean()


def test_a_download_can_be_killed_again_and_again(world):
    world.obj.upload(DATA)
    found = [[]]
    for _ in range(3):
        # Of two threads one may be far ahead when the other comes to its end.
        missing = sorted({*range(0, SIZE, PART)} - {*found[-1]})
        world.kill("download", missing[min(3, len(missing) - 1)])
        found.append(world.noted())
        assert len(world.parts()) == 1
    assert set(found[1]) <= set(found[2]) <= set(found[3])
    world.obj.download_to_file(world.path, CONFIG)
    assert sorted([*world.fetched, *found[3]]) == list(range(0, SIZE, PART))
    assert world.path.read_bytes() == DATA
    world.assert_clean()


@pytest.mark.parametrize("damage", ["byte", "hole", "short", "long"])
def test_a_range_whose_bytes_are_not_what_was_noted_is_fetched_again(target, damage):
    done = target.noted()
    (part,) = target.parts()
    with part.open("r+b") as file:
        if damage == "byte":
            file.seek(done[1] + 5)
            file.write(bytes([DATA[done[1] + 5] ^ 1]))
            spoilt = {done[1]}
        elif damage == "hole":
            file.seek(done[1])
            file.write(bytes(PART))
            spoilt = {done[1]}
        elif damage == "short":
            file.truncate(done[1] + 5)
            spoilt = set(done[1:])
        else:
            file.seek(0, os.SEEK_END)
            file.write(b"more than there is" * SIZE)
            spoilt = set()
    target.obj.download_to_file(target.path, CONFIG)
    assert sorted(target.fetched) == sorted({*range(0, SIZE, PART)} - {*done} | spoilt)
    assert target.path.read_bytes() == DATA
    target.assert_clean()


def test_an_object_that_changed_is_fetched_anew(target):
    target.obj.upload(DATA[::-1])
    target.obj.download_to_file(target.path, CONFIG)
    assert sorted(target.fetched) == list(range(0, SIZE, PART))
    assert target.path.read_bytes() == DATA[::-1]
    target.assert_clean()


@pytest.mark.parametrize("how", ["one request", "nothing", "range"])
def test_a_call_that_asks_for_something_else_starts_anew(target, how):
    target.reopen()
    if how == "one request":
        target.obj.download_to_file(target.path)
        assert target.path.read_bytes() == DATA
    elif how == "nothing":
        target.obj.download_to_file(target.path, length=0)
        assert target.path.read_bytes() == b""
    else:
        target.obj.download_to_file(target.path, CONFIG, offset=1, length=3 * PART)
        assert target.path.read_bytes() == DATA[1 : 3 * PART + 1]
        assert target.fetched[0] == 1  # the whole range is asked for, to see what is there
        assert sorted(target.fetched[1:]) == [1, PART + 1, 2 * PART + 1]
    assert target.parts() == []
    assert target.provider.storage.pending_transfers() == []
    target.assert_clean()


def test_a_range_of_an_object_is_gone_on_with(world):
    world.obj.upload(DATA)
    world.kill("download", 8 * PART + 5, offset=5, length=10 * PART)
    done = world.noted()
    world.obj.download_to_file(world.path, CONFIG, offset=5, length=10 * PART)
    assert world.fetched.pop(0) == 5  # the whole range is asked for, to see what is there
    assert sorted([*world.fetched, *done]) == list(range(5, 10 * PART + 5, PART))
    assert world.path.read_bytes() == DATA[5 : 10 * PART + 5]
    world.assert_clean()


@pytest.mark.parametrize("spoil", ["mode", "link", "name", "other"])
def test_a_part_file_that_others_had_a_hand_in_is_not_adopted(target, spoil):
    (part,) = target.parts()
    if spoil == "mode":
        part.chmod(0o666)
    elif spoil == "link":
        part.rename(target.files / "kept")
        part.symlink_to(target.files / "kept")
    elif spoil == "name":
        (target.files / "second name").hardlink_to(part)
    else:
        data = part.read_bytes()
        part.rename(target.files / "kept")
        part.write_bytes(data)
        part.chmod(0o600)
    target.obj.download_to_file(target.path, CONFIG)
    assert sorted(target.fetched) == list(range(0, SIZE, PART))
    assert target.path.read_bytes() == DATA
    if spoil != "link":
        assert target.parts() == []
    assert target.provider.storage.pending_transfers() == []
    assert target.entries() == []


def test_a_download_that_fails_on_the_way_leaves_nothing(target, monkeypatch):
    driver = target.provider.session.driver
    inner = driver.get_object

    def get_object(bucket, key, options):
        if options.stop is not None:
            raise errors.PermissionDeniedError("no")
        return inner(bucket, key, options)

    monkeypatch.setattr(driver, "get_object", get_object)
    with pytest.raises(errors.PermissionDeniedError):
        target.obj.download_to_file(target.path, CONFIG)
    target.assert_clean()
    assert list(target.files.iterdir()) == []


def test_a_service_that_does_not_answer_costs_nothing_that_was_fetched(target, monkeypatch):
    done = target.noted()
    with monkeypatch.context() as patch:
        refuse(patch, target, "get_object", errors.AuthenticationError)
        for _ in range(2):
            with pytest.raises(errors.AuthenticationError):
                target.obj.download_to_file(target.path, CONFIG)
    assert not target.path.exists()
    target.obj.download_to_file(target.path, CONFIG)
    assert sorted([*target.fetched, *done]) == list(range(0, SIZE, PART))
    assert target.path.read_bytes() == DATA
    target.assert_clean()


def test_a_download_of_an_object_that_is_gone_leaves_nothing(target):
    target.obj.delete()
    with pytest.raises(errors.NotFoundError):
        target.obj.download_to_file(target.path, CONFIG)
    target.assert_clean()
    assert list(target.files.iterdir()) == []


# Two at once


@pytest.mark.parametrize(("work", "at"), [("upload", 5), ("download", 8 * PART)])
def test_what_a_living_process_holds_is_not_touched(world, work, at):
    if work == "upload":
        world.path.write_bytes(DATA)
    else:
        world.obj.upload(DATA)
    command = world.command(work, at, "wait")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "there\n"
        assert len(world.entries()) == 1
        assert world.provider.storage.pending_transfers() == []
        if work == "upload":
            world.obj.upload_from_file(world.path, CONFIG)
            assert sorted(world.sent) == list(range(1, COUNT + 1))
        else:
            world.obj.download_to_file(world.path, CONFIG)
            assert sorted(world.fetched) == list(range(0, SIZE, PART))
            assert world.path.read_bytes() == DATA
        assert len(world.entries()) == 1
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.wait() == 0
    assert world.obj.content() == DATA
    assert world.path.read_bytes() == DATA
    world.assert_clean()


# Pending transfers


def test_a_pending_upload_is_listed_and_resumed(source):
    (pending,) = source.provider.storage.pending_transfers()
    assert isinstance(pending, PendingTransfer)
    shown = (pending.kind, pending.bucket, pending.key, pending.path, pending.size)
    assert shown == ("upload", "bucket", "dir/key", source.path, SIZE)
    assert pending.started.tzinfo is not None
    seen = []
    pending.resume(progress=lambda done, total: seen.append((done, total)))
    assert sorted(source.sent) == list(range(5, COUNT + 1))
    assert seen[-1] == (SIZE, SIZE)
    assert source.obj.content() == DATA
    source.assert_clean()
    for act in (pending.resume, pending.discard):
        with pytest.raises(errors.ConflictError):
            act()


def test_a_resumed_upload_keeps_its_options_and_conditions(world):
    world.path.write_bytes(DATA)
    world.kill("upload", 5, metadata={"a": "b"}, if_none_match="*")
    (pending,) = world.provider.storage.pending_transfers()
    world.obj.upload("meanwhile")
    with pytest.raises(errors.PreconditionFailedError):
        pending.resume()
    world.assert_clean()
    world.obj.delete()
    world.kill("upload", 5, metadata={"a": "b"}, if_none_match="*")
    world.provider.storage.pending_transfers()[0].resume()
    assert world.bucket.objects.get("dir/key").metadata == {"a": "b"}


def test_a_pending_download_is_listed_and_resumed(target):
    done = target.noted()
    (pending,) = target.provider.storage.pending_transfers()
    shown = (pending.kind, pending.bucket, pending.key, pending.path, pending.size)
    assert shown == ("download", "bucket", "dir/key", target.path, SIZE)
    pending.resume()
    assert sorted([*target.fetched, *done]) == list(range(0, SIZE, PART))
    assert target.path.read_bytes() == DATA
    target.assert_clean()


def test_a_pending_upload_of_a_file_that_changed_can_only_be_discarded(source):
    (pending,) = source.provider.storage.pending_transfers()
    source.path.write_bytes(DATA + b"more")
    with pytest.raises(errors.SourceChangedError, match="discard"):
        pending.resume()
    source.path.unlink()
    with pytest.raises(errors.LocalFileNotFoundError):
        pending.resume()
    assert source.sent == []
    pending.discard()
    source.assert_clean()


def test_a_pending_upload_that_the_service_forgot_is_dropped(source):
    (pending,) = source.provider.storage.pending_transfers()
    source.bucket.abort_uploads()
    with pytest.raises(errors.UploadNotFoundError):
        pending.resume()
    source.assert_clean()


def test_discarding_touches_nothing_else(source):
    foreign = source.obj.create_multipart_upload()
    (pending,) = source.provider.storage.pending_transfers()
    pending.discard()
    assert [upload.id for upload in source.bucket.list_uploads()] == [foreign.id]
    assert source.entries() == []
    foreign.abort()


def test_a_discarded_download_takes_its_part_file_along(target):
    (target.files / ".data.1.part").write_bytes(b"another's")
    (pending,) = target.provider.storage.pending_transfers()
    pending.discard()
    assert [path.name for path in target.files.iterdir()] == [".data.1.part"]
    assert target.entries() == []


def test_a_download_whose_part_file_is_gone_is_forgotten(target):
    target.parts()[0].unlink()
    assert target.provider.storage.pending_transfers() == []
    target.assert_clean()


def test_a_bucket_that_is_gone_can_be_discarded(source, monkeypatch):
    (pending,) = source.provider.storage.pending_transfers()
    refuse(monkeypatch, source, "abort_upload", errors.BucketNotFoundError)
    pending.discard()
    assert source.entries() == []


@pytest.mark.parametrize(("work", "call"), [("upload", "upload_from_file"), ("download", "download_to_file")])
def test_what_needs_a_customers_key_is_resumed_by_the_same_call(world, work, call):
    if work == "upload":
        world.path.write_bytes(DATA)
        world.kill("upload", 5)
    else:
        world.obj.upload(DATA)
        world.kill("download", 8 * PART)
    (entry,) = world.entries()
    lines = entry.read_text("utf-8").split("\n", 1)
    entry.write_text("\n".join([lines[0].replace('"own_key": false', '"own_key": true'), lines[1]]), "utf-8")
    (pending,) = world.provider.storage.pending_transfers()
    with pytest.raises(errors.InvalidValueException, match=call):
        pending.resume()
    pending.discard()
    world.assert_clean()


# Off


@pytest.mark.parametrize("how", ["none", "unwritable"])
def test_without_a_journal_all_is_as_it_was(world, how, tmp_path, caplog):
    blocked = tmp_path / "blocked"
    blocked.write_bytes(b"a file")
    world.config["journal"] = "none" if how == "none" else str(blocked / "journal")
    world.reopen()
    world.path.write_bytes(DATA)
    world.kill("upload", 5)
    world.obj.upload_from_file(world.path, CONFIG)
    assert sorted(world.sent) == list(range(1, COUNT + 1))
    world.path.unlink()
    world.kill("download", 8 * PART)
    world.obj.download_to_file(world.path, CONFIG)
    assert sorted(world.fetched) == list(range(0, SIZE, PART))
    assert world.path.read_bytes() == DATA
    assert world.parts() == []
    assert world.provider.storage.pending_transfers() == []
    said = [record for record in caplog.records if "written down" in record.message]
    assert len(said) == (how == "unwritable")
    assert blocked.read_bytes() == b"a file"


def test_what_goes_in_one_request_is_not_written_down(world):
    world.path.write_bytes(DATA)
    world.obj.upload_from_file(world.path)
    world.obj.download_to_file(world.path)
    assert not world.journal.exists()


def test_the_journal_holds_no_customers_key(world):
    key = b"K" * 32
    world.path.write_bytes(DATA)
    from cloudbridge_store.core.multipart import Target
    from cloudbridge_store.core.resuming import open_upload
    from cloudbridge_store.drivers.base import PutOptions

    options = PutOptions(encryption=Encryption.customer(key))
    with LocalFile(world.path) as file:
        note = open_upload(Target(world.provider.session, "bucket", "dir/key"), file, options, PART)
        note.begin("upload")
        (entry,) = world.entries()
        text = entry.read_text("utf-8")
        assert '"own_key": true' in text
        assert "KKKK" not in text
        note.end(over=True)
    assert world.entries() == []
