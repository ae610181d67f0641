"""Requests as they travel: connections, time-outs, proxies and certificates. Nothing is repeated or followed here.

Plain urllib3, which the SDK's own requests stand on: its session costs a request more than all else that happens to a
small object.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from cloudbridge_store.config import Settings
from cloudbridge_store.errors import StoreError
from cloudbridge_store.redaction import protect_loggers

POOL_SIZE = 50
_LOG_SECRETS = ("google.auth", "google.oauth2", "google.cloud.storage", "urllib3", "requests")
"""What logs tokens and signed URLs at level DEBUG."""
_log = logging.getLogger("cloudbridge_store")

Body = bytes | Iterable[Any] | None
_Sender = Callable[..., urllib3.BaseHTTPResponse]


class Answer(NamedTuple):
    """An answer that was read to its end. Headers are looked up in any case."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class Wire:
    """Connections to any host, made when they are needed. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        for package in _LOG_SECRETS:
            protect_loggers(package)
        self._settings = settings
        self._timeout = urllib3.Timeout(connect=settings.connect_timeout, read=settings.read_timeout)
        self._managers: dict[str | None, urllib3.PoolManager] = {}
        self._senders: dict[str, _Sender] = {}
        self._lock = threading.Lock()
        self.agent = " ".join(part for part in ("cloudbridge-store", settings.user_agent) if part)
        if not settings.verify_tls:
            _log.warning("certificates are not checked: whoever is in between can read and change everything")
            warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)

    def open(
        self, method: str, url: str, headers: Mapping[str, str], body: Body = None, patience: float = 0.0
    ) -> urllib3.BaseHTTPResponse:
        """Send a request and return the answer, whose body is still to come.

        :param patience: seconds to wait for it, beyond the configured time-out.
        """
        end = url.find("/", len("https://"))
        base, target = (url, "/") if end < 0 else (url[:end], url[end:])
        sender = self._senders.get(base) or self._connect(base)
        try:
            return sender(
                method,
                target,
                body=body,
                headers=headers,
                timeout=self._timeout if not patience else self._longer(patience),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except urllib3.exceptions.ProtocolError as error:
            # What the body raised while it was sent is not the connection's fault.
            for cause in error.args:
                if isinstance(cause, StoreError):
                    raise cause from None
            raise

    def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: Body = None, patience: float = 0.0
    ) -> Answer:
        """Send a request and read the whole answer."""
        return read_all(self.open(method, url, headers, body, patience))

    def _longer(self, seconds: float) -> urllib3.Timeout:
        settings = self._settings
        return urllib3.Timeout(connect=settings.connect_timeout, read=settings.read_timeout + seconds)

    def _connect(self, base: str) -> _Sender:
        """Return what sends requests to one host: its connections, or a proxy that wants to be told whole addresses."""
        with self._lock:
            if base not in self._senders:
                proxy = self._find_proxy(base)
                manager = self._managers.setdefault(proxy, self._make(proxy))
                if proxy is not None and base.startswith("http:"):
                    self._senders[base] = lambda method, target, **more: manager.urlopen(method, base + target, **more)
                else:
                    # Not by the manager, which takes every address apart, and would resolve dots in it.
                    self._senders[base] = manager.connection_from_url(base).urlopen
            return self._senders[base]

    def _find_proxy(self, base: str) -> str | None:
        parts = urlsplit(base)
        if self._settings.proxies is not None:
            return self._settings.proxies.get(parts.scheme) or self._settings.proxies.get("all")
        if not parts.hostname or proxy_bypass(parts.netloc):
            return None
        known = getproxies()
        return known.get(parts.scheme) or known.get("all")

    def _make(self, proxy: str | None) -> urllib3.PoolManager:
        settings = self._settings
        options: dict[str, Any] = {"num_pools": 10, "maxsize": POOL_SIZE}
        if settings.verify_tls:
            options.update(cert_reqs="CERT_REQUIRED", ca_certs=_certificates(settings))
        else:
            options.update(cert_reqs="CERT_NONE", assert_hostname=False)
        if proxy is None:
            return urllib3.PoolManager(**options)
        # Environments often leave the scheme out.
        named = urllib3.util.parse_url(proxy if "://" in proxy else f"http://{proxy}")
        headers = urllib3.make_headers(proxy_basic_auth=unquote(named.auth)) if named.auth else None
        return urllib3.ProxyManager(named.url, proxy_headers=headers, **options)

    def close(self) -> None:
        """Release the connections."""
        for manager in self._managers.values():
            manager.clear()


def _certificates(settings: Settings) -> str:
    if settings.ca_bundle is not None:
        return str(settings.ca_bundle)
    import certifi  # which comes with the SDK's requests

    return os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where()


def read_all(response: urllib3.BaseHTTPResponse) -> Answer:
    """Read an answer to its end; its connection can then serve the next request."""
    try:
        data = response.read(decode_content=False)
    except BaseException:
        response.close()
        raise
    response.release_conn()
    return Answer(response.status, response.headers, data)
