"""The proxy from other processes, with TLS, and how it ends."""

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
from datetime import UTC, datetime

import pytest
from servers.raw import PLAIN, Client, RawServer, get, ok, wait_until

from cloudbridge_store.testing.fault_proxy import (
    Admin,
    FaultProxy,
    FlipAnswerBit,
    Match,
    RemoteProxy,
    ResetAnswerBody,
    Rule,
    StallBeforeHead,
    StallInBody,
    Status,
)
from cloudbridge_store.testing.fixtures import noise

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
    server = RawServer(lambda got: PLAIN)
    gc.collect()
    # What others opened before may be closed meanwhile.
    threads, files = {*threading.enumerate()}, open_files()
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
    wait_until(lambda: {*threading.enumerate()} <= threads)
    gc.collect()
    wait_until(lambda: open_files() <= files)
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
