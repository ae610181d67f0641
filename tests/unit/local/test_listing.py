"""Listings: the order of UTF-8, from anywhere, in pages of any size, however the directories lie."""

import os
import resource
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudbridge_store.drivers.local import trees
from cloudbridge_store.errors import InvalidRequestError

KEYS = [
    *(
        "a",
        "a!",
        "a/",
        "a//b",
        "a/b",
        "a/b/c",
        "a0",
        "a-b/c",
        "a/b-c/d",
        "b/c/d/e",
        "/x",
        "//y",
        "é",
        "e\u0301/x",
        "漢/字",
    ),
    *(
        "y" * 179,
        "y" * 180,
        "y" * 180 + "/z",
        "y" * 400,
        "y" * 400 + "/z",
        "y" * 179 + "é",
        "y" * 181 + "!",
        "z/con/a.",
    ),
    *("a%2f", "%_", "a?b", "a:b/c", "A", "B/a", "😀", "z/CON", "a\u00ffb", "a" + "\U00010000", "a\uffff"),
]


def expected(keys, *, prefix="", delimiter="", start_after=""):
    """Say what a listing has to be, in the plainest way."""
    found = set()
    for key in keys:
        if key.startswith(prefix) and key.encode() > start_after.encode():
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            found.add(key[: at + len(delimiter)] if at >= 0 else key)
    return sorted(found, key=str.encode)


@pytest.fixture
def full(store):
    for key in KEYS:
        store.put(key)
    return store


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_all_keys_in_order(full, limit):
    assert full.keys(limit=limit) == sorted(KEYS, key=str.encode)


_parts = st.sampled_from(
    ["", "a", "a/", "a/b", "b", "/", "//", "y" * 180, "y" * 200, "y" * 180 + "/", "é", "z/", "-", "zz", "%", "c"]
)


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    prefix=_parts,
    delimiter=_parts,
    start_after=st.one_of(_parts, st.sampled_from(KEYS)),
    limit=st.sampled_from([1, 2, 7, 1000]),
)
def test_prefix_delimiter_start_and_pages(full, prefix, delimiter, start_after, limit):
    question = {"prefix": prefix, "delimiter": delimiter, "start_after": start_after}
    assert full.keys(limit=limit, **question) == expected(KEYS, **question)


def test_the_token_is_only_there_if_there_is_more(full):
    assert full.page(limit=len(KEYS)).token is None
    assert full.page(limit=len(KEYS) - 1).token is not None
    assert full.page(limit=1, prefix="a/", delimiter="/", start_after="a/b-c/d").token is None


@pytest.mark.parametrize("token", ["?", "a", "é"])
def test_a_token_that_is_none(full, token):
    with pytest.raises(InvalidRequestError):
        full.page(token=token)


def test_a_listing_goes_on_where_its_last_key_was_deleted(store):
    for key in ("a", "b", "c", "d"):
        store.put(key)
    page = store.page(limit=2)
    store.delete("b")
    store.put("bb")
    assert [info.key for info in store.page(token=page.token).items] == ["bb", "c", "d"]


def test_listed_objects_say_what_a_stat_knows(store):
    stored = store.put("a", b"12345", metadata={"m": "1"})
    (info,) = store.page().items
    assert (info.size, info.etag, info.modified) == (5, stored.etag, store.head("a").modified)
    assert info[4:] == (None,) * 6


def test_empty_directories_are_no_prefixes(store):
    store.put("a/b/c")
    (store.folder / "e%" / "f%").mkdir(parents=True)
    assert store.keys(delimiter="/") == ["a/"]
    store.delete("a/b/c")
    assert store.keys(delimiter="/") == []


def test_litter_is_not_listed(store, tmp_path):
    store.put("a")
    for name in ("%2F", "b%", "con", "%_", os.fsdecode(b"\xff")):
        (store.folder / name).touch()
    (store.folder / "d").mkdir()
    (store.folder / "d" / "x").touch()
    (store.folder / "l").symlink_to("a")
    (store.folder / "l%").symlink_to(tmp_path)
    os.mkfifo(store.folder / "pipe")
    assert store.keys() == ["a"]
    assert store.keys(delimiter="/") == ["a"]


def test_very_deep_keys(store):
    deep = ["/" * 1000, "a/" * 500 + "x", "a/" * 500 + "y", "a/" * 20 + "b", "a/" * 499]
    for key in deep:
        store.put(key)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    recursion = sys.getrecursionlimit()
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 40, hard))
    sys.setrecursionlimit(recursion // 2)
    try:
        assert store.keys() == sorted(deep)
        assert store.keys(limit=1) == sorted(deep)
        assert store.keys(delimiter="/") == ["/", "a/"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        sys.setrecursionlimit(recursion)
    for key in deep:
        store.delete(key)
    store.driver.delete_bucket(store.bucket)


def test_no_descriptors_are_left_open(full):
    before = os.listdir("/proc/self/fd")
    full.keys(limit=2, delimiter="/")
    full.keys(limit=3)
    with pytest.raises(InvalidRequestError):
        full.page(token="?")
    assert os.listdir("/proc/self/fd") == before


def test_large_directories_are_read_once(store, monkeypatch):
    for number in range(300):
        store.put(f"{number:03}")
    scans, scan = [], trees.scan
    monkeypatch.setattr(trees, "scan", lambda *arguments: scans.append(1) or scan(*arguments))
    # As far as the cache can tell it is long since the directory changed.
    monkeypatch.setattr(trees, "_SETTLED_NANOSECONDS", -1)
    assert len(store.keys(limit=10)) == 300
    assert len(scans) == 1
    store.put("new")
    assert len(store.keys(limit=10)) == 301
    assert len(scans) == 2


def test_a_directory_that_has_just_changed_is_read_again(store, monkeypatch):
    for number in range(300):
        store.put(f"{number:03}")
    monkeypatch.setattr(trees, "_SETTLED_NANOSECONDS", 10**18)
    store.keys(limit=100)
    assert not store.driver._cache._kept


def test_few_large_directories_are_kept(store, monkeypatch):
    monkeypatch.setattr(trees, "_SETTLED_NANOSECONDS", -1)
    monkeypatch.setattr(trees, "_LEAST_WORTH_KEEPING", 3)
    monkeypatch.setattr(trees, "_MOST_KEPT", 10)
    for directory in "abcde":
        for number in range(4):
            store.put(f"{directory}/{number}")
    assert len(store.keys(limit=1)) == 20
    kept = store.driver._cache._kept
    assert sum(map(len, kept.values())) == store.driver._cache._total <= 10
    assert list(kept.values())[-1] == [b"0", b"1", b"2", b"3"]
