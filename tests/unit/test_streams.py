"""Reading goes on where it broke off, and never hands over wrong bytes as right ones."""

from __future__ import annotations

import io
import itertools
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudbridge_store import TransferConfig, errors
from cloudbridge_store.core.streams import Pace
from cloudbridge_store.testing.faults import Fault

DATA = random.Random(7).randbytes(300_000)
PLACES = [0, 1, 99_999, 100_000, 150_001, 299_999]
RANGES = TransferConfig(threshold=1, part_size=100_000, max_concurrency=3)


def stored(provider, data=DATA):
    return provider.storage.buckets.create("a-bucket").objects.create("key").upload(data)


def broken(at, **more):
    return Fault("get_object", errors.ConnectionFailedError("reset by peer"), at=at, **more)


@pytest.mark.parametrize("at", PLACES)
def test_a_broken_stream_goes_on_where_it_was(faulty, at):
    provider = faulty(broken(at, times=2))
    assert stored(provider).content() == DATA
    assert [fault.consumed for fault in provider.driver.faults] == [2]


@pytest.mark.parametrize("at", PLACES)
def test_a_stream_that_ends_early_is_not_the_end(faulty, at):
    provider = faulty(Fault("get_object", at=at))
    assert b"".join(stored(provider).iter_content(70_000)) == DATA


@pytest.mark.parametrize("at", PLACES)
def test_a_flipped_bit_is_found_before_the_end_is_reported(faulty, at):
    provider = faulty(Fault("get_object", at=at, flip=True, times=99))
    obj = stored(provider)
    with pytest.raises(errors.IntegrityError):
        obj.content()
    got = io.BytesIO()
    with pytest.raises(errors.IntegrityError):
        obj.save_content(got, 100_000)
    assert len(got.getvalue()) < len(DATA)


@pytest.mark.parametrize("config", [None, RANGES], ids=["stream", "ranges"])
@pytest.mark.parametrize("at", [0, 50_000, 99_999])
def test_a_wrong_download_leaves_the_old_file(faulty, tmp_path, at, config):
    provider = faulty(Fault("get_object", at=at, flip=True, times=99))
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(errors.IntegrityError):
        stored(provider).download_to_file(target, config)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("at", [0, 1, 99_999])
def test_parallel_ranges_resume_too(faulty, tmp_path, at):
    provider = faulty(broken(at, times=3, skip=1))
    stored(provider).download_to_file(tmp_path / "file", RANGES)
    assert (tmp_path / "file").read_bytes() == DATA
    assert provider.driver.faults[0].consumed == 3


def test_it_gives_up_where_nothing_comes_any_more(faulty):
    # Each attempt that brings bytes starts the count afresh.
    provider = faulty(broken(10), broken(0, times=99), retry_attempts=3)
    with pytest.raises(errors.ConnectionFailedError) as caught:
        stored(provider, b"0123456789" * 100).content()
    assert (caught.value.bucket, caught.value.key, caught.value.attempts) == ("a-bucket", "key", 3)
    assert provider.driver.calls.count("get_object") == 3


def replaced(provider, data=b"other"):
    return lambda: provider.storage.buckets.get("a-bucket").objects.create("key").upload(data)


def test_an_object_replaced_in_the_middle_is_never_mixed(faulty):
    provider = faulty()
    obj = stored(provider)
    provider.driver.faults += [broken(1000), Fault("get_object", before=replaced(provider))]
    with pytest.raises(errors.ObjectChangedError):
        obj.content()


def test_an_object_deleted_in_the_middle_is_a_change(faulty):
    provider = faulty()
    obj = stored(provider)
    provider.driver.faults += [broken(1000), Fault("get_object", before=obj.delete)]
    with pytest.raises(errors.ObjectChangedError):
        obj.content()


def test_parallel_ranges_of_a_replaced_object_are_never_mixed(faulty, tmp_path):
    provider = faulty()
    obj = stored(provider)
    provider.driver.faults.append(Fault("get_object", skip=1, before=replaced(provider)))
    with pytest.raises(errors.ObjectChangedError):
        obj.download_to_file(tmp_path / "file", RANGES)
    assert list(tmp_path.iterdir()) == []


def test_an_open_file_notices_that_its_object_was_replaced(faulty):
    obj = stored(faulty())
    with obj.open() as file:
        assert file.read(10) == DATA[:10]
        obj.upload(b"x" * 300_000)
        file.seek(200_000)
        with pytest.raises(errors.ObjectChangedError):
            file.read(10)


def test_an_answer_with_another_range_is_refused(faulty):
    provider = faulty()
    obj = stored(provider)
    inner = provider.driver._inner
    original = inner.get_object
    from dataclasses import replace

    inner.get_object = lambda bucket, key, options: replace(original(bucket, key, options), start=0)
    try:
        with pytest.raises(errors.IntegrityError, match="asked for 10 bytes from 5"):
            obj.read_range(5, 10)
    finally:
        del inner.get_object


def test_seeking_costs_what_is_read(faulty):
    provider = faulty()
    obj = stored(provider)
    provider.driver.calls.clear()
    with obj.open(buffer_size=1000) as file:
        for position in (200_000, 5, 299_000):
            file.seek(position)
            assert file.read(1000) == DATA[position : position + 1000]
    assert provider.driver.calls == ["head_object", *["get_object"] * 3]


def test_a_scan_asks_for_ever_larger_ranges(faulty):
    provider = faulty()
    obj = stored(provider)
    provider.driver.calls.clear()
    with obj.open(buffer_size=1000) as file:
        assert b"".join(iter(lambda: file.read(1000), b"")) == DATA
    assert provider.driver.calls.count("get_object") < 12


@given(st.lists(st.tuples(st.integers(0, 1100), st.integers(-1, 1100)), max_size=12))
def test_an_open_file_reads_like_a_file(steps):
    from cloudbridge_store import CloudProviderFactory

    data = bytes(range(256)) * 4
    with CloudProviderFactory().create_provider("memory", {}) as provider:
        obj = provider.storage.buckets.create("a-bucket").objects.create("k").upload(data)
        model = io.BytesIO(data)
        with obj.open(buffer_size=64) as file:
            for position, size in steps:
                assert file.seek(position) == model.seek(position)
                assert file.read(size) == model.read(size)
                assert file.tell() == model.tell()


def test_a_stall_is_noticed_by_what_came_while_somebody_waited():
    pace = Pace(30)
    for _ in range(100):
        pace.count(1024, 0.9)  # slow, and steady
        pace.refuse_stall()
    pace = Pace(30)
    for _ in range(29):
        pace.count(1, 1.0)
        pace.refuse_stall()
    pace.count(1, 1.0)
    with pytest.raises(errors.OperationTimeoutError, match="only 30 bytes came in 30 s"):
        pace.refuse_stall()


def test_an_answer_that_drips_is_asked_for_anew_and_given_up(faulty, monkeypatch):
    """Each connection gives one byte every ten seconds, by a clock of the test's own."""
    provider = faulty(retry_attempts=3)
    bucket = provider.storage.buckets.create("a-bucket")
    obj = bucket.objects.create("a").upload(bytes(1000))
    clock = itertools.count(0, 10)
    monkeypatch.setattr("cloudbridge_store.core.streams.time", SimpleNamespace(monotonic=lambda: next(clock)))
    get = provider.driver._inner.get_object

    def drip(*given):
        download = get(*given)
        return replace(download, stream=OneByteAtATime(download.stream))

    provider.driver._inner.get_object = drip
    with pytest.raises(errors.OperationTimeoutError) as caught:
        obj.content()
    assert caught.value.attempts == 3
    assert provider.driver.calls.count("get_object") == 3


class OneByteAtATime:
    def __init__(self, stream):
        self.stream = stream

    def readinto(self, buffer):
        return self.stream.readinto(buffer[:1])

    def read(self, size):
        return self.stream.read(min(size, 1))

    def close(self):
        self.stream.close()


def test_a_page_that_comes_twice_is_no_part_of_a_listing(faulty):
    provider = faulty()
    bucket = provider.storage.buckets.create("a-bucket")
    bucket.objects.upload_many({f"{number}": b"" for number in range(5)})
    inner = provider.driver._inner.list_objects
    numbers = itertools.count()

    def again(bucket, **given):
        page = inner(bucket, **{**given, "token": None})
        return replace(page, token=f"token {next(numbers)}")

    provider.driver._inner.list_objects = again
    with pytest.raises(errors.ProviderInternalException, match="came twice"):
        list(bucket.objects.iter(limit=2))
