"""HTTP/1.1, as much of it as the service speaks: a thread for each connection, which stays open between requests."""

from __future__ import annotations

import itertools
import os
import socket
import threading
from email.utils import formatdate
from http import HTTPStatus

PIECE = 256 * 1024
LONGEST_HEAD = 128 * 1024
_PHRASES = {status.value: status.phrase for status in HTTPStatus} | {
    308: "Resume Incomplete",
    499: "Client Closed Request",
}
_NUMBERS = itertools.count(1)


class Gone(Exception):
    """The client went away within a request. Nothing of the request counts."""


class Malformed(Exception):
    """What came is no HTTP."""


class Asked:
    """A request: its head, and its body, which is still to be read."""

    def __init__(self, method, target, headers, body):
        self.method = method
        self.target = target
        self.path, _, self.query = target.partition("?")
        self.headers = headers
        self.body = body


class Answer:
    """An answer. The body is bytes, or a list of bytes and of slices of files, or a generator of unknown length."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status, headers=None, body=b""):
        self.status = status
        self.headers = headers or {}
        self.body = body


class Body:
    """A request's body. It is read at most once."""

    def __init__(self, stream, headers, proceed=lambda: None):
        self._stream = stream
        self.is_chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        self.length = None if self.is_chunked else _length(headers)
        self._proceed = proceed if headers.get("expect", "").lower() == "100-continue" else None
        self._pieces = self._chunks() if self.is_chunked else self._counted(self.length or 0)

    def pieces(self):
        """Yield the body piece by piece. :raises Gone: it ended too early."""
        if self._proceed is not None:
            self._proceed()
            self._proceed = None
        yield from self._pieces

    def read(self):
        """Return the whole body."""
        return b"".join(self.pieces())

    def finish(self):
        """Read what is left, and say whether the connection can go on."""
        if self._proceed is not None:
            return self.length == 0  # the client may or may not send what it was not asked for
        for _ in self._pieces:
            pass  # a client that cannot send all of it may never read the answer
        return True

    def _counted(self, left):
        while left:
            piece = self._stream.read1(min(left, PIECE))
            if not piece:
                raise Gone
            left -= len(piece)
            yield piece

    def _chunks(self):
        while size := self._chunk_size():
            yield from self._counted(size)
            end = self._stream.readline(3)
            if end != b"\r\n":
                raise Gone if len(end) < 2 else Malformed
        while (line := self._stream.readline(LONGEST_HEAD)) not in (b"\r\n", b"\n"):
            if not line:
                raise Gone

    def _chunk_size(self):
        line = self._stream.readline(1024)
        if not line:
            raise Gone
        try:
            return int(line.split(b";")[0], 16)
        except ValueError as error:
            raise Malformed from error


class Read:
    """A body that was read already, and can be read again."""

    is_chunked = False

    def __init__(self, body):
        self._body = body
        self.length = len(body)

    def pieces(self):
        yield self._body

    def read(self):
        return self._body

    def finish(self):
        return True


def _length(headers):
    text = headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise Malformed
    return int(text)


class Listener:
    """Listens on a port of this machine, and has ``answer(asked)`` answer each request."""

    def __init__(self, port, answer):
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", port), backlog=512)

    def serve(self):
        """Serve until the process ends."""
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                continue  # it went away again at once
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb", PIECE) as stream:
            try:
                while self._exchange(connection, stream):
                    pass
            except (Gone, OSError):
                pass  # clients that go away are part of what is tested
            except Malformed:
                _send(connection, Answer(400, {"Connection": "close"}, b"Malformed request"), "GET")

    def _exchange(self, connection, stream):
        """Answer one request. Return whether there may be another."""
        head = _read_head(stream)
        if head is None:
            return False
        method, target, headers = head
        body = Body(stream, headers, lambda: connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n"))
        answer = self._answer(Asked(method, target, headers, body))
        goes_on = body.finish() and headers.get("connection", "").lower() != "close"
        if not goes_on:
            answer.headers["Connection"] = "close"
        _send(connection, answer, method)
        return goes_on


def _read_head(stream):
    line = stream.readline(LONGEST_HEAD)
    if not line:
        return None
    try:
        method, target, version = line.decode("latin-1").split()
    except ValueError as error:
        raise Malformed from error
    if version != "HTTP/1.1":
        raise Malformed
    return method, target, read_headers(stream)


def read_headers(stream):
    """Return the headers that come next, by name in lower case; a name's values are joined by commas."""
    headers = {}
    while (line := stream.readline(LONGEST_HEAD)) not in (b"\r\n", b"\n"):
        if not line:
            raise Gone
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not name or name != name.strip():
            raise Malformed
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def head_of(answer):
    """Return the first lines of an answer."""
    lines = [f"HTTP/1.1 {answer.status} {_PHRASES.get(answer.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _send(connection, answer, method):
    body = [answer.body] if isinstance(answer.body, bytes) else answer.body
    answer.headers.setdefault("X-GUploader-UploadID", f"fake-{os.getpid():x}-{next(_NUMBERS):08x}")
    answer.headers.setdefault("Date", formatdate(usegmt=True))
    answer.headers.setdefault("Server", "UploadServer")
    is_counted = isinstance(body, list)
    if is_counted:
        if answer.status not in (204, 304):
            answer.headers.setdefault("Content-Length", sum(map(_size, body)))
    else:
        answer.headers["Transfer-Encoding"] = "chunked"
    head = head_of(answer)
    if method == "HEAD" or answer.status in (204, 304):
        connection.sendall(head)
    elif is_counted:
        _send_counted(connection, head, body)
    else:
        connection.sendall(head)
        for piece in body:
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")


def _send_counted(connection, head, body):
    if len(body) == 1 and isinstance(body[0], bytes):
        connection.sendall(head + body[0])
        return
    connection.sendall(head)
    for part in body:
        if isinstance(part, bytes):
            connection.sendall(part)
            continue
        file, first, count = part
        while count:
            sent = os.sendfile(connection.fileno(), file.number, first, count)
            first, count = first + sent, count - sent


def _size(part):
    return len(part) if isinstance(part, bytes) else part[2]
