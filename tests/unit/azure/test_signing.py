"""Signed URLs: what is signed, and with which key."""

from __future__ import annotations

import base64
import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("azure.storage.blob")

from azure.storage.blob._shared_access_signature import BlobSharedAccessSignature

from cloudbridge_store import CloudProviderFactory, errors
from cloudbridge_store.drivers.azure.signing import VERSION
from cloudbridge_store.drivers.base import SignOptions

KEY = base64.b64encode(b"a key").decode()


@pytest.fixture
def make():
    providers = []

    def make_provider(url="https://anaccount.blob.core.windows.net", **config):
        given = {"azure_endpoint_url": url, "azure_storage_account": "anaccount", **config}
        providers.append(CloudProviderFactory().create_provider("azure", given))
        return providers[-1]

    yield make_provider
    for provider in providers:
        provider.close()


def sign(provider, key="dir/ä b?.txt", method="GET", **options):
    return provider.session.driver.sign_url("a-bucket", key, method, 60, SignOptions(**options))


def query_of(signed):
    return {name: values[0] for name, values in parse_qs(urlsplit(signed.url).query).items()}


@pytest.mark.parametrize(("method", "permission"), [("GET", "r"), ("PUT", "cw"), ("DELETE", "d")])
def test_the_signature_is_the_one_that_the_sdk_makes(make, method, permission):
    options = {"content_disposition": 'attachment; filename="a b"', "content_type": "x/y"} if method == "GET" else {}
    query = query_of(sign(make(azure_storage_key=KEY), method=method, **options))
    theirs = BlobSharedAccessSignature("anaccount", account_key=KEY)
    theirs.x_ms_version = VERSION
    made = theirs.generate_blob(
        "a-bucket", "dir/ä b?.txt", permission=permission, expiry=query["se"], protocol="https", **options
    )
    assert query == {name: values[0] for name, values in parse_qs(made).items()}


def test_the_address_is_the_objects(make):
    url = urlsplit(sign(make(azure_storage_key=KEY)).url)
    assert (url.scheme, url.netloc) == ("https", "anaccount.blob.core.windows.net")
    assert url.path == "/a-bucket/dir/%C3%A4%20b%3F.txt"


def test_https_is_part_of_what_is_signed(make):
    assert query_of(sign(make(azure_storage_key=KEY)))["spr"] == "https"
    assert "spr" not in query_of(sign(make("http://127.0.0.1:1/anaccount", azure_storage_key=KEY)))


def test_what_cannot_be_signed(make):
    provider = make(azure_storage_key=KEY)
    for method, options in (("HEAD", {}), ("PUT", {"content_type": "x/y"})):
        with pytest.raises(errors.UnsupportedOperationError):
            sign(provider, method=method, **options)


@pytest.mark.parametrize("who", [{"azure_sas_token": "sv=1&sig=abc"}, {"azure_anonymous": True}], ids=str)
def test_who_cannot_sign(make, who):
    provider = make(**who)
    assert provider.capabilities.sign == frozenset()
    with pytest.raises(errors.UnsupportedOperationError, match="give the account's key"):
        sign(provider)


class Delegation:
    """A service that gives out keys of some seconds, and counts them."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.given = 0

    def __call__(self, asked):
        assert (asked.method, asked.path) == ("POST", "/anaccount/?restype=service&comp=userdelegationkey")
        self.given += 1
        ends = (datetime.now(UTC) + timedelta(seconds=self.seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        fields = {"SignedOid": "oid", "SignedTid": "tid", "SignedStart": "2026-01-01T00:00:00Z", "SignedExpiry": ends}
        fields |= {"SignedService": "b", "SignedVersion": "2020-12-06", "Value": KEY}
        inner = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
        return 200, {"x-ms-request-id": "R1"}, f"<UserDelegationKey>{inner}</UserDelegationKey>".encode()


@pytest.fixture
def delegated(make, serve):
    def start(seconds):
        service = Delegation(seconds)
        provider = make(f"{serve(service).url}/anaccount", azure_access_token="a-token")
        return provider, service

    return start


def test_a_delegation_key_is_asked_for_once(delegated):
    provider, service = delegated(86_400)
    barrier = threading.Barrier(8)
    found = []

    def work():
        barrier.wait()
        found.append(query_of(sign(provider)))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), service.given) == (8, 1)
    assert {name: found[0][name] for name in ("skoid", "sktid", "sks", "skv", "sr", "sp")} == {
        "skoid": "oid", "sktid": "tid", "sks": "b", "skv": "2020-12-06", "sr": "b", "sp": "r",
    }  # fmt: skip


def test_a_key_that_ends_before_the_url_is_replaced(delegated):
    provider, service = delegated(30)
    sign(provider)
    sign(provider)
    assert service.given == 2
    service.seconds = 3600
    sign(provider)
    sign(provider)
    assert service.given == 3


def test_a_key_does_not_show(delegated):
    provider, _ = delegated(86_400)
    sign(provider)
    assert KEY not in repr(provider.session.driver._signer._key)


def test_an_answer_that_is_no_key(make, serve):
    script = serve(
        lambda asked: (200, {"x-ms-request-id": "R1"}, b"<UserDelegationKey><Value>eA==</Value></UserDelegationKey>")
    )
    with pytest.raises(errors.ForeignAnswerError):
        sign(make(f"{script.url}/anaccount", azure_access_token="a-token"))
