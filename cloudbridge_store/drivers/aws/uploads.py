"""Multipart uploads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from cloudbridge_store.checksums import composite_etag
from cloudbridge_store.drivers.aws.encryption import unlocking
from cloudbridge_store.drivers.aws.errors import code_of
from cloudbridge_store.drivers.aws.service import Service
from cloudbridge_store.drivers.aws.translate import (
    conditions,
    describing,
    encode_crc32,
    encode_md5,
    encrypted,
    etag_of,
    require,
    stored,
)
from cloudbridge_store.drivers.base import Body, Part, PutOptions, Stored
from cloudbridge_store.drivers.streams import SentStream
from cloudbridge_store.errors import IntegrityError, InvalidRequestError, UploadNotFoundError


def digest(service: Service, body: Body) -> dict[str, str]:
    """Return the parameter by which the service verifies what arrives."""
    if service.preset.checksum == "crc32":
        return {"ChecksumCRC32": encode_crc32(body.crc32)}
    return {"ContentMD5": encode_md5(body.md5)} if service.preset.checksum == "md5" else {}


def start(service: Service, bucket: str, key: str, options: PutOptions) -> str:
    """Start an upload and return its id."""
    parameters = describing(options)
    if service.preset.checksum == "crc32":
        # One checksum of the whole in the end, which a download can be compared with.
        parameters = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT", **parameters}
    answer = service.send("create_multipart_upload", Bucket=bucket, Key=key, **parameters)
    return str(require(answer, "UploadId"))


def send_part(
    service: Service, bucket: str, key: str, upload_id: str, number: int, body: Body, options: PutOptions
) -> Part:
    """Store one part."""
    with body.open() as stream:
        answer = service.send(
            "upload_part",
            Bucket=bucket,
            Key=key,
            UploadId=upload_id,
            PartNumber=number,
            Body=SentStream(stream, body.size),
            ContentLength=body.size,
            **digest(service, body),
            **unlocking(options.customer_key),
        )
    return Part(number, etag_of(answer), body.size)


def list_entries(service: Service, bucket: str, key: str, upload_id: str) -> list[dict[str, Any]]:
    """Return what the service says of each stored part, by number."""
    entries: list[dict[str, Any]] = []
    marker = None
    while True:
        answer = service.send(
            "list_parts", Bucket=bucket, Key=key, UploadId=upload_id, MaxParts=1000, PartNumberMarker=marker
        )
        entries += answer.get("Parts", ())
        marker = answer.get("NextPartNumberMarker")
        if not answer.get("IsTruncated") or not marker:
            return sorted(entries, key=lambda entry: entry["PartNumber"])


def finish(
    service: Service, bucket: str, key: str, upload_id: str, parts: Sequence[Part], options: PutOptions
) -> Stored:
    """Make the object. The stored parts are looked at before: for their checksums, and as not every service does."""
    held = {each["PartNumber"]: each for each in list_entries(service, bucket, key, upload_id)}
    if not service.trusted:
        _check_parts(service, held, parts)
    extra = service.accepted("CompleteMultipartUpload", options.extra)
    chosen = [
        {"PartNumber": part.number, "ETag": f'"{part.etag}"', **_checksum(held.get(part.number, {}))} for part in parts
    ]
    answer = service.send(
        "complete_multipart_upload",
        Bucket=bucket,
        Key=key,
        UploadId=upload_id,
        MultipartUpload={"Parts": chosen},
        **conditions(options),
        **unlocking(options.customer_key),
        **extra,
    )
    return stored({**answer, "ETag": _compare_etag(service, answer, parts)}, service.preset)


def _checksum(entry: dict[str, Any]) -> dict[str, str]:
    return {"ChecksumCRC32": entry["ChecksumCRC32"]} if "ChecksumCRC32" in entry else {}


def _check_parts(service: Service, held: dict[int, dict[str, Any]], parts: Sequence[Part]) -> None:
    for part in parts:
        entry = held.get(part.number)
        if entry is None or etag_of(entry) != part.etag:
            raise InvalidRequestError(f"part {part.number} is not there, or has another ETag")
        if entry["Size"] < service.preset.min_part and part is not parts[-1]:
            raise InvalidRequestError(f"part {part.number} of {entry['Size']} bytes is too small and not the last")


def _compare_etag(service: Service, answer: dict[str, Any], parts: Sequence[Part]) -> str:
    """Return the object's ETag: what the answer says, which Ceph leaves empty, or what the parts make."""
    etag = etag_of(answer)
    if not service.preset.multipart_etag_is_md5 or encrypted(answer):
        return etag
    expected = composite_etag(part.etag for part in parts)
    if expected is None or not re.fullmatch("[0-9a-f]{32}-[0-9]+|", etag):
        return etag
    if etag not in ("", expected):
        raise IntegrityError(f"the object has the ETag {etag}, its parts make {expected}", outcome="applied")
    return expected


def abort(service: Service, bucket: str, key: str, upload_id: str) -> None:
    """Discard an upload; one that is gone is fine."""
    try:
        service.send("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload_id)
    except UploadNotFoundError:
        pass
    except ClientError as error:
        if code_of(error) not in ("NoSuchUpload", "NoSuchKey"):
            raise
