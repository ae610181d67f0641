"""The proxy for tests of drivers: what it passes on, its rules, its records, its admin, and how it ends."""

from __future__ import annotations

import gc
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from servers.raw import Client, RawServer, ok

from cloudbridge_store.testing.fault_proxy import (
    Admin,
    FaultProxy,
    FlipAnswerBit,
    LostAnswer,
    Match,
    RemoteProxy,
    ResetAnswerBody,
    Rule,
    StallBeforeHead,
    StallInBody,
    Status,
)
from cloudbridge_store.testing.fixtures import noise

BIG = 20 * 2**20


@pytest.fixture
def serve():
    """Start a server and a proxy in front of it: ``server, proxy = serve(answer, rule...)``."""
    made = []

    def start(answer=lambda got: ok(b"0123456789"), *rules, early=lambda head: b"", **options):
        server = RawServer(answer, early)
        made.append(server)
        made.append(FaultProxy(server.url, rules, **options))
        return made[-2:]

    yield start
    for each in reversed(made):
        each.close()


def get(proxy, target="/b/k", method="GET", **options):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    try:
        connection.request(method, target, **options)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


# What is passed on

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
            assert client.read(len(ok(b"0123456789"))) == ok(b"0123456789")
    assert [got.body for got in server.got] == [sent, sent]
    assert [request.body_length for request in proxy.requests] == [8, 8]


def test_the_body_waits_for_the_servers_continue(serve):
    server, proxy = serve()
    interim = b"HTTP/1.1 100 Continue\r\nX-Interim: yes\r\n\r\n"
    with Client(proxy.url) as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert client.read(len(interim)) == interim
        client.send(b"body")
        assert client.read(len(ok(b"0123456789"))) == ok(b"0123456789")
    assert [got.body for got in server.got] == [b"body"]


def test_an_answer_that_comes_before_the_body(serve):
    refusal = ok(b"no", status="403 Forbidden")
    server, proxy = serve(early=lambda head: refusal if b"PUT" in head else b"")
    with Client(proxy.url) as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo")
        assert client.read(len(refusal)) == refusal
        client.send(b"dyGET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read(len(ok(b"0123456789"))) == ok(b"0123456789")
    assert [got.body for got in server.got] == [b"body", b""]


def test_a_server_that_ends_an_idle_connection_ends_the_clients(serve):
    server, proxy = serve()
    with Client(proxy.url) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.read(len(ok(b"0123456789")))
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


def wait_until(look):
    """Return what ``look`` finds, as soon as it finds something."""
    over = datetime.now(UTC) + timedelta(seconds=20)
    while not (found := look()):
        assert datetime.now(UTC) < over
        threading.Event().wait(0.005)
    return found


# Rules


def test_a_rule_skips_hits_and_ends(serve):
    server, proxy = serve()
    rule = proxy.add(Rule(Match("GET", path="^/b/k$"), Status(500), times=2, skip=1))
    statuses = [get(proxy, target)[0] for target in ("/b/k", "/other", "/b/k", "/b/k?q", "/b/k")]
    assert statuses == [200, 200, 500, 500, 200]
    assert (rule.consumed, rule.pending, len(server.got)) == (2, False, 3)
    proxy.assert_consumed()


def test_a_rule_for_ever(serve):
    _, proxy = serve()
    rule = proxy.add(Rule(fault=Status(401), times=None))
    with pytest.raises(AssertionError, match="Status"):
        proxy.assert_consumed()
    assert [get(proxy)[0] for _ in range(5)] == [401] * 5
    assert rule.consumed == 5
    proxy.assert_consumed()


def test_what_was_not_hit_often_enough_is_told(serve):
    _, proxy = serve(lambda got: ok(b"x"), Rule(Match("PUT"), LostAnswer()), Rule(fault=Status(500), times=2))
    get(proxy)
    with pytest.raises(AssertionError, match=r"LostAnswer.*0 of 1; Status.*1 of 2"):
        proxy.assert_consumed()


def test_a_fault_without_a_place_does_not_count_and_harms_nothing(serve):
    _, proxy = serve(lambda got: ok(b"x" * 10 if got.line.startswith("GET /long") else b"xx"))
    rule = proxy.add(Rule(fault=FlipAnswerBit(), at=5))
    assert get(proxy) == (200, b"xx")
    assert rule.consumed == 0
    assert get(proxy, "/long") == (200, b"xxxxxyxxxx")
    assert get(proxy, "/long") == (200, b"x" * 10)
    assert rule.consumed == 1


MATCHES = [
    (Match(), True),
    (Match("GET"), True),
    (Match("GE"), False),
    (Match("PUT|GET"), True),
    (Match(path="%2F"), True),
    (Match(path="part"), False),
    (Match(query="^part=1$"), True),
    (Match(headers={"range": "bytes=0-"}), True),
    (Match(headers={"Range": "bytes=1-"}), False),
    (Match(headers={"X-Missing": ""}), False),
    (Match(predicate=lambda request: request.target == "/b%2F?part=1"), True),
    (Match("PUT", predicate=lambda request: pytest.fail("asked last")), False),
    (lambda request: request.header("RANGE") == "bytes=0-4", True),
    (None, True),
]


@pytest.mark.parametrize(("match", "hits"), MATCHES)
def test_matches(serve, match, hits):
    _, proxy = serve(lambda got: ok(), Rule(match, Status(500)))
    assert get(proxy, "/b%2F?part=1", headers={"Range": "bytes=0-4"})[0] == (500 if hits else 200)


def test_a_hook_runs_between_two_requests(serve):
    content = [b"old"]
    server, proxy = serve(lambda got: ok(content[0]))
    replaced = proxy.add(Rule(Match("GET"), hook=lambda: content.__setitem__(0, b"new"), skip=2))
    assert [get(proxy)[1] for _ in range(4)] == [b"old", b"old", b"new", b"new"]
    assert replaced.consumed == 1
    proxy.assert_consumed()


def test_a_hook_may_use_the_proxy_and_runs_before_the_fault(serve):
    server, proxy = serve()
    proxy.add(Rule(Match("GET"), Status(500), hook=lambda: get(proxy, "/from-hook", "PUT")))
    assert get(proxy)[0] == 500
    assert [got.line for got in server.got] == ["PUT /from-hook HTTP/1.1"]


def test_what_a_hook_raises_is_told(serve):
    _, proxy = serve(lambda got: ok(), Rule(hook=lambda: 1 // 0))
    with pytest.raises(ConnectionResetError):
        get(proxy)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        proxy.assert_consumed()


def test_a_position_needs_a_fault_that_has_one():
    assert Rule(fault=ResetAnswerBody(), at=-3).fault == ResetAnswerBody(-3)
    with pytest.raises(TypeError, match="no place"):
        Rule(fault=LostAnswer(), at=1)
    with pytest.raises(TypeError, match="no place"):
        Rule(at=1)


def test_many_clients_consume_a_rule_exactly_as_often_as_it_says(serve):
    server, proxy = serve(lambda got: ok(b"x"), Rule(fault=Status(500), times=40, skip=10))
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.extend(get(proxy)[0] for _ in range(10))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (statuses.count(500), statuses.count(200), len(server.got)) == (40, 40, 40)
    assert len(proxy.requests) == 80
    proxy.assert_consumed()


# Records

SECRETS = {
    "Authorization": "AWS4-HMAC-SHA256 CANARY",
    "X-Amz-Security-Token": "CANARY",
    "X-Auth-Token": "CANARY",
    "X-Auth-Key": "CANARY",
    "Cookie": "CANARY",
    "x-amz-server-side-encryption-customer-key": "CANARY",
    "x-amz-server-side-encryption-customer-key-MD5": "CANARY",
    "x-ms-encryption-key": "CANARY",
}
SECRET_QUERY = (
    "X-Amz-Signature=CANARY&X-Amz-Credential=CANARY&X-Amz-Security-Token=CANARY&sig=CANARY&temp_url_sig=CANARY"
    "&Signature=CANARY&AWSAccessKeyId=CANARY&X-Goog-Signature=CANARY"
)


def test_records_tell_all_but_secrets(serve):
    _, proxy = serve(lambda got: ok(b"", status="201 Created"), Rule(Match("PUT"), Status(503, executed=True), skip=1))
    get(proxy, "/b/a%2Fb?continuation-token=T%20&max-keys=2", "PUT", body=b"12345", headers={"X-Plain": "seen"})
    get(proxy, f"/b/k?{SECRET_QUERY}&part=1", "PUT", body=b"", headers=SECRETS)
    first, second = proxy.requests
    assert (first.method, first.target) == ("PUT", "/b/a%2Fb?continuation-token=T%20&max-keys=2")
    assert (first.body_length, first.status, first.server_status, first.fault) == (5, 201, 201, None)
    assert (second.status, second.server_status, second.fault) == (503, 201, "Status")
    assert first.header("x-plain") == "seen"
    assert "CANARY" not in repr(proxy.requests)
    assert {name for name, _ in second.headers} >= set(SECRETS)
    assert second.target.endswith("&X-Goog-Signature=[cut]&part=1")


# From other processes


def test_the_admin_takes_rules_and_tells_what_became_of_them(serve):
    server, proxy = serve()
    with Admin(proxy) as admin:
        remote = RemoteProxy(admin.url)
        remote.add(
            Rule(Match("GET", path="^/b"), FlipAnswerBit(), at=-1), Rule(Match("PUT"), Status(503, body=b"\xff"))
        )
        assert get(proxy) == (200, b"0123456788")
        with pytest.raises(AssertionError, match="Status"):
            remote.assert_consumed()
        assert get(proxy, method="PUT", body=b"x") == (503, b"\xff")
        remote.assert_consumed()
        assert [rule["consumed"] for rule in remote.rules] == [1, 1]
        assert remote.requests == proxy.requests
        remote.refuse()
        with pytest.raises(ConnectionRefusedError):
            get(proxy)
        remote.accept()
        remote.clear()
        assert (remote.requests, remote.rules) == ([], [])
        assert get(proxy)[0] == 200
    assert len(server.got) == 2


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"fault": {"name": "Nonsense"}}, "there is no fault 'Nonsense'; there are ChangeHeaders"),
        ({"fault": {"name": "Status", "colour": 1}}, "colour"),
        ({"match": {"colour": 1}}, "colour"),
        ({"colour": 1}, "a rule has no colour"),
    ],
)
def test_the_admin_says_what_is_wrong_with_a_rule(serve, given, says):
    _, proxy = serve()
    with Admin(proxy) as admin, pytest.raises(ValueError, match=says):
        RemoteProxy(admin.url)._call("POST", "/rules", given)
    assert proxy.rules == []


def test_the_admin_is_not_for_web_pages(serve):
    _, proxy = serve()
    with Admin(proxy) as admin:
        connection = http.client.HTTPConnection(admin.url.removeprefix("http://"), timeout=20)
        connection.request("POST", "/refuse", b"", {"Content-Type": "text/plain"})
        assert connection.getresponse().status == 415
        connection.close()
    assert get(proxy)[0] == 200


@pytest.mark.parametrize("rule", [Rule(hook=print), Rule(print), Rule(Match(predicate=bool))])
def test_functions_do_not_go_to_other_processes(rule):
    with pytest.raises(TypeError, match="cannot be sent"):
        RemoteProxy("http://127.0.0.1:9").add(rule)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_in_a_process_of_its_own(tmp_path, sent):
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps([{"match": {"method": "GET"}, "fault": {"name": "Status", "status": 429}, "times": 2}]))
    server = RawServer(lambda got: ok(b"real"))
    command = [sys.executable, "-W", "error", "-m", "cloudbridge_store.testing.fault_proxy"]
    with subprocess.Popen(
        [*command, "--upstream", server.url, "--rules", str(rules)], stdout=subprocess.PIPE, text=True
    ) as process:
        said = json.loads(process.stdout.readline())
        remote = RemoteProxy(said["admin"])
        with Client(said["url"]) as client:
            client.send(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
            assert client.read_all()[0].startswith(b"HTTP/1.1 429 ")
        assert [(rule["times"], rule["consumed"], rule["pending"]) for rule in remote.rules] == [(2, 1, True)]
        process.send_signal(sent)
        assert process.wait(20) == 0
    server.close()
    assert server.got == []


# How it ends


def open_files():
    """Return the sockets and pipes of this process; not their numbers, which are given again."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            pass
    return {each for each in found if each.startswith(("socket:", "pipe:"))}


@pytest.mark.filterwarnings("error")
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors are counted in /proc")
def test_closing_leaves_nothing_behind_whatever_is_going_on():
    server = RawServer(lambda got: ok(b"0123456789"))
    gc.collect()
    before = threading.active_count(), open_files()
    proxy = FaultProxy(server.url, [Rule(Match("GET"), StallInBody(5)), Rule(Match("HEAD"), StallBeforeHead())])
    clients = [Client(proxy.url) for _ in range(4)]
    clients[0].send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    clients[1].send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    clients[2].send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
    wait_until(lambda: not any(rule.pending for rule in proxy.rules) and len(proxy.requests) == 3)
    proxy.close()
    proxy.close()
    assert [client.read_all()[0][-5:] for client in clients] == [b"01234", b"", b"", b""]
    for client in clients:
        client.socket.close()
    wait_until(lambda: threading.active_count() <= before[0])
    del proxy, clients
    gc.collect()
    wait_until(lambda: open_files() == before[1])
    server.close()
    assert len(server.got) == 3


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        FaultProxy(None, port=taken.getsockname()[1])


# TLS


@pytest.fixture
def certify(tmp_path):
    """Write a certificate of an authority that nobody knows: ``certificate, key, authority = certify(name)``."""
    trustme = pytest.importorskip("trustme")

    def write(name="127.0.0.1", **options):
        authority = trustme.CA()
        issued = authority.issue_cert(name, **options)
        issued.private_key_pem.write_to_path(tmp_path / "key.pem")
        issued.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        return tmp_path / "certificate.pem", tmp_path / "key.pem", tmp_path / "ca.pem"

    return write


EXPIRED = {"not_before": datetime(2001, 1, 1, tzinfo=UTC), "not_after": datetime(2002, 1, 1, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("options", "known", "says"),
    [
        ({}, False, "unable to get local issuer|self.signed"),
        ({"name": "example.org"}, True, "mismatch"),
        (EXPIRED, True, "expired"),
    ],
)
def test_certificates_that_are_not_right(certify, options, known, says):
    certificate, key, authority = certify(**options)
    context = ssl.create_default_context(cafile=authority if known else None)
    with FaultProxy(None, certificate=certificate, key=key) as proxy:
        connection = http.client.HTTPSConnection("127.0.0.1", proxy.port, timeout=20, context=context)
        with pytest.raises(ssl.SSLCertVerificationError, match=says):
            connection.request("GET", "/")
        connection.close()
        assert wait_until(lambda: proxy.handshakes_failed) == 1
        assert proxy.requests == []


def test_tls_on_both_sides(certify):
    certificate, key, authority = certify()
    body = noise(2**20)
    server = RawServer(lambda got: ok(got.body))
    context = ssl.create_default_context(cafile=authority)
    rules = [Rule(Match("PUT"), FlipAnswerBit(at=-1), skip=1), Rule(Match("GET"), ResetAnswerBody(1))]
    with (
        FaultProxy(server.url, certificate=certificate, key=key) as inner,
        FaultProxy(inner.url, rules, certificate=certificate, key=key, upstream_ca=authority) as outer,
    ):
        connection = http.client.HTTPSConnection("127.0.0.1", outer.port, timeout=20, context=context)
        received = []
        for _ in range(2):
            connection.request("PUT", "/", body)
            received.append(connection.getresponse().read())
        connection.close()
        assert received == [body, body[:-1] + bytes([body[-1] ^ 1])]
        assert [request.status for request in inner.requests] == [200, 200]
    server.close()
    assert [got.body for got in server.got] == [body, body]
