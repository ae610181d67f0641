"""Lists of results, and the only code that pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from cloudbridge_store.drivers.base import Page
from cloudbridge_store.errors import InvalidValueException, ProviderInternalException

T = TypeVar("T")
Item = TypeVar("Item")

Fetch = Callable[[int, str | None], Page[Item]]
"""Asks the service for at most so many items, from a token on."""


class ResultList(list[T]):
    """One page of results: a list that knows whether there is more.

    :ivar marker: give it to the same call to get the next page; opaque; ``None`` at the end.
    :ivar is_truncated: whether there is a next page.
    :ivar prefixes: the common prefixes of this page, where a delimiter was given.
    :ivar supports_total: whether ``total_results`` is known (only where the service answered all at once).
    :ivar supports_server_paging: whether the service cuts the pages.
    """

    def __init__(self, items: Iterable[T] = (), *, marker: str | None = None, prefixes: Iterable[str] = ()) -> None:
        super().__init__(items)
        self.marker = marker
        self.prefixes = list(prefixes)

    @property
    def is_truncated(self) -> bool:
        """Whether there is a next page."""
        return self.marker is not None

    @property
    def supports_total(self) -> bool:
        """Whether the number of all results is known."""
        return not self.supports_server_paging

    @property
    def total_results(self) -> int | None:
        """The number of all results, where it is known."""
        return len(self) if self.supports_total else None

    @property
    def supports_server_paging(self) -> bool:
        """Whether the service cut this page."""
        return True

    @property
    def data(self) -> list[T]:
        """All results. :raises NotImplementedError: this is one page; iterate the service to have all."""
        message = "one page of a listing does not hold all results; iterate instead"
        raise NotImplementedError(message)


class CompleteResultList(ResultList[T]):
    """All results at once, as a search answers them."""

    @property
    def supports_server_paging(self) -> bool:
        """Never: nothing is left on the service."""
        return False

    @property
    def data(self) -> list[T]:
        """All results."""
        return list(self)


def one_page(
    fetch: Fetch[Item], make: Callable[[Item], T], *, limit: int, marker: str | None, largest: int
) -> ResultList[T]:
    """Return exactly ``limit`` results, or all there are; common prefixes count.

    A service may answer fewer than it was asked for, so it is asked again until the page is full.

    :param largest: most items the service puts in one answer.
    """
    items: list[T] = []
    prefixes: list[str] = []
    token = marker
    while True:
        page = fetch(min(limit - len(items) - len(prefixes), largest), token)
        items.extend(map(make, page.items))
        prefixes.extend(page.prefixes)
        token = _next_token(page, token)
        if token is None or len(items) + len(prefixes) >= limit:
            return ResultList(items, marker=token, prefixes=prefixes)


def every_item(fetch: Fetch[Item], make: Callable[[Item], T], *, size: int, marker: str | None = None) -> Iterator[T]:
    """Yield all results, a page in memory at a time.

    :param size: items to ask for at once.
    """
    token = marker
    while True:
        page = fetch(size, token)
        yield from map(make, page.items)
        token = _next_token(page, token)
        if token is None:
            return


def _next_token(page: Page[Item], token: str | None) -> str | None:
    if page.token is not None and page.token == token:
        message = "the service answered the same page token twice; the listing would never end"
        raise ProviderInternalException(message, hint="Report it to the service, quoting the listing's arguments")
    return page.token


def page_limit(limit: object, default: int) -> int:
    """Return the number of items wanted: CloudBridge's ``None`` and ``0`` mean the default.

    :raises InvalidValueException: a negative number, or none.
    """
    if limit is None or limit == 0:
        return default
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise InvalidValueException("limit", limit, "a whole number of 1 or more, or None for the configured default")
    return limit


@dataclass(frozen=True, slots=True)
class TransferReport:
    """What became of a bulk transfer.

    :param transferred: objects or files stored.
    :param bytes: bytes in them.
    :param seconds: time it took.
    :param skipped: what could not be transferred as it is, by key or path, with the reason: a key that has no place on
        this file system or would leave the directory, a link, a special file.
    :param failures: what was tried and failed, by key or path, with the error.
    """

    transferred: int
    bytes: int
    seconds: float
    skipped: Mapping[str, str]
    failures: Mapping[str, Exception]

    @property
    def ok(self) -> bool:
        """Whether everything was transferred."""
        return not self.skipped and not self.failures
