"""Addresses that ``copy_from_url`` takes, and those that it refuses before anything is sent."""

import pytest

from cloudbridge_store import errors
from cloudbridge_store.drivers.openstack.addresses import place_of
from cloudbridge_store.testing.fixtures import offline_bucket

ACCOUNT = "https://Swift.example.org/gate/v1/AUTH_a"
ETAG = "d3b07384d113edec49eaa6238ad5ff00"
HEADERS = {"ETag": ETAG, "Last-Modified": "Fri, 20 Nov 2026 10:00:00 GMT", "Content-Type": "x/y"}


def given(make, url=ACCOUNT, **more):
    return offline_bucket(make(os_storage_url=url, os_auth_token="t", **more), "box").objects.create("a")


@pytest.mark.parametrize(
    ("url", "error", "match"),
    [
        (f"{ACCOUNT}/b/o?temp_url_sig=secret&temp_url_expires=1", errors.UnsupportedOperationError, "signature"),
        (f"{ACCOUNT}/b/o?", errors.UnsupportedOperationError, "query"),
        (f"{ACCOUNT}/b/o#1", errors.InvalidRequestError, "%23"),
        ("https://elsewhere.example.org/gate/v1/AUTH_a/b/o", errors.UnsupportedOperationError, "Download it"),
        ("https://swift.example.org:8443/gate/v1/AUTH_a/b/o", errors.UnsupportedOperationError, "not one of this"),
        ("https://swift.example.org:99999/gate/v1/AUTH_a/b/o", errors.UnsupportedOperationError, "not one of this"),
        ("https://swift.example.org/v1/AUTH_a/b/o", errors.UnsupportedOperationError, "not one of this"),
        ("https://swift.example.org/gate/v10/AUTH_a/b/o", errors.UnsupportedOperationError, "not one of this"),
        (ACCOUNT, errors.InvalidRequestError, "names no object"),
        (f"{ACCOUNT}/", errors.InvalidRequestError, "names no object"),
        (f"{ACCOUNT}/b", errors.InvalidRequestError, "names no object"),
        (f"{ACCOUNT}/b/", errors.InvalidRequestError, "names no object"),
        (f"{ACCOUNT}//o", errors.InvalidRequestError, "names no object"),
        (f"{ACCOUNT}/../o", errors.InvalidRequestError, "names no object"),
        (f"{ACCOUNT}/b%2Fc/o", errors.InvalidRequestError, "names no object"),
        (f"{ACCOUNT}/b/%00", errors.InvalidRequestError, "names no object"),
        (f"{ACCOUNT}/b/%FF", errors.InvalidRequestError, "names no object"),
        (f"{ACCOUNT}/b/..", errors.UnsupportedOperationError, "resolved away"),
        (f"{ACCOUNT}/b/../../AUTH_c/b/o", errors.UnsupportedOperationError, "resolved away"),
        (f"{ACCOUNT}/b/x/%2E/o", errors.UnsupportedOperationError, "resolved away"),
        (f"{ACCOUNT}/b/x%2F..%2Fo", errors.UnsupportedOperationError, "resolved away"),
        ("https://[::1]/gate/v1/AUTH_a/b/o", errors.UnsupportedOperationError, "not one of this"),
        ("https://swift.example.org./gate/v1/AUTH_a/b/o", errors.UnsupportedOperationError, "not one of this"),
        ("https://swift.example.org/gate/v1//b/o", errors.InvalidRequestError, "names no object"),
        ("https://swift.example.org/gate/v1/a%2Fb/b/o", errors.InvalidRequestError, "names no object"),
        ("https://swift.example.org/gate/v1/%2E%2E/b/o", errors.InvalidRequestError, "names no object"),
    ],
)
def test_addresses_that_are_refused(make, no_network, url, error, match):
    with pytest.raises(error, match=match) as caught:
        given(make).copy_from_url(url)
    assert "secret" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("url", ["https://[x/", "https://me:geheim@swift.example.org/gate/v1/AUTH_a/b/o"])
def test_addresses_that_nobody_can_ask(make, no_network, url):
    with pytest.raises(errors.InvalidValueException) as caught:
        given(make).copy_from_url(url)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("account", "url"),
    [
        ("https://Swift.example.org:443/gate/v1/AUTH_a", "HTTPS://SWIFT.example.org/gate/v1/AUTH_a/b/%2e%2e%2e"),
        ("https://[2001:DB8::1]:8443/v1/AUTH_a", "https://[2001:db8::1]:8443/v1/AUTH_a/b/..."),
    ],
)
def test_spellings_of_one_host(make, account, url):
    service = make(os_storage_url=account, os_auth_token="t").session.driver._service
    assert place_of(service, url) == ("b", "...", None)


@pytest.mark.parametrize(
    ("path", "asked", "account", "source"),
    [
        ("/v1/AUTH_b/c%C3%A4/x%2Fy%3F%20%25", "/v1/AUTH_b/c%C3%A4/x/y%3F%20%25", "AUTH_b", "/c%C3%A4/x/y%3F%20%25"),
        ("/v1/%41UTH_b%3A1/c/o", "/v1/AUTH_b%3A1/c/o", "AUTH_b%3A1", "/c/o"),
        ("/v1/AUTH_%61/c/a//b/", "/v1/AUTH_a/c/a//b/", None, "/c/a//b/"),
    ],
)
def test_what_is_asked_for(make, swift, path, asked, account, source):
    def answer(request):
        found = 200 if request.method == "HEAD" and request.path == asked else 201 if request.method == "PUT" else 404
        return found, HEADERS, b""

    service = swift(answer)
    obj = offline_bucket(make(**service.config), "box").objects.create("a")
    obj.copy_from_url(f"{service.script.url}{path}", content_type="x/z")
    [put] = [each for each in service.asked if each.method == "PUT"]
    assert put.path == "/v1/AUTH_a/box/a"
    assert put.headers.get("x-copy-from-account") == account
    assert put.headers["x-copy-from"] == source
    assert (put.headers["if-match"], put.headers["x-fresh-metadata"]) == (f'"{ETAG}"', "true")


def test_an_address_without_accounts(make, swift):
    """Ceph names none in its addresses, unless it is told to."""

    def answer(request):
        found = 200 if request.path == "/swift/v1/c/o" else 201 if request.method == "PUT" else 404
        return found, HEADERS, b""

    service = swift(answer)
    obj = given(make, f"{service.script.url}/swift/v1")
    service.good = "t"
    obj.copy_from_url(f"{service.script.url}/swift/v1/c/o")
    [put] = [each for each in service.asked if each.method == "PUT"]
    assert (put.path, put.headers["x-copy-from"]) == ("/swift/v1/box/a", "/c/o")
    assert "x-copy-from-account" not in put.headers


def test_who_says_that_nothing_is_there_has_to_be_swift(make, swift):
    service = swift(lambda request: (404, {"X-Trans-Id": None}, b""))
    obj = offline_bucket(make(**service.config), "box").objects.create("a")
    with pytest.raises(errors.ForeignAnswerError):
        obj.copy_from_url(f"{service.script.url}/v1/AUTH_b/c/o")


def test_ceph_copies_nothing_of_others(make, no_network):
    with pytest.raises(errors.UnsupportedOperationError):
        given(make, os_preset="ceph-swift").copy_from_url(f"{ACCOUNT}/b/o")
