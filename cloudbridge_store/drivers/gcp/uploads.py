"""Uploads in parts, by the multipart uploads of the XML interface.

The service has three ways to store a large object in pieces:

* *Multipart uploads* take parts in any order and in parallel, verify each, list them, and leave nothing behind when
  they are aborted; all that an upload by this library needs. They know no conditions (a request with one is refused),
  and the object they make has no MD5.
* *Resumable uploads* are one sequence of bytes: no parallelism, and no part can be replaced. They know conditions.
* *Composing* makes objects of up to 32 others, which are visible to everybody meanwhile, cost a deletion each, and stay
  when a program dies.

So parts are those of a multipart upload, and what is large and has a condition is a resumable upload (``resumable``).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from cloudbridge_store.drivers.base import Body, Page, Part, PutOptions, ReadOptions, Stored, UploadInfo
from cloudbridge_store.drivers.gcp.answers import NOT_GCS, text_of, xml_of
from cloudbridge_store.drivers.gcp.errors import failure_of
from cloudbridge_store.drivers.gcp.listing import page_size
from cloudbridge_store.drivers.gcp.reading import head_object
from cloudbridge_store.drivers.gcp.service import Query, Service, query_text, xml_path
from cloudbridge_store.drivers.gcp.translate import (
    checksums_of_header,
    crc32c_of,
    describing_headers,
    parse_time,
    unlocking,
)
from cloudbridge_store.drivers.streams import SentStream
from cloudbridge_store.errors import ForeignAnswerError, IntegrityError, ObjectNotFoundError, UploadNotFoundError

_MOST_LISTED = 1000
_SEPARATOR = "\0"
_IN_ONE_PIECE = 2**18
_PER_PART = 0.1
"""Seconds of waiting for the object to be made, which can take several minutes, as the reference has it."""


def start(service: Service, bucket: str, key: str, options: PutOptions) -> str:
    """Start an upload and return its id."""
    headers = describing_headers(options)
    answer = service.send("POST", f"{xml_path(bucket, key)}?uploads", headers)
    return text_of(xml_of(answer, "InitiateMultipartUploadResult"), "UploadId")


def send_part(
    service: Service, bucket: str, key: str, upload_id: str, number: int, body: Body, options: PutOptions
) -> Part:
    """Store one part, whose CRC-32C the service compares. Its ETag is the MD5 of what arrived."""
    digest = crc32c_of(body)
    headers = {
        "Content-Length": str(body.size),
        "x-goog-hash": f"crc32c={digest}",
        **unlocking(options.customer_key),
    }
    target = f"{xml_path(bucket, key)}?{query_text({'partNumber': number, 'uploadId': _named(upload_id)})}"
    with body.open() as stream:
        pieces = SentStream(stream, body.size).pieces()
        sent = b"".join(map(bytes, pieces)) if body.size <= _IN_ONE_PIECE else pieces
        with _about_an_upload():
            answer = service.send("PUT", target, headers, sent)
    etag = answer.headers.get("etag")
    if not etag:
        raise ForeignAnswerError("the answer has no ETag", hint=NOT_GCS)
    arrived = checksums_of_header(answer.headers.get("x-goog-hash", "")).get("crc32c")
    if arrived not in (None, base64.b64decode(digest).hex()):
        raise IntegrityError(f"the service stored a part of CRC-32C {arrived}, another was sent")
    return Part(number, etag.strip('"'), body.size)


def _named(upload_id: str) -> str:
    # A part of no upload would be an object.
    if not upload_id:
        raise UploadNotFoundError("no upload has an empty id")
    return upload_id


@contextmanager
def _about_an_upload() -> Iterator[None]:
    """Say of a key that is not there that the upload is not: it is what was asked for."""
    try:
        yield
    except Exception as error:
        if failure_of(error) is ObjectNotFoundError:
            raise UploadNotFoundError("there is no such upload") from error
        raise


def list_parts(service: Service, bucket: str, key: str, upload_id: str) -> list[Part]:
    """List the stored parts by number."""
    parts: list[Part] = []
    marker: str | None = None
    while True:
        query: Query = {"uploadId": _named(upload_id), "max-parts": _MOST_LISTED, "part-number-marker": marker}
        with _about_an_upload():
            answer = service.send("GET", f"{xml_path(bucket, key)}?{query_text(query)}", {})
        found = xml_of(answer, "ListPartsResult")
        parts += [
            Part(int(text_of(each, "PartNumber")), text_of(each, "ETag").strip('"'), int(text_of(each, "Size")))
            for each in found.iter("Part")
        ]
        following = found.findtext("NextPartNumberMarker")
        if found.findtext("IsTruncated") != "true" or not following or following == marker:
            return sorted(parts, key=lambda part: part.number)
        marker = following


def finish(
    service: Service, bucket: str, key: str, upload_id: str, parts: Sequence[Part], options: PutOptions
) -> Stored:
    """Make the object of its parts.

    The answer need not name the generation; then the object is looked at. Who stored another one in that moment has
    replaced this one, and theirs is what there is.
    """
    document = ET.Element("CompleteMultipartUpload")
    for part in parts:
        element = ET.SubElement(document, "Part")
        ET.SubElement(element, "PartNumber").text = str(part.number)
        ET.SubElement(element, "ETag").text = f'"{part.etag}"'
    headers = {"Content-Type": "application/xml", **unlocking(options.customer_key)}
    target = f"{xml_path(bucket, key)}?{query_text({'uploadId': _named(upload_id)})}"
    with _about_an_upload():
        answer = service.send("POST", target, headers, ET.tostring(document), _PER_PART * len(parts))
    xml_of(answer, "CompleteMultipartUploadResult")
    generation = answer.headers.get("x-goog-generation")
    if generation:
        return Stored(generation, generation, checksums_of_header(answer.headers.get("x-goog-hash", "")))
    info = head_object(service, bucket, key, ReadOptions(customer_key=options.customer_key))
    return Stored(info.etag, info.version, info.checksums)


def abort(service: Service, bucket: str, key: str, upload_id: str) -> None:
    """Discard an upload; one that is gone is fine."""
    try:
        service.send("DELETE", f"{xml_path(bucket, key)}?{query_text({'uploadId': _named(upload_id)})}", {})
    except Exception as error:
        if failure_of(error) not in (UploadNotFoundError, ObjectNotFoundError):
            raise


def list_uploads(service: Service, bucket: str, prefix: str, limit: int, token: str | None) -> Page[UploadInfo]:
    """List unfinished uploads by key; a token holds the last key and the last upload of it."""
    key, _, upload_id = (token or "").rpartition(_SEPARATOR)
    query = {
        "prefix": prefix or None,
        "max-uploads": page_size(limit),
        "encoding-type": "url",
        "key-marker": key or None,
        "upload-id-marker": upload_id or None,
    }
    found = xml_of(
        service.send("GET", f"{xml_path(bucket)}?uploads&{query_text(query)}", {}), "ListMultipartUploadsResult"
    )
    items = [_upload(each) for each in found.iter("Upload")]
    if found.findtext("IsTruncated") != "true":
        return Page(items)
    if not items:
        raise ForeignAnswerError("the page is not the last and holds nothing", hint=NOT_GCS)
    return Page(items, f"{items[-1].key}{_SEPARATOR}{items[-1].upload_id}")


def _upload(entry: ET.Element) -> UploadInfo:
    started: datetime | None = parse_time(text) if (text := entry.findtext("Initiated")) else None
    return UploadInfo(text_of(entry, "UploadId"), unquote_plus(text_of(entry, "Key")), started)
