"""The pipe: what is repeated, how long it waits, what a failure says."""

from __future__ import annotations

import logging
import os
import pickle
import weakref

import pytest

from cloudbridge_store import RetryConfig, errors
from cloudbridge_store.config import Settings
from cloudbridge_store.core.operations import OPERATIONS
from cloudbridge_store.core.session import Session
from cloudbridge_store.drivers.base import Driver, Failure
from cloudbridge_store.drivers.memory import MemoryDriver
from cloudbridge_store.testing.faults import Fault


def bucket_of(provider):
    return provider.storage.buckets.create("a-bucket")


def test_every_method_of_the_contract_is_known_to_the_session():
    methods = {name for name in vars(Driver) if not name.startswith("_")}
    not_operations = {
        "name",
        "bucket_name",
        "object_key",
        "config_keys",
        "capabilities",
        "connect",
        "native",
        "classify",
        "close",
        "part_etag",
        "refuse_key",
        "renew",
        "take_step",
    }
    assert methods - not_operations == set(OPERATIONS)


@pytest.mark.parametrize("error", [errors.ServiceUnavailableError, errors.ConnectionFailedError, errors.ThrottledError])
def test_what_may_pass_is_tried_again(faulty, error):
    provider = faulty(Fault("head_object", error("later"), times=2))
    bucket = bucket_of(provider)
    bucket.objects.create("a").upload(b"1")
    assert bucket.objects.get("a").size == 1
    assert provider.driver.calls.count("head_object") == 3
    assert len(provider.waits) == 2


@pytest.mark.parametrize(
    "error", [errors.PermissionDeniedError, errors.ProviderInternalException, errors.IntegrityError]
)
def test_what_cannot_pass_is_not_tried_again(faulty, error):
    provider = faulty(Fault("head_object", error("no"), times=9))
    with pytest.raises(error):
        bucket_of(provider).objects.get("a")
    assert provider.driver.calls.count("head_object") == 1
    assert provider.waits == []


def test_it_gives_up_after_the_configured_attempts_and_says_so(faulty):
    provider = faulty(Fault("head_object", errors.ServiceUnavailableError("down"), times=99), retry_attempts=4)
    with pytest.raises(errors.ServiceUnavailableError) as caught:
        bucket_of(provider).objects.get("some/key")
    error = caught.value
    assert provider.driver.calls.count("head_object") == 4
    assert (error.provider, error.operation, error.bucket, error.key) == (
        "faulty",
        "head_object",
        "a-bucket",
        "some/key",
    )
    assert error.attempts == 4
    assert str(error) == "faulty head_object a-bucket/some/key: down (attempts 4)"


def test_a_bug_passes_as_it_is(faulty):
    provider = faulty(Fault("head_object", ZeroDivisionError("oops")))
    with pytest.raises(ZeroDivisionError):
        bucket_of(provider).objects.get("a")


def test_a_delay_is_waited_for_and_counted(faulty):
    events, slept = [], []
    provider = faulty(Fault("head_object", delay=1.5), on_event=events.append)
    provider.driver.sleep = slept.append
    bucket_of(provider).objects.create("a").upload(b"1").refresh()
    assert (slept, events[-1].operation, events[-1].attempts) == ([1.5], "head_object", 1)


def test_an_unconditional_put_is_repeated(faulty):
    provider = faulty(Fault("put_object", errors.ConnectionFailedError("reset"), executed=True))
    obj = bucket_of(provider).objects.create("a").upload(b"whole")
    assert obj.content() == b"whole"


def test_a_throttled_conditional_put_was_not_carried_out_and_is_repeated(faulty):
    provider = faulty(Fault("put_object", errors.ThrottledError("slow down")))
    bucket_of(provider).objects.create("a").upload(b"1", if_none_match="*")
    assert provider.driver.calls.count("put_object") == 2


def test_waits_grow_stay_within_their_bounds_and_are_spread(faulty):
    provider = faulty()
    plain, throttled = errors.ServiceUnavailableError(""), errors.ThrottledError("")
    for attempt, longest in [(1, 0.2), (2, 0.4), (5, 3.2), (20, 20)]:
        drawn = [provider.session.backoff(attempt, plain) for _ in range(200)]
        assert all(0 <= wait <= longest for wait in drawn)
        assert max(drawn) > longest / 2 > min(drawn)
    assert max(provider.session.backoff(1, throttled) for _ in range(200)) > 0.5


@pytest.mark.parametrize(("asked", "waited"), [(7.0, 7.0), (86_400.0, 60.0)])
def test_retry_after_is_honoured_within_reason(faulty, asked, waited):
    provider = faulty(Fault("head_object", errors.ThrottledError("wait", retry_after=asked)), deadline=120)
    assert bucket_of(provider).objects.get("a") is None
    assert provider.waits == [waited]


def test_no_wait_goes_beyond_the_deadline(faulty):
    provider = faulty(Fault("head_object", errors.ThrottledError("wait", retry_after=30), times=9), deadline=10)
    with pytest.raises(errors.ThrottledError):
        bucket_of(provider).objects.get("a")
    assert provider.waits == []


def test_an_outage_is_not_answered_with_a_storm(faulty):
    provider = faulty(Fault("head_object", errors.ServiceUnavailableError("down"), times=10_000))
    bucket = bucket_of(provider)
    for _ in range(100):
        with pytest.raises(errors.ServiceUnavailableError):
            bucket.objects.get("a")
    # 100 calls and the budget's 100 retries, not 600 attempts.
    assert provider.driver.calls.count("head_object") == 200


def test_successes_earn_retries_back(faulty):
    provider = faulty()
    provider.session._budget = 0.0
    bucket = bucket_of(provider)
    for _ in range(30):
        bucket.objects.get("a")
    provider.driver.faults.append(Fault("list_objects", errors.ServiceUnavailableError("once")))
    assert bucket.objects.list() == []


def test_events_tell_what_happened(faulty):
    seen = []
    provider = faulty(Fault("put_object", errors.ThrottledError("slow down")), on_event=seen.append)
    bucket = bucket_of(provider)
    bucket.objects.create("k").upload(b"12345")
    put = seen[-1]
    assert (put.operation, put.bucket, put.key, put.bytes, put.attempts, put.error) == (
        "put_object",
        "a-bucket",
        "k",
        5,
        2,
        None,
    )
    assert put.seconds >= 0
    with pytest.raises(errors.NotFoundError):
        bucket.objects.create("missing").refresh()
    assert isinstance(seen[-1].error, errors.NotFoundError)


def test_debug_log_names_every_operation(faulty, caplog):
    provider = faulty()
    with caplog.at_level(logging.DEBUG, "cloudbridge_store"):
        bucket_of(provider).objects.create("k").upload(b"12345")
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "faulty create_bucket a-bucket/None",
        "faulty put_object a-bucket/k",
    ]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, True),
        (errors.PermissionDeniedError("may not list"), True),
        (errors.AuthenticationError("who?"), errors.AuthenticationError),
        (errors.ConnectionFailedError("no route"), errors.ConnectionFailedError),
        (errors.ProviderInternalException("html"), errors.ProviderConnectionException),
    ],
)
def test_authentication_is_about_who_we_are(faulty, error, outcome):
    provider = faulty(*([] if error is None else [Fault("authenticate", error, times=9)]))
    if outcome is True:
        assert provider.authenticate() is True
        return
    with pytest.raises(outcome) as caught:
        provider.authenticate()
    assert caught.value.operation == "authenticate"


def test_what_the_sdk_raises_is_wrapped_with_its_meaning(faulty, monkeypatch):
    provider = faulty(Fault("head_object", OSError(5, "disk on fire")))
    known = {"status": 507, "code": "EIO", "request_id": "r-1", "hint": "Check the disk"}
    meaning = Failure(errors.QuotaExceededError, reason="no room", **known)
    monkeypatch.setattr(provider.driver, "classify", lambda error: meaning)
    with pytest.raises(errors.QuotaExceededError) as caught:
        bucket_of(provider).objects.get("k")
    assert {name: getattr(caught.value, name) for name in known} == known
    assert isinstance(caught.value.__cause__, OSError)
    assert "no room (status 507, code EIO, request r-1). Check the disk" in str(caught.value)


def test_a_closed_provider_says_so(faulty):
    provider = faulty()
    bucket = bucket_of(provider)
    provider.close()
    with pytest.raises(errors.ProviderClosedError, match="closed"):
        bucket.objects.list()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_forked_child_makes_its_own_driver(faulty):
    provider = faulty()
    before = provider.session.driver
    made = []
    provider.session._connect = lambda: made.append(os.getpid()) or before
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _ = provider.session.driver
        os.write(writer, pickle.dumps(made == [os.getpid()]))
        os._exit(0)
    os.waitpid(child, 0)
    assert pickle.loads(os.read(reader, 100)) is True
    assert made == []
    os.close(reader)
    os.close(writer)


# Operations of many requests


class Request:
    """One of many, which fails some times."""

    def __init__(self, *failures):
        self.left, self.made = list(failures), 0

    def __call__(self):
        self.made += 1
        if self.left:
            raise self.left.pop(0)
        return "answer"


def busy():
    return errors.ServiceUnavailableError("busy")


def test_one_of_many_requests_is_repeated_by_itself(faulty):
    provider = faulty()
    request = Request(busy(), errors.ConnectionFailedError("reset"))
    assert provider.session.step(request) == "answer"
    assert (request.made, len(provider.waits)) == (3, 2)


def test_what_is_final_of_one_of_many_passes_as_it_is(faulty):
    provider = faulty()
    refused, bug = errors.PermissionDeniedError("no"), ZeroDivisionError()
    for final in (refused, bug):
        request = Request(busy(), final)
        with pytest.raises(type(final)) as caught:
            provider.session.step(request)
        assert caught.value is final
        assert request.made == 2
    assert (refused.attempts, refused.operation) == (1, None)


def test_an_operation_is_not_repeated_for_what_was_repeated_by_itself(faulty):
    provider = faulty(retry_attempts=3)
    request, begun = Request(*(busy() for _ in range(9))), []

    def copy_object(*arguments):
        begun.append(arguments)
        return provider.session.step(request)

    with pytest.raises(errors.ServiceUnavailableError) as caught:
        provider.session.call(copy_object, "a-bucket", "a", "a-bucket", "b", None)
    failure = caught.value
    assert (len(begun), request.made) == (1, 3)
    assert (failure.operation, failure.bucket, failure.key) == ("copy_object", "a-bucket", "a")
    assert (failure.attempts, failure.outcome) == (3, "not_applied")
    # The next one is repeated again.
    provider.session.step(Request(busy()))


def test_steps_take_from_the_budget_of_retries(faulty):
    provider = faulty(retry=RetryConfig(attempts=100, budget=5))
    request = Request(*(busy() for _ in range(99)))
    with pytest.raises(errors.ServiceUnavailableError):
        provider.session.step(request)
    assert request.made == 6


def test_a_driver_does_not_keep_its_session():
    class Keeping(MemoryDriver):
        def take_step(self, step):
            self.step = step

    driver = Keeping.connect({}, Settings())
    session = Session("keeping", lambda: driver, Settings())
    assert session.driver.step(Request()) == "answer"
    there = weakref.ref(session)
    del session
    assert there() is None
    with pytest.raises(errors.ServiceUnavailableError):
        driver.step(Request(busy()))
