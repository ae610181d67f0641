"""The gateway as its drivers see it: it signs URLs, and serves them while it is open."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable

from cloudbridge_store.drivers.base import Driver, Method, SignedRequest, SignOptions
from cloudbridge_store.drivers.gateway.server import Server
from cloudbridge_store.drivers.gateway.signing import Signer
from cloudbridge_store.errors import ConflictError, ProviderClosedError


class UrlGateway:
    """Signs URLs for a driver's objects and serves them.

    :param secret: whoever knows it can sign; 32 random bytes.
    :param base_url: where a server that has the same secret is reached; it must get the path that follows as it is.
        Without one, a server of our own starts with the first signature, for this machine only.
    :param now: the clock, in seconds since 1970.
    """

    def __init__(
        self, driver: Driver, secret: bytes, base_url: str | None = None, *, now: Callable[[], float] = time.time
    ) -> None:
        self._driver = driver
        self._signer = Signer(secret, now)
        self._given_url = base_url.rstrip("/") if base_url else None
        self._server: Server | None = None
        self._closed = False
        self._lock = threading.Lock()
        _gateways.add(self)

    @property
    def base_url(self) -> str:
        """What every signed URL begins with. :raises ProviderClosedError: the gateway was closed."""
        return self._given_url or self._running_server().url

    def sign(self, bucket: str, key: str, method: Method, seconds: int, options: SignOptions) -> SignedRequest:
        """Sign exactly this method on exactly this object for ``seconds`` from now.

        :raises InvalidValueException: the life is too long, or an option has no place in this request.
        :raises ProviderClosedError: the gateway was closed.
        """
        target = self._signer.sign(bucket, key, method, seconds, options)
        bound = {} if method != "PUT" or options.content_type is None else {"Content-Type": options.content_type}
        return SignedRequest(self.base_url + target, method, bound)

    def serve_forever(
        self, host: str = "127.0.0.1", port: int = 0, *, ready: Callable[[str], None] | None = None
    ) -> None:
        """Serve in this thread until :meth:`close`, or until an exception such as KeyboardInterrupt.

        :param ready: called with :attr:`base_url` once connections are accepted.
        :raises ConflictError: it is being served already.
        """
        with self._lock:
            self._check_open()
            if self._server is not None:
                raise ConflictError("these URLs are being served already")
            server = self._server = Server(self._driver, self._signer, host, port)
        try:
            if ready is not None:
                ready(self._given_url or server.url)
            server.run()
        finally:
            self._stop()

    def close(self) -> None:
        """Stop serving, close all connections, and start no server any more."""
        with self._lock:
            self._closed = True
        self._stop()

    def forget_server(self) -> None:
        """In a forked child: leave the parent's connections to the parent."""
        server, self._server = self._server, None
        self._lock = threading.Lock()
        if server is not None:
            server.abandon()

    def _running_server(self) -> Server:
        with self._lock:
            self._check_open()
            if self._server is None:
                self._server = Server(self._driver, self._signer, "127.0.0.1", 0)
                self._server.start()
            return self._server

    def _check_open(self) -> None:
        if self._closed:
            raise ProviderClosedError("the gateway was closed")

    def _stop(self) -> None:
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            server.stop()


_gateways: weakref.WeakSet[UrlGateway] = weakref.WeakSet()


def _after_fork() -> None:
    for gateway in list(_gateways):
        gateway.forget_server()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
