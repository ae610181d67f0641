"""Directories up and down: hostile names, links, patterns, failures."""

from __future__ import annotations

import os
import sys

import pytest

from cloudbridge_store import errors
from cloudbridge_store.core.directories import Choice
from cloudbridge_store.testing.faults import Fault


@pytest.fixture
def bucket(faulty):
    return faulty().storage.buckets.create("a-bucket")


def tree(root, **files):
    for name, data in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def names(bucket):
    return [obj.name for obj in bucket.objects]


def put_hostile(bucket, *keys):
    """Store keys that this library refuses to make but other tools do."""
    table = bucket.provider.driver._inner
    for key in keys:
        obj = bucket.objects.create("stand-in").upload(b"evil")
        table.copy_object("a-bucket", "stand-in", "a-bucket", key)
        obj.delete()


def test_a_round_trip_restores_every_byte(bucket, tmp_path):
    source = tree(tmp_path / "in", a=b"1", sub__b=b"22", sub__deep__c=b"", **{"sp ace": b"x"})
    report = bucket.upload_directory(source, "backup/")
    assert (report.transferred, report.bytes, report.ok) == (4, 4, True)
    assert names(bucket) == ["backup/a", "backup/sp ace", "backup/sub/b", "backup/sub/deep/c"]
    assert bucket.objects.get("backup/a").content_type == "application/octet-stream"
    report = bucket.download_directory(tmp_path / "out", "backup/")
    assert report.transferred == 4
    restored = {
        path.relative_to(tmp_path / "out"): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    original = {path.relative_to(source): path.read_bytes() for path in source.rglob("*") if path.is_file()}
    assert restored == original


@pytest.mark.parametrize(
    ("include", "exclude", "taken"),
    [
        ((), (), ["a.py", "a.txt", "sub/b.py"]),
        (["*.py"], (), ["a.py", "sub/b.py"]),
        (["sub/*"], (), ["sub/b.py"]),
        ((), ["*.py"], ["a.txt"]),
        (["*.py"], ["sub/*"], ["a.py"]),
        (["nothing"], (), []),
    ],
)
def test_patterns_choose(bucket, tmp_path, include, exclude, taken):
    source = tree(tmp_path / "in", **{"a.py": b"", "a.txt": b"", "sub__b.py": b""})
    bucket.upload_directory(source, include=include, exclude=exclude)
    assert names(bucket) == taken
    bucket.upload_directory(source)
    report = bucket.download_directory(tmp_path / "out", include=include, exclude=exclude)
    assert report.transferred == len(taken)


def test_one_pattern_is_not_a_sequence_of_letters():
    with pytest.raises(errors.InvalidValueException, match="sequence"):
        Choice("*.py", ())


HOSTILE = ["../escape", "a/../../escape", "/absolute", "a//b", "trailing/", "./a", "a/./b", "..", "x" * 256, "nul\x00"]


def test_hostile_keys_are_skipped_and_the_rest_goes_on(bucket, tmp_path):
    put_hostile(bucket, *HOSTILE)
    bucket.objects.create("good/file").upload(b"fine")
    out = tmp_path / "deep" / "out"
    report = bucket.download_directory(out, errors="return")
    assert set(report.skipped) == set(HOSTILE)
    assert (report.transferred, report.ok) == (1, False)
    everything = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    assert everything == ["deep", "deep/out", "deep/out/good", "deep/out/good/file"]
    with pytest.raises(errors.TransferError) as caught:
        bucket.download_directory(out)
    assert set(caught.value.failures) == set(HOSTILE)


def test_no_link_is_followed_out_of_the_directory(bucket, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    out = tmp_path / "out"
    out.mkdir()
    (out / "linked").symlink_to(outside)
    (out / "leaf").symlink_to(outside / "precious")
    (outside / "precious").write_bytes(b"precious")
    for key in ("linked/file", "linked/sub/file", "leaf"):
        bucket.objects.create(key).upload(b"from the bucket")
    report = bucket.download_directory(out, errors="return")
    assert set(report.skipped) == {"linked/file", "linked/sub/file"}
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert (outside / "precious").read_bytes() == b"precious"
    assert (out / "leaf").read_bytes() == b"from the bucket"


def test_a_file_where_a_directory_is_needed_and_the_reverse(bucket, tmp_path):
    out = tree(tmp_path / "out", a=b"file", b__c=b"inside")
    bucket.objects.create("a/x").upload(b"1")
    bucket.objects.create("b").upload(b"2")
    report = bucket.download_directory(out, errors="return")
    assert set(report.skipped) == {"a/x"}
    assert set(report.failures) == {"b"}
    assert isinstance(report.failures["b"], errors.LocalIOError)
    assert (out / "b" / "c").read_bytes() == b"inside"


def test_links_and_special_files_are_not_uploaded(bucket, tmp_path):
    source = tree(tmp_path / "in", real=b"1", sub__real=b"2")
    (source / "link").symlink_to("real")
    (source / "linked").symlink_to("sub")
    (source / "dangling").symlink_to("nowhere")
    os.mkfifo(source / "pipe")
    report = bucket.upload_directory(source, errors="return")
    assert set(report.skipped) == {"link", "linked", "dangling", "pipe"}
    assert names(bucket) == ["real", "sub/real"]


@pytest.mark.skipif(sys.platform == "darwin", reason="file names there are Unicode")
def test_a_file_name_that_is_no_text_is_skipped(bucket, tmp_path):
    source = tree(tmp_path / "in", good=b"1")
    (source / os.fsdecode(b"bad\xff")).write_bytes(b"2")
    report = bucket.upload_directory(source, errors="return")
    assert len(report.skipped) == 1
    assert names(bucket) == ["good"]


def test_one_failure_does_not_stop_the_others(faulty, tmp_path):
    provider = faulty(Fault("put_object", errors.PermissionDeniedError("no"), skip=1))
    bucket = provider.storage.buckets.create("a-bucket")
    source = tree(tmp_path / "in", **{f"f{n}": b"x" for n in range(10)})
    with pytest.raises(errors.TransferError, match="9 transferred, 0 skipped, 1 failed") as caught:
        bucket.upload_directory(source, max_workers=2)
    assert len(caught.value.failures) == 1
    assert len(names(bucket)) == 9


@pytest.mark.parametrize("wrong", ["missing", "file"])
def test_a_source_that_is_no_directory(bucket, tmp_path, wrong):
    (tmp_path / "file").touch()
    with pytest.raises(errors.LocalIOError):
        bucket.upload_directory(tmp_path / wrong)


def test_a_target_that_cannot_be_a_directory(bucket, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(errors.LocalIOError):
        bucket.download_directory(tmp_path / "file")


def test_existing_files_can_be_kept(bucket, tmp_path):
    out = tree(tmp_path / "out", a=b"old")
    bucket.objects.create("a").upload(b"new")
    bucket.objects.create("b").upload(b"new")
    report = bucket.download_directory(out, overwrite=False, errors="return")
    assert set(report.failures) == {"a"}
    assert (out / "a").read_bytes() == b"old"
    assert (out / "b").read_bytes() == b"new"


def test_progress_counts_all_files(bucket, tmp_path):
    source = tree(tmp_path / "in", a=b"123", b=b"4567")
    seen = []
    bucket.upload_directory(source, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (7, 7)
    bucket.download_directory(tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (7, 7)


@pytest.mark.parametrize("wrong", [{"max_workers": 0}, {"errors": "ignore"}, {"prefix": "a\n"}])
def test_arguments_that_make_no_sense(bucket, tmp_path, wrong):
    with pytest.raises((errors.InvalidValueException, errors.InvalidLabelException)):
        bucket.upload_directory(tmp_path, **wrong)


def test_a_test_can_choose_instead_of_patterns(bucket, tmp_path):
    source = tree(tmp_path / "in", a=b"1", bb=b"2", sub__ccc=b"3")
    report = bucket.upload_directory(source, include=lambda path: len(path) != 2, exclude=lambda path: path == "a")
    assert report.transferred == 1
    assert names(bucket) == ["sub/ccc"]


def test_all_files_are_stored_with_the_same_options(bucket, tmp_path):
    source = tree(tmp_path / "in", a=b"1", b=b"2")
    bucket.upload_directory(source, metadata={"run": "7"}, if_none_match="*")
    assert [obj.metadata for obj in bucket.objects] == [{"run": "7"}] * 2
    report = bucket.upload_directory(source, if_none_match="*", errors="return")
    assert {name: type(error) for name, error in report.failures.items()} == dict.fromkeys(
        ("a", "b"), errors.PreconditionFailedError
    )
    with pytest.raises(errors.InvalidValueException):
        bucket.upload_directory(source, metadata={"Run": "7"})
