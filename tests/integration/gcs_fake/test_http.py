"""The fake by plain requests: what Google's client never sends, and the answers as they are."""

import base64
import gzip
import hashlib
import json
import os
import re
import socket
import threading
import time
from urllib.parse import quote, urlsplit

import google_crc32c
import pytest

QUARTER = 256 * 1024


def path_of(bucket, name=None):
    return f"/storage/v1/b/{bucket.name}" + ("" if name is None else f"/o/{quote(name, safe='')}")


def upload_path(bucket):
    return f"/upload/storage/v1/b/{bucket.name}/o"


def test_who_does_not_say_who_they_are(ask, bucket, reason_of):
    refused = reason_of(ask("GET", path_of(bucket, "x"), token=None))
    assert (refused.status, refused.reason) == (401, "required")
    assert refused.detail["location"] == "Authorization"
    assert refused.message.startswith(
        "Anonymous caller does not have storage.objects.get access to the Google Cloud Sto"
    )
    refused = reason_of(ask("GET", path_of(bucket), token="unknown"))
    assert (refused.status, refused.reason, refused.message) == (401, "authError", "Invalid Credentials")
    answer = ask("GET", f"/{bucket.name}/x", token=None)
    assert (answer.status_code, "<Code>AccessDenied</Code>" in answer.text) == (403, True)


def test_objects_are_hidden_from_those_who_may_not_list(ask, bucket, connect, gcs, put):
    put("there")
    stranger = connect(gcs.stranger_credentials_file, gcs.stranger_project)
    assert list(stranger.list_buckets()) == []
    token = stranger._credentials.token
    answers = [ask("GET", path_of(bucket, name), token=token) for name in ("there", "missing")]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].text == answers[1].text


def test_what_is_not_there(ask, bucket, reason_of, gcs):
    refused = reason_of(ask("GET", path_of(bucket, "none")))
    assert (refused.status, refused.reason, refused.message) == (404, "notFound", f"No such object: {bucket.name}/none")
    refused = reason_of(ask("GET", "/storage/v1/b/no-such-bucket-here/o"))
    assert refused.message == "The specified bucket does not exist."
    answer = ask("GET", path_of(bucket, "none"), params={"alt": "media"})
    assert (answer.status_code, answer.text) == (404, f"No such object: {bucket.name}/none")
    answer = ask("GET", f"/{bucket.name}/none")
    assert re.search("<Code>(.*?)</Code>", answer.text)[1] == "NoSuchKey"
    assert re.search("<Code>(.*?)</Code>", ask("GET", "/no-such-bucket-here/x").text)[1] == "NoSuchBucket"
    assert ask("GET", "/storage/v1/nothing/here").status_code == 404
    assert ask("GET", f"{path_of(bucket)}/notificationConfigs").status_code == 501
    assert ask("GET", f"/{bucket.name}").status_code == 501


def test_what_is_not_known(ask, bucket, reason_of, gcs, put):
    assert reason_of(ask("GET", path_of(bucket), params={"projektion": "full"})).status == 400
    assert reason_of(ask("PATCH", path_of(bucket), json={"lables": {}})).status == 400
    assert reason_of(ask("PATCH", path_of(bucket), json={"versioning": {"enabled": "yes"}})).status == 400
    assert reason_of(ask("PATCH", path_of(bucket), data=b"{")).reason == "parseError"
    put("x", expect=400, resource={"contenttype": "a/b"})
    assert reason_of(ask("GET", path_of(bucket), params={"fields": "nmae"})).reason == "invalidParameter"
    assert reason_of(ask("GET", path_of(bucket), params={"fields": "name,("})).reason == "invalidParameter"


def test_projects(ask, reason_of, gcs, new_name):
    for method, more in (("GET", {}), ("POST", {"json": {"name": new_name()}})):
        refused = reason_of(ask(method, "/storage/v1/b", **more))
        assert (refused.status, refused.reason, refused.detail["location"]) == (400, "required", "project")
    refused = reason_of(ask("GET", "/storage/v1/b", params={"project": "nobodys"}))
    assert (refused.status, refused.reason) == (403, "forbidden")


@pytest.mark.parametrize(
    "name", ["ab", "a" * 64, "Upper", "-a-b", "a_b-", "10.0.0.1", "goog-a", "my-google-b", "a..b", "a b", ""]
)
def test_names_of_buckets(ask, gcs, name):
    answer = ask("POST", "/storage/v1/b", params={"project": gcs.project}, json={"name": name})
    assert answer.status_code == 400


def test_names_of_domains_are_to_be_verified(ask, gcs):
    answer = ask("POST", "/storage/v1/b", params={"project": gcs.project}, json={"name": "www.example.com"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "field",
    [
        {"location": "MOON"},
        {"storageClass": "WARM"},
        {"lifecycle": {"rule": [{"action": {"type": "Delete"}}]}},
        {"lifecycle": {"rule": [{"action": {"type": "Melt"}, "condition": {"age": 1}}]}},
        {"lifecycle": {"rule": [{"action": {"type": "SetStorageClass"}, "condition": {"age": 1}}]}},
        {"retentionPolicy": {"retentionPeriod": "0"}},
        {"softDeletePolicy": {"retentionDurationSeconds": "5"}},
        {"labels": {"Upper": "x"}},
        {"iamConfiguration": {"publicAccessPrevention": "maybe"}},
    ],
    ids=str,
)
def test_what_may_not_be_said_of_buckets(ask, gcs, new_name, field):
    answer = ask("POST", "/storage/v1/b", params={"project": gcs.project}, json={"name": new_name(), **field})
    assert answer.status_code == 400


def test_locked_retention(ask, bucket, reason_of):
    policy = {"retentionPolicy": {"retentionPeriod": "100"}}
    found = ask("PATCH", path_of(bucket), json=policy).json()
    lock = f"{path_of(bucket)}/lockRetentionPolicy"
    assert reason_of(ask("POST", lock)).reason == "required"
    assert reason_of(ask("POST", lock, params={"ifMetagenerationMatch": 99})).status == 412
    found = ask("POST", lock, params={"ifMetagenerationMatch": found["metageneration"]}).json()
    assert found["retentionPolicy"]["isLocked"] is True
    assert reason_of(ask("PATCH", path_of(bucket), json={"retentionPolicy": None})).status == 403
    shorter = {"retentionPolicy": {"retentionPeriod": "99"}}
    assert reason_of(ask("PATCH", path_of(bucket), json=shorter)).status == 403
    longer = {"retentionPolicy": {"retentionPeriod": "101"}}
    assert ask("PATCH", path_of(bucket), json=longer).json()["retentionPolicy"]["retentionPeriod"] == "101"


@pytest.mark.parametrize("name", [".", "..", "a\nb", "a\rb", "x" * 1025, "é" * 513, ".well-known/acme-challenge/x"])
def test_names_of_objects(ask, bucket, name):
    answer = ask("POST", upload_path(bucket), params={"uploadType": "media", "name": name}, data=b"")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "name", ["x" * 1024, "é" * 512, "a/../b", "//", "a\tb", "%2F", "?#&+ ", "\U0001f600", "e\u0301"]
)
def test_any_other_name(ask, bucket, name):
    stored = ask("POST", upload_path(bucket), params={"uploadType": "media", "name": name}, data=name.encode())
    assert stored.status_code == 200, stored.text
    assert ask("GET", path_of(bucket, name), params={"alt": "media"}).content == name.encode()
    assert [each["name"] for each in ask("GET", f"{path_of(bucket)}/o").json()["items"]] == [name]


def test_digests_are_compared(ask, bucket, put, reason_of):
    right = base64.b64encode(hashlib.md5(b"content", usedforsecurity=False).digest()).decode()
    crc32c = base64.b64encode(google_crc32c.value(b"content").to_bytes(4, "big")).decode()
    found = put("right", resource={"md5Hash": right, "crc32c": crc32c})
    assert (found["md5Hash"], found["crc32c"]) == (right, crc32c)
    refused = put("wrong", expect=400, resource={"md5Hash": crc32c})["error"]["message"]
    assert refused == f'Provided MD5 hash "{crc32c}" doesn\'t match calculated MD5 hash "{right}".'
    refused = put("wrong", expect=400, resource={"crc32c": "AAAAAA=="})["error"]["message"]
    assert refused == f'Provided CRC32C "AAAAAA==" doesn\'t match calculated CRC32C "{crc32c}".'
    put("wrong", expect=400, headers={"x-goog-hash": "crc32c=AAAAAA=="})
    answer = ask("PUT", f"/{bucket.name}/wrong", headers={"Content-MD5": "AAAA"}, data=b"content")
    assert (answer.status_code, "<Code>BadDigest</Code>" in answer.text) == (400, True)
    assert [each["name"] for each in ask("GET", f"{path_of(bucket)}/o").json()["items"]] == ["right"]


def test_headers_of_content(ask, bucket, put):
    found = put("x", resource={"cacheControl": "no-cache", "contentLanguage": "de", "storageClass": "COLDLINE"})
    answer = ask("GET", path_of(bucket, "x"), params={"alt": "media"})
    assert answer.headers["ETag"] == found["etag"]
    told = {name.lower(): value for name, value in answer.headers.items()}
    assert told["x-goog-generation"] == found["generation"]
    assert told["x-goog-metageneration"] == "1"
    assert told["x-goog-hash"] == f"crc32c={found['crc32c']},md5={found['md5Hash']}"
    assert told["x-goog-stored-content-length"] == "7"
    assert told["x-goog-stored-content-encoding"] == "identity"
    assert told["x-goog-storage-class"] == "COLDLINE"
    assert (told["cache-control"], told["content-language"], told["content-type"]) == ("no-cache", "de", "text/plain")
    assert told["content-length"] == "7"


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=0-0", 206, b"0"),
        ("bytes=8-99", 206, b"89"),
        ("bytes=-3", 206, b"789"),
        ("bytes=-99", 206, b"0123456789"),
        ("bytes=10-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=5-3", 200, b"0123456789"),
        ("bytes=0-1,4-5", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
    ],
)
def test_ranges(ask, bucket, put, asked, status, body):
    put("x", b"0123456789")
    answer = ask("GET", path_of(bucket, "x"), params={"alt": "media"}, headers={"Range": asked})
    assert answer.status_code == status
    assert body is None or answer.content == body
    if status == 416:
        assert answer.headers["Content-Range"] == "bytes */10"


def test_an_empty_object_has_no_ranges(ask, bucket, put):
    put("x", b"")
    answer = ask("GET", path_of(bucket, "x"), params={"alt": "media"}, headers={"Range": "bytes=0-"})
    assert answer.status_code == 416
    assert ask("GET", path_of(bucket, "x"), params={"alt": "media"}).content == b""


def test_decompression(ask, bucket, put):
    packed = gzip.compress(b"plain text " * 10_000)
    put("x", packed, resource={"contentEncoding": "gzip"})
    path, params = path_of(bucket, "x"), {"alt": "media"}

    def get(**headers):
        return ask("GET", path, params=params, headers=headers, stream=True)

    plain = get(**{"Accept-Encoding": "identity", "Range": "bytes=0-3"})
    assert (plain.status_code, plain.raw.read()) == (200, b"plain text " * 10_000)
    assert "Content-Encoding" not in plain.headers
    assert "Content-Length" not in plain.headers
    assert plain.headers["X-Goog-Stored-Content-Encoding"] == "gzip"
    assert plain.headers["X-Goog-Stored-Content-Length"] == str(len(packed))
    assert plain.headers["Warning"] == "214 UploadServer gunzipped"
    stored = get(**{"Accept-Encoding": "gzip"})
    assert (stored.raw.read(decode_content=False), stored.headers["Content-Encoding"]) == (packed, "gzip")
    part = get(**{"Accept-Encoding": "gzip", "Range": "bytes=0-3"})
    assert (part.status_code, part.raw.read(decode_content=False)) == (206, packed[:4])
    ask("PATCH", path, json={"cacheControl": "no-transform"})
    assert get(**{"Accept-Encoding": "identity"}).raw.read(decode_content=False) == packed


def test_conditions_of_http(ask, bucket, put):
    found = put("x")
    for path, tag in (
        (path_of(bucket, "x"), found["etag"]),
        (f"/{bucket.name}/x", '"9a0364b9e99bb480dd25e1f0284c8555"'),
    ):
        assert ask("GET", path, headers={"If-None-Match": tag}).status_code == 304
        assert ask("GET", path, headers={"If-None-Match": '"no"'}).status_code == 200
        assert ask("GET", path, headers={"If-Match": tag}).status_code == 200
        assert ask("GET", path, headers={"If-Match": '"no"'}).status_code == 412
    assert ask("GET", path, headers={"If-Unmodified-Since": "Thu, 01 Jan 2004 00:00:00 GMT"}).status_code == 412
    assert ask("GET", path, headers={"x-goog-if-generation-match": "1"}).status_code == 412


@pytest.mark.parametrize("condition", ["ifGenerationMatch", "ifMetagenerationMatch"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_conditions_of_every_method(ask, bucket, put, method, condition):
    found = put("x")
    more = {"json": {}} if method in ("PATCH", "PUT") else {}
    right = found["generation" if "Meta" not in condition else "metageneration"]
    path = path_of(bucket, "x")
    assert ask(method, path, params={condition: "77"}, **more).status_code == 412
    unwanted = condition.replace("Match", "NotMatch")
    assert ask(method, path, params={unwanted: right}, **more).status_code == 304
    assert ask(method, path, params={condition: "x"}, **more).status_code == 400
    assert ask(method, path, params={condition: right, unwanted: "77"}, **more).status_code in (200, 204)


def test_metadata_is_merged_and_replaced(ask, bucket, put):
    put("x", resource={"metadata": {"a": "1", "b": "2"}, "cacheControl": "no-cache"})
    path = path_of(bucket, "x")
    found = ask("PATCH", path, json={"metadata": {"a": None, "c": "ü"}}).json()
    assert (found["metadata"], found["metageneration"], found["cacheControl"]) == (
        {"b": "2", "c": "ü"},
        "2",
        "no-cache",
    )
    found = ask("PUT", path, json={"metadata": {"d": "4"}, "contentType": "a/b"}).json()
    assert (found["metadata"], "cacheControl" in found) == ({"d": "4"}, False)
    assert ask("PATCH", path, json={"metadata": {"a": "x" * 9000}}).status_code == 400
    assert ask("PATCH", path, json={"storageClass": "NEARLINE"}).status_code == 400
    assert ask("PATCH", path, json={"customTime": "2030-01-01T00:00:00Z"}).status_code == 200
    assert ask("PATCH", path, json={"customTime": "2029-01-01T00:00:00Z"}).status_code == 400
    assert ask("PATCH", path, json={"customTime": None}).status_code == 400


def test_partial_answers(ask, bucket, put):
    put("x", resource={"metadata": {"a": "1", "b": "2"}})
    put("y")
    fields = {"fields": "items(name,metadata/a),nextPageToken", "maxResults": 1}
    found = ask("GET", f"{path_of(bucket)}/o", params=fields).json()
    assert found.keys() == {"items", "nextPageToken"}
    assert found["items"] == [{"name": "x", "metadata": {"a": "1"}}]
    assert ask("GET", path_of(bucket, "x"), params={"fields": "name,size"}).json() == {"name": "x", "size": "7"}


def test_tokens_of_pages(ask, bucket, put, reason_of):
    for name in ("a/1", "a/2", "b", "c/", "c/1"):
        put(name)
    path = f"{path_of(bucket)}/o"
    first = ask("GET", path, params={"maxResults": 1, "delimiter": "/"}).json()
    assert (first["prefixes"], "items" in first) == (["a/"], False)
    token = first["nextPageToken"]
    rest = ask("GET", path, params={"delimiter": "/", "pageToken": token}).json()
    assert ([each["name"] for each in rest["items"]], rest["prefixes"]) == (["b"], ["c/"])
    assert "nextPageToken" not in rest
    assert reason_of(ask("GET", path, params={"pageToken": token})).status == 400
    assert reason_of(ask("GET", path, params={"pageToken": "AAAA"})).status == 400
    assert reason_of(ask("GET", path, params={"maxResults": 0})).status == 400
    both = ask("GET", path, params={"delimiter": "/", "includeTrailingDelimiter": "true", "prefix": ""}).json()
    assert ([each["name"] for each in both["items"]], both["prefixes"]) == (["b", "c/"], ["a/", "c/"])


def test_no_more_than_a_thousand_at_once(ask, bucket, put):
    for number in range(1001):
        put(f"{number:04}", b"")
    found = ask(
        "GET", f"{path_of(bucket)}/o", params={"maxResults": 5000, "fields": "items(name),nextPageToken"}
    ).json()
    assert len(found["items"]) == 1000
    rest = ask("GET", f"{path_of(bucket)}/o", params={"pageToken": found["nextPageToken"]}).json()
    assert [each["name"] for each in rest["items"]] == ["1000"]


@pytest.fixture
def begin(ask, bucket):
    """Begin a resumable upload and return the address of its session."""

    def start(name, headers=None, **params):
        params = {"uploadType": "resumable", "name": name, **params}
        answer = ask("POST", upload_path(bucket), params=params, headers=headers or {}, json={})
        assert answer.status_code == 200, answer.text
        return answer.headers["Location"]

    return start


def test_a_resumable_upload_goes_on_where_it_stopped(ask, bucket, begin):
    content = os.urandom(2 * QUARTER + 100)
    session = begin("x")
    answer = ask("PUT", session, token=None, headers={"Content-Range": "bytes */*"})
    assert (answer.status_code, "Range" in answer.headers) == (308, False)
    first = {"Content-Range": f"bytes 0-{QUARTER - 1}/*"}
    answer = ask("PUT", session, token=None, headers=first, data=content[:QUARTER])
    assert (answer.status_code, answer.headers["Range"]) == (308, f"bytes=0-{QUARTER - 1}")
    total = len(content)
    beyond = {"Content-Range": f"bytes {2 * QUARTER}-{total - 1}/{total}"}
    answer = ask("PUT", session, token=None, headers=beyond, data=content[2 * QUARTER :])
    assert (answer.status_code, "exceeds already uploaded size" in answer.text) == (400, True)
    odd = {"Content-Range": f"bytes {QUARTER}-{QUARTER + 9}/{total}"}
    assert ask("PUT", session, token=None, headers=odd, data=content[QUARTER : QUARTER + 10]).status_code == 400
    # What is there already is skipped.
    rest = {"Content-Range": f"bytes 100-{total - 1}/{total}"}
    answer = ask("PUT", session, token=None, headers=rest, data=content[100:])
    assert (answer.status_code, answer.json()["size"]) == (200, str(total))
    assert ask("PUT", session, token=None, headers={"Content-Range": "bytes */*"}).json()["name"] == "x"
    assert ask("GET", path_of(bucket, "x"), params={"alt": "media"}).content == content


def test_a_resumable_upload_that_breaks_keeps_whole_steps(ask, bucket, begin):
    content = os.urandom(3 * QUARTER)
    session = begin("x")
    to = urlsplit(session)
    with socket.create_connection((to.hostname, to.port)) as connection:
        head = f"PUT {to.path}?{to.query} HTTP/1.1\r\nHost: {to.netloc}\r\nContent-Length: {len(content)}\r\n\r\n"
        connection.sendall(head.encode() + content[: QUARTER + 1000])
    limit = time.monotonic() + 30
    kept = None
    while kept is None and time.monotonic() < limit:
        kept = ask("PUT", session, token=None, headers={"Content-Range": "bytes */*"}).headers.get("Range")
    assert kept == f"bytes=0-{QUARTER - 1}"
    assert ask("GET", path_of(bucket, "x")).status_code == 404
    total = len(content)
    rest = {"Content-Range": f"bytes {QUARTER}-{total - 1}/{total}"}
    assert ask("PUT", session, token=None, headers=rest, data=content[QUARTER:]).status_code == 200
    assert ask("GET", path_of(bucket, "x"), params={"alt": "media"}).content == content


def test_a_request_that_hangs_keeps_nobody_from_going_on(ask, bucket, begin):
    content = os.urandom(2 * QUARTER)
    session = begin("x")
    to = urlsplit(session)
    with socket.create_connection((to.hostname, to.port)) as hanging:
        head = f"PUT {to.path}?{to.query} HTTP/1.1\r\nHost: {to.netloc}\r\nContent-Length: {len(content)}\r\n\r\n"
        hanging.sendall(head.encode() + content[: QUARTER + 10])
        limit = time.monotonic() + 30
        kept = None
        while kept is None and time.monotonic() < limit:
            kept = ask("PUT", session, token=None, headers={"Content-Range": "bytes */*"}).headers.get("Range")
        assert kept == f"bytes=0-{QUARTER - 1}"
        rest = {"Content-Range": f"bytes {QUARTER}-{2 * QUARTER - 1}/{2 * QUARTER}"}
        assert ask("PUT", session, token=None, headers=rest, data=content[QUARTER:]).status_code == 200
        # What the one that hung still had to say comes too late.
        hanging.sendall(b"x" * (QUARTER - 10))
        assert hanging.recv(100) == b""
    assert ask("GET", path_of(bucket, "x"), params={"alt": "media"}).content == content


def test_a_cancelled_session(ask, begin):
    session = begin("x")
    assert ask("DELETE", session, token=None).status_code == 499
    assert ask("PUT", session, token=None, data=b"x").status_code == 499
    assert ask("PUT", session.replace("upload_id=", "upload_id=A"), token=None, data=b"x").status_code == 404


def test_conditions_and_digests_of_sessions(ask, bucket, begin, put):
    session = begin("x", ifGenerationMatch=0)
    put("x")
    assert ask("PUT", session, token=None, data=b"late").status_code == 412
    session = begin("y")
    answer = ask("PUT", session, token=None, headers={"x-goog-hash": "crc32c=AAAAAA=="}, data=b"content")
    assert answer.status_code == 400
    sized = begin("z", headers={"X-Upload-Content-Length": "5", "X-Upload-Content-Type": "a/b"})
    wrong = {"Content-Range": "bytes 0-3/4"}
    assert ask("PUT", sized, token=None, headers=wrong, data=b"four").status_code == 400
    assert ask("PUT", sized, token=None, data=b"fives").json()["contentType"] == "a/b"


@pytest.mark.parametrize("chunked", [False, True])
def test_broken_uploads_leave_nothing(ask, bucket, client, chunked, gcs):
    to = urlsplit(gcs.url)
    size = "Transfer-Encoding: chunked" if chunked else "Content-Length: 1000"
    head = f"POST {upload_path(bucket)}?uploadType=media&name=broken HTTP/1.1\r\nHost: {to.netloc}\r\n{size}\r\n"
    head += f"Authorization: Bearer {client._credentials.token}\r\n\r\n"
    with socket.create_connection((to.hostname, to.port)) as connection:
        connection.sendall(head.encode() + (b"64\r\n" if chunked else b"") + b"x" * 100)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""
    assert ask("GET", path_of(bucket, "broken")).status_code == 404


def test_bodies_in_chunks(ask, bucket):
    params = {"uploadType": "media", "name": "x"}
    assert ask("POST", upload_path(bucket), params=params, data=iter([b"ab", b"c" * 70_000])).status_code == 200
    assert ask("GET", path_of(bucket, "x"), params={"alt": "media"}).content == b"ab" + b"c" * 70_000


def test_bodies_are_asked_for(bucket, client, gcs):
    to = urlsplit(gcs.url)
    head = f"POST {upload_path(bucket)}?uploadType=media&name=x HTTP/1.1\r\nHost: {to.netloc}\r\nContent-Length: 3\r\n"
    with socket.create_connection((to.hostname, to.port)) as connection:
        token = f"Authorization: Bearer {client._credentials.token}\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall((head + token).encode())
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        # What will be refused is not asked for.
        connection.sendall((head + "Expect: 100-continue\r\n\r\n").encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 401 ")


def test_malformed_uploads(ask, bucket, put, reason_of):
    path, kind = upload_path(bucket), {"Content-Type": "multipart/related; boundary=mark"}
    for body in (b"", b"--mark--", b"--mark\r\n\r\n{}\r\n--mark\r\n\r\nx", b"--mark\r\n\r\n{}\r\n--mark--"):
        answer = ask("POST", path, params={"uploadType": "multipart", "name": "x"}, headers=kind, data=body)
        assert reason_of(answer).status == 400
    assert reason_of(ask("POST", path, params={"name": "x"}, data=b"")).status == 400
    assert reason_of(ask("POST", f"{path_of(bucket)}/o", json={"name": "x"})).reason == "wrongUrlForUpload"
    assert reason_of(ask("POST", path, params={"uploadType": "media"}, data=b"")).reason == "required"


@pytest.fixture
def parts(ask, bucket):
    """Begin an upload in parts: a function that sends requests about it."""
    answer = ask("POST", f"/{bucket.name}/in%20parts?uploads", headers={"Content-Type": "a/b", "x-goog-meta-k": "v"})
    upload = re.search("<UploadId>(.*?)</UploadId>", answer.text)[1]

    def send(method, number=None, upload=upload, headers=None, data=None, **params):
        query = {"uploadId": upload, **({"partNumber": number} if number else {}), **params}
        return ask(method, f"/{bucket.name}/in%20parts", params=query, headers=headers or {}, data=data)

    return send


def complete(parts, listed):
    told = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in listed)
    return parts("POST", data=f"<CompleteMultipartUpload>{told}</CompleteMultipartUpload>")


def code_of(answer):
    return answer.status_code, re.search("<Code>(.*?)</Code>", answer.text)[1]


def test_uploads_in_parts(ask, bucket, parts):
    first, last = os.urandom(5 * 1024 * 1024), b"the end"
    tags = {}
    for number, content in ((7, last), (2, first)):
        answer = parts("PUT", number, data=content)
        tags[number] = answer.headers["ETag"]
        assert tags[number] == f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
    found = parts("GET", **{"max-parts": 1}).text
    assert re.findall("<PartNumber>(.*?)</PartNumber>", found) == ["2"]
    assert "<NextPartNumberMarker>2</NextPartNumberMarker>" in found
    assert re.findall("<Size>(.*?)</Size>", parts("GET", **{"part-number-marker": 2}).text) == ["7"]
    assert re.findall("<Key>(.*?)</Key>", ask("GET", f"/{bucket.name}?uploads").text) == ["in parts"]
    assert code_of(complete(parts, [(7, tags[7]), (2, tags[2])])) == (400, "InvalidPartOrder")
    assert code_of(complete(parts, [(2, tags[7]), (7, tags[7])])) == (400, "InvalidPart")
    assert code_of(complete(parts, [])) == (400, "MalformedXML")
    answer = complete(parts, [(2, tags[2]), (7, tags[7])])
    assert (answer.status_code, "CompleteMultipartUploadResult" in answer.text) == (200, True)
    found = ask("GET", path_of(bucket, "in parts")).json()
    assert ("md5Hash" in found, found["size"]) == (False, str(len(first + last)))
    assert (found["contentType"], found["metadata"]) == ("a/b", {"k": "v"})
    assert ask("GET", f"/{bucket.name}/in%20parts").content == first + last
    assert code_of(parts("GET")) == (404, "NoSuchUpload")


def test_parts_that_are_refused(bucket, ask, parts):
    tags = [(number, parts("PUT", number, data=b"small").headers["ETag"]) for number in (1, 2)]
    assert code_of(complete(parts, tags)) == (400, "EntityTooSmall")
    assert code_of(parts("PUT", 1, headers={"Content-MD5": "AAAA"}, data=b"x")) == (400, "BadDigest")
    assert code_of(parts("PUT", 10_001, data=b"x")) == (400, "InvalidArgument")
    assert code_of(parts("PUT", 1, upload="none", data=b"x")) == (404, "NoSuchUpload")
    assert code_of(parts("PUT", 1, headers={"x-goog-if-generation-match": "0"}, data=b"x")) == (501, "NotImplemented")
    assert parts("DELETE").status_code == 204
    assert code_of(parts("PUT", 1, data=b"x")) == (404, "NoSuchUpload")
    assert "<Upload>" not in ask("GET", f"/{bucket.name}?uploads").text


def test_lists_of_uploads_have_pages(ask, bucket):
    for name in ("b", "a", "a", "c"):
        assert ask("POST", f"/{bucket.name}/{name}?uploads").status_code == 200
    seen, markers = [], {}
    while True:
        text = ask("GET", f"/{bucket.name}?uploads", params={"max-uploads": 1, **markers}).text
        seen += re.findall("<Key>(.*?)</Key>", text)
        if "<IsTruncated>true" not in text:
            break
        markers = {
            "key-marker": re.search("<NextKeyMarker>(.*?)<", text)[1],
            "upload-id-marker": re.search("<NextUploadIdMarker>(.*?)<", text)[1],
        }
    assert seen == ["a", "a", "b", "c"]
    after = ask("GET", f"/{bucket.name}?uploads", params={"key-marker": "a"}).text
    assert re.findall("<Key>(.*?)</Key>", after) == ["b", "c"]


def test_batches(ask, bucket, put):
    put("x")
    calls = [
        f"GET {path_of(bucket, 'x')} HTTP/1.1\r\n\r\n",
        f'PATCH {path_of(bucket, "x")} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{{"metadata": {{"a": "1"}}}}',
        f"DELETE {path_of(bucket, 'none')} HTTP/1.1\r\n\r\n",
        f"DELETE {path_of(bucket, 'x')} HTTP/1.1\r\n\r\n",
    ]

    def send(calls):
        parts = "".join(
            f"--m\r\nContent-Type: application/http\r\nContent-ID: <id+{number}>\r\n\r\n{call}\r\n"
            for number, call in enumerate(calls)
        )
        kind = {"Content-Type": "multipart/mixed; boundary=m"}
        return ask("POST", "/batch/storage/v1", headers=kind, data=f"{parts}--m--")

    text = send(calls).text
    assert re.findall(r"HTTP/1\.1 (\d+)", text) == ["200", "200", "404", "204"]
    assert re.findall("Content-ID: <(.*?)>", text) == [f"response-id+{number}" for number in range(4)]
    assert send(calls[:1] * 101).status_code == 400
    assert send([]).status_code == 400
    assert send([f"GET {path_of(bucket, 'x')}?alt=media HTTP/1.1\r\n\r\n"]).status_code == 400


def test_own_keys_are_checked(ask, bucket, reason_of):
    key = os.urandom(32)
    right = {
        "x-goog-encryption-algorithm": "AES256",
        "x-goog-encryption-key": base64.b64encode(key).decode(),
        "x-goog-encryption-key-sha256": base64.b64encode(hashlib.sha256(key).digest()).decode(),
    }
    wrong = {
        "customerEncryptionAlgorithmIsInvalid": {"x-goog-encryption-algorithm": "ROT13"},
        "customerEncryptionKeyFormatIsInvalid": {"x-goog-encryption-key": "AAAA"},
        "customerEncryptionKeySha256IsInvalid": {"x-goog-encryption-key-sha256": "AAAA"},
    }
    params = {"uploadType": "media", "name": "x"}
    for reason, headers in wrong.items():
        answer = ask("POST", upload_path(bucket), params=params, headers={**right, **headers}, data=b"x")
        assert reason_of(answer).reason == reason
    found = ask("POST", upload_path(bucket), params=params, headers=right, data=b"x").json()
    assert found["customerEncryption"] == {
        "encryptionAlgorithm": "AES256",
        "keySha256": right["x-goog-encryption-key-sha256"],
    }
    answer = ask("GET", f"/{bucket.name}/x")
    assert code_of(answer) == (400, "ResourceIsEncryptedWithCustomerEncryptionKey")


def test_keys_of_the_key_management_are_noted(bucket, put):
    key = "projects/p/locations/eu/keyRings/r/cryptoKeys/k"
    assert put("x", kmsKeyName=key)["kmsKeyName"] == f"{key}/cryptoKeyVersions/1"


def test_one_of_many_writers_wins(ask, bucket):
    answers = []

    def write(number):
        params = {"uploadType": "media", "name": "x", "ifGenerationMatch": 0}
        answers.append(ask("POST", upload_path(bucket), params=params, data=str(number)).status_code)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [412] * 7


def test_answers_say_which_they_are(ask, bucket):
    seen = {ask("GET", path_of(bucket)).headers["X-GUploader-UploadID"] for _ in range(3)}
    assert len(seen) == 3


def test_resources_are_json(ask, bucket):
    found = ask("GET", path_of(bucket))
    assert found.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert json.loads(found.content)["kind"] == "storage#bucket"
