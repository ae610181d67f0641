"""The service's descriptions in the words of the contract, and the contract's options in the service's.

An object's ETag is its *generation*: the service gives every content that is stored a new one, tells it in every
answer, and takes it as a condition of every operation. Its own ``etag`` changes with the metadata too, differs between
its interfaces, and is no condition of a write.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from cloudbridge_store.drivers.base import Body, BucketInfo, Encryption, ObjectInfo, PutOptions, ReadOptions, Stored
from cloudbridge_store.drivers.gcp.answers import NOT_GCS, required
from cloudbridge_store.drivers.http import decode_text, encode_text
from cloudbridge_store.errors import (
    ForeignAnswerError,
    InvalidRequestError,
    NotModifiedError,
    ObjectNotFoundError,
    PreconditionFailedError,
    UnsupportedOperationError,
)
from cloudbridge_store.redaction import hide

LISTED_FIELDS = "name,size,updated,generation,contentType,storageClass,md5Hash,crc32c"
DESCRIBED_FIELDS = (
    f"{LISTED_FIELDS},cacheControl,contentDisposition,contentEncoding,contentLanguage,metadata,customTime,timeDeleted"
)
STORED_FIELDS = "generation,md5Hash,crc32c"
BUCKET_FIELDS = "name,timeCreated,location"

_HEADERS = {
    "cache_control": "cacheControl",
    "content_disposition": "contentDisposition",
    "content_encoding": "contentEncoding",
    "content_language": "contentLanguage",
}
XML_HEADERS = {name: name.replace("_", "-").title() for name in _HEADERS}
"""Names of the content headers as HTTP has them."""
_EXTRA_HEADERS = {"customTime": "x-goog-custom-time"}
_MORE_FIELDS = frozenset(
    {"acl", "contexts", "customTime", "eventBasedHold", "md5Hash", "retention", "temporaryHold", *_HEADERS.values(),
     "contentType", "metadata", "storageClass"}
)  # fmt: skip
"""What a description can say. The service leaves out what it does not know without a word."""
_DIGESTS = {"md5Hash": "md5", "crc32c": "crc32c"}


# Answers


def bucket_info(found: Mapping[str, Any]) -> BucketInfo:
    """Describe a bucket. Locations are in lower case, as the documentation has them and requests may."""
    created = found.get("timeCreated")
    location = found.get("location")
    return BucketInfo(required(found, "name"), parse_time(created) if created else None, location and location.lower())


def object_info(found: Mapping[str, Any], *, listed: bool = False) -> ObjectInfo:
    """Describe an object by the document that the service has of it.

    :param listed: it is from a listing, which leaves the headers and the metadata out.
    """
    generation = str(required(found, "generation"))
    return ObjectInfo(
        required(found, "name"),
        int(found.get("size", 0)),
        parse_time(required(found, "updated")),
        generation,
        found.get("contentType"),
        checksums_of(found),
        None if listed else {name: found[field] for name, field in _HEADERS.items() if found.get(field)},
        None if listed else {name: decode_text(text) for name, text in (found.get("metadata") or {}).items()},
        found.get("storageClass"),
        generation,
    )


def stored(found: Mapping[str, Any]) -> Stored:
    """Return what a write answers."""
    generation = str(required(found, "generation"))
    return Stored(generation, generation, checksums_of(found))


def checksums_of(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests that the service holds of a content; of one made of parts there is no MD5."""
    return {name: digest for field, name in _DIGESTS.items() if (digest := _decoded(found.get(field)))}


def checksums_of_header(text: str) -> dict[str, str]:
    """Return the digests of an answer's ``x-goog-hash``."""
    pairs = (each.strip().partition("=") for each in text.split(","))
    return {name: digest for name, _, value in pairs if name in ("crc32c", "md5") and (digest := _decoded(value))}


def _decoded(value: str | None) -> str | None:
    try:
        return base64.b64decode(value, validate=True).hex() if value else None
    except binascii.Error:
        return None


def parse_time(text: str) -> datetime:
    """Read a time as documents have it. :raises ForeignAnswerError: it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise ForeignAnswerError(f"the answer has the time {text!r}", hint=NOT_GCS) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def info_of_headers(key: str, headers: Mapping[str, str], size: int) -> ObjectInfo:
    """Describe an object by the head of the answer that brings its content.

    :raises ForeignAnswerError: it does not name the generation.
    """
    generation = headers.get("x-goog-generation")
    if not generation:
        raise ForeignAnswerError("the answer has no x-goog-generation", hint=NOT_GCS)
    try:
        modified = parsedate_to_datetime(headers["last-modified"])
    except (KeyError, ValueError):
        modified = datetime.fromtimestamp(int(generation) / 1_000_000, UTC)  # which is when it was made
    return ObjectInfo(
        key,
        size,
        modified if modified.tzinfo is not None else modified.replace(tzinfo=UTC),
        generation,
        headers.get("content-type"),
        checksums_of_header(headers.get("x-goog-hash", "")),
        None,
        None,
        headers.get("x-goog-storage-class"),
        generation,
    )


# Requests


def describing(options: PutOptions) -> dict[str, Any]:
    """Return the document that describes a new object; ``extra`` holds more of its fields, such as ``customTime``.

    Metadata is any text here. Only what looks like an encoded word is encoded as one, as uploads in parts, whose
    metadata travels in headers, make encoded words of text that is not plain ASCII, and all of them are decoded.

    :raises UnsupportedOperationError: ``extra`` has what is no part of a description.
    """
    found: dict[str, Any] = {_HEADERS[name]: value for name, value in options.headers.items()}
    if options.content_type is not None:
        found["contentType"] = options.content_type
    if options.metadata:
        found["metadata"] = {
            name: text if decode_text(text) == text else encode_text(text) for name, text in options.metadata.items()
        }
    if options.storage_class is not None:
        found["storageClass"] = options.storage_class
    unknown = sorted(options.extra.keys() - _MORE_FIELDS)
    if unknown:
        hint = f"It takes {', '.join(sorted(_MORE_FIELDS))}"
        raise UnsupportedOperationError(f"extra cannot set {', '.join(unknown)}", hint=hint)
    return {**found, **_more(options)}


def _more(options: PutOptions) -> dict[str, Any]:
    """Return what ``extra`` holds, times as the service has them."""
    return {name: _time_text(name, value) for name, value in options.extra.items() if value is not None}


def _time_text(name: str, value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise InvalidRequestError(f"the time {value} of {name} has no time zone")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def describing_headers(options: PutOptions) -> dict[str, str]:
    """Return the headers that describe a new object in the XML interface.

    :raises UnsupportedOperationError: ``extra`` has what no header stands for.
    """
    found = {XML_HEADERS[name]: value for name, value in options.headers.items()}
    if options.content_type is not None:
        found["Content-Type"] = options.content_type
    found.update({f"x-goog-meta-{name}": encode_text(text) for name, text in options.metadata.items()})
    if options.storage_class is not None:
        found["x-goog-storage-class"] = options.storage_class
    if (name := kms_key(options.encryption)) is not None:
        found["x-goog-encryption-kms-key-name"] = name
    unknown = sorted(options.extra.keys() - _EXTRA_HEADERS.keys())
    if unknown:
        raise UnsupportedOperationError(f"an upload in parts cannot set {', '.join(unknown)}")
    found.update({_EXTRA_HEADERS[name]: str(value) for name, value in _more(options).items()})
    return {**found, **unlocking(options.customer_key)}


def kms_key(encryption: Encryption | None) -> str | None:
    """Return the full name of the key that Cloud KMS is to encrypt with.

    :raises InvalidRequestError: none is named; which one the bucket uses by itself is the bucket's setting.
    """
    if encryption is None or encryption.kind != "kms":
        return None
    if encryption.context:
        raise UnsupportedOperationError("Cloud KMS binds an object's encryption to no context")
    if not encryption.key_id:
        hint = "Name it as projects/P/locations/L/keyRings/R/cryptoKeys/K, or leave it to the bucket's default key"
        raise InvalidRequestError("no key of Cloud KMS is named", hint=hint)
    return encryption.key_id


def unlocking(key: bytes | None, role: str = "") -> dict[str, str]:
    """Return the headers that bring a customer's key.

    :param role: ``"copy-source-"`` for that of the source of a copy.
    """
    if key is None:
        return {}
    prefix = f"x-goog-{role}encryption"
    return {
        f"{prefix}-algorithm": "AES256",
        f"{prefix}-key": hide(base64.b64encode(key).decode()),
        f"{prefix}-key-sha256": base64.b64encode(hashlib.sha256(key).digest()).decode(),
    }


def conditions(options: PutOptions) -> dict[str, str | None]:
    """Return the parameters that make a write depend on what is stored.

    :raises PreconditionFailedError: the ETag is none that an object here can have.
    """
    if options.if_none_match is not None:
        return {"ifGenerationMatch": "0"}  # nothing has that one
    return {"ifGenerationMatch": matching(options.if_match)}


def matching(etag: str | None) -> str | None:
    """Return the generation that an ETag is. :raises PreconditionFailedError: it is the ETag of no object here."""
    if etag is not None and not _is_generation(etag):
        raise PreconditionFailedError("no object has this ETag")
    return etag


def reading(options: ReadOptions) -> dict[str, str | None]:
    """Return the parameters by which one content is asked for, and conditions kept.

    :raises PreconditionFailedError: as :func:`matching` does. :raises ObjectNotFoundError: no version is called so.
    """
    if options.version is not None:
        return {"generation": matching_version(options)}
    unless = options.if_none_match
    return {
        "ifGenerationMatch": matching(options.if_match),
        # Any other ETag is another one.
        "ifGenerationNotMatch": unless if unless is not None and _is_generation(unless) else None,
    }


def matching_version(options: ReadOptions) -> str | None:
    """Return the generation that is asked for by version, ``None`` where none is.

    The service's own conditions are about the live generation, whichever is asked for: an ETag is compared here.

    :raises PreconditionFailedError: it is asked for under the ETag of another.
    """
    if options.version is not None and options.if_match not in (None, options.version):
        raise PreconditionFailedError("this version has another ETag")
    return version_of(options.version)


def version_of(version: str | None) -> str | None:
    """Return the generation that a version is. :raises ObjectNotFoundError: none is called so."""
    if version is not None and not _is_generation(version):
        raise ObjectNotFoundError("no version is called so")
    return version


def _is_generation(text: str) -> bool:
    return text.isascii() and text.isdecimal() and text != "0" and len(text) <= _MOST_DIGITS


_MOST_DIGITS = len(str(2**63))


def refuse_same(options: ReadOptions, generation: str) -> None:
    """Raise NotModifiedError where a conditional read found nothing new, and the service sends it all the same."""
    if options.if_none_match == generation:
        raise NotModifiedError("the object has this very ETag")


def crc32c_of(body: Body) -> str:
    """Return the CRC-32C of a body as the service has it: base64 of four bytes, the highest first."""
    import google_crc32c  # here, as it warns where it is the slow one

    checksum = google_crc32c.Checksum()
    body.feed(lambda piece: checksum.update(bytes(piece)))
    return base64.b64encode(checksum.digest()).decode()


def required_generation(found: Mapping[str, Any]) -> int:
    """Return the generation in a document as the number it is: a later one is greater."""
    return int(required(found, "generation"))
