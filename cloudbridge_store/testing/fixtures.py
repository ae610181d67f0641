"""Fixtures of the suite, inherited with it, and the two decorators that tie a test to a capability."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.drivers.base import BucketInfo, Capabilities
from cloudbridge_store.objects import BucketObject
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.results import ResultList
from cloudbridge_store.testing.harness import ProviderHarness, forbid_requests

Test = TypeVar("Test", bound=Callable[..., None])
Item = TypeVar("Item")


def needs(capability: str, member: str | None = None) -> Callable[[Test], Test]:
    """Run the test only where the provider has a capability. It needs a twin with :func:`lacks`.

    :param member: what the capability must contain, where it is a set.
    """
    return _require(capability, member, wanted=True)


def lacks(capability: str, member: str | None = None) -> Callable[[Test], Test]:
    """Run the test only where the provider does not have a capability; it shows that the call is refused."""
    return _require(capability, member, wanted=False)


def _require(capability: str, member: str | None, *, wanted: bool) -> Callable[[Test], Test]:
    if capability not in Capabilities.__dataclass_fields__:
        message = f"there is no capability {capability!r}"
        raise TypeError(message)

    def mark(test: Test) -> Test:
        requirements = [*getattr(test, "_requirements", ()), (capability, member, wanted)]
        test._requirements = requirements  # type: ignore[attr-defined]
        return test

    return mark


def has(able: Capabilities, capability: str, member: str | None = None) -> bool:
    """Say whether a capability is there, or contains ``member``."""
    value = getattr(able, capability)
    return bool(value) if member is None else member in value


class StoreFixtures:
    """Base of every class of the suite. ``harness`` comes from the subclass or from a ``conftest.py``."""

    @pytest.fixture(scope="class")
    @classmethod
    def provider(cls, harness: ProviderHarness) -> Iterator[CloudProvider]:
        """One provider for all tests of a class, as programs share one."""
        with harness.make_provider() as provider:
            yield provider

    @pytest.fixture
    def bucket(self, harness: ProviderHarness, provider: CloudProvider) -> Iterator[Bucket]:
        """An empty bucket, gone after the test."""
        bucket = harness.make_bucket(provider)
        yield bucket
        harness.remove_bucket(bucket)

    @pytest.fixture
    def stored(self, bucket: Bucket) -> BucketObject:
        """An object of a few bytes."""
        return bucket.objects.create("dir/stored.txt").upload(b"0123456789")

    @pytest.fixture
    def unreachable(self, harness: ProviderHarness) -> Iterator[CloudProvider]:
        """A provider whose driver must not be called: what is refused is refused before."""
        with harness.make_provider() as provider:
            tried = forbid_requests(provider)
            yield provider
        assert tried == []

    @pytest.fixture(autouse=True)
    def _capabilities_wanted(self, request: pytest.FixtureRequest, provider: CloudProvider) -> None:
        for capability, member, wanted in getattr(request.function, "_requirements", ()):
            if has(provider.capabilities, capability, member) is not wanted:
                verb = "does not have" if wanted else "has"
                pytest.skip(f"this provider {verb} {capability} {member or ''}".rstrip())


def noise(size: int, seed: int = 0) -> bytes:
    """Return bytes that do not repeat, so that swapped or missing pieces show. The same for the same arguments."""
    return random.Random(seed).randbytes(size)


def offline_bucket(provider: CloudProvider, name: str = "cbs-test-offline") -> Bucket:
    """Return a bucket object without asking the service for it."""
    return Bucket(provider, BucketInfo(name))


def drain(pages: Callable[[str | None], ResultList[Item]]) -> Iterator[ResultList[Item]]:
    """Yield page after page: ``pages`` takes the marker of the one before."""
    marker: str | None = None
    while True:
        page = pages(marker)
        yield page
        marker = page.marker
        if marker is None:
            return
