"""Uploads in parts: https://cloud.google.com/storage/docs/multipart-uploads

What comes of one has no MD5, and no request of one takes preconditions, as that page says.
"""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from servers.gcs import access
from servers.gcs.content import Writer, join
from servers.gcs.creating import check_digests, read_customer_key, read_hashes
from servers.gcs.media import xml_etag
from servers.gcs.model import now, rfc3339
from servers.gcs.refusals import Refusal, invalid, not_implemented
from servers.gcs.wire import Answer

SMALLEST = 5 * 1024 * 1024
"""Bytes of a part, but for the last one."""
MOST_PARTS = 10_000
PAGE = 1000
_XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass(eq=False)
class Upload:
    """An upload that is under way, and its parts by number."""

    name: str
    plan: object
    begun: datetime = field(default_factory=now)
    parts: dict = field(default_factory=dict)

    @property
    def bucket(self):
        return self.plan.bucket


@dataclass(frozen=True)
class Part:
    content: object
    stored: datetime = field(default_factory=now)

    @property
    def etag(self):
        return f'"{base64.b64decode(self.content.md5).hex()}"'


def answer(call):
    """Answer a request about an upload of one object."""
    if any(name.startswith(("x-goog-if-", "if-")) for name in call.headers):
        raise not_implemented("preconditions of uploads in parts, which the service does not support")
    if "uploads" in call.params:
        if call.asked.method != "POST":
            raise Refusal(405, "methodNotAllowed", "Method Not Allowed")
        return _begin(call)
    ways = {"PUT": _put_part, "POST": _complete, "DELETE": _abort, "GET": _list_parts}
    if call.asked.method not in ways:
        raise Refusal(405, "methodNotAllowed", "Method Not Allowed")
    return ways[call.asked.method](call)


def _begin(call):
    call.know({"uploads", "userproject"})
    with call.state.lock:
        access.allow(call.caller, "storage.multipartUploads.create", call.bucket)
        planned = call.plan(lambda _: None)
        planned.digests = {}
        # What is there already, and may not be overwritten, is met at the end: so says the reference.
        planned.check(overwrites=False)
        upload = Upload(secrets.token_urlsafe(48), planned)
        call.state.uploads[upload.name] = upload
    fields = [("Bucket", call.bucket_name), ("Key", call.name), ("UploadId", upload.name)]
    return _document("InitiateMultipartUploadResult", fields)


def _find(call, act):
    upload = call.state.uploads.get(call.params["uploadid"])
    access.allow(call.caller, f"storage.multipartUploads.{act}", call.bucket)
    if upload is None or (upload.bucket.name, upload.plan.name) != (call.bucket_name, call.name):
        message = "The specified upload does not exist."
        raise Refusal(
            404, "notFound", "The upload ID may be invalid, or the upload may be over.", xml=("NoSuchUpload", message)
        )
    return upload


def _number(call, name, low, high, default=None):
    text = call.params.get(name)
    if text is None and default is not None:
        return default
    if not re.fullmatch(r"\d{1,9}", text or "") or not low <= int(text) <= high:
        raise invalid(f"Invalid value of {name}: {text}")
    return int(text)


def _put_part(call):
    call.know({"uploadid", "partnumber", "userproject"})
    number = _number(call, "partnumber", 1, MOST_PARTS)
    if call.asked.body.length is None and not call.asked.body.is_chunked:
        raise Refusal(411, "required", "Length Required")
    with call.state.lock:
        upload = _find(call, "create")
    _check_key(call, upload)
    content = Writer(call.state.directory).take(call.asked.body.pieces())
    check_digests(read_hashes(call.headers), content)
    with call.state.lock:
        upload = _find(call, "create")
        part = upload.parts[number] = Part(content)
    digests = f"crc32c={content.crc32c},md5={content.md5}"
    return Answer(200, {"ETag": part.etag, "x-goog-hash": digests, "Content-Type": "text/html; charset=UTF-8"})


def _check_key(call, upload):
    if read_customer_key(call.headers) != upload.plan.customer_key:
        raise invalid("The encryption key is not that of the upload.")


def _complete(call):
    call.know({"uploadid", "userproject"})
    wanted = _read_parts(call.asked.body.read())
    with call.state.lock:
        upload = _find(call, "create")
        _check_key(call, upload)
        contents = [_check_part(upload, each) for each in wanted]
        if any(content.size < SMALLEST for content in contents[:-1]):
            message = "Your proposed upload is smaller than the minimum object size."
            raise invalid("A part is smaller than 5 MiB, and is not the last.", xml=("EntityTooSmall", message))
    content = join(contents)
    with call.state.lock:
        _find(call, "create")
        version = upload.plan.commit(call.state, content)
        del call.state.uploads[upload.name]
    fields = [
        ("Location", f"{call.url}/{call.bucket_name}/{quote(call.name)}"),
        ("Bucket", call.bucket_name),
        ("Key", call.name),
        ("ETag", xml_etag(version)),
    ]
    document = _document("CompleteMultipartUploadResult", fields)
    # Of the headers of other writes the reference promises none. Google's client for Java reads this one.
    document.headers |= {"ETag": xml_etag(version), "x-goog-hash": f"crc32c={version.content.crc32c}"}
    return document


def _read_parts(body):
    xml = ("MalformedXML", "The XML you provided was not well-formed or did not validate against our schema.")
    try:
        root = ET.fromstring(body)
        found = []
        for part in root:
            fields = {each.tag.rpartition("}")[2]: (each.text or "").strip() for each in part}
            found.append((int(fields["PartNumber"]), fields["ETag"].strip('"')))
    except (ET.ParseError, KeyError, ValueError):
        raise invalid("The list of parts is malformed.", xml=xml) from None
    if not found or root.tag.rpartition("}")[2] != "CompleteMultipartUpload":
        raise invalid("The list of parts is empty.", xml=xml)
    numbers = [number for number, _ in found]
    if numbers != sorted(set(numbers)):
        message = "The list of parts was not in ascending order."
        raise invalid(message, xml=("InvalidPartOrder", message))
    return found


def _check_part(upload, wanted):
    number, given = wanted
    part = upload.parts.get(number)
    if part is None or part.etag.strip('"') != given:
        message = "One or more of the specified parts could not be found."
        raise invalid(f"Part {number} is not there, or has another ETag.", xml=("InvalidPart", message))
    return part.content


def _abort(call):
    call.know({"uploadid", "userproject"})
    with call.state.lock:
        del call.state.uploads[_find(call, "abort").name]
    return Answer(204)


def _list_parts(call):
    call.know({"uploadid", "max-parts", "part-number-marker", "userproject"})
    limit = _number(call, "max-parts", 1, 10**9, PAGE)
    after = _number(call, "part-number-marker", 0, 10**9, 0)
    with call.state.lock:
        upload = _find(call, "listParts")
        parts = sorted((number, part) for number, part in list(upload.parts.items()) if number > after)
    page = parts[: min(limit, PAGE)]
    is_cut = len(parts) > len(page)
    fields = [("Bucket", call.bucket_name), ("Key", call.name), ("UploadId", upload.name)]
    fields += [("StorageClass", upload.plan.storage_class or upload.bucket.fields["storageClass"])]
    fields += [("PartNumberMarker", after), ("MaxParts", min(limit, PAGE)), ("IsTruncated", str(is_cut).lower())]
    if is_cut:
        fields.append(("NextPartNumberMarker", page[-1][0]))
    for number, part in page:
        told = [("PartNumber", number), ("LastModified", rfc3339(part.stored)), ("ETag", part.etag)]
        fields.append(("Part", [*told, ("Size", part.content.size)]))
    return _document("ListPartsResult", fields)


def list_uploads(call):
    """Answer with the uploads of a bucket that are under way."""
    known = {"uploads", "prefix", "delimiter", "key-marker", "upload-id-marker", "max-uploads", "encoding-type"}
    call.know(known | {"userproject"})
    if call.params.get("delimiter"):
        raise not_implemented("the delimiter of lists of uploads")
    limit = min(_number(call, "max-uploads", 1, 10**9, PAGE), PAGE)
    key_marker, id_marker = call.params.get("key-marker", ""), call.params.get("upload-id-marker", "")
    with call.state.lock:
        bucket = call.bucket
        access.allow(call.caller, "storage.multipartUploads.list", bucket)
        found = [each for each in call.state.uploads.values() if each.bucket is bucket]
    found = sorted((each.plan.name, each.name, each) for each in found)
    # Without an upload ID the marker is about keys alone.
    after = (key_marker, id_marker or chr(0x10FFFF))
    prefix = call.params.get("prefix", "")
    found = [each for each in found if each[0].startswith(prefix) and (not key_marker or each[:2] > after)]
    page, is_cut = found[:limit], len(found) > limit
    coded = quote if call.params.get("encoding-type") == "url" else str
    fields = [("Bucket", bucket.name), ("MaxUploads", limit), ("IsTruncated", str(is_cut).lower())]
    if is_cut:
        fields += [("NextKeyMarker", coded(page[-1][0])), ("NextUploadIdMarker", page[-1][1])]
    for name, upload_id, upload in page:
        told = [("Key", coded(name)), ("UploadId", upload_id), ("Initiated", rfc3339(upload.begun))]
        fields.append(("Upload", [*told, ("StorageClass", upload.plan.storage_class or bucket.fields["storageClass"])]))
    return _document("ListMultipartUploadsResult", fields)


def _document(name, fields):
    body = f"<?xml version='1.0' encoding='UTF-8'?><{name} xmlns='{_XMLNS}'>{_elements(fields)}</{name}>"
    return Answer(200, {"Content-Type": "application/xml; charset=UTF-8"}, body.encode())


def _elements(fields):
    return "".join(
        f"<{name}>{_elements(value) if isinstance(value, list) else escape(str(value))}</{name}>"
        for name, value in fields
    )
