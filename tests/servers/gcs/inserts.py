"""Uploads in one request of the JSON API, and the beginning of resumable ones.

https://cloud.google.com/storage/docs/json_api/v1/objects/insert,
https://cloud.google.com/storage/docs/uploads-downloads
"""

from __future__ import annotations

import io
import re

from servers.gcs import resumable, schema
from servers.gcs.call import read_json
from servers.gcs.content import Writer
from servers.gcs.creating import WRITABLE, Plan, read_customer_key, read_hashes
from servers.gcs.objects import answer
from servers.gcs.refusals import Refusal, invalid
from servers.gcs.wire import read_headers

LONGEST_RESOURCE = 1024 * 1024


def insert(call):
    """Store an object. This runs without the lock: bodies take their time."""
    ways = {"media": _insert_media, "multipart": _insert_multipart, "resumable": _begin}
    kind = call.get("uploadType")
    if kind not in ways:
        raise invalid(f"Invalid value for uploadType: {kind}", ("parameter", "uploadType"), "invalidParameter")
    if call.asked.body.length is None and not call.asked.body.is_chunked:
        raise Refusal(411, "required", "Length Required")
    return ways[kind](call)


def refuse_without_upload(call):
    """Answer who sends an object to where only resources go."""
    raise invalid("Upload requests must be uploaded to /upload/*", reason="wrongUrlForUpload")


def plan(call, resource):
    """Return what a resource and the parameters of a call say of a new object. The caller holds the lock."""
    fields = {name: value for name, value in resource.items() if name in WRITABLE and value is not None}
    if encoding := call.get("contentEncoding"):
        fields["contentEncoding"] = encoding
    found = Plan(
        bucket=call.bucket,
        name=call.get("name") or resource.get("name") or "",
        fields=fields,
        caller=call.caller,
        given=call.number,
        storage_class=resource.get("storageClass"),
        predefined_acl=call.get("predefinedAcl"),
        acl=resource.get("acl"),
        kms_key=call.get("kmsKeyName") or resource.get("kmsKeyName"),
        customer_key=read_customer_key(call.headers),
        digests={name: resource[name] for name in ("md5Hash", "crc32c") if resource.get(name)},
    )
    if resource.get("bucket", found.bucket.name) != found.bucket.name:
        raise invalid("The bucket of the resource is not that of the request.")
    found.check()
    return found


def _store(call, planned, pieces):
    planned.digests |= read_hashes(call.headers)
    content = Writer(call.state.directory).take(pieces)
    with call.state.lock:
        return answer(call, planned.commit(call.state, content))


def _insert_media(call):
    resource = {"contentType": call.headers.get("content-type", "application/octet-stream")}
    with call.state.lock:
        planned = plan(call, resource)
    return _store(call, planned, call.asked.body.pieces())


def _insert_multipart(call):
    kind = call.headers.get("content-type", "")
    boundary = re.search(r'boundary=("?)([^";]+)\1', kind)
    if not kind.lower().startswith("multipart/") or boundary is None:
        raise invalid("Bad content type. Please use multipart.", reason="badRequest")
    parts = Parts(call.asked.body.pieces(), boundary[2].encode("latin-1"))
    _, described = parts.next()
    resource = read_json(_limited(described), schema.OBJECT)
    headers, pieces = parts.next()
    resource.setdefault("contentType", headers.get("content-type", "application/octet-stream"))
    with call.state.lock:
        planned = plan(call, resource)
    return _store(call, planned, parts.last(pieces))


def _limited(pieces):
    found = b""
    for piece in pieces:
        found += piece
        if len(found) > LONGEST_RESOURCE:
            raise invalid("Metadata part is too large.", reason="badRequest")
    return found


def _begin(call):
    resource = read_json(call.asked.body.read(), schema.OBJECT)
    kind = call.headers.get("x-upload-content-type", "application/octet-stream")
    resource.setdefault("contentType", kind)
    with call.state.lock:
        planned = plan(call, resource)
    return resumable.begin(call, planned, f"{call.asked.path}?uploadType=resumable")


class Parts:
    """The parts of a body of several, one after the other: RFC 2046.

    Its lines may end with a line feed alone, as those that gcsfs sends to the service do.
    """

    def __init__(self, pieces, boundary):
        self._pieces = pieces
        self._mark = b"\r\n--" + boundary
        # The first mark may come without the end of a line before it.
        self._buffer = b"\r\n"
        for _ in self._until_mark():
            pass  # what stands before the first part
        self._fill(1)
        self._end = b"\n" if self._buffer.startswith(b"\n") else b"\r\n"
        self._mark = self._end + b"--" + boundary

    @property
    def is_over(self):
        """Whether the mark that was last read is the one at the end."""
        self._fill(2)
        return self._buffer.startswith(b"--")

    def next(self):
        """Return the headers of the next part, and a generator of its content, which is to be read to its end."""
        if self.is_over:
            raise _no_part()
        blank = 2 * self._end
        while blank not in self._buffer:
            self._fill(len(self._buffer) + 1)
        head, _, self._buffer = self._buffer.partition(blank)
        lines = head.lstrip(b" \t").removeprefix(self._end).replace(self._end, b"\r\n")
        headers = read_headers(io.BytesIO(lines + b"\r\n\r\n"))
        return headers, self._until_mark()

    def last(self, pieces):
        """Yield the content of the part that must be the last."""
        yield from pieces
        if not self.is_over:
            raise invalid("Multipart body must have exactly two parts.", reason="badRequest")
        for _ in self._pieces:
            pass

    def _fill(self, size):
        while len(self._buffer) < size:
            piece = next(self._pieces, None)
            if piece is None:
                raise _no_part()
            self._buffer += piece

    def _until_mark(self):
        keep = len(self._mark) - 1
        while True:
            before, mark, after = self._buffer.partition(self._mark)
            if mark:
                self._buffer = after
                if before:
                    yield before
                return
            cut = max(len(self._buffer) - keep, 0)
            ready, self._buffer = self._buffer[:cut], self._buffer[cut:]
            if ready:
                yield ready
            self._fill(len(self._buffer) + 1)


def _no_part():
    return invalid("Missing end boundary in multipart body.", reason="badRequest")
