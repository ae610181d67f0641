"""The memory driver: what it is stricter in than others, and what the conformance suite cannot see from above."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import signal
import sys
import threading
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudbridge_store import errors
from cloudbridge_store.config import Settings
from cloudbridge_store.drivers.base import Body, GiB, MiB, Part, PutOptions, ReadOptions, SignOptions
from cloudbridge_store.drivers.memory import MemoryDriver

PLAIN = PutOptions()
ALL = ReadOptions()
PART_SIZE = 5 * MiB


class Content(Body):
    def __init__(self, content, size=None):
        self.content = content
        self.size = len(content) if size is None else size

    def open(self):
        return io.BytesIO(self.content)


class Drop(io.RawIOBase):
    """A stream that gives one byte at a time."""

    def __init__(self, content):
        self.rest = content

    def read(self, size=-1):
        taken, self.rest = self.rest[:1], self.rest[1:]
        return taken


class Drops(Content):
    def open(self):
        return Drop(self.content)


@pytest.fixture
def driver():
    made = MemoryDriver()
    made.create_bucket("b")
    yield made
    made.close()


def put(driver, key, content=b"content", **options):
    return driver.put_object("b", key, Content(content), PutOptions(**options))


def read(driver, key, options=ALL):
    download = driver.get_object("b", key, options)
    content = download.stream.read(-1)
    assert len(content) == download.length
    return content


def keys_of(driver, **listing):
    found, token = [], None
    while True:
        page = driver.list_objects("b", token=token, **listing)
        found += [info.key for info in page.items]
        token = page.token
        if token is None:
            return found


# What an object is


def test_a_single_put_has_s3s_etag_and_both_digests(driver):
    digests = {"md5": hashlib.md5(b"content").hexdigest(), "crc32": f"{zlib.crc32(b'content'):08x}"}
    stored = put(driver, "a")
    assert (stored.etag, stored.checksums) == (digests["md5"], digests)
    info = driver.head_object("b", "a")
    assert (info.etag, info.checksums, info.size, info.storage_class) == (stored.etag, digests, 7, "STANDARD")
    assert info.content_type == "application/octet-stream"
    assert (info.metadata, info.headers, info.version) == ({}, {}, None)
    assert abs((datetime.now(UTC) - info.modified).total_seconds()) < 10


def test_a_description_is_the_callers_to_change(driver):
    put(driver, "a", metadata={"m": "1"}, headers={"cache_control": "x"}, tags={"t": "1"})
    info = driver.head_object("b", "a")
    for mapping in (info.metadata, info.headers, info.checksums, driver.get_tags("b", "a")):
        mapping.clear()
    assert driver.head_object("b", "a").metadata == {"m": "1"}
    assert driver.list_objects("b").items == [driver.head_object("b", "a")]
    assert driver.get_tags("b", "a") == {"t": "1"}


def test_what_the_caller_gave_is_copied(driver):
    metadata, tags = {"m": "1"}, {"t": "1"}
    put(driver, "a", metadata=metadata, tags=tags)
    metadata.clear()
    tags.clear()
    assert driver.head_object("b", "a").metadata == {"m": "1"}
    assert driver.get_tags("b", "a") == {"t": "1"}


def test_setting_tags_leaves_the_object(driver):
    put(driver, "a", tags={"t": "1"})
    before = driver.head_object("b", "a")
    driver.set_tags("b", "a", {"u": "2"})
    assert driver.get_tags("b", "a") == {"u": "2"}
    assert driver.head_object("b", "a") == before
    with pytest.raises(errors.ObjectNotFoundError):
        driver.set_tags("b", "none", {})


# Limits


@pytest.mark.parametrize("body", [Content(b"short", 6), Content(b"long", 3), Content(b"", 1), Content(b"x", 0)])
def test_a_body_has_the_length_it_was_said_to_have(driver, body):
    with pytest.raises(errors.SourceChangedError):
        driver.put_object("b", "a", body, PLAIN)
    upload = driver.start_upload("b", "a", PLAIN)
    with pytest.raises(errors.SourceChangedError):
        driver.upload_part("b", "a", upload, 1, body)
    assert driver.list_parts("b", "a", upload) == []
    assert keys_of(driver) == []


def test_a_body_may_come_in_drops(driver):
    driver.put_object("b", "a", Drops(b"0123456789"), PLAIN)
    assert read(driver, "a") == b"0123456789"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"metadata": {"m": "x" * 2048}}, errors.InvalidRequestError),
        ({"metadata": {"m": "ä" * 1024}}, errors.InvalidRequestError),
        ({"tags": {str(n): "" for n in range(11)}}, errors.InvalidRequestError),
        ({"storage_class": "COLD"}, errors.InvalidRequestError),
        ({"if_none_match": "an-etag"}, errors.InvalidRequestError),
        ({"extra": {"ACL": "private"}}, errors.UnsupportedOperationError),
    ],
)
def test_options_beyond_the_limits_are_refused(driver, options, error):
    put(driver, "source")
    for attempt in (
        lambda: put(driver, "a", **options),
        lambda: driver.start_upload("b", "a", PutOptions(**options)),
        lambda: driver.copy_object("b", "source", "b", "a", PutOptions(**options)),
    ):
        with pytest.raises(error):
            attempt()
    assert keys_of(driver) == ["source"]


def test_the_limits_themselves_are_accepted(driver):
    put(driver, "a", metadata={"m": "x" * 2047}, tags={str(n): "" for n in range(10)})
    assert len(driver.get_tags("b", "a")) == 10


def test_more_than_a_request_may_carry_is_refused_unread(driver):
    body = Content(b"", 5 * GiB + 1)
    with pytest.raises(errors.QuotaExceededError):
        driver.put_object("b", "a", body, PLAIN)


def test_a_batch_has_a_limit(driver):
    put(driver, "a")
    with pytest.raises(errors.InvalidRequestError):
        driver.delete_objects("b", ["a"] * 1001)
    assert keys_of(driver) == ["a"]
    assert driver.delete_objects("b", ["a", *map(str, range(999))]) == {}
    assert keys_of(driver) == []


@pytest.mark.parametrize("limit", [0, -1])
def test_a_page_has_room(driver, limit):
    with pytest.raises(errors.InvalidRequestError):
        driver.list_objects("b", limit=limit)


def test_a_page_ends_at_a_thousand(driver):
    for number in range(1001):
        put(driver, f"{number:04}")
    page = driver.list_objects("b", limit=5000)
    assert len(page.items) == 1000
    assert len(driver.list_objects("b", limit=5000, token=page.token).items) == 1


@pytest.mark.parametrize("token", ["", "x", "!", "bnVsbA==", "WzEsMl0=", "WyJhIl0=", "é"])
def test_a_strange_token_is_refused(driver, token):
    for attempt in (driver.list_objects, driver.list_uploads):
        with pytest.raises(errors.InvalidRequestError):
            attempt("b", token=token)
    with pytest.raises(errors.InvalidRequestError):
        driver.list_buckets(limit=1, token=token)


# Reading


@pytest.mark.parametrize(
    ("start", "stop", "content"),
    [(0, None, b"0123456789"), (3, None, b"3456789"), (3, 5, b"34"), (9, 10, b"9"), (8, 99, b"89"), (0, 1, b"0")],
)
def test_ranges(driver, start, stop, content):
    put(driver, "a", b"0123456789")
    download = driver.get_object("b", "a", ReadOptions(start, stop))
    assert (download.start, download.length, download.stream.read(-1)) == (start, len(content), content)


@pytest.mark.parametrize(("start", "stop"), [(10, None), (11, 20), (5, 5), (5, 2), (-1, None)])
def test_ranges_with_nothing_in_them(driver, start, stop):
    put(driver, "a", b"0123456789")
    with pytest.raises(errors.InvalidRangeError):
        driver.get_object("b", "a", ReadOptions(start, stop))


def test_ranges_of_nothing(driver):
    put(driver, "a", b"")
    assert read(driver, "a") == b""
    assert read(driver, "a", ReadOptions(0, 10)) == b""
    with pytest.raises(errors.InvalidRangeError):
        driver.get_object("b", "a", ReadOptions(1))


def test_streams_fill_what_they_are_given(driver):
    put(driver, "a", b"0123456789")
    stream = driver.get_object("b", "a", ALL).stream
    buffer = bytearray(4)
    assert (stream.readinto(memoryview(buffer)), bytes(buffer)) == (4, b"0123")
    assert stream.read(2) == b"45"
    assert (stream.readinto(memoryview(bytearray(9))), stream.readinto(memoryview(buffer)), stream.read(1)) == (
        4,
        0,
        b"",
    )


def test_a_reader_keeps_what_it_opened(driver):
    put(driver, "a", b"old")
    stream = driver.get_object("b", "a", ALL).stream
    put(driver, "a", b"new")
    driver.delete_object("b", "a")
    assert stream.read(-1) == b"old"


def test_conditions_of_a_read(driver):
    etag = put(driver, "a").etag
    assert read(driver, "a", ReadOptions(if_match=etag, if_none_match="another")) == b"content"
    with pytest.raises(errors.NotModifiedError):
        driver.get_object("b", "a", ReadOptions(if_none_match=etag))
    for start in (0, 99):
        with pytest.raises(errors.PreconditionFailedError):
            driver.get_object("b", "a", ReadOptions(start, if_match="another", if_none_match=etag))


def test_conditions_of_a_write(driver):
    etag = put(driver, "a", b"old", if_none_match="*").etag
    for key, condition in (("a", {"if_none_match": "*"}), ("a", {"if_match": "another"}), ("c", {"if_match": etag})):
        with pytest.raises(errors.PreconditionFailedError):
            put(driver, key, b"new", **condition)
    assert (read(driver, "a"), keys_of(driver)) == (b"old", ["a"])
    put(driver, "a", b"new", if_match=etag)
    assert read(driver, "a") == b"new"


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_archives_are_not_read(driver, storage_class):
    put(driver, "a", storage_class=storage_class)
    assert driver.head_object("b", "a").storage_class == storage_class
    with pytest.raises(errors.ArchivedError):
        driver.get_object("b", "a", ALL)
    with pytest.raises(errors.ArchivedError):
        driver.copy_object("b", "a", "b", "c")


def test_there_are_no_versions_and_no_locations(driver):
    put(driver, "a")
    with pytest.raises(errors.UnsupportedOperationError):
        driver.get_object("b", "a", ReadOptions(version="1"))
    with pytest.raises(errors.UnsupportedOperationError):
        driver.create_bucket("c", location="here")
    with pytest.raises(errors.InvalidRequestError):
        driver.create_bucket("")
    assert [bucket.name for bucket in driver.list_buckets(limit=9).items] == ["b"]


# Copies


def test_a_copy_of_parts_is_one_piece(driver):
    upload = driver.start_upload("b", "a", PutOptions(metadata={"m": "1"}, tags={"t": "1"}))
    part = driver.upload_part("b", "a", upload, 1, Content(b"content"))
    driver.finish_upload("b", "a", upload, [part], PLAIN)
    driver.set_tags("b", "a", {"t": "2"})
    stored = driver.copy_object("b", "a", "b", "c")
    assert stored.etag == hashlib.md5(b"content").hexdigest()
    assert driver.head_object("b", "c").metadata == {"m": "1"}
    assert driver.get_tags("b", "c") == {"t": "2"}


def test_conditions_of_a_copy(driver):
    etag = put(driver, "a").etag
    with pytest.raises(errors.PreconditionFailedError):
        driver.copy_object("b", "a", "b", "c", source=ReadOptions(if_match="another"))
    driver.copy_object("b", "a", "b", "c", source=ReadOptions(if_match=etag))
    with pytest.raises(errors.PreconditionFailedError):
        driver.copy_object("b", "a", "b", "c", PutOptions(if_none_match="*"))
    with pytest.raises(errors.BucketNotFoundError):
        driver.copy_object("b", "a", "nowhere", "c")


# Multipart uploads


def test_parts_make_an_object(driver):
    upload = driver.start_upload("b", "a", PutOptions(content_type="x/y", tags={"t": "1"}))
    pieces = [b"a" * PART_SIZE, b"b" * PART_SIZE, b"c"]
    parts = [driver.upload_part("b", "a", upload, n, Content(pieces[n - 1])) for n in (1, 2, 3)]
    assert [part.etag for part in parts] == [hashlib.md5(piece).hexdigest() for piece in pieces]
    assert driver.list_parts("b", "a", upload) == parts
    stored = driver.finish_upload("b", "a", upload, parts, PLAIN)
    digests = hashlib.md5(b"".join(hashlib.md5(piece).digest() for piece in pieces)).hexdigest()
    whole = b"".join(pieces)
    assert (stored.etag, stored.checksums) == (f"{digests}-3", {"crc32": f"{zlib.crc32(whole):08x}"})
    assert read(driver, "a") == whole
    assert driver.head_object("b", "a").content_type == "x/y"
    assert driver.get_tags("b", "a") == {"t": "1"}
    assert driver.list_uploads("b").items == []


def changed(parts, index, **fields):
    return [*parts[:index], Part(**{"number": parts[index].number, "etag": parts[index].etag, "size": 1, **fields})]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda parts: [],
        lambda parts: parts[::-1],
        lambda parts: [parts[0], parts[0], parts[1]],
        lambda parts: changed(parts, 1, etag="another"),
        lambda parts: changed(parts, 1, etag=parts[0].etag),
        lambda parts: changed(parts, 1, number=7),
    ],
    ids=["none", "order", "twice", "etag", "neighbour", "missing"],
)
def test_wrong_parts_make_nothing(driver, spoil):
    upload = driver.start_upload("b", "a", PLAIN)
    parts = [driver.upload_part("b", "a", upload, n, Content(bytes([n]) * PART_SIZE)) for n in (1, 2)]
    with pytest.raises(errors.InvalidRequestError):
        driver.finish_upload("b", "a", upload, spoil(parts), PLAIN)
    assert keys_of(driver) == []
    driver.finish_upload("b", "a", upload, parts, PLAIN)
    assert keys_of(driver) == ["a"]


def test_all_parts_but_the_last_have_a_least_size(driver):
    upload = driver.start_upload("b", "a", PLAIN)
    parts = [driver.upload_part("b", "a", upload, n, Content(b"x" * (PART_SIZE - 1))) for n in (1, 2)]
    with pytest.raises(errors.InvalidRequestError):
        driver.finish_upload("b", "a", upload, parts, PLAIN)
    driver.finish_upload("b", "a", upload, parts[1:], PLAIN)
    assert driver.head_object("b", "a").size == PART_SIZE - 1


@pytest.mark.parametrize("number", [0, -1, 10_001])
def test_part_numbers_have_bounds(driver, number):
    upload = driver.start_upload("b", "a", PLAIN)
    with pytest.raises(errors.InvalidRequestError):
        driver.upload_part("b", "a", upload, number, Content(b""))


def test_an_upload_belongs_to_its_key(driver):
    upload = driver.start_upload("b", "a", PLAIN)
    for attempt in (
        lambda: driver.upload_part("b", "other", upload, 1, Content(b"")),
        lambda: driver.list_parts("b", "other", upload),
        lambda: driver.finish_upload("b", "other", upload, [], PLAIN),
    ):
        with pytest.raises(errors.UploadNotFoundError):
            attempt()
    driver.abort_upload("b", "other", upload)
    assert [each.upload_id for each in driver.list_uploads("b").items] == [upload]


def test_a_failed_condition_leaves_the_upload(driver):
    put(driver, "a", b"old")
    upload = driver.start_upload("b", "a", PLAIN)
    part = driver.upload_part("b", "a", upload, 1, Content(b"new"))
    with pytest.raises(errors.PreconditionFailedError):
        driver.finish_upload("b", "a", upload, [part], PutOptions(if_none_match="*"))
    assert read(driver, "a") == b"old"
    driver.abort_upload("b", "a", upload)
    driver.abort_upload("b", "a", upload)
    with pytest.raises(errors.UploadNotFoundError):
        driver.finish_upload("b", "a", upload, [part], PLAIN)


def test_one_of_many_finishes(driver):
    upload = driver.start_upload("b", "a", PLAIN)
    part = driver.upload_part("b", "a", upload, 1, Content(b"x"))
    barrier, outcomes = threading.Barrier(8), []

    def finish():
        barrier.wait()
        try:
            outcomes.append(driver.finish_upload("b", "a", upload, [part], PLAIN).etag)
        except errors.UploadNotFoundError:
            outcomes.append(None)

    run_threads([finish] * 8)
    assert len(outcomes) == 8
    assert len([outcome for outcome in outcomes if outcome]) == 1


def test_uploads_are_listed_by_key_then_by_age(driver):
    started = [(key, driver.start_upload("b", key, PLAIN)) for key in ("b", "a", "b", "é", "a", "c")]
    ordered = sorted(started, key=lambda each: each[0])
    for limit in (1, 2, 5, 6, 7):
        found, token = [], None
        while True:
            page = driver.list_uploads("b", limit=limit, token=token)
            assert len(page.items) <= limit
            found += [(each.key, each.upload_id) for each in page.items]
            token = page.token
            if token is None:
                break
        assert found == ordered
    assert [each.key for each in driver.list_uploads("b", prefix="a").items] == ["a", "a"]


# Listing, against a model that is slow and obvious


def expected_page(keys, prefix, delimiter, start_after):
    """Return keys and common prefixes in listing order, as pairs of text and whether it is a prefix."""
    entries = []
    for key in sorted(keys, key=str.encode):
        if not key.startswith(prefix) or (start_after and key.encode() <= start_after.encode()):
            continue
        rest = key[len(prefix) :]
        if delimiter and delimiter in rest:
            entry = (prefix + rest.partition(delimiter)[0] + delimiter, True)
        else:
            entry = (key, False)
        if entry not in entries:
            entries.append(entry)
    return entries


names = st.text(alphabet="ab/-\U0001f600\uffee", max_size=5)


@settings(max_examples=300, deadline=None)
@given(
    st.sets(names.filter(bool), max_size=25),
    names,
    st.sampled_from(["", "/", "-", "ab", "//"]),
    names,
    st.integers(1, 4),
)
def test_listing_is_what_the_model_lists(keys, prefix, delimiter, start_after, limit):
    driver = MemoryDriver()
    driver.create_bucket("b")
    for key in keys:
        put(driver, key, b"")
    found, token = [], None
    for _ in itertools.count():
        page = driver.list_objects(
            "b", prefix=prefix, delimiter=delimiter, start_after=start_after, limit=limit, token=token
        )
        entries = [(info.key, False) for info in page.items] + [(common, True) for common in page.prefixes]
        assert len(entries) <= limit
        assert (len(entries) == limit) or page.token is None
        found += sorted(entries, key=lambda entry: entry[0].encode())
        token = page.token
        if token is None:
            break
    assert found == expected_page(keys, prefix, delimiter, start_after)
    assert token is None


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["put", "delete", "batch"]), st.sampled_from("abcdefgh")), max_size=40))
def test_the_sorted_keys_are_the_keys(steps):
    driver, model = MemoryDriver(), set()
    driver.create_bucket("b")
    for step, key in steps:
        if step == "put":
            put(driver, key, b"")
            model.add(key)
        elif step == "delete":
            driver.delete_object("b", key)
            model.discard(key)
        else:
            driver.delete_objects("b", [key, "c", "zz"])
            model -= {key, "c"}
        assert keys_of(driver, limit=3) == sorted(model)


def test_a_token_outlives_its_key(driver):
    for key in "abcd":
        put(driver, key)
    token = driver.list_objects("b", limit=2).token
    driver.delete_objects("b", ["a", "b", "c"])
    put(driver, "bb")
    assert [info.key for info in driver.list_objects("b", token=token).items] == ["bb", "d"]


class Counted(str):
    """Text that counts its comparisons."""

    __slots__ = ()
    comparisons = 0
    __hash__ = str.__hash__

    def __lt__(self, other):
        Counted.comparisons += 1
        return str.__lt__(self, other)

    def __gt__(self, other):
        Counted.comparisons += 1
        return str.__gt__(self, other)


def test_a_page_costs_the_logarithm_of_the_bucket(driver):
    for number in range(4096):
        put(driver, Counted(f"{number // 64:02}/{number:04}"), b"")
    Counted.comparisons = 0
    page = driver.list_objects("b", prefix="40/", limit=5)
    assert len(page.items) == 5
    driver.list_objects("b", prefix="40/", limit=5, token=page.token)
    assert len(driver.list_objects("b", delimiter="/", limit=3).prefixes) == 3
    assert Counted.comparisons < 150


# Sharing


def test_a_namespace_is_shared_and_outlives_its_drivers(request):
    settings, name = Settings(), request.node.nodeid
    one = MemoryDriver.connect({"memory_namespace": name}, settings)
    one.create_bucket("b")
    put(one, "a")
    one.close()
    other, private = MemoryDriver(name), MemoryDriver.connect({"memory_namespace": None}, settings)
    assert read(other, "a") == b"content"
    assert private.list_buckets(limit=1).items == []
    other.delete_object("b", "a")
    other.delete_bucket("b")


def run_threads(calls):
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_one_of_many_creates(driver):
    barrier, winners = threading.Barrier(8), []

    def create(number):
        barrier.wait()
        try:
            put(driver, "a", str(number).encode(), if_none_match="*")
        except errors.PreconditionFailedError:
            return
        winners.append(str(number).encode())

    run_threads([lambda n=n: create(n) for n in range(8)])
    assert winners == [read(driver, "a")]


def in_child(check):
    """Run ``check`` in a forked child and say whether it returned something true."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if check() else 1
        finally:
            os._exit(code)
    end = threading.Timer(30, os.kill, (pid, signal.SIGKILL))
    end.start()
    try:
        return os.waitpid(pid, 0)[1] == 0
    finally:
        end.cancel()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_gets_whole_tables_and_a_free_lock(request):
    name = request.node.nodeid
    driver, done = MemoryDriver(name), threading.Event()
    driver.create_bucket("b")

    def change():
        sys.settrace(None)  # coverage's tracer has a lock that a child may inherit locked
        while not done.is_set():
            for number in range(50):
                put(driver, f"{number}", b"")
                driver.delete_object("b", f"{number - 25}")

    def check():
        again = MemoryDriver(name)
        put(again, "mine", b"")
        return all(again.head_object("b", key).key == key for key in keys_of(again, limit=7))

    thread = threading.Thread(target=change)
    thread.start()
    try:
        assert all(in_child(check) for _ in range(25))
    finally:
        done.set()
        thread.join()
    assert "mine" not in keys_of(driver)


# The rest of the contract


def test_errors_are_known_and_bugs_are_not(driver):
    failure = driver.classify(errors.ThrottledError("later"))
    assert (failure.error, failure.retry, failure.reason) == (errors.ThrottledError, "no", "later")
    assert driver.classify(ValueError()) is None


def test_buckets_are_made_once_and_go_when_empty(driver):
    put(driver, "a")
    with pytest.raises(errors.DuplicateResourceException):
        driver.create_bucket("b")
    with pytest.raises(errors.BucketNotEmptyError):
        driver.delete_bucket("b")
    driver.delete_object("b", "a")
    driver.delete_bucket("b")
    with pytest.raises(errors.BucketNotFoundError):
        driver.head_bucket("b")


def test_buckets_are_paged_by_name(driver):
    for name in ("é", "a", "A", "c"):
        assert driver.create_bucket(name) == driver.head_bucket(name)
    found, token = [], None
    for _ in range(3):
        page = driver.list_buckets(limit=2, token=token)
        found.append([info.name for info in page.items])
        token = page.token
    assert found == [["A", "a"], ["b", "c"], ["é"]]
    assert token is None
    assert driver.list_buckets(limit=5).token is None


def test_a_bucket_goes_with_its_uploads(driver):
    driver.start_upload("b", "a", PLAIN)
    driver.delete_bucket("b")
    driver.create_bucket("b")
    assert driver.list_uploads("b").items == []


@pytest.mark.parametrize(
    "attempt",
    [
        lambda driver: driver.head_bucket("none"),
        lambda driver: driver.delete_bucket("none"),
        lambda driver: driver.list_objects("none"),
        lambda driver: driver.head_object("none", "a"),
        lambda driver: driver.get_object("none", "a", ALL),
        lambda driver: driver.put_object("none", "a", Content(b""), PLAIN),
        lambda driver: driver.delete_object("none", "a"),
        lambda driver: driver.delete_objects("none", ["a"]),
        lambda driver: driver.copy_object("none", "a", "b", "a"),
        lambda driver: driver.start_upload("none", "a", PLAIN),
        lambda driver: driver.abort_upload("none", "a", "id"),
        lambda driver: driver.list_uploads("none"),
        lambda driver: driver.get_tags("none", "a"),
    ],
)
def test_a_missing_bucket_is_said_to_be_missing(driver, attempt):
    with pytest.raises(errors.BucketNotFoundError):
        attempt(driver)


def test_closing_stops_the_gateway(driver):
    assert driver.sign_url("b", "a", "GET", 60, SignOptions()).url.startswith(driver.native.base_url)
    driver.close()
    with pytest.raises(errors.ProviderClosedError):
        driver.sign_url("b", "a", "GET", 60, SignOptions())
