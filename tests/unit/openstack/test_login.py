"""Who we are: which way to log in the settings mean, what is missing, and tokens that end."""

import json
import subprocess
import sys
import threading

import pytest

pytest.importorskip("keystoneauth1")

from cloudbridge_store import CloudProviderFactory, errors
from cloudbridge_store.core import registry
from cloudbridge_store.drivers.openstack.auth import GivenLogin, KeystoneLogin, interface_of
from cloudbridge_store.drivers.openstack.plugins import RackspaceKey, V1Password, make_plugin
from cloudbridge_store.drivers.swift_presets import SWIFT_PRESETS, find

KEYSTONE = "https://keystone.example.org:5000"
USER = {"os_auth_url": KEYSTONE, "os_username": "me", "os_password": "geheim"}
pytestmark = pytest.mark.usefixtures("_no_environment")


def service_of(provider):
    return provider.session.driver._service


def plugin_of(provider):
    return make_plugin(service_of(provider).plan)[0]


@pytest.mark.parametrize(
    "config",
    [
        USER,
        {"os_auth_url": KEYSTONE, "os_application_credential_id": "i", "os_application_credential_secret": "s"},
        {"os_storage_url": "https://swift.example.org/v1/AUTH_a", "os_auth_token": "t"},
        {"os_preset": "rackspace", "os_username": "me", "os_api_key": "k"},
        {"os_cloud": "lab"},
    ],
    ids=str,
)
def test_connecting_sends_nothing(make, no_network, config):
    provider = make(**config)
    assert "geheim" not in repr(provider)
    assert provider.capabilities.multipart


def test_a_password_scopes_to_a_project(make):
    plugin = plugin_of(make(**USER, os_project_name="p", os_user_domain_name="ours"))
    assert plugin.auth_url == f"{KEYSTONE}/v3"
    assert (plugin.project_name, plugin.project_domain_id) == ("p", "default")
    assert plugin.auth_methods[0].user_domain_name == "ours"
    plugin = plugin_of(make(**USER, os_project_id="1", os_user_id="u"))
    assert (plugin.project_id, plugin.project_name) == ("1", None)


def test_an_application_credential_has_its_project_in_itself(make):
    secret = {"os_application_credential_id": "i", "os_application_credential_secret": "s"}
    plugin = plugin_of(make(os_auth_url=f"{KEYSTONE}/v3/", **secret, os_project_name="p"))
    assert plugin.auth_url == f"{KEYSTONE}/v3"
    assert not plugin.project_name


def test_a_password_goes_before_an_application_credential(make):
    secret = {"os_application_credential_id": "i", "os_application_credential_secret": "s"}
    assert type(plugin_of(make(**USER, **secret)).auth_methods[0]).__name__ == "PasswordMethod"


@pytest.mark.parametrize("version", [3, "3", "v3", "3.0"])
def test_a_version_is_a_number_or_text(make, version):
    assert plugin_of(make(**{**USER, "os_auth_url": KEYSTONE, "os_auth_version": version})).auth_url == f"{KEYSTONE}/v3"


def test_the_environment_completes_and_does_not_displace(make, monkeypatch):
    monkeypatch.setenv("OS_USERNAME", "somebody")
    monkeypatch.setenv("OS_PASSWORD", "else")
    monkeypatch.setenv("OS_TENANT_NAME", "old name")
    monkeypatch.setenv("OS_AUTH_URL", KEYSTONE)
    provider = make(os_application_credential_id="i", os_application_credential_secret="s")
    assert type(plugin_of(provider).auth_methods[0]).__name__ == "ApplicationCredentialMethod"
    assert plugin_of(make(os_username="me")).project_name == "old name"


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({}, "os_auth_url"),
        ({"os_auth_url": KEYSTONE}, "os_username"),
        ({"os_auth_url": KEYSTONE, "os_username": "me"}, "os_password"),
        ({"os_auth_url": KEYSTONE, "os_username": "me", "os_api_key": "k"}, "os_password"),
        ({"os_auth_url": KEYSTONE, "os_application_credential_id": "i"}, "os_application_credential_secret"),
        ({"os_auth_url": KEYSTONE, "os_auth_version": "4", **USER}, "os_auth_version"),
        ({**USER, "os_interface": "outside"}, "os_interface"),
        ({**USER, "os_preset": "rackspase"}, "did you mean 'rackspace'"),
        ({**USER, "os_auth_url": "https://me:pw@keystone.example.org"}, "os_auth_url"),
    ],
    ids=str,
)
def test_what_is_missing_is_named(make, config, named):
    with pytest.raises(errors.InvalidConfigurationException, match=named):
        make(**config)


@pytest.mark.parametrize("key", ["os_auth_url", "os_storage_url"])
def test_nothing_goes_in_the_clear(make, no_network, key):
    config = {**USER, "os_auth_url": "http://keystone.example.org"}
    if key == "os_storage_url":
        config = {"os_storage_url": "http://swift.example.org/v1/a", "os_auth_token": "t"}
    with pytest.raises(errors.InvalidConfigurationException, match="in the clear"):
        make(**config).storage.buckets.get("abc")


@pytest.mark.parametrize(
    ("name", "preset", "region"),
    [
        ("CLOUDFILES", "rackspace", None),
        ("cloudfiles_us", "rackspace", None),
        ("CLOUDFILES_UK", "rackspace", "lon"),
        ("rackspace", "rackspace", None),
        ("KTUCLOUD", "ktucloud", None),
        ("ceph_swift", "ceph-swift", None),
        ("OPENSTACK_SWIFT", "any", None),
        ("CLOUDFILES_SWIFT", "any", None),
    ],
)
def test_names_stand_for_presets(make, name, preset, region):
    provider = make(name, **USER, os_api_key="k")
    service = service_of(provider)
    assert (service.preset.name, service.config["os_region_name"]) == (preset, region)
    assert CloudProviderFactory().get_provider_class(name) is not None
    assert registry.resolve(name).driver == "openstack"


def test_presets_say_where_and_how(make):
    us, uk = (
        make("cloudfiles", os_username="me", os_api_key="k"),
        make("cloudfiles_uk", os_username="me", os_api_key="k"),
    )
    assert [plugin_of(each).auth_url.split("//")[1].split(".")[0] for each in (us, uk)] == ["identity", "lon"]
    assert isinstance(plugin_of(us), RackspaceKey)
    assert isinstance(plugin_of(make("memset", os_username="me", os_password="k")), V1Password)
    assert find("Ceph_Swift") is SWIFT_PRESETS["ceph-swift"]


def test_one_spelling_of_interfaces():
    given = ("public", None, "publicURL", "internalURL", "serviceNet", "servicenet", "admin")
    assert [interface_of(each) for each in given] == ["public", "public", "public", *["internal"] * 3, "admin"]


def test_a_token_and_an_address_need_no_login(make, swift):
    service = swift(lambda asked: (200, {"Content-Type": "application/json"}, b"[]"))
    url = f"{service.script.url}/v1/AUTH_a/"
    provider = make(os_storage_url=url, os_auth_token="token-1")
    assert isinstance(service_of(provider).login, GivenLogin)
    assert list(provider.storage.buckets) == []
    assert service.logins == 0
    service.good = "another"
    with pytest.raises(errors.AuthenticationError, match="os_auth_token"):
        provider.authenticate()
    assert service.logins == 0


def test_one_login_for_all_threads_and_one_more_when_the_token_ends(make, swift):
    service = swift(lambda asked: (204, {}, b""))
    driver = make(**service.config).session.driver
    assert isinstance(driver._service.login, KeystoneLogin)

    def ask_at_once():
        threads = [threading.Thread(target=driver.head_bucket, args=("abc",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    ask_at_once()
    assert service.logins == 1
    service.good = "ended"
    ask_at_once()
    assert service.logins == 2


def test_a_part_is_sent_again_when_the_token_ends(make, swift):
    def answer(asked):
        headers = {"ETag": "0" * 32} if asked.method != "PUT" else {"ETag": asked.headers.get("etag", "")}
        return 201, headers, b""

    service = swift(answer)
    provider = make(**service.config)
    bucket = provider.storage.buckets.get("abc")
    service.good = "ended"
    content = bytes(3_000_000)
    bucket.objects.create("a").upload(content)
    puts = [each for each in service.asked if each.method == "PUT"]
    assert puts[-1].body == content
    assert service.logins == 2


def test_a_user_that_is_refused_is_not_asked_about_again_and_again(make, swift):
    service = swift(lambda asked: (401, {}, b""))
    provider = make(**service.config)
    with pytest.raises(errors.AuthenticationError):
        provider.storage.buckets.get("abc")
    assert (service.logins, len(service.asked)) == (2, 2)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((401, {}, b""), errors.AuthenticationError),
        ((403, {}, b""), errors.PermissionDeniedError),
        ((200, {}, b"<html>Welcome"), errors.ForeignAnswerError),
        ((302, {"Location": "http://127.0.0.1:9/"}, b""), errors.ForeignAnswerError),
        ((404, {}, b""), errors.ForeignAnswerError),
        ((503, {}, b""), errors.ServiceUnavailableError),
        (None, errors.ConnectionFailedError),
    ],
    ids=str,
)
def test_logins_that_fail(make, serve, swift, answer, kind):
    script = serve(lambda asked: answer)
    config = swift(None).config | {"os_auth_url": f"{script.url}/auth/v1.0"}
    with pytest.raises(kind) as caught:
        make(**config).storage.buckets.get("abc")
    assert "geheim" not in str(caught.value)
    assert not isinstance(caught.value, errors.NotFoundError)


def test_who_could_not_log_in_has_asked_for_nothing(make, serve, swift):
    script = serve(lambda asked: None)
    config = swift(None).config | {"os_auth_url": f"{script.url}/auth/v1.0"}
    driver = make(**config).session.driver
    with pytest.raises(Exception) as caught:
        driver.create_bucket("abc")
    assert driver.classify(caught.value).retry == "always"


def clouds(tmp_path, monkeypatch, url, **more):
    """Write a ``clouds.yaml`` with one cloud, and name it."""
    auth = {"auth_url": url, "username": "me", "password": "geheim", "project_name": "p"}
    (tmp_path / "clouds.yaml").write_text(json.dumps({"clouds": {"lab": {"auth": auth, **more}}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    return {"os_cloud": "lab"}


@pytest.mark.filterwarnings("ignore:Support for InfluxDB")
@pytest.mark.parametrize("allowed", [False, True])
def test_a_password_of_clouds_yaml_is_not_sent_in_the_clear(make, tmp_path, monkeypatch, allowed):
    config = clouds(tmp_path, monkeypatch, "http://keystone.example.org:5000/v3")
    provider = make(**config, allow_http=allowed)
    if allowed:
        assert plugin_of(provider).auth_url == "http://keystone.example.org:5000/v3"
        return
    with pytest.raises(errors.InvalidConfigurationException, match="in the clear"):
        plugin_of(provider)


@pytest.mark.filterwarnings("ignore:Support for InfluxDB")
def test_the_native_connection_is_where_clouds_yaml_says(make, tmp_path, monkeypatch):
    config = clouds(tmp_path, monkeypatch, KEYSTONE, region_name="RegionTwo", interface="internal")
    chosen = make(**config).native.config
    assert (chosen.region_name, chosen.get_interface("object-store")) == ("RegionTwo", "internal")


def test_the_native_connection_is_one(make):
    pytest.importorskip("openstack")
    provider = make(**USER)
    assert provider.native is provider.native


def test_a_missing_sdk_is_named_at_once():
    probe = """
import sys
sys.modules["keystoneauth1"] = None
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "keystoneauth1" else find(name, package)
from cloudbridge_store import CloudProviderFactory
CloudProviderFactory().create_provider("openstack", {})
"""
    done = subprocess.run([sys.executable, "-c", probe], check=False, capture_output=True, text=True)
    assert "MissingDependencyError: provider openstack needs keystoneauth1" in done.stderr
    assert "cloudbridge-store[openstack]" in done.stderr


def test_little_is_imported_before_a_login():
    probe = """
import sys
from cloudbridge_store import CloudProviderFactory
given = {"os_storage_url": "https://swift.example.org/v1/AUTH_a", "os_auth_token": "t"}
CloudProviderFactory().create_provider("openstack", given)
print(*sorted(sys.modules))
"""
    loaded = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True).stdout.split()
    assert not {"openstack", "keystoneauth1", "requests"} & set(loaded)


@pytest.mark.parametrize("name", ["os_storage_url", "os_auth_url"])
def test_an_address_that_is_none(make, no_network, name):
    given = {"os_storage_url": {"os_auth_token": "t"}, "os_auth_url": USER}[name]
    with pytest.raises(errors.InvalidConfigurationException, match="address"):
        make(**{**given, name: "https://[geheim/v3"})


@pytest.mark.parametrize("name", ["os_auth_token", "os_password", "os_username"])
@pytest.mark.parametrize("value", ["gehe\nim", "geheim\r\n", " geheim", "geheim\0"])
def test_what_no_header_can_hold_is_refused_and_not_shown(make, swift, name, value):
    service = swift(lambda asked: (204, {}, b""))
    given = service.config
    if name == "os_auth_token":
        given = {"os_storage_url": f"{service.script.url}/v1/AUTH_a"}
    with pytest.raises(errors.InvalidConfigurationException, match=f"config key {name}") as caught:
        make(**{**given, name: value}).storage.buckets.get("box")
    assert "gehe" not in str(caught.value)
    assert not service.script.asked


def test_users_of_version_1_have_names_in_utf_8(make, swift):
    service = swift(lambda asked: (204, {}, b""))
    make(**{**service.config, "os_username": "test:mü", "os_password": "geheim€"}).storage.buckets.get("box")
    login = service.script.asked[0].headers
    # The headers are here as Latin-1 has them.
    assert login["x-auth-user"].encode("latin-1").decode() == "test:mü"
    assert login["x-auth-key"].encode("latin-1").decode() == "geheim€"


@pytest.mark.filterwarnings("ignore:Support for InfluxDB")
def test_a_cloud_with_a_token_and_an_address(make, swift, tmp_path, monkeypatch):
    pytest.importorskip("openstack")
    service = swift(lambda asked: (204, {}, b""))
    auth = {"endpoint": f"{service.script.url}/v1/AUTH_a", "token": service.good}
    config = clouds(tmp_path, monkeypatch, KEYSTONE, auth_type="admin_token", auth=auth)
    provider = make(**config, retry=service.config["retry"])
    assert provider.storage.buckets.get("box").name == "box"
    service.good = "another"
    with pytest.raises(errors.AuthenticationError):
        provider.storage.buckets.get("box")


@pytest.mark.filterwarnings("ignore:Support for InfluxDB")
@pytest.mark.parametrize(
    "content",
    ["clouds: [1]", "clouds: {lab: 3}", "clouds: {lab: {auth_type: none}}", "clouds: {lab: {auth_type: nope}}"],
)
def test_a_clouds_yaml_of_another_shape(make, no_network, tmp_path, monkeypatch, content):
    pytest.importorskip("openstack")
    (tmp_path / "clouds.yaml").write_text(content)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    with pytest.raises(errors.InvalidConfigurationException, match="os_cloud"):
        make(os_cloud="lab").storage.buckets.get("box")


@pytest.mark.filterwarnings("ignore:Support for InfluxDB")
def test_the_public_address_is_known_before_anything_was_asked(make, serve, tmp_path, monkeypatch):
    pytest.importorskip("openstack")

    def answer(asked):
        places = {"public": "https://public.example.org", "internal": "https://internal.example.org"}
        endpoints = [
            {"id": name, "interface": name, "region": "R", "region_id": "R", "url": f"{url}/v1/AUTH_a"}
            for name, url in places.items()
        ]
        catalog = [{"type": "object-store", "id": "s", "name": "swift", "endpoints": endpoints}]
        token = {"methods": ["password"], "expires_at": "2100-01-01T00:00:00.000000Z", "user": {"id": "u"}}
        body = json.dumps({"token": {**token, "catalog": catalog}}).encode()
        return 201, {"X-Subject-Token": "t", "Content-Type": "application/json"}, body

    config = clouds(tmp_path, monkeypatch, f"{serve(answer).url}/v3", interface="internal")
    service = service_of(make(**config))
    assert service.public_url == "https://public.example.org/v1/AUTH_a"
    assert service.storage_url == "https://internal.example.org/v1/AUTH_a"
