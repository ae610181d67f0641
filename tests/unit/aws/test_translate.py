"""S3's answers in the words of the contract."""

import base64
import zlib
from datetime import UTC, datetime

import pytest

pytest.importorskip("botocore")

from cloudbridge_store.drivers.aws.translate import (
    checksums_of,
    content_headers,
    etag_of,
    parse_time,
)
from cloudbridge_store.drivers.http import decode_text, encode_text
from cloudbridge_store.drivers.presets import find
from cloudbridge_store.errors import ProviderInternalException

AWS = find("aws")
MD5 = "5d41402abc4b2a76b9719d911017c592"
CRC32 = base64.b64encode(zlib.crc32(b"hello").to_bytes(4, "big")).decode()


@pytest.mark.parametrize(
    "value", ["", "a", "ü", "日本語 🗃", " a", "a ", "a  b", "=?UTF-8?B?w7w=?=", "=?x", "a=?UTF-8?B?w7w=?=", "ü" * 900]
)
def test_metadata_comes_back(value):
    encoded = encode_text(value)
    assert encoded.isascii()
    assert "\n" not in encoded
    assert encoded == " ".join(encoded.split())
    assert decode_text(encoded) == value


def test_metadata_that_s3_encoded_itself():
    assert decode_text("=?UTF-8?Q?=C3=BC?=") == "ü"
    assert decode_text("=?UTF-8?B?w7w=?= =?UTF-8?B?w7w=?=") == "üü"
    assert decode_text("=?nonsense?B?w7w=?=") == "=?nonsense?B?w7w=?="


def test_checksums_cover_all_bytes():
    whole = {"ETag": f'"{MD5}"', "ChecksumCRC32": CRC32, "ChecksumType": "FULL_OBJECT"}
    expected = {"crc32": f"{zlib.crc32(b'hello'):08x}", "md5": MD5}
    assert checksums_of(whole, AWS) == expected
    assert checksums_of(whole, AWS, whole=False) == {"md5": MD5}
    assert checksums_of({**whole, "ChecksumType": "COMPOSITE"}, AWS) == {"md5": MD5}
    assert checksums_of({"ETag": f'"{MD5}-3"', "ChecksumCRC32": f"{CRC32}-3"}, AWS) == {}


@pytest.mark.parametrize(
    "encryption",
    [{"ServerSideEncryption": "aws:kms"}, {"ServerSideEncryption": "aws:kms:dsse"}, {"SSECustomerAlgorithm": "AES256"}],
)
def test_etag_of_what_is_encrypted_is_no_md5(encryption):
    assert checksums_of({"ETag": MD5, **encryption}, AWS) == {}
    assert checksums_of({"ETag": MD5, "ServerSideEncryption": "AES256"}, AWS) == {"md5": MD5}


def test_answer_without_an_etag_is_not_s3s():
    with pytest.raises(ProviderInternalException) as caught:
        etag_of({})
    assert "s3_endpoint_url" in str(caught.value)


def test_content_encoding_says_nothing_of_the_way():
    assert content_headers({"ContentEncoding": "aws-chunked"}) == {}
    assert content_headers({"ContentEncoding": "gzip,aws-chunked"}) == {"content_encoding": "gzip"}


@pytest.mark.parametrize(
    "text", ["2026-11-20T21:11:18.000Z", "2026-11-20T21:11:18Z", "Fri, 20 Nov 2026 21:11:18 GMT", "1795209078"]
)
def test_times(text):
    assert parse_time(text) == datetime(2026, 11, 20, 21, 11, 18, tzinfo=UTC)
