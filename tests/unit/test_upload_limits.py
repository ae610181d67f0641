"""Uploads to a service that tells other limits than its driver's capabilities."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from cloudbridge_store import TransferConfig, errors
from cloudbridge_store.core.multipart import Cut, growing_part_sizes
from cloudbridge_store.testing.faults import Fault

MiB = 2**20
DATA = random.Random(3).randbytes(11 * MiB + 17)
PARTS = TransferConfig(threshold=MiB, part_size=5 * MiB, max_concurrency=2)


def target(provider):
    return provider.storage.buckets.create("a-bucket").objects.create("key")


def limited(faulty, **changes):
    """Return a provider whose service tells other limits than its driver's capabilities."""
    provider = faulty()
    inner = provider.driver._inner
    told = inner.upload_limits()._replace(**changes)
    inner.upload_limits = lambda: told
    return provider


def test_few_parts_grow_faster(faulty):
    provider = limited(faulty, max_parts=1000)
    sizes = growing_part_sizes(provider.session, Cut(100 * MiB, 16 * MiB, 5))
    assert sum(next(sizes) for _ in range(1000)) > 2**40


def test_what_the_service_permits_counts_and_not_what_is_documented(faulty):
    provider = limited(faulty, min_part=6 * MiB, max_parts=2)
    obj = target(provider)
    with pytest.raises(errors.InvalidValueException, match=f"bytes from {6 * MiB}"):
        obj.upload(DATA, PARTS)
    with pytest.raises(errors.InvalidValueException, match="at most 2"):
        obj.create_multipart_upload().upload_part(3, b"")
    assert obj.upload(DATA, replace(PARTS, part_size=6 * MiB)).content() == DATA
    provider.driver.calls.clear()
    # Two parts of 6 MiB hold less.
    more = DATA + bytes(2 * MiB)
    assert obj.upload(more, replace(PARTS, part_size=6 * MiB)).content() == more
    assert provider.driver.calls.count("upload_part") == 2


@pytest.mark.parametrize("way", ["bytes", "pieces", "writer"])
@pytest.mark.parametrize(
    ("limits", "parts"),
    [({"min_part": 20 * MiB}, 3), ({"max_part": 7 * MiB, "max_put": 7 * MiB}, 8), ({"max_part": 5 * MiB}, 11)],
)
def test_parts_that_nobody_asked_for_are_fitted_to_the_service(faulty, way, limits, parts):
    provider = limited(faulty, **limits)
    data = (DATA * 5)[: 51 * MiB]
    obj = target(provider)
    if way == "writer":
        with obj.open("wb") as file:
            for start in range(0, len(data), 3 * MiB):
                file.write(data[start : start + 3 * MiB])
    else:
        pieces = (data[start : start + 3 * MiB] for start in range(0, len(data), 3 * MiB))
        obj.upload(data if way == "bytes" else pieces, TransferConfig(threshold=MiB))
    assert obj.content() == data
    assert provider.driver.calls.count("upload_part") == parts
    assert provider.driver.calls.count("upload_limits") == 1


def test_a_writer_that_needs_no_second_part_stores_in_one_request(faulty):
    provider = limited(faulty, min_part=20 * MiB)
    obj = target(provider)
    with obj.open("wb") as file:
        file.write(DATA)
        file.write(DATA[: 7 * MiB])
    assert obj.content() == DATA + DATA[: 7 * MiB]
    assert provider.driver.calls.count("put_object") == 1
    assert "start_upload" not in provider.driver.calls


@pytest.mark.parametrize("way", ["bytes", "pieces", "writer", "directory"])
def test_what_is_small_asks_for_no_limits(faulty, tmp_path, way):
    provider = limited(faulty)
    obj = target(provider)
    if way == "writer":
        with obj.open("wb") as file:
            file.write(bytes(16 * MiB))
    elif way == "directory":
        (tmp_path / "file").write_bytes(DATA)
        assert obj.bucket.upload_directory(tmp_path).ok
    else:
        obj.upload(DATA if way == "bytes" else (bytes(MiB) for _ in range(16)))
    assert "upload_limits" not in provider.driver.calls
    assert provider.driver.calls.count("put_object") == 1


def test_one_request_carries_what_the_service_permits(faulty):
    # Whoever sets a threshold beyond what the service takes at once, gets parts.
    provider = limited(faulty, max_put=10 * MiB, max_part=10 * MiB)
    provider.driver.capabilities = replace(provider.capabilities, multipart_threshold=8 * MiB)
    obj = target(provider)
    assert obj.upload(DATA, TransferConfig(threshold=2**40, part_size=6 * MiB)).content() == DATA
    assert provider.driver.calls.count("upload_part") == 2
    assert "put_object" not in provider.driver.calls
    # And one request, where it takes more than is documented.
    provider = limited(faulty, max_put=2**40)
    provider.driver.capabilities = replace(provider.capabilities, max_put=10 * MiB)
    assert target(provider).upload(DATA).size == len(DATA)
    assert provider.driver.calls.count("put_object") == 1


def test_limits_are_asked_for_like_everything_else(faulty):
    seen = []
    refusal = Fault("upload_limits", errors.ServiceUnavailableError("later"))
    provider = faulty(refusal, on_event=lambda event: seen.append((event.operation, event.bucket, event.attempts)))
    obj = target(provider)
    obj.upload(DATA, PARTS)
    obj.upload(DATA, PARTS)
    assert [each for each in seen if each[0] == "upload_limits"] == [("upload_limits", None, 2)]
    provider = faulty(Fault("upload_limits", errors.PermissionDeniedError("no")))
    with pytest.raises(errors.PermissionDeniedError):
        target(provider).upload(DATA, PARTS)
    assert "start_upload" not in provider.driver.calls


def test_what_fits_in_no_request_and_comes_in_no_parts_is_refused(faulty):
    provider = limited(faulty, max_put=1000)
    provider.driver.capabilities = replace(provider.capabilities, max_put=1000, multipart=False, list_uploads=False)
    with pytest.raises(errors.UnsupportedOperationError, match="1000"):
        target(provider).upload(DATA)


@pytest.mark.parametrize("way", ["pieces", "writer"])
def test_what_fits_in_one_part_and_not_in_one_request_comes_in_parts(faulty, way):
    provider = limited(faulty, max_put=10 * MiB)
    provider.driver.capabilities = replace(provider.capabilities, multipart_threshold=8 * MiB)
    obj = target(provider)
    if way == "pieces":
        obj.upload(iter([DATA]), TransferConfig(part_size=12 * MiB))
    else:
        provider.session.settings = replace(provider.session.settings, transfer=TransferConfig(part_size=12 * MiB))
        with obj.open("wb") as file:
            file.write(DATA)
    assert obj.content() == DATA
    assert provider.driver.calls.count("upload_part") == 1
    assert "put_object" not in provider.driver.calls


@pytest.mark.parametrize("way", ["pieces", "writer"])
def test_a_part_size_beyond_the_service_is_refused_before_memory_is_filled_with_it(faulty, way):
    provider = faulty()
    wrong = TransferConfig(part_size=provider.capabilities.max_part + 1)
    provider.session.settings = replace(provider.session.settings, transfer=wrong)
    obj = target(provider)
    pieces = iter([b"1", b"2"])
    with pytest.raises(errors.InvalidValueException, match="part_size"):
        obj.open("wb") if way == "writer" else obj.upload(pieces)
    assert next(pieces) == b"1"
