"""The one way to the service: requests to its JSON and its XML interface, as somebody, one at a time."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import urllib3

from cloudbridge_store.config import Settings
from cloudbridge_store.drivers.gcp.answers import json_of, refusal
from cloudbridge_store.drivers.gcp.credentials import Identity
from cloudbridge_store.drivers.gcp.settings import choose_endpoint, choose_iam_endpoint
from cloudbridge_store.drivers.gcp.wire import Answer, Body, Wire, read_all
from cloudbridge_store.errors import BucketNotFoundError, InvalidRequestError

JSON = "application/json; charset=UTF-8"
REFUSED = 300
"""The least status of an answer that is not one of success."""
_DOTS = re.compile(r"(?:(?<=/)|^)\.\.?(?=/|$)")
_BUCKET = re.compile(r"(?!\.+$)[A-Za-z0-9._-]{3,222}")
Query = Mapping[str, "str | int | None"]


class Service:
    """Who asks, and where.

    :raises InvalidConfigurationException: values that cannot work together.
    """

    def __init__(self, config: Mapping[str, Any], settings: Settings) -> None:
        self.config = config
        self.settings = settings
        self.wire = Wire(settings)
        self.identity = Identity(config, self.wire)
        universe = self.identity.universe
        self.endpoint = choose_endpoint(config, settings, universe)
        self.iam_endpoint = choose_iam_endpoint(config, settings, universe)
        self.rewrites: dict[str, str] = {}
        """Tokens of copies that broke off, by what they were asked for."""
        self._client: Any = None
        self._lock = threading.Lock()

    # Requests

    def ask(
        self,
        method: str,
        path: str,
        query: Query = {},  # noqa: B006 - only read
        *,
        document: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send a request to the JSON interface and return the document of the answer; empty where there is none.

        :param path: behind ``/storage/v1``.
        """
        more = dict(headers or {})
        body = None
        if document is not None:
            body = json.dumps(document).encode()
            more["Content-Type"] = JSON
        answer = self.send(method, f"/storage/v1{path}{_query({**query, 'prettyPrint': 'false'})}", more, body)
        return json_of(answer) if answer.data else {}

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: Body = None, patience: float = 0.0
    ) -> Answer:
        """Send a request and read the answer.

        :raises GoogleAPICallError: it is not one of success.
        """
        answer = self.exchange(method, target, headers, body, patience)
        if answer.status >= REFUSED:
            raise refusal(answer)
        return answer

    def exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: Body = None, patience: float = 0.0
    ) -> Answer:
        """Send a request and read the answer, whatever its status.

        :param target: path and query.
        :param patience: seconds to wait for it, beyond the configured time-out.
        """
        own = self._headers(method, headers, body)
        return self.wire.exchange(method, f"{self.endpoint}{target}", own, body, patience)

    def open(self, target: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """Ask for content, which is still to come. :raises GoogleAPICallError: the answer is not one of success."""
        response = self.wire.open("GET", f"{self.endpoint}{target}", self._headers("GET", headers, None))
        if response.status >= REFUSED:
            raise refusal(read_all(response))
        return response

    def _headers(self, method: str, given: Mapping[str, str], body: Body) -> dict[str, str]:
        headers = {"User-Agent": self.wire.agent, **given}
        if "Content-Length" not in headers and method not in ("GET", "HEAD"):
            headers["Content-Length"] = str(len(body)) if isinstance(body, bytes) else "0"
        self.identity.authorize(headers)
        return headers

    def project(self) -> str:
        """Return the project, for what needs one. :raises InvalidRequestError: nothing names one."""
        found = self.identity.find_project()
        if not found:
            hint = "Give gcp_project_name, or set GOOGLE_CLOUD_PROJECT"
            raise InvalidRequestError(
                "buckets are created in a project and listed of one, and none is named", hint=hint
            )
        return found

    # What others are given

    @property
    def native(self) -> Any:
        """The SDK's client, with the same credentials, address, proxies and certificates."""
        with self._lock:
            if self._client is None:
                self._client = self._make_client()
            return self._client

    def _make_client(self) -> Any:
        from google.auth.transport.requests import AuthorizedSession  # here and below: most programs do without
        from google.cloud import storage

        session = AuthorizedSession(self.identity.credentials)
        settings = self.settings
        session.verify = settings.verify_tls if settings.ca_bundle is None else str(settings.ca_bundle)
        if settings.proxies is not None:
            session.trust_env = False
            session.proxies = dict(settings.proxies)
        return storage.Client(
            project=self.identity.project,
            credentials=self.identity.credentials,
            client_options={"api_endpoint": self.endpoint},
            _http=session,
        )

    def close(self) -> None:
        """Release the connections."""
        if self._client is not None:
            self._client.close()
        self.wire.close()


def bucket_path(bucket: str) -> str:
    """Return a bucket's path in the JSON interface. :raises BucketNotFoundError: no bucket can have that name."""
    return f"/b/{_possible(bucket)}"


def object_path(bucket: str, key: str) -> str:
    """Return an object's path in the JSON interface, likewise."""
    return f"/b/{_possible(bucket)}/o/{quote(key, safe='')}"


def upload_path(bucket: str) -> str:
    """Return the path where objects of a bucket are uploaded to, likewise."""
    return f"/upload/storage/v1{bucket_path(bucket)}/o"


def xml_path(bucket: str, key: str = "") -> str:
    """Return the path of a bucket, or of an object, in the XML interface and in their public addresses, likewise."""
    if not key:
        return f"/{_possible(bucket)}"
    # What is on the way may resolve segments of dots.
    coded = _DOTS.sub(lambda found: found[0].replace(".", "%2E"), quote(key, safe="/~"))
    return f"/{_possible(bucket)}/{coded}"


def _possible(bucket: str) -> str:
    # Any other could lead to another address.
    if not _BUCKET.fullmatch(bucket):
        raise BucketNotFoundError("no bucket has such a name", bucket=bucket)
    return bucket


def _query(parameters: Query) -> str:
    return "?" + query_text(parameters)


def query_text(parameters: Query) -> str:
    """Return a query; parameters that are ``None`` are left out."""
    return "&".join(f"{name}={quote(str(value), safe='')}" for name, value in parameters.items() if value is not None)
