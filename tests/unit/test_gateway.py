"""The gateway over real connections: what was signed works, whatever else is asked for gets one and the same answer."""

from __future__ import annotations

import base64
import errno
import hashlib
import http.client
import io
import os
import re
import signal
import socket
import threading
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from servers.process import free_ports

from cloudbridge_store import errors
from cloudbridge_store.drivers.base import (
    READ_ALL,
    Body,
    Capabilities,
    Download,
    MiB,
    PutOptions,
    ReadOptions,
    SignOptions,
)
from cloudbridge_store.drivers.gateway import UrlGateway
from cloudbridge_store.drivers.gateway.handler import Handler
from cloudbridge_store.drivers.memory import MemoryDriver

NOW = 1_800_000_000
WEEK = 7 * 86_400
PLAIN = SignOptions()
METHODS = ("GET", "HEAD", "PUT", "DELETE")
TEN = b"0123456789"
ETAG = f'"{hashlib.md5(TEN).hexdigest()}"'


class Content(Body):
    def __init__(self, content):
        self.content = content
        self.size = len(content)

    def open(self):
        return io.BytesIO(self.content)


class Clock:
    def __init__(self):
        self.time = float(NOW)

    def __call__(self):
        return self.time


class Client:
    """One connection to a gateway; requests leave it byte by byte as they were written."""

    def __init__(self, gateway):
        address = urlsplit(gateway.base_url)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, method, target, headers=(), body=b""):
        lines = [f"{method} {target} HTTP/1.1", "Host: gateway"]
        lines += [f"{name}: {value}" for name, value in dict(headers).items()]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return self

    def answer(self, method="GET"):
        """Return status, headers with small names, and body."""
        answer = http.client.HTTPResponse(self.socket, method=method)
        answer.begin()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        body = answer.read()
        answer.close()
        return answer.status, headers, body

    def is_closed(self):
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


class Store:
    """A gateway over a bucket ``b`` that holds ``a``."""

    def __init__(self, driver=None):
        self.driver = driver or MemoryDriver()
        self.clock = Clock()
        self.gateway = UrlGateway(self.driver, b"secret" * 6, now=self.clock)
        self.driver.create_bucket("b")
        self.put("a", TEN, content_type="text/x-ten")
        self.driver.create_bucket("c")
        self.driver.copy_object("b", "a", "c", "a")

    def put(self, key, content, **options):
        self.driver.put_object("b", key, Content(content), PutOptions(**options))

    def read(self, key):
        return self.driver.get_object("b", key, ReadOptions()).stream.read(-1)

    def keys(self):
        return [info.key for info in self.driver.list_objects("b").items]

    def sign(self, method="GET", key="a", seconds=60, **options):
        url = self.gateway.sign("b", key, method, seconds, SignOptions(**options)).url
        assert url.startswith(f"{self.gateway.base_url}/")
        return url.removeprefix(self.gateway.base_url)

    def request(self, method, target, headers=(), body=b""):
        headers = dict(headers)
        if body:
            headers.setdefault("Content-Length", len(body))
        with Client(self.gateway) as client:
            return client.send(method, target, headers, body).answer(method)

    def fetch(self, method="GET", key="a", headers=(), body=b"", **options):
        if method == "PUT":
            headers = {"Content-Length": len(body), **dict(headers)}
        return self.request(method, self.sign(method, key, **options), headers, body)


@pytest.fixture
def store():
    made = Store()
    yield made
    made.gateway.close()


@pytest.fixture(scope="module")
def shared():
    made = Store()
    yield made
    made.gateway.close()


def store_of(kind, request):
    made = Store(kind())
    request.addfinalizer(made.gateway.close)
    return made


def assert_refused(answer, method="GET"):
    status, headers, body = answer
    assert (status, body) == (403, b"" if method == "HEAD" else b"Forbidden\n")
    assert headers.keys() - {"connection"} == {
        "server",
        "date",
        "content-type",
        "content-length",
        "referrer-policy",
        "x-content-type-options",
    }


def assert_untouched(store):
    assert store.keys() == ["a"]
    assert store.read("a") == TEN


# The four methods


def test_get(store):
    status, headers, body = store.fetch()
    assert (status, body) == (200, TEN)
    assert headers["etag"] == ETAG
    assert headers["content-type"] == "text/x-ten"
    assert headers["content-length"] == "10"
    assert headers["accept-ranges"] == "bytes"
    assert headers["server"] == "cloudbridge_store"
    assert headers["referrer-policy"] == "no-referrer"
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", headers["last-modified"])


def test_head_is_get_without_its_body(store):
    got, head = store.fetch("GET"), store.fetch("HEAD")
    assert (head[0], head[2]) == (200, b"")
    assert {**head[1], "date": ""} == {**got[1], "date": ""}


def test_put(store):
    headers = {
        "Content-Type": "text/x-new",
        "Cache-Control": "no-store",
        "Content-Disposition": "inline",
        "Content-Encoding": "br",
        "Content-Language": "de",
        "x-ms-blob-type": "BlockBlob",
    }
    status, answered, body = store.fetch("PUT", "new/ä", headers, b"content")
    assert (status, body) == (200, b"")
    assert answered["etag"] == f'"{hashlib.md5(b"content").hexdigest()}"'
    assert store.read("new/ä") == b"content"
    served = store.fetch(key="new/ä")[1]
    for name in ("Content-Type", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language"):
        assert served[name.lower()] == headers[name]


def test_put_of_nothing(store):
    assert store.fetch("PUT", "empty")[0] == 200
    assert store.read("empty") == b""
    status, headers, body = store.fetch(key="empty")
    assert (status, headers["content-length"], body) == (200, "0", b"")


def test_delete(store):
    status, headers, body = store.fetch("DELETE")
    assert (status, body) == (204, b"")
    assert "content-length" not in headers
    assert store.keys() == []
    assert store.fetch("DELETE")[0] == 204


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_missing(store, method):
    assert store.fetch(method, "none")[0] == 404
    target = store.gateway.sign("none", "a", method, 60, PLAIN).url.removeprefix(store.gateway.base_url)
    assert store.request(method, target)[0] == 404


KEYS = [
    "a b",
    "a+b",
    "a%2Fb",
    "a%252Fb",
    "a/b",
    "a//b",
    "/a",
    "//a",
    "a/",
    "a//",
    "/",
    "//",
    "a?b",
    "a?cbs-expires=1",
    "a#b",
    "a&b=c",
    "a;b",
    "a\\b",
    "a:b@c",
    "http://x/y",
    "%",
    "%00",
    "~a",
    "'\"<>",
    "ä",
    "a\u0308",
    "日本語/🎉",
    "\ufffd",
    "a/./b",
    "a/../b",
    "..",
    "../b/a",
    "x" * 1024,
]


@pytest.mark.parametrize("key", KEYS)
def test_each_key_is_itself(store, key):
    others = {other for other in KEYS if other != key} - {"a"}
    for other in others:
        store.put(other, b"other")
    assert store.fetch("PUT", key, body=b"mine")[0] == 200
    assert store.read(key) == b"mine"
    assert store.fetch("GET", key)[2] == b"mine"
    assert store.fetch("DELETE", key)[0] == 204
    assert set(store.keys()) == others | {"a"}


def test_each_bucket_is_itself(store):
    for bucket in ("b/c", "b%2Fc", "b c", "ü", ".."):
        store.driver.create_bucket(bucket)
        store.driver.put_object(bucket, "a", Content(bucket.encode()), PutOptions())
        target = store.gateway.sign(bucket, "a", "GET", 60, PLAIN).url.removeprefix(store.gateway.base_url)
        assert store.request("GET", target)[2] == bucket.encode()


# Ranges and conditions

RANGES = [
    ("bytes=0-0", 0, 1),
    ("bytes=0-9", 0, 10),
    ("bytes=0-", 0, 10),
    ("bytes=3-5", 3, 6),
    ("bytes=9-9", 9, 10),
    ("bytes=5-", 5, 10),
    ("bytes=5-999999999999", 5, 10),
    ("bytes=-1", 9, 10),
    ("bytes=-10", 0, 10),
    ("bytes=-99", 0, 10),
    ("BYTES=3-5", 3, 6),
    (" bytes=3-5 ", 3, 6),
]


@pytest.mark.parametrize(("field", "start", "stop"), RANGES)
def test_ranges(store, field, start, stop):
    status, headers, body = store.fetch(headers={"Range": field})
    assert (status, body) == (206, TEN[start:stop])
    assert headers["content-range"] == f"bytes {start}-{stop - 1}/10"
    assert headers["content-length"] == str(stop - start)
    assert headers["etag"] == ETAG


@pytest.mark.parametrize("field", ["bytes=10-", "bytes=10-20", "bytes=99-", "bytes=-0"])
def test_ranges_that_nothing_is_in(store, field):
    status, headers, body = store.fetch(headers={"Range": field})
    assert (status, headers["content-range"]) == (416, "bytes */10")
    assert body.endswith(b"Range Not Satisfiable\n")


@pytest.mark.parametrize(
    "field",
    [
        "bytes=5-3",
        "bytes=-",
        "bytes=",
        "bytes=0-1,3-4",
        "bytes=a-b",
        "bytes=1",
        "lines=0-1",
        "",
        "bytes=٣-٥",
        f"bytes=0-{10**30}",
    ],
)
def test_ranges_that_are_none_are_ignored(store, field):
    status, headers, body = store.fetch(headers={"Range": field.encode().decode("latin-1")})
    assert (status, body) == (200, TEN)
    assert "content-range" not in headers


def test_ranges_of_nothing(store):
    store.put("empty", b"")
    assert store.fetch(key="empty", headers={"Range": "bytes=0-"})[0] == 416
    assert store.fetch(key="empty", headers={"Range": "bytes=-5"})[0] == 200


def test_head_has_no_ranges(store):
    status, headers, _ = store.fetch("HEAD", headers={"Range": "bytes=0-1"})
    assert (status, headers["content-length"]) == (200, "10")


PAST, FUTURE = "Mon, 06 Sep 2010 00:00:00 GMT", "Fri, 06 Sep 2120 00:00:00 GMT"
OTHER = '"other"'


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": ETAG}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": f"{OTHER}, {ETAG}"}, 200),
        ({"If-Match": ETAG.strip('"')}, 200),
        ({"If-Match": OTHER}, 412),
        ({"If-Match": f"W/{ETAG}"}, 412),
        ({"If-Match": ""}, 412),
        ({"If-Match": OTHER, "If-None-Match": ETAG}, 412),
        ({"If-Match": ETAG, "If-Unmodified-Since": PAST}, 200),
        ({"If-Unmodified-Since": PAST}, 412),
        ({"If-Unmodified-Since": FUTURE}, 200),
        ({"If-Unmodified-Since": "yesterday"}, 200),
        ({"If-None-Match": ETAG}, 304),
        ({"If-None-Match": f"W/{ETAG}"}, 304),
        ({"If-None-Match": f"{OTHER},{ETAG}"}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": OTHER}, 200),
        ({"If-None-Match": OTHER, "If-Modified-Since": FUTURE}, 200),
        ({"If-Modified-Since": FUTURE}, 304),
        ({"If-Modified-Since": PAST}, 200),
        ({"If-Modified-Since": "Fri, 06 Sep 99999999999 00:00:00 GMT"}, 200),
    ],
)
def test_conditional_reads(store, method, headers, status):
    answer = store.fetch(method, headers=headers)
    assert answer[0] == status
    assert answer[2] == {200: TEN, 304: b"", 412: b"Precondition Failed\n"}[status] * (method == "GET")
    if status == 304:
        assert answer[1]["etag"] == ETAG


def test_last_modified_is_a_condition(store):
    modified = store.fetch("HEAD")[1]["last-modified"]
    assert store.fetch(headers={"If-Modified-Since": modified})[0] == 304
    assert store.fetch(headers={"If-Unmodified-Since": modified})[0] == 200
    assert store.fetch(headers={"Range": "bytes=0-1", "If-Range": modified})[0] == 206


@pytest.mark.parametrize(
    ("validator", "status"), [(ETAG, 206), (OTHER, 200), (f"W/{ETAG}", 200), (PAST, 200), ("", 200)]
)
def test_if_range(store, validator, status):
    assert store.fetch(headers={"Range": "bytes=0-1", "If-Range": validator})[0] == status


@pytest.mark.parametrize(
    ("key", "headers", "status"),
    [
        ("a", {"If-Match": ETAG}, 200),
        ("a", {"If-Match": "*"}, 200),
        ("a", {"If-Match": f"{OTHER}, {ETAG}"}, 200),
        ("a", {"If-Match": OTHER}, 412),
        ("a", {"If-None-Match": "*"}, 412),
        ("a", {"If-Match": ETAG, "If-None-Match": "*"}, 412),
        ("a", {"If-None-Match": OTHER}, 501),
        ("a", {"If-Unmodified-Since": FUTURE}, 501),
        ("new", {"If-None-Match": "*"}, 200),
        ("new", {"If-Match": "*"}, 412),
        ("new", {"If-Match": ETAG}, 412),
    ],
)
def test_conditional_writes(store, key, headers, status):
    assert store.fetch("PUT", key, headers, b"new")[0] == status
    if status == 200:
        assert store.read(key) == b"new"
    else:
        assert_untouched(store)


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match", "If-Unmodified-Since"])
def test_conditions_of_a_delete_are_not_ignored(store, name):
    assert store.fetch("DELETE", headers={name: "*"})[0] == 501
    assert_untouched(store)


# What a signature binds

DISPOSITION = "attachment; filename=\"a b;c&d.txt\"; filename*=UTF-8''%C3%A4%2F.txt"


def test_overrides(store):
    status, headers, _ = store.fetch(content_type="text/html; charset=x", content_disposition=DISPOSITION)
    assert (status, headers["content-type"], headers["content-disposition"]) == (
        200,
        "text/html; charset=x",
        DISPOSITION,
    )
    assert store.fetch(content_type="a/b")[1]["content-type"] == "a/b"
    assert store.fetch(content_disposition="inline")[1]["content-disposition"] == "inline"


@pytest.mark.parametrize("value", ["", " ", "a\r\nSet-Cookie: x", "a\nb", "a\0", "ä", " a", "a ", "\x7f", "a\tb"])
@pytest.mark.parametrize("name", ["content_type", "content_disposition"])
def test_overrides_that_are_no_header_are_not_signed(store, name, value):
    with pytest.raises(errors.InvalidValueException, match=name):
        store.sign(**{name: value})


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("PUT", {"content_disposition": "inline"}),
        ("HEAD", {"content_type": "a/b"}),
        ("DELETE", {"content_type": "a/b"}),
        ("POST", {}),
        ("get", {}),
    ],
)
def test_what_has_no_place_is_not_signed(store, method, options):
    with pytest.raises(errors.InvalidValueException):
        store.sign(method, **options)


@pytest.mark.parametrize("seconds", [0, -1, WEEK + 1])
def test_a_life_has_bounds(store, seconds):
    with pytest.raises(errors.InvalidValueException, match="expires_in"):
        store.sign(seconds=seconds)


def test_a_bound_content_type_is_required(store):
    signed = store.gateway.sign("b", "n", "PUT", 60, SignOptions(content_type="text/csv"))
    target = signed.url.removeprefix(store.gateway.base_url)
    assert (signed.method, signed.headers) == ("PUT", {"Content-Type": "text/csv"})
    for headers in ({}, {"Content-Type": "text/html"}, {"Content-Type": "text/csv; charset=x"}, {"Content-Type": ""}):
        assert_refused(store.request("PUT", target, headers, b"x"))
    smuggled = f"{target}&response-content-type={quote('text/csv', safe='')}"
    assert_refused(store.request("PUT", smuggled, {"Content-Type": "text/html"}, b"x"))
    assert_untouched(store)
    assert store.request("PUT", target, signed.headers, b"x")[0] == 200
    assert store.driver.head_object("b", "n").content_type == "text/csv"


def test_the_url_is_a_secret(store):
    signed = store.gateway.sign("b", "a", "GET", 60, PLAIN)
    assert signed.url not in repr(signed)
    assert signed.headers == {}


# Refusals


def mutations(target, put_target):
    path, _, query = target.partition("?")
    expires, signature = query.split("&")
    later = f"cbs-expires={NOW + 61}"
    return {
        "no query": path,
        "empty query": f"{path}?",
        "no signature": f"{path}?{expires}",
        "no expiry": f"{path}?{signature}",
        "empty signature": f"{path}?{expires}&cbs-signature=",
        "short signature": f"{path}?{expires}&{signature[:-1]}",
        "long signature": f"{path}?{expires}&{signature}0",
        "zero signature": f"{path}?{expires}&cbs-signature={'0' * 64}",
        "capital signature": f"{path}?{expires}&cbs-signature={signature[14:].upper()}",
        "another's signature": f"{path}?{put_target.partition('?')[2]}",
        "later expiry": f"{path}?{later}&{signature}",
        "two expiries": f"{path}?{expires}&{later}&{signature}",
        "two equal expiries": f"{path}?{expires}&{expires}&{signature}",
        "two signatures": f"{path}?{query}&{signature}",
        "another order": f"{path}?{signature}&{expires}",
        "unknown parameter": f"{path}?{query}&x=1",
        "unknown parameter first": f"{path}?x=1&{query}",
        "empty parameter": f"{path}?{query}&",
        "empty parameter between": f"{path}?{expires}&&{signature}",
        "semicolon": f"{path}?{expires};{signature}",
        "second question mark": f"{path}??{query}",
        "override": f"{path}?{query}&response-content-type=text%2Fhtml",
        "empty override": f"{path}?{query}&response-content-type=",
        "disposition": f"{path}?{query}&response-content-disposition=inline",
        "expiry with a sign": f"{path}?cbs-expires=+{expires[12:]}&{signature}",
        "expiry with a zero": f"{path}?cbs-expires=0{expires[12:]}&{signature}",
        "expiry with a space": f"{path}?cbs-expires=%20{expires[12:]}&{signature}",
        "expiry with a fraction": f"{path}?{expires}.0&{signature}",
        "expiry with an underscore": f"{path}?{expires[:15]}_{expires[15:]}&{signature}",
        "expiry in hexadecimal": f"{path}?cbs-expires={NOW + 60:#x}&{signature}",
        "expiry that is huge": f"{path}?cbs-expires={'9' * 5000}&{signature}",
        "negative expiry": f"{path}?cbs-expires=-{expires[12:]}&{signature}",
        "encoded name": f"{path}?cbs%2Dexpires={expires[12:]}&{signature}",
        "capital name": f"{path}?CBS-expires={expires[12:]}&{signature}",
        "encoded letter": f"/b/%61?{query}",
        "encoded bucket": f"/%62/a?{query}",
        "encoded slash": f"/b%2Fa?{query}",
        "twice encoded": f"/b/%2561?{query}",
        "two slashes in front": f"//b/a?{query}",
        "two slashes": f"/b//a?{query}",
        "slash behind": f"/b/a/?{query}",
        "dot segment": f"/b/./a?{query}",
        "dot segments": f"/b/x/../a?{query}",
        "bucket through dots": f"/c/../b/a?{query}",
        "backslash": f"/b\\a?{query}",
        "path parameter": f"/b/a;x?{query}",
        "fragment": f"{path}?{query}#x",
        "fragment in front": f"{path}#x?{query}",
        "another key": f"/b/c?{query}",
        "another bucket": f"/c/a?{query}",
        "no key": f"/b/?{query}",
        "no bucket": f"//a?{query}",
        "bucket alone": f"/b?{query}",
        "root": f"/?{query}",
        "star": "*",
        "absolute": f"http://gateway{target}",
        "invalid UTF-8": f"/b/%FF?{query}",
        "cut escape": f"/b/a%?{query}",
        "NUL": f"/b/a%00?{query}",
        "raw byte": f"/b/\xe9?{query}",
        "space": f"/b/a ?{query}",
        "no-break space": f"/b/a\xa0?{query}",
        "tab": f"/b/a\t?{query}",
        "too long": f"/b/{'a' * 60_000}?{query}",
    }


@pytest.mark.parametrize("how", mutations("/b/a?cbs-expires=1&cbs-signature=0", ""))
@pytest.mark.parametrize("method", METHODS)
def test_whatever_was_not_signed_is_refused(shared, method, how):
    target = mutations(shared.sign(method), shared.sign("HEAD" if method == "PUT" else "PUT"))[how]
    body = b"evil" if method == "PUT" else b""
    assert_refused(shared.request(method, target, body=body), method)
    assert_untouched(shared)


@pytest.mark.parametrize("method", [*METHODS, "POST", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "PROPFIND", "X"])
@pytest.mark.parametrize("signed", METHODS)
def test_only_the_method_that_was_signed_is_allowed(shared, signed, method):
    if signed == method:
        assert shared.request(method, shared.sign(signed, "none"))[0] in (204, 404, 411)
        return
    answer = shared.request(method, shared.sign(signed), {"Origin": "http://x", "Access-Control-Request-Method": "GET"})
    assert_refused(answer, method)
    assert_untouched(shared)


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_byte_can_be_changed(shared, data):
    target = shared.sign("GET", content_disposition="inline")
    position = data.draw(st.integers(0, len(target) - 1))
    byte = chr(data.draw(st.integers(0, 255)))
    assume(byte not in ("\n", "\r", target[position]))
    assert_refused(shared.request("GET", target[:position] + byte + target[position + 1 :]))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_piece_can_be_cut_out_or_doubled(shared, data):
    target = shared.sign("DELETE")
    start = data.draw(st.integers(0, len(target) - 1))
    stop = data.draw(st.integers(start + 1, len(target)))
    doubled = target[:stop] + target[start:stop] + target[stop:]
    for changed in (target[:start] + target[stop:], doubled):
        assume(changed)
        assert_refused(shared.request("DELETE", changed))
    assert_untouched(shared)


def test_a_life_ends(store):
    target = store.sign(seconds=60)
    store.clock.time = NOW + 59.9
    assert store.request("GET", target)[0] == 200
    for moment in (NOW + 60, NOW + 61, NOW + WEEK):
        store.clock.time = moment
        assert_refused(store.request("GET", target))


def test_a_life_may_be_a_week_and_no_clock_makes_it_longer(store):
    store.clock.time = NOW + 0.5
    target = store.sign(seconds=WEEK)
    assert store.request("GET", target)[0] == 200
    store.clock.time = NOW - 5
    assert_refused(store.request("GET", target))


def test_secrets_differ(store):
    other = UrlGateway(store.driver, b"another", store.gateway.base_url, now=store.clock)
    target = other.sign("b", "a", "GET", 60, PLAIN).url.removeprefix(store.gateway.base_url)
    assert_refused(store.request("GET", target))
    with pytest.raises(errors.InvalidConfigurationException):
        UrlGateway(store.driver, b"")


def test_equal_secrets_serve_each_other(store):
    other = UrlGateway(store.driver, b"secret" * 6, f"{store.gateway.base_url}/", now=store.clock)
    url = other.sign("b", "a", "GET", 60, PLAIN).url
    assert url == store.gateway.base_url + store.sign()
    assert other.base_url == store.gateway.base_url


# Bodies


def body_headers(body, **more):
    return {"Content-Length": len(body), **more}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Transfer-Encoding": "chunked"}, 411),
        ({"Transfer-Encoding": "chunked", "Content-Length": "4"}, 411),
        ({"Transfer-Encoding": "identity"}, 411),
        ({}, 411),
        ({"Content-Length": "-1"}, 400),
        ({"Content-Length": "+4"}, 400),
        ({"Content-Length": "4x"}, 400),
        ({"Content-Length": "٤".encode().decode("latin-1")}, 400),
        ({"Content-Length": "4", "content-length": "4"}, 400),
        ({"Content-Length": "4, 4"}, 400),
        ({"Content-Length": str(5 * 1024**3 + 1)}, 413),
        ({"Content-Length": "4", "Content-MD5": "x"}, 400),
        ({"Content-Length": "4", "Content-MD5": "AAAA"}, 400),
        ({"Content-Length": "4", "Content-Type": "a/b\r\n c"}, 400),
        ({"Content-Length": "4", "Cache-Control": "é"}, 400),
        ({"Content-Length": "4", "Content-Disposition": "a\r\n\tb"}, 400),
    ],
)
def test_bodies_that_cannot_be_read_are_refused_and_end_the_connection(store, headers, status):
    with Client(store.gateway) as client:
        answer = client.send("PUT", store.sign("PUT"), headers, b"evil").answer("PUT")
        assert answer[0] == status
        if headers:
            assert answer[1]["connection"] == "close"
            client.socket.shutdown(socket.SHUT_WR)
            assert client.is_closed()
    assert_untouched(store)


@pytest.mark.parametrize("size", [0, 1, 100_000, 20 * MiB])
def test_bodies_of_all_sizes(store, size):
    content = os.urandom(min(size, MiB)) * max(1, size // MiB)
    digest = base64.b64encode(hashlib.md5(content).digest()).decode()
    assert store.fetch("PUT", "new", body_headers(content, **{"Content-MD5": digest}), content)[0] == 200
    assert store.read("new") == content
    assert store.fetch(key="new")[2] == content


def test_a_wrong_digest_stores_nothing(store):
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    with Client(store.gateway) as client:
        client.send("PUT", store.sign("PUT"), body_headers(b"content", **{"Content-MD5": wrong}), b"content")
        assert client.answer("PUT")[0] == 400
        assert client.send("GET", store.sign()).answer()[2] == TEN
    assert_untouched(store)


@pytest.mark.parametrize("sent", [0, 1, 99])
def test_a_client_that_leaves_stores_nothing(store, sent):
    for key in ("a", "new"):
        with Client(store.gateway) as client:
            client.send("PUT", store.sign("PUT", key), {"Content-Length": 100}, b"x" * sent)
            client.socket.shutdown(socket.SHUT_WR)
            assert client.is_closed()
    assert_untouched(store)


def test_a_client_that_stalls_is_given_up(store, monkeypatch):
    monkeypatch.setattr(Handler, "timeout", 0.01)
    for request in (b"", b"GET /b", f"PUT {store.sign('PUT')} HTTP/1.1\r\nContent-Length: 9\r\n\r\nxx".encode()):
        with Client(store.gateway) as client:
            client.socket.sendall(request)
            assert client.is_closed()
    assert_untouched(store)


def test_a_body_is_asked_for_when_it_is_wanted(store):
    with Client(store.gateway) as client:
        client.send("PUT", store.sign("PUT", "new"), {"Content-Length": "4", "Expect": "100-continue"})
        with client.socket.makefile("rb") as file:
            assert [file.readline(), file.readline()] == [b"HTTP/1.1 100 Continue\r\n", b"\r\n"]
        client.socket.sendall(b"body")
        assert client.answer("PUT")[0] == 200
    assert store.read("new") == b"body"


@pytest.mark.parametrize(
    ("sign", "headers", "status"),
    [("GET", {}, 403), ("PUT", {"If-Match": OTHER}, 412), ("PUT", {"Content-MD5": "x"}, 400)],
)
def test_a_body_is_not_asked_for_when_it_is_not_wanted(store, sign, headers, status):
    with Client(store.gateway) as client:
        client.send("PUT", store.sign(sign), {"Content-Length": "4", "Expect": "100-continue", **headers})
        assert client.socket.recv(12, socket.MSG_WAITALL) == f"HTTP/1.1 {status}".encode()
    assert_untouched(store)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET", "POST"])
@pytest.mark.parametrize("signed", ["HEAD", "DELETE"])
def test_the_body_of_a_refused_request_is_no_request(store, method, signed):
    evil = f"DELETE {store.sign('DELETE')} HTTP/1.1\r\n\r\n".encode()
    target = store.sign(signed, "other")
    for headers in ({"Content-Length": len(evil)}, {"Transfer-Encoding": "chunked"}):
        with Client(store.gateway) as client:
            client.send(method, target, headers, evil)
            status, answered, _ = client.answer(method)
            assert status == (204 if method == signed else 403)
            assert answered["connection"] == "close"
            client.socket.shutdown(socket.SHUT_WR)
            assert client.is_closed()
    assert_untouched(store)


def test_a_large_refused_body_does_not_swallow_the_refusal(store):
    body = bytes(4 * MiB)
    assert_refused(store.request("PUT", store.sign("GET"), body_headers(body), body))


def test_connections_are_kept(store):
    with Client(store.gateway) as client:
        for _ in range(3):
            assert client.send("GET", store.sign()).answer()[2] == TEN
            assert client.send("HEAD", store.sign("HEAD")).answer("HEAD")[0] == 200
            assert client.send("HEAD", store.sign("GET")).answer("HEAD")[0] == 403
            assert client.send("PUT", store.sign("PUT"), {"Content-Length": 10}, TEN).answer("PUT")[0] == 200
            assert client.send("GET", store.sign(), {"If-None-Match": "*"}).answer()[0] == 304
            assert client.send("GET", store.sign(), {"Range": "bytes=99-"}).answer()[0] == 416
            assert client.send("DELETE", store.sign("DELETE", "none")).answer("DELETE")[0] == 204
            assert_refused(client.send("OPTIONS", store.sign()).answer("OPTIONS"))
        client.send("GET", store.sign()).send("GET", store.sign("GET", "none"))
        with client.socket.makefile("rb") as file:
            client.socket.shutdown(socket.SHUT_WR)
            assert re.findall(rb"HTTP/1.1 (\d+)", file.read()) == [b"200", b"404"]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET /", b"Forbidden\n"),
        ("POST /", b"Forbidden\n"),
        ("GET / HTTP/x", b"Forbidden\n"),
        ("GET / HTTP/2.0", b"HTTP Version Not Supported\n"),
        ("GET /" + "a" * 70_000 + " HTTP/1.1", b"URI Too Long\n"),
        ("GET  /b/a HTTP/1.1", b"Forbidden\n"),
    ],
)
def test_lines_that_are_no_request(store, line, status):
    with Client(store.gateway) as client, client.socket.makefile("rb") as file:
        client.socket.sendall(f"{line}\r\n\r\n".encode())
        client.socket.shutdown(socket.SHUT_WR)
        assert file.read().endswith(status)


def test_too_many_headers(store):
    status, headers, _ = store.request("GET", store.sign(), {f"X-{n}": "" for n in range(200)})
    assert (status, headers["connection"]) == (431, "close")


@pytest.mark.parametrize("form", ["GET\t{} HTTP/1.1", "GET {}  HTTP/1.1", "GET {}\tHTTP/1.1", " GET {} HTTP/1.1"])
def test_separators_are_single_spaces(store, form):
    with Client(store.gateway) as client:
        client.socket.sendall(f"{form.format(store.sign())}\r\n\r\n".encode())
        assert_refused(client.answer())


def test_requests_from_before_http_1_are_refused(store):
    with Client(store.gateway) as client, client.socket.makefile("rb") as file:
        client.socket.sendall(f"GET {store.sign()}\r\n\r\n".encode())
        assert file.read() == b"Forbidden\n"


def test_http_1_0_is_served_and_ends_the_connection(store):
    with Client(store.gateway) as client:
        client.socket.sendall(f"GET {store.sign()} HTTP/1.0\r\n\r\n".encode())
        assert client.answer()[2] == TEN
        assert client.is_closed()


# What the driver says


class Failing(MemoryDriver):
    error: Exception

    def delete_object(self, bucket, key, version=None):
        raise self.error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.BucketNotFoundError(), 404),
        (errors.ObjectChangedError(), 412),
        (errors.InvalidRequestError(), 400),
        (errors.BucketNotEmptyError(), 409),
        (errors.ArchivedError(), 409),
        (errors.QuotaExceededError(), 507),
        (errors.LocalIOError(errno=errno.ENOSPC), 507),
        (OSError(errno.ENOSPC, "full"), 507),
        (errors.LocalIOError(errno=errno.EACCES), 500),
        (errors.PermissionDeniedError(), 500),
        (errors.UnsupportedOperationError(), 501),
        (errors.ServiceUnavailableError(), 503),
        (errors.OperationTimeoutError(), 500),
        (errors.ConnectionFailedError(), 500),
        (ZeroDivisionError("secret detail"), 500),
    ],
)
def test_errors_have_a_status_and_no_details(request, caplog, error, status):
    store = store_of(Failing, request)
    store.driver.error = error
    target = store.sign("DELETE")
    answer = store.request("DELETE", target)
    assert answer[0] == status
    assert answer[2].decode().strip() == http.HTTPStatus(status).phrase
    assert (len(caplog.records) > 0) is (status == 500)
    assert "cbs-signature" not in caplog.text


class Short(MemoryDriver):
    """Breaks off in the middle of an object."""

    def get_object(self, bucket, key, options):
        whole = super().get_object(bucket, key, options)
        return Download(whole.info, whole.stream, whole.start, whole.length + 5)


def test_a_body_that_breaks_off_is_seen_to_break_off(request, caplog):
    store = store_of(Short, request)
    with Client(store.gateway) as client:
        client.send("GET", store.sign())
        with pytest.raises(http.client.IncompleteRead):
            client.answer()
        assert client.is_closed()
    assert "ended before its end" in caplog.text


class Changing(MemoryDriver):
    """Replaces the object between a HEAD and a GET, a number of times."""

    changes = 0

    def head_object(self, bucket, key, options=READ_ALL):
        info = super().head_object(bucket, key, options)
        if self.changes:
            self.changes -= 1
            self.put_object(bucket, key, Content(b"change %d" % self.changes), PutOptions())
        return info


@pytest.mark.parametrize(
    ("changes", "status", "body"), [(1, 206, b"change"), (4, 206, b"change"), (99, 409, b"Conflict\n")]
)
def test_an_object_that_changes_is_never_mixed(request, changes, status, body):
    store = store_of(Changing, request)
    store.driver.changes = changes
    answer = store.fetch(headers={"Range": "bytes=0-5"})
    assert (answer[0], answer[2]) == (status, body)


def test_what_no_header_can_carry_is_left_out(store):
    store.put("a", TEN, content_type="a/b\r\nX-Evil: 1", headers={"cache_control": "é", "content_language": "de"})
    status, headers, body = store.fetch()
    assert (status, body, headers["content-language"]) == (200, TEN, "de")
    assert not {"x-evil", "cache-control", "content-type"} & set(headers)


class Poor(MemoryDriver):
    capabilities = Capabilities(content_headers=frozenset())


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match", "Cache-Control", "Content-Encoding"])
def test_what_the_store_lacks_is_not_ignored(request, header):
    store = store_of(Poor, request)
    assert store.fetch("PUT", "new", {header: "*"}, b"x")[0] == 501
    assert_untouched(store)


def test_nothing_is_said(store, capfd):
    store.fetch()
    store.request("GET", "/b/a?cbs-signature=1")
    store.request("FOO", store.sign())
    assert capfd.readouterr() == ("", "")


# Starting and stopping


def gateway_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("cloudbridge_store gateway")]


def test_many_first_signatures_start_one_server():
    store = Store()
    before = set(gateway_threads())
    barrier, urls = threading.Barrier(16), []

    def sign():
        barrier.wait()
        urls.append(store.gateway.sign("b", "a", "GET", 60, PLAIN).url)

    threads = [threading.Thread(target=sign) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(urls) == 16
    assert len(set(urls)) == 1
    assert len(set(gateway_threads()) - before) == 1
    store.gateway.close()


def test_nothing_starts_before_it_is_needed():
    store = Store()
    # Those of others may end meanwhile.
    before = set(gateway_threads())
    UrlGateway(store.driver, b"x", "http://elsewhere").sign("b", "a", "GET", 1, PLAIN)
    assert set(gateway_threads()) <= before
    store.gateway.close()


def test_closing_frees_the_port_the_connections_and_the_threads():
    before = set(gateway_threads())
    store = Store()
    idle, busy = Client(store.gateway), Client(store.gateway)
    port = urlsplit(store.gateway.base_url).port
    with idle, busy:
        assert idle.send("GET", store.sign()).answer()[0] == 200
        busy.send("PUT", store.sign("PUT", "new"), {"Content-Length": "100"}, b"x")
        idle.send("GET", store.sign()).answer()
        store.gateway.close()
        assert idle.is_closed()
        assert busy.is_closed()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))
        again.listen()
    for thread in set(gateway_threads()) - before:
        thread.join(10)
    assert set(gateway_threads()) <= before
    assert_untouched(store)
    store.gateway.close()
    with pytest.raises(errors.ProviderClosedError):
        store.sign()


def serve(gateway, **options):
    """Serve in a thread; return it and the URL."""
    urls, ready = [], threading.Event()

    def note(url):
        urls.append(url)
        ready.set()

    thread = threading.Thread(target=gateway.serve_forever, kwargs={"ready": note, **options})
    thread.start()
    assert ready.wait(10)
    return thread, urls[0]


def test_serving_for_ever_ends_with_close(store):
    thread, url = serve(store.gateway)
    assert url == store.gateway.base_url
    assert store.fetch()[2] == TEN
    with pytest.raises(errors.ConflictError):
        store.gateway.serve_forever()
    store.gateway.close()
    thread.join(10)
    assert not thread.is_alive()
    with pytest.raises(errors.ProviderClosedError):
        store.gateway.serve_forever()


def test_serving_elsewhere_than_the_urls_say(store):
    public = UrlGateway(store.driver, b"secret" * 6, "https://files.example.org", now=store.clock)
    [port] = free_ports(1)
    thread, url = serve(public, port=port)
    assert url == "https://files.example.org"
    target = public.sign("b", "a", "GET", 60, PLAIN).url.removeprefix(url)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", target)
    assert connection.getresponse().read() == TEN
    connection.close()
    public.close()
    thread.join(10)
    assert not thread.is_alive()


def test_closing_when_ready(store):
    store.gateway.serve_forever(ready=lambda url: store.gateway.close())
    assert not store.gateway._server


def test_an_exception_when_ready_stops_serving(store):
    def fail(url):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.gateway.serve_forever(ready=fail)
    assert store.fetch()[2] == TEN


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_holds_nothing_of_its_parents_and_serves_for_itself(store):
    kept = Client(store.gateway)
    kept.send("GET", store.sign()).answer()
    assert len(store.gateway._server._connections) == 1
    address = ("127.0.0.1", urlsplit(store.gateway.base_url).port)
    inherited = [store.gateway._server.socket, *store.gateway._server._connections]
    parent, child = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        code = 1
        try:
            child.sendall(b"?")
            let_go = all(each.fileno() < 0 for each in inherited)
            code = 0 if let_go and child.recv(1) and store.fetch()[2] == TEN else 1
            store.gateway.close()
        finally:
            os._exit(code)
    with kept, parent, child:
        assert parent.recv(1) == b"?"  # the child is past what it does first: to close its copies
        assert kept.send("GET", store.sign()).answer()[2] == TEN
        store.gateway.close()
        assert kept.is_closed()
        with socket.socket() as probe:
            assert probe.connect_ex(address) == errno.ECONNREFUSED
        parent.sendall(b"!")
        assert os.waitpid(pid, 0)[1] == 0
