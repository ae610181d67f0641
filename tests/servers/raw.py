"""An HTTP server that answers with given bytes and keeps those it is sent, to show what a proxy does to them."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from typing import NamedTuple


class Got(NamedTuple):
    """A request as it was on the wire. A body that broke off is as long as it got."""

    head: bytes
    body: bytes
    connection: int
    complete: bool = True

    @property
    def line(self):
        return self.head.partition(b"\r\n")[0].decode("latin-1")

    @property
    def method(self):
        return self.line.partition(" ")[0]


class RawServer:
    """Serves until :meth:`close`. ``answer(got)`` returns the bytes to send; ``b""`` ends the connection.

    :param early: ``early(head)`` may return an answer that is sent before the body is read.
    """

    def __init__(self, answer, early=lambda head: b""):
        self.got = []
        self._answer, self._early = answer, early
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._open = []
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()

    def _listen(self):
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(accepted)
            self._threads.append(threading.Thread(target=self._serve, args=(accepted, len(self._open)), daemon=True))
            self._threads[-1].start()

    def _serve(self, connected, number):
        with connected, connected.makefile("rb") as stream:
            try:
                while self._exchange(connected, stream, number):
                    pass
            except OSError:
                pass

    def _exchange(self, connected, stream, number):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = stream.readline()
            if not line:
                return False
            head += line
        early = self._early(head)
        connected.sendall(early)
        if b"expect: 100-continue" in head.lower() and not early:
            connected.sendall(b"HTTP/1.1 100 Continue\r\nX-Interim: yes\r\n\r\n")
        body, complete = read_body(stream, head.lower())
        got = Got(head, body, number, complete)
        self.got.append(got)
        if not complete:
            return False
        if early:
            return True
        answer = self._answer(got)
        connected.sendall(answer)
        return bool(answer) and b"Connection: close" not in answer.partition(b"\r\n\r\n")[0]

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        for connected in self._open:
            try:
                connected.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join()


def read_body(stream, head):
    """Return a body with the framing of its chunks, and whether it is complete."""
    if b"transfer-encoding: chunked" in head:
        return _read_chunks(stream)
    size = 0
    for line in head.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            size = int(line.partition(b":")[2])
    body = stream.read(size)
    return body, len(body) == size


def _read_chunks(stream):
    body = b""
    while True:
        line = stream.readline()
        size = int(line.partition(b";")[0] or b"0", 16)
        body += line
        if not size:
            break
        chunk = stream.read(size + 2)
        body += chunk
        if len(chunk) < size + 2:
            return body, False
    while line not in {b"\r\n", b""}:
        line = stream.readline()
        body += line
    return body, line == b"\r\n"


def ok(body=b"", *headers, status="200 OK"):
    """Return the bytes of an answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class Client:
    """A connection on which bytes are sent and received as they are."""

    def __init__(self, url, timeout=20):
        host, _, port = url.rpartition("/")[2].partition(":")
        self.socket = socket.create_connection((host, int(port)), timeout)

    def send(self, data):
        self.socket.sendall(data)

    def read(self, count):
        """Read so many bytes, or raise what the connection ended with; EOFError for an orderly end."""
        data = b""
        while len(data) < count:
            piece = self.socket.recv(min(count - len(data), 65536))
            if not piece:
                raise EOFError(data)
            data += piece
        return data

    def read_all(self):
        """Read up to the end; return what came, and the class of the error it ended with."""
        data = []
        try:
            while piece := self.socket.recv(65536):
                data.append(piece)
        except OSError as error:
            return b"".join(data), type(error)
        return b"".join(data), None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


BODY = b"0123456789"
ETAG = 'ETag: "e1"'
PLAIN = ok(BODY, ETAG)
HEAD = PLAIN[: -len(BODY)]
CHUNKED = b"HTTP/1.1 200 OK\r\n" + ETAG.encode() + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n"
IN_CHUNKS = CHUNKED + CHUNKS
GET = b"GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n"
PUT = b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
RESET, FIN = ConnectionResetError, None


def exchange(proxy, request=GET):
    """Return what comes until the connection ends, and how it ends."""
    with Client(proxy.url) as client:
        client.send(request)
        return client.read_all()


def closing(request):
    """Return a request after which the connection ends."""
    return request.replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n")


def parsed(proxy, method="GET", target="/b/k", **options):
    """Send a request by a library; return status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    try:
        connection.request(method, target, **options)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def get(proxy, target="/b/k", method="GET", **options):
    """Send a request by a library; return status and body."""
    return parsed(proxy, method, target, **options)[::2]


def wait_until(look):
    """Return what ``look`` finds, as soon as it finds something."""
    over = time.monotonic() + 20
    while not (found := look()):
        assert time.monotonic() < over
        threading.Event().wait(0.005)
    return found
