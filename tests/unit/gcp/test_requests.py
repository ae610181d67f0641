"""What is on the wire, and what is made of answers that no fake gives."""

import base64
import errno
import gzip
import json
import os
import re
from datetime import datetime, timedelta, timezone
from email import message_from_bytes
from email.policy import HTTP
from urllib.parse import parse_qs, quote

import google_crc32c
import pytest
from google.oauth2.credentials import Credentials

from cloudbridge_store import Encryption, errors
from cloudbridge_store.core.source import BytesBody, LocalFile
from cloudbridge_store.drivers.base import Part, PutOptions, ReadOptions

JSON = {"Content-Type": "application/json"}
RESOURCE = {"name": "a", "generation": "17", "size": "3", "updated": "2026-11-21T10:11:12.345Z"}
STORED = (200, JSON, b'{"generation": "17", "crc32c": "AAAAAA==", "md5Hash": "1B2M2Y8AsgTpgAmY7PhCfg=="}')


def answering(*answers):
    """Return a script that gives one answer after the other, and the last for ever."""
    left = list(answers)
    return lambda asked: left.pop(0) if len(left) > 1 else left[0]


def document(found, status=200, **headers):
    return status, {**JSON, **headers}, json.dumps(found).encode()


def content(data=b"abc", status=200, **headers):
    return status, {"x-goog-generation": "17", "x-goog-hash": "crc32c=AAAAAA==", **headers}, data


def test_an_object_goes_in_one_request_of_two_parts(talk):
    driver, script = talk(lambda asked: STORED)
    options = PutOptions("x/y", {"cache_control": "no-store"}, {"m": "ü"}, storage_class="NEARLINE", if_match="16")
    stored = driver.put_object("some-bucket", "a/ü?", BytesBody(b"content"), options)
    (asked,) = script.asked
    path, _, query = asked.path.partition("?")
    assert (asked.method, path) == ("POST", "/upload/storage/v1/b/some-bucket/o")
    assert "ifGenerationMatch=16" in query.split("&")
    whole = message_from_bytes(
        f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode() + asked.body, policy=HTTP
    )
    described, sent = whole.iter_parts()
    found = json.loads(described.get_payload(decode=True))
    digest = google_crc32c.Checksum(b"content").digest()
    assert found == {
        "name": "a/ü?", "contentType": "x/y", "cacheControl": "no-store", "metadata": {"m": "ü"},
        "storageClass": "NEARLINE", "crc32c": base64.b64encode(digest).decode(),
    }  # fmt: skip
    assert (sent.get_content_type(), sent.get_payload(decode=True)) == ("x/y", b"content")
    assert asked.headers["authorization"] == "Bearer the-token"
    assert asked.headers["user-agent"].startswith("cloudbridge-store")
    assert (stored.etag, stored.version, stored.checksums["md5"]) == ("17", "17", "d41d8cd98f00b204e9800998ecf8427e")


@pytest.mark.parametrize("size", [0, 1, 2**18, 2**18 + 1, 2**20])
def test_bodies_of_every_size_arrive_whole(talk, size):
    driver, script = talk(lambda asked: STORED)
    data = os.urandom(size)
    driver.put_object("some-bucket", "a", BytesBody(data), PutOptions())
    assert data in script.asked[0].body
    assert script.asked[0].body.endswith(b"--\r\n")


def test_a_file_that_cannot_be_read_to_its_end_is_not_the_connections_fault(talk, tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(bytes(2**20))
    driver, _ = talk(lambda asked: STORED)
    read = os.preadv
    left = [5]  # for the digest, and for the first piece that is sent

    def preadv(*arguments):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(*arguments)

    with LocalFile(path) as file:
        body = file.body()
        monkeypatch.setattr(os, "preadv", preadv)
        with pytest.raises(errors.LocalIOError, match=re.escape(str(path))) as caught:
            driver.put_object("some-bucket", "a", body, PutOptions())
    assert (caught.value.errno, left) == (errno.EIO, [-1])


def test_create_never_replace(talk):
    driver, script = talk(lambda asked: STORED)
    driver.put_object("some-bucket", "a", BytesBody(b""), PutOptions(if_none_match="*"))
    assert "ifGenerationMatch=0" in script.asked[0].path


@pytest.mark.parametrize("etag", ["other", "0", "-1", "1" * 30, "１", "", '"17"'])
def test_an_etag_that_nothing_here_can_have(talk, etag):
    driver, script = talk(lambda asked: STORED)
    for call in (
        lambda: driver.put_object("some-bucket", "a", BytesBody(b""), PutOptions(if_match=etag)),
        lambda: driver.get_object("some-bucket", "a", ReadOptions(if_match=etag)),
        lambda: driver.copy_object("some-bucket", "a", "some-bucket", "b", source=ReadOptions(if_match=etag)),
    ):
        with pytest.raises(errors.PreconditionFailedError):
            call()
    for version in (etag, "latest"):
        with pytest.raises(errors.ObjectNotFoundError):
            driver.head_object("some-bucket", "a", ReadOptions(version=version))
    assert script.asked == []


@pytest.mark.parametrize("bucket", ["..", ".", "", "a/b", "a b", "ab", "a?b", "ä" * 3, "a" * 223])
def test_a_bucket_that_cannot_be_is_not_asked_for(talk, bucket):
    driver, script = talk(lambda asked: STORED)
    for call in (
        lambda: driver.head_bucket(bucket),
        lambda: driver.head_object(bucket, "a"),
        lambda: driver.list_uploads(bucket),
        lambda: driver.public_url(bucket, "a"),
    ):
        with pytest.raises(errors.BucketNotFoundError):
            call()
    assert script.asked == []


def test_a_version_is_compared_with_an_etag_here(talk):
    """The service's condition is about the live generation, whichever is asked for."""
    driver, script = talk(lambda asked: content())
    with pytest.raises(errors.PreconditionFailedError):
        driver.get_object("some-bucket", "a", ReadOptions(version="17", if_match="18"))
    with pytest.raises(errors.PreconditionFailedError):
        driver.copy_object("some-bucket", "a", "some-bucket", "b", source=ReadOptions(version="17", if_match="18"))
    assert script.asked == []


def test_reads_take_what_is_stored_and_name_the_generation(talk):
    packed = gzip.compress(b"0123456789")
    driver, script = talk(
        lambda asked: content(packed, **{"Content-Encoding": "gzip", "x-goog-stored-content-encoding": "gzip"})
    )
    download = driver.get_object("some-bucket", "a/b", ReadOptions(if_match="17", version="17"))
    assert download.stream.read(1000) == packed
    assert script.asked[0].path == "/storage/v1/b/some-bucket/o/a%2Fb?alt=media&generation=17"
    assert script.asked[0].headers["accept-encoding"] == "gzip"
    assert (download.info.etag, download.info.checksums, download.length) == ("17", {"crc32c": "00000000"}, len(packed))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (content(**{"x-goog-generation": None}), errors.ForeignAnswerError),
        (content(**{"x-goog-stored-content-encoding": "gzip"}), errors.IntegrityError),
        (content(status=206), errors.IntegrityError),
        (content(status=206, **{"Content-Range": "bytes 0-9/10"}), errors.IntegrityError),
        ((200, {"Content-Type": "text/html"}, b"<html>Log in</html>"), errors.ForeignAnswerError),
    ],
)
def test_content_that_is_not_what_was_asked_for(talk, answer, kind):
    driver, _ = talk(lambda asked: answer)
    with pytest.raises(kind):
        driver.get_object("some-bucket", "a", ReadOptions(0, 10))


def test_content_of_which_the_length_is_not_said(talk):
    driver, _ = talk(lambda asked: content(**{"Content-Length": None, "Connection": "close"}))
    with pytest.raises(errors.ForeignAnswerError, match="how long"):
        driver.get_object("some-bucket", "a", ReadOptions())


def test_a_conditional_read_that_the_service_answers_all_the_same(talk):
    driver, script = talk(lambda asked: content())
    with pytest.raises(errors.NotModifiedError):
        driver.get_object("some-bucket", "a", ReadOptions(if_none_match="17"))
    assert "ifGenerationNotMatch=17" in script.asked[0].path
    driver.get_object("some-bucket", "a", ReadOptions(if_none_match="other")).stream.close()
    assert "ifGenerationNotMatch" not in script.asked[1].path


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nothing_is_followed(talk, status):
    driver, script = talk(lambda asked: (status, {"Location": "/elsewhere"}, b""))
    for call in (
        lambda: driver.head_bucket("some-bucket"),
        lambda: driver.get_object("some-bucket", "a", ReadOptions()),
        lambda: driver.put_object("some-bucket", "a", BytesBody(b"1"), PutOptions()),
        lambda: driver.start_upload("some-bucket", "a", PutOptions()),
    ):
        with pytest.raises(Exception, match=str(status)) as caught:
            call()
        assert driver.classify(caught.value).error is errors.ForeignAnswerError
    assert len(script.asked) == 4


def test_nothing_is_tried_twice_below_the_session(talk):
    driver, script = talk(lambda asked: document({"error": {"code": 503, "message": "busy"}}, 503))
    for call in (
        lambda: driver.head_bucket("some-bucket"),
        lambda: driver.upload_part("some-bucket", "a", "u", 1, BytesBody(b"1")),
        lambda: driver.delete_objects("some-bucket", ["a"]),
    ):
        with pytest.raises(Exception, match="busy"):
            call()
    assert len(script.asked) == 3


PAGES = [
    (200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><html><body>Log in</body></html>"),
    (200, JSON, b"[]"),
    (200, JSON, b'{"kind": "storage#ob'),
    (200, {"Content-Type": "application/xml"}, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'),
]


@pytest.mark.parametrize("page", PAGES)
def test_answers_that_are_not_the_services(talk, page):
    driver, _ = talk(lambda asked: page)
    upload = ("some-bucket", "a", "u")
    for call in (
        lambda: driver.head_bucket("some-bucket"),
        lambda: driver.head_object("some-bucket", "a"),
        lambda: driver.put_object("some-bucket", "a", BytesBody(b"1"), PutOptions()),
        lambda: driver.copy_object("some-bucket", "a", "some-bucket", "b", PutOptions()),
        lambda: driver.delete_objects("some-bucket", ["a"]),
        lambda: driver.list_objects("some-bucket"),
        lambda: driver.list_versions("some-bucket"),
        lambda: driver.start_upload("some-bucket", "a", PutOptions()),
        lambda: driver.upload_part(*upload, 1, BytesBody(b"1")),
        lambda: driver.list_parts(*upload),
        lambda: driver.finish_upload(*upload, [Part(1, "0", 1)], PutOptions()),
        lambda: driver.list_uploads("some-bucket"),
    ):
        with pytest.raises(errors.ForeignAnswerError):
            call()


def test_an_error_in_an_answer_that_says_it_went_well(talk):
    late = (
        200,
        {"Content-Type": "application/xml"},
        b"<Error><Code>InternalError</Code><Message>late</Message></Error>",
    )
    driver, _ = talk(lambda asked: late)
    for call in (
        lambda: driver.finish_upload("some-bucket", "a", "u", [Part(1, "0", 1)], PutOptions()),
        lambda: driver.copy_object("some-bucket", "a", "some-bucket", "b", PutOptions()),
    ):
        with pytest.raises(Exception, match="late") as caught:
            call()
        assert driver.classify(caught.value).retry == "idempotent"
    driver, _ = talk(lambda asked: document({"error": {"code": 500, "message": "late"}}))
    with pytest.raises(Exception, match="late"):
        driver.head_bucket("some-bucket")


def test_an_upload_whose_answer_does_not_name_the_generation_is_looked_at(talk):
    finished = (200, {}, b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")
    driver, script = talk(answering(finished, document(RESOURCE)))
    found = driver.finish_upload("some-bucket", "a", "u", [Part(1, "e1", 1)], PutOptions())
    assert found.etag == "17"
    assert b'<PartNumber>1</PartNumber><ETag>"e1"</ETag>' in script.asked[0].body
    assert script.asked[1].method == "GET"


def test_an_answer_that_was_kept_waiting_by_blanks(talk):
    """The service may send some while it puts the object together, so that nobody takes the connection for dead."""
    finished = (
        200,
        {"x-goog-generation": "17"},
        b" \n \n<?xml version='1.0'?><CompleteMultipartUploadResult></CompleteMultipartUploadResult>",
    )
    driver, _ = talk(lambda asked: finished)
    assert driver.finish_upload("some-bucket", "a", "u", [Part(1, "e1", 1)], PutOptions()).etag == "17"


@pytest.mark.parametrize("key", ["a", "a\0b", "a/ü "])
def test_the_next_page_of_uploads_begins_behind_the_last_of_this_one(talk, key):
    entry = f"<Upload><Key>{quote(key)}</Key><UploadId>u/1</UploadId></Upload>"
    page = f"<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>{entry}</ListMultipartUploadsResult>"
    driver, script = talk(lambda asked: (200, {}, page.encode()))
    found = driver.list_uploads("some-bucket", limit=1)
    assert [each.key for each in found.items] == [key]
    driver.list_uploads("some-bucket", limit=1, token=found.token)
    asked = parse_qs(script.asked[1].path.partition("?")[2])
    assert (asked["key-marker"], asked["upload-id-marker"]) == ([key], ["u/1"])


@pytest.mark.parametrize(
    "name", ["name", "bucket", "crc32c", "generation", "kmsKeyName", "predefinedAcl", "userProject"]
)
def test_what_is_no_part_of_a_description_is_no_extra(talk, name):
    """The service would store another object, or leave it out without a word."""
    driver, script = talk(lambda asked: STORED)
    options = PutOptions(extra={name: "x", "customTime": "2030-01-02T03:04:05Z"})
    for call in (
        lambda: driver.put_object("some-bucket", "a", BytesBody(b""), options),
        lambda: driver.copy_object("some-bucket", "a", "some-bucket", "b", options),
        lambda: driver.start_upload("some-bucket", "a", options),
    ):
        with pytest.raises(errors.UnsupportedOperationError, match=name):
            call()
    assert script.asked == []


def test_a_part_that_is_stored_without_a_name(talk):
    driver, _ = talk(lambda asked: (200, {}, b""))
    with pytest.raises(errors.ForeignAnswerError, match="ETag"):
        driver.upload_part("some-bucket", "a", "u", 1, BytesBody(b"1"))


def test_a_copy_goes_on_by_its_token(talk):
    more = document({"done": False, "rewriteToken": "t/1"})
    last = document({"done": True, "resource": {"generation": "18"}})
    driver, script = talk(answering(more, more, last))
    key = Encryption.customer(b"k" * 32)
    options = PutOptions("x/y", if_none_match="*", encryption=key)
    found = driver.copy_object("some-bucket", "a", "some-bucket", "b/c", options, source=ReadOptions(if_match="17"))
    assert found.etag == "18"
    paths = [asked.path for asked in script.asked]
    assert all(path.startswith("/storage/v1/b/some-bucket/o/a/rewriteTo/b/some-bucket/o/b%2Fc?") for path in paths)
    assert all("ifSourceGenerationMatch=17" in path and "ifGenerationMatch=0" in path for path in paths)
    assert ["rewriteToken=t%2F1" in path for path in paths] == [False, True, True]
    assert {asked.headers["x-goog-encryption-key"] for asked in script.asked} == {base64.b64encode(b"k" * 32).decode()}
    assert {asked.body for asked in script.asked} == {b'{"contentType": "x/y"}'}


def test_a_copy_that_broke_off_goes_on_where_it_was(talk):
    busy = document({"error": {"code": 503, "message": "busy"}}, 503)
    over = document({"error": {"code": 400, "message": "Invalid argument.", "errors": [{"reason": "invalid"}]}}, 400)
    more, last = document({"done": False, "rewriteToken": "t1"}), document({"done": True, "resource": RESOURCE})
    driver, script = talk(answering(more, busy, last, last, more, busy, over, last))

    def copy():
        return driver.copy_object("some-bucket", "a", "some-bucket", "b", PutOptions("x/y"), source=ReadOptions())

    with pytest.raises(Exception, match="busy"):
        copy()
    assert copy().etag == copy().etag == "17"
    with pytest.raises(Exception, match="busy"):
        copy()
    assert copy().etag == "17"
    tokens = [parse_qs(asked.path.partition("?")[2]).get("rewriteToken") for asked in script.asked]
    # What was done is done, and what the service keeps no more begins again.
    assert tokens == [None, ["t1"], ["t1"], None, None, ["t1"], ["t1"], None]


def test_a_copy_that_is_refused_on_its_way_is_over(talk):
    more = document({"done": False, "rewriteToken": "t1"})
    refused = document({"error": {"code": 412, "message": "m", "errors": [{"reason": "conditionNotMet"}]}}, 412)
    driver, script = talk(answering(more, refused, more, refused))
    for _ in range(2):
        with pytest.raises(Exception, match="412"):
            driver.copy_object("some-bucket", "a", "some-bucket", "b", PutOptions())
    assert ["rewriteToken=" in asked.path for asked in script.asked] == [False, True] * 2


def batch(*answers):
    """Return the answer to a batch; each is a number, a status and a body."""
    parts = "".join(
        f"--B\r\nContent-Type: application/http\r\nContent-ID: <response-item-{number}>\r\n\r\n"
        f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\n\r\n{body}\r\n"
        for number, status, body in answers
    )
    return 200, {"Content-Type": "multipart/mixed; boundary=B"}, f"{parts}--B--\r\n".encode()


def said(status, reason, message):
    return json.dumps(
        {"error": {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}}
    )


def test_what_becomes_of_each_of_a_batch(talk):
    denied = said(403, "forbidden", "may not")
    answer = batch((2, 403, denied), (0, 204, ""), (1, 404, said(404, "notFound", "No such object: b/o")))
    driver, script = talk(lambda asked: answer)
    failures = driver.delete_objects("some-bucket", ["a", "b/ü", "c"])
    assert list(failures) == ["c"]
    assert isinstance(failures["c"], errors.PermissionDeniedError)
    assert (failures["c"].key, failures["c"].status) == ("c", 403)
    assert b"DELETE /storage/v1/b/some-bucket/o/b%2F%C3%BC HTTP/1.1" in script.asked[0].body
    assert script.asked[0].path == "/batch/storage/v1"


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (503, "backendError", errors.ServiceUnavailableError),
        (429, "rateLimitExceeded", errors.ThrottledError),
        (401, "authError", errors.CredentialsExpiredError),
        (404, "The specified bucket does not exist.", errors.BucketNotFoundError),
    ],
)
def test_what_is_about_the_whole_batch(talk, status, reason, kind):
    driver, _ = talk(lambda asked: batch((0, 204, ""), (1, status, said(status, reason, reason))))
    with pytest.raises(Exception, match=reason) as caught:
        driver.delete_objects("some-bucket", ["a", "b"])
    assert driver.classify(caught.value).error is kind


@pytest.mark.parametrize("answer", [batch((0, 204, "")), batch((0, 204, ""), (0, 204, "")), batch()])
def test_a_batch_of_which_answers_are_missing(talk, answer):
    driver, _ = talk(lambda asked: answer)
    with pytest.raises(errors.ForeignAnswerError, match="of 2 answers"):
        driver.delete_objects("some-bucket", ["a", "b"])


def test_a_listing_begins_behind_a_name_and_asks_for_little(talk):
    driver, script = talk(lambda asked: document({"items": [RESOURCE], "nextPageToken": "more"}))
    page = driver.list_objects("some-bucket", prefix="a", start_after="a/ü", limit=5000)
    assert (page.token, page.items[0].etag, page.items[0].metadata) == ("more", "17", None)
    assert "startOffset=a%2F%C3%BC%00" in script.asked[0].path
    assert "maxResults=1000" in script.asked[0].path
    assert "fields=" in script.asked[0].path


def test_what_has_a_time_and_what_has_no_value_in_extra(talk):
    driver, script = talk(lambda asked: STORED)
    moment = datetime(2030, 1, 2, 5, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    options = PutOptions("x/y", extra={"customTime": moment, "contentType": None})
    driver.put_object("some-bucket", "a", BytesBody(b""), options)
    assert b'"customTime": "2030-01-02T03:04:05Z"' in script.asked[0].body
    assert script.asked[0].body.count(b"x/y") == 2
    with pytest.raises(errors.ForeignAnswerError):
        driver.start_upload("some-bucket", "a", PutOptions(extra={"customTime": moment}))
    assert script.asked[1].headers["x-goog-custom-time"] == "2030-01-02T03:04:05Z"
    naive = moment.replace(tzinfo=None)
    with pytest.raises(errors.InvalidRequestError, match="time zone"):
        driver.put_object("some-bucket", "a", BytesBody(b""), PutOptions(extra={"customTime": naive}))


def test_a_token_of_another_listing(talk):
    driver, _ = talk(lambda asked: document({}))
    for token in ("x", "[]", "[1]", '["a", "b"]'):
        with pytest.raises(errors.InvalidRequestError):
            driver.list_versions("some-bucket", token=token)


def test_a_public_bucket_keeps_the_bindings_of_others(talk):
    other = {"role": "roles/storage.objectViewer", "members": ["user:a@b"], "condition": {"title": "t"}}
    policy = {"etag": "e", "bindings": [other]}
    driver, script = talk(lambda asked: document(policy))
    driver.set_public("some-bucket", public=True)
    lifted, asked, put = script.asked
    assert json.loads(lifted.body) == {"iamConfiguration": {"publicAccessPrevention": "inherited"}}
    assert "optionsRequestedPolicyVersion=3" in asked.path
    found = json.loads(put.body)
    assert (found["etag"], found["version"]) == ("e", 3)
    assert found["bindings"] == [other, {"role": "roles/storage.legacyObjectReader", "members": ["allUsers"]}]


def test_a_private_bucket_is_nobodys_who_is_not_named(talk):
    bindings = [
        {"role": "roles/storage.objectViewer", "members": ["allUsers", "user:a@b"]},
        {"role": "roles/storage.legacyObjectReader", "members": ["allAuthenticatedUsers"]},
    ]
    driver, script = talk(lambda asked: document({"etag": "e", "bindings": bindings}))
    driver.set_public("some-bucket", public=False)
    _, put, prevented = script.asked
    assert json.loads(put.body)["bindings"] == [{"role": "roles/storage.objectViewer", "members": ["user:a@b"]}]
    assert json.loads(prevented.body) == {"iamConfiguration": {"publicAccessPrevention": "enforced"}}


def test_websites(talk):
    driver, script = talk(lambda asked: document({"name": "x"}))
    assert driver.set_website("www.example.org", "index.html", "404.html") == "http://www.example.org/"
    assert driver.set_website("some-bucket", "a b.html", None) == f"{script.url}/some-bucket/a%20b.html"
    driver.set_website("some-bucket", None, None)
    assert [json.loads(asked.body) for asked in script.asked] == [
        {"website": {"mainPageSuffix": "index.html", "notFoundPage": "404.html"}},
        {"website": {"mainPageSuffix": "a b.html", "notFoundPage": None}},
        {"website": None},
    ]


def test_requests_go_by_the_proxy(serve, connect):
    script = serve(lambda asked: document({"name": "some-bucket"}))
    config = {"gcp_access_token": "t", "gcp_endpoint_url": "http://storage.example.org", "allow_http": True}
    provider = connect(**config, proxies={"http": script.url})
    assert provider.storage.buckets.get("some-bucket").name == "some-bucket"
    assert script.asked[0].path.startswith("http://storage.example.org/storage/v1/b/some-bucket?")


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_proxy_is_told_the_name_and_the_password_as_they_are(serve, connect, scheme):
    script = serve(lambda asked: document({"name": "some-bucket"}))
    config = {"gcp_access_token": "t", "gcp_endpoint_url": "http://storage.example.org", "allow_http": True}
    place = script.url.removeprefix("http://")
    provider = connect(**config, proxies={"http": f"{scheme}who:p%40ss%2Fword@{place}"})
    assert provider.storage.buckets.get("some-bucket").name == "some-bucket"
    said = script.asked[0].headers["proxy-authorization"].removeprefix("Basic ")
    assert base64.b64decode(said) == b"who:p@ss/word"


def test_the_environments_proxy_is_not_asked_for_what_is_near(talk, serve, connect, monkeypatch):
    script = serve(lambda asked: document({"name": "some-bucket"}))
    monkeypatch.setenv("http_proxy", script.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    driver, own = talk(lambda asked: document({"name": "some-bucket"}))
    driver.head_bucket("some-bucket")
    provider = connect(gcp_access_token="t", gcp_endpoint_url="http://storage.example.org", allow_http=True)
    provider.storage.buckets.get("some-bucket")
    assert (len(own.asked), len(script.asked)) == (1, 1)


def test_a_workload_of_elsewhere_is_known_by_the_token_it_has_there(serve, connect, tmp_path):
    """The token is exchanged at Google's token service, and what comes of that for the token of a service account."""
    (tmp_path / "subject").write_text("their-token")

    def answer(asked):
        if asked.path == "/sts":
            return document({"access_token": "federated", "expires_in": 3600, "token_type": "Bearer"})
        if asked.path.endswith(":generateAccessToken"):
            return document({"accessToken": "impersonated", "expireTime": "2999-01-01T00:00:00Z"})
        if asked.path == "/projects/1":
            return document({"projectId": "their-project"})
        if asked.path.endswith(":signBlob?alt=json"):
            return document({"signedBlob": base64.b64encode(b"signed").decode()})
        return document({"name": "some-bucket"})

    script = serve(answer)
    account = "/v1/projects/-/serviceAccounts/who@p.iam.gserviceaccount.com"
    info = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/p",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{script.url}/sts",
        "service_account_impersonation_url": f"{script.url}{account}:generateAccessToken",
        "credential_source": {"file": str(tmp_path / "subject")},
    }
    provider = connect(gcp_service_creds_dict=info, gcp_endpoint_url=script.url, gcp_iam_endpoint_url=script.url)
    bucket = provider.storage.buckets.get("some-bucket")
    assert bucket.objects.create("a").generate_url(60).endswith(f"X-Goog-Signature={b'signed'.hex()}")
    exchanged, impersonated, asked, signed = script.asked
    assert parse_qs(exchanged.body.decode())["subject_token"] == ["their-token"]
    assert impersonated.headers["authorization"] == "Bearer federated"
    assert "devstorage.full_control" in impersonated.body.decode()
    assert asked.headers["authorization"] == signed.headers["authorization"] == "Bearer impersonated"
    assert signed.path == f"{account}:signBlob?alt=json"
    # Where a project is needed it is asked for, once.
    theirs = provider.native._credentials
    theirs._cloud_resource_manager_url = f"{script.url}/projects/"
    for _ in range(2):
        provider.storage.buckets.list()
    assert [each.path.partition("?")[0] for each in script.asked[4:]] == ["/projects/1", *["/storage/v1/b"] * 2]
    assert "project=their-project" in script.asked[-1].path


def test_a_users_own_credentials_are_refreshed(serve, connect):
    def answer(asked):
        if asked.path == "/token":
            return document({"access_token": "fresh", "expires_in": 3600})
        return document({"name": "some-bucket"})

    script = serve(answer)
    file = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    assert connect(gcp_service_creds_dict=file).native._credentials.scopes is None  # those that the user agreed to
    own = Credentials(
        None, "r", token_uri=f"{script.url}/token", client_id="c", client_secret="s", quota_project_id="payer"
    )
    provider = connect(gcp_credentials_obj=own, gcp_endpoint_url=script.url)
    provider.storage.buckets.get("some-bucket")
    exchanged, asked = script.asked
    assert parse_qs(exchanged.body.decode())["refresh_token"] == ["r"]
    assert asked.headers["authorization"] == "Bearer fresh"
    # Who pays where the requester does.
    assert asked.headers["x-goog-user-project"] == "payer"


def test_connections_are_used_again(talk):
    driver, script = talk(answering(document(RESOURCE), content(b""), content(), STORED, document(RESOURCE)))
    driver.head_object("some-bucket", "a")
    driver.get_object("some-bucket", "empty", ReadOptions()).stream.close()
    stream = driver.get_object("some-bucket", "a", ReadOptions()).stream
    assert stream.read(10) == b"abc"
    driver.put_object("some-bucket", "a", BytesBody(b"1"), PutOptions())
    driver.head_object("some-bucket", "a")
    assert len({asked.client for asked in script.asked}) == 1
