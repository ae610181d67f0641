"""Faults of the connection do what they say: to the client, byte by byte, and to the server."""

from __future__ import annotations

import http.client
import random
import threading
import time

import pytest
from servers.raw import (
    BODY,
    CHUNKED,
    CHUNKS,
    FIN,
    GET,
    HEAD,
    IN_CHUNKS,
    PLAIN,
    PUT,
    RESET,
    Client,
    closing,
    exchange,
    ok,
    parsed,
    wait_until,
)

from cloudbridge_store.testing.fault_proxy import (
    ChangeHeaders,
    CutAnswer,
    CutChunk,
    Drip,
    EarlyStatus,
    EndChunksEarly,
    EtagChanged,
    FlipAnswerBit,
    FlipRequestBit,
    GrowAnswer,
    IgnoreRange,
    LostAnswer,
    Match,
    Refused,
    RepeatPage,
    ResetAnswerBody,
    ResetBeforeRequest,
    ResetRequestBody,
    Rule,
    ShrinkAnswer,
    StallBeforeHead,
    StallInBody,
    TokenLoop,
    WrongContentRange,
)

PLACES = [(0, 0), (4, 4), (9, 9), (-1, 9), (-10, 0)]


# The connection breaks in the answer


@pytest.mark.parametrize(("at", "sent"), PLACES)
@pytest.mark.parametrize(("kind", "end"), [(ResetAnswerBody, RESET), (CutAnswer, FIN)])
def test_the_answer_breaks_off(fail, kind, end, at, sent):
    server, proxy, rule = fail(kind(), at=at)
    assert exchange(proxy) == (HEAD + BODY[:sent], end)
    assert (rule.consumed, len(server.got), proxy.requests[0].server_status) == (1, 1, 200)
    assert exchange(proxy, closing(GET))[0] == PLAIN


@pytest.mark.parametrize("kind", [ResetAnswerBody, CutAnswer])
def test_an_answer_in_chunks_breaks_off_in_a_chunk(fail, kind):
    _, proxy, rule = fail(kind(4), IN_CHUNKS)
    received, _ = exchange(proxy)
    assert (received, rule.consumed) == (CHUNKED + b"a\r\n0123", 1)


@pytest.mark.parametrize("answer", [PLAIN, IN_CHUNKS])
@pytest.mark.parametrize(("at", "sent"), PLACES)
def test_a_chunk_is_cut(fail, answer, at, sent):
    _, proxy, rule = fail(CutChunk(), answer, at=at)
    assert exchange(proxy) == (CHUNKED + b"a\r\n" + BODY[:sent], FIN)
    assert rule.consumed == 1


@pytest.mark.parametrize("answer", [PLAIN, IN_CHUNKS])
def test_chunks_end_early(fail, answer):
    _, proxy, rule = fail(EndChunksEarly(4), answer)
    with Client(proxy.url) as client:
        client.send(GET)
        expected = CHUNKED + b"4\r\n0123\r\n0\r\n\r\n"
        assert client.read(len(expected)) == expected
        client.send(GET)
        assert client.read(len(answer)) == answer
    assert rule.consumed == 1


def test_big_answers_arrive_up_to_the_reset(fail):
    body = bytes(range(256)) * 20_000
    _, proxy, rule = fail(ResetAnswerBody(-7), ok(body))
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
def test_what_has_no_place_does_nothing(fail, fault):
    server, proxy, rule = fail(fault)
    assert exchange(proxy, closing(GET)) == (PLAIN, FIN)
    assert (rule.consumed, len(server.got)) == (0, 1)


@pytest.mark.parametrize("kind", [ResetAnswerBody, CutAnswer, FlipAnswerBit, ShrinkAnswer, GrowAnswer, Drip])
def test_an_answer_without_a_body_stays(fail, kind):
    _, proxy, rule = fail(kind(), HEAD)
    with Client(proxy.url) as client:
        client.send(b"HEAD /b/k HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read(len(HEAD)) == HEAD
    assert rule.consumed == 0


# The request does not get there, or not whole


def test_reset_before_the_request(fail):
    server, proxy, rule = fail(ResetBeforeRequest(), times=2)
    assert [exchange(proxy, request) for request in (GET, PUT)] == [(b"", RESET)] * 2
    assert (server.got, rule.consumed) == ([], 2)
    assert exchange(proxy, closing(GET))[0] == PLAIN


@pytest.mark.parametrize(("at", "read"), [(0, 0), (4, 4), (10, 10), (-1, 9)])
@pytest.mark.parametrize("forward", [False, True])
def test_reset_in_the_body_of_the_request(fail, at, read, forward):
    server, proxy, rule = fail(ResetRequestBody(forward=forward), at=at)
    assert exchange(proxy, PUT + BODY[:read]) == (b"", RESET)
    assert (rule.consumed, proxy.requests[0].body_length) == (1, read)
    if forward:
        wait_until(lambda: server.got)
    assert [got.body for got in server.got] == [BODY[:read]] * forward


@pytest.mark.parametrize(("at", "forwarded"), [(6, b"4\r\n0123\r\n6\r\n45"), (-1, b"")])
def test_reset_in_the_chunks_of_a_request(fail, at, forwarded):
    server, proxy, rule = fail(ResetRequestBody(at, forward=True))
    assert exchange(proxy, b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS) == (b"", RESET)
    assert rule.consumed == 1
    assert wait_until(lambda: server.got)[0].body == forwarded


def test_a_lost_answer(fail):
    server, proxy, rule = fail(LostAnswer())
    assert exchange(proxy, PUT + BODY) == (b"", RESET)
    assert [got.body for got in server.got] == [BODY]
    assert (rule.consumed, proxy.requests[0].server_status, proxy.requests[0].status) == (1, 200, None)


@pytest.mark.parametrize(("at", "body"), [(0, b"1123456789"), (-1, b"0123456788"), (4, b"0123556789")])
def test_a_bit_of_the_request(fail, at, body):
    server, proxy, rule = fail(FlipRequestBit(), at=at)
    assert exchange(proxy, closing(PUT) + BODY) == (PLAIN, FIN)
    assert (server.got[0].body, rule.consumed) == (body, 1)


@pytest.mark.parametrize(("at", "sent"), [(5, b"0123446789"), (-1, b"0123456788")])
def test_a_bit_of_a_request_in_chunks(fail, at, sent):
    server, proxy, rule = fail(FlipRequestBit(at))
    request = b"PUT / HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS
    assert exchange(proxy, request) == (PLAIN, FIN)
    assert server.got[0].body == b"4\r\n" + sent[:4] + b"\r\n6\r\n" + sent[4:] + b"\r\n0\r\n\r\n"
    assert rule.consumed == 1


# Refused


def test_refused_until_it_is_allowed_again(fail):
    server, proxy, rule = fail(Refused(), skip=2)
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


def test_refused_for_a_time(fail):
    server, proxy, rule = fail(Refused(seconds=0.1))
    assert exchange(proxy) == (b"", RESET)
    assert rule.consumed == 1
    wait_until(lambda: proxy.accepts)
    assert exchange(proxy, closing(GET)) == (PLAIN, FIN)
    assert len(server.got) == 1


# Slow


@pytest.mark.parametrize("answer", [PLAIN, IN_CHUNKS])
@pytest.mark.parametrize(("at", "sent"), PLACES)
def test_a_stall_in_the_body(fail, answer, at, sent):
    _, proxy, rule = fail(StallInBody(), answer, at=at)
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


def test_a_stall_that_ends(fail):
    _, proxy, _ = fail(StallInBody(3, seconds=0.02), times=2)
    assert exchange(proxy, closing(GET)) == (PLAIN, FIN)
    _, proxy, _ = fail(StallInBody(3, seconds=0.02), IN_CHUNKS)
    assert parsed(proxy)[2] == BODY


@pytest.mark.parametrize("executed", [True, False])
def test_a_stall_before_the_head(fail, executed):
    server, proxy, rule = fail(StallBeforeHead(executed))
    with Client(proxy.url) as client:
        client.send(PUT + BODY)
        wait_until(lambda: rule.consumed)
        client.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.read(1)
    assert (rule.consumed, len(server.got)) == (1, executed)


@pytest.mark.parametrize("answer", [PLAIN, IN_CHUNKS])
def test_a_body_in_drops(fail, answer):
    _, proxy, rule = fail(Drip(piece=2, pause=0.01, at=4), answer)
    begun = time.monotonic()
    assert parsed(proxy)[2] == BODY
    assert time.monotonic() - begun > 0.03
    assert rule.consumed == 1


# Many at once

OFTEN = [
    ResetBeforeRequest(), ResetRequestBody(500), LostAnswer(), FlipRequestBit(7), ResetAnswerBody(5), CutAnswer(4),
    CutChunk(1), EndChunksEarly(2), StallInBody(1, seconds=0.001), Drip(piece=5, pause=0.001),
]  # fmt: skip


def test_faults_of_others_do_not_disturb(serve):
    rules = [Rule(Match(headers={"X-Fault": f"^{number}$"}), fault, None) for number, fault in enumerate(OFTEN)]
    _, proxy = serve(lambda got: ok(got.head.split()[1]), *rules)
    disturbed, broken = [], []

    def work(seed):
        choice = random.Random(seed)
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
        for number in range(40):
            fault, target = choice.randrange(2 * len(OFTEN)), f"/{seed}/number/{number}"
            try:
                connection.request("PUT", target, bytes(choice.choice((600, 300_000))), {"X-Fault": str(fault)})
                received = connection.getresponse().read().decode()
            except (OSError, http.client.HTTPException) as error:
                received = error
                connection.close()
            (broken if fault < len(OFTEN) else disturbed).append(received != target)
        connection.close()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (any(disturbed), any(broken), len(disturbed + broken)) == (False, True, 320)
    assert sum(rule.consumed for rule in proxy.rules) == len(broken)
    assert proxy.errors == []
