"""What the tests of Swift share: a scripted service with logins of version 1, and providers of it."""

import json
import socket

import pytest

pytest.importorskip("keystoneauth1")

from cloudbridge_store import CloudProviderFactory, RetryConfig


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch, tmp_path):
    import os

    for name in list(os.environ):
        if name.startswith(("OS_", "ST_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **keywords):
        message = f"a connection was opened: {arguments}"
        raise AssertionError(message)

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def make():
    """Return a provider of a configuration."""
    made = []

    def make_provider(name="openstack", **config):
        made.append(CloudProviderFactory().create_provider(name, config))
        return made[-1]

    yield make_provider
    for provider in made:
        provider.close()


NAMED = {"X-Trans-Id": "tx1", "x-amz-request-id": None}


class Swift:
    """A service of version 1 whose answers are scripted.

    ``answer(asked)`` is asked about all but logins and ``/info``, and returns status, headers and body.

    :param info: what it says that it can do.
    """

    def __init__(self, serve, answer, info=None):
        self.logins = 0
        self.login_status = 200
        self._info = info
        self.good = "token-1"
        self._answer = answer
        self.script = serve(self._serve)

    def _serve(self, asked):
        if asked.path == "/auth/v1.0":
            if self.login_status != 200:
                return self.login_status, NAMED, b""
            self.logins += 1
            self.good = f"token-{self.logins}"
            headers = {"X-Auth-Token": self.good, "X-Storage-Url": f"{self.script.url}/v1/AUTH_a"}
            return 200, {**NAMED, **headers}, b""
        if asked.path == "/info" and self._info is not None:
            return 200, NAMED, json.dumps({"swift": {}, **self._info}).encode()
        if asked.headers.get("x-auth-token") != self.good:
            return 401, NAMED, b"<html><h1>Unauthorized</h1></html>"
        found = self._answer(asked)
        if found is None:
            return None
        status, headers, body = found
        return status, {**NAMED, **headers}, body

    @property
    def asked(self):
        return [each for each in self.script.asked if each.path != "/auth/v1.0"]

    @property
    def config(self):
        return {
            "os_auth_url": f"{self.script.url}/auth/v1.0",
            "os_username": "me",
            "os_password": "geheim",
            "retry": RetryConfig(attempts=2, base=0.001, throttled_base=0.001),
        }


@pytest.fixture
def swift(serve):
    """Return a scripted Swift."""
    return lambda answer, **info: Swift(serve, answer, info or None)
