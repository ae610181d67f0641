"""Where the object store is, and the identity service: catalogues, ``clouds.yaml``, addresses as people have them."""

import json
from urllib.parse import urlsplit

import pytest

pytest.importorskip("keystoneauth1")

from cloudbridge_store import errors

KEYSTONE = "https://keystone.example.org:5000"
USER = {"os_username": "me", "os_password": "geheim"}
pytestmark = [
    pytest.mark.usefixtures("_no_environment"),
    pytest.mark.filterwarnings("ignore:Support for InfluxDB"),
]


class Keystone:
    """An identity service of version 3 whose catalogue is given.

    :param places: addresses of the object store by region and interface.
    """

    def __init__(self, places, expires="2100-01-01T00:00:00.000000Z"):
        self.logins = 0
        self._places = places
        self._expires = expires

    def __call__(self, asked):
        if asked.method != "POST" or asked.path != "/v3/auth/tokens":
            named = {"X-Trans-Id": "tx1"}
            return (204, named, b"") if asked.path.startswith("/v1/") else (404, {}, b"")
        self.logins += 1
        endpoints = [
            {"id": f"{region}-{name}", "interface": name, "region": region, "region_id": region, "url": url}
            for (region, name), url in self._places.items()
        ]
        catalog = [{"type": "object-store", "id": "s", "name": "swift", "endpoints": endpoints}] if endpoints else []
        token = {"methods": ["password"], "expires_at": self._expires, "user": {"id": "u1"}, "project": {"id": "p1"}}
        body = json.dumps({"token": {**token, "catalog": catalog}}).encode()
        return 201, {"X-Subject-Token": "t", "Content-Type": "application/json"}, body


PLACES = {
    (region, interface): f"https://{interface}.{region.lower()}.example.org/v1/AUTH_p1/"
    for region in ("GRA", "SBG")
    for interface in ("public", "internal")
}


@pytest.fixture
def clouds(tmp_path, monkeypatch):
    """Write a ``clouds.yaml`` with one cloud, and name it."""

    def write(url, **more):
        auth = {"auth_url": url, "username": "me", "password": "geheim", "project_name": "p"}
        (tmp_path / "clouds.yaml").write_text(json.dumps({"clouds": {"lab": {"auth": auth, **more}}}))
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
        return {"os_cloud": "lab"}

    return write


def account_of(provider):
    return provider.session.driver._service.storage_url


@pytest.mark.parametrize("ending", ["", "/", "/v3", "/v3/", "/v3/auth/tokens"])
def test_an_identity_service_as_people_have_its_address(make, serve, ending):
    script = serve(Keystone(PLACES))
    provider = make(**USER, os_auth_url=f"{script.url}{ending}", os_region_name="SBG")
    assert account_of(provider) == "https://public.sbg.example.org/v1/AUTH_p1"


def test_a_version_that_is_given_goes_before_the_one_of_the_address(make, serve):
    script = serve(Keystone(PLACES))
    provider = make(**USER, os_auth_url=f"{script.url}/v2.0", os_auth_version="3", os_region_name="GRA")
    assert account_of(provider) == "https://public.gra.example.org/v1/AUTH_p1"


@pytest.mark.parametrize(
    ("more", "url"),
    [
        ({"region_name": "SBG"}, "https://public.sbg.example.org/v1/AUTH_p1"),
        ({"region_name": "SBG", "interface": "internal"}, "https://internal.sbg.example.org/v1/AUTH_p1"),
        (
            {"region_name": "SBG", "interface": "internal", "object_store_interface": "public"},
            "https://public.sbg.example.org/v1/AUTH_p1",
        ),
        (
            {"region_name": "GRA7", "object_store_region_name": "GRA", "interface": ["internal", "public"]},
            "https://internal.gra.example.org/v1/AUTH_p1",
        ),
        ({"object_store_endpoint_override": "https://cdn.example.org/v1/a/"}, "https://cdn.example.org/v1/a"),
        (
            {"object_store_endpoint_override": "https://cdn.example.org/v1/AUTH_%(project_id)s"},
            "https://cdn.example.org/v1/AUTH_p1",
        ),
    ],
    ids=str,
)
def test_what_a_cloud_says_of_the_object_store_alone(make, serve, clouds, more, url):
    pytest.importorskip("openstack")
    places = {} if "object_store_endpoint_override" in more else PLACES
    provider = make(**clouds(f"{serve(Keystone(places)).url}/v3", **more))
    assert account_of(provider) == url
    # What is configured goes before.
    provider = make(os_cloud="lab", os_storage_url="https://other.example.org/v1/AUTH_b")
    assert account_of(provider) == "https://other.example.org/v1/AUTH_b"


def test_what_no_login_tells_is_refused(make, serve, clouds):
    pytest.importorskip("openstack")
    override = "https://cdn.example.org/v1/%(secret)s"
    provider = make(**clouds(f"{serve(Keystone({})).url}/v3", object_store_endpoint_override=override))
    with pytest.raises(errors.InvalidConfigurationException, match="object_store_endpoint_override"):
        provider.storage.buckets.get("box")


def test_an_address_without_a_scheme_is_one_of_https(make, no_network):
    provider = make(os_storage_url="swift.example.org/v1/AUTH_a/", os_auth_token="t")
    assert account_of(provider) == "https://swift.example.org/v1/AUTH_a"


def test_an_address_in_the_clear_says_whose_it_is(make, serve):
    script = serve(Keystone({("R", "public"): "http://swift.example.org/v1/AUTH_a"}))
    provider = make(**USER, os_auth_url=script.url)
    with pytest.raises(
        errors.InvalidConfigurationException, match=r"account's address.*swift\.example\.org.*os_storage_url"
    ):
        provider.storage.buckets.get("box")


def test_a_clock_that_is_not_the_services_costs_no_login_per_request(make, serve):
    keystone = Keystone({}, expires="2001-01-01T00:00:00.000000Z")
    script = serve(keystone)
    config = {**USER, "os_auth_url": script.url, "os_storage_url": f"{script.url}/v1/AUTH_p1"}
    bucket = make(**config).storage.buckets.get("box")
    assert all(bucket.exists for _ in range(5))
    assert keystone.logins == 1


def test_who_is_no_identity_service_is_no_users_fault(make, serve):
    # As Swift answers /v3/auth/tokens: there is no account called v3.
    script = serve(lambda asked: (400, {"X-Trans-Id": "tx1"}, b"Bad Request"))
    with pytest.raises(errors.InvalidRequestError, match="os_auth_version"):
        make(**USER, os_auth_url=script.url).storage.buckets.get("box")
    assert urlsplit(script.asked[0].path).path == "/v3/auth/tokens"
