"""An S3 service for tests: moto, in a process of its own, on a free port of this machine.

``python moto.py PORT`` serves; :class:`MotoServer` starts that and stops it. Two things that moto does not do are done
around it, so that the suite needs no exceptions: requests go in one at a time, as parallel writes of one key make moto
answer 500, and signed URLs are checked, as moto believes any signature.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

ACCESS_KEY, SECRET_KEY = "test-access", "test-secret"
_PATIENCE = 60


class MotoServer:
    """A moto that runs until :meth:`stop`."""

    def __init__(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-P", "-W", "ignore", __file__, str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self._wait()

    def _wait(self):
        limit = time.monotonic() + _PATIENCE
        while time.monotonic() < limit:
            if self._process.poll() is not None:
                message = f"moto did not start: {self._process.stderr.read().decode(errors='replace')}"
                raise RuntimeError(message)
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.stop()
        message = f"moto did not answer within {_PATIENCE} s"
        raise RuntimeError(message)

    def stop(self):
        self._process.terminate()
        self._process.wait(_PATIENCE)
        self._process.stderr.close()


class SignedUrls:
    """Lets a signed URL pass only if its signature (AWS Signature Version 4, in the query) and its time are right."""

    def __init__(self, app):
        self._app = app
        self._lock = threading.Lock()

    def __call__(self, environ, start_response):
        if "X-Amz-" in environ.get("QUERY_STRING", "") and not self._is_right(environ):
            answer = b"<Error><Code>AccessDenied</Code><Message>signature or time</Message></Error>"
            start_response("403 Forbidden", [("Content-Type", "text/xml"), ("Content-Length", str(len(answer)))])
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer]
        with self._lock:
            return list(self._app(environ, start_response))

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
    from werkzeug.serving import run_simple

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = SignedUrls(DomainDispatcherApplication(create_backend_app))
    run_simple("127.0.0.1", port, app, threaded=True)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
