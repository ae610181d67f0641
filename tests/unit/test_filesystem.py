"""Files are replaced whole or not at all, and no link leads out of a directory."""

from __future__ import annotations

import errno
import os
import stat
import threading

import pytest

from cloudbridge_store.core.atomic import AtomicFile, remove_part_file
from cloudbridge_store.filesystem import open_beneath, open_directory


@pytest.fixture
def root(tmp_path):
    fd = open_directory(tmp_path)
    yield fd
    os.close(fd)


def write(path, data, **options):
    with AtomicFile(path, **options) as file:
        os.write(file.fd, data)
        file.commit()


def test_a_file_appears_at_commit_with_the_umasks_mode(tmp_path):
    path = tmp_path / "file"
    old = os.umask(0o027)
    try:
        with AtomicFile(path) as file:
            os.write(file.fd, b"new")
            assert not path.exists()
            assert stat.S_IMODE(os.fstat(file.fd).st_mode) == 0o600
            file.commit()
    finally:
        os.umask(old)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("commit", [True, False])
def test_without_a_commit_nothing_changes(tmp_path, commit):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(LookupError), AtomicFile(path) as file:
        os.write(file.fd, b"half")
        raise LookupError
    with AtomicFile(path) as file:
        os.write(file.fd, b"new")
        if commit:
            file.commit()
    assert path.read_bytes() == (b"new" if commit else b"old")
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_at_the_target_is_replaced_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    (tmp_path / "link").symlink_to(outside)
    write(tmp_path / "link", b"new")
    assert outside.read_bytes() == b"precious"
    assert (tmp_path / "link").read_bytes() == b"new"


def test_a_long_name_still_has_a_temporary_one(tmp_path):
    for name in ("n" * 255, "é" * 127):
        write(tmp_path / name, b"x")
        assert (tmp_path / name).read_bytes() == b"x"


def test_what_a_killed_process_left_is_removed_by_the_next_writer(tmp_path):
    for number in (0, 1, 2):
        (tmp_path / f".file.{number}.part").write_bytes(b"left by a process that was killed")
    write(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"new"


def test_writers_of_one_target_do_not_meet(tmp_path):
    path = tmp_path / "file"
    with AtomicFile(path) as first, AtomicFile(path) as second:
        assert sorted(each.name for each in tmp_path.iterdir()) == [".file.0.part", ".file.1.part"]
        os.write(first.fd, b"first")
        os.write(second.fd, b"second")
        first.commit()
        assert path.read_bytes() == b"first"
        with AtomicFile(path) as third:
            os.write(third.fd, b"third")
            second.commit()
        assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


def test_many_writers_of_one_target_leave_one_whole_file(tmp_path):
    path = tmp_path / "file"

    def run(letter):
        for _ in range(100):
            write(path, letter * 100_000)

    threads = [threading.Thread(target=run, args=(letter,)) for letter in (b"a", b"b", b"c", b"d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(path.read_bytes())) == 1
    assert path.stat().st_size == 100_000
    assert list(tmp_path.iterdir()) == [path]


def test_something_strange_under_the_temporary_name_is_left_alone(tmp_path):
    (tmp_path / ".file.0.part").mkdir()
    (tmp_path / ".file.1.part").symlink_to("/etc/hostname")
    write(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".file.0.part", ".file.1.part", "file"]


def test_only_one_creates(tmp_path):
    path = tmp_path / "file"
    outcomes = []
    barrier = threading.Barrier(8)

    def create(number):
        barrier.wait()
        try:
            write(path, b"%d" % number, overwrite=False)
        except FileExistsError:
            outcomes.append(None)
        else:
            outcomes.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [number for number in outcomes if number is not None]
    assert path.read_bytes() == b"%d" % winner
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_what_is_no_file_name_is_refused(name):
    with pytest.raises(IsADirectoryError):
        AtomicFile(name)


def test_directories_are_made_below_a_descriptor(tmp_path, root):
    os.close(open_beneath(root, ["a", "b"], create=True))
    assert (tmp_path / "a" / "b").is_dir()
    write("file", b"x", directory=(fd := open_beneath(root, ["a", "b"])))
    os.close(fd)
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"x"
    with pytest.raises(FileNotFoundError):
        open_beneath(root, ["a", "c"])


@pytest.mark.parametrize("segments", [[".."], ["a", ".."], ["."], [""], ["a/b"], ["/etc"]])
def test_a_walk_never_leaves(root, segments):
    with pytest.raises(OSError) as caught:
        open_beneath(root, segments, create=True)
    assert caught.value.errno in (errno.EINVAL, errno.ENOENT)


@pytest.mark.parametrize("place", [["link"], ["sub", "link"], ["link", "sub"]])
@pytest.mark.parametrize("create", [True, False])
def test_a_walk_follows_no_link(tmp_path, root, place, create):
    (tmp_path / "elsewhere" / "sub").mkdir(parents=True)
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "sub" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError) as caught:
        open_beneath(root, place, create=create)
    assert caught.value.errno in (errno.ELOOP, errno.ENOTDIR)


def test_descriptors_are_not_lost(tmp_path, root):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        os.close(open_beneath(root, ["a", "b", "c"], create=True))
        with pytest.raises(FileNotFoundError):
            open_beneath(root, ["a", "x", "y"])
        write(tmp_path / "f", b"1")
        with pytest.raises(LookupError), AtomicFile(tmp_path / "f"):
            raise LookupError
    assert len(os.listdir("/proc/self/fd")) == before


def left_behind(path):
    """Leave what a killed process leaves."""
    file = AtomicFile(path)
    file.__enter__()
    os.write(file.fd, b"half")
    os.close(file.fd)
    return path.with_name(file.part_name)


def test_what_a_killed_process_left_is_gone_on_with_where_it_is_wanted(tmp_path):
    path = tmp_path / "file"
    part = left_behind(path)
    asked = []
    with AtomicFile(path, adopt=lambda status: asked.append(status) or True) as file:
        assert [os.path.samestat(status, part.stat()) for status in asked] == [True]
        assert file.part_name == part.name
        assert list(tmp_path.iterdir()) == [part]
        with AtomicFile(path, adopt=lambda _: True) as other:
            assert other.part_name == ".file.1.part"
        os.lseek(file.fd, 0, os.SEEK_END)
        os.write(file.fd, b" and half")
        file.commit()
    assert path.read_bytes() == b"half and half"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_wanted_is_removed(tmp_path):
    path = tmp_path / "file"
    left_behind(path)
    with AtomicFile(path, adopt=lambda _: False) as file:
        assert os.fstat(file.fd).st_size == 0
        file.commit()
    assert list(tmp_path.iterdir()) == [path]


def test_one_that_was_not_the_first_is_found_too(tmp_path):
    path = tmp_path / "file"
    with AtomicFile(path):
        part = left_behind(path)
    assert part.name == ".file.1.part"
    with AtomicFile(path, adopt=lambda _: True) as file:
        assert file.part_name == part.name
        file.commit()
    assert path.read_bytes() == b"half"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("released", [True, False])
def test_what_was_adopted_survives_a_failure_until_it_is_released(tmp_path, released):
    part = left_behind(tmp_path / "file")
    with pytest.raises(LookupError), AtomicFile(tmp_path / "file", adopt=lambda _: True) as file:
        if released:
            file.release_hold()
        raise LookupError
    assert list(tmp_path.iterdir()) == ([] if released else [part])


def test_only_the_very_part_file_is_removed(tmp_path):
    part = left_behind(tmp_path / "file")
    status = part.stat()
    remove_part_file(part, status.st_dev, status.st_ino + 1)
    with AtomicFile(tmp_path / "file", adopt=lambda _: True):
        remove_part_file(part, status.st_dev, status.st_ino)
        assert part.exists()
    remove_part_file(part, status.st_dev, status.st_ino)
    remove_part_file(part, status.st_dev, status.st_ino)
    assert list(tmp_path.iterdir()) == []
