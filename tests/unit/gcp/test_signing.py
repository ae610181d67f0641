"""Signatures are those that Google's own client makes of the same request at the same moment."""

import base64
import json
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from google.cloud.storage import _signing

from cloudbridge_store.drivers.base import FormOptions, SignOptions
from cloudbridge_store.drivers.gcp import signing
from cloudbridge_store.errors import AuthenticationError, InvalidRequestError, InvalidValueException
from cloudbridge_store.testing.fixtures import offline_bucket

MOMENT = datetime(2026, 11, 21, 10, 11, 12, tzinfo=UTC)
KEYS = ["a", "dir/ä b?#%.txt", "a//b/", "~tilde*star'quote", "🗃/a+b&c=d"]


@pytest.fixture
def provider(connect, account, monkeypatch, no_network):
    class Then(datetime):
        @classmethod
        def now(cls, tz=None):
            return MOMENT

    monkeypatch.setattr(signing, "datetime", Then)
    return connect(gcp_service_creds_dict=account)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    ("method", "options", "theirs"),
    [
        ("GET", SignOptions(), {}),
        ("HEAD", SignOptions(), {}),
        ("DELETE", SignOptions(), {}),
        ("PUT", SignOptions(content_type="x/y; a=b"), {"content_type": "x/y; a=b"}),
        (
            "GET",
            SignOptions("text/plain; charset=utf-8", 'attachment; filename="a b.txt"'),
            {"response_type": "text/plain; charset=utf-8", "response_disposition": 'attachment; filename="a b.txt"'},
        ),
    ],
)
def test_urls(provider, key, method, options, theirs):
    driver = provider.session.driver
    signed = driver.sign_url("some-bucket", key, method, 600, options)
    expected = _signing.generate_signed_url_v4(
        provider.native._credentials,
        resource=f"/some-bucket/{quote(key, safe='/~')}",
        expiration=600,
        api_access_endpoint="https://storage.googleapis.com",
        method=method,
        _request_timestamp=f"{MOMENT:%Y%m%dT%H%M%SZ}",
        **theirs,
    )
    assert signed.url == expected
    assert signed.headers == ({"Content-Type": theirs["content_type"]} if "content_type" in theirs else {})


def test_forms(provider):
    form = provider.session.driver.sign_form("some-bucket", "in/", 60, FormOptions(True, 1, 10, "x/y"))
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    assert form.url == "https://storage.googleapis.com/some-bucket/"
    assert policy["expiration"] == "2026-11-21T10:12:12Z"
    assert ["starts-with", "$key", "in/"] in policy["conditions"]
    assert ["content-length-range", 1, 10] in policy["conditions"]
    named = {name for term in policy["conditions"] if isinstance(term, dict) for name in term}
    # Every field but the key, whose rest is the sender's choice, the policy and its signature is bound.
    assert named == {"bucket", "Content-Type", "x-goog-algorithm", "x-goog-credential", "x-goog-date"}
    assert set(form.fields) == {*named - {"bucket"}, "key", "policy", "x-goog-signature"}
    assert form.fields["key"] == "in/${filename}"
    signature = provider.native._credentials.sign_bytes(form.fields["policy"].encode()).hex()
    assert form.fields["x-goog-signature"] == signature


def test_a_key_that_a_form_would_take_for_the_senders_choice(provider):
    with pytest.raises(InvalidRequestError, match="filename"):
        provider.session.driver.sign_form("some-bucket", "a${filename}", 60, FormOptions())


def test_an_account_to_sign_for_that_there_is_none_of(serve, connect):
    """It is not the object that is not there."""
    text = "Not found; Gaia id not found for email nobody@p"
    found = {"error": {"code": 404, "message": text, "status": "NOT_FOUND"}}
    script = serve(lambda asked: (404, {"Content-Type": "application/json"}, json.dumps(found).encode()))
    config = {"gcp_access_token": "t", "gcp_service_account_email": "nobody@p", "gcp_endpoint_url": script.url}
    bucket = offline_bucket(connect(**config, gcp_iam_endpoint_url=script.url))
    with pytest.raises(AuthenticationError, match="Gaia") as caught:
        bucket.objects.create("a").generate_url(60)
    assert "gcp_service_account_email" in caught.value.hint


def test_seven_days_are_the_most(provider):
    obj = offline_bucket(provider).objects.create("a")
    assert "X-Goog-Expires=604800" in obj.generate_url(604_800)
    with pytest.raises(InvalidValueException, match="604800"):
        obj.generate_url(604_801)
