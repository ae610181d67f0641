"""What the tests of Google Cloud Storage share: drivers that no network is needed for, and a service's key."""

import json
import os
import socket

import pytest

pytest.importorskip("google.cloud.storage")

from cloudbridge_store import CloudProviderFactory

VARIABLES = (
    "GCP_SERVICE_CREDS_FILE", "GCP_SERVICE_CREDS_DICT", "GCP_PROJECT_NAME", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT",
    "GCP_REGION_NAME", "GCP_DEFAULT_REGION", "GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch, tmp_path):
    for name in [*VARIABLES, *(name for name in os.environ if name.lower().endswith("_proxy"))]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **keywords):
        message = f"a connection was opened: {arguments}"
        raise AssertionError(message)

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def connect():
    """Return providers of a configuration; they are closed at the end."""
    made = []

    def make(**config):
        made.append(CloudProviderFactory().create_provider("gcp", config))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def talk(serve, connect):
    """Return a driver that talks to a server which answers from a script, and that server."""

    def make(answer, **config):
        script = serve(answer)
        given = {"gcp_access_token": "the-token", "gcp_project_name": "p", "gcp_endpoint_url": script.url, **config}
        return connect(**given).session.driver, script

    return make


@pytest.fixture(scope="session")
def key_pem():
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
    from cryptography.hazmat.primitives import serialization

    key = rsa.generate_private_key(65537, 2048)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@pytest.fixture
def account(key_pem):
    """Return what stands in the file of a service account's key."""
    return {
        "type": "service_account",
        "project_id": "their-project",
        "private_key_id": "0123",
        "private_key": key_pem,
        "client_email": "who@their-project.iam.gserviceaccount.com",
        "token_uri": "http://127.0.0.1:9/token",
    }


@pytest.fixture
def account_file(account, tmp_path):
    path = tmp_path / "key.json"
    path.write_text(json.dumps(account))
    return path
