"""The demonstration: it works on anybody's files, and notices when something is not as it was stored."""

from __future__ import annotations

import json
import os
import sysconfig
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("click", reason="the extra cli is not installed")

from click.testing import CliRunner

from cloudbridge_store import BucketObject, CloudProviderFactory
from cloudbridge_store.cli.application import application
from cloudbridge_store.cli.samples import find_samples

STEPS = 12


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """No profile or setting of the user's, and a directory for temporary files that can be looked into."""
    for name in [name for name in os.environ if name.startswith(("CBS_", "LOCAL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CBS_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


@pytest.fixture
def own_files(tmp_path):
    """Names and contents that people have."""
    root = tmp_path / "own"
    contents = {
        "a.txt": b"a",
        "empty": b"",
        "sp ace/\u00fc [1]*.bin": os.urandom(200_000),
        "x/y/z.tar.gz": b"\x00" * 5000,
    }
    for name, data in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "link").symlink_to("a.txt")
    (root / ".hidden").write_text("not taken", encoding="utf-8")
    return root


def run(*args):
    return CliRunner().invoke(application, ["demo", *map(str, args)])


def test_the_standard_library_goes_all_the_way(surroundings):
    result = run()
    assert result.exit_code == 0, result.output
    assert "all verified" in result.stdout
    assert "ProviderList.AWS" in result.stdout
    assert list(surroundings.iterdir()) == []


def test_files_of_the_user(own_files):
    before = {path: path.read_bytes() for path in own_files.rglob("*") if path.is_file()}
    result = run("--json", own_files)
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    summary = json.loads(line)
    assert (summary["ok"], summary["files"], summary["bytes"], summary["cut"]) == (True, 4, 205_001, False)
    assert len(summary["steps"]) == STEPS
    assert all(step["seconds"] >= 0 for step in summary["steps"])
    assert {path: path.read_bytes() for path in own_files.rglob("*") if path.is_file()} == before


def test_a_root_is_kept(own_files, tmp_path):
    result = run("--root", tmp_path / "kept", own_files)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "kept" / "restored" / "a.txt").read_bytes() == b"a"
    assert (tmp_path / "kept" / "store").is_dir()


def test_what_is_not_as_it_was_stored_is_noticed(own_files, monkeypatch, surroundings):
    monkeypatch.setattr(BucketObject, "read_range", lambda self, offset, length: b"something else")
    result = run(own_files)
    assert result.exit_code == 1
    assert "error: the range is not that of the file" in result.stderr
    assert "all verified" not in result.stdout
    assert list(surroundings.iterdir()) == []


def test_the_release_says_whether_it_has_aws(own_files):
    promise = "comes with a later one"
    assert (promise in run(own_files).stdout) == ("aws" not in CloudProviderFactory().list_providers())


def test_a_directory_without_files_is_refused(tmp_path):
    (tmp_path / "nothing").mkdir()
    assert run(tmp_path / "nothing").exit_code == 2
    assert run(tmp_path / "missing").exit_code == 3


def test_samples_are_real_sources_and_few():
    samples = find_samples(None, most_files=400, most_bytes=32 * 2**20)
    assert 100 < len(samples.files) <= 400
    assert samples.directory == Path(sysconfig.get_path("stdlib"))
    assert all(each.path.suffix == ".py" for each in samples.files)
    few = find_samples(None, most_files=3, most_bytes=32 * 2**20)
    assert (len(few.files), few.cut) == (3, True)
