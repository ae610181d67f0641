"""Signed URLs as strangers use them, on servers that check signatures, in both of S3's ways to sign."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from servers.harnesses import CephHarness, CephTlsHarness, MotoHarness, SwiftS3Harness

from cloudbridge_store.drivers.base import SignedRequest
from cloudbridge_store.testing.fixtures import offline_bucket

CONTENT = b"0123456789"
CHANGED = {"X-Amz-Expires", "X-Amz-Date", "X-Amz-Credential", "X-Amz-Signature", "Expires", "Signature"}


@pytest.fixture(
    scope="module",
    params=[
        (MotoHarness, "s3v4"),
        (SwiftS3Harness, "s3v4"),
        (SwiftS3Harness, "s3"),
        (CephHarness, "s3v4"),
        (CephHarness, "s3"),
        (CephTlsHarness, "s3v4"),
    ],
    ids=lambda param: f"{param[0].__name__}-{param[1]}",
)
def store(request, server):
    kind, version = request.param
    with kind(server(kind.kind)) as harness, harness.make_provider() as provider:
        bucket = harness.make_bucket(provider)
        with harness.make_provider(s3_signature_version=version) as signing:
            signer = offline_bucket(signing, bucket.name)
            yield SimpleNamespace(harness=harness, bucket=bucket, signer=signer, version=version)


@pytest.fixture
def obj(store):
    store.bucket.objects.create("dir/other.txt").upload(b"secret")
    return store.bucket.objects.create("dir/stored ä+.txt").upload(CONTENT)


def sign(store, obj, *arguments, **options):
    return store.signer.objects.create(obj.name).sign(*arguments, **options)


def send(store, signed, url=None, method=None, body=None):
    return store.harness.send(SignedRequest(url or signed.url, method or signed.method, signed.headers), body=body)


def test_every_method_does_what_is_signed(store, obj):
    assert send(store, sign(store, obj, "GET")).body == CONTENT
    head = send(store, sign(store, obj, "HEAD"))
    assert (head.status, head.headers["content-length"], head.body) == (200, "10", b"")
    assert send(store, sign(store, obj, "PUT", content_type="x/y"), body=b"new").status == 200
    assert store.bucket.objects.get(obj.name).content_type == "x/y"
    assert obj.content() == b"new"
    assert send(store, sign(store, obj, "DELETE")).status == 204
    assert store.bucket.objects.get(obj.name) is None


def test_answer_has_the_headers_that_are_signed(store, obj):
    disposition = 'attachment; filename="a b.txt"'
    answer = send(store, sign(store, obj, "GET", content_disposition=disposition, content_type="x/y"))
    assert (answer.headers["content-disposition"], answer.headers["content-type"]) == (disposition, "x/y")
    assert answer.body == CONTENT


@pytest.mark.parametrize(("signed", "sent"), [("GET", "PUT"), ("GET", "DELETE"), ("PUT", "GET"), ("HEAD", "DELETE")])
def test_other_method_is_denied(store, obj, signed, sent):
    answer = send(store, sign(store, obj, signed), method=sent, body=b"x" if sent == "PUT" else None)
    assert answer.status == 403
    assert obj.content() == CONTENT


def test_other_key_is_denied(store, obj):
    signed = sign(store, obj, "GET")
    path = urlsplit(signed.url).path.rpartition("/")[0]
    answer = send(store, signed, urlsplit(signed.url)._replace(path=f"{path}/other.txt").geturl())
    assert answer.status == 403
    assert b"secret" not in answer.body


def test_every_changed_part_is_denied(store, obj):
    signed = sign(store, obj, "GET", 100)
    parts = urlsplit(signed.url)
    found = parse_qs(parts.query)
    changed = [name for name in found if name in CHANGED]
    assert len(changed) == (4 if store.version == "s3v4" else 2)
    for name in changed:
        field = next(each for each in parts.query.split("&") if each.startswith(f"{name}="))
        last = field[-1]
        # Of a signature's last base64 character some bits mean nothing; the first one's all do.
        other = f"{name}={'B' if field[len(name) + 1] != 'B' else 'C'}{field[len(name) + 2 :]}"
        if name in ("X-Amz-Expires", "Expires"):
            other = f"{field[:-1]}{(int(last) + 1) % 10}"
        answer = send(store, signed, signed.url.replace(field, other))
        assert answer.status in (400, 401, 403), name
        assert CONTENT not in answer.body
    assert send(store, signed).body == CONTENT


def test_later_expiry_is_denied(store, obj):
    signed = sign(store, obj, "GET", 100)
    query = parse_qs(urlsplit(signed.url).query)
    [until] = query.get("X-Amz-Expires") or query["Expires"]
    answer = send(store, signed, signed.url.replace(f"Expires={until}", f"Expires={int(until) + 1000}"))
    assert answer.status == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_expired_url_is_denied(store, obj, method, monkeypatch):
    early = 1000
    with monkeypatch.context() as patch:
        patch.setattr("botocore.auth.get_current_datetime", lambda *_: datetime.now(UTC) - timedelta(seconds=early))
        patch.setattr("botocore.auth.time", SimpleNamespace(time=lambda: time.time() - early))
        signed, lasting = sign(store, obj, method, early - 100), sign(store, obj, "GET", early + 100)
    assert send(store, signed, body=b"x" if method == "PUT" else None).status == 403
    assert obj.content() == CONTENT
    assert send(store, lasting).body == CONTENT
