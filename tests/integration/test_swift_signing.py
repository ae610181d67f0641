"""Temporary URLs as strangers use them: of Swift with its own users and behind Keystone, of Cloud Files and of Ceph."""

from __future__ import annotations

import time
from types import SimpleNamespace
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from servers.openstack_harnesses import CephSwiftHarness, KeystoneHarness, RackspaceHarness, SwiftHarness
from servers.scripted import Script

from cloudbridge_store import CloudProviderFactory, TransferConfig
from cloudbridge_store.drivers.base import SignedRequest
from cloudbridge_store.errors import AuthenticationError, BucketNotFoundError, UnsupportedOperationError

CONTENT = b"0123456789"
DENIED = (401, 403)
LENGTHS = {40: "sha1", 64: "sha256", 128: "sha512"}


@pytest.fixture(
    scope="module",
    params=[SwiftHarness, KeystoneHarness, RackspaceHarness, CephSwiftHarness],
    ids=lambda kind: kind.__name__,
)
def store(request, server):
    kind = request.param
    with kind(server(kind.kind)) as harness, harness.make_provider() as provider:
        bucket = harness.make_bucket(provider)
        with_keys = kind is not CephSwiftHarness
        # Other tests sign with the account's key, of which it has one.
        provider.storage.set_temp_url_key(harness.temp_url_key)
        if with_keys:
            provider.storage.set_temp_url_key(bucket=bucket)
        yield SimpleNamespace(harness=harness, provider=provider, bucket=bucket, with_keys=with_keys)


@pytest.fixture
def obj(store):
    store.bucket.objects.create("dir/other.txt").upload(b"secret")
    return store.bucket.objects.create("dir/stored ä+.txt").upload(CONTENT, content_type="text/x-stored")


def send(store, signed, url=None, method=None, body=None):
    return store.harness.send(SignedRequest(url or signed.url, method or signed.method, signed.headers), body=body)


def test_every_method_does_what_is_signed(store, obj):
    assert send(store, obj.sign("GET")).body == CONTENT
    head = send(store, obj.sign("HEAD"))
    assert (head.status, head.headers["content-length"], head.body) == (200, "10", b"")
    assert send(store, obj.sign("PUT"), body=b"new").status == 201
    assert obj.content() == b"new"
    assert send(store, obj.sign("DELETE")).status == 204
    assert store.bucket.objects.get(obj.name) is None


@pytest.mark.parametrize(("signed", "sent"), [("GET", "PUT"), ("GET", "DELETE"), ("PUT", "GET"), ("HEAD", "GET")])
def test_another_method_is_denied(store, obj, signed, sent):
    answer = send(store, obj.sign(signed), method=sent, body=b"x" if sent == "PUT" else None)
    assert answer.status in DENIED
    assert obj.content() == CONTENT


def test_another_object_is_denied(store, obj):
    signed = obj.sign("GET")
    path = urlsplit(signed.url).path.rpartition("/")[0]
    answer = send(store, signed, urlsplit(signed.url)._replace(path=f"{path}/other.txt").geturl())
    assert answer.status in DENIED
    assert b"secret" not in answer.body


def test_every_changed_part_is_denied(store, obj):
    signed = obj.sign("GET", 100)
    fields = urlsplit(signed.url).query.split("&")
    assert [each.partition("=")[0] for each in fields] == ["temp_url_sig", "temp_url_expires"]
    for field in fields:
        other = f"{field[:-1]}{'1' if field[-1] != '1' else '2'}"
        answer = send(store, signed, signed.url.replace(field, other))
        assert answer.status in DENIED, field
        assert CONTENT not in answer.body
    assert send(store, signed).body == CONTENT


def test_an_expired_url_is_denied(store, obj, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("cloudbridge_store.drivers.openstack.signing.time.time", lambda: time.time_ns() / 1e9 - 1000)
        expired = obj.sign("GET", 900)
        valid = obj.sign("GET", 1100)
    answer = send(store, expired)
    assert answer.status in DENIED
    assert CONTENT not in answer.body
    assert send(store, valid).body == CONTENT


def test_the_digest_is_the_best_that_the_service_knows(store, obj):
    [signature] = parse_qs(urlsplit(obj.generate_url()).query)["temp_url_sig"]
    assert LENGTHS[len(signature)] == ("sha1" if store.harness.kind == "ceph" else "sha256")


@pytest.mark.parametrize(
    ("disposition", "kind", "name"),
    [
        ("attachment", "attachment", "stored ä+.txt"),
        ('attachment; filename="a b;c.txt"', "attachment", "a b;c.txt"),
        ("attachment; filename=x.txt; filename*=UTF-8''%C3%BC%20x.txt", "attachment", "ü x.txt"),
        ("inline", "inline", None),
        ('inline; filename="page.html"', "inline", "page.html"),
    ],
)
def test_a_disposition_is_said_in_swifts_words(store, obj, disposition, kind, name):
    if store.harness.kind == "ceph" and kind == "inline" and name is not None:
        # It would leave the name away.
        with pytest.raises(UnsupportedOperationError, match="inline or attachment"):
            obj.sign("GET", content_disposition=disposition)
        return
    answer = send(store, obj.sign("GET", content_disposition=disposition))
    said = answer.headers["content-disposition"]
    assert (answer.status, answer.body, said.partition(";")[0]) == (200, CONTENT, kind)
    if name is None:
        assert "filename" not in said
    else:
        # Ceph quotes the name, and does not say that it did.
        assert said.endswith((quote(name), f'filename="{quote(name)}"'))


def test_what_no_url_can_say_is_refused(store, obj):
    with pytest.raises(UnsupportedOperationError):
        obj.generate_url(content_type="x/y")
    for disposition in ("form-data; name=x", "attachment; filename=x; size=1"):
        with pytest.raises(UnsupportedOperationError, match="inline or attachment"):
            obj.generate_url(content_disposition=disposition)


def test_a_prefix_is_for_what_starts_so(store, obj):
    store.bucket.objects.create("dirt/secret.txt").upload(b"secret")
    signed = store.bucket.objects.sign_prefix("dir/")
    url = signed.url_of(obj.name)
    assert store.harness.get_url(url).body == CONTENT
    for changed in (
        url.replace("/dir/stored%20%C3%A4%2B.txt", "/dirt/secret.txt"),
        url.replace("/dir/stored%20%C3%A4%2B.txt", "/dirt/secret.txt").replace("dir%2F", "dir"),
        url.replace("&temp_url_prefix=dir%2F", ""),
        url.replace("&temp_url_prefix=dir/", ""),
    ):
        if changed != url:
            assert store.harness.get_url(changed).status in DENIED, changed
    assert store.harness.send(SignedRequest(url, "PUT"), body=b"x").status in DENIED
    assert obj.content() == CONTENT


def test_the_key_of_the_configuration_needs_nothing_asked(store, obj):
    key = store.harness.temp_url_key
    with store.harness.make_provider(os_temp_url_key=key) as provider:
        other = provider.storage.buckets.get(store.bucket.name).objects.create(obj.name)
        assert store.harness.get_url(other.generate_url()).body == CONTENT
    with store.harness.make_provider(os_temp_url_key="some-other-key-of-ours") as provider:
        other = provider.storage.buckets.get(store.bucket.name).objects.create(obj.name)
        assert store.harness.get_url(other.generate_url()).status in DENIED


def test_a_new_key_ends_the_urls_of_the_one_before(store, obj):
    if not store.with_keys:
        with pytest.raises(UnsupportedOperationError, match="only the account's"):
            store.provider.storage.set_temp_url_key(bucket=store.bucket.name)
        return
    set_key = store.provider.storage.set_temp_url_key
    first = obj.generate_url()
    assert store.harness.get_url(first).status == 200
    assert set_key("a-key-of-my-own-choice", store.bucket.name, keep_previous=True) == "a-key-of-my-own-choice"
    second = obj.generate_url()
    assert [store.harness.get_url(url).status for url in (first, second)] == [200, 200]
    key = set_key(bucket=store.bucket.name, keep_previous=True)
    assert (repr(key), len(key) >= 32) == ("'***'", True)
    assert store.harness.get_url(first).status in DENIED
    assert store.harness.get_url(second).status == 200


def test_a_bucket_has_a_key_of_its_own(store, obj):
    if not store.with_keys:
        pytest.skip("containers have no keys here; the test above shows that theirs are refused")
    before = obj.generate_url()
    other = store.harness.make_bucket(store.provider)
    key = store.provider.storage.set_temp_url_key(bucket=other.name)
    elsewhere = other.objects.create(obj.name).upload(b"elsewhere")
    with store.harness.make_provider(os_temp_url_key=key) as provider:
        handle = provider.storage.buckets.get(other.name).objects.create(obj.name)
        assert handle.generate_url().split("?")[0] == elsewhere.generate_url().split("?")[0]
        assert store.harness.get_url(handle.generate_url()).body == b"elsewhere"
        # It signs for no other bucket.
        handle = provider.storage.buckets.get(store.bucket.name).objects.create(obj.name)
        assert store.harness.get_url(handle.generate_url()).status in DENIED
    assert store.harness.get_url(elsewhere.generate_url()).body == b"elsewhere"
    assert store.harness.get_url(before).body == CONTENT
    with pytest.raises(BucketNotFoundError):
        store.provider.storage.set_temp_url_key(bucket=store.harness.bucket_name())


def test_large_objects_need_the_accounts_key(store):
    content = bytes(range(256)) * 4104
    cut = TransferConfig(threshold=2**20, part_size=2**20)
    store.bucket.objects.create("large").upload(content, cut)
    with store.harness.make_provider(os_temp_url_key=store.harness.temp_url_key) as provider:
        url = provider.storage.buckets.get(store.bucket.name).objects.create("large").generate_url()
    assert store.harness.get_url(url).body == content
    if store.with_keys:
        # As the documentation says: Swift looks at the key of each segment's container.
        assert store.harness.get_url(store.bucket.objects.create("large").generate_url()).status == 409


INFO = b'{"swift": {}, "tempurl": {"methods": ["GET", "PUT"], "allowed_digests": ["sha512"]}}'


def scripted(serve, info, headers=None):
    """Return an object of an account whose service answers from a script, and the script."""

    def answer(asked):
        if asked.path == "/info":
            return info
        return 204, {"X-Trans-Id": "tx1", **(headers or {}).get(asked.path, {})}, b""

    script: Script = serve(answer)
    config = {"os_storage_url": f"{script.url}/v1/AUTH_a", "os_auth_token": "t"}
    provider = CloudProviderFactory().create_provider("openstack", config)
    return provider.storage.buckets.get("box").objects.create("a/b"), script


def test_without_a_key_nothing_is_set(serve):
    obj, script = scripted(serve, (200, {}, INFO))
    with pytest.raises(AuthenticationError, match="set_temp_url_key") as caught:
        obj.generate_url()
    assert "os_temp_url_key" in str(caught.value)
    assert {asked.method for asked in script.asked} <= {"GET", "HEAD"}


def test_who_may_not_see_the_account_is_told_what_is_missing(serve):
    def answer(asked):
        if asked.path == "/info":
            return 200, {}, INFO
        return (403 if asked.path == "/v1/AUTH_a" else 204), {"X-Trans-Id": "tx1"}, b""

    config = {"os_storage_url": f"{serve(answer).url}/v1/AUTH_a", "os_auth_token": "t"}
    with CloudProviderFactory().create_provider("openstack", config) as provider:
        obj = provider.storage.buckets.get("box").objects.create("a")
        with pytest.raises(AuthenticationError, match="os_temp_url_key"):
            obj.generate_url()


def test_the_containers_key_goes_before_the_accounts(serve):
    keys = {
        "/v1/AUTH_a/box": {"X-Container-Meta-Temp-Url-Key-2": "of-the-container"},
        "/v1/AUTH_a": {"X-Account-Meta-Temp-Url-Key": "of-the-account"},
    }
    obj, script = scripted(serve, (200, {}, INFO), keys)
    [signature] = parse_qs(urlsplit(obj.generate_url()).query)["temp_url_sig"]
    assert LENGTHS[len(signature)] == "sha512"
    obj.generate_url()
    assert [asked.path for asked in script.asked].count("/v1/AUTH_a/box") == 2  # one of them found the bucket
    assert [asked.path for asked in script.asked].count("/v1/AUTH_a") == 0


def test_what_the_service_does_not_sign_is_refused(serve):
    obj, _ = scripted(serve, (200, {}, INFO))
    with pytest.raises(UnsupportedOperationError, match="cannot DELETE"):
        obj.sign("DELETE")
    obj, script = scripted(serve, (200, {}, b'{"swift": {}}'))
    for call in (obj.generate_url, obj.bucket.provider.storage.set_temp_url_key):
        with pytest.raises(UnsupportedOperationError, match="no temporary URLs"):
            call()
    assert {asked.method for asked in script.asked} <= {"GET", "HEAD"}


def test_a_service_that_says_nothing_of_itself_gets_what_its_preset_says(serve):
    obj, _ = scripted(serve, (404, {"X-Trans-Id": "tx1"}, b""), {"/v1/AUTH_a": {"X-Account-Meta-Temp-Url-Key": "k"}})
    [signature] = parse_qs(urlsplit(obj.generate_url()).query)["temp_url_sig"]
    assert LENGTHS[len(signature)] == "sha256"
