"""What logs and errors show of signatures, tokens and keys."""

from __future__ import annotations

import base64
import logging
import traceback

import pytest

pytest.importorskip("azure.storage.blob")

from servers.scripted import failure

from cloudbridge_store import CloudProviderFactory
from cloudbridge_store.buckets import Bucket
from cloudbridge_store.drivers.base import BucketInfo
from cloudbridge_store.redaction import redact

SIGNATURE, TOKEN = "canarySIGNATURE", "canaryTOKEN"
KEY = base64.b64encode(b"canaryACCOUNTkey").decode()
WAYS = [{"azure_sas_token": f"sv=1&sig={SIGNATURE}"}, {"azure_access_token": TOKEN}, {"azure_storage_key": KEY}]


@pytest.mark.parametrize(
    "text",
    [
        f'"PUT /account1/b/k?se=2026&sig={SIGNATURE}%2B%3D HTTP/1.1" 201',
        f"{{'x-ms-copy-source': 'https://a/b?sv=1&sig={SIGNATURE}'}}",
        f"x-ms-copy-source-authorization: Bearer {SIGNATURE}",
        f"authorization: SharedKey account1:{SIGNATURE}",
        f"'x-ms-encryption-key': '{SIGNATURE}', 'x-ms-encryption-key-sha256': '{SIGNATURE}'",
        f"AccountName=account1;AccountKey={SIGNATURE};EndpointSuffix=x",
        f"SharedAccessSignature={SIGNATURE};",
        f"client_id=x&client_secret={SIGNATURE}&scope=y",
        f'{{"access_token": "{SIGNATURE}", "expires_in": 1}}',
    ],
)
def test_what_names_a_secret_of_azures_hides_it(text):
    assert SIGNATURE not in redact(text)


def test_what_only_looks_like_one_stays():
    assert redact("design=good, signal: 1, the sigh=3") == "design=good, signal: 1, the sigh=3"


@pytest.mark.parametrize("who", WAYS, ids=lambda who: next(iter(who)))
@pytest.mark.parametrize("status", [201, 403, 500])
def test_nothing_secret_in_logs_and_errors(serve, caplog, who, status):
    stored = {"x-ms-request-id": "R1", "ETag": '"1"', "Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"}
    script = serve(lambda asked: (201, stored, b"") if status == 201 else failure(status, "InternalError", **stored))
    caplog.set_level(logging.DEBUG)
    seen = []
    config = {"azure_endpoint_url": f"{script.url}/account1", "retry_attempts": 1, **who}
    with CloudProviderFactory().create_provider("azure", config) as provider:
        obj = Bucket(provider, BucketInfo("a-bucket")).objects.create("a")

        def use_native():
            provider.native.get_service_properties()

        url = f"https://elsewhere.example/a?sig={SIGNATURE}"
        for call in (
            lambda: obj.upload(b"1"),
            lambda: obj.copy_from_url(url),
            use_native,
        ):
            try:
                call()
            except Exception as error:
                seen += [str(error), repr(error), "".join(traceback.format_exception(error))]
        seen += [repr(provider), repr(provider.config), repr(vars(provider.session.driver))]
    seen += [caplog.text, *(record.getMessage() for record in caplog.records)]
    assert any("account1/a-bucket/a" in each for each in seen)
    for secret in (SIGNATURE, TOKEN, KEY, "canaryACCOUNTkey"):
        assert not [each for each in seen if secret in each]
