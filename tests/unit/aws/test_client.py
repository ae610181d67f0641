"""The client that a configuration makes."""

import pytest

pytest.importorskip("boto3")

from botocore import UNSIGNED

from cloudbridge_store import CloudProviderFactory
from cloudbridge_store.drivers.aws.plan import is_aws
from cloudbridge_store.drivers.base import SignOptions
from cloudbridge_store.errors import AuthenticationError, BucketNotFoundError, InvalidConfigurationException

LOOPBACK = "http://127.0.0.1:1"


def test_connecting_opens_no_connection(make, no_network):
    assert make().native.meta.region_name == "us-east-1"


def test_chain_is_not_asked_before_the_first_request(no_network, monkeypatch):
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    with CloudProviderFactory().create_provider("aws", {"aws_region_name": "eu-west-1"}) as provider:
        assert provider.session.driver.native.meta.region_name == "eu-west-1"


def test_no_credentials_at_all_is_an_authentication_error():
    provider = CloudProviderFactory().create_provider("aws", {"s3_endpoint_url": LOOPBACK})
    with provider, pytest.raises(AuthenticationError) as caught:
        provider.storage.buckets.get("some-bucket")
    assert "aws_access_key" in caught.value.hint


def test_client_follows_the_settings(make, tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    config = make(
        connect_timeout=3, read_timeout=4, user_agent="mine", proxies={"https": "http://127.0.0.1:3128"}
    ).native.meta.config
    assert (config.connect_timeout, config.read_timeout, config.max_pool_connections) == (3, 4, 50)
    assert config.retries["total_max_attempts"] == 1
    assert (config.proxies, config.signature_version) == ({"https": "http://127.0.0.1:3128"}, "s3v4")
    assert "mine" in config.user_agent
    assert (config.request_checksum_calculation, config.response_checksum_validation) == ("when_required",) * 2


def test_anonymous(make):
    driver = make(aws_anonymous=True, aws_access_key=None, aws_secret_key=None)
    assert driver.native.meta.config.signature_version is UNSIGNED
    assert driver.capabilities.sign == frozenset()


@pytest.mark.parametrize(
    "config",
    [
        {"s3_endpoint_url": "http://example.org"},
        {"s3_endpoint_url": "example.org", "s3_is_secure": False},
        {"s3_is_secure": False},
        {"aws_secret_key": None},
        {"aws_access_key": None, "aws_secret_key": None, "aws_profile": "no-such-profile"},
        {"s3_preset": "no-such-service"},
        {"aws_region_name": "not a region"},
    ],
    ids=str,
)
def test_configuration_is_refused(make, config):
    with pytest.raises(InvalidConfigurationException):
        make(**config)


def test_plain_http_where_it_is_safe_or_wanted(make):
    assert make(s3_endpoint_url=LOOPBACK).native.meta.endpoint_url == LOOPBACK
    assert make(s3_endpoint_url="http://localhost:1").native.meta.endpoint_url == "http://localhost:1"
    wanted = make(s3_endpoint_url="http://example.org", allow_http=True)
    assert wanted.native.meta.endpoint_url == "http://example.org"


def test_cloudbridges_keys_for_compute_are_ignored(make):
    assert make(aws_zone_name="us-east-1a", aws_page_size=5, ec2_is_secure=True).name == "aws"


@pytest.mark.parametrize(
    ("config", "host"),
    [
        ({"aws_region_name": "eu-west-1", "s3_addressing_style": "virtual"}, "bucket.s3.eu-west-1.amazonaws.com"),
        ({"aws_region_name": "eu-west-1", "s3_addressing_style": "path"}, "s3.eu-west-1.amazonaws.com"),
        ({"aws_region_name": "cn-north-1"}, "bucket.s3.cn-north-1.amazonaws.com.cn"),
        ({"s3_endpoint_url": "https://example.org"}, "example.org"),
        ({"s3_endpoint_url": "https://example.org", "s3_addressing_style": "virtual"}, "bucket.example.org"),
    ],
    ids=str,
)
def test_addresses(make, no_network, config, host):
    driver = make(**config)
    assert driver.public_url("bucket", "a b/ü").split("/", 3)[2] == host
    assert driver.public_url("bucket", "a b/ü").endswith("/a%20b/%C3%BC")
    signed = driver.sign_url("bucket", "a", "PUT", 60, SignOptions("x/y"))
    assert (signed.headers, "X-Amz-Signature=" in signed.url) == ({"Content-Type": "x/y"}, True)


@pytest.mark.parametrize(
    ("endpoint", "trusted"),
    [
        (None, True),
        ("https://s3.eu-west-1.amazonaws.com", True),
        ("https://s3.cn-north-1.amazonaws.com.cn", True),
        ("https://evilamazonaws.com", False),
        ("https://amazonaws.com.example.org", False),
        ("https://notapi.aws", False),
    ],
)
def test_a_host_that_only_looks_like_aws_is_not_trusted(endpoint, trusted):
    assert is_aws(endpoint) is trusted


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a", "ab", "a/b", "ä", "a?b"])
def test_names_that_would_lead_elsewhere_are_not_sent(make, no_network, name):
    with pytest.raises(BucketNotFoundError):
        make().head_bucket(name)


def test_secrets_are_marked(make):
    secret = {key.name for key in make().config_keys if key.secret}
    assert secret == {"aws_access_key", "aws_secret_key", "aws_session_token"}
    assert all(key.help for key in make().config_keys)


@pytest.mark.parametrize(
    "config", [{}, {"s3_addressing_style": "virtual"}, {"proxies": {"https": "http://10.0.0.1:1"}}], ids=str
)
def test_both_ways_take_the_same_proxies(make, monkeypatch, config):
    monkeypatch.setenv("HTTPS_PROXY", "http://10.0.0.2:1")
    for exempt in ("example.org", "example.com"):
        monkeypatch.setenv("NO_PROXY", exempt)
        service = make(s3_endpoint_url="https://example.org", **config)._service
        proxies = service.client._endpoint.http_session._proxy_config.proxy_url_for("https://example.org/b")
        assert service._direct._http._proxy_config.proxy_url_for("https://example.org/b") == proxies


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_both_ways_trust_the_same_authorities(make, monkeypatch, tmp_path, variable):
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "ca.pem"))
    for config in ({}, {"s3_validate_certs": False}):
        service = make(**config)._service
        assert service.client._endpoint.http_session._verify == service._direct._http._verify
        assert service._direct._http._verify == (str(tmp_path / "ca.pem") if not config else False)


def test_both_ways_sign_as_the_configuration_file_says(make, monkeypatch, tmp_path):
    file = tmp_path / "config"
    file.write_text("[default]\ns3 =\n  payload_signing_enabled = true\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    service = make(s3_endpoint_url="https://example.org", s3_checksum="md5")._service
    assert service.client.meta.config.s3["payload_signing_enabled"] is True
    assert service._direct._origin.config.s3["payload_signing_enabled"] is True


def test_second_client_reads_no_data_again(make):
    first, second = make()._service, make(aws_region_name="eu-west-1")._service
    assert first._maker._session.get_component("data_loader") is second._maker._session.get_component("data_loader")
