"""Signatures: the SDK makes the same."""

import random
import string

import pytest

pytest.importorskip("azure.storage.blob")

from azure.core.pipeline import PipelineContext, PipelineRequest
from azure.core.rest import HttpRequest
from azure.storage.blob._shared.authentication import SharedKeyCredentialPolicy, _storage_header_sort

from cloudbridge_store.drivers.azure.authorizing import SharedKey, service_order

KEY = "YSBrZXk="


def signed_by_the_sdk(method, url, headers):
    request = HttpRequest(method, url, headers=headers)
    SharedKeyCredentialPolicy("account1", KEY).on_request(PipelineRequest(request, PipelineContext(None)))
    return request.headers["Authorization"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_signature(method):
    query = {"comp": "block", "blockid": "YWJj+/==", "Prefix": "ü b"}
    headers = {
        "x-ms-version": "2021-12-02",
        "x-ms-date": "Sat, 21 Nov 2026 12:00:00 GMT",
        "x-ms-meta-a_b": "=?UTF-8?B?w7w=?=",
        "x-ms-meta-ab": "",
        "x-ms-meta-a1": "1",
        "Content-Length": "12",
        "Content-MD5": "eB5eJF1ptWaXm4bijSPyxw==",
        "If-None-Match": "*",
        "If-Match": '"0x1"',
    }
    expected = signed_by_the_sdk(
        method,
        "https://account1.blob.core.windows.net/c/a%20b%2Bc?comp=block&blockid=YWJj%2B%2F%3D%3D&Prefix=%C3%BC%20b",
        # The SDK leaves empty headers out of what it signs only among those that are not the service's own.
        dict(headers),
    )
    SharedKey("account1", KEY)(method, "/c/a%20b%2Bc", query, headers)
    assert headers["Authorization"] == expected


def test_an_empty_body_has_no_length_in_the_signature():
    headers = {"x-ms-date": "x", "Content-Length": "0"}
    expected = signed_by_the_sdk("PUT", "https://account1.blob.core.windows.net/c/a", dict(headers))
    SharedKey("account1", KEY)("PUT", "/c/a", {}, headers)
    assert headers["Authorization"] == expected


def test_spaces_around_a_value_are_not_signed():
    signed = [{"x-ms-blob-content-disposition": value} for value in ("inline", " inline ")]
    for headers in signed:
        SharedKey("account1", KEY)("PUT", "/bucket/a", {}, headers)
    assert signed[0]["Authorization"] == signed[1]["Authorization"]


def test_headers_are_in_the_services_order():
    drawn = random.Random(7)
    letters = f"{string.ascii_lowercase[:4]}12_"
    names = {f"x-ms-meta-a{''.join(drawn.choices(letters, k=drawn.randint(1, 6)))}" for _ in range(500)}
    names |= {"x-ms-blob-type", "x-ms-blob-content-type", "x-ms-date", "x-ms-version", "x-ms-tags", "x-ms-meta"}
    ours = sorted(names, key=service_order)
    assert ours == [name for name, _ in _storage_header_sort([(name, "") for name in sorted(names)])]
