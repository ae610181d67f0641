"""Cloud Files: the login by API key, regions, ServiceNet, and the CDN."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from servers.openstack_harnesses import RackspaceHarness
from servers.rackspace import LONE_REGION, REGIONS, account_of

from cloudbridge_store import CloudProviderFactory
from cloudbridge_store.errors import (
    AuthenticationError,
    BucketNotFoundError,
    InvalidRequestError,
    ProviderConnectionException,
    UnsupportedOperationError,
)

HARNESS = RackspaceHarness


@pytest.mark.parametrize("name", ["CLOUDFILES", "cloudfiles_us", "rackspace"])
def test_every_name_logs_in_by_api_key(harness, name):
    config = {"os_auth_url": harness.server.auth_url, **harness.credentials()}
    if name == "rackspace":
        name, config = "openstack", {**config, "os_preset": "rackspace"}
    with CloudProviderFactory().create_provider(name, config) as provider:
        assert provider.authenticate()


def test_a_password_logs_in_too(harness):
    with harness.make_provider(os_api_key=None, os_password=harness.server.password) as provider:
        assert provider.authenticate()


def test_a_wrong_key_is_said_to_be_wrong(harness):
    with harness.make_provider(os_api_key="f" * 32) as provider, pytest.raises(AuthenticationError) as caught:
        provider.authenticate()
    assert "f" * 32 not in str(caught.value)


@pytest.mark.parametrize("region", [each for each in REGIONS if each != LONE_REGION])
def test_a_region_is_an_account_of_its_own(harness, region):
    with harness.make_provider(os_region_name=region.lower()) as provider:
        bucket = harness.make_bucket(provider)
        try:
            assert account_of(region) in provider.session.driver.public_url(bucket.name, "a")
            with harness.make_provider(os_region_name=next(each for each in REGIONS if each != region)) as other:
                assert other.storage.buckets.get(bucket.name) is None
        finally:
            harness.remove_bucket(bucket)


def test_without_a_region_it_is_the_users_own(harness, bucket):
    with harness.make_provider(os_region_name=None) as provider:
        assert provider.storage.buckets.get(bucket.name).name == bucket.name


def test_a_region_that_is_none_lists_those_there_are(harness):
    with harness.make_provider(os_region_name="XYZ") as provider, pytest.raises(ProviderConnectionException) as caught:
        provider.authenticate()
    for region in REGIONS:
        assert region in str(caught.value)


@pytest.mark.parametrize("interface", ["internal", "serviceNet", "servicenet", "internalURL"])
def test_servicenet_is_the_internal_interface_and_signed_urls_are_public(harness, bucket, interface):
    bucket.objects.create("a").upload(b"by both")
    with harness.make_provider(os_interface=interface) as provider:
        handle = provider.storage.buckets.get(bucket.name).objects.create("a")
        assert handle.content() == b"by both"
        provider.storage.set_temp_url_key(harness.temp_url_key)
        url = urlsplit(handle.generate_url())
        assert f"http://{url.netloc}" == harness.server.url
        assert url.path == f"/v1/{account_of(harness.server.region)}/{bucket.name}/a"
        assert harness.get_url(url.geturl()).body == b"by both"


def test_the_cdn_serves_what_it_has(harness, provider, bucket):
    obj = bucket.objects.create("dir/ä b.txt").upload(b"for all")
    assert (bucket.cdn.enabled, dict(bucket.cdn.urls)) == (False, {})
    url = bucket.enable_cdn(ttl=900)
    found = bucket.cdn
    assert (found.enabled, found.ttl, set(found.urls)) == (True, 900, {"http", "https", "streaming", "ios"})
    assert url == found.urls["https"]
    for each in found.urls.values():
        assert harness.get_url(f"{each}/dir/%C3%A4%20b.txt").body == b"for all"
    bucket.enable_cdn()
    assert bucket.cdn.ttl == 900
    bucket.disable_cdn()
    assert not bucket.cdn.enabled
    assert harness.get_url(f"{url}/dir/%C3%A4%20b.txt").status == 404
    assert obj.content() == b"for all"


def test_the_cdn_purges(harness, bucket):
    bucket.enable_cdn()
    obj = bucket.objects.create("dir/ä?b.txt").upload(b"old")
    obj.purge_cdn(email="ops@example.org")
    bucket.purge_cdn()
    purged = harness.get_url(f"{harness.server.url}/purged").body.decode().splitlines()
    assert f"{bucket.name}/dir/ä?b.txt ops@example.org" in purged
    assert bucket.name in purged


def test_the_cdn_refuses_a_time_out_of_its_range(bucket):
    with pytest.raises(InvalidRequestError, match="TTL"):
        bucket.enable_cdn(ttl=10)


def test_the_cdn_of_what_is_not_there(harness, provider):
    bucket = provider.storage.buckets.get(harness.make_bucket(provider).name)
    harness.remove_bucket(bucket)
    for call in (bucket.enable_cdn, lambda: bucket.cdn):
        with pytest.raises(BucketNotFoundError):
            call()


def test_a_website_is_served_by_the_cdn(bucket):
    with pytest.raises(UnsupportedOperationError, match="enable_cdn"):
        bucket.enable_website("index.html")
    url = bucket.enable_cdn()
    assert bucket.enable_website("index.html", "missing.html") == f"{url}/"
    bucket.disable_website()


def test_nothing_but_the_cdn_is_public(provider):
    assert not provider.capabilities.public_access
