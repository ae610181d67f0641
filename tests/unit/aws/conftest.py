"""What the tests of AWS share: drivers that no network is needed for."""

import socket

import pytest

pytest.importorskip("boto3")

from cloudbridge_store import CloudProviderFactory


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **keywords):
        message = f"a connection was opened: {arguments}"
        raise AssertionError(message)

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def make():
    """Return a driver of a configuration; without keys, one pair is given."""

    def make_driver(**config):
        keys = {"aws_access_key": "AKIDEXAMPLE", "aws_secret_key": "geheim"}
        provider = CloudProviderFactory().create_provider("aws", {**keys, **config})
        return provider.session.driver

    return make_driver
