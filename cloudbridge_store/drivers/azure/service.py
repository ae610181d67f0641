"""The one way to the service: requests as they are on the wire, and the SDK's clients where those do more."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from email.utils import formatdate
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from cloudbridge_store.config import Settings
from cloudbridge_store.drivers.azure.answers import Answer, Wire
from cloudbridge_store.drivers.azure.authorizing import authorizer
from cloudbridge_store.drivers.azure.client import API_VERSION, make_client, make_session, user_agent
from cloudbridge_store.drivers.azure.credentials import Credentials, TokenKeeper
from cloudbridge_store.drivers.azure.endpoint import Place
from cloudbridge_store.drivers.azure.permissions import explained
from cloudbridge_store.drivers.base import Step, once
from cloudbridge_store.drivers.streams import SentStream
from cloudbridge_store.errors import BucketNotFoundError
from cloudbridge_store.redaction import hide, protect_loggers

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, BlobServiceClient, ContainerClient

_LOG_SECRETS = ("azure.core", "azure.storage", "azure.identity", "msal", "requests", "urllib3")
"""What logs signatures, tokens and keys at level DEBUG."""
_NAME = re.compile(r"[a-z0-9](?:-?[a-z0-9])*|\$(?:root|web|logs|blobchangefeed)")


class Service:
    """An account, and the one way to it.

    :param identity: who asks.
    :param website: address of the account's static website, as far as it is known.
    :param only: the one bucket that the credentials are for, where they are for one.
    """

    def __init__(
        self,
        place: Place,
        identity: Credentials,
        settings: Settings,
        *,
        website: str | None = None,
        only: str | None = None,
    ) -> None:
        for package in _LOG_SECRETS:
            protect_loggers(package)
        self.place = place
        self.account = place.account
        self.identity = identity
        self.settings = settings
        self.step: Step = once
        self.website = website
        self.only = only
        self.secure = place.url.startswith("https://")
        self._lock = threading.Lock()
        self._client: BlobServiceClient | None = None
        self._keeper = TokenKeeper(identity.token) if identity.kind == "token" else None
        self._authorize = authorizer(self.account, identity, self._keeper)
        self._sas = hide(f"&{identity.sas!s}") if identity.sas else ""
        self._agent = user_agent(settings)
        self.knows_start = True
        """The service lists from a given name on; cleared once it said that it does not."""
        self.live_uploads: set[tuple[str, str, str]] = set()
        """Uploads in parts that are known to exist, by bucket, key and id."""

    @cached_property
    def session(self) -> Any:
        """The HTTP session of all requests."""
        return make_session(self.settings, self.place.url)

    @cached_property
    def _wire(self) -> Wire:
        return Wire(self.session, self.place.url, self.settings)

    @property
    def client(self) -> BlobServiceClient:
        """The SDK's client: no retries, no redirects. Pass ``decompress=False`` to what reads content."""
        if self._client is None:
            session = self.session
            with self._lock:
                if self._client is None:
                    self._client = make_client(session, self.settings, self.place, self.identity)
        return self._client

    def container(self, bucket: str) -> ContainerClient:
        """Return the SDK's client of a bucket."""
        return self.client.get_container_client(named(bucket))

    def blob(self, bucket: str, key: str) -> BlobClient:
        """Return the SDK's client of an object."""
        return self.client.get_blob_client(named(bucket), key)

    def path(self, bucket: str | None = None, key: str | None = None) -> str:
        """Return the path of an object, a bucket or the account, as it is sent."""
        if bucket is None:
            return f"{self.place.path}/"
        path = f"{self.place.path}/{quote(named(bucket), safe='$')}"
        return path if key is None else f"{path}/{quote(key, safe='/~')}"

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: SentStream | bytes | None = None,
        *,
        stream: bool = False,
    ) -> Answer:
        """Carry out one request.

        :param path: from :meth:`path`.
        :param query: not encoded.
        :param stream: leave the answer's body on the connection; closing it is the caller's affair.
        :raises HttpResponseError: the service refused it.
        """
        query = query or {}
        sent = {"x-ms-version": API_VERSION, **(headers or {}), "x-ms-date": formatdate(usegmt=True)}
        sent["User-Agent"] = self._agent
        if method in ("PUT", "POST"):
            sent["Content-Length"] = str(body.size if isinstance(body, SentStream) else len(body or b""))
        target = self.sign(method, path, query, sent)
        answer = self._wire.send(method, target, sent, body)
        if answer.status_code == HTTPStatus.FORBIDDEN:
            answer.needs = explained(method, query, sent)
        answer.judge(stream=stream)
        return answer

    def sign(self, method: str, path: str, query: Mapping[str, str], headers: dict[str, str]) -> str:
        """Add the signature to a request's headers, or to its query, and return its target."""
        if self._authorize is not None:
            self._authorize(method, path, query, headers)
        asked = urlencode(query, quote_via=quote)
        if self._sas:
            target: str = hide(f"{path}?{(asked + self._sas).lstrip('&')}")
            return target
        return f"{path}?{asked}" if asked else path

    def token(self) -> str:
        """Return an access token that is good for some minutes. Only for credentials of kind ``token``."""
        assert self._keeper is not None
        return self._keeper.get()

    def renew(self) -> bool:
        """Get a new token; ``False`` where there is none to get."""
        return self._keeper is not None and self._keeper.renew()

    def close(self) -> None:
        """Release the connections, those to whoever gives out tokens too."""
        if "session" in self.__dict__:
            self.session.close()
        self.identity.close()


def named(bucket: str) -> str:
    """Return a bucket's name. :raises BucketNotFoundError: none can have it; it could lead to another address."""
    if not 3 <= len(bucket) <= 63 or not _NAME.fullmatch(bucket):  # noqa: PLR2004 - documented
        raise BucketNotFoundError("no bucket has such a name", bucket=bucket)
    return bucket
