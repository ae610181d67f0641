"""Which requests are hit, how often, what happens before, and what is written down."""

from __future__ import annotations

import threading

import pytest
from servers.raw import get, ok

from cloudbridge_store.testing.fault_proxy import FlipAnswerBit, LostAnswer, Match, ResetAnswerBody, Rule, Status

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
    _, proxy = serve(lambda got: ok(content[0]))
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
