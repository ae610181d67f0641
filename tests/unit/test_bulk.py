"""Many objects at once: batches, and what is said of those that failed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloudbridge_store import errors
from cloudbridge_store.core.bulk import delete_keys
from cloudbridge_store.testing.faults import Fault


@pytest.fixture
def full(faulty):
    """A bucket of 250 objects in a provider whose batches hold 100, or that has none."""

    def make(*faults, batch=100):
        provider = faulty(*faults)
        provider.driver.capabilities = replace(provider.capabilities, batch_delete=batch)
        bucket = provider.storage.buckets.create("a-bucket")
        bucket.objects.upload_many({f"{number:03}": b"" for number in range(250)})
        return bucket

    return make


def test_batches_are_full(full):
    bucket = full()
    assert bucket.objects.delete_many(bucket.objects) == 250
    assert bucket.provider.driver.calls.count("delete_objects") == 3
    assert bucket.objects.list() == []


def test_without_batches_each_is_deleted(full):
    bucket = full(batch=0)
    assert bucket.objects.delete_many(f"{number:03}" for number in range(260)) == 260
    assert bucket.provider.driver.calls.count("delete_object") == 260
    assert bucket.objects.list() == []


def test_one_that_is_refused_is_named_and_the_others_go(full):
    bucket = full(Fault("delete_object", errors.PermissionDeniedError("locked")), batch=0)
    with pytest.raises(errors.TransferError, match="1 of 250 objects could not be deleted") as caught:
        bucket.delete(delete_contents=True)
    ((key, error),) = caught.value.failures.items()
    assert [obj.name for obj in bucket.objects] == [key]
    assert (type(error), error.bucket, error.key) == (errors.PermissionDeniedError, "a-bucket", key)


def test_what_a_batch_refuses_is_wrapped(full):
    bucket = full()
    session = bucket.provider.session
    answers = {"007": errors.PermissionDeniedError("locked")}
    session.driver._inner.delete_objects = lambda _, keys: {key: answers[key] for key in keys if key in answers}
    with pytest.raises(errors.TransferError) as caught:
        delete_keys(session, "a-bucket", ["006", "007"])
    error = caught.value.failures["007"]
    assert (error.provider, error.operation, error.bucket, error.key) == ("faulty", "delete_objects", "a-bucket", "007")
    del session.driver._inner.delete_objects


@pytest.mark.parametrize("batch", [0, 100])
def test_a_missing_bucket_is_one_error_not_many(full, batch):
    provider = full(batch=batch).provider
    with pytest.raises(errors.BucketNotFoundError):
        delete_keys(provider.session, "no-bucket", ["a", "b"])


def test_many_uploads_come_back_in_the_order_of_their_names(faulty):
    bucket = faulty().storage.buckets.create("a-bucket")
    names = [obj.name for obj in bucket.objects.upload_many((("c", "3"), ("a", "1"), ("b", "2")), metadata={"x": "y"})]
    assert names == ["a", "b", "c"]
    assert bucket.objects.get("b").metadata == {"x": "y"}
    with pytest.raises(errors.InvalidLabelException):
        bucket.objects.upload_many({"..": b""})
    with pytest.raises(errors.InvalidValueException):
        bucket.objects.upload_many({}, max_workers=0)


@pytest.mark.parametrize(
    "passing", [errors.ThrottledError, errors.ServiceUnavailableError, errors.CredentialsExpiredError]
)
def test_what_a_batch_refuses_for_a_moment_is_tried_again(full, passing):
    bucket = full()
    session = bucket.provider.session
    inner = session.driver._inner
    whole = inner.delete_objects

    def refuse_two(name, keys):
        whole(name, [key for key in keys if key not in ("007", "008")])
        answers = {"007": passing("later"), "008": errors.PermissionDeniedError("locked")}
        return {key: answers[key] for key in keys if key in answers}

    inner.delete_objects = refuse_two
    with pytest.raises(errors.TransferError) as caught:
        delete_keys(session, "a-bucket", ["006", "007", "008"])
    assert caught.value.failures.keys() == {"008"}
    del inner.delete_objects
    assert {"006", "007", "008"} & {obj.name for obj in bucket.objects} == {"008"}
