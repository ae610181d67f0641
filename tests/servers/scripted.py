"""An HTTP server that answers from a script, for what no real server can be made to do."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Asked(NamedTuple):
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    client: tuple[str, int] = ("", 0)

    @property
    def region(self):
        return re.search(r"Credential=[^/]+/\d+/([^/]*)/s3/", self.headers["authorization"])[1]


class Script:
    """A server: ``answer(asked)`` returns a status, headers and a body for each request, or ``None`` to hang up.

    :param context: of ``ssl``, where it speaks TLS.
    """

    def __init__(self, answer, context=None):
        self.answer = answer
        self.asked = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, headers, body, self.client_address)
                script.asked.append(asked)
                answered = script.answer(asked)
                if answered is None:
                    self.close_connection = True
                    return
                status, fields, content = answered
                named = {"x-amz-request-id": "R1", "x-ms-request-id": "R1"}
                self.send_response(status)
                for name, value in {**named, "Content-Length": str(len(content)), **fields}.items():
                    if value is not None:
                        self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = do_PATCH = handle_one  # noqa: N815

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_):
                pass  # clients that go away are part of what is tested

        self.server = Server(("127.0.0.1", 0), Handler)
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'' if context is None else 's'}://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


def failure(status, code, **headers):
    """Return an answer that says what went wrong."""
    body = f"<Error><Code>{code}</Code><Message>said so</Message></Error>".encode()
    return status, {"Content-Type": "application/xml", **headers}, body
