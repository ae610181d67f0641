"""Who may read a container, and static websites: on Swift as strangers see them, on Ceph as it keeps them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from servers.openstack_harnesses import CephSwiftHarness, SwiftHarness

from cloudbridge_store import CloudProviderFactory, TransferConfig
from cloudbridge_store.errors import BucketNotFoundError, UnsupportedOperationError
from cloudbridge_store.testing.fixtures import noise

MiB = 2**20
CUT = TransferConfig(threshold=MiB, part_size=MiB, max_concurrency=2)
LARGE = noise(MiB + 1000, seed=11)
PAGES = ("X-Container-Meta-Web-Index", "X-Container-Meta-Web-Error")


@pytest.fixture(params=[SwiftHarness, CephSwiftHarness], ids=lambda kind: kind.__name__)
def store(request, server):
    with request.param(server(request.param.kind)) as harness, harness.make_provider() as provider:
        bucket = harness.make_bucket(provider)
        swift = provider.native.object_store
        yield SimpleNamespace(
            harness=harness,
            provider=provider,
            bucket=bucket,
            headers=lambda: swift.head(f"/{bucket.name}").headers,
            post=lambda headers: swift.post(f"/{bucket.name}", headers=headers),
        )


def test_users_keep_their_rights(store):
    user = "test:tester" if store.harness.kind == "swift" else "tester"
    store.post({"X-Container-Read": user})
    store.bucket.make_public()
    store.bucket.make_public()
    assert sorted(store.headers()["X-Container-Read"].split(",")) == sorted([user, ".r:*"])
    store.bucket.make_private()
    assert store.headers()["X-Container-Read"] == user


@pytest.mark.parametrize("first", ["upload", "publish"])
def test_large_objects_of_a_public_bucket_are_read_by_everybody(store, first):
    def store_large():
        return store.bucket.objects.create("large").upload(LARGE, CUT)

    if first == "upload":
        store_large()
    store.bucket.make_public()
    url = store_large().public_url
    beside = f"/{store.bucket.name}_segments"
    assert store.provider.native.object_store.head(beside).headers["X-Container-Read"] == ".r:*"
    if store.harness.kind == "swift":
        assert store.harness.get_url(url).body == LARGE
    store.bucket.make_private()
    assert not store.provider.native.object_store.head(beside).headers.get("X-Container-Read")
    assert store.harness.get_url(url).status in (401, 404)


@pytest.mark.parametrize("acl", [".r:*,.rlistings", ".r:.example.org,.rlistings", ".r:*,.r:-.example.org"])
def test_private_is_for_nobody_without_a_token(store, acl):
    if store.harness.kind == "ceph" and "example" in acl:
        pytest.skip("Ceph keeps no referrers")
    store.post({"X-Container-Read": acl})
    store.bucket.make_private()
    assert not store.headers().get("X-Container-Read")


def test_a_website_is_served(store):
    store.bucket.objects.create("index.html").upload("<p>Hello</p>")
    store.bucket.objects.create("404missing.html").upload("<p>Not here</p>")
    url = store.bucket.enable_website("index.html", "missing.html")
    assert [store.headers()[name] for name in PAGES] == ["index.html", "missing.html"]
    assert store.bucket.enable_website("index.html", "404missing.html") == url
    assert [store.headers()[name] for name in PAGES] == ["index.html", "missing.html"]
    if store.harness.kind == "swift":
        assert store.harness.get_url(url).status == 401
        store.bucket.make_public()
        answer = store.harness.get_url(url)
        assert (answer.status, answer.body) == (200, b"<p>Hello</p>")
        answer = store.harness.get_url(f"{url}nothing")
        assert (answer.status, answer.body) == (404, b"<p>Not here</p>")
    store.bucket.enable_website("index.html")
    assert [store.headers().get(name) for name in PAGES] == ["index.html", None]
    assert store.headers().get("X-Container-Read", "") == (".r:*,.rlistings" if store.harness.kind == "swift" else "")
    store.bucket.disable_website()
    assert [store.headers().get(name) for name in PAGES] == [None, None]
    if store.harness.kind == "swift":
        # Nor does anybody get a list in its place.
        assert store.harness.get_url(url).status == 401
        assert store.harness.get_url(f"{url}index.html").status == 200
        store.bucket.enable_website("index.html")
        assert store.harness.get_url(url).body == b"<p>Hello</p>"
        store.bucket.make_private()
        assert store.harness.get_url(url).status == 401


def test_names_of_pages_need_not_be_ascii(store):
    store.bucket.enable_website("ü.html")
    assert store.headers()["X-Container-Meta-Web-Index"].encode("latin-1").decode() == "ü.html"


def test_what_is_not_there(store):
    bucket = store.provider.storage.buckets.get(store.bucket.name)
    store.harness.remove_bucket(bucket)
    for call in (bucket.make_public, bucket.make_private, lambda: bucket.enable_website("index.html")):
        with pytest.raises(BucketNotFoundError):
            call()


def test_a_service_without_websites(serve):
    script = serve(lambda asked: (200, {"X-Trans-Id": "tx1"}, b'{"swift": {}}'))
    config = {"os_storage_url": f"{script.url}/v1/AUTH_a", "os_auth_token": "t"}
    with CloudProviderFactory().create_provider("openstack", config) as provider:
        bucket = provider.storage.buckets.get("box")
        with pytest.raises(UnsupportedOperationError, match="staticweb"):
            bucket.enable_website("index.html")
        for call in (bucket.enable_versioning, lambda: list(bucket.objects.versions())):
            with pytest.raises(UnsupportedOperationError, match="object_versioning"):
                call()
    assert {asked.method for asked in script.asked} <= {"GET", "HEAD"}
