"""The proxy: its listener, its connections, its rules, and what it has seen."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from cloudbridge_store.testing.fault_proxy.exchange import Connection
from cloudbridge_store.testing.fault_proxy.messages import Request
from cloudbridge_store.testing.fault_proxy.records import Recorded
from cloudbridge_store.testing.fault_proxy.rules import Rule, RuleBook
from cloudbridge_store.testing.fault_proxy.wire import Stopped, Wire, wait_for

_HOST = "127.0.0.1"
_BACKLOG = 256
_CLOSE_SECONDS = 15.0


class FaultProxy:
    """A server on a free port of this machine that passes everything on to another one, and fails by rule.

    :param upstream: address of the server, ``http://host:port``; ``None``: there is none, and every request is answered
        with an empty 200 and written down. That is the stranger to whom redirects lead.
    :param rules: as with :meth:`add`.
    :param port: a free one by default.
    :param certificate: file of the certificate and its chain; the proxy then speaks TLS.
    :param key: file of the certificate's key, where it is another.
    :param upstream_ca: file of the CA of a server with TLS; without, its certificate is not checked.
    """

    def __init__(
        self,
        upstream: str | None,
        rules: Iterable[Rule] = (),
        *,
        port: int = 0,
        certificate: str | Path | None = None,
        key: str | Path | None = None,
        upstream_ca: str | Path | None = None,
    ) -> None:
        self.upstream = None if upstream is None else urlsplit(upstream)
        self.upstream_tls = _client_context(upstream_ca) if self._is_https() else None
        self._tls = None if certificate is None else _server_context(certificate, key)
        self.handshakes_failed = 0
        """Connections that ended before keys were agreed on, as clients do that do not like the certificate."""
        self.errors: list[Exception] = []
        """What went wrong in hooks and predicates, and in the proxy itself."""
        self._book = RuleBook(rules)
        self._lock = threading.Lock()
        self._requests: list[Recorded] = []
        self._connections: dict[threading.Thread, Connection] = {}
        self._listener: _Listener | None = None
        self._closed = False
        self._held = _hold(port)
        self.port: int = self._held.getsockname()[1]
        self.stop, self._stopper = os.pipe()
        self.accept()

    def _is_https(self) -> bool:
        return self.upstream is not None and self.upstream.scheme == "https"

    @property
    def scheme(self) -> str:
        """``https`` where the proxy has a certificate."""
        return "http" if self._tls is None else "https"

    @property
    def url(self) -> str:
        """The address that clients have to be given: signatures hold for it."""
        return f"{self.scheme}://{_HOST}:{self.port}"

    # Rules and records

    def add(self, *rules: Rule) -> Rule:
        """Add rules behind those that are there, and return the last. The first that matches a request hits it."""
        self._book.add(rules)
        return rules[-1]

    def clear(self) -> None:
        """Forget all rules and records."""
        self._book.clear()
        with self._lock:
            self._requests.clear()

    @property
    def rules(self) -> list[Rule]:
        """The rules, in the order in which they are asked."""
        return self._book.all()

    @property
    def requests(self) -> list[Recorded]:
        """The requests so far, in the order of arrival."""
        with self._lock:
            return list(self._requests)

    def assert_consumed(self) -> None:
        """Check that every rule hit as often as it was to (one for ever: once), and that nothing broke in here."""
        assert not self.errors, f"errors in the proxy: {self.errors!r}"
        left = [f"{rule.fault or 'hook'}: {rule.consumed} of {rule.times}" for rule in self.rules if rule.pending]
        assert not left, f"faults that did not happen: {'; '.join(left)}"

    # For connections

    def record(self, request: Request) -> Recorded:
        """Write a request down."""
        made = Recorded.of(request)
        with self._lock:
            self._requests.append(made)
        return made

    def find_rule(self, request: Request) -> tuple[Rule | None, list[Rule]]:
        """Return the rule that hits a request, and those that remember its answer."""
        return self._book.take(request)

    def give_back(self, rule: Rule, *, consumed: bool) -> None:
        """Take a rule back."""
        self._book.give_back(rule, consumed=consumed)

    def report(self, error: Exception) -> None:
        """Keep an error for :meth:`assert_consumed`."""
        with self._lock:
            self.errors.append(error)

    def handshake_failed(self) -> None:
        """Count a client that did not like the certificate."""
        with self._lock:
            self.handshakes_failed += 1

    def wait(self, seconds: float) -> None:
        """Wait, unless the proxy closes."""
        wait_for([], self.stop, seconds)

    # The listener

    @property
    def accepts(self) -> bool:
        """Connections are accepted."""
        return self._listener is not None

    def refuse(self) -> None:
        """Have connections refused, and end those that are idle. Others end after their request."""
        with self._lock:
            listener, self._listener = self._listener, None
            connections = list(self._connections.values())
        if listener is not None:
            listener.close()
        for connection in connections:
            connection.hang_up()

    def accept(self) -> None:
        """Accept connections again."""
        with self._lock:
            if self._listener is None and not self._closed:
                self._listener = _Listener(self.port, self._start)

    def _start(self, accepted: socket.socket) -> None:
        connected = accepted
        if self._tls is not None:
            accepted.setblocking(False)
            connected = self._tls.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        connection = Connection(self, Wire(connected, self.stop))
        thread = threading.Thread(target=self._serve, args=(connection,), name="fault-proxy-connection")
        with self._lock:
            self._connections[thread] = connection
        thread.start()

    def _serve(self, connection: Connection) -> None:
        try:
            connection.run()
        finally:
            with self._lock:
                del self._connections[threading.current_thread()]

    # The end

    def close(self) -> None:
        """Let go of whoever waits, end all connections, and wait for their threads."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.refuse()
        with self._lock:
            threads = list(self._connections)
        os.close(self._stopper)
        for thread in threads:
            thread.join(_CLOSE_SECONDS)
        self._held.close()
        if any(thread.is_alive() for thread in threads):
            raise RuntimeError("a hook or a predicate of the proxy does not return")
        os.close(self.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Listener:
    """Accepts connections in a thread, until it is closed."""

    def __init__(self, port: int, start: Callable[[socket.socket], None]) -> None:
        self._start = start
        self._stop, self._stopper = os.pipe()
        self._socket = socket.create_server((_HOST, port), backlog=_BACKLOG)
        self._socket.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="fault-proxy-listener")
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                wait_for([self._socket], self._stop)
                accepted, _ = self._socket.accept()
            except Stopped:
                return
            except OSError:
                continue  # the client has left already
            self._start(accepted)

    def close(self) -> None:
        """Close the socket; what has not been accepted is reset."""
        os.close(self._stopper)
        self._thread.join()
        self._socket.close()
        os.close(self._stop)


def _hold(port: int) -> socket.socket:
    """Bind a socket that does not listen: it keeps the port, and connections are refused."""
    held = socket.socket()
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((_HOST, port))
    except BaseException:
        held.close()
        raise
    return held


def _server_context(certificate: str | Path, key: str | Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def _client_context(authority: str | Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority)
    if authority is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
