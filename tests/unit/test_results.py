"""Paging: exact pages, lazy iteration, no endless listing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudbridge_store import ResultList
from cloudbridge_store.drivers.base import Page
from cloudbridge_store.errors import InvalidValueException, ProviderInternalException
from cloudbridge_store.results import CompleteResultList, TransferReport, every_item, one_page, page_limit


def stingy(count, answers):
    """A service that has ``count`` items and gives as many at a time as it likes, sometimes none."""
    sizes = iter(answers)

    def fetch(limit, token):
        start = int(token or 0)
        stop = min(start + min(next(sizes, limit), limit), count)
        return Page(range(start, stop), None if stop == count else f"{stop:0{4 + len(token or '')}}")

    return fetch


@given(st.integers(0, 40), st.lists(st.integers(0, 9), max_size=30), st.integers(1, 15))
def test_pages_are_full_and_together_they_are_everything(count, answers, limit):
    fetch = stingy(count, answers)
    found, marker = [], None
    while True:
        page = one_page(fetch, int, limit=limit, marker=marker, largest=7)
        found += page
        marker = page.marker
        if marker is None:
            break
        assert len(page) == limit
        assert page.is_truncated
    assert found == list(range(count))
    assert list(every_item(stingy(count, answers), int, size=7)) == found


def test_prefixes_count():
    pages = iter([Page([1], "x", ["a/", "b/"]), Page([2], None, ["c/"])])
    asked = []

    def fetch(limit, token):
        asked.append(limit)
        return next(pages)

    page = one_page(fetch, int, limit=5, marker=None, largest=100)
    assert (list(page), page.prefixes, page.is_truncated) == ([1, 2], ["a/", "b/", "c/"], False)
    assert asked == [5, 2]


def test_a_token_that_repeats_is_not_followed_for_ever():
    with pytest.raises(ProviderInternalException, match="never end"):
        list(every_item(lambda limit, token: Page([1], "same"), int, size=3))
    with pytest.raises(ProviderInternalException, match="never end"):
        one_page(lambda limit, token: Page([], "same"), int, limit=3, marker=None, largest=3)


def test_iteration_is_lazy():
    asked = []

    def fetch(limit, token):
        asked.append(token)
        return Page([1, 2], f"{token or ''}x")

    items = every_item(fetch, int, size=2)
    assert asked == []
    assert [next(items) for _ in range(3)] == [1, 2, 1]
    assert asked == [None, "x"]


def test_a_page_knows_what_it_does_not_know():
    page = ResultList([1, 2], marker="more")
    assert (page.supports_server_paging, page.supports_total, page.total_results) == (True, False, None)
    with pytest.raises(NotImplementedError):
        _ = page.data
    page += ResultList([3])
    assert list(page) == [1, 2, 3]


def test_a_search_has_everything():
    found = CompleteResultList([1, 2])
    assert (found.supports_server_paging, found.supports_total, found.total_results, found.data) == (
        False,
        True,
        2,
        [1, 2],
    )
    assert not found.is_truncated


@pytest.mark.parametrize("limit", [None, 0])
def test_no_limit_is_the_default(limit):
    assert page_limit(limit, 50) == 50


@pytest.mark.parametrize("limit", [-1, 1.5, "5", True])
def test_a_limit_that_makes_no_sense(limit):
    with pytest.raises(InvalidValueException):
        page_limit(limit, 50)


def test_a_report_is_ok_only_if_nothing_was_left_out():
    assert TransferReport(3, 10, 0.1, {}, {}).ok
    assert not TransferReport(3, 10, 0.1, {"../x": "why"}, {}).ok
    assert not TransferReport(3, 10, 0.1, {}, {"x": ValueError()}).ok
