"""What the tests of Azure share: drivers that no network is needed for, and servers that say what they are told to."""

import base64
import os

import pytest

pytest.importorskip("azure.storage.blob")

from servers.scripted import Script

from cloudbridge_store import CloudProviderFactory

KEY = base64.b64encode(b"the key of an account").decode()
ANSWERED = {"x-ms-request-id": "R1", "x-ms-version": "2021-12-02", "Date": "Sat, 21 Nov 2026 12:00:00 GMT"}
STORED = {**ANSWERED, "ETag": '"0x1"', "Last-Modified": "Sat, 21 Nov 2026 12:00:00 GMT"}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("AZURE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def make():
    """Return a driver of a configuration; without credentials, a key is given."""

    def make_driver(**config):
        chosen = config.keys() & {"azure_sas_token", "azure_access_token", "azure_anonymous", "azure_connection_string"}
        given = {} if chosen else {"azure_storage_key": KEY}
        if "azure_connection_string" not in config:
            given["azure_storage_account"] = "account1"
        provider = CloudProviderFactory().create_provider("azure", {**given, **config})
        return provider.session.driver

    return make_driver


@pytest.fixture
def play(make):
    """Return a driver of a server that answers from a script, and the server."""
    servers = []

    def start(answer, **config):
        script = Script(answer)
        servers.append(script)
        driver = make(azure_endpoint_url=f"{script.url}/account1", retry_attempts=1, **config)
        return driver, script

    yield start
    for each in servers:
        each.close()
