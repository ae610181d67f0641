"""An S3 service for tests: moto, in a process of its own, on a free port of this machine.

What moto 5.2 gets wrong is put right around it, so that the suite needs no exceptions:

* Parallel writes of one key make it answer 500: requests go in one at a time.
* It believes any signature: those of signed URLs are checked here.
* It believes ``Content-MD5`` and CRC32, and forgets a CRC32 unless it is told twice of it.
* It answers 500 to a part of an upload that is not there, finds an upload under any key, and answers 500 where the tags
  of a missing object are deleted: all are 404 here.
* Its HTTP server drops headers with an underscore: names of metadata come and go with a dot in its place.
* It cuts a list of buckets to ``max-buckets`` and gives no token for the rest: it is not told of the limit.
* Its list of unfinished uploads has no pages and one time for all; its first version of the list of objects does not
  count common prefixes, and goes on at the wrong place: both are made here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import re
import sys
import threading
import zlib
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from urllib.parse import parse_qsl, quote
from xml.sax.saxutils import escape

from servers.process import Server, Unavailable, answers, end_with_stdin, free_ports

ACCESS_KEY, SECRET_KEY = "test-access", "test-secret"
_METADATA = "x-amz-meta-"


class MotoServer(Server):
    """A moto that runs until :meth:`stop`."""

    module = "servers.moto"
    access_key, secret_key = ACCESS_KEY, SECRET_KEY

    def arguments(self):
        if find_spec("moto") is None:
            raise Unavailable("moto is not installed")
        [self.port] = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        return (self.port,)

    def is_ready(self):
        return answers(self.port)


class Corrected:
    """moto with its faults put right. Signatures are AWS Signature Version 4, in the query."""

    def __init__(self, app):
        self._app = app
        self._lock = threading.Lock()
        self._times = {}

    def __call__(self, environ, start_response):
        query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        with self._lock:
            if fault := self._find_fault(environ, query, body):
                return self._refuse(environ, start_response, *fault)
            bucket, key = self._find(environ["PATH_INFO"])
            listed = environ["REQUEST_METHOD"] == "GET" and bucket is not None and not key
            if listed and (document := self._list(bucket, query)):
                start_response("200 OK", [("Content-Type", "text/xml"), ("Content-Length", str(len(document)))])
                return [document]
            if "HTTP_X_AMZ_CHECKSUM_CRC32" in environ:
                environ["HTTP_X_AMZ_SDK_CHECKSUM_ALGORITHM"] = "CRC32"
            if "max-buckets" in query:
                environ["QUERY_STRING"] = ""
                environ["RAW_URI"] = environ["REQUEST_URI"] = environ["PATH_INFO"]
            answer = list(self._app(environ, self._renaming(start_response)))
            if "uploads" in query and bucket is not None:
                self._note_times(bucket)
            return answer

    def _find_fault(self, environ, query, body):
        """Return status and code of what moto would let pass."""
        if any(name.startswith("X-Amz-") for name in query) and not self._is_right(environ):
            return "403 Forbidden", "AccessDenied"
        if "uploadId" in query and self._is_unknown(environ["PATH_INFO"], query["uploadId"]):
            return "404 Not Found", "NoSuchUpload"
        if environ["REQUEST_METHOD"] == "DELETE" and "tagging" in query and self._is_missing(environ["PATH_INFO"]):
            return "404 Not Found", "NoSuchKey"
        if not self._arrived(environ, query, body):
            return "400 Bad Request", "BadDigest"
        return None

    def _arrived(self, environ, query, body):
        digests = {"HTTP_CONTENT_MD5": hashlib.md5(body, usedforsecurity=False).digest()}
        if environ["REQUEST_METHOD"] != "POST" or "uploadId" not in query:
            # At the end of an upload the checksum is that of the object.
            digests["HTTP_X_AMZ_CHECKSUM_CRC32"] = zlib.crc32(body).to_bytes(4, "big")
        return all(environ.get(name) in (None, _base64(digest)) for name, digest in digests.items())

    def _list(self, bucket, query):
        """Return the lists that moto does not make well."""
        if "uploads" in query:
            return list_uploads(bucket, query, self._times)
        if query.keys() <= {"prefix", "delimiter", "marker", "max-keys", "encoding-type"}:
            return list_objects(bucket, query)
        return None

    def _note_times(self, bucket):
        for upload_id in bucket.multiparts:
            self._times.setdefault(upload_id, datetime.now(UTC))

    def _renaming(self, start_response):
        def start(status, headers, *rest):
            names = [(name.replace(".", "_") if name.lower().startswith(_METADATA) else name) for name, _ in headers]
            return start_response(status, list(zip(names, (value for _, value in headers), strict=True)), *rest)

        return start

    def _refuse(self, environ, start_response, status, code):
        answer = f"<Error><Code>{code}</Code><Message>refused</Message></Error>".encode()
        start_response(status, [("Content-Type", "text/xml"), ("Content-Length", str(len(answer)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer]

    def _find(self, path):
        """Return moto's bucket, if it has it, and the key that a path names."""
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.s3.models import s3_backends

        bucket, _, key = path.encode("latin-1").decode().lstrip("/").partition("/")
        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets.get(bucket), key

    def _is_unknown(self, path, upload_id):
        bucket, key = self._find(path)
        if bucket is None:
            return False
        return upload_id not in bucket.multiparts or bucket.multiparts[upload_id].key_name != key

    def _is_missing(self, path):
        bucket, key = self._find(path)
        return bucket is not None and key not in bucket.keys

    def _is_right(self, environ):
        pairs = parse_qsl(environ["QUERY_STRING"], keep_blank_values=True)
        query = dict(pairs)
        try:
            signature = query["X-Amz-Signature"]
            begun = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            over = begun + timedelta(seconds=int(query["X-Amz-Expires"]))
            expected = self._sign(environ, [pair for pair in pairs if pair[0] != "X-Amz-Signature"], query)
        except (KeyError, ValueError):
            return False
        return hmac.compare_digest(signature, expected) and datetime.now(UTC) < over

    def _sign(self, environ, pairs, query):
        access, *scope = query["X-Amz-Credential"].split("/")
        if access != ACCESS_KEY or query["X-Amz-Algorithm"] != "AWS4-HMAC-SHA256":
            raise ValueError
        names = query["X-Amz-SignedHeaders"].split(";")
        headers = "".join(f"{name}:{self._header(environ, name)}\n" for name in names)
        canonical = "\n".join(
            (
                environ["REQUEST_METHOD"],
                environ["RAW_URI"].partition("?")[0],
                "&".join(sorted(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)),
                headers,
                ";".join(names),
                "UNSIGNED-PAYLOAD",
            )
        )
        digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{query['X-Amz-Date']}\n{'/'.join(scope)}\n{digest}"
        key = f"AWS4{SECRET_KEY}".encode()
        for part in scope:
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.new(key, text.encode(), "sha256").hexdigest()

    def _header(self, environ, name):
        field = name.upper().replace("-", "_")
        value = environ.get(field if field in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{field}", "")
        return re.sub(" +", " ", value.strip())


def list_uploads(bucket, query, times):
    """Return one page of a bucket's unfinished uploads, as XML."""
    limit = min(int(query.get("max-uploads") or 1000), 1000)
    after = (query.get("key-marker", "").encode(), query.get("upload-id-marker") or "~")
    found = sorted((upload.key_name.encode(), upload.id) for upload in bucket.multiparts.values())
    found = [each for each in found if each > after and each[0].startswith(query.get("prefix", "").encode())]
    page = [(key.decode(), upload_id) for key, upload_id in found[:limit]]
    fields = [("Bucket", bucket.name), ("IsTruncated", _bool(len(found) > limit)), ("MaxUploads", limit)]
    if len(found) > limit:
        fields += [("NextKeyMarker", _coded(page[-1][0], query)), ("NextUploadIdMarker", page[-1][1])]
    for key, upload_id in page:
        upload = [("Key", _coded(key, query)), ("UploadId", upload_id), ("Initiated", _time(times[upload_id]))]
        fields.append(("Upload", upload))
    return _document("ListMultipartUploadsResult", fields, query)


def list_objects(bucket, query):
    """Return one page of a bucket's objects by the first version of that call, as XML."""
    from moto.s3.models import FakeKey

    limit = min(int(query.get("max-keys") or 1000), 1000)
    found = {}
    for name, key in sorted(bucket.keys.items(), key=lambda item: item[0].encode()):
        if isinstance(key, FakeKey) and (shown := _shown(name, query)):
            found.setdefault(shown, key)
    page = [(*shown, key) for shown, key in found.items()][:limit]
    fields = [("Name", bucket.name), ("IsTruncated", _bool(len(found) > limit)), ("MaxKeys", limit)]
    if len(found) > limit and query.get("delimiter"):
        fields.append(("NextMarker", _coded(page[-1][0], query)))
    for name, rolled_up, key in page:
        if rolled_up:
            fields.append(("CommonPrefixes", [("Prefix", _coded(name, query))]))
            continue
        entry = [("Key", _coded(name, query)), ("LastModified", _time(key.last_modified)), ("ETag", key.etag)]
        fields.append(("Contents", [*entry, ("Size", key.size), ("StorageClass", key.storage_class)]))
    return _document("ListBucketResult", fields, query)


def _shown(name, query):
    """Return the key or common prefix as which a list shows an object, and which it is; ``None`` if it does not."""
    prefix, delimiter, marker = (query.get(field, "") for field in ("prefix", "delimiter", "marker"))
    if not name.startswith(prefix) or name.encode() <= marker.encode():
        return None
    end = name.find(delimiter, len(prefix)) if delimiter else -1
    shown = name if end < 0 else name[: end + len(delimiter)]
    return None if shown == marker else (shown, end >= 0)


def _coded(text, query):
    return quote(text) if query.get("encoding-type") == "url" else text


def _bool(value):
    return str(value).lower()


def _time(moment):
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _document(name, fields, query):
    if query.get("encoding-type") == "url":
        fields = [*fields, ("EncodingType", "url")]
    return f'<?xml version="1.0" encoding="UTF-8"?>{_element(name, fields)}'.encode()


def _element(name, content):
    inner = "".join(_element(*each) for each in content) if isinstance(content, list) else escape(str(content))
    return f"<{name}>{inner}</{name}>"


def _base64(value):
    return base64.b64encode(value).decode()


def serve(port):
    """Serve until the process is ended."""
    import logging

    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, run_simple

    class Handler(WSGIRequestHandler):
        def make_environ(self):
            environ = super().make_environ()
            for name, value in self.headers.items():
                if name.lower().startswith(_METADATA) and "_" in name:
                    environ[f"HTTP_{name.upper().replace('_', '.').replace('-', '_')}"] = value
            return environ

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = Corrected(DomainDispatcherApplication(create_backend_app))
    run_simple("127.0.0.1", port, app, threaded=True, request_handler=Handler)


if __name__ == "__main__":
    end_with_stdin(sys.argv[1])
    serve(int(sys.argv[2]))
