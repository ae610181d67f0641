"""A disk that is full, breaks or forbids, at every step: the error says so, what was there stays, no litter is left."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys

import pytest

from cloudbridge_store import CloudProviderFactory, TransferConfig, errors

OLD, NEW = b"old" * 1000, b"new" * 100_000
PARTS = TransferConfig(threshold=1, part_size=70_000, max_concurrency=2)
WRITES = (
    "write",
    "pwrite",
    "writev",
    "pwritev",
    "copy_file_range",
    "sendfile",
    "posix_fallocate",
    "truncate",
    "ftruncate",
)
SYNCS = ("fsync", "fdatasync")
NAMES = ("rename", "replace", "link", "symlink", "mkdir")
KINDS = (errors.LocalIOError, errors.QuotaExceededError, errors.PermissionDeniedError)


class Place:
    """A LOCAL root with an old object and an old file, and a new one of each."""

    def __init__(self, root):
        self.root = root / "root"
        self.out = root / "out"
        self.out.mkdir()
        self.provider = CloudProviderFactory().create_provider("local", {"local_root": self.root})
        self.bucket = self.provider.storage.buckets.create("a-bucket")
        self.source = root / "source"
        self.source.write_bytes(NEW)
        self.bucket.objects.create("new/file").upload(NEW)
        self.put_back()

    def put_back(self):
        self.bucket.objects.create("object").upload(OLD)
        (self.out / "file").write_bytes(OLD)

    def check(self, work, *, done):
        wanted = NEW if done else OLD
        file, content = (self.out / "file").read_bytes(), self.bucket.objects.get("object").content()
        assert (file if work.__name__.startswith("download") else content) == wanted
        assert (content if work.__name__.startswith("download") else file) == OLD
        assert os.listdir(self.out) == ["file"]
        self.bucket.abort_uploads()
        staged = [name for _, _, names in os.walk(self.root / ".cbs" / "staging") for name in names if name != "lock"]
        assert staged == []


def upload(place):
    place.bucket.objects.create("object").upload_from_file(place.source)


def upload_parts(place):
    place.bucket.objects.create("object").upload_from_file(place.source, PARTS)


def copy(place):
    place.bucket.objects.get("new/file").copy_to(place.bucket, "object")


def download(place):
    place.bucket.objects.get("new/file").download_to_file(place.out / "file")


def download_ranges(place):
    place.bucket.objects.get("new/file").download_to_file(place.out / "file", PARTS)


def download_directory(place):
    report = place.bucket.download_directory(place.out, "new/", errors="return", config=PARTS, max_workers=1)
    for error in report.failures.values():
        raise error


WORKS = [upload, upload_parts, copy, download, download_ranges, download_directory]


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    made.provider.close()


def failing(monkeypatch, names, number, step):
    """Let call ``step`` of these of the system's fail, and count them."""
    calls = []

    def hooked(function):
        def call(*arguments, **keywords):
            calls.append(function)
            if len(calls) == step:
                raise OSError(number, os.strerror(number))
            return function(*arguments, **keywords)

        return call

    for name in names:
        if hasattr(os, name):
            monkeypatch.setattr(os, name, hooked(getattr(os, name)))
    return calls


def sweep(place, work, names, number):
    """Carry out the work with a failure at every step of these; return how many there were."""
    for step in range(1, 200):
        place.put_back()
        with pytest.MonkeyPatch.context() as patch:
            calls = failing(patch, names, number, step)
            try:
                work(place)
            except KINDS as error:
                failed = error
            else:
                failed = None
        if failed is None and len(calls) < step:
            place.check(work, done=True)
            return step - 1
        if failed is not None:
            code = failed.errno if isinstance(failed, errors.LocalIOError) else None
            assert code == number or failed.code == errno.errorcode[number], failed
        yield step, failed
    pytest.fail("it never ends")


def states(place, work, names, number):
    """Check every step; return at how many it failed."""
    failures = 0
    for step, failed in sweep(place, work, names, number):
        failures += failed is not None
        # What fails after the new name was given, such as the flush of the directory, is said, and the new is there.
        new = place.bucket.objects.get("object").content() == NEW or (place.out / "file").read_bytes() == NEW
        assert not new or failed is None or names is SYNCS, step
        place.check(work, done=new)
    return failures


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG], ids=errno.errorcode.get)
@pytest.mark.parametrize("work", WORKS)
def test_every_write_fails(place, work, number):
    assert states(place, work, WRITES, number) > 0


@pytest.mark.parametrize("work", WORKS)
def test_every_flush_fails(place, work):
    assert states(place, work, SYNCS, errno.EIO) > 0


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EIO, errno.ENOSPC], ids=errno.errorcode.get)
@pytest.mark.parametrize("work", WORKS)
def test_every_new_name_fails(place, work, number):
    assert states(place, work, NAMES, number) >= 0
    place.put_back()
    work(place)
    place.check(work, done=True)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EIO], ids=errno.errorcode.get)
@pytest.mark.parametrize("work", WORKS)
def test_every_open_fails(place, work, number):
    assert states(place, work, ("open",), number) > 0


LIMITED = """
import errno, resource, signal, sys
from cloudbridge_store import CloudProviderFactory, errors
root, out, limit, value = sys.argv[1:]
provider = CloudProviderFactory().create_provider("local", {"local_root": root})
bucket = provider.storage.buckets.get("a-bucket")
# Everything is imported before: Python needs files for that too.
bucket.objects.get("new/file").download_to_file(out + "/warm")
bucket.objects.get("new/file").copy_to(bucket, "warm").upload(b"warm").delete()
import os; os.remove(out + "/warm")
try: bucket.objects.get("new/file").download_to_file(out + "/none/warm")
except errors.StoreError: pass
resource.setrlimit(getattr(resource, limit), (int(value), int(value)))
def works():
    yield lambda: bucket.objects.get("new/file").download_to_file(out + "/file")
    yield lambda: bucket.objects.create("object").upload(b"new" * 100_000)
    yield lambda: bucket.objects.get("new/file").copy_to(bucket, "object")
for work in works():
    try:
        work()
    except errors.StoreError as error:
        print(type(error).__name__, getattr(error, "errno", None) and errno.errorcode[error.errno] or error.code)
"""


def limited(place, limit, value):
    command = [sys.executable, "-c", LIMITED, str(place.root), str(place.out), limit, str(value)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_kernels_limit_on_the_size_of_a_file(place):
    said = limited(place, "RLIMIT_FSIZE", 100_000)
    assert [line.split()[1] for line in said[:2]] == ["EFBIG", "EFBIG"]
    for work in (upload, download):
        place.check(work, done=False)


def test_the_kernels_limit_on_open_files(place):
    open_now = 3
    said = limited(place, "RLIMIT_NOFILE", open_now)
    assert {line.split()[1] for line in said} == {"EMFILE"}
    for work in (upload, download):
        place.check(work, done=False)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > open_now


@pytest.mark.parametrize(
    ("target", "number"), [("directory", errno.EISDIR), ("x" * 256, errno.ENAMETOOLONG), ("none/file", errno.ENOENT)]
)
def test_a_target_that_cannot_be(place, target, number):
    (place.out / "directory").mkdir()
    (place.out / "directory" / "kept").write_bytes(OLD)
    with pytest.raises(errors.LocalIOError) as caught:
        place.bucket.objects.get("new/file").download_to_file(place.out / target)
    assert caught.value.errno == number
    assert sorted(os.listdir(place.out)) == ["directory", "file"]
    assert (place.out / "directory" / "kept").read_bytes() == OLD


def changing(place, how):
    """Change the source when its upload has begun."""
    done = []

    def change(_sent, _total):
        if done:
            return
        done.append(how)
        if how == "shrinks":
            os.truncate(place.source, 1000)
        elif how == "grows":
            with place.source.open("ab") as file:
                file.write(b"more")
        elif how == "altered":
            with place.source.open("r+b") as file:
                file.write(b"XXX")
        else:
            place.source.unlink()

    return change


@pytest.mark.parametrize("config", [None, PARTS], ids=["one", "parts"])
@pytest.mark.parametrize("how", ["shrinks", "grows", "altered", "vanishes"])
def test_a_source_that_changes_meanwhile(place, how, config):
    data = NEW * 8
    place.source.write_bytes(data)
    os.utime(place.source, (1, 1))
    obj = place.bucket.objects.create("object")
    try:
        obj.upload_from_file(place.source, config, progress=changing(place, how))
    except errors.SourceChangedError:
        assert obj.content() == OLD
    else:
        # Who holds a file open reads it whole, whoever removes its name.
        assert how == "vanishes"
        assert obj.content() == data
    assert list(place.bucket.list_uploads()) == []
