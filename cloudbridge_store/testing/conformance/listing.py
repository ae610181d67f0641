"""Listings: exact pages, opaque markers, prefixes, delimiters, byte order, and changes under way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.errors import BucketNotFoundError, InvalidValueException
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.results import ResultList
from cloudbridge_store.testing.fixtures import StoreFixtures, drain, offline_bucket
from cloudbridge_store.testing.harness import ProviderHarness
from cloudbridge_store.testing.keys import ORDERED_KEYS

_TREE = (
    "a.txt",
    "dir!/x",
    "dir-1/x",
    "dir/1",
    "dir/2",
    "dir/sub/1",
    "dir/sub/2",
    "dir/sub2/1",
    "dir0",
    "dirty",
    "e/f/g/h",
    "z",
    "é/1",
    "🗃/1",
)
_PREFIXES = ("", "d", "dir", "dir/", "dir/s", "dir/sub", "dir/sub/", "e/f/", "é", "🗃/", "x", "z", "zz", "dir/1")
_DELIMITERS = ("/", "r", "/sub", "ir", "🗃", "!")


def _rolled_up(keys: list[str], prefix: str, delimiter: str) -> tuple[list[str], list[str]]:
    items, prefixes = [], []
    for key in sorted((key for key in keys if key.startswith(prefix)), key=str.encode):
        head, found, _ = key[len(prefix) :].partition(delimiter)
        if not found:
            items.append(key)
        elif (common := prefix + head + delimiter) not in prefixes:
            prefixes.append(common)
    return items, prefixes


class ListingSuite(StoreFixtures):
    """``bucket.objects.list`` and ``iter``."""

    @pytest.fixture
    def tree(self, bucket: Bucket) -> Bucket:
        """A bucket with keys at several levels, around the delimiter in byte order."""
        bucket.objects.upload_many(dict.fromkeys(_TREE, b"1"))
        return bucket

    def test_list_is_a_result_list(self, tree: Bucket) -> None:
        page = tree.objects.list()
        assert isinstance(page, ResultList)
        assert [each.name for each in page] == list(_TREE)
        assert [each.name for each in tree.objects] == list(_TREE)
        assert list(tree.objects) == page
        assert (page.marker, page.is_truncated, page.prefixes) == (None, False, [])
        gathered = tree.objects.list(limit=3)
        gathered += tree.objects.list(limit=3, marker=gathered.marker)
        assert [each.name for each in gathered] == list(_TREE[:6])

    def test_keys_come_in_byte_order(self, harness: ProviderHarness, provider: CloudProvider, bucket: Bucket) -> None:
        keys = [key for key in ORDERED_KEYS if key not in harness.refused_keys]
        if not provider.capabilities.nested_keys:
            keys = [key for key in keys if not any(other.startswith(f"{key}/") for other in keys)]
        bucket.objects.upload_many(dict.fromkeys(reversed(keys), b""))
        assert [each.name for each in bucket.objects] == keys
        pages = drain(lambda marker: bucket.objects.list(limit=3, marker=marker))
        assert [each.name for page in pages for each in page] == keys

    def test_keys_beyond_the_basic_plane_are_all_listed(self, provider: CloudProvider, bucket: Bucket) -> None:
        keys = sorted(f"a{each}" for each in ("!", "b", "\ue000", "\uff01", "\ufffd", "\U0001f4be", "\U0001f5c3"))
        bucket.objects.upload_many(dict.fromkeys(keys, b""))
        assert [each.name for each in bucket.objects] == keys
        pages = drain(lambda marker: bucket.objects.list(limit=2, marker=marker))
        listed = [each.name for page in pages for each in page]
        assert sorted(listed) == keys
        assert listed == keys or not provider.capabilities.byte_order

    @pytest.mark.parametrize("limit", [1, 2, 5, 13, 14, 15])
    def test_pages_are_exact(self, tree: Bucket, limit: int) -> None:
        pages = list(drain(lambda marker: tree.objects.list(limit=limit, marker=marker)))
        assert [each.name for page in pages for each in page] == list(_TREE)
        assert all(len(page) == limit for page in pages[:-1])
        assert all(page.is_truncated and isinstance(page.marker, str) for page in pages[:-1])
        assert pages[-1].marker is None
        assert pages[-1].is_truncated is False

    @pytest.mark.parametrize("delimiter", _DELIMITERS)
    @pytest.mark.parametrize("prefix", _PREFIXES)
    def test_delimiters(self, tree: Bucket, prefix: str, delimiter: str) -> None:
        items, prefixes = _rolled_up(list(_TREE), prefix, delimiter)
        page = tree.objects.list(prefix=prefix, delimiter=delimiter)
        assert ([each.name for each in page], page.prefixes) == (items, prefixes)
        pages = list(drain(lambda marker: tree.objects.list(2, marker, prefix, delimiter=delimiter)))
        assert [each.name for each in (item for page in pages for item in page)] == items
        assert [each for page in pages for each in page.prefixes] == prefixes
        assert all(len(page) + len(page.prefixes) == 2 for page in pages[:-1])

    @pytest.mark.parametrize("prefix", _PREFIXES)
    def test_prefixes(self, tree: Bucket, prefix: str) -> None:
        wanted = [key for key in _TREE if key.startswith(prefix)]
        assert [each.name for each in tree.objects.list(prefix=prefix)] == wanted
        assert [each.name for each in tree.objects.iter(prefix=prefix)] == wanted
        pages = drain(lambda marker: tree.objects.list(limit=2, marker=marker, prefix=prefix))
        assert [each.name for page in pages for each in page] == wanted

    @pytest.mark.parametrize(
        "start_after", ["", "a", "a.txt", "dir", "dir/", "dir/1", "dir/sub/1", "dir0", "z", "é", "🗃/1"]
    )
    def test_start_after(self, tree: Bucket, start_after: str) -> None:
        wanted = [key for key in _TREE if key.encode() > start_after.encode()]
        assert [each.name for each in tree.objects.list(start_after=start_after)] == wanted
        assert [each.name for each in tree.objects.iter(start_after=start_after)] == wanted
        below = [key for key in wanted if key.startswith("dir")]
        pages = drain(lambda marker: tree.objects.list(2, marker, "dir", start_after=start_after))
        assert [each.name for page in pages for each in page] == below

    def test_start_after_with_a_delimiter(self, tree: Bucket) -> None:
        page = tree.objects.list(delimiter="/", start_after="dir0")
        assert ([each.name for each in page], page.prefixes) == (["dirty", "z"], ["e/", "é/", "🗃/"])

    def test_start_after_inside_a_rolled_up_prefix(self, tree: Bucket) -> None:
        # Keys of dir/ remain behind it, so services differ in whether the prefix is answered; nothing else may differ.
        page = tree.objects.list(delimiter="/", start_after="dir/1")
        assert [each.name for each in page] == ["dir0", "dirty", "z"]
        assert [each for each in page.prefixes if each != "dir/"] == ["e/", "é/", "🗃/"]

    def test_marker_whose_object_is_deleted(self, tree: Bucket) -> None:
        first = tree.objects.list(limit=4)
        for each in first:
            each.delete()
        tree.objects.create(_TREE[4]).delete()
        rest = tree.objects.list(marker=first.marker)
        assert [each.name for each in rest] == list(_TREE[5:])

    def test_listing_while_keys_come_and_go(self, tree: Bucket) -> None:
        seen = []
        steady = [key for key in _TREE if not key.startswith("dir/")]
        for number, page in enumerate(drain(lambda marker: tree.objects.list(limit=2, marker=marker))):
            seen += [each.name for each in page]
            tree.objects.create("dir/1").delete() if number % 2 else tree.objects.create("dir/1").upload(b"")
            tree.objects.create(f"dir/new{number}").upload(b"")
        assert len(seen) == len(set(seen))
        assert [key for key in seen if key in steady] == steady
        assert seen == sorted(seen, key=str.encode)

    def test_iteration_while_what_was_seen_is_deleted(self, tree: Bucket) -> None:
        seen = []
        for each in tree.objects.iter(limit=2):
            seen.append(each.name)
            each.delete()
        assert seen == list(_TREE)
        assert tree.objects.list() == []

    def test_page_size_is_configured(self, harness: ProviderHarness, tree: Bucket) -> None:
        with harness.make_provider(default_result_limit=5) as provider:
            objects = provider.storage.buckets.get(tree.name).objects  # type: ignore[union-attr]
            for limit in (None, 0):
                assert [each.name for each in objects.list(limit=limit)] == list(_TREE[:5])
            assert [each.name for each in objects.list(limit=7)] == list(_TREE[:7])
            assert [each.name for each in objects] == list(_TREE)

    def test_default_page_has_fifty(self, bucket: Bucket) -> None:
        keys = [f"{number:03}" for number in range(53)]
        bucket.objects.upload_many(dict.fromkeys(keys, b""))
        page = bucket.objects.list()
        assert [each.name for each in page] == keys[:50]
        assert [each.name for each in bucket.objects.list(marker=page.marker)] == keys[50:]

    @pytest.mark.parametrize("limit", [-1, 1.5, "2", True], ids=repr)
    def test_page_size_is_refused_before_any_request(self, unreachable: CloudProvider, limit: Any) -> None:
        with pytest.raises(InvalidValueException):
            offline_bucket(unreachable).objects.list(limit=limit)

    def test_page_says_that_it_is_one(self, tree: Bucket) -> None:
        page = tree.objects.list(limit=2)
        assert (page.supports_server_paging, page.supports_total, page.total_results) == (True, False, None)
        with pytest.raises(NotImplementedError):
            _ = page.data

    def test_listing_a_missing_bucket(self, bucket: Bucket) -> None:
        missing = bucket.sibling(f"{bucket.name}-x").objects
        asks: list[Callable[[], object]] = [
            missing.list,
            lambda: list(missing),
            lambda: missing.list(prefix="a", delimiter="/"),
        ]
        for ask in asks:
            with pytest.raises(BucketNotFoundError):
                ask()

    def test_iteration_is_lazy(self, unreachable: CloudProvider) -> None:
        assert iter(offline_bucket(unreachable).objects) is not None
        assert offline_bucket(unreachable).objects.iter(prefix="a") is not None
