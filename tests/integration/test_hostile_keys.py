"""Keys that want to be paths elsewhere, links that are planted on the way, and signed URLs that were altered."""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import re
import threading
import unicodedata
from types import SimpleNamespace
from urllib.parse import quote, unquote

import pytest

from cloudbridge_store import CloudProviderFactory, errors
from cloudbridge_store.core.source import BytesBody
from cloudbridge_store.drivers.base import PutOptions, SignOptions
from cloudbridge_store.drivers.gateway.handler import Handler
from cloudbridge_store.drivers.gateway.signing import Signer
from cloudbridge_store.drivers.memory import MemoryDriver

HOSTILE = [
    *("../escape", "../../escape", "a/../../escape", "a/b/../../../escape", "..", "../", "a/..", "./../escape"),
    *("/absolute", "//absolute", "///absolute", "/../escape", "a//escape", "a/", "a//", "/", "//"),
    *(
        ".",
        "./a",
        "a/.",
        "a/./b",
        "nul\x00",
        "a\x00/../escape",
        "x" * 256,
        "d/" + "x" * 256,
        "é" * 128,
        "x" * 256 + "/f",
    ),
    *("..\\escape", "a\\..\\..\\escape", "C:\\escape", "C:/escape", "\\\\host\\share", "a:stream", "CON", "nul.txt"),
    *("%2e%2e/escape", "..%2fescape", "%2e%2e%2fescape", "..%5cescape", "....//escape", "..;/escape", "~/escape"),
    *("-rf", "$(touch escape)", "`touch escape`", "a\nb", "a\r\nb", "a\tb", "a\x1b[2J", "a\u202eb", "..\u2215escape"),
    *("\uff0e\uff0e/escape", "..\u200b/escape", "/etc/passwd", "file:///etc/passwd", "http://a/../b", ".good.0.part"),
    *("sub/.good.12.part", "/".join(["deep"] * 60), "/".join(["x" * 200] * 5), "a ", " a", "a.", "a. /b", "good.too"),
]


def snapshot(root):
    """Return everything below a directory, without following links."""
    found = {}
    for here, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(here, name)
            if os.path.islink(path):
                found[path] = os.readlink(path)
            elif os.path.isdir(path):
                found[path] = "directory"
            elif os.path.isfile(path):
                with open(path, "rb") as file:
                    found[path] = file.read()
            else:
                found[path] = "special"
    return found


@pytest.fixture
def outside(tmp_path):
    """A tree that nobody may touch, around and beside the directory that is written to."""
    for name in ("outside/precious", "outside/sub/precious", "escape", "etc/passwd"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"precious")
    return tmp_path / "outside"


@pytest.fixture
def out(tmp_path, outside):
    """The directory that is written to; in the end everything beside it is as it was."""
    inside = tmp_path / "in" / "side"
    inside.mkdir(parents=True)

    def rest():
        return {path: data for path, data in snapshot(tmp_path).items() if not path.startswith(f"{inside}/")}

    before = rest()
    yield inside
    assert rest() == before
    assert snapshot("/absolute") == {}


@pytest.fixture
def bucket():
    with CloudProviderFactory().create_provider("memory", {}) as provider:
        bucket = provider.storage.buckets.create("a-bucket")
        yield bucket


def plant(bucket, *keys):
    """Store keys that this library refuses to make, but others do."""
    driver = bucket.provider.session.driver
    for key in keys:
        bucket.objects.create("stand-in").upload(b"evil")
        driver.copy_object(bucket.name, "stand-in", bucket.name, key)
    driver.delete_object(bucket.name, "stand-in")


def litter(root):
    return [path for path in snapshot(root) if path.endswith(".part")]


def has_place(key):
    """Say whether a key is the relative path of a file on this system."""
    segments = key.split("/")
    odd = any(segment in ("", ".", "..") or len(os.fsencode(segment)) > 255 for segment in segments)
    return not odd and "\0" not in key and not re.search(r"(^|/)\.[^/]*\.\d+\.part$", key)


def test_every_hostile_key_is_within_or_is_skipped_and_the_rest_goes_on(bucket, out):
    plant(bucket, *HOSTILE)
    bucket.objects.create("good").upload(b"fine")
    bucket.objects.create("sub/good").upload(b"fine")
    assert len(set(HOSTILE)) > 60
    report = bucket.download_directory(out, errors="return")
    assert set(report.skipped) == {key for key in HOSTILE if not has_place(key)}
    assert report.failures == {}
    assert report.transferred == len(set(HOSTILE)) + 2 - len(report.skipped)
    written = {path for path, data in snapshot(out).items() if data != "directory"}
    kept = [key for key in [*HOSTILE, "good", "sub/good"] if key not in report.skipped]
    assert written == {f"{out}/{key}" for key in kept}
    assert (out / "good").read_bytes() == b"fine"
    with pytest.raises(errors.TransferError) as caught:
        bucket.download_directory(out)
    assert set(caught.value.failures) == set(report.skipped)


@pytest.mark.parametrize("prefix", ["..", "/", "../", "a/..", "//"])
def test_a_hostile_prefix_leads_nowhere_else(bucket, out, prefix):
    plant(bucket, *(prefix + name for name in ("/escape", "/../escape", "escape", "/good")))
    try:
        report = bucket.download_directory(out, prefix, errors="return")
    except errors.InvalidNameException:
        assert snapshot(out) == {}
        return
    assert report.transferred + len(report.skipped) == 4


@pytest.mark.parametrize("name", ["good", "sub/good"])
def test_what_is_named_like_a_temporary_file_is_not_taken_for_one(bucket, out, name):
    odd = "/".join([*name.split("/")[:-1], ".good.0.part"])
    plant(bucket, odd)
    bucket.objects.create(name).upload(b"fine")
    for _ in range(2):
        report = bucket.download_directory(out, errors="return", max_workers=1)
        assert set(report.skipped) == {odd}
        assert (out / name).read_bytes() == b"fine"
    assert litter(out) == []


@pytest.mark.parametrize("where", ["first", "middle", "last"])
@pytest.mark.parametrize("kind", ["directory", "file", "nowhere", "itself", "parent", "fifo"])
def test_a_link_that_is_planted_on_the_way_is_not_followed(bucket, out, outside, where, kind):
    place = {"first": "a", "middle": "a/b", "last": "a/b/c"}[where]
    (out / place).parent.mkdir(parents=True, exist_ok=True)
    if kind == "fifo":
        os.mkfifo(out / place)
    else:
        there = {"directory": outside, "file": outside / "precious", "nowhere": outside / "new", "parent": ".."}
        (out / place).symlink_to(there.get(kind, "a"))
    for key in ("a/b/c", "a/b/sub/precious", "good"):
        bucket.objects.create(key).upload(b"fine")
    report = bucket.download_directory(out, errors="return")
    in_the_way = {"first": {"a/b/c", "a/b/sub/precious"}, "middle": {"a/b/c", "a/b/sub/precious"}, "last": set()}
    assert set(report.skipped) == in_the_way[where]
    assert report.failures == {}
    assert (out / "good").read_bytes() == b"fine"
    if where == "last":
        assert not (out / place).is_symlink()  # replaced, not followed
        assert (out / place).read_bytes() == b"fine"


@pytest.mark.parametrize("name", [".c.0.part", ".c.1.part"])
@pytest.mark.parametrize("kind", ["link", "directory", "fifo"])
def test_what_is_planted_where_the_temporary_file_would_be_is_left(bucket, out, outside, name, kind):
    if kind == "link":
        (out / name).symlink_to(outside / "precious")
    elif kind == "directory":
        (out / name).mkdir()
    else:
        os.mkfifo(out / name)
    bucket.objects.create("c").upload(b"fine")
    bucket.objects.get("c").download_to_file(out / "c")
    assert bucket.download_directory(out).transferred == 1
    assert (out / "c").read_bytes() == b"fine"


@pytest.mark.parametrize("leaf", [False, True], ids=["directory", "leaf"])
def test_a_link_that_is_swapped_in_meanwhile_is_not_followed(bucket, out, outside, leaf):
    names = ("d/leaf", "d/sub/leaf", "d/precious")
    for name in names:
        bucket.objects.create(name).upload(b"from the bucket")
    (out / "d").mkdir()
    (out / "d" / "leaf").write_bytes(b"old")
    place, there = (out / "d" / "leaf", outside / "precious") if leaf else (out / "d", outside)
    stop, swapped, swaps = threading.Event(), threading.Event(), itertools.count(1)

    def swap():
        link = out / "link"
        aside = out / "aside"
        while not stop.is_set():
            link.symlink_to(there)
            try:
                os.rename(place, aside)
                os.rename(link, place)
                os.rename(place, link)
                os.rename(aside, place)
            except OSError:
                pass  # the download was there first
            link.unlink(missing_ok=True)
            if next(swaps) > 50:
                swapped.set()

    attacker = threading.Thread(target=swap)
    attacker.start()
    reports = []
    try:
        while len(reports) < 40 or not swapped.is_set():
            reports.append(bucket.download_directory(out, errors="return", max_workers=2))
        for _ in range(40 if leaf else 0):
            bucket.objects.get("d/leaf").download_to_file(place)
    finally:
        stop.set()
        attacker.join()
    assert all(set(report.skipped) <= set(names) for report in reports)
    assert any(report.transferred for report in reports)
    assert snapshot(outside) == {
        f"{outside}/precious": b"precious",
        f"{outside}/sub": "directory",
        f"{outside}/sub/precious": b"precious",
    }


@pytest.mark.parametrize("key", HOSTILE)
def test_a_hostile_key_downloaded_to_a_file_is_only_in_that_file(bucket, out, key):
    plant(bucket, key)
    driver = bucket.provider.session.driver
    try:
        bucket.objects.create(key).download_to_file(out / "target")
    except errors.InvalidNameException:
        assert driver.head_object(bucket.name, key).size == 4
        assert snapshot(out) == {}
        return
    assert snapshot(out) == {f"{out}/target": b"evil"}


def test_names_that_differ_in_case_or_normal_form_are_files_of_their_own(bucket, out):
    names = ["case", "Case", "CASE", "caf\u00e9", "cafe\u0301", "\u1e9e", "\u00df", "\u0131", "I", "i"]
    for name in names:
        bucket.objects.create(f"d/{name}").upload(name.encode())
    report = bucket.download_directory(out)
    assert report.transferred == len(names)
    assert {path.name: path.read_text() for path in (out / "d").iterdir()} == {name: name for name in names}


# LOCAL itself


def local(root, **more):
    return CloudProviderFactory().create_provider("local", {"local_root": root, "local_fsync": False, **more})


def try_all(driver, key):
    """Do everything with a key; say whether it can be stored."""
    try:
        driver.put_object("a-bucket", key, BytesBody(b"evil"), PutOptions())
    except (errors.CloudBridgeBaseException, ValueError):
        stored = False
    else:
        stored = True
        assert driver.head_object("a-bucket", key).size == 4
        assert key in [info.key for info in driver.list_objects("a-bucket").items]
    for use in (
        lambda: driver.copy_object("a-bucket", "good", "a-bucket", key),
        lambda: driver.start_upload("a-bucket", key, PutOptions()),
        lambda: driver.head_object("a-bucket", key),
        lambda: driver.delete_object("a-bucket", key),
    ):
        try:
            use()
        except (errors.CloudBridgeBaseException, ValueError) as error:
            assert not stored, error
    return stored


@pytest.mark.parametrize("layout", ["encoded", "plain"])
def test_local_keeps_every_hostile_key_within_its_bucket(out, layout):
    root = out / "root"
    with local(root, local_layout=layout) as provider:
        provider.storage.buckets.create("other").objects.create("precious").upload(b"1")
        bucket = provider.storage.buckets.create("a-bucket")
        bucket.objects.create("good").upload(b"fine")
        before = snapshot(out)
        stored = []
        for key in HOSTILE:
            if try_all(provider.session.driver, key):
                stored.append(key)
            beside = {path: data for path, data in snapshot(out).items() if not path.startswith(f"{root}/a-bucket/")}
            assert {path for path in beside if "/.cbs/" not in path} <= set(before)
        bucket.abort_uploads()
        assert [obj.name for obj in bucket.objects] == ["good"]
        assert bucket.objects.get("good").content() == b"fine"
    expected = set(HOSTILE) if layout == "encoded" else {key for key in HOSTILE if has_place(key)}
    assert set(stored) <= expected | {key for key in HOSTILE if key.endswith(".part")}
    assert len(stored) > 25


@pytest.mark.parametrize("layout", ["encoded", "plain"])
@pytest.mark.parametrize("place", ["bucket", "directory", "leaf"])
def test_local_follows_no_link_out_of_its_root(out, outside, layout, place):
    root = out / "root"
    with local(root, local_layout=layout) as provider:
        bucket = provider.storage.buckets.create("a-bucket")
        folder = "d%" if layout == "encoded" else "d"
        if place == "bucket":
            (root / "a-bucket").rmdir()
            (root / "a-bucket").symlink_to(outside)
        elif place == "directory":
            (root / "a-bucket" / folder).symlink_to(outside)
        else:
            (root / "a-bucket" / folder).mkdir()
            (root / "a-bucket" / folder / "precious").symlink_to(outside / "precious")
        key = "precious" if place == "bucket" else "d/precious"
        obj = bucket.objects.create(key)
        with pytest.raises(errors.StoreError):
            obj.content()
        for change in (
            obj.delete,
            lambda: obj.upload(b"evil"),
            lambda: bucket.objects.create(f"{key}2").upload(b"evil"),
        ):
            try:
                change()
            except errors.StoreError:
                pass
        assert (outside / "precious").read_bytes() == b"precious"


def test_local_tells_names_apart_where_the_file_system_does_not(out):
    root = out / "root"
    (root / ".cbs").mkdir(parents=True)
    (root / ".cbs" / "layout.json").write_text(json.dumps({"version": 1, "layout": "encoded", "fold": True}))
    names = [
        "case",
        "Case",
        "CASE",
        "caf\u00e9",
        "cafe\u0301",
        "\u1e9e",
        "\u00df",
        "\u0131",
        "I",
        "i",
        "K",
        "\u212a",
        "k",
    ]
    keys = [key for name in names for key in (name, f"{name}/{name}")]
    with local(root) as provider:
        bucket = provider.storage.buckets.create("a-bucket")
        for key in keys:
            bucket.objects.create(key).upload(key.encode())
        assert {obj.name: obj.content().decode() for obj in bucket.objects} == {key: key for key in keys}
    for _, directories, files in os.walk(root / "a-bucket"):
        folded = [unicodedata.normalize("NFKC", name).casefold() for name in directories + files]
        assert len(set(folded)) == len(folded)


# Signed URLs that were altered


NOW = 1_800_000_000
OVERRIDES = SignOptions(content_type="text/plain; x=1", content_disposition='attachment; filename="a b"')


class Wire:
    """A connection that one request has arrived on."""

    def __init__(self, request):
        self._request = request
        self.sent = b""

    def makefile(self, *_):
        return io.BytesIO(self._request)

    def sendall(self, data):
        self.sent += data

    def recv(self, _):
        return b""

    def settimeout(self, _):
        pass

    setsockopt = shutdown = lambda *_: None


class Door:
    """The gateway without its sockets."""

    def __init__(self):
        self.driver = MemoryDriver()
        self.driver.create_bucket("b")
        for key in KEYS:
            self.driver.put_object("b", key, BytesBody(b"0123456789"), PutOptions())
        self.signer = Signer(b"secret" * 6, lambda: NOW)
        self.server = SimpleNamespace(driver=self.driver, signer=self.signer)

    def ask(self, method, target, content_type=None):
        """Return the answer without its date."""
        lines = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: close"]
        lines += [f"Content-Type: {content_type}"] if content_type else []
        lines += ["Content-Length: 4"] if method == "PUT" else []
        request = "\r\n".join([*lines, "", ""]).encode("latin-1") + (b"evil" if method == "PUT" else b"")
        wire = Wire(request)
        Handler(wire, ("127.0.0.1", 1), self.server)
        return re.sub(rb"\r\n(Date|Connection): [^\r]*", b"", wire.sent)


KEYS = ("a", "dir/na me%2F+é.txt")
# What ends a line makes another request of what follows; what that is answered is shown elsewhere.
BYTES = [chr(code) for code in range(256) if chr(code) not in "\r\n"]


def genuine(signer):
    """Yield method, target, type: requests that were signed."""
    for key in KEYS:
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            yield method, signer.sign("b", key, method, 60, SignOptions()), None
        yield "GET", signer.sign("b", key, "GET", 60, OVERRIDES), None
        yield "PUT", signer.sign("b", key, "PUT", 60, SignOptions("text/plain")), "text/plain"


def altered(chance, method, target, content_type):
    """Yield requests that nobody signed: this one, altered in one place or in some."""
    path, _, query = target.partition("?")
    fields = query.split("&")
    for at, was in enumerate(target):
        yield from ((method, target[:at] + new + target[at + 1 :], content_type) for new in chance.sample(BYTES, 12))
        yield method, target[:at] + target[at + 1 :], content_type
        yield method, target[:at] + chance.choice(BYTES) + target[at:], content_type
        yield method, f"{target[:at]}%{ord(was):02X}{target[at + 1 :]}", content_type
        yield method, f"{target[:at]}%{ord(was):02x}{target[at + 1 :]}", content_type
        yield method, target[:at] + was.swapcase() + target[at + 1 :], content_type
        yield method, target[:at], content_type
        other = chance.randrange(len(target))
        yield method, target[:at] + target[other] + target[at + 1 : other] + was + target[other + 1 :], content_type
    for chosen in itertools.chain.from_iterable(itertools.permutations(fields, n) for n in range(len(fields) + 1)):
        yield method, f"{path}?{'&'.join(chosen)}", content_type
    for field in (*fields, "x=1", "=", "", "cbs-expires=", "response-content-type=text%2Fhtml", "versionId=1"):
        for at in range(len(fields) + 1):
            yield method, f"{path}?{'&'.join([*fields[:at], field, *fields[at:]])}", content_type
    for name in ("GET", "HEAD", "PUT", "DELETE", "POST", "PATCH", "OPTIONS", "get", "Get", "GETX"):
        yield name, target, content_type
    for seconds in (-61, -60, -1, 1, 10, 60, 3600, 10**9):
        yield method, target.replace(str(NOW + 60), str(NOW + 60 + seconds)), content_type
    for again in (quote(path), quote(path, safe=""), unquote(path), quote(quote(path)), path.upper(), path.lower()):
        yield method, f"{again}?{query}", content_type
    for kind in ("text/html", "TEXT/PLAIN", "text/plain ;", None) if content_type else ():
        yield method, target, kind


def test_thirty_thousand_altered_urls_get_one_and_the_same_answer():
    door, chance = Door(), random.Random(12)
    signed = list(genuine(door.signer))
    valid = set(signed)
    valid |= {("PUT", target, None) for method, target, kind in signed if method == "PUT" and kind is None}
    answers, asked = {}, 0
    rounds = (altered(chance, *request) for request in signed)
    for method, target, content_type in itertools.chain.from_iterable(rounds):
        if (method, target, content_type) in valid or not target:
            continue  # without a target it is a request of HTTP/0.9, whose answers have no head
        asked += 1
        answers.setdefault(door.ask(method, target, content_type), (method, target, content_type))
    assert asked > 30_000
    # To HEAD without the body, unless the line is so broken that no method can be read from it.
    without, with_body = sorted(answers, key=len)
    assert with_body.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert with_body == without + b"Forbidden\n"
    assert [info.key for info in door.driver.list_objects("b").items] == sorted(KEYS)
    assert all(door.driver.head_object("b", key).size == 10 for key in KEYS)


def test_what_was_signed_works():
    door = Door()
    for method, target, content_type in genuine(door.signer):
        answer = door.ask(method, target, content_type)
        assert answer.split()[1] in (b"200", b"204", b"404"), (method, target)
    assert [info.size for info in door.driver.list_objects("b").items] == [4, 4]


def test_a_url_ends_when_it_says():
    door = Door()
    target = door.signer.sign("b", "a", "GET", 60, SignOptions())
    for now, status in ((NOW, b"200"), (NOW + 59.9, b"200"), (NOW + 60, b"403"), (NOW + 61, b"403")):
        door.signer._now = lambda now=now: now
        assert door.ask("GET", target).split()[1] == status
