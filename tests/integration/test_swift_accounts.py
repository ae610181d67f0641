"""Copies of what is in another account of Swift, with users of its own and with Keystone's."""

from __future__ import annotations

from urllib.parse import quote

import pytest

pytest.importorskip("keystoneauth1")

from servers.openstack_harnesses import KeystoneHarness, SwiftHarness

from cloudbridge_store import TransferConfig, errors
from cloudbridge_store.drivers.openstack import copying
from cloudbridge_store.testing.fixtures import noise

MiB = 2**20
CUT = TransferConfig(threshold=MiB, part_size=MiB, max_concurrency=2)
NAMES = ("a?b=c#d", "a%2Fb%20c", "x y/+ä€🗃.txt", "a//b/", "with&=;,'\"")


class OfTempAuth(SwiftHarness):
    """Swift, its two users in two accounts."""

    def other(self):
        server = self.server
        return {"os_username": server.other_access_key, "os_password": server.other_secret_key}

    def who(self, provider):
        return self.server.other_access_key


class OfKeystone(KeystoneHarness):
    """Swift behind Keystone, its two users in two projects."""

    def other(self):
        server = self.server
        return {
            "os_username": server.other_user,
            "os_password": server.other_password,
            "os_project_name": server.other_project,
        }

    def who(self, provider):
        connection = provider.native
        return f"{connection.current_project_id}:{connection.current_user_id}"


@pytest.fixture(scope="module", params=[OfTempAuth, OfKeystone], ids=["swift", "keystone"])
def harness(request, server):
    with request.param(server(request.param.kind)) as harness:
        yield harness


@pytest.fixture(scope="module")
def owner(harness):
    """The provider of those whose objects are copied."""
    with harness.make_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def ours(harness):
    """The provider in the other account, which copies."""
    with harness.make_provider(**harness.other()) as provider:
        yield provider


@pytest.fixture
def theirs(harness, owner):
    bucket = harness.make_bucket(owner)
    yield bucket
    harness.remove_bucket(bucket)


@pytest.fixture
def bucket(harness, ours):
    bucket = ours.storage.buckets.create(harness.bucket_name())
    yield bucket
    bucket.delete(delete_contents=True)


@pytest.fixture
def allow(harness, ours):
    def post(bucket, name=None):
        acl = {"X-Container-Read": harness.who(ours)}
        assert bucket.provider.native.object_store.post(f"/{name or bucket.name}", headers=acl).ok

    return post


@pytest.mark.parametrize("name", NAMES)
def test_what_its_account_lets_us_read(theirs, bucket, allow, name):
    allow(theirs)
    content = name.encode() * 3
    source = theirs.objects.create(name).upload(content, content_type="x/y", metadata={"of": "them"})
    copied = bucket.objects.create(f"copy of {name}").copy_from_url(
        source.public_url, content_type="x/z", metadata={"a_b": "ü"}
    )
    assert (copied.content(), copied.content_type, copied.metadata) == (content, "x/z", {"a_b": "ü"})
    plain = bucket.objects.create("plain.json").copy_from_url(source.public_url)
    assert (plain.content(), plain.content_type, plain.metadata) == (content, "application/json", {})
    assert (source.content(), source.metadata) == (content, {"of": "them"})


def test_one_of_the_same_name_in_our_account_is_another(ours, theirs, bucket, allow):
    allow(theirs)
    twin = ours.storage.buckets.create(theirs.name)
    twin.objects.create("a").upload(b"ours")
    source = theirs.objects.create("a").upload(b"theirs")
    assert bucket.objects.create("1").copy_from_url(source.public_url).content() == b"theirs"
    assert bucket.objects.create("2").copy_from_url(twin.objects.create("a").public_url).content() == b"ours"
    twin.delete(delete_contents=True)


def test_what_its_account_does_not_let_us_read(theirs, bucket):
    source = theirs.objects.create("a").upload(b"theirs")
    for obj in (source, theirs.objects.create("missing"), theirs.sibling(f"{theirs.name}-x").objects.create("a")):
        with pytest.raises(errors.PermissionDeniedError, match="X-Container-Read") as caught:
            bucket.objects.create("a").copy_from_url(obj.public_url)
        assert caught.value.status == 403
    assert bucket.objects.list() == []


def test_what_is_missing(theirs, bucket, allow):
    allow(theirs)
    source = theirs.objects.create("a").upload(b"theirs")
    with pytest.raises(errors.InvalidRequestError, match="no object at the address"):
        bucket.objects.create("a").copy_from_url(theirs.objects.create("b").public_url)
    with pytest.raises(errors.BucketNotFoundError) as caught:
        bucket.sibling(f"{bucket.name}-x").objects.create("a").copy_from_url(source.public_url)
    assert caught.value.bucket == f"{bucket.name}-x"


@pytest.mark.parametrize("largest", [MiB, None])
def test_a_large_object_of_another_account(theirs, bucket, allow, monkeypatch, largest):
    """As one object, and by ranges into segments of its own."""
    if largest:
        monkeypatch.setattr(copying, "LARGEST", largest)
        monkeypatch.setattr(copying, "STEP", largest)
    content = noise(3 * MiB + 5)
    allow(theirs)
    source = theirs.objects.create("large").upload(content, CUT)
    with pytest.raises(errors.PermissionDeniedError, match="segments of a large object"):
        bucket.objects.create("a").copy_from_url(source.public_url)
    assert bucket.objects.list() == []
    allow(theirs, f"{theirs.name}_segments")
    copied = bucket.objects.create("a").copy_from_url(source.public_url, metadata={"a": "1"})
    assert (copied.content(), copied.metadata) == (content, {"a": "1"})
    source.delete()
    assert copied.content() == content


def test_an_object_of_our_own_by_its_address(owner, theirs):
    source = theirs.objects.create("a b").upload(b"1")
    assert theirs.objects.create("c").copy_from_url(source.public_url).content() == b"1"
    assert quote("a b") in source.public_url
