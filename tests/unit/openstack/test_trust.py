"""Certificates: what ``clouds.yaml`` says of them, and what the configuration says before it."""

import json
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("trustme")
pytest.importorskip("openstack")

import trustme

from cloudbridge_store import RetryConfig, errors
from cloudbridge_store.config import Settings
from cloudbridge_store.drivers.openstack.trust import trust_of

pytestmark = pytest.mark.filterwarnings("ignore:Support for InfluxDB")

ETAG = "d3b07384d113edec49eaa6238ad5ff00"
NAMED = {"X-Trans-Id": "tx1"}


class Authority:
    """Who issues certificates, and the files of it."""

    def __init__(self, directory):
        self._ca = trustme.CA()
        self.file = str(directory / "ca.pem")
        self._ca.cert_pem.write_to_path(self.file)
        own = self._ca.issue_cert("me@example.org")
        self.certificate, self.key, self.both = (str(directory / f"{name}.pem") for name in ("cert", "key", "both"))
        own.cert_chain_pems[0].write_to_path(self.certificate)
        own.private_key_pem.write_to_path(self.key)
        own.private_key_and_cert_chain_pem.write_to_path(self.both)

    def context(self, *, asks=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert("127.0.0.1").configure_cert(context)
        if asks:
            # With this version a refusal comes within the handshake.
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.verify_mode = ssl.CERT_REQUIRED
            self._ca.configure_trust(context)
        return context


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def other(tmp_path):
    """An authority that nobody has asked for anything."""
    (tmp_path / "other").mkdir()
    return Authority(tmp_path / "other")


@pytest.fixture
def reach(make, serve, tmp_path, monkeypatch):
    """Return a driver whose cloud is served here, identity and objects."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)

    def answer(asked):
        if asked.path == "/v3/auth/tokens":
            endpoint = {"id": "e", "interface": "public", "region": "R", "region_id": "R"}
            service = {"type": "object-store", "id": "s", "name": "swift"}
            token = {"methods": ["password"], "expires_at": "2100-01-01T00:00:00.000000Z", "user": {"id": "u"}}
            token["catalog"] = [{**service, "endpoints": [{**endpoint, "url": f"{reach.url}/v1/AUTH_a"}]}]
            return (
                201,
                {"X-Subject-Token": "t", "Content-Type": "application/json"},
                json.dumps({"token": token}).encode(),
            )
        if asked.path.startswith("/v1/AUTH_a"):
            return 200, {**NAMED, "ETag": ETAG, "Last-Modified": "Fri, 20 Nov 2026 10:00:00 GMT"}, b""
        return 404, NAMED, b""

    def reach(context, cloud, **config):
        script = serve(answer, context)
        reach.url, reach.script = script.url, script
        auth = {"auth_url": f"{script.url}/v3", "username": "me", "password": "geheim", "project_name": "p"}
        (tmp_path / "clouds.yaml").write_text(json.dumps({"clouds": {"lab": {"auth": auth, **cloud}}}))
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
        return make(os_cloud="lab", retry=RetryConfig(attempts=1), **config)

    return reach


def read(provider):
    return provider.session.call(provider.session.driver.head_object, "box", "a").etag


def test_the_authority_of_clouds_yaml(reach, authority):
    provider = reach(authority.context(), {"cacert": authority.file})
    assert read(provider) == ETAG
    assert provider.native.object_store.head("/box").status_code == 200
    assert {asked.path for asked in reach.script.asked} >= {"/v3/auth/tokens", "/v1/AUTH_a/box/a"}


def test_a_certificate_of_nobody_known(reach, authority):
    with pytest.raises(errors.CertificateError):
        read(reach(authority.context(), {}))
    assert not [asked for asked in reach.script.asked if asked.method == "POST"]


@pytest.mark.parametrize("cloud", [{"verify": False}, {"verify": "no"}, {"insecure": True}], ids=str)
def test_nobody_is_asked_for_who_they_are(reach, authority, caplog, cloud):
    assert read(reach(authority.context(), cloud)) == ETAG
    assert "certificates are not checked" in caplog.text


@pytest.mark.parametrize(
    ("cloud", "config", "trusted"),
    [
        (["other"], {"ca_bundle": "authority"}, True),
        (["other"], {"verify_tls": False}, True),
        (["authority"], {"ca_bundle": "other"}, False),
        (["verify"], {"ca_bundle": "other"}, False),
        (["verify"], {"verify_tls": True}, False),
        (["authority"], {"verify_tls": True}, True),
    ],
    ids=str,
)
def test_the_configuration_goes_before_the_file(reach, authority, other, cloud, config, trusted):
    files = {"authority": authority.file, "other": other.file}
    config = {name: files.get(value, value) for name, value in config.items()}
    entry = {"verify": False} if cloud == ["verify"] else {"cacert": files[cloud[0]]}
    provider = reach(authority.context(), entry, **config)
    if trusted:
        assert read(provider) == ETAG
        return
    with pytest.raises(errors.CertificateError):
        read(provider)


def test_the_environment_is_a_choice_too(reach, authority, monkeypatch):
    monkeypatch.setenv("CBS_VERIFY_TLS", "true")
    with pytest.raises(errors.CertificateError):
        read(reach(authority.context(), {"verify": False}))


@pytest.mark.parametrize("together", [False, True])
def test_a_certificate_of_our_own(reach, authority, together):
    own = {"cert": authority.both} if together else {"cert": authority.certificate, "key": authority.key}
    assert read(reach(authority.context(asks=True), {"cacert": authority.file, **own})) == ETAG
    with pytest.raises(errors.ConnectionFailedError):
        read(reach(authority.context(asks=True), {"cacert": authority.file}))


@pytest.mark.parametrize(
    ("cloud", "named"),
    [
        ({"cacert": "{}/missing.pem"}, "cacert"),
        ({"cacert": "{}/key.pem"}, "cacert"),
        ({"cert": "{}/missing.pem"}, "cert"),
        ({"cert": "{}/cert.pem"}, "cert"),
        ({"cert": "{}/cert.pem", "key": "{}/ca.pem"}, "cert"),
        ({"verify": "perhaps"}, "verify"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_named(reach, authority, tmp_path, cloud, named):
    cloud = {name: value.format(tmp_path) for name, value in cloud.items()}
    with pytest.raises(errors.InvalidConfigurationException, match=f"clouds.yaml: {named} "):
        read(reach(authority.context(), cloud))
    assert not reach.script.asked


def test_a_file_in_the_home_directory(authority, monkeypatch):
    # The home of these tests is their own directory.
    assert trust_of(Settings(), {"cacert": "~/ca.pem"}).bundle == authority.file
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    assert trust_of(Settings()) == (True, None, None)


@pytest.mark.parametrize(
    ("ca_bundle", "os_cacert", "cloud", "requests", "trusted"),
    [
        (None, "good", None, None, True),
        (None, "good", "bad", "bad", True),
        ("bad", "good", None, None, False),
        ("good", "bad", None, None, True),
        (None, "bad", "unchecked", None, False),
        (None, None, None, "good", True),
    ],
)
def test_the_authority_of_the_environment(
    reach, authority, other, monkeypatch, ca_bundle, os_cacert, cloud, requests, trusted
):
    files = {"good": authority.file, "bad": other.file}
    entry = {"cacert": files[cloud]} if cloud in files else {"verify": False} if cloud else {}
    config = {"ca_bundle": files[ca_bundle]} if ca_bundle else {}
    # With proxies given, requests would look at no environment.
    provider = reach(authority.context(), entry, proxies={"ftp": "http://127.0.0.1:1"}, **config)
    provider.close()
    for name, value in (("OS_CACERT", os_cacert), ("REQUESTS_CA_BUNDLE", requests)):
        if value:
            monkeypatch.setenv(name, files[value])
    provider = reach(authority.context(), entry, proxies={"ftp": "http://127.0.0.1:1"}, **config)
    if trusted:
        assert read(provider) == ETAG
        return
    with pytest.raises(errors.CertificateError):
        read(provider)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="only openssl tells how files of a directory are named")
def test_a_directory_of_authorities(reach, authority, tmp_path):
    # By the hash of a certificate's subject, as c_rehash names them.
    directory = tmp_path / "authorities"
    directory.mkdir()
    made = subprocess.run(
        [shutil.which("openssl"), "x509", "-hash", "-noout", "-in", authority.file],
        capture_output=True,
        text=True,
        check=True,
    )
    (directory / f"{made.stdout.strip()}.0").write_bytes(Path(authority.file).read_bytes())
    assert read(reach(authority.context(), {}, ca_bundle=directory)) == ETAG
    assert read(reach(authority.context(), {"cacert": str(directory)})) == ETAG


def test_a_certificate_of_the_environment(reach, authority, monkeypatch):
    monkeypatch.setenv("OS_CERT", authority.certificate)
    monkeypatch.setenv("OS_KEY", authority.key)
    assert read(reach(authority.context(asks=True), {"cacert": authority.file, "cert": "/nowhere"})) == ETAG


@pytest.mark.parametrize("name", ["ca_bundle", "os_cacert", "os_cert"])
def test_what_of_the_configuration_cannot_be_used_is_named(make, name, tmp_path, no_network):
    given = {"os_storage_url": "https://127.0.0.1:1/v1/AUTH_a", "os_auth_token": "t"}
    with pytest.raises(errors.InvalidConfigurationException, match=f"config key {name} "):
        read(make(**given, **{name: tmp_path / "missing.pem"}))
