"""Directories up and down: restored equal, never written outside, what is left out is reported."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.config import TransferConfig
from cloudbridge_store.errors import (
    BucketNotFoundError,
    ConflictError,
    InvalidLabelException,
    InvalidValueException,
    LocalIOError,
    TransferError,
)
from cloudbridge_store.testing.fixtures import StoreFixtures, noise

_FILES = {
    "a.txt": b"text",
    "empty": b"",
    ".hidden": b"h",
    "dir/b.bin": noise(40_000),
    "dir/sub/c d?.txt": b"c",
    "dir/sub/ä/🗃.txt": b"u",
    "other/e.log": b"log",
}


def _write_tree(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _read_tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


class DirectorySuite(StoreFixtures):
    """``upload_directory`` and ``download_directory``."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        """A directory to upload."""
        root = tmp_path / "source"
        root.mkdir()
        _write_tree(root, _FILES)
        return root

    @pytest.fixture
    def target(self, tmp_path: Path) -> Path:
        """A directory to download to, not there yet."""
        return tmp_path / "new" / "target"

    def test_directory_is_restored_equal(self, bucket: Bucket, source: Path, target: Path) -> None:
        sent = bucket.upload_directory(source)
        assert [each.name for each in bucket.objects] == sorted(_FILES, key=str.encode)
        received = bucket.download_directory(target)
        assert _read_tree(target) == _FILES
        size = sum(map(len, _FILES.values()))
        for report in (sent, received):
            assert (report.transferred, report.bytes, report.ok) == (len(_FILES), size, True)
            assert (dict(report.skipped), dict(report.failures)) == ({}, {})
            assert report.seconds >= 0

    def test_directory_under_a_prefix(self, bucket: Bucket, source: Path, target: Path) -> None:
        bucket.objects.create("backup-2").upload(b"not meant")
        bucket.upload_directory(str(source), "backup/2026/")
        assert {each.name for each in bucket.objects.iter(prefix="backup/")} == {
            f"backup/2026/{name}" for name in _FILES
        }
        bucket.download_directory(str(target), "backup/2026/dir/")
        wanted = {name.removeprefix("dir/"): content for name, content in _FILES.items() if name.startswith("dir/")}
        assert _read_tree(target) == wanted

    def test_include_and_exclude(self, bucket: Bucket, source: Path, target: Path) -> None:
        bucket.upload_directory(source, include=["*.txt", "dir/*"], exclude=["*.bin"])
        assert {each.name for each in bucket.objects} == {"a.txt", "dir/sub/c d?.txt", "dir/sub/ä/🗃.txt"}
        report = bucket.download_directory(target, include=["*.txt"], exclude=["dir/sub/ä/*"])
        assert set(_read_tree(target)) == {"a.txt", "dir/sub/c d?.txt"}
        assert report.transferred == 2

    @pytest.mark.parametrize("options", [{"include": "*.txt"}, {"exclude": "x"}, {"errors": "x"}, {"max_workers": 0}])
    def test_bad_options_are_refused(self, bucket: Bucket, source: Path, target: Path, options: dict[str, Any]) -> None:
        with pytest.raises(InvalidValueException):
            bucket.upload_directory(source, **options)
        with pytest.raises(InvalidValueException):
            bucket.download_directory(target, **options)
        assert bucket.objects.list() == []

    def test_links_are_not_followed_but_reported(self, bucket: Bucket, source: Path, tmp_path: Path) -> None:
        (tmp_path / "secret").mkdir()
        (tmp_path / "secret" / "key").write_bytes(b"secret")
        (source / "link").symlink_to(tmp_path / "secret" / "key")
        (source / "dirlink").symlink_to(tmp_path / "secret")
        (source / "dangling").symlink_to(tmp_path / "nowhere")
        report = bucket.upload_directory(source, errors="return")
        assert set(report.skipped) == {"link", "dirlink", "dangling"}
        assert (report.transferred, report.ok) == (len(_FILES), False)
        assert {each.name for each in bucket.objects} == set(_FILES)
        with pytest.raises(TransferError) as caught:
            bucket.upload_directory(source)
        assert set(caught.value.failures) == {"link", "dirlink", "dangling"}

    def test_special_files_are_reported(self, bucket: Bucket, source: Path) -> None:
        os.mkfifo(source / "pipe")
        report = bucket.upload_directory(source, errors="return")
        assert set(report.skipped) == {"pipe"}
        assert report.transferred == len(_FILES)

    def test_names_that_are_no_keys_are_reported(self, bucket: Bucket, source: Path) -> None:
        for name in (b"new\nline", b"\xff"):
            Path(os.fsdecode(os.fsencode(source) + b"/" + name)).write_bytes(b"1")
        report = bucket.upload_directory(source, errors="return")
        assert len({**report.skipped, **report.failures}) == 2
        assert (report.transferred, report.ok) == (len(_FILES), False)
        assert {each.name for each in bucket.objects} == set(_FILES)

    def test_upload_of_what_is_no_directory(self, bucket: Bucket, source: Path) -> None:
        for path in (source / "missing", source / "a.txt"):
            with pytest.raises(LocalIOError):
                bucket.upload_directory(path)
        assert bucket.objects.list() == []

    def test_hostile_keys_stay_outside(self, bucket: Bucket, target: Path) -> None:
        hostile = ["/etc/absolute", "//a", "dir//b", "dir/", "s" * 256, f"dir/{'s' * 300}/c", "..", "a/../../b"]
        kept = {"fine.txt": b"1", "dir/fine": b"2", "...": b"3", "..\\windows": b"4", "%2e%2e/b": b"5"}
        stored = []
        for key in hostile:
            try:
                stored.append(bucket.objects.create(key).upload(b"hostile").name)
            except ValueError:
                continue
        for key, content in list(kept.items()):
            try:
                bucket.objects.create(key).upload(content)
            except InvalidLabelException:
                del kept[key]  # the suite of keys knows what may be refused
        report = bucket.download_directory(target, errors="return")
        assert _read_tree(target) == kept
        assert set(report.skipped) == set(stored)
        assert (report.transferred, report.ok) == (len(kept), not stored)
        assert [path.name for path in target.parent.iterdir()] == ["target"]

    def test_file_where_a_directory_is_needed(self, bucket: Bucket, target: Path) -> None:
        try:
            bucket.objects.upload_many({"a": b"outer", "b": b"1"})
            bucket.objects.create("a/b").upload(b"inner")
        except ConflictError:
            assert [each.name for each in bucket.objects] == ["a", "b"]  # this store has the same limits
            return
        report = bucket.download_directory(target, errors="return", max_workers=1)
        assert len({**report.skipped, **report.failures}) == 1
        assert _read_tree(target) in ({"a": b"outer", "b": b"1"}, {"a/b": b"inner", "b": b"1"})
        with pytest.raises(TransferError):
            bucket.download_directory(target, max_workers=1)

    def test_planted_links_are_not_followed(self, bucket: Bucket, target: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "victim").write_bytes(b"kept")
        target.mkdir(parents=True)
        (target / "dir").symlink_to(outside)
        (target / "leaf").symlink_to(outside / "victim")
        bucket.objects.upload_many({"dir/victim": b"evil", "dir/new": b"evil", "leaf": b"replaced", "fine": b"1"})
        report = bucket.download_directory(target, errors="return")
        assert set(report.skipped) | set(report.failures) == {"dir/victim", "dir/new"}
        assert _read_tree(outside) == {"victim": b"kept"}
        assert ((target / "leaf").read_bytes(), (target / "leaf").is_symlink()) == (b"replaced", False)
        assert (target / "fine").read_bytes() == b"1"

    def test_overwriting_is_a_choice(self, bucket: Bucket, source: Path, target: Path) -> None:
        bucket.upload_directory(source)
        _write_tree(target, {"a.txt": b"mine", "untouched": b"x"})
        report = bucket.download_directory(target, overwrite=False, errors="return")
        assert set(report.failures) == {"a.txt"}
        assert _read_tree(target) == {**_FILES, "a.txt": b"mine", "untouched": b"x"}
        assert bucket.download_directory(target).ok is True
        assert _read_tree(target) == {**_FILES, "untouched": b"x"}

    def test_progress_adds_up(self, bucket: Bucket, source: Path, target: Path) -> None:
        size = sum(map(len, _FILES.values()))
        told: list[int] = []
        bucket.upload_directory(source, progress=lambda done, _: told.append(done))
        assert told[-1] == size
        bucket.download_directory(target, progress=lambda done, _: told.append(done))
        assert told[-1] == size

    def test_small_parts(self, bucket: Bucket, source: Path, target: Path) -> None:
        size = max(bucket.provider.session.upload_limits().min_part, 10_000)
        config = TransferConfig(threshold=size, part_size=size)
        assert bucket.upload_directory(source, config=config, max_workers=2).ok is True
        assert bucket.download_directory(target, config=config, max_workers=2).ok is True
        assert _read_tree(target) == _FILES

    def test_directories_and_a_missing_bucket(self, bucket: Bucket, source: Path, target: Path) -> None:
        missing = bucket.sibling(f"{bucket.name}-x")
        with pytest.raises((BucketNotFoundError, TransferError)):
            missing.upload_directory(source)
        with pytest.raises(BucketNotFoundError):
            missing.download_directory(target)
