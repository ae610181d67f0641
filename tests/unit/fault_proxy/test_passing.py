"""What the proxy passes on, it passes on byte for byte."""

from __future__ import annotations

import socket

import pytest
from servers.raw import PLAIN, Client, get, ok, wait_until

from cloudbridge_store.testing.fault_proxy import FaultProxy, FlipAnswerBit, Rule, StallBeforeHead
from cloudbridge_store.testing.fixtures import noise

BIG = 20 * 2**20

HEADS = [
    b"GET /b/a%2Fb?x=%20&y=+ HTTP/1.1\r\nHost: example.org:99\r\n\r\n",
    b"GET //b//k HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /b/../c/./%2e%2e/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /b/k?a?b=c#d&%zz HTTP/1.1\r\nhOST:   x  \r\nX-Twice: 1\r\nx-twice: 2\r\nX-Empty:\r\n\r\n",
    b"GET /b/\xc3\xa4 HTTP/1.1\r\nHost: x\r\nX-Raw: \xff\r\nX-Folded: a\r\n  b\r\n\r\n",
    b"GET http://example.org/b/k HTTP/1.1\r\nHost: example.org\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("fault", [None, FlipAnswerBit(at=99), StallBeforeHead(seconds=0)])
def test_heads_are_passed_on_byte_for_byte(serve, head, fault):
    answer = b"HTTP/1.1 200 Fine, thanks\r\nx-ODD:1\r\nX-odd:  2 \r\ncontent-LENGTH: 2\r\n\r\nhi"
    server, proxy = serve(lambda got: answer, Rule(fault=fault))
    with Client(proxy.url) as client:
        client.send(head)
        assert client.read(len(answer)) == answer
    assert [got.head for got in server.got] == [head]


ANSWERS = [
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n0A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_are_passed_on_and_the_connection_stays(serve, answer):
    server, proxy = serve(lambda got: answer)
    with Client(proxy.url) as client:
        for _ in range(3):
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.read(len(answer)) == answer
    assert [got.connection for got in server.got] == [1, 1, 1]


def test_the_answer_to_head_has_no_body(serve):
    server, proxy = serve(lambda got: ok(b"x" * 10)[:-10] if got.method == "HEAD" else ok(b"x"))
    with Client(proxy.url) as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
        expected = ok(b"x" * 10)[:-10] + ok(b"x")
        assert client.read(len(expected)) == expected
    assert len(server.got) == 2


@pytest.mark.parametrize("end", [b"", b"Connection: close\r\n"])
def test_an_answer_that_ends_with_the_connection(serve, end):
    answer = b"HTTP/1.1 200 OK\r\n" + end + b"\r\n" + noise(100_000)
    server, proxy = serve()
    server._exchange = lambda connected, stream, number: connected.sendall(stream.readline()[:0] + answer)
    with Client(proxy.url) as client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert client.read_all() == (answer, None)


@pytest.mark.parametrize("fault", [None, StallBeforeHead(seconds=0)])
def test_big_bodies_both_ways(serve, fault):
    body = noise(BIG)
    server, proxy = serve(lambda got: ok(got.body), Rule(fault=fault))
    assert get(proxy, method="PUT", body=body) == (200, body)
    assert server.got[0].body == body
    assert proxy.requests[0].body_length == BIG


def test_a_request_in_chunks(serve):
    server, proxy = serve()
    sent = b"3;a=b\r\nabc\r\n00005\r\n01234\r\n0\r\nx-amz-checksum-crc32: AAAA\r\n\r\n"
    with Client(proxy.url) as client:
        for _ in range(2):
            client.send(b"PUT /b/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, len(sent), 7):
                client.send(sent[at : at + 7])
            assert client.read(len(PLAIN)) == PLAIN
    assert [got.body for got in server.got] == [sent, sent]
    assert [request.body_length for request in proxy.requests] == [8, 8]


def test_the_body_waits_for_the_servers_continue(serve):
    server, proxy = serve()
    interim = b"HTTP/1.1 100 Continue\r\nX-Interim: yes\r\n\r\n"
    with Client(proxy.url) as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert client.read(len(interim)) == interim
        client.send(b"body")
        assert client.read(len(PLAIN)) == PLAIN
    assert [got.body for got in server.got] == [b"body"]


def test_an_answer_that_comes_before_the_body(serve):
    refusal = ok(b"no", status="403 Forbidden")
    server, proxy = serve(early=lambda head: refusal if b"PUT" in head else b"")
    with Client(proxy.url) as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo")
        assert client.read(len(refusal)) == refusal
        client.send(b"dyGET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read(len(PLAIN)) == PLAIN
    assert [got.body for got in server.got] == [b"body", b""]


def test_a_server_that_ends_an_idle_connection_ends_the_clients(serve):
    server, proxy = serve()
    with Client(proxy.url) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.read(len(PLAIN))
        server._open[0].shutdown(socket.SHUT_RDWR)
        assert client.read_all() == (b"", None)


def test_a_server_that_ends_instead_of_answering(serve):
    _, proxy = serve(lambda got: b"")
    with Client(proxy.url) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read_all() == (b"", None)
    assert proxy.requests[0].server_status is None


def test_no_server(serve):
    with FaultProxy("http://127.0.0.1:9") as proxy, Client(proxy.url) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read_all() == (b"", ConnectionResetError)


def test_a_client_that_leaves_in_the_middle_of_its_body(serve):
    server, proxy = serve()
    with Client(proxy.url) as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    server_side = wait_until(lambda: server.got and server.got[0])
    assert (server_side.body, server_side.complete) == (b"abc", False)
