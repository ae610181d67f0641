"""What a root is taken for, what it remembers, and what is refused before anything is written."""

import errno
import json
import os

import pytest

from cloudbridge_store.config import Settings
from cloudbridge_store.drivers.local import LocalDriver
from cloudbridge_store.drivers.local.control import folds_names
from cloudbridge_store.errors import (
    BucketNotFoundError,
    InvalidConfigurationException,
    LocalIOError,
    ObjectNotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
)


def test_nothing_is_written_before_it_must_be(make_store, tmp_path):
    store = make_store()
    assert store.driver.list_buckets(limit=10).items == []
    for ask in (lambda: store.head("a"), store.page, lambda: store.delete("a"), lambda: store.put("a")):
        with pytest.raises(BucketNotFoundError):
            ask()
    assert list(tmp_path.iterdir()) == []
    store.driver.create_bucket("bucket")
    assert store.root.joinpath(".cbs").stat().st_mode & 0o777 == 0o700


def test_the_default_root_is_the_users(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    driver = LocalDriver.connect({}, Settings())
    assert tmp_path in driver._control.root.parents
    assert driver._control.root.parts[-2:] == ("cloudbridge_store", "store")


def test_a_root_that_is_a_file(make_store, tmp_path):
    (tmp_path / "root").touch()
    with pytest.raises(InvalidConfigurationException, match="is not a directory"):
        make_store()


def test_a_root_below_a_file(make_store, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InvalidConfigurationException, match="is not a directory"):
        make_store(tmp_path / "file" / "root")


def test_a_root_that_cannot_be_read(make_store, tmp_path, monkeypatch):
    # The tests may run as root, who may read everything.
    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    (tmp_path / "root").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InvalidConfigurationException, match="cannot be read: Permission denied"):
        make_store()


def test_an_unknown_layout(make_store):
    with pytest.raises(InvalidConfigurationException, match="encoded, plain"):
        make_store(local_layout="flat")


def test_other_systems_are_told(make_store, monkeypatch):
    monkeypatch.setattr("cloudbridge_store.drivers.local.driver.os.name", "nt")
    with pytest.raises(InvalidConfigurationException, match="POSIX"):
        LocalDriver.connect({}, Settings())


def test_a_root_keeps_its_layout(store, make_store):
    with pytest.raises(InvalidConfigurationException, match="'encoded', not 'plain'"):
        make_store(store.root, local_layout="plain")


def test_a_layout_that_another_process_decides_meanwhile(make_store):
    late = make_store(local_layout="plain")
    make_store().driver.create_bucket("bucket")
    with pytest.raises(InvalidConfigurationException):
        late.driver.create_bucket("other")


@pytest.mark.parametrize("content", ['{"version": 99, "layout": "encoded", "fold": false}', "", "[]", "{}"])
def test_a_root_of_a_newer_version_or_a_damaged_one(store, make_store, content):
    (store.root / ".cbs" / "layout.json").write_text(content, encoding="utf-8")
    with pytest.raises(InvalidConfigurationException, match=r"newer version|damaged"):
        make_store(store.root)


def test_a_folding_file_system_is_remembered(store, make_store):
    path = store.root / ".cbs" / "layout.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "fold": True}), encoding="utf-8")
    folded = make_store(store.root)
    keys = ["A", "a", "É", "e\u0301/É", "\u00e9"]
    for key in keys:
        folded.put(key, key.encode())
    assert folded.keys() == sorted(keys, key=str.encode)
    assert [folded.get(key) for key in keys] == [key.encode() for key in keys]
    assert (folded.folder / "%41").exists()


def test_probing_leaves_nothing(tmp_path):
    folds_names(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_all_drivers_of_a_root_share_a_secret(store, make_store):
    secret = store.driver._control.secret()
    assert len(secret) == 32
    assert make_store(store.root).driver._control.secret() == secret
    assert (store.root / ".cbs" / "secret").stat().st_mode & 0o777 == 0o600


def test_closing_leaves_no_staging_directory(make_store):
    store = make_store()
    store.driver.create_bucket("bucket")
    store.put("a")
    assert os.listdir(store.root / ".cbs" / "staging")
    store.driver.close()
    assert os.listdir(store.root / ".cbs" / "staging") == []


def test_a_forked_child_leaves_the_parents_staging_directory(store):
    store.put("a")
    child = os.fork()
    if not child:
        store.driver.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    store.put("b")
    assert len(os.listdir(store.root / ".cbs" / "staging")) == 1


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EACCES, PermissionDeniedError),
        (errno.EROFS, PermissionDeniedError),
        (errno.ENOSPC, QuotaExceededError),
        (errno.EFBIG, QuotaExceededError),
        (errno.EIO, LocalIOError),
        (errno.EMFILE, LocalIOError),
    ],
)
def test_what_the_system_says_is_classified(make_store, number, kind):
    failure = make_store().driver.classify(OSError(number, os.strerror(number)))
    assert failure.error is kind
    assert failure.reason == os.strerror(number)
    assert failure.code == errno.errorcode[number]


def test_only_the_systems_errors_are(make_store):
    driver = make_store().driver
    assert driver.classify(ValueError()) is None
    assert driver.classify(KeyboardInterrupt()) is None
    assert driver.classify(ObjectNotFoundError()) is None
