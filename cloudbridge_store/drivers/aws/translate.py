"""S3's answers in the words of the contract, and the contract's options in S3's."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

from cloudbridge_store.drivers.aws.encryption import asking_for
from cloudbridge_store.drivers.aws.errors import NOT_S3
from cloudbridge_store.drivers.base import ObjectInfo, PutOptions, Stored
from cloudbridge_store.drivers.http import decode_text, encode_text
from cloudbridge_store.drivers.presets import S3Preset
from cloudbridge_store.errors import ForeignAnswerError

_HEADERS = {
    "cache_control": "CacheControl",
    "content_disposition": "ContentDisposition",
    "content_encoding": "ContentEncoding",
    "content_language": "ContentLanguage",
}
_CHECKSUMS = {
    "crc32": "ChecksumCRC32",
    "crc32c": "ChecksumCRC32C",
    "crc64nvme": "ChecksumCRC64NVME",
    "sha1": "ChecksumSHA1",
    "sha256": "ChecksumSHA256",
}
_MD5 = re.compile("[0-9a-f]{32}")


def require(answer: Mapping[str, Any], name: str) -> Any:
    """Return what every S3 service answers. :raises ForeignAnswerError: this is none."""
    try:
        return answer[name]
    except KeyError:
        raise ForeignAnswerError(f"the answer has no {name}", hint=NOT_S3) from None


def refuse_page(answer: Mapping[str, Any]) -> None:
    """Raise for a page of HTML that a proxy or a portal sent with status 200: nothing was carried out.

    :raises ForeignAnswerError: S3 and its like answer XML or nothing, and name the request.
    """
    headers: Mapping[str, str] = answer["ResponseMetadata"].get("HTTPHeaders", {})
    if headers.get("content-type", "").startswith("text/html") and not any(name.startswith("x-am") for name in headers):
        raise ForeignAnswerError("the answer is a page of HTML", hint=NOT_S3)


def parse_time(value: Any) -> datetime:
    """Read a time as S3 writes it: ISO 8601 in bodies, RFC 5322 in headers."""
    # botocore's own parser takes more than half the time of a listing.
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        moment = datetime.fromtimestamp(value, UTC) if isinstance(value, (int, float)) else _parse_header_time(value)
    # Some listings say fractions, but no header does: an object has one time.
    if moment.microsecond:
        moment = moment.replace(microsecond=0)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _parse_header_time(value: str) -> datetime:
    try:
        return parsedate_to_datetime(value)
    except ValueError:
        return datetime.fromtimestamp(float(value), UTC)


def etag_of(answer: Mapping[str, Any]) -> str:
    """Return an answer's ETag without its quotes. :raises ForeignAnswerError: there is none."""
    return str(require(answer, "ETag")).strip('"')


def quoted(etag: str | None) -> str | None:
    """Return an ETag as a condition holds it."""
    return etag if etag in (None, "*") else f'"{etag}"'


def version_of(answer: Mapping[str, Any]) -> str | None:
    """Return the version; ``None`` in a bucket that keeps none."""
    version = answer.get("VersionId")
    return None if version in (None, "", "null") else str(version)


def checksums_of(answer: Mapping[str, Any], preset: S3Preset, *, whole: bool = True) -> dict[str, str]:
    """Return the digests that cover all of an object's bytes.

    :param whole: whether the answer is about the whole object. With a range some services answer digests of the range.
    """
    found = {}
    if whole and answer.get("ChecksumType") != "COMPOSITE":
        for name, field in _CHECKSUMS.items():
            if value := _decoded(answer.get(field)):
                found[name] = value
    if has_md5_etag(answer, preset):
        found["md5"] = etag_of(answer)
    return found


def has_md5_etag(answer: Mapping[str, Any], preset: S3Preset) -> bool:
    """Say whether an answer's ETag is the MD5 of what was put: not with a key of KMS or of the customer."""
    return preset.etag_is_md5 and not encrypted(answer) and bool(_MD5.fullmatch(etag_of(answer)))


def encrypted(answer: Mapping[str, Any]) -> bool:
    """Say whether the object is encrypted in a way that makes its ETag something else than an MD5."""
    return "SSECustomerAlgorithm" in answer or str(answer.get("ServerSideEncryption", "")).startswith("aws:")


def _decoded(value: str | None) -> str | None:
    try:
        return base64.b64decode(value, validate=True).hex() if value else None
    except binascii.Error:
        return None  # "abc=-3": of parts, not of the whole


def object_info(
    key: str, answer: Mapping[str, Any], preset: S3Preset, size: int | None = None, *, whole: bool = True
) -> ObjectInfo:
    """Describe an object by the answer to a HEAD or GET."""
    return ObjectInfo(
        key,
        int(require(answer, "ContentLength")) if size is None else size,
        require(answer, "LastModified"),
        etag_of(answer),
        answer.get("ContentType"),
        checksums_of(answer, preset, whole=whole),
        content_headers(answer),
        {name.lower(): decode_text(value) for name, value in answer.get("Metadata", {}).items()},
        answer.get("StorageClass", "STANDARD"),
        version_of(answer),
    )


def content_headers(answer: Mapping[str, Any]) -> dict[str, str]:
    """Return the content headers beside the content type."""
    found = {name: answer[field] for name, field in _HEADERS.items() if answer.get(field)}
    if "content_encoding" in found:
        # How the bytes travelled, which some services store as if it described them.
        tokens = [token.strip() for token in found.pop("content_encoding").split(",")]
        if kept := ", ".join(token for token in tokens if token not in ("", "aws-chunked")):
            found["content_encoding"] = kept
    return found


def stored(answer: Mapping[str, Any], preset: S3Preset) -> Stored:
    """Return what a write answers."""
    return Stored(etag_of(answer), version_of(answer), checksums_of(answer, preset))


def describing(options: PutOptions) -> dict[str, Any]:
    """Return the parameters that describe a new object, without conditions."""
    parameters: dict[str, Any] = {_HEADERS[name]: value for name, value in options.headers.items()}
    if options.content_type is not None:
        parameters["ContentType"] = options.content_type
    if options.metadata:
        parameters["Metadata"] = {name: encode_text(value) for name, value in options.metadata.items()}
    if options.tags:
        parameters["Tagging"] = urlencode(options.tags)
    if options.storage_class is not None:
        parameters["StorageClass"] = options.storage_class
    return {**parameters, **asking_for(options.encryption), **options.extra}


def conditions(options: PutOptions) -> dict[str, str | None]:
    """Return the parameters that make a write depend on what is stored."""
    return {"IfMatch": quoted(options.if_match), "IfNoneMatch": options.if_none_match}


def tag_set(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as S3's requests hold them."""
    return [{"Key": name, "Value": value} for name, value in tags.items()]


def encode_crc32(value: int) -> str:
    """Return a CRC-32 as S3 has it."""
    return base64.b64encode(value.to_bytes(4, "big")).decode()


def encode_md5(value: bytes) -> str:
    """Return an MD5 as Content-MD5 has it."""
    return base64.b64encode(value).decode()
