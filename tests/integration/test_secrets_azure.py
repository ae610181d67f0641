"""Secrets of the Azure driver: planted, and looked for in everything that could show them."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, quote

import pytest

pytest.importorskip("azure.storage.blob")

from servers.azure_harnesses import AzuriteHarness, AzuriteTlsHarness, make_sas
from servers.canaries import ADDRESS_PASSWORD, PROXY_PASSWORD, carry_out, use, walk
from servers.scripted import failure

from cloudbridge_store import CloudProviderFactory
from cloudbridge_store.errors import InvalidConfigurationException

CANARIES = {
    "key": base64.b64encode(b"canary KEY of the account 012345").decode(),
    "signature": "canarySIGNATURE0123456789+/=",
    "token": "canaryTOKEN0123456789",
    "secret of a principal": "canaryPRINCIPALsecret0123456789",
}
WAYS = {
    "key": {"azure_storage_key": CANARIES["key"]},
    "connection string": {"azure_connection_string": f"AccountName=account1;AccountKey={CANARIES['key']}"},
    "signature": {"azure_sas_token": f"sv=2024-11-04&ss=b&sig={quote(CANARIES['signature'], safe='')}"},
    "token": {"azure_access_token": CANARIES["token"]},
}
FAILURES = {
    "denied": lambda _: failure(403, "AuthorizationPermissionMismatch"),
    "unknown": lambda _: failure(403, "AuthenticationFailed"),
    "missing": lambda _: failure(404, "BlobNotFound"),
    "conflict": lambda _: failure(409, "ContainerBeingDeleted"),
    "condition": lambda _: failure(412, "ConditionNotMet"),
    "broken": lambda _: failure(500, "InternalError"),
    "throttled": lambda _: failure(503, "ServerBusy"),
    "foreign": lambda _: (200, {"Content-Type": "text/html"}, b"<html>log in</html>"),
    "hung up": lambda _: None,
}


@pytest.fixture(autouse=True)
def _look_for_them(watch):
    watch.secrets.update(CANARIES)


@pytest.mark.parametrize("harness_kind", [AzuriteHarness, AzuriteTlsHarness], ids=lambda kind: kind.__name__)
def test_nothing_is_shown_by_azure(watch, make_watched, server, harness_kind):
    # An account of its own: all that can be done is done to it.
    harness = harness_kind(server(harness_kind.kind), lone=3)
    who = harness.credentials()
    watch.secrets["own"] = who.get("azure_storage_key") or who["azure_access_token"]
    there = {"azure_endpoint_url": f"{harness.server.url}/{harness.account}"}
    there |= {"ca_bundle": str(harness.server.ca_bundle)} if harness.tls else {}
    use(make_watched("azure", **there, **who), watch, harness.kind)
    assert "urllib3.connectionpool" in watch.log
    assert watch.found() == set()


def test_nothing_is_shown_of_a_signature(watch, make_watched, server):
    harness = AzuriteHarness(server("azurite"), lone=4)
    sas = make_sas(harness)
    (watch.secrets["own"],) = parse_qs(sas)["sig"]
    there = {"azure_endpoint_url": f"{harness.server.url}/{harness.account}"}
    use(make_watched("azure", **there, azure_sas_token=sas), watch, "sas")
    assert "urllib3.connectionpool" in watch.log
    assert watch.found() == set()


@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_shown_where_azure_fails(watch, make_watched, serve, way, kind):
    script = serve(FAILURES[kind])
    provider = make_watched("azure", azure_endpoint_url=f"{script.url}/account1", **WAYS[way])
    carry_out(provider, watch, kind, "canary-bucket")
    assert len(script.asked) > 15
    sent = [f"{asked.path} {asked.headers.get('authorization')}" for asked in script.asked]
    assert any("SharedKey" in each or "canary" in each for each in sent)
    assert watch.found() == set()


@pytest.mark.parametrize(
    "wrong",
    [
        {"azure_storage_acount": "x"},
        {"deadline": "x"},
        {"proxies": f"http://me:{PROXY_PASSWORD}@proxy:1"},
        {"azure_endpoint_url": f"https://me:{ADDRESS_PASSWORD}@example.org"},
        {"azure_endpoint_url": "http://example.org"},
        {"azure_storage_key": f"{CANARIES['key']} not base64"},
        {"azure_sas_token": f"https://example.org/?sig={CANARIES['signature']}"},
        {"azure_connection_string": f"AccountKey={CANARIES['key']};;broken"},
        {"azure_access_token": CANARIES["token"], "azure_storage_key": CANARIES["key"]},
        {"azure_secret": CANARIES["secret of a principal"]},
    ],
    ids=" ".join,
)
def test_nothing_is_shown_of_a_configuration_that_is_refused(watch, wrong):
    given = {"azure_storage_account": "account1", **wrong}
    if not {"azure_sas_token", "azure_access_token", "azure_connection_string", "azure_secret"} & given.keys():
        given = {"azure_storage_key": CANARIES["key"], **given}
    with pytest.raises(InvalidConfigurationException) as caught:
        CloudProviderFactory().create_provider("azure", given)
    watch.see_error("config", caught.value)
    assert watch.found() == set()


def test_nothing_is_shown_by_a_provider_that_was_never_used(watch):
    for name, way in WAYS.items():
        provider = CloudProviderFactory().create_provider("azure", {"azure_storage_account": "account1", **way})
        watch.see(name, *walk(provider))
    assert watch.found() == set()
