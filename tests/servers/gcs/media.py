"""The content of objects, whole, in ranges, decompressed.

* Headers: https://cloud.google.com/storage/docs/xml-api/reference-headers
* Ranges: https://cloud.google.com/storage/docs/json_api/v1/parameters#range, RFC 9110
* Decompression: https://cloud.google.com/storage/docs/transcoding
"""

from __future__ import annotations

import base64
import re
import zlib
from email.utils import format_datetime

from servers.gcs.creating import check_customer_key
from servers.gcs.refusals import no_such_range
from servers.gcs.wire import Answer

_TOKEN = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_FIELDS = {
    "Content-Disposition": "contentDisposition",
    "Content-Encoding": "contentEncoding",
    "Content-Language": "contentLanguage",
}


def headers_of(version, etag):
    """Return the headers that tell of a version."""
    digests = f"crc32c={version.content.crc32c}"
    if version.content.md5:
        digests += f",md5={version.content.md5}"
    found = {
        "Content-Type": version.fields.get("contentType") or "application/octet-stream",
        "ETag": etag,
        "Last-Modified": format_datetime(version.updated.replace(microsecond=0), usegmt=True),
        "Cache-Control": version.fields.get("cacheControl") or "private, max-age=0",
        "X-Goog-Generation": version.generation,
        "X-Goog-Metageneration": version.metageneration,
        "X-Goog-Hash": digests,
        "X-Goog-Storage-Class": version.storage_class,
        "X-Goog-Stored-Content-Encoding": version.fields.get("contentEncoding") or "identity",
        "X-Goog-Stored-Content-Length": version.content.size,
    }
    if version.component_count:
        found["X-Goog-Component-Count"] = version.component_count
    if version.kms_key:
        found["X-Goog-Encryption-Kms-Key-Name"] = version.kms_key
    if version.customer_key:
        found["X-Goog-Encryption-Algorithm"] = "AES256"
        found["X-Goog-Encryption-Key-Sha256"] = version.customer_key
    for name, field in _FIELDS.items():
        if value := version.fields.get(field):
            found[name] = _safe(value)
    return found


def _safe(text):
    """Return text as bytes of UTF-8 go into a header, without ends of lines."""
    return re.sub("[\r\n]", " ", text).encode().decode("latin-1")


def metadata_headers(version):
    """Return the metadata as headers, but for names that no header can have."""
    metadata = version.fields.get("metadata") or {}
    return {f"x-goog-meta-{name}": _safe(value) for name, value in metadata.items() if _TOKEN.fullmatch(name)}


def download(version, headers, etag, extra=None):
    """Return the answer to a request for content, which may ask for a range and for a compressed answer."""
    check_customer_key(headers, version)
    found = headers_of(version, etag) | (extra or {})
    if _is_to_be_decompressed(version, headers):
        found.pop("Content-Encoding", None)
        found |= {"Vary": "Accept-Encoding", "Warning": "214 UploadServer gunzipped"}
        found["X-Guploader-Response-Body-Transformations"] = "gunzipped"
        return Answer(200, found, _decompress(version.content))
    found["Accept-Ranges"] = "bytes"
    size = version.content.size
    span = _read_range(headers.get("range"), size)
    if span is None:
        return Answer(200, found, version.content.cut(0, size))
    first, last = span
    found["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Answer(206, found, version.content.cut(first, last - first + 1))


def _is_to_be_decompressed(version, headers):
    return (
        version.fields.get("contentEncoding") == "gzip"
        and "no-transform" not in (version.fields.get("cacheControl") or "")
        and not re.search(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", headers.get("accept-encoding", ""))
        and b"".join(map(bytes, _first_bytes(version.content))) == b"\x1f\x8b"
    )


def _first_bytes(content):
    for piece in content.pieces():
        yield piece[:2]
        return


def _decompress(content):
    machine = zlib.decompressobj(31)
    for piece in content.pieces():
        if plain := machine.decompress(piece):
            yield plain
    if plain := machine.flush():
        yield plain


def _read_range(text, size):
    """Return the first and the last byte asked for, or ``None`` for all. What is no single range is ignored."""
    found = re.fullmatch(r"bytes=\s*(\d*)-(\d*)\s*", text or "")
    if not found or found[1] == found[2] == "":
        return None
    if not found[1]:
        count = min(int(found[2]), size)
        if not count:
            raise no_such_range(size)
        return size - count, size - 1
    first, last = int(found[1]), int(found[2]) if found[2] else size - 1
    if found[2] and last < first:
        return None
    if first >= size:
        raise no_such_range(size)
    return first, min(last, size - 1)


def xml_etag(version):
    """Return an object's ETag as the XML API has it: its MD5, and something else where it has none."""
    if version.content.md5 and not version.customer_key:
        return f'"{base64.b64decode(version.content.md5).hex()}"'
    return f'"-{version.etag}"'


def stored(version, status=200, body=b""):
    """Return the answer that an object was stored."""
    found = headers_of(version, xml_etag(version))
    kept = {name: value for name, value in found.items() if name == "ETag" or name.lower().startswith("x-goog-")}
    return Answer(status, {**kept, "Content-Type": "text/html; charset=UTF-8"}, body)
