"""Who may do what on Azure: signatures, tokens, public buckets, leases, archives, versions; on Azurite."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("azure.storage.blob")

from azure.storage.blob import generate_container_sas
from servers.azure_harnesses import AzuriteHarness, AzuriteTlsHarness, make_sas
from servers.azurite import make_token

from cloudbridge_store import errors
from cloudbridge_store.drivers.base import PUT_PLAIN

HARNESS = AzuriteHarness


@pytest.fixture
def by_sas(harness):
    """Make a provider that has a signature and nothing else."""
    made = []

    def make(sas, **more):
        made.append(harness.make_provider(azure_storage_key=None, azure_sas_token=sas, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def container_sas(harness, bucket):
    """Sign for one container."""

    def sign(permission, name=bucket.name):
        expiry = datetime.now(UTC) + timedelta(hours=1)
        return generate_container_sas(
            harness.account, name, account_key=harness.key, permission=permission, expiry=expiry
        )

    return sign


# Signed URLs


def test_a_url_ends(harness, bucket):
    obj = bucket.objects.create("a").upload(b"content")
    driver = obj.provider.session.driver
    query = driver._signer.sign(bucket.name, "a", "r", -5)
    answer = harness.get_url(f"{obj.public_url}?{query}")
    assert (answer.status, b"content" in answer.body) == (403, False)


def test_a_url_of_one_object_opens_no_other_name_of_it(harness, bucket):
    """What the service makes of an address is not what was signed."""
    bucket.objects.create("dir/a").upload(b"content")
    url = bucket.objects.create("dir/a").generate_url()
    for other in ("dir/./a", "dir//a", "x/../dir/a", "dir/a/", "dir/b"):
        assert harness.get_url(url.replace("dir/a", other)).status in (400, 403, 404)


def test_a_signed_put_stores_what_the_sender_says(harness, bucket):
    signed = bucket.objects.create("a").sign("PUT")
    assert signed.headers == {"x-ms-blob-type": "BlockBlob"}
    answer = harness.send(signed, body=b"1", headers={"Content-Type": "x/y"})
    assert answer.status == 201
    assert bucket.objects.get("a").content_type == "x/y"


def test_a_delegated_url_ends_too(server):
    with AzuriteTlsHarness(server("azurite-tls")) as harness, harness.make_provider() as provider:
        bucket = harness.make_bucket(provider)
        obj = bucket.objects.create("a").upload(b"content")
        assert harness.get_url(obj.generate_url(60)).body == b"content"
        query = provider.session.driver._signer.sign(bucket.name, "a", "r", -5)
        assert harness.get_url(f"{obj.public_url}?{query}").status == 403


# Tokens as credentials


def test_a_managed_identity(server, serve, monkeypatch):
    """As a machine of Azure has it: an address in the environment gives out tokens, to whoever names its header."""
    token = {"access_token": make_token(), "expires_on": str(int(time.time()) + 3600), "token_type": "Bearer"}
    source = serve(lambda asked: (200, {"Content-Type": "application/json"}, json.dumps(token).encode()))
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{source.url}/token")
    monkeypatch.setenv("IDENTITY_HEADER", "the-header")
    monkeypatch.setenv("AZURE_CLIENT_ID", "its-client")
    with (
        AzuriteTlsHarness(server("azurite-tls")) as harness,
        harness.make_provider(azure_access_token=None, azure_storage_account=None) as provider,
    ):
        assert provider.authenticate()
        obj = harness.make_bucket(provider).objects.create("a").upload(b"1")
        assert harness.get_url(obj.generate_url(60)).body == b"1"
    [asked] = source.asked
    assert asked.headers["x-identity-header"] == "the-header"
    query = parse_qs(urlsplit(asked.path).query)
    assert (query["resource"], query["client_id"]) == (["https://storage.azure.com"], ["its-client"])


# Signatures as credentials


def test_credentials_for_one_bucket(by_sas, container_sas, bucket):
    sas = container_sas("rwdl")
    with pytest.raises(errors.ProviderConnectionException, match="azure_container"):
        by_sas(sas).authenticate()
    provider = by_sas(sas, azure_container=bucket.name)
    assert provider.authenticate()
    [own] = provider.storage.buckets.list()
    assert own.name == bucket.name
    own.objects.create("a").upload(b"1")
    assert [each.name for each in own.objects] == ["a"]
    assert own.objects.get("a").content() == b"1"
    with pytest.raises(errors.ProviderConnectionException):
        list(own.sibling(f"{bucket.name}-x").objects)
    with pytest.raises(errors.ProviderConnectionException):
        by_sas(sas, azure_container=f"{bucket.name}-x").authenticate()
    # What may not list may still be known, and do what it may.
    writer = by_sas(container_sas("w"), azure_container=bucket.name)
    assert writer.authenticate()
    for there in (writer.storage.buckets.get(bucket.name), *writer.storage.buckets.list()):
        there.objects.create("b").upload(b"2")
    assert bucket.objects.get("b").content() == b"2"
    assert provider.storage.buckets.get(bucket.name).name == bucket.name


@pytest.mark.parametrize("kinds", ["o", "co", "sco"])
def test_credentials_of_some_kinds_are_known(harness, by_sas, kinds):
    assert by_sas(make_sas(harness, permission="r", kinds=kinds)).authenticate()


def test_credentials_that_have_ended_are_not(harness, by_sas):
    provider = by_sas(make_sas(harness, seconds=-60))
    with pytest.raises(errors.ProviderConnectionException):
        provider.authenticate()
    # To a HEAD, too, which the service explains nothing to.
    with pytest.raises(errors.CredentialsExpiredError, match="get a new one"):
        provider.storage.buckets.get("bucket")


def test_a_wrong_key_is_not_known(harness):
    with harness.make_provider(azure_storage_key="d3Jvbmc=") as provider, pytest.raises(errors.AuthenticationError):
        provider.authenticate()


def test_a_permission_that_is_missing(harness, by_sas, bucket):
    bucket.objects.create("a").upload(b"1")
    provider = by_sas(make_sas(harness, permission="rl"))
    obj = provider.storage.buckets.get(bucket.name).objects.create("a")
    assert obj.content() == b"1"
    for call, needed in (
        (lambda: obj.upload(b"2"), "c to create, or w to replace,"),
        (lambda: obj.upload(b"2", tags={"a": "1"}), "w to replace, and t for tags,"),
        (obj.delete, "d to delete,"),
        (lambda: obj.set_tags({"a": "1"}), "t for tags,"),
    ):
        with pytest.raises(errors.PermissionDeniedError, match=f"This takes .*{needed} of a shared access signature"):
            call()
    there = by_sas(make_sas(harness, permission="w"), azure_container=bucket.name).storage.buckets.get(bucket.name)
    with pytest.raises(errors.PermissionDeniedError, match="This takes r to read"):
        there.objects.create("a").content()
    assert bucket.objects.get("a").content() == b"1"


def test_a_copy_by_a_signature(harness, by_sas, bucket):
    provider = by_sas(make_sas(harness))
    there = provider.storage.buckets.get(bucket.name)
    obj = there.objects.create("a").upload(b"1", content_type="x/y", metadata={"m": "1"}, tags={"k": "v"})
    copied = obj.copy_to(there, "b")
    assert (copied.content(), copied.content_type, copied.metadata) == (b"1", "x/y", {"m": "1"})
    assert copied.get_tags() == {"k": "v"}


@pytest.fixture
def alone(request, server):
    """An account of its own, as others change the rules of the one that tests share."""
    with AzuriteHarness(server("azurite"), lone=request.param) as harness:
        yield harness


@pytest.mark.parametrize("alone", [1], indirect=True)
def test_the_accounts_rules_by_a_signature(alone):
    signatures = (make_sas(alone), make_sas(alone, permission="r"))
    writer, reader = (alone.make_provider(azure_storage_key=None, azure_sas_token=each) for each in signatures)
    with writer, reader:
        storage = writer.storage
        storage.set_rules("cors", [alone.cors_rule])
        assert storage.get_rules("cors") == [alone.cors_rule]
        with pytest.raises(errors.PermissionDeniedError, match="This takes w to write"):
            reader.storage.set_rules("cors", [])
        storage.set_rules("cors", [])
        assert storage.get_rules("cors") == []


# Copies between accounts


def test_a_copy_from_another_account(harness, bucket):
    with harness.make_other_provider() as other:
        source = other.storage.buckets.create(harness.bucket_name())
        url = source.objects.create("ä b").upload(b"from afar", metadata={"m": "1"}).generate_url(60)
        copied = bucket.objects.create("here").copy_from_url(url, metadata={"n": "2"})
        assert (copied.content(), copied.metadata) == (b"from afar", {"n": "2"})
        with pytest.raises(errors.StoreError) as caught:
            bucket.objects.create("b").copy_from_url(urlsplit(url)._replace(query="").geturl())
        assert not isinstance(caught.value, errors.NotFoundError)
        source.delete(delete_contents=True)
    assert [each.name for each in bucket.objects] == ["here"]


# Versions and snapshots


def test_snapshots_are_versions(bucket):
    client = bucket.provider.native.get_blob_client(bucket.name, "dir/a")
    obj = bucket.objects.create("dir/a").upload(b"first", content_type="x/y")
    client.create_snapshot()
    obj.upload(b"the second")
    client.create_snapshot()
    obj.upload(b"3")
    bucket.objects.create("dir/b").upload(b"other")
    now, second, first = obj.versions()
    assert [each.is_latest for each in (now, second, first)] == [True, False, False]
    assert [each.content() for each in (now, second, first)] == [b"3", b"the second", b"first"]
    assert (now.version, first.version.startswith("snapshot:")) == (None, True)
    assert (first.size, first.content_type, first.read_range(1, 2)) == (5, "x/y", b"ir")
    again = bucket.objects.get("dir/a", version=second.version)
    assert (again.content(), again.version) == (b"the second", second.version)
    assert first.restore_version().content() == b"first"
    second.delete()
    assert [each.content() for each in obj.versions()] == [b"first", b"first"]
    obj.delete()
    assert [each.name for each in bucket.objects.versions()] == ["dir/b"]


def test_pages_of_versions(bucket):
    keys = ["a", "b/1", "b/2", "🗃", "\uffee"]
    for key in keys:
        client = bucket.provider.native.get_blob_client(bucket.name, key)
        for number in range(3):
            bucket.objects.create(key).upload(str(number))
            client.create_snapshot()
        bucket.objects.create(key).upload(b"now")
    driver = bucket.provider.session.driver
    for limit in (1, 3, 4, 7, 100):
        seen, token = [], None
        while True:
            page = driver.list_versions(bucket.name, limit=limit, token=token)
            assert len(page.items) <= limit
            seen += [(each.info.key, each.info.version or "~") for each in page.items]
            token = page.token
            if token is None:
                break
        assert [key for key, _ in seen] == [key for key in keys for _ in range(4)]
        assert all([version for other, version in seen if other == key] == sorted(
            {version for other, version in seen if other == key}, reverse=True) for key in keys)  # fmt: skip
    assert [each.name for each in bucket.objects.versions("b/1")] == ["b/1"] * 4


# What stands in the way


def test_an_archived_object_is_not_read(bucket):
    obj = bucket.objects.create("a").upload(b"1", storage_class="Archive")
    with pytest.raises(errors.ArchivedError):
        obj.content()
    obj.set_storage_class("Hot")
    assert (obj.content(), obj.storage_class) == (b"1", "Hot")


def test_a_leased_object_is_kept(bucket):
    obj = bucket.objects.create("a").upload(b"1")
    lease = bucket.provider.native.get_blob_client(bucket.name, "a").acquire_lease()
    for call in (
        lambda: obj.upload(b"2"),
        obj.delete,
        lambda: bucket.objects.create("b").upload(b"2").copy_to(bucket, "a"),
    ):
        with pytest.raises(errors.LockedError):
            call()
    assert obj.content() == b"1"
    obj.upload(b"2", extra={"x-ms-lease-id": lease.id})
    assert obj.content() == b"2"
    lease.release()
    obj.upload(b"3")


def test_objects_of_other_kinds_are_no_unfinished_uploads(bucket):
    """The service has no blocks of them to list, and refuses to."""
    bucket.provider.native.get_blob_client(bucket.name, "log").create_append_blob()
    bucket.provider.native.get_blob_client(bucket.name, "disk").create_page_blob(0)
    started = bucket.provider.session.driver.start_upload(bucket.name, "new", PUT_PLAIN)
    assert [(each.name, each.id) for each in bucket.list_uploads()] == [("new", started)]
    bucket.delete(delete_contents=True)
    assert bucket.provider.storage.buckets.get(bucket.name) is None


# Public buckets and the website


def test_public_access_leaves_the_policies(bucket):
    from azure.storage.blob import AccessPolicy

    container = bucket.provider.native.get_container_client(bucket.name)
    container.set_container_access_policy({"readers": AccessPolicy(permission="r", expiry="2030-01-01T00:00:00Z")})
    bucket.make_public()
    found = container.get_container_access_policy()
    assert (found["public_access"], [each.id for each in found["signed_identifiers"]]) == ("blob", ["readers"])
    bucket.make_private()
    found = container.get_container_access_policy()
    assert (found["public_access"], [each.id for each in found["signed_identifiers"]]) == (None, ["readers"])


def test_nobody_reads_what_is_public(harness, bucket):
    bucket.objects.create("a").upload(b"1")
    nobody = {"azure_storage_key": None, "azure_anonymous": True, "azure_container": bucket.name}
    bucket.make_public()
    with harness.make_provider(**nobody) as provider:
        there = provider.storage.buckets.get(bucket.name)
        assert there.objects.get("a").content() == b"1"
        with pytest.raises(errors.StoreError):
            there.objects.create("b").upload(b"2")


@pytest.mark.parametrize("alone", [2], indirect=True)
def test_the_account_has_one_website(alone):
    url = "https://anaccount.z6.web.core.windows.net"
    with alone.make_provider(azure_website_url=url) as provider:
        bucket = alone.make_bucket(provider)
        with pytest.raises(errors.UnsupportedOperationError, match=r"\$web"):
            bucket.enable_website("index.html")
        site = provider.storage.buckets.create("$web")
        assert provider.storage.buckets.get("$web").name == "$web"
        cors = provider.native.get_service_properties()["cors"]
        assert site.enable_website("index.html", "404.html") == url
        found = provider.native.get_service_properties()
        assert (found["static_website"].enabled, found["static_website"].index_document) == (True, "index.html")
        assert (found["static_website"].error_document404_path, found["cors"]) == ("404.html", cors)
        site.disable_website()
        assert not provider.native.get_service_properties()["static_website"].enabled
        site.delete()
        with pytest.raises(errors.InvalidNameException):
            provider.storage.buckets.create("$other")
        alone.remove_bucket(bucket)
