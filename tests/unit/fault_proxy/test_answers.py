"""Faults of the answer do what they say: to the client, byte by byte, and to the server."""

from __future__ import annotations

import email.utils
import time

import pytest
from servers.raw import BODY, ETAG, FIN, GET, HEAD, IN_CHUNKS, PLAIN, PUT, RESET, Client, closing, exchange, ok, parsed

from cloudbridge_store.testing import fault_proxy
from cloudbridge_store.testing.fault_proxy import (
    ChangeHeaders,
    EarlyStatus,
    ErrorDocument,
    EtagChanged,
    EtagMissing,
    Fault,
    FaultProxy,
    FlipAnswerBit,
    GrowAnswer,
    HtmlPage,
    IgnoreRange,
    LostAnswer,
    Match,
    NotHttp,
    Redirect,
    RepeatPage,
    Rule,
    ShrinkAnswer,
    Status,
    TokenLoop,
    WrongContentRange,
    XmlBomb,
)

PLACES = [(0, 0), (4, 4), (9, 9), (-1, 9), (-10, 0)]


# The body of the answer is another


@pytest.mark.parametrize(
    ("at", "bit", "body"), [(0, 0, b"1123456789"), (-1, 7, b"012345678\xb9"), (4, 1, b"0123656789")]
)
def test_a_bit_of_the_answer(fail, at, bit, body):
    _, proxy, rule = fail(FlipAnswerBit(bit=bit), at=at)
    with Client(proxy.url) as client:
        client.send(GET + GET)
        assert client.read(2 * len(PLAIN)) == HEAD + body + PLAIN
    assert rule.consumed == 1


def test_a_bit_of_an_answer_in_chunks(fail):
    _, proxy, _ = fail(FlipAnswerBit(5), IN_CHUNKS)
    assert parsed(proxy)[2] == b"0123446789"


@pytest.mark.parametrize(("at", "sent"), PLACES)
def test_a_shorter_body(fail, at, sent):
    _, proxy, rule = fail(ShrinkAnswer(), at=at)
    expected = HEAD.replace(b": 10", b": %d" % sent) + BODY[:sent]
    with Client(proxy.url) as client:
        client.send(GET + GET)
        assert client.read(len(expected + PLAIN)) == expected + PLAIN
    assert rule.consumed == 1


@pytest.mark.parametrize(("announced", "length"), [(True, 13), (False, 10)])
def test_a_longer_body(fail, announced, length):
    _, proxy, rule = fail(GrowAnswer(b"abc", announced=announced))
    expected = HEAD.replace(b": 10", b": %d" % length) + BODY + b"abc"
    with Client(proxy.url) as client:
        client.send(GET + GET)
        assert client.read(len(expected + PLAIN)) == expected + PLAIN
    assert rule.consumed == 1


# Headers


def test_headers_are_changed_in_their_place(fail):
    _, proxy, rule = fail(ChangeHeaders({"etag": '"e2"', "X-New": "1"}, ["content-length"]), ok(b"", ETAG, "X-Old: 1"))
    assert exchange(proxy, closing(GET))[0] == b'HTTP/1.1 200 OK\r\netag: "e2"\r\nX-Old: 1\r\nX-New: 1\r\n\r\n'
    assert rule.consumed == 1


@pytest.mark.parametrize(("fault", "etag"), [(EtagMissing(), None), (EtagChanged('"other"'), '"other"')])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_etags(fail, fault, etag, method):
    _, proxy, rule = fail(fault, HEAD if method == "HEAD" else PLAIN)
    status, headers, _ = parsed(proxy, method)
    assert (status, headers.get("ETag"), headers["Content-Length"], rule.consumed) == (200, etag, "10", 1)


PART = ok(b"234", "Content-Range: bytes 2-4/10", status="206 Partial Content")


def ranges(got):
    return PART if b"Range: bytes=2-4" in got.head else PLAIN


def test_a_wrong_content_range(fail):
    _, proxy, rule = fail(WrongContentRange(by=3), ranges)
    status, headers, body = parsed(proxy, headers={"Range": "bytes=2-4"})
    assert (status, headers["Content-Range"], body, rule.consumed) == (206, "bytes 5-7/10", b"234", 1)


@pytest.mark.parametrize(("fault", "asked"), [(IgnoreRange(), False), (IgnoreRange(BODY), True)])
def test_a_range_that_is_ignored(fail, fault, asked):
    server, proxy, rule = fail(fault, ranges)
    status, headers, body = parsed(proxy, headers={"Range": "bytes=2-4"})
    assert (status, headers.get("Content-Range"), headers["Content-Length"], body) == (200, None, "10", BODY)
    assert (b"Range" in server.got[0].head, rule.consumed) == (asked, 1)


# Other answers


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "Unauthorized"), (403, "AccessDenied"), (408, "RequestTimeout"), (429, "TooManyRequests"),
     (500, "InternalError"), (502, "BadGateway"), (503, "SlowDown"), (504, "GatewayTimeout"), (599, "InternalError")],
)  # fmt: skip
@pytest.mark.parametrize("executed", [False, True])
def test_a_status(fail, status, code, executed):
    server, proxy, rule = fail(Status(status, executed=executed))
    with Client(proxy.url) as client:
        client.send(PUT + BODY + GET)
        head = client.read(len(f"HTTP/1.1 {status} "))
        assert head == f"HTTP/1.1 {status} ".encode()
        rest = b""
        while not rest.endswith(PLAIN):
            rest += client.read(1)
    assert f"<Code>{code}</Code>".encode() in rest
    assert [got.body for got in server.got] == [BODY] * executed + [b""]
    assert rule.consumed == 1


def test_a_status_in_all_parts(fail):
    _, proxy, _ = fail(Status(429, {"X-A": "1", "Content-Type": "text/plain"}, b"wait", retry_after=7), times=None)
    status, headers, body = parsed(proxy)
    assert (status, headers["Retry-After"], headers["X-A"], headers["Content-Type"], body) == (
        429, "7", "1", "text/plain", b"wait",
    )  # fmt: skip
    status, headers, body = parsed(proxy, "HEAD")
    assert (status, headers["Content-Length"], body) == (429, "4", b"")


@pytest.mark.parametrize("given", [0, "99999999999999999999", "soon", -5])
def test_retry_after_is_any_text(fail, given):
    _, proxy, _ = fail(Status(503, retry_after=given, code="ServiceUnavailable"))
    _, headers, body = parsed(proxy)
    assert headers["Retry-After"] == str(given)
    assert b"<Code>ServiceUnavailable</Code>" in body


def test_retry_after_as_a_date(fail):
    _, proxy, _ = fail(Status(503, retry_after_date=3600))
    date = email.utils.parsedate_to_datetime(parsed(proxy)[1]["Retry-After"]).timestamp()
    assert 3500 < date - time.time() < 3700


def test_a_client_that_waits_for_continue_gets_the_status_at_once(fail):
    server, proxy, rule = fail(Status(503))
    expecting = PUT.replace(b"Host: x\r\n", b"Host: x\r\nExpect: 100-continue\r\n")
    received, end = exchange(proxy, expecting)
    assert received.startswith(b"HTTP/1.1 503 ")
    assert b"Connection: close\r\n" in received
    assert (end, server.got, rule.consumed) == (FIN, [], 1)


@pytest.mark.parametrize("at", [0, 5, -1])
def test_an_early_status(fail, at):
    server, proxy, rule = fail(EarlyStatus(403), at=at)
    sent = BODY[: at % 10]
    received, end = exchange(proxy, PUT + sent)
    assert received.startswith(b"HTTP/1.1 403 ")
    assert received.endswith(b"</Error>")
    assert (end, server.got, rule.consumed, proxy.requests[0].body_length) == (FIN, [], 1, len(sent))


def test_an_early_status_while_the_client_sends_on(fail):
    server, proxy, rule = fail(EarlyStatus(403, at=100_000))
    size = 8 * 2**20
    with Client(proxy.url) as client:
        client.send(PUT.replace(b": 10", b": %d" % size) + bytes(size))
        assert client.read(13) == b"HTTP/1.1 403 "
    assert (server.got, rule.consumed) == ([], 1)


def test_an_early_status_of_a_server_that_just_closes(fail):
    server, proxy, rule = fail(EarlyStatus(403, at=3, reset=True))
    received, end = exchange(proxy, PUT + BODY[:3])
    assert (received[:13], end) == (b"HTTP/1.1 403 ", RESET)
    assert (server.got, rule.consumed) == ([], 1)


@pytest.mark.parametrize("executed", [False, True])
def test_an_error_that_says_200(fail, executed):
    server, proxy, rule = fail(ErrorDocument("SlowDown", executed=executed))
    status, headers, body = parsed(proxy)
    assert (status, headers["Content-Type"], b"<Error><Code>SlowDown</Code>" in body) == (200, "application/xml", True)
    assert (len(server.got), rule.consumed) == (executed, 1)


def test_a_page_for_people(fail):
    server, proxy, rule = fail(HtmlPage())
    status, headers, body = parsed(proxy)
    assert (status, headers["Content-Type"], b"<html>" in body) == (200, "text/html; charset=utf-8", True)
    assert (server.got, rule.consumed) == ([], 1)


def test_what_is_no_http(fail):
    server, proxy, rule = fail(NotHttp(b"\0\1nonsense"))
    assert exchange(proxy, PUT + BODY) == (b"\0\1nonsense", FIN)
    assert (server.got, rule.consumed) == ([], 1)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_a_stranger(fail, status):
    with FaultProxy(None) as stranger:
        server, proxy, rule = fail(Redirect(status, stranger.url, {"x-amz-bucket-region": "eu-west-3"}))
        found, headers, _ = parsed(proxy, "PUT", "/b/a%2Fb?x=%20", body=BODY)
        assert (found, headers["Location"]) == (status, f"{stranger.url}/b/a%2Fb?x=%20")
        assert headers["x-amz-bucket-region"] == "eu-west-3"
        assert (server.got, rule.consumed, stranger.requests) == ([], 1, [])
        parsed(stranger, "PUT", "/b/k", body=BODY, headers={"Authorization": "CANARY"})
        assert [(each.target, each.body_length, each.status) for each in stranger.requests] == [("/b/k", 10, 200)]
        assert stranger.requests[0].header("Authorization") == "[6 characters]"


@pytest.mark.parametrize(
    ("to", "location"),
    [(None, "http://example.org/b/k"), ("http://192.0.2.1/x", "http://192.0.2.1/x"), ("https://a", "https://a/b/k")],
)
def test_where_a_redirect_leads(fail, to, location):
    _, proxy, _ = fail(Redirect(to=to))
    assert parsed(proxy, headers={"Host": "example.org"})[1]["Location"] == location


# Listings

XML = '<?xml version="1.0"?><ListBucketResult><IsTruncated>{}</IsTruncated><Key>{}</Key>{}</ListBucketResult>'
TOKEN = "<NextContinuationToken>{}</NextContinuationToken>"


def xml_pages(got):
    number = int(got.line.partition("page=")[2].partition(" ")[0])
    last = number == 3
    return ok(XML.format("false" if last else "true", number, "" if last else TOKEN.format(f"t{number}")).encode())


def json_pages(got):
    number = int(got.line.partition("page=")[2].partition(" ")[0])
    return ok(
        b'{"items": [%d]}' % number if number == 3 else b'{"nextPageToken": "t%d", "items": [%d]}' % (number, number)
    )


def azure_pages(got):
    number = int(got.line.partition("page=")[2].partition(" ")[0])
    marker = "<NextMarker />" if number == 3 else f"<NextMarker>t{number}</NextMarker>"
    return ok(f"<EnumerationResults><Name>{number}</Name>{marker}</EnumerationResults>".encode())


def pages(proxy, *numbers):
    return [parsed(proxy, target=f"/b?page={number}")[2] for number in numbers]


def test_a_page_comes_again(fail):
    _, proxy, rule = fail(RepeatPage(), xml_pages, skip=1)
    first, second, again, last = pages(proxy, 1, 2, 3, 3)
    assert (second == first, b"<Key>2" in again, b"<Key>3" in last, rule.consumed) == (True, False, True, 1)


def test_pages_that_lead_in_a_circle(fail):
    _, proxy, rule = fail(TokenLoop(), xml_pages, times=None)
    found = pages(proxy, 1, 2, 3)
    assert [TOKEN.format("t1").encode() in page for page in found] == [True] * 3
    assert [b"<IsTruncated>true</IsTruncated>" in page for page in found] == [True] * 3
    assert [f"<Key>{number}</Key>".encode() in page for number, page in enumerate(found, 1)] == [True] * 3
    assert (found[2][-19:], rule.consumed) == (b"</ListBucketResult>", 2)


def test_circles_of_other_services(fail):
    _, proxy, _ = fail(TokenLoop(), json_pages, times=None)
    assert pages(proxy, 1, 3)[1] == b'{"nextPageToken": "t1","items": [3]}'
    _, proxy, _ = fail(TokenLoop(), azure_pages, times=None)
    assert b"<NextMarker>t1</NextMarker>" in pages(proxy, 1, 3)[1]


def test_a_bomb(fail):
    server, proxy, rule = fail(XmlBomb(levels=5))
    status, headers, body = parsed(proxy)
    assert (status, headers["Content-Type"], rule.consumed, server.got) == (200, "application/xml", 1, [])
    assert body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE ListBucketResult [<!ENTITY e0 "bomb')
    assert b'<!ENTITY e4 "' + b"&e3;" * 10 + b'">' in body
    assert len(body) < 1000


# All of them


def test_every_fault_is_public_and_goes_to_other_processes():
    abstract = {"Edit", "Invented"}
    named = {name for name in fault_proxy.__all__ if isinstance(getattr(fault_proxy, name), type(Fault))}
    for name, kind in Fault.kinds.items():
        assert name in named
        if name not in abstract:
            assert Fault.from_json(kind().as_json()) == kind()
    assert Fault.from_json({"name": "GrowAnswer", "extra": "\xff\0"}) == GrowAnswer(b"\xff\0")
    assert Rule.from_json(Rule(Match("GET"), LostAnswer(), None, 3).as_json()).skip == 3


def test_a_fault_of_ones_own(fail):
    class _Shout(fault_proxy.Edit):
        def edit(self, exchange, answer):
            return answer.with_body(answer.body.upper())

    _, proxy, rule = fail(_Shout(), ok(b"loud"))
    assert parsed(proxy)[2] == b"LOUD"
    assert rule.consumed == 1
