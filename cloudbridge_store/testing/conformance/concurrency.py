"""One provider in many threads, one store in many processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.errors import (
    DuplicateResourceException,
    ObjectChangedError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from cloudbridge_store.objects import BucketObject
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.testing.fixtures import StoreFixtures, lacks, needs, noise
from cloudbridge_store.testing.harness import ProviderHarness

_THREADS = 8


def _at_once(task: Callable[[int], Any], threads: int = _THREADS) -> list[Any]:
    """Run ``task`` in threads that start together; return the results."""
    barrier = Barrier(threads)

    def run(number: int) -> Any:
        barrier.wait()
        return task(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


def _in_child(obj: BucketObject) -> tuple[bytes, str]:
    """Read an object in another process, and leave a second one."""
    obj.bucket.objects.create("from the child").upload(b"hello")
    return obj.content(), obj.bucket.provider.PROVIDER_ID


class ConcurrencySuite(StoreFixtures):
    """Promises about parallel use."""

    def test_threads_share_a_provider(self, bucket: Bucket) -> None:
        def work(number: int) -> list[str]:
            mine = [f"{number}/{count}" for count in range(10)]
            for name in mine:
                content = noise(1000 + number, seed=number)
                assert bucket.objects.create(name).upload(content).content() == content
            bucket.objects.create(mine[0]).delete()
            return [each.name for each in bucket.objects.list(prefix=f"{number}/")]

        for number, names in enumerate(_at_once(work)):
            assert names == [f"{number}/{count}" for count in range(1, 10)]
        assert len(list(bucket.objects)) == 9 * _THREADS

    @needs("conditional_put", "if_none_match")
    def test_one_creator_wins(self, bucket: Bucket) -> None:
        def create(number: int) -> bool:
            try:
                bucket.objects.create("lock").upload(f"{number}", if_none_match="*")
            except PreconditionFailedError:
                return False
            return True

        for _ in range(5):
            won = _at_once(create)
            assert sum(won) == 1
            lock = bucket.objects.create("lock")
            assert lock.content() == str(won.index(True)).encode()
            lock.delete()

    @needs("conditional_put", "if_match")
    def test_no_increment_is_lost(self, bucket: Bucket) -> None:
        bucket.objects.create("counter").upload(b"0")

        def increment(_: int) -> int:
            refused = 0
            while True:
                seen = bucket.objects.get("counter")
                assert seen is not None
                try:
                    # The ETag was there before the content is read: a write in between makes it stale.
                    seen.upload(str(int(seen.content()) + 1), if_match=seen.etag)
                except (PreconditionFailedError, ObjectChangedError):
                    refused += 1
                else:
                    return refused

        _at_once(increment)
        assert bucket.objects.create("counter").content() == str(_THREADS).encode()

    def test_readers_see_whole_objects(self, bucket: Bucket) -> None:
        versions = {noise(200_000, seed=number) for number in range(3)}
        obj = bucket.objects.create("a").upload(noise(200_000))

        def work(number: int) -> int:
            mine = bucket.objects.create("a")
            for _ in range(10):
                if number < 3:
                    mine.upload(noise(200_000, seed=number))
                    continue
                try:
                    received = b"".join(mine.iter_content(30_000)) if number % 2 else mine.content()
                except ObjectChangedError:
                    continue
                assert received in versions
            return number

        assert _at_once(work) == list(range(_THREADS))
        assert obj.content() in versions

    def test_description_belongs_to_the_content(self, bucket: Bucket) -> None:
        bucket.objects.create("a").upload(b"", content_type="x/0")

        def work(number: int) -> None:
            mine = bucket.objects.create("a")
            for _ in range(10):
                if number < 3:
                    mine.upload(b"x" * number, content_type=f"x/{number}")
                else:
                    mine.refresh()
                    assert mine.content_type == f"x/{mine.size}"

        _at_once(work)
        assert bucket.objects.create("a").size in range(3)

    def test_deleting_while_reading(self, bucket: Bucket) -> None:
        content = noise(100_000)

        def work(number: int) -> None:
            mine = bucket.objects.create("a")
            for _ in range(10):
                if number == 0:
                    mine.upload(content)
                elif number == 1:
                    mine.delete()
                else:
                    try:
                        assert mine.content() == content
                    except (ObjectNotFoundError, ObjectChangedError):
                        continue

        _at_once(work)
        assert [each.name for each in bucket.objects] in ([], ["a"])

    def test_one_bucket_is_created_once(self, harness: ProviderHarness, provider: CloudProvider) -> None:
        name = harness.bucket_name()

        def create(_: int) -> bool:
            try:
                provider.storage.buckets.create(name)
            except DuplicateResourceException:
                return False
            return True

        assert sum(_at_once(create)) == 1
        provider.storage.buckets.delete(name)

    def test_siblings_come_and_go(self, bucket: Bucket) -> None:
        # A store on a file system removes directories that became empty, perhaps while another writer enters them.
        def work(number: int) -> None:
            for _ in range(20):
                obj = bucket.objects.create(f"deep/er/{number}").upload(b"1")
                assert obj.content() == b"1"
                obj.delete()

        _at_once(work)
        assert bucket.objects.list() == []

    @needs("shared")
    @pytest.mark.parametrize("method", sorted({"spawn", "fork"} & set(multiprocessing.get_all_start_methods())))
    def test_other_processes_see_the_same(self, provider: CloudProvider, stored: BucketObject, method: str) -> None:
        with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
            assert pool.submit(_in_child, stored).result(timeout=60) == (b"0123456789", provider.PROVIDER_ID)
        assert stored.bucket.objects.create("from the child").content() == b"hello"
        assert stored.content() == b"0123456789"

    @lacks("shared")
    def test_other_providers_of_this_process_see_the_same(self, harness: ProviderHarness, stored: BucketObject) -> None:
        with harness.make_provider() as other:
            bucket = other.storage.buckets.get(stored.bucket.name)
            assert bucket is not None
            assert bucket.objects.create(stored.name).content() == b"0123456789"
