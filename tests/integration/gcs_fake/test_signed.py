"""Requests that are signed instead of carrying a token, by the signatures that Google's client makes."""

import base64
import datetime as dt
import json
import re
import subprocess
import sys
import time
from urllib.parse import quote, urlsplit

import google.auth.jwt
import pytest
from google.auth import credentials
from google.cloud.storage import _signing
from google.oauth2 import service_account
from servers.gcs.probing import code_of

DAY = dt.timedelta(days=1)


@pytest.fixture
def blob(bucket):
    found = bucket.blob("a dir/signed ü~")
    found.upload_from_string(b"content", content_type="text/plain")
    return found


@pytest.fixture
def sign(blob):
    """Return signed URLs of an object."""

    def make(method="GET", expiration=DAY, **more):
        return blob.generate_signed_url(version="v4", method=method, expiration=expiration, **more)

    return make


def test_reading(ask, sign):
    answer = ask("GET", sign(), token=None)
    assert (answer.status_code, answer.content, answer.headers["Content-Type"]) == (200, b"content", "text/plain")
    assert answer.headers["ETag"] == '"9a0364b9e99bb480dd25e1f0284c8555"'
    head = ask("HEAD", sign("HEAD"), token=None)
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, "7", b"")


def test_what_is_overridden(ask, sign):
    url = sign(response_type="x/y", response_disposition='attachment; filename="z"')
    answer = ask("GET", url, token=None)
    assert answer.headers["Content-Type"] == "x/y"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="z"'


def test_ranges(ask, sign):
    answer = ask("GET", sign(), token=None, headers={"Range": "bytes=2-3"})
    assert (answer.status_code, answer.content, answer.headers["Content-Range"]) == (206, b"nt", "bytes 2-3/7")
    assert code_of(ask("GET", sign(), token=None, headers={"Range": "bytes=7-"})) == (416, "InvalidRange")


def test_writing_and_deleting(ask, sign, bucket, blob):
    headers = {"Content-Type": "a/b", "x-goog-meta-k": "v"}
    url = sign("PUT", content_type="a/b", headers={"x-goog-meta-k": "v"})
    answer = ask("PUT", url, token=None, headers=headers, data=b"new")
    assert answer.status_code == 200
    found = bucket.get_blob(blob.name)
    assert answer.headers["x-goog-generation"] == str(found.generation)
    assert (found.content_type, found.metadata, found.size) == ("a/b", {"k": "v"}, 3)
    assert ask("DELETE", sign("DELETE"), token=None).status_code == 204
    assert bucket.get_blob(blob.name) is None
    assert code_of(ask("DELETE", sign("DELETE"), token=None)) == (404, "NoSuchKey")


def test_a_resumable_upload(ask, sign, bucket, blob):
    url = sign("RESUMABLE")
    begun = ask("POST", url, token=None, headers={"x-goog-resumable": "start"}, data=b"")
    assert begun.status_code == 201
    assert ask("PUT", begun.headers["Location"], token=None, data=b"by a session").status_code == 200
    assert bucket.blob(blob.name).download_as_bytes() == b"by a session"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD"])
def test_another_method(ask, sign, method):
    answer = ask(method, sign(), token=None, data=b"" if method == "PUT" else None)
    assert answer.status_code == 403
    assert method == "HEAD" or "<Code>SignatureDoesNotMatch</Code>" in answer.text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("signed", "other"),
        ("X-Goog-Expires=86400", "X-Goog-Expires=86401"),
        ("X-Goog-Signature=", "X-Goog-Signature=00"),
    ],
)
def test_tampering(ask, sign, before, after):
    url = sign()
    assert before in url
    assert code_of(ask("GET", url.replace(before, after), token=None)) == (403, "SignatureDoesNotMatch")


def test_added_parameters(ask, sign):
    url = f"{sign()}&response-content-type=text%2Fhtml"
    assert code_of(ask("GET", url, token=None)) == (403, "SignatureDoesNotMatch")


def test_headers_that_were_not_signed(ask, sign):
    answer = ask("PUT", sign("PUT"), token=None, headers={"x-goog-meta-k": "v"}, data=b"")
    assert code_of(answer) == (400, "MalformedSecurityHeader")
    answer = ask("PUT", sign("PUT", content_type="a/b"), token=None, data=b"")
    assert code_of(answer) == (400, "MalformedSecurityHeader")
    answer = ask("PUT", sign("PUT", content_type="a/b"), token=None, headers={"Content-Type": "b/a"}, data=b"")
    assert code_of(answer) == (403, "SignatureDoesNotMatch")


def test_expiry(ask, blob, gcs):
    def make(begun, seconds):
        return _signing.generate_signed_url_v4(
            blob.client._credentials,
            resource=f"/{blob.bucket.name}/{_quoted(blob.name)}",
            expiration=seconds,
            api_access_endpoint=gcs.url,
            _request_timestamp=f"{begun:%Y%m%dT%H%M%SZ}",
        )

    now = dt.datetime.now(dt.UTC)
    assert ask("GET", make(now, 60), token=None).status_code == 200
    assert code_of(ask("GET", make(now - DAY, 60), token=None)) == (400, "ExpiredToken")
    assert code_of(ask("GET", make(now + DAY, 60), token=None)) == (403, "RequestTimeTooSkewed")
    too_long = make(now, 60).replace("X-Goog-Expires=60", "X-Goog-Expires=604801")
    assert code_of(ask("GET", too_long, token=None)) == (400, "MalformedSecurityHeader")
    undated = re.sub("X-Goog-Date=[^&]*", "X-Goog-Date=yesterday", make(now, 60))
    assert code_of(ask("GET", undated, token=None)) == (400, "MalformedSecurityHeader")


def _quoted(name):
    return quote(name, safe="/~")


def test_who_signs_needs_the_right(ask, connect, gcs, blob):
    stranger = connect(gcs.stranger_credentials_file, gcs.stranger_project)
    url = stranger.bucket(blob.bucket.name).blob(blob.name).generate_signed_url(version="v4", expiration=DAY)
    answer = ask("GET", url, token=None)
    assert code_of(answer) == (403, "AccessDenied")
    assert "does not have storage.objects.get access" in answer.text


@pytest.fixture
def keyless(ask, gcs, client, grant):
    """Return credentials without a key, where IAM signs for them, and a token that IAM takes."""
    email = client._credentials.service_account_email
    path = f"{gcs.iam_url}/v1/projects/-/serviceAccounts/{email}:signBlob"
    scope = "https://www.googleapis.com/auth/cloud-platform"
    token = grant(assertion=_assertion(gcs, scope=scope)).json()["access_token"]

    class Keyless(credentials.Credentials, credentials.Signing):
        signer = None
        signer_email = email

        def refresh(self, request):
            raise NotImplementedError

        def sign_bytes(self, message):
            found = ask("POST", path, json={"payload": base64.b64encode(message).decode()}, token=token)
            return base64.b64decode(found.json()["signedBlob"])

    return Keyless(), path, token


def test_iam_signs_for_those_without_a_key(ask, gcs, blob, keyless):
    own, _, _ = keyless
    resource = f"/{blob.bucket.name}/{_quoted(blob.name)}"
    url = _signing.generate_signed_url_v4(own, resource=resource, expiration=60, api_access_endpoint=gcs.url)
    assert ask("GET", url, token=None).content == b"content"


def test_iam_does_not_sign_for_others(ask, keyless):
    own, path, token = keyless
    payload = {"payload": base64.b64encode(b"to be signed").decode()}
    assert ask("POST", path, json=payload, token=token).json().keys() == {"keyId", "signedBlob"}
    # Rights to storage alone are not enough to have something signed.
    assert ask("POST", path, json=payload).status_code == 403
    assert ask("POST", path, token=None, json=payload).status_code == 401
    assert ask("POST", path.replace(own.signer_email, "nobody@nowhere"), json=payload, token=token).status_code == 404
    assert ask("POST", path, json={"payload": "é"}, token=token).status_code == 400


@pytest.fixture
def form(client, bucket, ask):
    """Send a form that Google's client has signed, with what is to be changed in it."""

    def send(content, *, changed=None, conditions=(), fields=None, seconds=60):
        made = client.generate_signed_post_policy_v4(
            bucket.name,
            "by form",
            dt.timedelta(seconds=seconds),
            conditions=list(conditions),
            fields={"success_action_status": "201", **(fields or {})},
        )
        own = {**made["fields"], **(changed or {})}
        return ask("POST", made["url"], token=None, data=own, files={"file": ("f", content)})

    return send


def test_forms(form, bucket):
    answer = form(b"content", conditions=[["content-length-range", 1, 10]], fields={"x-goog-meta-k": "v"})
    assert answer.status_code == 201, answer.text
    assert "<Key>by form</Key>" in answer.text
    found = bucket.get_blob("by form")
    assert (found.metadata, found.download_as_bytes()) == ({"k": "v"}, b"content")


def test_forms_against_their_policy(form, bucket):
    limits = [["content-length-range", 2, 10]]
    assert code_of(form(b"x" * 11, conditions=limits)) == (400, "EntityTooLarge")
    assert code_of(form(b"x", conditions=limits)) == (400, "EntityTooSmall")
    assert code_of(form(b"", changed={"key": "another"})) == (400, "InvalidPolicyDocument")
    assert code_of(form(b"", changed={"x-goog-meta-z": "another"})) == (400, "InvalidPolicyDocument")
    policy = base64.b64encode(json.dumps({"expiration": "2999-01-01T00:00:00Z", "conditions": []}).encode())
    assert code_of(form(b"", changed={"policy": policy})) == (403, "SignatureDoesNotMatch")
    assert code_of(form(b"", changed={"x-goog-signature": "zz"})) == (403, "SignatureDoesNotMatch")
    assert code_of(form(b"", seconds=-5)) == (400, "InvalidPolicyDocument")
    assert list(bucket.list_blobs()) == []


def _assertion(gcs, **changed):
    account = service_account.Credentials.from_service_account_file(str(gcs.credentials_file))
    now = int(time.time())
    claims = {
        "iss": account.service_account_email,
        "aud": f"{gcs.url}/token",
        "scope": "https://www.googleapis.com/auth/devstorage.read_only",
        "iat": now,
        "exp": now + 3600,
        **changed,
    }
    return google.auth.jwt.encode(account.signer, claims).decode()


@pytest.fixture
def grant(ask, gcs):
    def send(**form):
        kind = "urn:ietf:params:oauth:grant-type:jwt-bearer"
        return ask("POST", "/token", token=None, data={"grant_type": kind, **form})

    return send


def test_tokens(grant, gcs, ask, bucket):
    answer = grant(assertion=_assertion(gcs)).json()
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3599)
    path = f"/storage/v1/b/{bucket.name}"
    token = answer["access_token"]
    assert ask("GET", path, token=token).status_code == 200
    refused = ask("DELETE", path, token=token)
    assert (refused.status_code, refused.json()["error"]["errors"][0]["reason"]) == (403, "insufficientPermissions")
    assert ask("POST", "/revoke", token=None, params={"token": token}).status_code == 200
    assert ask("GET", path, token=token).status_code == 401


def test_tokens_that_are_not_given(grant, gcs):
    now = int(time.time())
    for changed in ({"aud": "https://elsewhere"}, {"iss": "nobody"}, {"exp": now + 7200}, {"exp": now - 900}):
        answer = grant(assertion=_assertion(gcs, **changed))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert grant(assertion=_assertion(gcs, scope="all")).json()["error"] == "invalid_scope"
    head, claims, signature = _assertion(gcs).split(".")
    for wrong in (f"{head}.{claims}.{signature[::-1]}", "x.y", f"{head}.{claims}."):
        assert grant(assertion=wrong).json()["error"] == "invalid_grant"
    assert grant(grant_type="password").json()["error"] == "unsupported_grant_type"


def test_refresh_tokens(grant, ask, bucket):
    own = {"client_id": "test-client-id", "client_secret": "test-client-secret", "refresh_token": "test-refresh-token"}
    token = grant(grant_type="refresh_token", **own).json()["access_token"]
    assert ask("GET", f"/storage/v1/b/{bucket.name}", token=token).status_code == 200
    assert grant(grant_type="refresh_token", **{**own, "refresh_token": "x"}).json()["error"] == "invalid_grant"
    assert grant(grant_type="refresh_token", **{**own, "client_secret": "x"}).status_code == 401


def test_short_lived_tokens(connect, gcs, bucket):
    client = connect(gcs.short_lived_credentials_file)
    assert client.bucket(bucket.name).exists()
    own = client._credentials
    limit = time.monotonic() + 30
    first = own.token
    while own.token == first and time.monotonic() < limit:
        # The client believes in its token for an hour; it is the service that refuses it, and has it get another.
        assert client.bucket(bucket.name).exists()
    assert own.token != first


def test_accounts_may_sign_their_tokens_themselves(ask, gcs, bucket):
    own = {"scope": None, "aud": "https://storage.googleapis.com/", "sub": None}
    account = service_account.Credentials.from_service_account_file(str(gcs.credentials_file))
    token = _assertion(gcs, **{**own, "sub": account.service_account_email})
    assert ask("GET", f"/storage/v1/b/{bucket.name}", token=token).status_code == 200
    token = _assertion(gcs, **{**own, "sub": "another"})
    assert ask("GET", f"/storage/v1/b/{bucket.name}", token=token).status_code == 401


_ON_A_MACHINE = """
import google.auth, google.auth.transport.requests
credentials, project = google.auth.default(["https://www.googleapis.com/auth/cloud-platform"])
credentials.refresh(google.auth.transport.requests.Request())
print(project, credentials.service_account_email, credentials.token)
"""


def test_a_machine_of_the_cloud_has_credentials(gcs, ask, bucket, client, tmp_path):
    place = urlsplit(gcs.url).netloc
    own = {"GCE_METADATA_HOST": place, "GCE_METADATA_IP": place, "HOME": str(tmp_path), "PATH": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", _ON_A_MACHINE]
    said = subprocess.run(command, env=own, capture_output=True, encoding="utf-8", check=False)
    assert said.returncode == 0, said.stderr
    project, email, token = said.stdout.split()
    assert (project, email) == (gcs.project, client._credentials.service_account_email)
    assert ask("GET", f"/storage/v1/b/{bucket.name}", token=token).status_code == 200
    assert ask("GET", "/computeMetadata/v1/project/project-id", token=None).status_code == 403
