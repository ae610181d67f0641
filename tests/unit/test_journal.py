"""The journal's files: who may read them, what stands in them, and what is not taken for one."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import stat
import time
from dataclasses import replace

import pytest

from cloudbridge_store import CloudProviderFactory, Encryption
from cloudbridge_store.core.journal import RUBBISH_SECONDS, Journal, Record

RECORD = Record("upload", "bucket", "dir/key", "/data/file", 100, 10, 1, 2, "digest", upload_id="id")
SECRET = b"the account's own secret"


def opened(directory, identity=SECRET):
    journal = Journal(directory, identity)
    assert journal.open(create=True)
    return journal


def killed(entry):
    """Give the lock up as the kernel does for a process that dies."""
    os.close(entry._fd)


def entries(directory):
    return sorted(path.name for path in directory.iterdir() if path.name != "salt")


def claimed(journal):
    found = list(journal.entries())
    for entry in found:
        entry.release()
    return found


def test_what_is_written_is_found_when_its_process_is_gone(tmp_path):
    entry = opened(tmp_path / "j").create(RECORD)
    entry.note_range(0, 7)
    entry.note_range(10, 4_294_967_295)
    other = opened(tmp_path / "j")
    assert claimed(other) == []
    killed(entry)
    (found,) = other.find("upload", "bucket", "dir/key")
    assert found.record == RECORD
    assert found.ranges == {0: 7, 10: 4_294_967_295}
    assert claimed(opened(tmp_path / "j")) == []
    found.remove()
    assert entries(tmp_path / "j") == []


def test_only_its_owner_reads_it_and_no_secret_stands_in_it(tmp_path):
    directory = tmp_path / "a" / "j"
    old = os.umask(0)
    try:
        opened(directory).create(RECORD)
    finally:
        os.umask(old)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    assert not any(SECRET in path.read_bytes() for path in directory.iterdir())
    assert len((directory / "salt").read_bytes()) == 32


def test_other_accounts_objects_and_directions_are_not_found(tmp_path):
    journal = opened(tmp_path)
    killed(journal.create(RECORD))
    assert claimed(opened(tmp_path, b"somebody else")) == []
    for kind, bucket, key in [("download", "bucket", "dir/key"), ("upload", "b", "dir/key"), ("upload", "bucket", "k")]:
        assert list(journal.find(kind, bucket, key)) == []
    assert [entry.record for entry in claimed(journal)] == [RECORD]


def test_digests_of_two_directories_have_nothing_in_common(tmp_path):
    one, other = opened(tmp_path / "1"), opened(tmp_path / "2")
    assert one.digest(b"same") != other.digest(b"same")
    assert one.digest(b"same") == opened(tmp_path / "1").digest(b"same")


def test_a_file_name_that_is_no_text_survives(tmp_path):
    path = os.fsdecode(b"/data/\xff")
    journal = opened(tmp_path)
    killed(journal.create(replace(RECORD, path=path)))
    assert [entry.record.path for entry in claimed(journal)] == [path]


def test_a_line_that_was_cut_off_does_not_spoil_the_next(tmp_path):
    journal = opened(tmp_path)
    entry = journal.create(RECORD)
    entry.note_range(0, 7)
    os.write(entry._fd, b'{"start": 10, "cr')
    killed(entry)
    (found,) = journal.entries()
    assert found.ranges == {0: 7}
    found.note_range(10, 8)
    found.release()
    assert [entry.ranges for entry in claimed(journal)] == [{0: 7, 10: 8}]


def rubbish(valid):
    head = json.loads(valid)
    return {
        "empty": b"",
        "binary": os.urandom(100),
        "cut off": valid[:50],
        "no line": valid.strip(),
        "list": b"[]\n",
        "deep": b"[" * 100_000 + b"\n",
        "newer": json.dumps({**head, "format": 2}).encode() + b"\n",
        "more": json.dumps({**head, "colour": "red"}).encode() + b"\n",
        "less": json.dumps({name: head[name] for name in head if name != "key"}).encode() + b"\n",
        "type": json.dumps({**head, "size": "100"}).encode() + b"\n",
        "null": json.dumps({**head, "upload_id": None}).encode() + b"\n",
        "endless": json.dumps({**head, "part_size": 0}).encode() + b"\n",
        "never": json.dumps({**head, "started": float("inf")}).encode() + b"\n",
        "path": json.dumps({**head, "path": "/data/\0"}).encode() + b"\n",
        "kind": json.dumps({**head, "kind": "copy"}).encode() + b"\n",
    }


def test_rubbish_is_passed_over_and_removed_only_when_it_is_old_and_nobodys(tmp_path):
    journal = opened(tmp_path)
    entry = journal.create(RECORD)
    killed(entry)
    for number, data in enumerate(rubbish((tmp_path / entry.name).read_bytes()).values()):
        (tmp_path / f"{number}.journal").write_bytes(data)
    (tmp_path / "notes.txt").write_text("the user's own", encoding="utf-8")
    os.mkfifo(tmp_path / "pipe.journal")
    (tmp_path / "link.journal").symlink_to(tmp_path / entry.name)
    before = entries(tmp_path)
    assert [found.name for found in claimed(opened(tmp_path))] == [entry.name]
    assert entries(tmp_path) == before
    old = time.time() - RUBBISH_SECONDS - 1
    for path in tmp_path.iterdir():
        os.utime(path, (old, old), follow_symlinks=False)
    with (tmp_path / "0.journal").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        opened(tmp_path)
    assert entries(tmp_path) == sorted(["0.journal", entry.name, "link.journal", "notes.txt", "pipe.journal"])


def test_a_name_that_was_given_to_another_file_is_not_removed(tmp_path):
    journal = opened(tmp_path)
    killed(journal.create(RECORD))
    (name,) = entries(tmp_path)
    first = journal.claim(name)
    assert journal.claim(name) is None
    first.remove()
    assert journal.claim(name) is None
    assert journal.claim("../salt") is None


def shut(directory):
    directory.mkdir(mode=0o777)
    directory.chmod(0o777)


def a_file(directory):
    directory.write_bytes(b"")


def bad_salt(directory):
    directory.mkdir()
    (directory / "salt").write_bytes(b"short")


def full(directory):
    directory.symlink_to("/dev/full")


@pytest.mark.parametrize("spoil", [shut, a_file, bad_salt, full])
def test_a_directory_that_cannot_be_used_switches_it_off_and_says_so_once(tmp_path, caplog, spoil):
    spoil(tmp_path / "j")
    journal = Journal(tmp_path / "j", SECRET)
    with caplog.at_level(logging.WARNING, "cloudbridge_store"):
        assert not journal.open(create=True)
        assert not journal.open(create=True)
        assert not journal.open(create=False)
    assert len(caplog.records) == 1


def test_a_directory_that_others_can_write_is_not_read_either(tmp_path):
    killed(opened(tmp_path / "j").create(RECORD))
    (tmp_path / "j").chmod(0o770)
    assert not Journal(tmp_path / "j", SECRET).open(create=False)
    (tmp_path / "j").chmod(0o750)
    assert Journal(tmp_path / "j", SECRET).open(create=False)


def test_a_directory_that_goes_away_fails_nothing(tmp_path, caplog):
    journal = opened(tmp_path / "j")
    entry = journal.create(RECORD)
    for path in (tmp_path / "j").iterdir():
        path.unlink()
    (tmp_path / "j").rmdir()
    entry.remove()
    assert claimed(journal) == []
    assert journal.create(RECORD) is None
    assert not journal.open(create=True)
    assert sum("start over" in record.message for record in caplog.records) == 1


def test_a_full_disk_fails_nothing(tmp_path, monkeypatch):
    journal = opened(tmp_path)
    entry = journal.create(RECORD)

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cloudbridge_store.core.journal.write_all", refuse)
    entry.note_range(0, 7)
    entry.release()
    assert journal.create(RECORD) is None
    assert entries(tmp_path) == [entry.name]


def test_looking_makes_nothing(tmp_path):
    journal = Journal(tmp_path / "j", SECRET)
    assert not journal.open(create=False)
    assert list(tmp_path.iterdir()) == []
    assert journal.open(create=True)


def test_the_key_names_the_directory_or_none(monkeypatch, tmp_path):
    def journal(**config):
        with CloudProviderFactory().create_provider("local", {"local_root": tmp_path / "root", **config}) as provider:
            return provider.session.journal

    assert journal(journal=tmp_path / "given")._directory == tmp_path / "given"
    monkeypatch.setenv("CBS_JOURNAL", str(tmp_path / "env"))
    assert journal()._directory == tmp_path / "env"
    assert journal(journal="none") is None
    monkeypatch.setenv("CBS_JOURNAL", "none")
    assert journal() is None
    monkeypatch.delenv("CBS_JOURNAL")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    found = journal()
    assert found.open(create=True)
    assert (tmp_path / "state" / "cloudbridge_store" / "transfers" / "salt").exists()


def test_the_account_is_told_by_its_own_values_not_by_how_it_is_used(monkeypatch, tmp_path):
    def identity(root, **config):
        with CloudProviderFactory().create_provider("local", {"local_root": root, **config}) as provider:
            return provider.session.journal._identity

    assert identity(tmp_path / "a") == identity(tmp_path / "a", deadline=5, on_event=print)
    assert identity(tmp_path / "a") != identity(tmp_path / "b")


def test_two_accounts_of_one_service_do_not_see_each_others_transfers(tmp_path):
    """Their keys tell them apart, which no repr shows."""
    pytest.importorskip("boto3")
    identities = set()
    for key in ("ONE", "TWO"):
        config = {"aws_access_key": key, "aws_secret_key": "s", "s3_endpoint_url": "http://127.0.0.1:9"}
        with CloudProviderFactory().create_provider("aws", {**config, "journal": str(tmp_path)}) as provider:
            identities.add(provider.session.journal._identity)
    assert len(identities) == 2


def test_two_keys_of_a_customer_are_two_uploads(tmp_path):
    """Their repr is the same; what the journal compares is not."""
    journal = Journal(tmp_path / "journal", b"identity")
    assert journal.open(create=True)
    digests = {journal.digest(1, ("customer", Encryption.customer(key * 32).key)) for key in (b"a", b"b")}
    assert len(digests) == 2
