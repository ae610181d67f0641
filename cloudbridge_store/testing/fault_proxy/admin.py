"""The way to a proxy from other processes: JSON over HTTP, on this machine only."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from cloudbridge_store.testing.fault_proxy.proxy import FaultProxy
from cloudbridge_store.testing.fault_proxy.records import Recorded
from cloudbridge_store.testing.fault_proxy.rules import Rule

_HOST = "127.0.0.1"
_JSON = "application/json"
_SECONDS = 10


class Admin:
    """Serves a proxy to other processes: its rules, its records, and its listener.

    =================  ===========================================================================
    ``POST /rules``    add a rule, or a list of rules: what :meth:`Rule.from_json` takes
    ``GET /rules``     the rules, each with ``consumed`` and ``pending``
    ``GET /requests``  the records
    ``GET /errors``    what went wrong in the proxy
    ``POST /clear``    forget rules and records
    ``POST /refuse``   as :meth:`FaultProxy.refuse`
    ``POST /accept``   as :meth:`FaultProxy.accept`
    =================  ===========================================================================

    What is posted must say that it is JSON: so no web page can do it.
    """

    def __init__(self, proxy: FaultProxy, port: int = 0) -> None:
        self._proxy = proxy
        self._server = _Server((_HOST, port), _Handler)
        self._server.admin = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="fault-proxy-admin")
        self._thread.start()

    @property
    def url(self) -> str:
        """For :class:`RemoteProxy`."""
        return f"http://{_HOST}:{self._server.server_port}"

    def close(self) -> None:
        """Serve no more. The proxy stays."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def answer(self, method: str, path: str, given: Any) -> Any:
        """Carry out one call. :raises KeyError: there is none of this name."""
        proxy = self._proxy
        calls: dict[tuple[str, str], Callable[[], Any]] = {
            ("GET", "/rules"): lambda: [_describe(rule) for rule in proxy.rules],
            ("GET", "/requests"): lambda: [each.as_json() for each in proxy.requests],
            ("GET", "/errors"): lambda: [repr(error) for error in proxy.errors],
            ("POST", "/rules"): lambda: self._add(given),
            ("POST", "/clear"): proxy.clear,
            ("POST", "/refuse"): proxy.refuse,
            ("POST", "/accept"): proxy.accept,
        }
        return calls[method, path]()

    def _add(self, given: Any) -> None:
        rules = [Rule.from_json(each) for each in (given if isinstance(given, list) else [given])]
        if rules:
            self._proxy.add(*rules)


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    admin: Admin


class _Handler(BaseHTTPRequestHandler):
    timeout = _SECONDS

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Type") != _JSON:
            self._send(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Type must be {_JSON}")
            return
        self._answer(data)

    def _answer(self, data: bytes | None) -> None:
        assert isinstance(self.server, _Server)
        try:
            given = json.loads(data) if data else None
            self._send(HTTPStatus.OK, self.server.admin.answer(self.command, self.path, given))
        except KeyError as error:
            self._send(HTTPStatus.NOT_FOUND, f"there is no {error}")
        except (TypeError, ValueError) as error:
            self._send(HTTPStatus.BAD_REQUEST, str(error))

    def _send(self, status: HTTPStatus, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", _JSON)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        pass


def _describe(rule: Rule) -> dict[str, Any]:
    try:
        values = rule.as_json()
    except TypeError:
        values = {"times": rule.times, "skip": rule.skip, "fault": rule.fault.as_json() if rule.fault else None}
    return {**values, "consumed": rule.consumed, "pending": rule.pending}


class RemoteProxy:
    """A proxy of another process. The methods are those of :class:`FaultProxy`.

    :param admin: address of its admin.
    """

    def __init__(self, admin: str) -> None:
        self._address = urlsplit(admin).netloc

    def _call(self, method: str, path: str, given: Any = None) -> Any:
        connection = http.client.HTTPConnection(self._address, timeout=_SECONDS)
        try:
            body = json.dumps(given).encode() if method == "POST" else None
            connection.request(method, path, body, {"Content-Type": _JSON} if body else {})
            answer = connection.getresponse()
            value = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != HTTPStatus.OK:
            raise ValueError(value)
        return value

    def add(self, *rules: Rule) -> None:
        """Add rules, which have no functions. Whether they were consumed is for :meth:`rules` to say."""
        self._call("POST", "/rules", [rule.as_json() for rule in rules])

    def clear(self) -> None:
        """Forget all rules and records."""
        self._call("POST", "/clear")

    def refuse(self) -> None:
        """Have connections refused."""
        self._call("POST", "/refuse")

    def accept(self) -> None:
        """Accept connections again."""
        self._call("POST", "/accept")

    @property
    def rules(self) -> list[dict[str, Any]]:
        """The rules as JSON, with ``consumed`` and ``pending``."""
        return list(self._call("GET", "/rules"))

    @property
    def requests(self) -> list[Recorded]:
        """The requests so far, in the order of arrival."""
        return [Recorded.from_json(each) for each in self._call("GET", "/requests")]

    def assert_consumed(self) -> None:
        """Check that every rule hit as often as it was to, and that nothing broke."""
        errors = self._call("GET", "/errors")
        assert not errors, f"errors in the proxy: {errors}"
        left = [rule for rule in self.rules if rule["pending"]]
        assert not left, f"faults that did not happen: {left}"
