"""Logging in at Keystone, in every way and wrongly; and what Swift answers once in a while."""

from __future__ import annotations

import json
import urllib.request

import pytest
from servers.openstack_harnesses import KeystoneHarness

from cloudbridge_store import CloudProviderFactory, TransferConfig
from cloudbridge_store.core.source import BytesBody
from cloudbridge_store.drivers.base import MiB, PutOptions
from cloudbridge_store.errors import (
    AuthenticationError,
    IntegrityError,
    PermissionDeniedError,
    ProviderConnectionException,
    QuotaExceededError,
    StoreError,
    ThrottledError,
)
from cloudbridge_store.testing.fault_proxy import FaultProxy, Match, Rule, Status
from cloudbridge_store.testing.fixtures import noise

HARNESS = KeystoneHarness


def keystone(harness, path, content, token=None, method="POST"):
    """Send a request to Keystone itself, and return headers and body."""
    headers = {"Content-Type": "application/json", **({"X-Auth-Token": token} if token else {})}
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(f"{harness.server.auth_url}{path}", body, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        read = answer.read()
        return answer.headers, json.loads(read) if read else None


def log_in(harness, user=None, password=None, project=None):
    """Return a token, and what it says."""
    server, domain = harness.server, {"id": "default"}
    who = {"name": user or server.user, "domain": domain, "password": password or server.password}
    identity = {"methods": ["password"], "password": {"user": who}}
    scope = {"project": {"name": project or server.project, "domain": domain}}
    headers, body = keystone(harness, "/auth/tokens", {"auth": {"identity": identity, "scope": scope}})
    return headers["X-Subject-Token"], body["token"]


def nothing_of(harness):
    """Return a configuration without a user."""
    return {**dict.fromkeys(harness.credentials()), "os_region_name": harness.server.region}


def store_something(harness, provider):
    bucket = harness.make_bucket(provider)
    assert bucket.objects.create("a").upload(b"1").content() == b"1"
    harness.remove_bucket(bucket)


@pytest.mark.parametrize(
    "domains",
    [
        {},
        {"os_user_domain_name": "Default", "os_project_domain_name": "Default"},
        {"os_user_domain_id": "default", "os_project_domain_id": "default"},
        {"os_domain_name": "Default"},
    ],
    ids=str,
)
def test_a_password(harness, domains):
    with harness.make_provider(**domains) as provider:
        store_something(harness, provider)


def test_a_project_by_id_and_an_address_without_a_version(harness):
    address = harness.server.auth_url.removesuffix("/v3")
    there = {"os_project_name": None, "os_project_id": harness.server.project_id, "os_auth_url": address}
    with harness.make_provider(**there) as provider:
        store_something(harness, provider)


def test_an_application_credential_can_be_taken_back(harness):
    token, said = log_in(harness)
    path = f"/users/{said['user']['id']}/application_credentials"
    wanted = {"application_credential": {"name": harness.bucket_name(), "roles": [{"name": "member"}]}}
    _, body = keystone(harness, path, wanted, token)
    made = body["application_credential"]
    config = {
        **nothing_of(harness),
        "os_application_credential_id": made["id"],
        "os_application_credential_secret": made["secret"],
    }
    with harness.make_provider(**config) as provider:
        store_something(harness, provider)
        assert made["secret"] not in repr(provider)
    keystone(harness, f"{path}/{made['id']}", None, token, "DELETE")
    with harness.make_provider(**config) as provider, pytest.raises(AuthenticationError) as caught:
        provider.authenticate()
    assert made["secret"] not in str(caught.value)


def test_a_trust(harness):
    server = harness.server
    token, of_owner = log_in(harness)
    _, of_other = log_in(harness, server.other_user, server.other_password, server.other_project)
    roles = [{"name": each["name"]} for each in of_owner["roles"] if each["name"] == "member"]
    assert roles
    given = {
        "trustor_user_id": of_owner["user"]["id"],
        "trustee_user_id": of_other["user"]["id"],
        "project_id": of_owner["project"]["id"],
        "impersonation": False,
        "roles": roles,
    }
    _, made = keystone(harness, "/OS-TRUST/trusts", {"trust": given}, token)
    trusted = {"os_username": server.other_user, "os_password": server.other_password, "os_project_name": None}
    with harness.make_provider() as owner:
        bucket = harness.make_bucket(owner)
        bucket.objects.create("a").upload(b"1")
        with harness.make_provider(**trusted, os_trust_id=made["trust"]["id"]) as provider:
            assert provider.storage.buckets.get(bucket.name).objects.create("a").content() == b"1"
        keystone(harness, f"/OS-TRUST/trusts/{made['trust']['id']}", None, token, "DELETE")
        gone = harness.make_provider(**trusted, os_trust_id=made["trust"]["id"])
        with gone, pytest.raises((AuthenticationError, PermissionDeniedError)):
            gone.authenticate()
        harness.remove_bucket(bucket)


def test_a_token(harness):
    token, _ = log_in(harness)
    config = {**nothing_of(harness), "os_auth_token": token, "os_project_name": harness.server.project}
    with harness.make_provider(**config) as provider:
        store_something(harness, provider)


def test_a_token_and_an_address_need_nothing_else(harness):
    token, _ = log_in(harness)
    config = {"os_storage_url": f"{harness.server.url}{harness.account()}", "os_auth_token": token}
    with CloudProviderFactory().create_provider("openstack", config) as provider:
        store_something(harness, provider)
    wrong = CloudProviderFactory().create_provider("openstack", {**config, "os_auth_token": "x"})
    with wrong, pytest.raises(AuthenticationError, match="os_auth_token"):
        wrong.authenticate()


@pytest.mark.parametrize(
    "wrong",
    [
        {"os_password": "wrong-password"},
        {"os_username": "nobody"},
        {"os_project_name": "demo2"},
        {"os_project_name": "x"},
    ],
    ids=str,
)
def test_who_is_not_known_is_told_so(harness, wrong):
    with harness.make_provider(**wrong) as provider, pytest.raises(AuthenticationError) as caught:
        provider.authenticate()
    assert "project" in str(caught.value)
    for secret in (harness.server.password, "wrong-password"):
        assert secret not in str(caught.value)


def test_another_project_is_not_ours(harness):
    theirs, _ = log_in(harness, harness.server.other_user, harness.server.other_password, harness.server.other_project)
    config = {"os_storage_url": f"{harness.server.url}{harness.account()}", "os_auth_token": theirs}
    with CloudProviderFactory().create_provider("openstack", config) as provider:
        with pytest.raises(PermissionDeniedError):
            provider.storage.buckets.list()
        with pytest.raises(PermissionDeniedError):
            provider.storage.buckets.get("any")


def test_a_region_that_is_none_lists_those_there_are(harness):
    with harness.make_provider(os_region_name="RegionTwo") as provider, pytest.raises(StoreError) as caught:
        provider.authenticate()
    assert isinstance(caught.value, ProviderConnectionException)
    assert "RegionTwo" in str(caught.value)
    assert "RegionOne" in str(caught.value)


def test_no_object_store_in_the_catalogue(serve):
    token = {"methods": ["password"], "expires_at": "2100-01-01T00:00:00.000000Z", "catalog": [], "user": {"id": "u"}}
    token["project"] = {"id": "p", "name": "p", "domain": {"id": "default", "name": "Default"}}
    script = serve(
        lambda asked: (
            201,
            {"X-Subject-Token": "t", "Content-Type": "application/json"},
            json.dumps({"token": token}).encode(),
        )
    )
    config = {"os_auth_url": f"{script.url}/v3", "os_username": "u", "os_password": "p", "os_project_name": "p"}
    provider = CloudProviderFactory().create_provider("openstack", config)
    with provider, pytest.raises(ProviderConnectionException, match="has no object store"):
        provider.authenticate()
    assert {asked.path for asked in script.asked} == {"/v3/auth/tokens"}


@pytest.mark.filterwarnings("ignore:Support for InfluxDB")
def test_a_cloud_of_clouds_yaml(harness, tmp_path, monkeypatch):
    server = harness.server
    (tmp_path / "clouds.yaml").write_text(
        json.dumps(
            {
                "clouds": {
                    "mine": {
                        "auth": {
                            "auth_url": server.auth_url,
                            "username": server.user,
                            "password": server.password,
                            "project_name": server.project,
                            "user_domain_name": server.domain,
                            "project_domain_name": server.domain,
                        },
                        "region_name": server.region,
                    }
                }
            }
        )
    )
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    monkeypatch.setenv("OS_CLOUD", "mine")
    with CloudProviderFactory().create_provider("openstack", {}) as provider:
        store_something(harness, provider)


def test_a_token_that_ends_in_the_middle_of_an_upload(harness):
    content = noise(3 * MiB)
    identity = f"http://127.0.0.1:{harness.server.port}"
    with (
        FaultProxy(harness.upstream) as proxy,
        FaultProxy(identity) as logins,
        harness.make_provider_at(proxy.url, os_auth_url=f"{logins.url}/v3") as provider,
    ):
        bucket = harness.make_bucket(provider)
        # Each of them once: who is refused again with a new token is refused.
        refused = [
            proxy.add(Rule(Match("PUT", path=rf"_segments/.*segments/.*/0*{part}$"), Status(401))) for part in (2, 3)
        ]
        cut = TransferConfig(threshold=MiB, part_size=MiB, max_concurrency=2)
        obj = bucket.objects.create("large").upload(content, cut)
        assert [rule.consumed for rule in refused] == [1, 1]
        assert obj.content() == content
        once = proxy.add(Rule(harness.request_of("put_object"), Status(401)))
        assert bucket.objects.create("small").upload(content).content() == content
        assert once.consumed == 1
        # The first, one or two for the parts that were refused at once, and one for the small object.
        assert 3 <= len(logins.requests) <= 4
        harness.remove_bucket(bucket)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (413, QuotaExceededError),
        (422, IntegrityError),
        (429, ThrottledError),
        (498, ThrottledError),
        (507, QuotaExceededError),
    ],
)
def test_what_swift_answers_once_in_a_while(serve, status, error):
    """The answer comes to every attempt; none of them is taken for success."""

    def answer(asked):
        # Asked for what else is stored there, it says that nothing is.
        found = status if asked.method == "PUT" else 404
        # With a time to wait, 413 would mean too many requests.
        return found, {"X-Trans-Id": "tx-of-this", "Retry-After": None if status == 413 else "0"}, b"said so"

    script = serve(answer)
    config = {"os_storage_url": f"{script.url}/v1/AUTH_a", "os_auth_token": "t", "retry_attempts": 2}
    with CloudProviderFactory().create_provider("openstack", config) as provider, pytest.raises(error) as caught:
        provider.session.call(provider.session.driver.put_object, "box", "a", BytesBody(b"1"), PutOptions())
    assert (caught.value.status, caught.value.request_id) == (status, "tx-of-this")
    repeated = status in (422, 429, 498)
    assert sum(asked.method == "PUT" for asked in script.asked) == (2 if repeated else 1)


def test_a_quota_is_said_to_be_full(harness):
    with harness.make_provider() as provider:
        bucket = harness.make_bucket(provider)
        connection = provider.native
        connection.object_store.post(f"/{bucket.name}", headers={"X-Container-Meta-Quota-Bytes": "10"})
        with pytest.raises(QuotaExceededError):
            bucket.objects.create("a").upload(b"01234567890")
        assert bucket.objects.create("a").upload(b"0123456789").size == 10
        harness.remove_bucket(bucket)
