"""The one way to the service: a quoted path, a token, one request, and an answer that was looked at."""

from __future__ import annotations

import functools
import json
import re
import threading
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from cloudbridge_store.drivers.base import Body, Step, once
from cloudbridge_store.drivers.openstack.auth import Ticket, make_login
from cloudbridge_store.drivers.openstack.errors import NOT_SWIFT, AnswerError, is_named
from cloudbridge_store.drivers.openstack.plan import Plan
from cloudbridge_store.drivers.openstack.transport import Response, Transport
from cloudbridge_store.errors import BucketNotFoundError, ForeignAnswerError, ObjectNotFoundError

_SMALL = 2**20
"""Bytes of an answer that is no object's content nor a listing: all that is read of an error."""


_LATER = (HTTPStatus.TOO_MANY_REQUESTS, 498)
"""Statuses of a service that was asked too often."""
CONTAINER = re.compile(r"(?!\.\.?$)[^/\0]{1,256}")


class Answer:
    """What the service answered.

    :ivar headers: by name, in any case.
    :ivar body: all of it; empty where the content is streamed.
    :ivar stream: the response, where its content is still to be read.
    """

    __slots__ = ("body", "headers", "status", "stream")

    def __init__(self, response: Response, body: bytes, *, stream: bool) -> None:
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self.body = body
        self.stream = response if stream else None

    def json(self) -> Any:
        """Return the body's meaning. :raises ForeignAnswerError: it has none."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise ForeignAnswerError("the answer is not JSON", status=self.status, hint=NOT_SWIFT) from None

    def header(self, name: str) -> str:
        """Return a header that every such answer has. :raises ForeignAnswerError: this one has not."""
        value = self.headers.get(name)
        if value is None:
            raise ForeignAnswerError(f"the answer has no {name}", status=self.status, hint=NOT_SWIFT)
        return value

    def length(self) -> int:
        """Return the ``Content-Length``. :raises ForeignAnswerError: there is none, or it is no number."""
        value = self.header("Content-Length")
        if not (value.isascii() and value.isdecimal()):
            raise ForeignAnswerError("the answer's Content-Length is no number", status=self.status, hint=NOT_SWIFT)
        return int(value)


class Service:
    """A storage account: who we are there, the connections, and what is known of it.

    A token that is refused is replaced once within :meth:`send`, and the request sent again: every body it takes can
    be. So what consists of several requests goes on in its middle when a token expires.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.config = plan.config
        self.settings = plan.settings
        self.preset = plan.preset
        self.login = make_login(plan)
        self._transport = Transport(plan.settings, self.login.trust)
        self.step: Step = once
        self._lock = threading.Lock()
        self._info: Mapping[str, Any] | None = None

    @property
    def storage_url(self) -> str:
        """The account's address, without a slash at its end. Asks for a token where there is none yet."""
        return self.login.ticket().url

    @property
    def public_url(self) -> str:
        """The account's address for everybody, where :attr:`storage_url` is one for the provider's own network."""
        return self.login.public_url()

    @functools.cached_property
    def native(self) -> Any:
        """An ``openstack.connection.Connection`` as the same user."""
        return self.login.connection()

    def send(
        self,
        method: str,
        bucket: str | None = None,
        key: str | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | Body | None = None,
        stream: bool = False,
        ok: Collection[int] = (),
        url: str | None = None,
    ) -> Answer:
        """Send one request about the account, a container or an object, and return the answer.

        :param body: sent again where the token has expired.
        :param stream: leave the content of an answer to the caller, in ``stream``.
        :param ok: statuses to return beside those of success.
        :param url: used in place of the account's address, such as the CDN's.
        :raises AnswerError: any other status; :func:`~cloudbridge_store.drivers.openstack.errors.classify` knows it.
        """
        target = _below(bucket, key) + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        ticket = self.login.ticket()
        response = self._exchange(method, target, ticket, headers, body, url)
        if response.status == HTTPStatus.UNAUTHORIZED:
            said = response.read(_SMALL)  # first, as logging in may fail, and the connection is to be given back
            if not self.login.renew(ticket):
                raise AnswerError(method, bucket, key, response.status, response.headers, said)
            response = self._exchange(method, target, self.login.ticket(), headers, body, url)
        return self._answer(response, method, bucket, key, ok, stream=stream)

    def _exchange(
        self,
        method: str,
        target: str,
        ticket: Ticket,
        headers: Mapping[str, str] | None,
        body: bytes | Body | None,
        url: str | None,
    ) -> Response:
        sent = {"X-Auth-Token": ticket.token, **(headers or {})}
        return self._transport.send(method, (url or ticket.url) + target, sent, body)

    def _answer(
        self,
        response: Response,
        method: str,
        bucket: str | None,
        key: str | None,
        ok: Collection[int],
        *,
        stream: bool,
    ) -> Answer:
        good = HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES
        # What somebody in between says of a missing object is no reason to believe that it is missing.
        if not good and not (response.status in ok and is_named(response.headers)):
            raise AnswerError(method, bucket, key, response.status, response.headers, response.read(_SMALL))
        if not is_named(response.headers) and response.headers.get("content-type", "").startswith("text/html"):
            # A page that a proxy or a portal sent with status 200: nothing was carried out.
            response.drain()
            raise ForeignAnswerError("the answer is a page of HTML", status=response.status, hint=NOT_SWIFT)
        if stream and good:
            return Answer(response, b"", stream=True)
        return Answer(response, response.read(), stream=False)

    @property
    def knows_info(self) -> bool:
        """Whether ``/info`` was asked for, so that looking there costs no request."""
        return self._info is not None

    @property
    def info(self) -> Mapping[str, Any]:
        """What the service says that it can do (``/info``), asked for once; empty where it says nothing."""
        if self._info is None:
            found = self._ask_info()
            with self._lock:
                self._info = found
        return self._info

    def _ask_info(self) -> Mapping[str, Any]:
        url = urlsplit(self.storage_url)
        before = url.path.partition("/v1")[0]
        # It is beside the version, which is not always at the root.
        for path in dict.fromkeys((f"{before}/info", "/info")):
            response = self._transport.send("GET", f"{url.scheme}://{url.netloc}{path}", {}, None)
            body = response.read(_SMALL)
            # Kept for good is only what is no mood of the moment.
            if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR or response.status in _LATER:
                raise AnswerError("GET", None, None, response.status, response.headers, body)
            try:
                found = json.loads(body) if response.status == HTTPStatus.OK else None
            except ValueError:
                continue
            if isinstance(found, dict) and isinstance(found.get("swift"), dict):
                return found
        return {}

    def limit(self, middleware: str, name: str, default: int) -> int:
        """Return a number of ``/info``, or the documented default where it is not told."""
        value = self.info.get(middleware, {}).get(name, default)
        return value if isinstance(value, int) and value > 0 else default

    def has(self, middleware: str) -> bool:
        """Say whether the service names a middleware in ``/info``."""
        return middleware in self.info

    @property
    def is_swift(self) -> bool:
        """Whether this is Swift itself for certain, by ``/info``: Ceph's versions begin with other numbers."""
        return str(self.info.get("swift", {}).get("version", "")).startswith(("1.", "2."))

    @property
    def keeps_conditions(self) -> bool:
        """Whether ``If-None-Match`` of a PUT is looked at for certain: by Swift, since 1.13. Ceph passes over it."""
        return self.preset.put_conditions and self.is_swift

    def close(self) -> None:
        """Release the connections."""
        self._transport.close()
        self.login.close()


def _below(bucket: str | None, key: str | None) -> str:
    """Return the quoted path below the account's.

    :raises NotFoundError: nothing can have such a name; it would be another place, the account or an object.
    """
    if bucket is None:
        return ""
    if not CONTAINER.fullmatch(bucket):
        raise BucketNotFoundError("no container has such a name", bucket=bucket)
    if key is None:
        return f"/{quote(bucket, safe='')}"
    if not key or "\0" in key:
        raise ObjectNotFoundError("no object has such a name", bucket=bucket)
    return f"/{quote(bucket, safe='')}/{quote(key)}"
