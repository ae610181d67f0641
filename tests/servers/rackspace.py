"""Rackspace Cloud Files for tests: its identity service 2.0 and its CDN, as their public documentation has them, as a
part of OpenStack Swift.

* Identity takes a user's API key or password and answers with a token and a catalogue of three regions. What is public
  and what is ServiceNet are two ports of one server. Every region is an account of its own.
* A container's objects are read without a token by its CDN addresses only: Cloud Files knows no public containers.
* The CDN purges at once, and notes who was to be told of it in the answer to ``GET /purged``, a line each.
"""

from __future__ import annotations

import http.client
import json
import sys
import urllib.request
import uuid
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

from servers import swift
from servers.process import Server, answers, end_with_stdin, free_ports

USER, API_KEY, PASSWORD = "raxuser", "0123456789abcdef0123456789abcdef", "rax-password"
TENANT, ACCOUNT = "110011", "MossoCloudFS_6d1f2c9a"
REGIONS = ("DFW", "ORD", "LON")
# For the one test that reads all of an account: in the others, containers come and go meanwhile.
LONE_REGION = REGIONS[-1]
LEAST_TTL, DEFAULT_TTL, LARGEST_TTL = 900, 259_200, 31_536_000
_TOKEN_HOURS = 24


class RackspaceServer(Server):
    """A Cloud Files that runs until :meth:`stop`."""

    module = "servers.rackspace"
    user, api_key, password = USER, API_KEY, PASSWORD
    region, lone_region = REGIONS[0], LONE_REGION
    account = f"{ACCOUNT}-{REGIONS[0].lower()}"
    temp_url_key = swift.TEMP_URL_KEY

    def arguments(self):
        self.python = str(swift.find())
        self.port, self.internal_port = free_ports(2)
        self.url, self.internal_url = (f"http://127.0.0.1:{port}" for port in (self.port, self.internal_port))
        self.auth_url = f"{self.url}/v2.0/"
        return self.port, self.internal_port

    def is_ready(self):
        return answers(self.port) and answers(self.internal_port) and self._lets_in()

    def _lets_in(self):
        credentials = {"auth": {"passwordCredentials": {"username": USER, "password": PASSWORD}}}
        try:
            with urllib.request.urlopen(
                f"{self.auth_url}tokens", json.dumps(credentials).encode(), timeout=5
            ) as answer:
                token = json.load(answer)["access"]["token"]["id"]
        except (OSError, http.client.HTTPException):
            return False
        return all(swift.prepare_account(f"{self.url}/v1/{account_of(region)}", token) for region in REGIONS)


def filter_factory(_, **settings):
    """Return Swift's filter ``rackspace``, as its configuration names it."""
    return lambda app: CloudFiles(app, settings["public"], settings["internal"])


class CloudFiles:
    """The part of Swift that knows the users."""

    def __init__(self, app, public, internal):
        self._app, self._public, self._internal = app, public, internal
        self._tokens = set()
        self._cdn = {}
        """Settings of containers that are in the CDN, or were, by account and container."""
        self._purged = []

    def __call__(self, environ, start_response):
        from swift.common.swob import Request

        request = Request(environ)
        serve = {
            "v2.0": self._identify,
            "cdn": self._manage,
            "edge": self._read,
            "purged": lambda _: _answer(HTTPStatus.OK, "\n".join(self._purged).encode()),
        }.get(request.path_info.split("/")[1])
        if serve is None:
            self._authorise(request)
            serve = self._app
        else:
            serve = serve(request)
        return serve(environ, start_response)

    # Identity

    def _identify(self, request):
        if request.method != "POST" or request.path_info.rstrip("/") != "/v2.0/tokens":
            return _refuse(HTTPStatus.NOT_FOUND, "itemNotFound", "Resource Not Found")
        try:
            given = json.loads(request.body)["auth"]
        except (ValueError, KeyError):
            return _refuse(HTTPStatus.BAD_REQUEST, "badRequest", "Invalid json request body")
        key, password = given.get("RAX-KSKEY:apiKeyCredentials"), given.get("passwordCredentials")
        if key != {"username": USER, "apiKey": API_KEY} and password != {"username": USER, "password": PASSWORD}:
            reason = "Unable to authenticate user with credentials provided."
            return _refuse(HTTPStatus.UNAUTHORIZED, "unauthorized", reason)
        token = uuid.uuid4().hex
        self._tokens.add(token)
        return _answer(HTTPStatus.OK, json.dumps({"access": self._access(token)}).encode(), "application/json")

    def _access(self, token):
        until = datetime.now(UTC) + timedelta(hours=_TOKEN_HOURS)
        storage, cdn = [], []
        for region in REGIONS:
            account = account_of(region)
            common = {"region": region, "tenantId": account}
            urls = {"publicURL": f"{self._public}/v1/{account}", "internalURL": f"{self._internal}/v1/{account}"}
            storage.append({**common, **urls})
            cdn.append({**common, "publicURL": f"{self._public}/cdn/v1/{account}"})
        tenant = {"id": TENANT, "name": TENANT}
        return {
            "token": {"id": token, "expires": until.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "tenant": tenant},
            "user": {"id": "1", "name": USER, "roles": [], "RAX-AUTH:defaultRegion": REGIONS[0]},
            "serviceCatalog": [
                {"name": "cloudFilesCDN", "type": "rax:object-cdn", "endpoints": cdn},
                {"name": "cloudFiles", "type": "object-store", "endpoints": storage},
            ],
        }

    def _authorise(self, request):
        from swift.common.swob import HTTPUnauthorized

        environ = request.environ
        if environ.get("swift.authorize_override"):
            return
        known = request.headers.get("X-Auth-Token") in self._tokens
        environ["swift_owner"] = known
        if known:
            # Who is known sees the container, and not the website that it is.
            environ["REMOTE_USER"] = USER
        environ["swift.authorize"] = lambda asked: None if known else HTTPUnauthorized(request=asked)

    # CDN

    def _manage(self, request):
        """Answer at the CDN's own address."""
        if request.headers.get("X-Auth-Token") not in self._tokens:
            return _answer(HTTPStatus.UNAUTHORIZED)
        # WSGI has UTF-8 as if it were Latin-1.
        where = request.path_info.encode("latin-1").decode()
        _, _, account, *path = where.removeprefix("/cdn").split("/", 4)
        if not path or not path[0]:
            enabled = [name for (whose, name), each in self._cdn.items() if whose == account and each["enabled"]]
            return _answer(HTTPStatus.OK, "\n".join(sorted(enabled)).encode())
        place = (account, path[0])
        if request.method == "PUT":
            status = HTTPStatus.ACCEPTED if place in self._cdn else HTTPStatus.CREATED
            new = {"name": uuid.uuid4().hex, "ttl": DEFAULT_TTL, "log": False, "enabled": False}
            self._cdn.setdefault(place, new)
            return self._configure(place, request, status)
        if place not in self._cdn:
            return _answer(HTTPStatus.NOT_FOUND)
        if request.method == "POST":
            return self._configure(place, request, HTTPStatus.ACCEPTED)
        if request.method == "DELETE":
            self._purged.append(f"{'/'.join(path)} {request.headers.get('X-Purge-Email', '')}".rstrip())
            return _answer(HTTPStatus.NO_CONTENT)
        return _answer(HTTPStatus.NO_CONTENT, headers=self._described(place))

    def _configure(self, place, request, status):
        container = self._cdn[place]
        ttl = int(request.headers.get("X-Ttl", container["ttl"]))
        if not LEAST_TTL <= ttl <= LARGEST_TTL:
            return _answer(HTTPStatus.BAD_REQUEST, b"TTL out of range")
        container["ttl"] = ttl
        container["enabled"] = _is_true(request, "X-Cdn-Enabled", default=container["enabled"])
        container["log"] = _is_true(request, "X-Log-Retention", default=container["log"])
        return _answer(status, headers=self._described(place))

    def _described(self, place):
        container = self._cdn[place]
        kinds = {"X-Cdn-Uri": "", "X-Cdn-Ssl-Uri": "ssl-", "X-Cdn-Streaming-Uri": "stream-", "X-Cdn-Ios-Uri": "ios-"}
        return {
            "X-Cdn-Enabled": str(container["enabled"]),
            "X-Ttl": str(container["ttl"]),
            "X-Log-Retention": str(container["log"]),
            **{header: f"{self._public}/edge/{kind}{container['name']}" for header, kind in kinds.items()},
        }

    def _read(self, request):
        """Answer as an edge of the CDN."""
        _, _, name, *path = request.path_info.split("/", 3)
        found = [
            place
            for place, each in self._cdn.items()
            if each["enabled"] and name.rpartition("-")[2] == each["name"] and request.method in ("GET", "HEAD")
        ]
        if not found or not path:
            return _answer(HTTPStatus.NOT_FOUND)
        [(account, container)] = found
        request.environ["PATH_INFO"] = f"/v1/{account}/{container}/{path[0]}"
        request.environ["swift.authorize"] = lambda _: None
        request.environ["swift.authorize_override"] = True
        return self._app


def account_of(region):
    """Return the account that a region holds."""
    return f"{ACCOUNT}-{region.lower()}"


def _is_true(request, header, *, default):
    return request.headers.get(header, str(default)).lower() == "true"


def _answer(status, body=b"", kind="text/plain", headers=None):
    from swift.common.swob import Response

    return Response(status=int(status), body=body, headers={"Content-Type": kind, **(headers or {})})


def _refuse(status, name, message):
    body = json.dumps({name: {"code": int(status), "message": message}}).encode()
    return _answer(status, body, "application/json")


def serve(directory, port, internal_port):
    """Serve until the process is ended."""
    addresses = f"public = http://127.0.0.1:{port}\ninternal = http://127.0.0.1:{internal_port}"
    settings = {"rackspace": f"paste.filter_factory = servers.rackspace:filter_factory\n{addresses}"}
    swift.serve(directory, port, internal_port, users="rackspace", settings=settings)


if __name__ == "__main__":
    end_with_stdin(sys.argv[1])
    import eventlet

    eventlet.monkey_patch()
    serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
