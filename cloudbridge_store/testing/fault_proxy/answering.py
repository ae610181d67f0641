"""Faults in which the answer is not the server's at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from time import time
from typing import TYPE_CHECKING

from cloudbridge_store.testing.fault_proxy.messages import Answer
from cloudbridge_store.testing.fault_proxy.play import Fault

if TYPE_CHECKING:
    from cloudbridge_store.testing.fault_proxy.exchange import Exchange

_XML = "application/xml"
_NAMED = {"x-amz-request-id": "FAULT", "x-ms-request-id": "FAULT"}
"""How S3 and Azure name a request in every answer."""
_CODES = {
    400: "InvalidRequest",
    401: "Unauthorized",
    403: "AccessDenied",
    404: "NoSuchKey",
    408: "RequestTimeout",
    409: "OperationAborted",
    412: "PreconditionFailed",
    416: "InvalidRange",
    429: "TooManyRequests",
    500: "InternalError",
    501: "NotImplemented",
    502: "BadGateway",
    503: "SlowDown",
    504: "GatewayTimeout",
}


def error_body(code: str) -> bytes:
    """Return an error as S3 writes it."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>said by the proxy</Message>'
        "<RequestId>FAULT</RequestId></Error>"
    ).encode()


@dataclass(frozen=True)
class Invented(Fault):
    """The client gets an answer that the proxy made up.

    :param executed: the request is carried out before that, and its real answer is thrown away.
    """

    executed: bool = field(default=False, kw_only=True)

    def invent(self, exchange: Exchange) -> Answer:
        """Return the answer."""
        raise NotImplementedError

    def play(self, exchange: Exchange) -> None:
        """Take the request, carry it out or not, and answer."""
        if self.executed:
            exchange.fetch()
        else:
            exchange.take_body()
        exchange.applied()
        exchange.send_answer(self.invent(exchange))


@dataclass(frozen=True)
class Status(Invented):
    """A status, with an error such as S3 writes, or any other body.

    :param headers: of the answer.
    :param body: instead of the error.
    :param code: of the error; the usual one of this status if none is given.
    :param retry_after: seconds, or any text, for ``Retry-After``.
    :param retry_after_date: seconds from now, which ``Retry-After`` names as a date.
    """

    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    code: str | None = None
    retry_after: int | str | None = None
    retry_after_date: float | None = None

    def invent(self, exchange: Exchange) -> Answer:
        """Build it."""
        code = self.code or _CODES.get(self.status, "InternalError")
        body = error_body(code) if self.body is None else self.body
        headers = {"Content-Type": _XML, **_NAMED, **self.headers}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if self.retry_after_date is not None:
            headers["Retry-After"] = formatdate(time() + self.retry_after_date, usegmt=True)
        return exchange.make_answer(self.status, headers, body)


@dataclass(frozen=True)
class EarlyStatus(Status):
    """A status while the request's body is still being sent; then the connection ends.

    :param at: bytes of the body that are read before.
    :param reset: the connection ends as with servers that just close: what the client sends meets a reset, which may
        be all that it sees. Otherwise the proxy listens for a while, so that the client gets to read the answer.
    """

    status: int = 403
    at: int = 0
    reset: bool = False

    def play(self, exchange: Exchange) -> None:
        """Read a part of the body, answer, and end."""
        total = exchange.request.framing.total
        at = self.at + (total or 0) if self.at < 0 else self.at
        if exchange.request.framing.kind == "none" or at < 0 or (total is not None and at >= total):
            exchange.pass_on()
            return
        exchange.take_body(at)
        exchange.keep = False
        exchange.applied()
        exchange.send_answer(self.invent(exchange))
        if self.reset:
            exchange.reset()
        else:
            exchange.linger()


@dataclass(frozen=True)
class ErrorDocument(Invented):
    """Status 200, and a body that is an error: as S3 answers when completing or copying fails in the middle.

    :param code: of the error.
    """

    code: str = "InternalError"

    def invent(self, exchange: Exchange) -> Answer:
        """Build it."""
        headers = {"Content-Type": _XML, **_NAMED}
        return exchange.make_answer(HTTPStatus.OK, headers, error_body(self.code))


@dataclass(frozen=True)
class HtmlPage(Invented):
    """A page for people, as networks send before one has logged in."""

    status: int = 200
    page: bytes = b"<!DOCTYPE html>\n<html><head><title>Log in</title></head><body>Please log in</body></html>\n"

    def invent(self, exchange: Exchange) -> Answer:
        """Build it."""
        return exchange.make_answer(self.status, {"Content-Type": "text/html; charset=utf-8"}, self.page)


@dataclass(frozen=True)
class NotHttp(Fault):
    """Bytes that are no HTTP; then the connection ends."""

    data: bytes = b"SSH-2.0-OpenSSH_9.6\r\n"

    def play(self, exchange: Exchange) -> None:
        """Send them."""
        exchange.take_body()
        exchange.applied()
        exchange.client.send(self.data)
        exchange.finish()


@dataclass(frozen=True)
class Redirect(Invented):
    """A redirect.

    :param to: an address such as ``http://127.0.0.1:8080``, to which the request's target is added if it has no path;
        ``None``: where the request came from, so that who follows gets the next answer.
    :param headers: of the answer, such as ``x-amz-bucket-region``.
    """

    status: int = 307
    to: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    code: str | None = None

    def invent(self, exchange: Exchange) -> Answer:
        """Build it."""
        request = exchange.request
        base = self.to
        if base is None:
            base = f"{exchange.connection.station.scheme}://{request.header('Host')}"
        has_path = "/" in base.partition("://")[2]
        headers = {
            "Content-Type": _XML,
            **_NAMED,
            "Location": base if has_path else base + request.target,
            **self.headers,
        }
        code = self.code or (
            "TemporaryRedirect" if self.status == HTTPStatus.TEMPORARY_REDIRECT else "PermanentRedirect"
        )
        return exchange.make_answer(self.status, headers, error_body(code))
