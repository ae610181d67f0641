"""Secrets of the AWS driver: planted, and looked for in everything that could show them."""

from __future__ import annotations

import base64
import functools
import os
import re
import socket
from pathlib import Path

import pytest

pytest.importorskip("boto3")

from servers.canaries import ADDRESS_PASSWORD, COMMON, PROXY_PASSWORD, carry_out, use, walk
from servers.scripted import failure

from cloudbridge_store import CloudProviderFactory
from cloudbridge_store.core.source import BytesBody
from cloudbridge_store.drivers.base import READ_ALL, PutOptions
from cloudbridge_store.errors import InvalidConfigurationException

CANARIES = {
    "access key": "AKIACANARYACCESSKEY0",
    "secret key": "canary/SECRET+key/0123456789abcdef",
    "session token": "canarySESSIONtoken//0123456789==",
    "secret key of the environment": "canaryENVIRONMENTkey0123456789",
    "secret key of the SDK's environment": "canarySDKenvironmentKEY0123456789",
    "secret key of a profile": "canaryPROFILEkey0123456789",
    "secret key of the SDK's file": "canarySDKfileKEY0123456789",
}
KEYS = {
    "aws_access_key": CANARIES["access key"],
    "aws_secret_key": CANARIES["secret key"],
    "aws_session_token": CANARIES["session token"],
}


@pytest.fixture(autouse=True)
def _look_for_them(watch):
    watch.secrets.update(CANARIES)


def test_nothing_is_shown_by_aws(watch, make_watched, server):
    there = {"s3_endpoint_url": server("moto").url, "s3_preset": "aws", "s3_addressing_style": "path"}
    provider = make_watched("aws", **KEYS, **there)
    use(provider, watch, "aws")
    assert "CanonicalRequest" in watch.log
    assert "urllib3.connectionpool" in watch.log
    assert len(watch.secrets) >= len(CANARIES) + len(COMMON) + 2
    assert watch.found() == set()


def echo(asked):
    """What AWS says of a wrong signature: everything that was signed."""
    said = "".join(f"{name}:{value}\n" for name, value in asked.headers.items())
    body = (
        "<Error><Code>SignatureDoesNotMatch</Code><Message>does not match</Message>"
        f"<AWSAccessKeyId>{CANARIES['access key']}</AWSAccessKeyId><CanonicalRequest>{said}</CanonicalRequest></Error>"
    )
    return 403, {"Content-Type": "application/xml"}, body.encode()


FAILURES = {
    "denied": lambda _: failure(403, "AccessDenied"),
    "echoed": echo,
    "expired": lambda _: failure(400, "ExpiredToken"),
    "refused": lambda _: failure(400, "InvalidArgument"),
    "missing": lambda _: failure(404, "NoSuchKey"),
    "conflict": lambda _: failure(409, "OperationAborted"),
    "condition": lambda _: failure(412, "PreconditionFailed"),
    "broken": lambda _: failure(500, "InternalError"),
    "throttled": lambda _: failure(503, "SlowDown"),
    "moved": lambda _: failure(301, "PermanentRedirect", **{"x-amz-bucket-region": "eu-west-3"}),
    "foreign": lambda _: (200, {"Content-Type": "text/html"}, b"<html>log in</html>"),
    "hung up": lambda _: None,
}


@pytest.mark.parametrize("kind", FAILURES)
def test_nothing_is_shown_where_aws_fails(watch, make_watched, serve, kind):
    script = serve(FAILURES[kind])
    provider = make_watched("aws", **KEYS, s3_endpoint_url=script.url, s3_preset="aws")
    carry_out(provider, watch, kind, "canary-bucket")
    assert len(script.asked) > 20
    assert any(CANARIES["session token"] in asked.headers.get("x-amz-security-token", "") for asked in script.asked)
    assert watch.found() == set()


@pytest.mark.parametrize("signature", ["s3v4", "s3"])
def test_nothing_is_shown_by_any_kind_of_signature(watch, make_watched, serve, signature):
    script = serve(lambda _: failure(403, "AccessDenied"))
    there = {"s3_endpoint_url": script.url, "s3_preset": "other", "s3_signature_version": signature}
    provider = make_watched("aws", **KEYS, **there)
    session = provider.session
    for name, arguments in (
        ("put_object", ("canary-bucket", "key", BytesBody(b"x"), PutOptions())),
        ("get_object", ("canary-bucket", "key", READ_ALL)),
    ):
        watch.attempt(name, functools.partial(session.call, getattr(session.driver, name), *arguments))
    sent = [asked.headers["authorization"] for asked in script.asked]
    watch.secrets["authorization"] = re.search(r"(?:Signature=|:)([^:=]+=*)$", sent[0])[1]
    assert len(sent) == 2
    assert watch.found() == set()


@pytest.mark.parametrize("listening", [True, False])
def test_nothing_is_shown_by_a_proxy(watch, make_watched, serve, unused_port, listening):
    script = serve(lambda _: failure(403, "AccessDenied"))
    port = script.server.server_port if listening else unused_port
    proxy = f"http://me:{PROXY_PASSWORD}@127.0.0.1:{port}"
    there = {"s3_endpoint_url": "http://192.0.2.1", "allow_http": True, "s3_preset": "aws"}
    provider = make_watched("aws", **KEYS, **there, proxies={"http": proxy, "https": proxy})
    carry_out(provider, watch, "proxy", "canary-bucket")
    watch.see("provider", *walk(provider))
    basic = base64.b64encode(f"me:{PROXY_PASSWORD}".encode()).decode()
    watch.secrets["proxy's password on the wire"] = basic
    assert (f"Basic {basic}" in {asked.headers.get("proxy-authorization") for asked in script.asked}) is listening
    assert watch.found() == set()


@pytest.fixture
def unused_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener.getsockname()[1]


# Where secrets come from


def test_nothing_is_shown_of_the_environment(watch, make_watched, serve, monkeypatch):
    script = serve(lambda _: failure(403, "AccessDenied"))
    monkeypatch.setenv("AWS_ACCESS_KEY", CANARIES["access key"])
    monkeypatch.setenv("AWS_SECRET_KEY", CANARIES["secret key of the environment"])
    provider = make_watched("aws", s3_endpoint_url=script.url)
    carry_out(provider, watch, "environment", "canary-bucket")
    assert f"Credential={CANARIES['access key']}" in script.asked[0].headers["authorization"]
    assert watch.found() == set()


@pytest.mark.parametrize("where", ["environment", "file"])
def test_nothing_is_shown_of_what_the_sdk_finds(watch, make_watched, serve, monkeypatch, tmp_path, where):
    script = serve(lambda _: failure(403, "AccessDenied"))
    secret = CANARIES[f"secret key of the SDK's {where}"]
    for name in ("AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    if where == "file":
        lines = ("[default]", f"aws_access_key_id={CANARIES['access key']}", f"aws_secret_access_key={secret}")
        (tmp_path / "credentials").write_text("\n".join(lines))
    else:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", CANARIES["access key"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    provider = make_watched("aws", s3_endpoint_url=script.url)
    carry_out(provider, watch, where, "canary-bucket")
    assert f"Credential={CANARIES['access key']}" in script.asked[0].headers["authorization"]
    watch.see("provider", *walk(provider))
    assert watch.found() == set()


def profile_file(monkeypatch, tmp_path, mode, *more):
    path = tmp_path / "profiles.toml"
    secret = CANARIES["secret key of a profile"]
    lines = ("[profile.lab]", 'provider = "aws"', 'aws_access_key = "AK"', f'aws_secret_key = "{secret}"', *more)
    path.write_text("\n".join(lines))
    path.chmod(mode)
    monkeypatch.setenv("CBS_CONFIG", str(path))
    return path


def test_nothing_is_shown_of_a_profile(watch, make_watched, serve, monkeypatch, tmp_path):
    script = serve(lambda _: failure(403, "AccessDenied"))
    profile_file(monkeypatch, tmp_path, 0o600)
    provider = make_watched("aws", profile="lab", s3_endpoint_url=script.url)
    carry_out(provider, watch, "profile", "canary-bucket")
    assert "Credential=AK/" in script.asked[0].headers["authorization"]
    assert provider.session.driver.native.meta.region_name == "us-east-1"
    assert watch.found() == set()


@pytest.mark.parametrize(
    "more",
    [("aws_regoin_name = 'x'",), ("[profile.other]", "provider = 3"), ("deadline = 'x'",), ("not toml",)],
    ids=["misspelt", "no provider", "wrong value", "not toml"],
)
def test_nothing_is_shown_of_a_profile_that_is_refused(watch, monkeypatch, tmp_path, more):
    profile_file(monkeypatch, tmp_path, 0o600, *more)
    with pytest.raises(InvalidConfigurationException) as caught:
        CloudProviderFactory().create_provider("aws", {"profile": "lab"})
    watch.see_error("profile", caught.value)
    assert watch.found() == set()


@pytest.mark.skipif(os.name != "posix", reason="permissions as on POSIX systems")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602, 0o660, 0o777])
def test_a_profile_file_with_secrets_that_others_can_read_or_alter_is_refused(watch, monkeypatch, tmp_path, mode):
    path = profile_file(monkeypatch, tmp_path, mode)
    with pytest.raises(InvalidConfigurationException, match=re.escape(f"chmod 600 {path}")) as caught:
        CloudProviderFactory().create_provider("aws", {"profile": "lab"})
    watch.see_error("profile", caught.value)
    assert watch.found() == set()
    path.chmod(0o600)
    assert CloudProviderFactory().create_provider("aws", {"profile": "lab"}).name == "AWSCloudProvider"


def test_the_permissions_are_those_of_the_file_that_is_read(monkeypatch, tmp_path):
    path = profile_file(monkeypatch, tmp_path, 0o644)
    real = Path.open

    def swap(self, *arguments, **keywords):
        file = real(self, *arguments, **keywords)
        if arguments == ("rb",):
            path.unlink()
            profile_file(monkeypatch, tmp_path, 0o600)
        return file

    monkeypatch.setattr(Path, "open", swap)
    with pytest.raises(InvalidConfigurationException, match="chmod 600"):
        CloudProviderFactory().create_provider("aws", {"profile": "lab"})


# Configurations that are refused, with the secrets in them


@pytest.mark.parametrize(
    "wrong",
    [
        {"aws_regoin_name": "x"},
        {"deadline": "x"},
        {"deadline": 0},
        {"proxies": 3},
        {"proxies": f"http://me:{PROXY_PASSWORD}@proxy:1"},
        {"aws_session_token": CANARIES["session token"].encode()},
        {"aws_access_key": None},
        {"s3_preset": "none-such"},
        {"s3_endpoint_url": f"https://me:{ADDRESS_PASSWORD}@example.org"},
        {"s3_endpoint_url": f"http://me:{ADDRESS_PASSWORD}@example.org", "s3_preset": "wasabi"},
        {"s3_endpoint_url": f"me:{ADDRESS_PASSWORD}@example.org"},
        {"s3_endpoint_url": f"https://me:{ADDRESS_PASSWORD}@[::1", "s3_preset": "other"},
        {"s3_endpoint_url": "http://example.org"},
        {"aws_region_name": "no region!"},
        {"keys": "odd"},
        {"on_event": 3},
        {"retry": 3},
    ],
    ids=repr,
)
def test_nothing_is_shown_of_a_configuration_that_is_refused(watch, wrong, monkeypatch):
    for name in ("AWS_ACCESS_KEY", "AWS_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    given = {**KEYS, **wrong}
    with pytest.raises(InvalidConfigurationException) as caught:
        CloudProviderFactory().create_provider("aws", given)
    watch.see_error("config", caught.value)
    assert watch.found() == set()


def test_nothing_is_shown_of_a_missing_sdk(watch, monkeypatch):
    monkeypatch.setattr("cloudbridge_store.core.registry.load", raiser(InvalidConfigurationException("no SDK")))
    with pytest.raises(InvalidConfigurationException) as caught:
        CloudProviderFactory().create_provider("aws", KEYS)
    watch.see_error("config", caught.value)
    assert watch.found() == set()


def raiser(error):
    def fail(*_, **__):
        raise error

    return fail


def test_providers_of_different_secrets_are_different():
    one, other, same = (
        CloudProviderFactory().create_provider("aws", {**KEYS, "aws_secret_key": secret, "proxies": {"http": proxy}})
        for secret, proxy in (("a", "http://p"), ("b", "http://p"), ("a", "http://p"))
    )
    assert one == same
    assert one != other
    assert one != CloudProviderFactory().create_provider(
        "aws", {**KEYS, "aws_secret_key": "a", "proxies": {"http": "http://q"}}
    )
