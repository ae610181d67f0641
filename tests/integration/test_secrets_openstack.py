"""Secrets of the OpenStack driver: planted, and looked for in everything that could show them."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("keystoneauth1")

from servers.canaries import use
from servers.openstack_harnesses import KeystoneHarness, RackspaceHarness


@pytest.mark.parametrize("harness_kind", [KeystoneHarness, RackspaceHarness], ids=lambda kind: kind.__name__)
def test_nothing_is_shown_by_openstack(watch, make_watched, server, harness_kind):
    harness = harness_kind(server(harness_kind.kind))
    config = harness.credentials()
    watch.secrets["password"] = config.get("os_password") or config["os_api_key"]
    watch.secrets["key to sign with"] = "canary-key-to-sign-with"
    provider = make_watched(harness.provider, os_auth_url=harness.server.auth_url, **config)
    bucket = provider.storage.buckets.create("canary-key-bucket")
    provider.storage.set_temp_url_key(watch.secrets["key to sign with"], bucket.name)
    url = bucket.objects.create("a").generate_url()
    watch.secrets["signature"] = parse_qs(urlsplit(url).query)["temp_url_sig"][0]
    assert harness.get_url(url).status == 404
    bucket.delete(delete_contents=True)
    use(provider, watch, harness.kind)
    watch.secrets["token"] = str(provider.session.driver._service.login.ticket().token)
    assert "urllib3.connectionpool" in watch.log
    assert watch.found() == set()
