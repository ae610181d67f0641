"""Making a provider: what the configuration may hold, what is refused, and that nothing is sent."""

import json

import pytest

from cloudbridge_store import CloudProviderFactory
from cloudbridge_store.core import registry
from cloudbridge_store.errors import AuthenticationError, InvalidConfigurationException, InvalidRequestError

pytestmark = pytest.mark.usefixtures("no_network")
KEYS = {"gcp_access_token": "t"}


def endpoint(provider):
    """Return the address that URLs of a provider begin with."""
    return provider.session.driver.public_url("some-bucket", "a").removesuffix("/some-bucket/a")


def test_connecting_sends_nothing(connect, account, account_file, tmp_path):
    workload = tmp_path / "workload.json"
    workload.write_text(
        json.dumps(
            {
                "type": "external_account",
                "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "token_url": "https://sts.googleapis.com/v1/token",
                "credential_source": {"file": str(tmp_path / "token")},
            }
        )
    )
    for config in (
        {"gcp_service_creds_file": str(account_file)},
        {"gcp_service_creds_dict": account},
        {"gcp_service_creds_dict": json.dumps(account)},
        {"gcp_service_creds_file": str(workload)},
        {"gcp_access_token": "t"},
        {"gcp_anonymous": True},
        {},
    ):
        assert connect(**config).capabilities.multipart


def test_the_service_is_googles_unless_the_configuration_says_otherwise(connect, account, monkeypatch):
    assert endpoint(connect(**KEYS)) == "https://storage.googleapis.com"
    assert endpoint(connect(gcp_service_creds_dict={**account, "universe_domain": "example.org"})) == (
        "https://storage.example.org"
    )
    assert endpoint(connect(**KEYS, gcp_endpoint_url="https://storage.p.googleapis.com/")) == (
        "https://storage.p.googleapis.com"
    )
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:9023")
    assert endpoint(connect(**KEYS)) == "http://127.0.0.1:9023"
    assert endpoint(connect(**KEYS, gcp_endpoint_url="localhost:1")) == "https://localhost:1"


def test_an_emulator_asks_nobody_who_they_are(connect, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9023")
    assert connect().capabilities.sign == frozenset()
    assert connect(gcp_access_token="t").capabilities.sign


@pytest.mark.parametrize("host", ["ftp://x", "http://", "http://who:secret@localhost:1", "http://[::1"])
def test_a_wrong_address_of_an_emulator_is_named_as_what_it_is(connect, monkeypatch, host):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", host)
    with pytest.raises(InvalidConfigurationException, match="STORAGE_EMULATOR_HOST") as caught:
        connect()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://Storage.Example.org:443/", "https://storage.example.org"),
        ("HTTPS://storage.example.org/At/a", "https://storage.example.org/At/a"),
        ("https://storage.example.org:4443", "https://storage.example.org:4443"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_an_address_is_written_as_clients_write_it(connect, url, same):
    """They leave out the port that the scheme has by itself, and a signature is for the host as they say it."""
    assert endpoint(connect(gcp_endpoint_url=url, gcp_access_token="t")) == same


def test_what_is_wrong_with_credentials_is_said_in_words(connect):
    with pytest.raises(AuthenticationError, match=r"missing fields .*refresh_token") as caught:
        connect(gcp_service_creds_dict={"type": "authorized_user"}).storage.buckets.get("some-bucket")
    assert "ValueError" not in str(caught.value)


def test_what_anonymous_requests_cannot(connect):
    able = connect(gcp_anonymous=True).capabilities
    assert (able.sign, able.sign_form, able.versions, able.switch_versions) == (frozenset(), False, False, False)
    assert able.hints.keys() == {"sign", "sign_form", "versions", "switch_versions"}
    assert all("gcp_anonymous" in hint for hint in able.hints.values())
    assert connect(gcp_access_token="t").capabilities.hints == {}


@pytest.mark.parametrize("url", ["http://storage.example.org", "ftp://a", "https://", "https://a?b", "https://u:p@a"])
def test_an_address_that_is_refused(connect, url):
    for name in ("gcp_endpoint_url", "gcp_iam_endpoint_url"):
        with pytest.raises(InvalidConfigurationException) as caught:
            connect(**KEYS, **{name: url})
        assert "u:p" not in str(caught.value)
    assert connect(**KEYS, gcp_endpoint_url="http://storage.example.org", allow_http=True).capabilities.copy


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        ("geheim", "not JSON"),
        ('["geheim"]', '"type"'),
        ('{"geheim": 1}', '"type"'),
        ('{"type": "service_account", "private_key": "geheim"}', "lacks client_email, token_uri"),
        ('{"type": "service_account", "client_email": "a", "private_key": "geheim", "token_uri": "b"}', "private_key"),
        ('{"accessId": "GOOG1", "secret": "geheim"}', "gcs-interop"),
    ],
)
def test_a_wrong_file_is_named_and_not_shown(connect, tmp_path, content, reason):
    path = tmp_path / "wrong.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidConfigurationException) as caught:
        connect(gcp_service_creds_file=str(path))
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_what_is_no_credentials(connect):
    for config in (
        {"gcp_credentials_obj": object()},
        {"gcp_service_creds_dict": "{"},
        {"gcp_service_creds_dict": {"client_email": "a"}},
        {"gcp_storage_class": "standard"},
    ):
        with pytest.raises(InvalidConfigurationException):
            connect(**config)


@pytest.mark.parametrize("key", ["gcp_access_key", "gcp_secret_key", "gcp_access_token"])
def test_hmac_keys_belong_to_another_provider(connect, key):
    with pytest.raises(InvalidConfigurationException, match="gcs-interop"):
        connect(**{key: "GOOG1EGEHEIM"})


def test_what_comes_first(connect, account, account_file, monkeypatch):
    from google.oauth2.credentials import Credentials

    monkeypatch.setenv("GCP_SERVICE_CREDS_FILE", str(account_file))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "of-the-environment")
    own = Credentials(token="own")
    client = connect(gcp_credentials_obj=own, gcp_service_creds_dict=account).native
    assert (client._credentials.token, client.project) == ("own", "of-the-environment")
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
    assert connect().native.project == "their-project"
    assert connect(gcp_project_name="given").native.project == "given"
    monkeypatch.setenv("GCP_PROJECT_NAME", "of-cloudbridge")
    assert connect().native.project == "of-cloudbridge"
    assert connect(gcp_anonymous=True).capabilities.sign == frozenset()


def test_cloudbridges_keys_for_compute_are_accepted(connect):
    assert connect(**KEYS, gcp_default_zone="a", gcp_zone_name="b", gcp_vm_default_username="c")


def test_without_credentials_the_first_request_says_what_to_do(connect, monkeypatch):
    import google.auth

    def none(**_):
        raise google.auth.exceptions.DefaultCredentialsError

    monkeypatch.setattr(google.auth, "default", none)
    with pytest.raises(AuthenticationError) as caught:
        connect().storage.buckets.get("some-bucket")
    assert "gcloud auth application-default login" in caught.value.hint


def test_a_project_is_asked_for_where_it_is_needed(connect):
    provider = connect(**KEYS)
    for call in (provider.storage.buckets.list, lambda: provider.storage.buckets.create("some-bucket")):
        with pytest.raises(InvalidRequestError) as caught:
            call()
        assert "gcp_project_name" in caught.value.hint
        assert caught.value.attempts == 1


def test_libclouds_name_is_known():
    assert registry.resolve("GOOGLE_STORAGE").driver == "gcp"
    assert CloudProviderFactory().get_provider_class("google_storage") is not None


def test_regions_begin_with_the_configured_one(connect):
    assert connect(**KEYS).storage.regions()[:3] == ["us", "eu", "asia"]
    found = connect(**KEYS, gcp_region_name="EUROPE-WEST4").storage.regions()
    assert found[0] == "europe-west4"
    assert len(found) == len(set(found)) > 50
