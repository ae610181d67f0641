"""Large objects in one sequence: what is on the wire, and what becomes of uploads that break off."""

import base64
import json
import logging
import os
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import google_crc32c
import pytest

from cloudbridge_store import Encryption, errors
from cloudbridge_store.config import Settings
from cloudbridge_store.core.session import Session
from cloudbridge_store.core.source import BytesBody
from cloudbridge_store.drivers.base import Body, PutOptions
from cloudbridge_store.drivers.gcp.errors import failure_of

KiB = 2**10
DATA = os.urandom(700 * KiB)
LAST = len(DATA) - 1
ONLY_NEW = PutOptions("x/y", {"cache_control": "no-store"}, {"m": "ü"}, if_none_match="*")
JSON = {"Content-Type": "application/json"}
BEGUN = (200, {"Location": "https://elsewhere.example/upload/b/o?uploadType=resumable&upload_id=the-id"}, b"")
STORED = (200, JSON, b'{"generation": "17", "crc32c": "AAAAAA=="}')
NOTHING = (308, {}, b"")
QUARTER = (308, {"Range": f"bytes=0-{256 * KiB - 1}"}, b"")
HALF = (308, {"Range": f"bytes=0-{512 * KiB - 1}"}, b"")
BUSY = (503, JSON, b'{"error": {"code": 503, "message": "backendError"}}')
MISSING = (404, JSON, b'{"error": {"code": 404, "message": "No such object: a", "errors": [{"reason": "notFound"}]}}')
HUNG_UP = None


class Shrunk(Body):
    """Has fewer bytes than it was said to have, once it was read for its checksum."""

    size = len(DATA)

    def __init__(self):
        self.opened = 0

    def open(self):
        self.opened += 1
        return BytesBody(DATA if self.opened == 1 else DATA[:-1]).open()


@pytest.fixture
def begin(talk):
    """Return a driver for which everything is large, and the server that answers it from a list."""

    def make(*answers):
        left = list(answers)
        driver, script = talk(lambda asked: left.pop(0))
        driver.capabilities = replace(driver.capabilities, multipart_threshold=1)
        return driver, script

    return make


def put(driver, body, options=ONLY_NEW):
    return driver.put_object("some-bucket", "a/ü?", body, options)


def said(asked):
    """Return what requests were, but for the one that began the upload."""
    return [(each.method, each.headers.get("content-range"), len(each.body)) for each in asked[1:]]


def test_what_is_sent(begin):
    driver, script = begin(BEGUN, STORED)
    stored = put(driver, BytesBody(DATA))
    assert (stored.etag, stored.checksums) == ("17", {"crc32c": "00000000"})
    first, second = script.asked
    asked = parse_qs(urlsplit(first.path).query)
    assert (first.method, urlsplit(first.path).path) == ("POST", "/upload/storage/v1/b/some-bucket/o")
    assert (asked["uploadType"], asked["ifGenerationMatch"]) == (["resumable"], ["0"])
    assert first.headers["x-upload-content-type"] == "x/y"
    assert first.headers["x-upload-content-length"] == str(len(DATA))
    digest = base64.b64encode(google_crc32c.Checksum(DATA).digest()).decode()
    described = {"name": "a/ü?", "contentType": "x/y", "cacheControl": "no-store", "metadata": {"m": "ü"}}
    assert json.loads(first.body) == {**described, "crc32c": digest}
    # Not to the address that the answer names, which is given the token.
    assert parse_qs(urlsplit(second.path).query) == {"uploadType": ["resumable"], "upload_id": ["the-id"]}
    assert (second.method, second.body) == ("PUT", DATA)
    assert second.headers["content-range"] == f"bytes 0-{LAST}/{len(DATA)}"
    assert {each.headers["authorization"] for each in script.asked} == {"Bearer the-token"}


def test_small_objects_go_in_one_request(talk):
    driver, script = talk(lambda asked: STORED)
    put(driver, BytesBody(DATA))
    assert len(script.asked) == 1


def test_what_arrived_before_the_connection_broke_is_not_sent_again(begin):
    driver, script = begin(BEGUN, HUNG_UP, QUARTER, HUNG_UP, HALF, STORED)
    assert put(driver, BytesBody(DATA)).etag == "17"
    size = len(DATA)
    assert said(script.asked) == [
        ("PUT", f"bytes 0-{LAST}/{size}", size),
        ("PUT", f"bytes */{size}", 0),
        ("PUT", f"bytes {256 * KiB}-{LAST}/{size}", size - 256 * KiB),
        ("PUT", f"bytes */{size}", 0),
        ("PUT", f"bytes {512 * KiB}-{LAST}/{size}", size - 512 * KiB),
    ]
    assert script.asked[-1].body == DATA[512 * KiB :]


def test_where_only_the_answer_was_lost_nothing_is_sent_again(begin):
    driver, script = begin(BEGUN, HUNG_UP, STORED)
    assert put(driver, BytesBody(DATA)).etag == "17"
    assert [size for *_, size in said(script.asked)] == [len(DATA), 0]


def test_a_piece_that_the_service_left_is_sent(begin):
    driver, script = begin(BEGUN, QUARTER, STORED)
    assert put(driver, BytesBody(DATA)).etag == "17"
    assert script.asked[-1].body == DATA[256 * KiB :]


@pytest.mark.parametrize("arrived", [NOTHING, QUARTER])
def test_without_progress_the_rules_about_retries_decide(begin, arrived):
    driver, script = begin(BEGUN, *([QUARTER] if arrived is QUARTER else []), HUNG_UP, arrived)
    with pytest.raises(Exception, match="without response") as caught:
        put(driver, BytesBody(DATA))
    assert failure_of(caught.value) is errors.ConnectionFailedError
    assert script.asked[-1].headers["content-range"] == f"bytes */{len(DATA)}"


def test_the_next_attempt_goes_on(begin):
    driver, script = begin(BEGUN, BUSY, HALF, STORED)
    body = BytesBody(DATA)
    with pytest.raises(Exception, match="backendError") as caught:
        put(driver, body)
    assert failure_of(caught.value) is errors.ServiceUnavailableError
    assert put(driver, body).etag == "17"
    assert [size for *_, size in said(script.asked)] == [len(DATA), 0, len(DATA) - 512 * KiB]


def test_the_next_attempt_finds_it_done(begin):
    driver, script = begin(BEGUN, BUSY, STORED)
    body = BytesBody(DATA)
    with pytest.raises(Exception, match="backendError"):
        put(driver, body)
    assert put(driver, body).etag == "17"
    assert said(script.asked)[1:] == [("PUT", f"bytes */{len(DATA)}", 0)]


@pytest.mark.parametrize("other", ["body", "options"])
def test_another_object_does_not_go_on_with_it(begin, other):
    driver, script = begin(BEGUN, BUSY, BEGUN, STORED)
    body = BytesBody(DATA)
    with pytest.raises(Exception, match="backendError"):
        put(driver, body)
    given = (BytesBody(DATA),) if other == "body" else (body, PutOptions(if_match="16"))
    assert put(driver, *given).etag == "17"
    assert [each.method for each in script.asked] == ["POST", "PUT", "POST", "PUT"]


def test_the_session_goes_on_by_itself(begin):
    driver, script = begin(BEGUN, BUSY, MISSING, HALF, STORED)
    session = Session("gcp", lambda: driver, Settings())
    session._sleep = lambda seconds: None
    body = BytesBody(DATA)
    assert session.call(driver.put_object, "some-bucket", "a", body, ONLY_NEW).etag == "17"
    # That it is not there was seen before it was sent again: it is under a condition.
    assert [each.method for each in script.asked] == ["POST", "PUT", "GET", "PUT", "PUT"]


@pytest.mark.parametrize("status", [404, 410])
def test_an_upload_that_the_service_forgot_is_begun_anew(begin, status):
    forgotten = (status, {}, b"")
    driver, script = begin(BEGUN, BUSY, forgotten, forgotten, BEGUN, STORED)
    body = BytesBody(DATA)
    with pytest.raises(Exception, match="backendError"):
        put(driver, body)
    with pytest.raises(errors.ServiceUnavailableError, match="forgotten"):
        put(driver, body)
    assert put(driver, body).etag == "17"
    assert [each.method for each in script.asked] == ["POST", "PUT", "PUT", "DELETE", "POST", "PUT"]


def test_a_refused_one_is_cancelled(begin):
    refused = (412, JSON, b'{"error": {"code": 412, "message": "x", "errors": [{"reason": "conditionNotMet"}]}}')
    driver, script = begin(BEGUN, refused, (499, {}, b""))
    with pytest.raises(Exception, match="x") as caught:
        put(driver, BytesBody(DATA))
    assert failure_of(caught.value) is errors.PreconditionFailedError
    assert script.asked[-1].method == "DELETE"
    assert parse_qs(urlsplit(script.asked[-1].path).query)["upload_id"] == ["the-id"]


def test_a_source_that_changed_stores_nothing(begin):
    # Which comes first, the piece that is cut short or the cancelling, is nobody's concern.
    driver, script = begin(BEGUN, (499, {}, b""), (499, {}, b""))
    with pytest.raises(errors.SourceChangedError):
        put(driver, Shrunk())
    assert "DELETE" in [each.method for each in script.asked]


@pytest.mark.parametrize(
    "answers",
    [
        [(200, {}, b"")],
        [(200, {"Location": "https://elsewhere.example/"}, b"")],
        [BEGUN, (308, {"Range": "bytes=5-9"}, b""), (499, {}, b"")],
        [BEGUN, (308, {"Range": f"bytes=0-{len(DATA)}"}, b""), (499, {}, b"")],
        [BEGUN, (200, {}, b"<html>"), (499, {}, b"")],
    ],
    ids=["no address", "no upload", "no beginning", "too much", "no document"],
)
def test_answers_that_are_not_the_services(begin, answers):
    driver, _ = begin(*answers)
    with pytest.raises(errors.ForeignAnswerError):
        put(driver, BytesBody(DATA))


def test_all_of_it_arrived_and_it_is_no_object_yet(begin):
    whole = (308, {"Range": f"bytes=0-{LAST}"}, b"")
    driver, script = begin(BEGUN, whole, whole, (499, {}, b""))
    with pytest.raises(errors.ServiceUnavailableError, match="nothing of what was sent"):
        put(driver, BytesBody(DATA))
    assert [size for *_, size in said(script.asked)] == [len(DATA), 0, 0]


def test_a_customers_key_comes_with_every_request(begin):
    driver, script = begin(BEGUN, HUNG_UP, QUARTER, STORED)
    put(driver, BytesBody(DATA), PutOptions(if_none_match="*", encryption=Encryption("customer", key=b"k" * 32)))
    keys = [each.headers["x-goog-encryption-key"] for each in script.asked]
    assert keys == [base64.b64encode(b"k" * 32).decode()] * 4


def test_its_id_is_shown_nowhere(begin, caplog):
    caplog.set_level(logging.DEBUG)
    busy = (503, {**JSON, "X-GUploader-UploadID": "the-id"}, BUSY[2])
    driver, _ = begin(BEGUN, busy, (308, {"Range": "bytes=1-2", "X-GUploader-UploadID": "the-id"}, b""), NOTHING)
    body = BytesBody(DATA)
    for _ in range(2):
        with pytest.raises(Exception, match=r"backendError|says that it has") as caught:
            put(driver, body)
        failure = driver.classify(caught.value)
        assert "the-id" not in f"{caught.value!r} {failure}"
    assert "/upload/storage/v1" in caplog.text
    assert "the-id" not in caplog.text
