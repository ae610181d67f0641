"""One connection: requests that were signed are carried out, all others get one and the same answer."""

from __future__ import annotations

import base64
import binascii
import errno
import io
import logging
import re
import socket
import tempfile
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, BinaryIO

from cloudbridge_store import errors
from cloudbridge_store.drivers.base import (
    CONTENT_HEADERS,
    Body,
    Download,
    KiB,
    MiB,
    ObjectInfo,
    PutOptions,
    ReadOptions,
    SignOptions,
)
from cloudbridge_store.drivers.gateway.conditions import asked_range, check_read, field, http_date, names
from cloudbridge_store.drivers.gateway.signing import Refusal, is_header_text

if TYPE_CHECKING:
    from cloudbridge_store.drivers.gateway.server import Server

_log = logging.getLogger("cloudbridge_store.gateway")

_STALLED = 30.0
"""Seconds without a byte after which a client is given up."""
_CHUNK = 256 * KiB
_KEPT_IN_MEMORY = 8 * MiB
_ATTEMPTS = 5
_LINGER_SECONDS = 5.0
_LINGER_BYTES = 16 * MiB
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SIZE = re.compile(r"\d{1,18}", re.ASCII)
_NOT_SIGNED = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_IMPLEMENTED)
_NO_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
_CONTENT_HEADERS: Mapping[str, str] = {name.replace("_", "-").title(): name for name in sorted(CONTENT_HEADERS)}

_STATUS: Mapping[type[errors.StoreError], HTTPStatus] = {
    errors.NotFoundError: HTTPStatus.NOT_FOUND,
    errors.PreconditionFailedError: HTTPStatus.PRECONDITION_FAILED,
    errors.InvalidRangeError: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    errors.InvalidRequestError: HTTPStatus.BAD_REQUEST,
    errors.IntegrityError: HTTPStatus.BAD_REQUEST,
    errors.ConflictError: HTTPStatus.CONFLICT,
    errors.ArchivedError: HTTPStatus.CONFLICT,
    errors.QuotaExceededError: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.UnsupportedOperationError: HTTPStatus.NOT_IMPLEMENTED,
    errors.ThrottledError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ServiceUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}


class Handler(BaseHTTPRequestHandler):
    """One connection, request after request."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = _STALLED
    disable_nagle_algorithm = True
    _answered = False
    _unread = False
    """Whether a body may be on its way that nobody reads: what follows it could be taken for a request."""

    def serve(self) -> None:
        """Answer one request, whatever its method."""
        self._answered = False
        self._unread = "Transfer-Encoding" in self.headers or self.headers.get_all("Content-Length", ["0"]) != ["0"]
        try:
            signed = self.server.signer.verify(self.command, self._sent_target(), self.headers.get("Content-Type"))
            self._carry_out(*signed)
        except Refusal as refusal:
            self._refuse(refusal.status, refusal.headers)
        except Exception as error:
            self._fail(error)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_OPTIONS = do_POST = do_PATCH = serve  # noqa: N815 - so they are called

    def _sent_target(self) -> str:
        """Return the request's target as it was sent: ``self.path`` may have lost slashes."""
        _, _, rest = self.requestline.partition(" ")
        target, _, _ = rest.partition(" ")
        if self.requestline != f"{self.command} {target} {self.request_version}":
            raise Refusal(HTTPStatus.FORBIDDEN)
        return target

    def _carry_out(self, bucket: str, key: str, answer: SignOptions) -> None:
        if self.command == "PUT":
            self._put(bucket, key)
        elif self.command == "DELETE":
            self._refuse_conditions("If-Match", "If-None-Match", "If-Unmodified-Since")
            self.server.driver.delete_object(bucket, key)
            self._reply(HTTPStatus.NO_CONTENT)
        elif self.command == "HEAD":
            info = self.server.driver.head_object(bucket, key)
            described = _describe(info, answer)
            check_read(self.headers, info, described)
            self._reply(HTTPStatus.OK, described, length=info.size)
        else:
            self._get(bucket, key, answer)

    # Reading

    def _get(self, bucket: str, key: str, answer: SignOptions) -> None:
        for _ in range(_ATTEMPTS):
            info = self.server.driver.head_object(bucket, key)
            described = _describe(info, answer)
            check_read(self.headers, info, described)
            span = asked_range(self.headers, info)
            download = self.server.driver.get_object(bucket, key, ReadOptions(*span) if span else ReadOptions())
            try:
                # The conditions were checked on what the key held before: it must be what is read now.
                if download.info.etag == info.etag:
                    self._send(download, described, partial=span is not None)
                    return
            finally:
                download.stream.close()
        raise errors.ConflictError("the object changes faster than it can be read")

    def _send(self, download: Download, described: dict[str, str], *, partial: bool) -> None:
        status = HTTPStatus.OK
        if partial:
            status = HTTPStatus.PARTIAL_CONTENT
            last = download.start + download.length - 1
            described["Content-Range"] = f"bytes {download.start}-{last}/{download.info.size}"
        self._reply(status, described, length=download.length)
        buffer, missing = memoryview(bytearray(min(_CHUNK, download.length))), download.length
        while missing:
            count = download.stream.readinto(buffer[:missing])
            if not count:
                raise errors.IntegrityError("the object ended before its end")
            self.wfile.write(buffer[:count])
            missing -= count

    # Writing

    def _put(self, bucket: str, key: str) -> None:
        size, digest = self._announced_size(), self._announced_digest()
        options = self._put_options(bucket, key)
        if (field(self.headers, "Expect") or "").lower() == "100-continue":
            self.send_response_only(HTTPStatus.CONTINUE)
            self.end_headers()
        with tempfile.SpooledTemporaryFile(max_size=_KEPT_IN_MEMORY) as spool:
            self._receive(spool, size)
            body = _SpooledBody(spool, size)
            if digest not in (None, body.md5):
                raise Refusal(HTTPStatus.BAD_REQUEST)
            stored = self.server.driver.put_object(bucket, key, body, options)
        self._reply(HTTPStatus.OK, {"ETag": f'"{stored.etag}"'})

    def _announced_size(self) -> int:
        sizes = self.headers.get_all("Content-Length", [])
        if not sizes or "Transfer-Encoding" in self.headers:
            raise Refusal(HTTPStatus.LENGTH_REQUIRED)
        if len(sizes) > 1 or not _SIZE.fullmatch(sizes[0]):
            raise Refusal(HTTPStatus.BAD_REQUEST)
        if int(sizes[0]) > self.server.driver.capabilities.max_put:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return int(sizes[0])

    def _announced_digest(self) -> bytes | None:
        value = field(self.headers, "Content-MD5")
        try:
            digest = None if value is None else base64.b64decode(value, validate=True)
        except binascii.Error:
            digest = b""
        if digest is not None and len(digest) != 16:  # noqa: PLR2004 - an MD5
            raise Refusal(HTTPStatus.BAD_REQUEST)
        return digest

    def _put_options(self, bucket: str, key: str) -> PutOptions:
        able = self.server.driver.capabilities
        content_type = field(self.headers, "Content-Type")
        sent = {name: field(self.headers, header) for header, name in _CONTENT_HEADERS.items()}
        headers = {name: value for name, value in sent.items() if value}
        if not all(map(is_header_text, filter(None, [content_type, *headers.values()]))):
            raise Refusal(HTTPStatus.BAD_REQUEST)
        if not headers.keys() <= able.content_headers:
            raise Refusal(HTTPStatus.NOT_IMPLEMENTED)
        self._refuse_conditions("If-Unmodified-Since")
        wanted, known = field(self.headers, "If-Match"), field(self.headers, "If-None-Match")
        if known not in (None, "*"):
            raise Refusal(HTTPStatus.NOT_IMPLEMENTED)
        for name, value in (("if_match", wanted), ("if_none_match", known)):
            if value is not None and name not in able.conditional_put:
                raise Refusal(HTTPStatus.NOT_IMPLEMENTED)
        etag = None if wanted is None else self._matching_etag(bucket, key, wanted)
        return PutOptions(content_type or None, headers, if_match=etag, if_none_match=known)

    def _matching_etag(self, bucket: str, key: str, wanted: str) -> str:
        """Return the ETag that is stored now and is among those wanted; the write then depends on it."""
        try:
            etag = self.server.driver.head_object(bucket, key).etag
        except errors.ObjectNotFoundError:
            raise Refusal(HTTPStatus.PRECONDITION_FAILED) from None
        if not names(wanted, etag):
            raise Refusal(HTTPStatus.PRECONDITION_FAILED)
        return etag

    def _refuse_conditions(self, *fields: str) -> None:
        """Refuse conditions that cannot be kept: a write that ignores them destroys what they are to protect."""
        if any(name in self.headers for name in fields):
            raise Refusal(HTTPStatus.NOT_IMPLEMENTED)

    def _receive(self, spool: tempfile.SpooledTemporaryFile[bytes], size: int) -> None:
        missing = size
        while missing:
            chunk = self.rfile.read(min(missing, _CHUNK))
            if not chunk:
                raise ConnectionAbortedError
            spool.write(chunk)
            missing -= len(chunk)
        self._unread = False

    # Answering

    def _reply(self, status: HTTPStatus, headers: Mapping[str, str] | None = None, *, length: int = 0) -> None:
        self._answered = True
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        if status not in _NO_BODY:
            self.send_header("Content-Length", str(length))
        if self._unread:
            self.send_header("Connection", "close")
        self.end_headers()

    def _refuse(self, status: HTTPStatus, headers: Mapping[str, str] | None = None) -> None:
        if status in _NO_BODY:
            self._reply(status, headers)
            return
        text = f"{status.phrase}\n".encode()
        self._reply(status, {"Content-Type": "text/plain; charset=utf-8", **(headers or {})}, length=len(text))
        if self.command != "HEAD":
            self.wfile.write(text)

    def _fail(self, error: Exception) -> None:
        """Answer what the driver raised, if somebody is there and has no answer yet."""
        gone = isinstance(error, (ConnectionError, TimeoutError)) and not isinstance(error, errors.StoreError)
        status = self._status_of(error)
        if not gone and (self._answered or status == HTTPStatus.INTERNAL_SERVER_ERROR):
            _log.error("%s failed", self.command, exc_info=error)
        if gone or self._answered:
            # In the middle of a body only a broken connection says that it is incomplete.
            self.close_connection = True
        else:
            self._refuse(status)

    def _status_of(self, error: Exception) -> HTTPStatus:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return HTTPStatus.INSUFFICIENT_STORAGE
        failure = self.server.driver.classify(error)
        kind = type(error) if failure is None else failure.error
        found = (status for known, status in _STATUS.items() if issubclass(kind, known))
        return next(found, HTTPStatus.INTERNAL_SERVER_ERROR)

    # What http.server calls

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that cannot be understood. Nobody signed one, so it gets the answer of those."""
        self._unread = True
        self._refuse(HTTPStatus.FORBIDDEN if code in _NOT_SIGNED else HTTPStatus(code))

    def handle_expect_100(self) -> bool:
        """Ask for no body yet: first the signature is checked."""
        return True

    def version_string(self) -> str:
        """Name no versions."""
        return "cloudbridge_store"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Say nothing: a URL is a secret."""

    def finish(self) -> None:
        """End the connection; an answer to an unread body gets there only if the body is taken off the wire."""
        if self._unread:
            try:
                self._linger()
            except OSError:
                pass
        super().finish()

    def _linger(self) -> None:
        self.connection.shutdown(socket.SHUT_WR)
        deadline, rest = time.monotonic() + _LINGER_SECONDS, _LINGER_BYTES
        while rest > 0 and (left := deadline - time.monotonic()) > 0:
            self.connection.settimeout(left)
            received = len(self.connection.recv(_CHUNK))
            if not received:
                return
            rest -= received


class _SpooledBody(Body):
    """A request's body that has arrived in full, so that a client that leaves on the way stores nothing."""

    def __init__(self, spool: tempfile.SpooledTemporaryFile[bytes], size: int) -> None:
        self.size = size
        self._spool = spool
        self._lock = threading.Lock()

    def open(self) -> BinaryIO:
        return io.BufferedReader(_SpoolReader(self._spool, self._lock), _CHUNK)


class _SpoolReader(io.RawIOBase):
    """A position of its own in a spool that others may be reading."""

    def __init__(self, spool: tempfile.SpooledTemporaryFile[bytes], lock: threading.Lock) -> None:
        self._spool = spool
        self._lock = lock
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        with self._lock:
            self._spool.seek(self._position)
            chunk = self._spool.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self._position += len(chunk)
        return len(chunk)


def _describe(info: ObjectInfo, answer: SignOptions) -> dict[str, str]:
    """Return an object's headers. What another program stored and no header can carry is left out."""
    stored = info.headers or {}
    headers = {
        "ETag": f'"{info.etag}"',
        "Last-Modified": http_date(info.modified),
        "Accept-Ranges": "bytes",
        "Content-Type": info.content_type or "application/octet-stream",
        **{header: stored[name] for header, name in _CONTENT_HEADERS.items() if name in stored},
    }
    if answer.content_type is not None:
        headers["Content-Type"] = answer.content_type
    if answer.content_disposition is not None:
        headers["Content-Disposition"] = answer.content_disposition
    return {name: value for name, value in headers.items() if is_header_text(value)}
