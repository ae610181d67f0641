"""Secrets of the Google Cloud driver: planted, and looked for in everything that could show them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("google.cloud.storage")

from servers.canaries import ADDRESS_PASSWORD, PROXY_PASSWORD, carry_out, use, walk

from cloudbridge_store import CloudProviderFactory
from cloudbridge_store.errors import InvalidConfigurationException

TOKEN = "canaryTOKEN0123456789"


def refusal(status, reason):
    """Return an answer as the JSON API refuses."""
    said = {"error": {"code": status, "message": reason, "errors": [{"domain": "global", "reason": reason}]}}
    return status, {"Content-Type": "application/json"}, json.dumps(said).encode()


FAILURES = {
    "unknown": lambda _: refusal(401, "authError"),
    "denied": lambda _: refusal(403, "forbidden"),
    "missing": lambda _: refusal(404, "notFound"),
    "conflict": lambda _: refusal(409, "conflict"),
    "condition": lambda _: refusal(412, "conditionNotMet"),
    "throttled": lambda _: refusal(429, "rateLimitExceeded"),
    "broken": lambda _: refusal(500, "internalError"),
    "foreign": lambda _: (200, {"Content-Type": "text/html"}, b"<html>log in</html>"),
    "hung up": lambda _: None,
}


@pytest.fixture(autouse=True)
def _look_for_them(watch):
    watch.secrets["token"] = TOKEN


def lines_of(key):
    """Return the lines of a private key, any of which gives some of it away."""
    return {f"line {number} of the key": line for number, line in enumerate(key.splitlines()) if len(line) > 60}


@pytest.mark.parametrize("given", ["file", "mapping", "text"])
def test_nothing_is_shown_by_gcp(watch, make_watched, server, given):
    there = server("gcs")
    text = Path(there.credentials_file).read_text()
    watch.secrets.update(lines_of(json.loads(text)["private_key"]))
    who = {
        "file": {"gcp_service_creds_file": str(there.credentials_file)},
        "mapping": {"gcp_service_creds_dict": json.loads(text)},
        "text": {"gcp_service_creds_dict": text},
    }[given]
    provider = make_watched("gcp", gcp_endpoint_url=there.url, gcp_iam_endpoint_url=there.url, **who)
    use(provider, watch, given)
    assert "urllib3.connectionpool" in watch.log
    assert len([name for name in watch.secrets if name.startswith("line ")]) > 20
    assert watch.found() == set()


@pytest.mark.parametrize("kind", FAILURES)
def test_nothing_is_shown_where_gcp_fails(watch, make_watched, serve, kind):
    script = serve(FAILURES[kind])
    provider = make_watched("gcp", gcp_endpoint_url=script.url, gcp_access_token=TOKEN, gcp_project_name="project-1")
    carry_out(provider, watch, kind, "canary-bucket")
    assert len(script.asked) > 15
    assert any(TOKEN in asked.headers.get("authorization", "") for asked in script.asked)
    assert watch.found() == set()


@pytest.mark.parametrize(
    "wrong",
    [
        {"gcp_project_nam": "x"},
        {"deadline": "x"},
        {"proxies": f"http://me:{PROXY_PASSWORD}@proxy:1"},
        {"gcp_endpoint_url": f"https://me:{ADDRESS_PASSWORD}@example.org"},
        {"gcp_endpoint_url": "http://example.org"},
        {"gcp_access_token": TOKEN.encode()},
        {"gcp_access_token": TOKEN, "gcp_service_creds_dict": {"private_key": "x"}},
        {"gcp_access_token": None, "gcp_service_creds_dict": {"type": "service_account", "private_key": TOKEN}},
    ],
    ids=" ".join,
)
def test_nothing_is_shown_of_a_configuration_that_is_refused(watch, wrong):
    with pytest.raises(InvalidConfigurationException) as caught:
        CloudProviderFactory().create_provider("gcp", {"gcp_access_token": TOKEN, **wrong})
    watch.see_error("config", caught.value)
    assert watch.found() == set()


def test_nothing_is_shown_by_a_provider_that_was_never_used(watch, server):
    text = Path(server("gcs").credentials_file).read_text()
    watch.secrets.update(lines_of(json.loads(text)["private_key"]))
    for who in ({"gcp_access_token": TOKEN}, {"gcp_service_creds_dict": json.loads(text)}):
        watch.see("provider", *walk(CloudProviderFactory().create_provider("gcp", who)))
    assert watch.found() == set()
