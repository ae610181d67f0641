"""A listening socket, and a thread for each connection made to it."""

from __future__ import annotations

import logging
import os
import selectors
import socket
import socketserver
import sys
import threading
from http.server import ThreadingHTTPServer
from typing import Any

from cloudbridge_store.drivers.base import Driver
from cloudbridge_store.drivers.gateway.handler import Handler
from cloudbridge_store.drivers.gateway.signing import Signer

_log = logging.getLogger("cloudbridge_store.gateway")

_GRACE = 5.0
"""Seconds that a connection's thread gets to notice that its connection is gone."""


class Server(ThreadingHTTPServer):
    """Serves what a signer signed. It accepts connections from the moment it is made."""

    request_queue_size = 128
    timeout = 0.0

    def __init__(self, driver: Driver, signer: Signer, host: str, port: int) -> None:
        self.driver = driver
        self.signer = signer
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), Handler)
        self.socket.setblocking(False)
        self._alarm, self._bell = socket.socketpair()
        self._connections: dict[Any, threading.Thread] = {}
        self._runner = threading.current_thread()
        self._finished = threading.Event()
        self._stopping = False

    @property
    def url(self) -> str:
        """Where it is reached, without a slash at the end."""
        host, port = self.server_address[:2]
        shown = f"[{host!s}]" if self.address_family == socket.AF_INET6 else host
        return f"http://{shown!s}:{port}"

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._runner = threading.Thread(target=self.run, daemon=True, name="cloudbridge_store gateway")
        self._runner.start()

    def run(self) -> None:
        """Serve until :meth:`stop`. Unlike ``serve_forever`` this sleeps while there is nothing to do."""
        try:
            with selectors.DefaultSelector() as selector:
                if self._stopping:
                    return
                selector.register(self.socket, selectors.EVENT_READ)
                selector.register(self._alarm, selectors.EVENT_READ)
                while not self._stopping:
                    if self._alarm not in [key.fileobj for key, _ in selector.select()]:
                        self.handle_request()
        finally:
            self._finished.set()

    def stop(self) -> None:
        """End :meth:`run`, stop listening, and close all connections."""
        self._stopping = True
        self._bell.send(b"!")
        if self._runner is not threading.current_thread():
            self._finished.wait()
            self._runner.join(_GRACE)
        self.server_close()
        self._alarm.close()
        self._bell.close()
        for connection, thread in list(self._connections.items()):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            thread.join(_GRACE)

    def abandon(self) -> None:
        """In a forked child: close the copies of the parent's sockets, and nothing of the parent's."""
        for each in (self.socket, self._alarm, self._bell, *self._connections):
            if each.fileno() >= 0:
                # close() would wait for the files of threads that do not exist here.
                os.close(each.detach())

    def server_bind(self) -> None:
        """Bind the socket. HTTPServer's asks the name service for a name besides, that nobody needs."""
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread that :meth:`stop` knows."""
        thread = threading.Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            daemon=True,
            name="cloudbridge_store gateway connection",
        )
        self._connections[request] = thread
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        super().shutdown_request(request)
        self._connections.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what a connection failed of, unless the client has just gone."""
        error = sys.exception()
        if not isinstance(error, (ConnectionError, TimeoutError)):
            _log.error("a connection failed", exc_info=error)
