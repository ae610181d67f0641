"""The fake of Google Cloud Storage as its tests use it: by Google's own client, and by plain requests."""

import itertools
import json
import os
from types import SimpleNamespace

import pytest

storage = pytest.importorskip("google.cloud.storage")
requests = pytest.importorskip("requests")
credentials = pytest.importorskip("google.auth.credentials")

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def gcs(server):
    return server("gcs")


@pytest.fixture(scope="session", autouse=True)
def _stays_here():
    """Keep Google's client from asking IAM, in a thread of its own, where the account may store data."""
    with pytest.MonkeyPatch.context() as patch:
        kind = getattr(credentials, "CredentialsWithRegionalAccessBoundary", None)
        if kind is not None:
            patch.setattr(kind, "_maybe_start_regional_access_boundary_refresh", lambda *_: None, raising=False)
        yield


@pytest.fixture(scope="session")
def connect(gcs):
    """Return clients by the file of their credentials."""
    clients = []

    def make(file=gcs.credentials_file, project=gcs.project):
        client = storage.Client.from_service_account_json(
            str(file), project=project, client_options={"api_endpoint": gcs.url}
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def client(connect):
    return connect()


@pytest.fixture
def new_name():
    """Return names of buckets that nobody has."""
    return lambda: f"fake-{os.getpid()}-{next(_NUMBERS)}"


@pytest.fixture
def bucket(client, new_name):
    return client.create_bucket(new_name())


@pytest.fixture(scope="session")
def ask(gcs, client):
    """Send a request as the owner: a path, then what requests takes. ``token=None`` is nobody."""
    session = requests.Session()
    session.trust_env = False

    def send(method, path, *, token="own", headers=None, **more):
        own = dict(headers or {})
        if token == "own":
            if not client._credentials.valid:
                client._credentials.refresh(_transport())
            token = client._credentials.token
        if token:
            own["Authorization"] = f"Bearer {token}"
        url = path if path.startswith("http") else f"{gcs.url}{path}"
        return session.request(method, url, headers=own, timeout=60, allow_redirects=False, **more)

    yield send
    session.close()


def _transport():
    from google.auth.transport.requests import Request

    return Request()


@pytest.fixture
def put(ask, bucket):
    """Store an object by one request, and return its resource."""

    def store(name, body=b"content", *, expect=200, resource=None, headers=None, **params):
        described = json.dumps({"name": name, **(resource or {})}).encode()
        kind = b"Content-Type: application/json\r\n\r\n"
        parts = (
            b"--mark\r\n"
            + kind
            + described
            + b"\r\n--mark\r\nContent-Type: text/plain\r\n\r\n"
            + body
            + b"\r\n--mark--\r\n"
        )
        own = {"Content-Type": "multipart/related; boundary=mark", **(headers or {})}
        path = f"/upload/storage/v1/b/{bucket.name}/o"
        answer = ask("POST", path, params={"uploadType": "multipart", **params}, headers=own, data=parts)
        assert answer.status_code == expect, answer.text
        return answer.json()

    return store


@pytest.fixture
def reason_of():
    """Return status, reason and message of an answer that is a refusal in JSON."""

    def read(answer):
        error = answer.json()["error"]
        assert error["code"] == answer.status_code
        [detail] = error["errors"]
        assert detail["domain"] == "global"
        assert detail["message"] == error["message"]
        assert answer.headers["X-GUploader-UploadID"]
        return SimpleNamespace(
            status=answer.status_code, reason=detail["reason"], message=error["message"], detail=detail
        )

    return read
