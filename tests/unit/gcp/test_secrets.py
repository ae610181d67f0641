"""Tokens, keys and signatures: in no log, in no error, and in no local variable of ours that a traceback shows."""

import base64
import io
import json
import logging
import traceback

import pytest

from cloudbridge_store import Encryption
from cloudbridge_store.core.source import BytesBody
from cloudbridge_store.drivers.base import PutOptions, ReadOptions, SignOptions
from cloudbridge_store.errors import CloudBridgeBaseException
from cloudbridge_store.redaction import redact

TOKEN, CUSTOMER_KEY = "ya29.geheimer-token", b"geheimer schluessel von 32 bytes"
ENCODED = base64.b64encode(CUSTOMER_KEY).decode()


@pytest.fixture
def log():
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


def shown(error):
    """Return all that an error and its traceback show, with the local variables of our own functions."""
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    pieces = []
    while trace is not None:
        pieces.append(str(trace))
        for frame in trace.stack:
            if "cloudbridge_store" in frame.filename:
                pieces += (frame.locals or {}).values()
        trace = trace.__cause__ or trace.__context__
    while error is not None:
        pieces += [str(error), repr(error)]
        error = error.__cause__ or error.__context__
    return "\n".join(pieces)


def denied(asked):
    body = {"error": {"code": 403, "message": "no", "errors": [{"reason": "forbidden", "message": "no"}]}}
    return 403, {"Content-Type": "application/json"}, json.dumps(body).encode()


@pytest.mark.parametrize("answer", [denied, lambda asked: None], ids=["denied", "hung up"])
def test_nothing_shows_what_a_request_carries(talk, log, answer):
    driver, script = talk(answer, gcp_access_token=TOKEN, retry_attempts=1)
    options = PutOptions(encryption=Encryption.customer(CUSTOMER_KEY))
    reading = ReadOptions(customer_key=CUSTOMER_KEY)
    calls = [
        lambda: driver.head_bucket("some-bucket"),
        lambda: driver.put_object("some-bucket", "a", BytesBody(b"1"), options),
        lambda: driver.get_object("some-bucket", "a", reading),
        lambda: driver.head_object("some-bucket", "a", reading),
        lambda: driver.copy_object("some-bucket", "a", "some-bucket", "b", options, source=reading),
        lambda: driver.start_upload("some-bucket", "a", options),
        lambda: driver.upload_part("some-bucket", "a", "u", 1, BytesBody(b"1"), options),
        lambda: driver.delete_objects("some-bucket", ["a"]),
    ]
    for call in calls:
        with pytest.raises(Exception, match=r".*") as caught:
            call()
        everything = shown(caught.value)
        for secret in (TOKEN, ENCODED, CUSTOMER_KEY.decode()):
            assert secret not in everything
    assert len(script.asked) == len(calls)
    assert script.asked[1].headers["authorization"] == f"Bearer {TOKEN}"
    assert script.asked[1].headers["x-goog-encryption-key"] == ENCODED
    for secret in (TOKEN, ENCODED):
        assert secret not in log.getvalue()


def test_nothing_shows_how_a_token_is_asked_for(serve, connect, account, log):
    answers = [(200, {}, json.dumps({"access_token": TOKEN, "expires_in": 3600}).encode()), (403, {}, b"no")]
    script = serve(lambda asked: answers.pop(0))
    provider = connect(
        gcp_service_creds_dict={**account, "token_uri": f"{script.url}/token"},
        gcp_endpoint_url=script.url,
        retry_attempts=1,
    )
    with pytest.raises(CloudBridgeBaseException) as caught:
        provider.storage.buckets.get("some-bucket")
    sent = script.asked[0].body.decode()
    assert "assertion=" in sent
    assertion = sent.partition("assertion=")[2]
    piece = account["private_key"][100:140]
    for text in (shown(caught.value), log.getvalue(), repr(provider), repr(vars(provider.session.driver))):
        for secret in (TOKEN, assertion[-40:], piece):
            assert secret not in text


def test_a_token_that_is_refused(serve, connect, account, log):
    answer = (
        400,
        {"Content-Type": "application/json"},
        b'{"error": "invalid_grant", "error_description": "Invalid JWT"}',
    )
    script = serve(lambda asked: answer)
    provider = connect(
        gcp_service_creds_dict={**account, "token_uri": f"{script.url}/token"}, gcp_endpoint_url=script.url
    )
    with pytest.raises(PermissionError, match="Invalid JWT") as caught:
        provider.authenticate()
    assert len(script.asked) == 1
    assertion = script.asked[0].body.decode().partition("assertion=")[2]
    for text in (shown(caught.value), log.getvalue()):
        assert assertion[-40:] not in text
        assert account["private_key"][100:140] not in text


def test_a_signature_is_shown_to_whoever_asked_for_it_alone(connect, account, log):
    provider = connect(gcp_service_creds_dict=account)
    signed = provider.session.driver.sign_url("some-bucket", "a", "GET", 60, SignOptions())
    signature = signed.url.partition("X-Goog-Signature=")[2]
    assert len(signature) == 512
    assert signature not in repr(signed)
    assert signature not in log.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "GET /b/a?X-Goog-Signature=geheim&x=1",
        "x-goog-encryption-key: geheim",
        "{'x-goog-copy-source-encryption-key': 'geheim'}",
        '{"access_token": "geheim", "expires_in": 1}',
        "grant_type=x&assertion=geheim",
        '"private_key": "geheim"',
        "refresh_token=geheim&client_secret=geheim",
        '{"signedBlob": "geheim"}',
    ],
)
def test_what_sdks_log_by_these_names_is_taken_out(text):
    assert "geheim" not in redact(text)
    assert "***" in redact(text)
