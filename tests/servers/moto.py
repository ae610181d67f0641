"""An S3 service for tests: moto, in a process of its own, on a free port of this machine.

What moto 5.2 gets wrong is put right
around it, so that the suite needs no exceptions:

* Parallel writes of one key make it answer 500: requests go in one at a time.
* It believes any signature: those of signed URLs are checked here.
* It answers 500 to a part of an upload that is not there, finds an upload under any key, and answers 500 where the tags
  of a missing object are deleted: all are 404 here.
* Its HTTP server drops headers with an underscore: names of metadata come and go with a dot in its place.
* It cuts a list of buckets to ``max-buckets`` and gives no token for the rest: it is not told of the limit.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import re
import sys
import threading
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from urllib.parse import parse_qsl, quote

from servers.process import Server, Unavailable, answers, end_with_stdin, free_ports

ACCESS_KEY, SECRET_KEY = "test-access", "test-secret"
_METADATA = "x-amz-meta-"


class MotoServer(Server):
    """A moto that runs until :meth:`stop`."""

    module = "servers.moto"

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

    def __call__(self, environ, start_response):
        query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        if any(name.startswith("X-Amz-") for name in query) and not self._is_right(environ):
            return self._refuse(environ, start_response, "403 Forbidden", "AccessDenied")
        with self._lock:
            if "uploadId" in query and self._is_unknown(environ["PATH_INFO"], query["uploadId"]):
                return self._refuse(environ, start_response, "404 Not Found", "NoSuchUpload")
            if environ["REQUEST_METHOD"] == "DELETE" and "tagging" in query and self._is_missing(environ["PATH_INFO"]):
                return self._refuse(environ, start_response, "404 Not Found", "NoSuchKey")
            if "max-buckets" in query:
                environ["QUERY_STRING"] = ""
                environ["RAW_URI"] = environ["REQUEST_URI"] = environ["PATH_INFO"]
            return list(self._app(environ, self._renaming(start_response)))

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
    end_with_stdin()
    serve(int(sys.argv[1]))
