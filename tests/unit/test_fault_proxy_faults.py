"""Each fault of the proxy does what it says: to the client, byte by byte, and to the server."""

from __future__ import annotations

import email.utils
import http.client
import threading
import time

import pytest
from servers.raw import Client, RawServer, ok

from cloudbridge_store.testing import fault_proxy
from cloudbridge_store.testing.fault_proxy import (
    ChangeHeaders,
    CutAnswer,
    CutChunk,
    Drip,
    EarlyStatus,
    EndChunksEarly,
    ErrorDocument,
    EtagChanged,
    EtagMissing,
    Fault,
    FaultProxy,
    FlipAnswerBit,
    FlipRequestBit,
    GrowAnswer,
    HtmlPage,
    IgnoreRange,
    LostAnswer,
    Match,
    NotHttp,
    Redirect,
    Refused,
    RepeatPage,
    ResetAnswerBody,
    ResetBeforeRequest,
    ResetRequestBody,
    Rule,
    ShrinkAnswer,
    StallBeforeHead,
    StallInBody,
    Status,
    TokenLoop,
    WrongContentRange,
    XmlBomb,
)

BODY = b"0123456789"
ETAG = 'ETag: "e1"'
PLAIN = ok(BODY, ETAG)
HEAD = PLAIN[: -len(BODY)]
CHUNKED = b"HTTP/1.1 200 OK\r\n" + ETAG.encode() + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
IN_CHUNKS = CHUNKED + b"4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n"
GET = b"GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n"
PUT = b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
RESET, FIN = ConnectionResetError, None


@pytest.fixture
def serve():
    """Start a server and a proxy with one rule: ``server, proxy, rule = serve(fault)``."""
    made = []

    def start(fault, answer=PLAIN, **options):
        answers = answer if callable(answer) else lambda got: answer
        server = RawServer(answers)
        made.append(server)
        rule = Rule(fault=fault, **options)
        made.append(FaultProxy(server.url, [rule]))
        return server, made[-1], rule

    yield start
    for each in reversed(made):
        each.close()


def exchange(proxy, request=GET):
    """Return what comes until the connection ends, and how it ends."""
    with Client(proxy.url) as client:
        client.send(request)
        return client.read_all()


def closing(request):
    return request.replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n")


def parsed(proxy, method="GET", target="/b/k", **options):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    connection.request(method, target, **options)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


# The connection breaks in the answer

PLACES = [(0, 0), (4, 4), (9, 9), (-1, 9), (-10, 0)]


@pytest.mark.parametrize(("at", "sent"), PLACES)
@pytest.mark.parametrize(("kind", "end"), [(ResetAnswerBody, RESET), (CutAnswer, FIN)])
def test_the_answer_breaks_off(serve, kind, end, at, sent):
    server, proxy, rule = serve(kind(), at=at)
    assert exchange(proxy) == (HEAD + BODY[:sent], end)
    assert (rule.consumed, len(server.got), proxy.requests[0].server_status) == (1, 1, 200)
    assert exchange(proxy, closing(GET))[0] == PLAIN


@pytest.mark.parametrize("kind", [ResetAnswerBody, CutAnswer])
def test_an_answer_in_chunks_breaks_off_in_a_chunk(serve, kind):
    _, proxy, rule = serve(kind(4), IN_CHUNKS)
    received, _ = exchange(proxy)
    assert (received, rule.consumed) == (CHUNKED + b"a\r\n0123", 1)


@pytest.mark.parametrize("answer", [PLAIN, IN_CHUNKS])
@pytest.mark.parametrize(("at", "sent"), PLACES)
def test_a_chunk_is_cut(serve, answer, at, sent):
    _, proxy, rule = serve(CutChunk(), answer, at=at)
    assert exchange(proxy) == (CHUNKED + b"a\r\n" + BODY[:sent], FIN)
    assert rule.consumed == 1


@pytest.mark.parametrize("answer", [PLAIN, IN_CHUNKS])
def test_chunks_end_early(serve, answer):
    _, proxy, rule = serve(EndChunksEarly(4), answer)
    with Client(proxy.url) as client:
        client.send(GET)
        expected = CHUNKED + b"4\r\n0123\r\n0\r\n\r\n"
        assert client.read(len(expected)) == expected
        client.send(GET)
        assert client.read(len(answer)) == answer
    assert rule.consumed == 1


def test_big_answers_arrive_up_to_the_reset(serve):
    body = bytes(range(256)) * 20_000
    _, proxy, rule = serve(ResetAnswerBody(-7), ok(body))
    assert exchange(proxy) == (ok(body)[:-7], RESET)
    assert rule.consumed == 1


@pytest.mark.parametrize(
    "fault",
    [
        ResetAnswerBody(10), CutAnswer(10), CutChunk(10), EndChunksEarly(10), StallInBody(10), Drip(at=10),
        FlipAnswerBit(10), FlipAnswerBit(-11), ShrinkAnswer(10), WrongContentRange(), EtagChanged('"e1"'),
        ChangeHeaders(remove=["Missing"]), IgnoreRange(), IgnoreRange(b"x"), FlipRequestBit(), ResetRequestBody(),
        EarlyStatus(), TokenLoop(), RepeatPage(),
    ],
)  # fmt: skip
def test_what_has_no_place_does_nothing(serve, fault):
    server, proxy, rule = serve(fault)
    assert exchange(proxy, closing(GET)) == (PLAIN, FIN)
    assert (rule.consumed, len(server.got)) == (0, 1)


@pytest.mark.parametrize("kind", [ResetAnswerBody, CutAnswer, FlipAnswerBit, ShrinkAnswer, GrowAnswer, Drip])
def test_an_answer_without_a_body_stays(serve, kind):
    _, proxy, rule = serve(kind(), HEAD)
    with Client(proxy.url) as client:
        client.send(b"HEAD /b/k HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read(len(HEAD)) == HEAD
    assert rule.consumed == 0


# The body of the answer is another


@pytest.mark.parametrize(
    ("at", "bit", "body"), [(0, 0, b"1123456789"), (-1, 7, b"012345678\xb9"), (4, 1, b"0123656789")]
)
def test_a_bit_of_the_answer(serve, at, bit, body):
    _, proxy, rule = serve(FlipAnswerBit(bit=bit), at=at)
    with Client(proxy.url) as client:
        client.send(GET + GET)
        assert client.read(2 * len(PLAIN)) == HEAD + body + PLAIN
    assert rule.consumed == 1


def test_a_bit_of_an_answer_in_chunks(serve):
    _, proxy, _ = serve(FlipAnswerBit(5), IN_CHUNKS)
    assert parsed(proxy)[2] == b"0123446789"


@pytest.mark.parametrize(("at", "sent"), PLACES)
def test_a_shorter_body(serve, at, sent):
    _, proxy, rule = serve(ShrinkAnswer(), at=at)
    expected = HEAD.replace(b": 10", b": %d" % sent) + BODY[:sent]
    with Client(proxy.url) as client:
        client.send(GET + GET)
        assert client.read(len(expected + PLAIN)) == expected + PLAIN
    assert rule.consumed == 1


@pytest.mark.parametrize(("announced", "length"), [(True, 13), (False, 10)])
def test_a_longer_body(serve, announced, length):
    _, proxy, rule = serve(GrowAnswer(b"abc", announced=announced))
    expected = HEAD.replace(b": 10", b": %d" % length) + BODY + b"abc"
    with Client(proxy.url) as client:
        client.send(GET + GET)
        assert client.read(len(expected + PLAIN)) == expected + PLAIN
    assert rule.consumed == 1


# Headers


def test_headers_are_changed_in_their_place(serve):
    _, proxy, rule = serve(ChangeHeaders({"etag": '"e2"', "X-New": "1"}, ["content-length"]), ok(b"", ETAG, "X-Old: 1"))
    assert exchange(proxy, closing(GET))[0] == b'HTTP/1.1 200 OK\r\netag: "e2"\r\nX-Old: 1\r\nX-New: 1\r\n\r\n'
    assert rule.consumed == 1


@pytest.mark.parametrize(("fault", "etag"), [(EtagMissing(), None), (EtagChanged('"other"'), '"other"')])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_etags(serve, fault, etag, method):
    _, proxy, rule = serve(fault, HEAD if method == "HEAD" else PLAIN)
    status, headers, _ = parsed(proxy, method)
    assert (status, headers.get("ETag"), headers["Content-Length"], rule.consumed) == (200, etag, "10", 1)


PART = ok(b"234", "Content-Range: bytes 2-4/10", status="206 Partial Content")


def ranges(got):
    return PART if b"Range: bytes=2-4" in got.head else PLAIN


def test_a_wrong_content_range(serve):
    _, proxy, rule = serve(WrongContentRange(by=3), ranges)
    status, headers, body = parsed(proxy, headers={"Range": "bytes=2-4"})
    assert (status, headers["Content-Range"], body, rule.consumed) == (206, "bytes 5-7/10", b"234", 1)


@pytest.mark.parametrize(("fault", "asked"), [(IgnoreRange(), False), (IgnoreRange(BODY), True)])
def test_a_range_that_is_ignored(serve, fault, asked):
    server, proxy, rule = serve(fault, ranges)
    status, headers, body = parsed(proxy, headers={"Range": "bytes=2-4"})
    assert (status, headers.get("Content-Range"), headers["Content-Length"], body) == (200, None, "10", BODY)
    assert (b"Range" in server.got[0].head, rule.consumed) == (asked, 1)


# The request does not get there, or not whole


def test_reset_before_the_request(serve):
    server, proxy, rule = serve(ResetBeforeRequest(), times=2)
    assert [exchange(proxy, request) for request in (GET, PUT)] == [(b"", RESET)] * 2
    assert (server.got, rule.consumed) == ([], 2)
    assert exchange(proxy, closing(GET))[0] == PLAIN


@pytest.mark.parametrize(("at", "read"), [(0, 0), (4, 4), (10, 10), (-1, 9)])
@pytest.mark.parametrize("forward", [False, True])
def test_reset_in_the_body_of_the_request(serve, at, read, forward):
    server, proxy, rule = serve(ResetRequestBody(forward=forward), at=at)
    assert exchange(proxy, PUT + BODY[:read]) == (b"", RESET)
    assert (rule.consumed, proxy.requests[0].body_length) == (1, read)
    if forward:
        wait_until(lambda: server.got)
    assert [got.body for got in server.got] == [BODY[:read]] * forward


@pytest.mark.parametrize(("at", "forwarded"), [(6, b"4\r\n0123\r\n6\r\n45"), (-1, b"")])
def test_reset_in_the_chunks_of_a_request(serve, at, forwarded):
    server, proxy, rule = serve(ResetRequestBody(at, forward=True))
    chunks = IN_CHUNKS[len(CHUNKED) :]
    assert exchange(proxy, b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks) == (b"", RESET)
    assert rule.consumed == 1
    assert wait_until(lambda: server.got)[0].body == forwarded


def test_a_lost_answer(serve):
    server, proxy, rule = serve(LostAnswer())
    assert exchange(proxy, PUT + BODY) == (b"", RESET)
    assert [got.body for got in server.got] == [BODY]
    assert (rule.consumed, proxy.requests[0].server_status, proxy.requests[0].status) == (1, 200, None)


@pytest.mark.parametrize(("at", "body"), [(0, b"1123456789"), (-1, b"0123456788"), (4, b"0123556789")])
def test_a_bit_of_the_request(serve, at, body):
    server, proxy, rule = serve(FlipRequestBit(), at=at)
    assert exchange(proxy, closing(PUT) + BODY) == (PLAIN, FIN)
    assert (server.got[0].body, rule.consumed) == (body, 1)


@pytest.mark.parametrize(("at", "sent"), [(5, b"0123446789"), (-1, b"0123456788")])
def test_a_bit_of_a_request_in_chunks(serve, at, sent):
    server, proxy, rule = serve(FlipRequestBit(at))
    chunks = IN_CHUNKS[len(CHUNKED) :]
    request = b"PUT / HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    assert exchange(proxy, request) == (PLAIN, FIN)
    assert server.got[0].body == b"4\r\n" + sent[:4] + b"\r\n6\r\n" + sent[4:] + b"\r\n0\r\n\r\n"
    assert rule.consumed == 1


def wait_until(look):
    over = time.monotonic() + 20
    while not (found := look()):
        assert time.monotonic() < over
        threading.Event().wait(0.005)
    return found


# Refused


def test_refused_until_it_is_allowed_again(serve):
    server, proxy, rule = serve(Refused(), skip=2)
    with Client(proxy.url) as idle, Client(proxy.url) as busy:
        idle.send(GET)
        assert idle.read(len(PLAIN)) == PLAIN
        busy.send(PUT)
        wait_until(lambda: len(proxy.requests) == 2)
        assert exchange(proxy) == (b"", RESET)
        assert idle.read_all() == (b"", FIN)
        with pytest.raises(ConnectionRefusedError):
            Client(proxy.url)
        busy.send(BODY)
        assert busy.read_all() == (PLAIN, FIN)
    proxy.accept()
    assert exchange(proxy, closing(GET)) == (PLAIN, FIN)
    assert (rule.consumed, len(server.got)) == (1, 3)


def test_refused_for_a_time(serve):
    server, proxy, rule = serve(Refused(seconds=0.1))
    assert exchange(proxy) == (b"", RESET)
    assert rule.consumed == 1
    wait_until(lambda: proxy.accepts)
    assert exchange(proxy, closing(GET)) == (PLAIN, FIN)
    assert len(server.got) == 1


# Slow


@pytest.mark.parametrize("answer", [PLAIN, IN_CHUNKS])
@pytest.mark.parametrize(("at", "sent"), PLACES)
def test_a_stall_in_the_body(serve, answer, at, sent):
    _, proxy, rule = serve(StallInBody(), answer, at=at)
    begin = (HEAD if answer == PLAIN else CHUNKED + b"a\r\n") + BODY[:sent]
    with Client(proxy.url) as client:
        client.send(GET)
        assert client.read(len(begin)) == begin
        client.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.read(1)
        assert rule.consumed == 1
        client.socket.settimeout(20)
        threading.Thread(target=proxy.close).start()
        assert client.read_all()[0] == b""


def test_a_stall_that_ends(serve):
    _, proxy, _ = serve(StallInBody(3, seconds=0.02), times=2)
    assert exchange(proxy, closing(GET)) == (PLAIN, FIN)
    _, proxy, _ = serve(StallInBody(3, seconds=0.02), IN_CHUNKS)
    assert parsed(proxy)[2] == BODY


@pytest.mark.parametrize("executed", [True, False])
def test_a_stall_before_the_head(serve, executed):
    server, proxy, rule = serve(StallBeforeHead(executed))
    with Client(proxy.url, timeout=0.1) as client:
        client.send(PUT + BODY)
        with pytest.raises(TimeoutError):
            client.read(1)
    assert (rule.consumed, len(server.got)) == (1, executed)


@pytest.mark.parametrize("answer", [PLAIN, IN_CHUNKS])
def test_a_body_in_drops(serve, answer):
    _, proxy, rule = serve(Drip(piece=2, pause=0.01, at=4), answer)
    begun = time.monotonic()
    assert parsed(proxy)[2] == BODY
    assert time.monotonic() - begun > 0.03
    assert rule.consumed == 1


# Other answers


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "Unauthorized"), (403, "AccessDenied"), (408, "RequestTimeout"), (429, "TooManyRequests"),
     (500, "InternalError"), (502, "BadGateway"), (503, "SlowDown"), (504, "GatewayTimeout"), (599, "InternalError")],
)  # fmt: skip
@pytest.mark.parametrize("executed", [False, True])
def test_a_status(serve, status, code, executed):
    server, proxy, rule = serve(Status(status, executed=executed))
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


def test_a_status_in_all_parts(serve):
    _, proxy, _ = serve(Status(429, {"X-A": "1", "Content-Type": "text/plain"}, b"wait", retry_after=7), times=None)
    status, headers, body = parsed(proxy)
    assert (status, headers["Retry-After"], headers["X-A"], headers["Content-Type"], body) == (
        429, "7", "1", "text/plain", b"wait",
    )  # fmt: skip
    status, headers, body = parsed(proxy, "HEAD")
    assert (status, headers["Content-Length"], body) == (429, "4", b"")


@pytest.mark.parametrize("given", [0, "99999999999999999999", "soon", -5])
def test_retry_after_is_any_text(serve, given):
    _, proxy, _ = serve(Status(503, retry_after=given, code="ServiceUnavailable"))
    _, headers, body = parsed(proxy)
    assert headers["Retry-After"] == str(given)
    assert b"<Code>ServiceUnavailable</Code>" in body


def test_retry_after_as_a_date(serve):
    _, proxy, _ = serve(Status(503, retry_after_date=3600))
    date = email.utils.parsedate_to_datetime(parsed(proxy)[1]["Retry-After"]).timestamp()
    assert 3500 < date - time.time() < 3700


def test_a_client_that_waits_for_continue_gets_the_status_at_once(serve):
    server, proxy, rule = serve(Status(503))
    expecting = PUT.replace(b"Host: x\r\n", b"Host: x\r\nExpect: 100-continue\r\n")
    received, end = exchange(proxy, expecting)
    assert received.startswith(b"HTTP/1.1 503 ")
    assert b"Connection: close\r\n" in received
    assert (end, server.got, rule.consumed) == (FIN, [], 1)


@pytest.mark.parametrize("at", [0, 5, -1])
def test_an_early_status(serve, at):
    server, proxy, rule = serve(EarlyStatus(403), at=at)
    sent = BODY[: at % 10]
    received, end = exchange(proxy, PUT + sent)
    assert received.startswith(b"HTTP/1.1 403 ")
    assert received.endswith(b"</Error>")
    assert (end, server.got, rule.consumed, proxy.requests[0].body_length) == (FIN, [], 1, len(sent))


def test_an_early_status_while_the_client_sends_on(serve):
    server, proxy, rule = serve(EarlyStatus(403, at=100_000))
    size = 8 * 2**20
    with Client(proxy.url) as client:
        client.send(PUT.replace(b": 10", b": %d" % size) + bytes(size))
        assert client.read(13) == b"HTTP/1.1 403 "
    assert (server.got, rule.consumed) == ([], 1)


def test_an_early_status_of_a_server_that_just_closes(serve):
    server, proxy, rule = serve(EarlyStatus(403, at=3, reset=True))
    received, end = exchange(proxy, PUT + BODY[:3])
    assert (received[:13], end) == (b"HTTP/1.1 403 ", RESET)
    assert (server.got, rule.consumed) == ([], 1)


@pytest.mark.parametrize("executed", [False, True])
def test_an_error_that_says_200(serve, executed):
    server, proxy, rule = serve(ErrorDocument("SlowDown", executed=executed))
    status, headers, body = parsed(proxy)
    assert (status, headers["Content-Type"], b"<Error><Code>SlowDown</Code>" in body) == (200, "application/xml", True)
    assert (len(server.got), rule.consumed) == (executed, 1)


def test_a_page_for_people(serve):
    server, proxy, rule = serve(HtmlPage())
    status, headers, body = parsed(proxy)
    assert (status, headers["Content-Type"], b"<html>" in body) == (200, "text/html; charset=utf-8", True)
    assert (server.got, rule.consumed) == ([], 1)


def test_what_is_no_http(serve):
    server, proxy, rule = serve(NotHttp(b"\0\1nonsense"))
    assert exchange(proxy, PUT + BODY) == (b"\0\1nonsense", FIN)
    assert (server.got, rule.consumed) == ([], 1)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_a_stranger(serve, status):
    with FaultProxy(None) as stranger:
        server, proxy, rule = serve(Redirect(status, stranger.url, {"x-amz-bucket-region": "eu-west-3"}))
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
def test_where_a_redirect_leads(serve, to, location):
    _, proxy, _ = serve(Redirect(to=to))
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


def test_a_page_comes_again(serve):
    _, proxy, rule = serve(RepeatPage(), xml_pages, skip=1)
    first, second, again, last = pages(proxy, 1, 2, 3, 3)
    assert (second == first, b"<Key>2" in again, b"<Key>3" in last, rule.consumed) == (True, False, True, 1)


def test_pages_that_lead_in_a_circle(serve):
    _, proxy, rule = serve(TokenLoop(), xml_pages, times=None)
    found = pages(proxy, 1, 2, 3)
    assert [TOKEN.format("t1").encode() in page for page in found] == [True] * 3
    assert [b"<IsTruncated>true</IsTruncated>" in page for page in found] == [True] * 3
    assert [f"<Key>{number}</Key>".encode() in page for number, page in enumerate(found, 1)] == [True] * 3
    assert (found[2][-19:], rule.consumed) == (b"</ListBucketResult>", 2)


def test_circles_of_other_services(serve):
    _, proxy, _ = serve(TokenLoop(), json_pages, times=None)
    assert pages(proxy, 1, 3)[1] == b'{"nextPageToken": "t1","items": [3]}'
    _, proxy, _ = serve(TokenLoop(), azure_pages, times=None)
    assert b"<NextMarker>t1</NextMarker>" in pages(proxy, 1, 3)[1]


def test_a_bomb(serve):
    server, proxy, rule = serve(XmlBomb(levels=5))
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


def test_a_fault_of_ones_own(serve):
    class _Shout(fault_proxy.Edit):
        def edit(self, exchange, answer):
            return answer.with_body(answer.body.upper())

    _, proxy, rule = serve(_Shout(), ok(b"loud"))
    assert parsed(proxy)[2] == b"LOUD"
    assert rule.consumed == 1
