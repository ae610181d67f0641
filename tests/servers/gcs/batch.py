"""Several calls in one request: https://cloud.google.com/storage/docs/batch"""

from __future__ import annotations

import io
import re
import secrets

from servers.gcs.inserts import Parts
from servers.gcs.refusals import Refusal, invalid
from servers.gcs.wire import Answer, Asked, Malformed, Read, head_of, read_headers

MOST = 100
LONGEST = 10 * 1024 * 1024


def answer(asked, answer_one):
    """Answer a batch by way of ``answer_one(asked)``, which answers each call."""
    if asked.method != "POST":
        raise Refusal(405, "methodNotAllowed", "Method Not Allowed")
    kind = asked.headers.get("content-type", "")
    boundary = re.search(r'boundary=("?)([^";]+)\1', kind)
    if not kind.lower().startswith("multipart/mixed") or boundary is None:
        raise invalid(
            "Failed to parse batch request, error: the content type must be multipart/mixed.", reason="badRequest"
        )
    calls = list(_read(asked, boundary[2].encode("latin-1")))
    if not 0 < len(calls) <= MOST:
        raise invalid(f"The batch request must contain 1 to {MOST} calls, not {len(calls)}.", reason="badRequest")
    mark = f"batch_{secrets.token_urlsafe(12)}"
    body = b""
    for name, each in calls:
        done = answer_one(each)
        done.headers["Content-Length"] = len(done.body)
        own = f"Content-ID: <response-{name}>\r\n" if name else ""
        body += (
            f"--{mark}\r\nContent-Type: application/http\r\n{own}\r\n".encode() + head_of(done) + done.body + b"\r\n"
        )
    return Answer(200, {"Content-Type": f"multipart/mixed; boundary={mark}"}, body + f"--{mark}--\r\n".encode())


def _read(asked, boundary):
    """Yield the name and the request of each call."""
    size = 0
    body = asked.body.read()
    # Python's own writer of such messages ends lines without a carriage return, and the service takes that.
    body = body if b"\r\n" in body else body.replace(b"\n", b"\r\n")
    parts = Parts(iter([body]), boundary)
    while not parts.is_over:
        headers, pieces = parts.next()
        text = b"".join(pieces)
        size += len(text)
        if size > LONGEST:
            raise invalid("The batch request is too large.", reason="badRequest")
        if not headers.get("content-type", "").lower().startswith("application/http"):
            raise invalid("Failed to parse batch request, error: a part is not application/http.", reason="badRequest")
        yield headers.get("content-id", "").strip("<> "), _read_one(text, asked)


def _read_one(text, asked):
    head, _, body = text.replace(b"\r\n", b"\n").partition(b"\n\n")
    line, _, rest = head.strip().partition(b"\n")
    try:
        method, target, *_ = line.decode("latin-1").split()
        headers = read_headers(io.BytesIO(rest.replace(b"\n", b"\r\n").rstrip() + b"\r\n\r\n" if rest else b"\r\n"))
    except (ValueError, Malformed):
        raise invalid("Failed to parse batch request, error: a call is malformed.", reason="badRequest") from None
    target = re.sub(r"^https?://[^/]+", "", target)
    for name in ("authorization", "host"):
        if name in asked.headers:
            headers.setdefault(name, asked.headers[name])
    if not target.startswith("/storage/v1/") or "alt=media" in target:
        raise invalid("Batches take calls of /storage/v1 without media only.", reason="badRequest")
    return Asked(method, target, headers, Read(body.strip()))
