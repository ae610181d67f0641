"""HTTP as the driver needs it: one request, one answer, nothing followed, repeated, decoded or normalised."""

from __future__ import annotations

import http.client
import os
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, BinaryIO, NamedTuple, cast
from urllib.parse import unquote

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ProtocolError

from cloudbridge_store.config import Settings, refuse_http
from cloudbridge_store.drivers.base import Body
from cloudbridge_store.drivers.openstack.trust import Trust
from cloudbridge_store.drivers.streams import SentStream
from cloudbridge_store.errors import StoreError
from cloudbridge_store.redaction import protect_loggers

POOL_SIZE = 50
_EXPECTED = 2**20
"""Bodies from this size on wait for the service to ask for them, so that a refusal does not cost their transfer."""
_PATIENCE = 1.0
"""Seconds that they wait at most: not every server or proxy answers an expectation."""
_MOST_DRAINED = 2**16
_AS_IT_IS = {"retries": False, "redirect": False, "preload_content": False, "decode_content": False}


class _Begun(http.client.HTTPResponse):
    """A response whose first line was read already; the connection is not used again."""

    first_line: tuple[str, int, str]

    def _read_status(self) -> tuple[str, int, str]:
        return self.first_line

    def begin(self) -> None:
        super().begin()
        # The service may still wait for the body that it refused.
        self.will_close = True


class _Expecting:
    """Mixed into a connection: after ``Expect: 100-continue`` the body waits for the answer to the headers."""

    sock: Any
    response_class: Any
    patience: float = 30.0
    _expects = False
    _refused = False

    def putheader(self, header: str | bytes, *values: Any) -> None:
        if header in ("Expect", b"Expect"):
            self._expects = True
        super().putheader(header, *values)  # type: ignore[misc]

    def putrequest(self, *arguments: Any, **named: Any) -> None:
        self._expects = self._refused = False
        self.response_class = http.client.HTTPResponse
        super().putrequest(*arguments, **named)  # type: ignore[misc]

    def endheaders(self, *arguments: Any, **named: Any) -> None:
        super().endheaders(*arguments, **named)  # type: ignore[misc]
        # urllib3 has the patience for connecting in place until the answer is waited for.
        self.sock.settimeout(self.patience)
        if self._expects and (begun := self._wait()) is not None:
            self._read_answer(begun)

    def _wait(self) -> bytes | None:
        """Return the first byte of the answer, or ``None`` where nothing comes for a while.

        That there is something to read does not say that: TLS has messages of its own, such as tickets.
        """
        self.sock.settimeout(_PATIENCE)
        try:
            return cast("bytes", self.sock.recv(1))
        except TimeoutError:
            return None
        finally:
            self.sock.settimeout(self.patience)

    def _read_answer(self, begun: bytes) -> None:
        # Without a buffer: what follows the answer is for whoever reads next.
        with self.sock.makefile("rb", 0) as file:
            line = (begun + file.readline(1024)).decode("latin-1")
            version, _, rest = line.partition(" ")
            code, _, reason = rest.strip().partition(" ")
            if not version.startswith("HTTP/") or not code.isdecimal():
                raise http.client.BadStatusLine(line)
            if int(code) == http.HTTPStatus.CONTINUE:
                while file.readline(65536).strip():
                    pass
                return
        self._refused = True
        self.response_class = type("_Refusal", (_Begun,), {"first_line": (version, int(code), reason)})

    def send(self, data: Any) -> None:
        if self._refused:
            # urllib3 takes it for a service that stopped listening, and reads the answer.
            raise BrokenPipeError
        super().send(data)  # type: ignore[misc]


class _Connection(_Expecting, HTTPConnection):
    pass


class _SecureConnection(_Expecting, HTTPSConnection):
    pass


class Response:
    """An answer whose content may still be on its way."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.status: int = raw.status
        self.headers: Mapping[str, str] = raw.headers

    def read(self, most: int | None = None) -> bytes:
        """Return the content, or the first ``most`` bytes of it, and give the connection back.

        :raises urllib3.exceptions.HTTPError: the connection ended early, or took too long.
        """
        try:
            data = cast("bytes", self.raw.read(most, decode_content=False) if most else self.raw.read())
            if most is not None:
                self.drain()
            return data
        finally:
            self.raw.release_conn()

    def drain(self) -> None:
        """Give the connection back, if what is left is little; else close it."""
        try:
            if self.raw.read(_MOST_DRAINED, decode_content=False) and self.raw.read(1):
                self.raw.close()
        except (urllib3.exceptions.HTTPError, OSError):
            self.raw.close()
        self.raw.release_conn()


class Route(NamedTuple):
    """How requests to one host go."""

    pool: Any
    whole: bool
    """They name the whole address, not the path alone."""


class Transport:
    """A pool of connections.

    :param trust: asked when the first of them is made, by when it is known where they lead.
    """

    def __init__(self, settings: Settings, trust: Callable[[], Trust]) -> None:
        for package in ("urllib3", "requests", "keystoneauth1", "openstack"):
            protect_loggers(package)
        self._settings = settings
        self._agent = " ".join(part for part in ("cloudbridge-store", settings.user_agent) if part)
        self._timeout = urllib3.Timeout(connect=settings.connect_timeout, read=settings.read_timeout)
        self._trust = trust
        self._lock = threading.Lock()
        self._pools: dict[str | None, Any] = {}
        self._routes: dict[str, Route] = {}

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | Body | None) -> Response:
        """Send one request and return the answer, whatever it is.

        :param url: quoted; it is sent as it is.
        :raises urllib3.exceptions.HTTPError: there was no answer.
        """
        refuse_http(url, self._settings)
        origin, path = _split(url)
        route = self._routes.get(origin) or self._find_route(origin)
        # A proxy that passes plain http on is told the whole address.
        target = url if route.whole else path
        sent = {"User-Agent": self._agent, "Accept-Encoding": "identity", **headers}
        with ExitStack() as stack:
            content = self._content(body, sent, stack)
            try:
                raw = route.pool.urlopen(method, target, body=content, headers=sent, timeout=self._timeout, **_AS_IT_IS)
            except ProtocolError as error:
                # What the body raised while it was sent is not the connection's fault.
                cause = error.args[-1]
                if isinstance(cause, StoreError):
                    raise cause from None
                raise
        return Response(raw)

    def _content(self, body: bytes | Body | None, headers: dict[str, str], stack: ExitStack) -> Any:
        if isinstance(body, Body):
            headers["Content-Length"] = str(body.size)
            if body.size >= _EXPECTED:
                headers["Expect"] = "100-continue"
            return _pieces(stack.enter_context(body.open()), body.size)
        if body is not None:
            headers["Content-Length"] = str(len(body))
        return body

    def _find_route(self, origin: str) -> Route:
        scheme, _, host = origin.lower().partition("://")
        # Of the environment once: looking takes longer than all else about a small request.
        proxy = self._proxy(scheme, host)
        with self._lock:
            if proxy not in self._pools:
                self._pools[proxy] = self._make_pool(proxy)
            manager = self._pools[proxy]
            whole = proxy is not None and scheme == "http"
            self._routes[origin] = Route(manager if whole else manager.connection_from_url(origin), whole)
            return self._routes[origin]

    def _proxy(self, scheme: str, host: str) -> str | None:
        given = self._settings.proxies
        if given is not None:
            return given.get(scheme) or given.get("all")
        proxies = urllib.request.getproxies()
        # With the port, if there is one: no_proxy may name it.
        return None if urllib.request.proxy_bypass(host) else proxies.get(scheme) or proxies.get("all")

    def _make_pool(self, proxy: str | None) -> Any:
        options = {"num_pools": 10, "maxsize": POOL_SIZE, "block": False, **_tls_options(self._trust())}
        if proxy is None:
            pool: Any = urllib3.PoolManager(**options)
        else:
            # Without a scheme it is one of http, as it is to those who log in.
            proxy = proxy if "://" in proxy else f"http://{proxy}"
            named = urllib3.util.parse_url(proxy)
            headers = urllib3.make_headers(proxy_basic_auth=unquote(named.auth)) if named.auth else None
            pool = urllib3.ProxyManager(proxy, proxy_headers=headers, **options)
        patience = self._settings.read_timeout
        plain = type("_Plain", (_Connection,), {"patience": patience})
        secure = type("_Secure", (_SecureConnection,), {"patience": patience})
        pool.pool_classes_by_scheme = {
            "http": type("_Pool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("_SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
        }
        return pool

    def close(self) -> None:
        """Release the connections."""
        with self._lock:
            pools, self._pools, self._routes = list(self._pools.values()), {}, {}
        for pool in pools:
            pool.clear()


def _split(url: str) -> tuple[str, str]:
    """Return scheme and host of a URL, and all that is behind."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}", f"{slash}{path}" or "/"


def _tls_options(trust: Trust) -> dict[str, Any]:
    own = dict(zip(("cert_file", "key_file"), trust.certificate or (), strict=False))
    if not trust.verify:
        return {"cert_reqs": "CERT_NONE", **own}
    import certifi

    kind = "ca_cert_dir" if trust.bundle is not None and os.path.isdir(trust.bundle) else "ca_certs"  # noqa: PTH112
    return {"cert_reqs": "CERT_REQUIRED", kind: trust.bundle or certifi.where(), **own}


def _pieces(stream: BinaryIO, size: int) -> Iterator[memoryview]:
    return SentStream(stream, size).pieces()
