"""Makes what requests are sent with: the pool of connections, and for the rest the SDK's client."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import requests
from requests.adapters import HTTPAdapter

from cloudbridge_store.config import Settings
from cloudbridge_store.drivers.azure.credentials import Credentials
from cloudbridge_store.drivers.azure.endpoint import Place
from cloudbridge_store.errors import InvalidConfigurationException

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient

POOL_SIZE = 50
API_VERSION = "2021-12-02"
"""The service's version that requests ask for: the first with all that is used here, so that emulators know it too."""
_log = logging.getLogger("cloudbridge_store")


def make_session(settings: Settings, url: str) -> requests.Session:
    """Return the session that all requests of a driver go through, the SDK's too.

    What the environment says of proxies and authorities is read here, once: for each request it would take longer
    than the request. A ``.netrc`` is not looked at; it would replace signatures.
    """
    session = requests.Session()
    session.trust_env = False
    session.verify = verify(settings)
    session.proxies.update(proxies(settings, url))
    adapter = HTTPAdapter(POOL_SIZE, POOL_SIZE, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def verify(settings: Settings) -> bool | str:
    """Return which authorities may vouch for the server, as ``requests`` has it."""
    if not settings.verify_tls:
        _log.warning("certificates are not checked: whoever is in between can read and change everything")
        return False
    if settings.ca_bundle is not None:
        return str(settings.ca_bundle)
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True


def proxies(settings: Settings, url: str) -> dict[str, str]:
    """Return the proxies on the way to an address: the configured ones, else those of the environment."""
    if settings.proxies is not None:
        return dict(settings.proxies)
    return {} if proxy_bypass(urlsplit(url).hostname or "") else getproxies()


def user_agent(settings: Settings) -> str:
    """Return how requests introduce themselves."""
    return " ".join(part for part in ("cloudbridge-store", settings.user_agent) if part)


def make_client(session: Any, settings: Settings, place: Place, credentials: Credentials) -> BlobServiceClient:
    """Return the SDK's client, with nothing in it that repeats, redirects or decompresses.

    :raises InvalidConfigurationException: it refuses what it is given.
    """
    from azure.core.pipeline.transport import RequestsTransport  # here, as most programs do without the client
    from azure.storage.blob import BlobServiceClient

    transport = RequestsTransport(
        session=session,
        session_owner=False,
        connection_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        connection_verify=session.verify,
        use_env_settings=False,
    )
    options: dict[str, Any] = {"retry_total": 0, "permit_redirects": False, "user_agent": user_agent(settings)}
    if place.named_in_path:
        options["api_version"] = API_VERSION  # emulators do not know the SDK's newest
    try:
        return BlobServiceClient(place.url, _sdk_credential(place, credentials), transport=transport, **options)
    except (TypeError, ValueError) as error:
        raise InvalidConfigurationException(str(error)) from error


def _sdk_credential(place: Place, credentials: Credentials) -> Any:
    if credentials.account_key is not None:
        return {"account_name": place.account, "account_key": str(credentials.account_key)}
    return credentials.token if credentials.sas is None else str(credentials.sas)
