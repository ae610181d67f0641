"""Uploads that take several requests, and those that break, by plain requests."""

import hashlib
import os
import re
import socket
import time
from urllib.parse import urlsplit

import pytest
from servers.gcs.probing import QUARTER, code_of, path_of, upload_path


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


def test_lines_that_end_with_a_line_feed_only(ask, bucket):
    content = b"a\nb\r\n--mar\n\nc\n"
    described = b'--mark\nContent-Type: application/json\n\n{"name": "x", "metadata": {"a": "1"}}'
    body = described + b"\n--mark\nContent-Type: x/y\n\n" + content + b"\n--mark--"
    kind = {"Content-Type": 'multipart/related; boundary="mark"'}
    told = ask("POST", upload_path(bucket), params={"uploadType": "multipart"}, headers=kind, data=body).json()
    assert (told["contentType"], told["metadata"], told["size"]) == ("x/y", {"a": "1"}, str(len(content)))
    assert ask("GET", path_of(bucket, "x"), params={"alt": "media"}).content == content


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
