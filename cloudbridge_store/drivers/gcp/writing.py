"""Objects in one request, which holds description and content, and is refused unless the digest fits."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from cloudbridge_store.drivers.base import Body, PutOptions, Stored
from cloudbridge_store.drivers.gcp.answers import json_of
from cloudbridge_store.drivers.gcp.service import Service, query_text, upload_path
from cloudbridge_store.drivers.gcp.translate import (
    STORED_FIELDS,
    conditions,
    crc32c_of,
    describing,
    kms_key,
    stored,
    unlocking,
)
from cloudbridge_store.drivers.streams import SentStream

_IN_ONE_PIECE = 2**18
"""Bodies up to this size travel with what is around them, in one write."""
_DEFAULT_TYPE = "application/octet-stream"


def put_object(service: Service, bucket: str, key: str, body: Body, options: PutOptions) -> Stored:
    """Store an object by a request of two parts, its description and its content.

    The description has the CRC-32C of the content, which the service compares before it stores anything: of the two
    digests it knows, the one that costs a fifteenth of the other.
    """
    description = description_of(key, body, options)
    boundary = uuid.uuid4().hex
    head = _head(boundary, description)
    tail = f"\r\n--{boundary}--\r\n".encode()
    headers = {
        "Content-Type": f"multipart/related; boundary={boundary}",
        "Content-Length": str(len(head) + body.size + len(tail)),
        **unlocking(options.customer_key),
    }
    query = {
        "uploadType": "multipart",
        **query_of(options),
        "fields": STORED_FIELDS,
        "prettyPrint": "false",
    }
    target = f"{upload_path(bucket)}?{query_text(query)}"
    with body.open() as stream:
        pieces = _pieces(head, SentStream(stream, body.size), tail)
        sent = b"".join(map(bytes, pieces)) if body.size <= _IN_ONE_PIECE else pieces
        return stored(json_of(service.send("POST", target, headers, sent)))


def description_of(key: str, body: Body, options: PutOptions) -> dict[str, Any]:
    """Return the document that describes a new object, by which the service knows a content that is damaged."""
    return {"name": key, "contentType": _DEFAULT_TYPE, "crc32c": crc32c_of(body), **describing(options)}


def query_of(options: PutOptions) -> dict[str, str | None]:
    """Return the parameters of a request that stores an object."""
    return {**conditions(options), "kmsKeyName": kms_key(options.encryption)}


def _head(boundary: str, description: Mapping[str, Any]) -> bytes:
    document = json.dumps(description)
    return (
        f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{document}\r\n"
        f"--{boundary}\r\nContent-Type: {description['contentType']}\r\n\r\n"
    ).encode()


def _pieces(head: bytes, content: SentStream, tail: bytes) -> Iterator[Any]:
    yield head
    if content.size:
        yield from content.pieces()
    yield tail
