"""Answers that say less, or something else, than their status: batches, manifests, services of old."""

import hashlib
import json
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("keystoneauth1")

from cloudbridge_store import errors
from cloudbridge_store.drivers.base import PutOptions, ReadOptions, SignOptions
from cloudbridge_store.drivers.openstack.segments import Segment
from cloudbridge_store.drivers.openstack.uploads import put_manifest

ALL_DELETED = {"Response Status": "200 OK", "Number Deleted": 3, "Number Not Found": 0, "Errors": []}


def batches(found):
    """Return the answers of a service whose batches of deletions end so."""

    def answer(asked):
        if asked.method == "POST":
            return 200, {"Content-Type": "application/json"}, json.dumps({**ALL_DELETED, **found}).encode()
        return (404 if asked.path.endswith("_segments") else 204), {}, b""

    return answer


def test_a_batch_tells_what_was_refused(make, swift):
    found = {"Response Status": "400 Bad Request", "Number Deleted": 2, "Errors": [["/abc/%C3%BC", "403 Forbidden"]]}
    service = swift(batches(found), bulk_delete={})
    refused = make(**service.config).session.driver.delete_objects("abc", ["a", "ü", "c"])
    assert {key: type(error) for key, error in refused.items()} == {"ü": errors.PermissionDeniedError}


@pytest.mark.parametrize(
    ("status", "kind"),
    [("500 Internal Error", errors.ServiceUnavailableError), ("401 Unauthorized", errors.AuthenticationError)],
)
def test_a_batch_that_ended_before_its_time_is_no_success(make, swift, status, kind):
    found = {"Response Status": status, "Number Deleted": 1, "Errors": [["/abc/b", "403 Forbidden"]]}
    service = swift(batches(found), bulk_delete={})
    driver = make(**service.config).session.driver
    with pytest.raises(Exception) as caught:
        driver.delete_objects("abc", ["a", "b", "c"])
    assert driver.classify(caught.value).error is kind


def test_a_token_that_ends_in_the_middle_of_a_batch(make, swift):
    found = {"Response Status": "400 Bad Request", "Number Deleted": 1}
    found["Errors"] = [["/abc/b", "401 Unauthorized"], ["/abc/c", "403 Forbidden"]]
    service = swift(batches(found), bulk_delete={})
    refused = make(**service.config).session.driver.delete_objects("abc", ["a", "b", "c"])
    assert {key: type(error) for key, error in refused.items()} == {"c": errors.PermissionDeniedError}
    assert [asked.path for asked in service.asked if asked.method == "DELETE"] == ["/v1/AUTH_a/abc/b"]


def emptied(refusals):
    """Return the answers of a service that refuses to delete a container as often, though it lists no objects in it."""

    def answer(asked):
        if asked.method == "DELETE" and refusals:
            refusals.pop()
            return 409, {}, b"<html><h1>Conflict</h1></html>"
        if asked.path.partition("?")[0].endswith("_segments"):
            return 404, {}, b""
        return (200, {}, b"[]") if asked.method == "GET" else (204, {}, b"")

    return answer


def test_a_container_that_some_servers_take_for_full_is_asked_about_again(make, swift):
    make(**swift(emptied([1]), bulk_delete={}).config).storage.buckets.get("abc").delete(delete_contents=True)


def test_a_container_that_stays_full_is_said_to_be(make, swift):
    bucket = make(**swift(emptied([1] * 9), bulk_delete={}).config).storage.buckets.get("abc")
    # Not that this service keeps no versions, which is asked next.
    with pytest.raises(errors.BucketNotEmptyError, match="not all of the service's servers know that yet"):
        bucket.delete(delete_contents=True)


SEGMENTS = [Segment("abc_segments", f"s/{number}", "0" * 32, 1) for number in range(101)]
EXPECTED = hashlib.md5(("0" * 32 * 101).encode()).hexdigest()
LATE = {"Response Status": "201 Created", "Etag": f'"{EXPECTED}"', "Errors": []}


SIGNS_OF_LIFE = {"slo": {"yield_frequency": 10}}


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [(202, {}, b"  \r\n\r\n" + json.dumps(LATE).encode()), (201, {"ETag": f'"{EXPECTED}"'}, b"")],
    ids=["a sign of life", "older than these"],
)
def test_a_long_manifest(make, swift, status, headers, body):
    service = swift(lambda asked: (status, headers, body), **SIGNS_OF_LIFE)
    driver = make(**service.config).session.driver
    assert put_manifest(driver._service, "abc", "a", SEGMENTS, PutOptions()).etag == EXPECTED
    assert "heartbeat=on" in service.asked[-1].path


def test_a_long_manifest_that_is_refused_late(make, swift):
    late = {**LATE, "Response Status": "400 Bad Request", "Errors": [["s/1", "404 Not Found"]]}
    service = swift(lambda asked: (202, {}, b"   " + json.dumps(late).encode()), **SIGNS_OF_LIFE)
    driver = make(**service.config).session.driver
    with pytest.raises(errors.InvalidRequestError, match="s/1"):
        put_manifest(driver._service, "abc", "a", SEGMENTS, PutOptions())


@pytest.mark.parametrize("body", [b"   ", b"[]", b"{}"])
def test_a_long_manifest_whose_answer_is_none(make, swift, body):
    service = swift(lambda asked: (202, {}, body), **SIGNS_OF_LIFE)
    driver = make(**service.config).session.driver
    with pytest.raises(errors.ForeignAnswerError):
        put_manifest(driver._service, "abc", "a", SEGMENTS, PutOptions())


@pytest.mark.parametrize(
    ("preset", "digits"), [("any", 64), ("ovh", 64), ("rackspace", 40), ("memset", 40), ("ktucloud", 40)]
)
def test_urls_of_a_service_that_does_not_say_what_it_can(make, swift, preset, digits):
    service = swift(lambda asked: (204, {}, b""))
    driver = make(**service.config, os_preset=preset, os_temp_url_key="key").session.driver
    [signature] = parse_qs(urlsplit(driver.sign_url("abc", "a", "GET", 60, SignOptions()).url).query)["temp_url_sig"]
    assert len(signature) == digits


@pytest.mark.parametrize("limit", [5, 10_000])
def test_pages_are_no_longer_than_the_service_gives(make, swift, limit):
    limits = {"account_listing_limit": 2000, "container_listing_limit": 3000}
    service = swift(lambda asked: (200, {}, b"[]"), swift=limits)
    driver = make(**service.config).session.driver
    assert (driver.list_buckets(limit=limit).items, driver.list_objects("abc", limit=limit).items) == ([], [])
    asked = [parse_qs(urlsplit(each.path).query).get("limit") for each in service.asked if each.path != "/info"]
    assert asked == [[str(min(limit, most))] for most in limits.values()]


@pytest.mark.parametrize("headers", [{"Content-Length": "many"}, {"Last-Modified": "soon"}, {"Last-Modified": None}])
@pytest.mark.parametrize("method", ["head_object", "get_object"])
def test_headers_that_mean_nothing(make, swift, method, headers):
    described = {"ETag": "0", "Last-Modified": "Fri, 20 Nov 2026 10:00:00 GMT", "Connection": "close"}
    session = make(**swift(lambda asked: (200, {**described, **headers}, b"")).config).session
    given = (ReadOptions(),) if method == "get_object" else ()
    with pytest.raises(errors.ForeignAnswerError):
        session.call(getattr(session.driver, method), "box", "a", *given)


@pytest.mark.parametrize(
    "entry",
    [
        "a",
        {},
        {"name": 1},
        {"name": "a"},
        {"name": "a", "bytes": "many", "hash": "0", "last_modified": "2026-01-01T00:00:00"},
        {"name": "a", "bytes": 1, "hash": "0", "last_modified": "soon"},
    ],
    ids=str,
)
def test_listings_that_mean_nothing(make, swift, entry):
    driver = make(**swift(lambda asked: (200, {}, json.dumps([entry]).encode())).config).session.driver
    with pytest.raises(errors.ForeignAnswerError):
        driver.list_objects("box")
