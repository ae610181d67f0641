"""Requests on their way, and what comes back."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit
from xml.sax.saxutils import unescape

from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ResourceNotModifiedError,
)
from requests.utils import select_proxy
from urllib3 import Timeout
from urllib3.exceptions import ProtocolError

from cloudbridge_store.config import Settings
from cloudbridge_store.drivers.azure.codes import ADDRESS
from cloudbridge_store.drivers.streams import SentStream
from cloudbridge_store.errors import ForeignAnswerError, StoreError

_LONGEST = 64 * 2**20
"""Bytes of an answer that is no content: the longest, a list of 50,000 blocks, has less than a tenth."""
_EXPECTED = 2**20
"""Bodies up to this size are sent in one piece with nothing between them and the headers."""

_CLASSES: dict[int, type[HttpResponseError]] = {
    HTTPStatus.NOT_MODIFIED: ResourceNotModifiedError,
    HTTPStatus.UNAUTHORIZED: ClientAuthenticationError,
    HTTPStatus.FORBIDDEN: ClientAuthenticationError,
    HTTPStatus.NOT_FOUND: ResourceNotFoundError,
    HTTPStatus.CONFLICT: ResourceExistsError,
    HTTPStatus.PRECONDITION_FAILED: ResourceModifiedError,
}


_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_QUOTED = re.compile("'.*'", re.DOTALL)
_VALUE = re.compile("(<(HeaderValue|QueryParameterValue)>).*?(</\\2>|$)", re.DOTALL)


class Answer:
    """What the service answered.

    :ivar status_code: HTTP status.
    :ivar headers: of urllib3: any case of a name will do.
    :ivar content: the body, once :meth:`load` has read it.
    :ivar needs: says what the request takes, where it was forbidden.
    """

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.status_code: int = raw.status
        self.reason: str = raw.reason or ""
        self.headers: Any = raw.headers
        self.content = b""
        self.needs = ""

    def judge(self, *, stream: bool) -> None:
        """Read the body, unless it is content, and raise what the answer says if it is no success."""
        refused = self.status_code >= HTTPStatus.MULTIPLE_CHOICES
        if refused or not stream:
            self.load()
        if refused:
            _raise_failure(self)
        named = "x-ms-request-id" in self.headers or "x-ms-version" in self.headers
        if not named and "Azur" not in self.headers.get("Server", ""):
            # A proxy or a portal answers as if it were done; the service names the request, or itself, in all answers.
            self.raw.close()
            raise ForeignAnswerError("the answer names no request of the Blob service", hint=ADDRESS)

    def load(self) -> None:
        """Read the body and give the connection back."""
        try:
            # One byte more than is accepted, so that what is longer shows; amt=None would also unpack it.
            self.content = self.raw.read(_LONGEST + 1, decode_content=False) or b""
            if len(self.content) > _LONGEST:
                raise ForeignAnswerError("the answer is longer than any of the Blob service's", hint=ADDRESS)
            self.raw.read(decode_content=False)
        except BaseException:
            self.raw.close()
            raise
        self.raw.release_conn()

    def text(self) -> str:
        """Return the body as text, as the SDK's exceptions show it.

        A refused signature is answered with what should have been signed, headers with customers' keys included, and
        a refused header with its value, which may be such a key or a signed address: what is quoted is left out.
        """
        text = _VALUE.sub(r"\1...\3", self.content.decode("utf-8", "replace"))
        return _QUOTED.sub("'...'", text) if self.status_code in _REFUSED else text


class Wire:
    """The session's connections to one address, without what ``requests`` does for each request.

    :param session: of ``requests``: its pools, authorities and proxies are used.
    """

    def __init__(self, session: Any, url: str, settings: Settings) -> None:
        adapter = session.get_adapter(url)
        proxy = select_proxy(url, session.proxies)
        manager = adapter.proxy_manager_for(proxy) if proxy else adapter.poolmanager
        self._pool = manager.connection_from_url(url)
        adapter.cert_verify(self._pool, url, session.verify, None)
        parts = urlsplit(url)
        # A proxy is told the whole address, unless it is a tunnel.
        self._prefix = f"{parts.scheme}://{parts.netloc}" if proxy and parts.scheme == "http" else ""
        self._timeout = Timeout(connect=settings.connect_timeout, read=settings.read_timeout)

    def send(self, method: str, target: str, headers: dict[str, str], body: SentStream | bytes | None) -> Answer:
        """Send one request; the answer's body is not read yet."""
        pieces: Any = body
        if isinstance(body, SentStream):
            pieces = b"".join(map(bytes, body.pieces())) if body.size < _EXPECTED else body.pieces()
        try:
            raw = self._pool.urlopen(
                method,
                f"{self._prefix}{target}",
                body=pieces,
                headers=headers,
                redirect=False,
                retries=False,
                timeout=self._timeout,
                preload_content=False,
                decode_content=False,
                enforce_content_length=True,
            )
        except ProtocolError as error:
            # What the body raised while it was sent is not the connection's fault.
            cause = next((each for each in error.args if isinstance(each, StoreError)), None)
            if cause is not None:
                raise cause from None
            raise
        return Answer(raw)


def _raise_failure(answer: Answer) -> NoReturn:
    """Raise what an answer says, in the class that the SDK has for its status."""
    code = answer.headers.get("x-ms-error-code") or _element(answer, "Code")
    kind = _CLASSES.get(answer.status_code, HttpResponseError)
    said = _element(answer, "Message").partition("\n")[0].strip()
    error = kind(message=said or code or f"status {answer.status_code}")
    error.status_code, error.reason, error.response = answer.status_code, answer.reason, cast("Any", answer)
    error.error_code = code or None  # type: ignore[attr-defined] # as the SDK's clients do
    raise error


def _element(answer: Answer, name: str) -> str:
    """Return the text of an element of the document that explains a failure; empty where there is none."""
    # Not by a parser: what stands between may be a page of anything.
    found = re.search(rf"<{name}>([^<]*)</{name}>", answer.text()) if answer.content else None
    return unescape(found[1]).strip() if found else ""
