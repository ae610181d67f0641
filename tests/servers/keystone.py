"""OpenStack Keystone (identity v3) for tests, with a whole Swift of its own whose users are Keystone's.

Making Keystone's database takes half a minute: one with the users in it is kept beside the environment of Swift, and
every run gets a copy of it.
"""

from __future__ import annotations

import http.client
import inspect
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from servers import swift
from servers.installs import install, run
from servers.process import PATIENCE, TESTS, Server, Unavailable, answers, end_with_stdin, free_ports

REGION = "RegionOne"
ADMIN, ADMIN_PASSWORD = "admin", "admin-password"
SERVICE, SERVICE_PASSWORD = "swift", "swift-password"
USERS = (("demo", "demo-password", "demo"), ("demo2", "demo2-password", "demo2"))
"""Name, password and project. The second may do nothing in the project of the first."""
# What stands in the kept database for the addresses of a run.
_IDENTITY, _STORAGE = "http://identity.invalid", "http://storage.invalid"

CONFIGURATION = """
[DEFAULT]
log_file = {directory}/keystone.log
[database]
connection = sqlite:///{directory}/keystone.db
[token]
provider = fernet
[fernet_tokens]
key_repository = {directory}/fernet
[fernet_receipts]
key_repository = {directory}/fernet
[credential]
key_repository = {directory}/credential
[identity]
# The least there is: a password costs no time.
password_hash_rounds = 4
[cache]
enabled = false
"""
AUTHTOKEN = f"""
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
auth_type = password
user_domain_id = default
project_domain_id = default
project_name = service
username = {SERVICE}
password = {SERVICE_PASSWORD}
delay_auth_decision = true
include_service_catalog = false
cache = swift.cache
"""


class KeystoneServer(Server):
    """A Keystone, and the Swift behind it, that run until :meth:`stop`."""

    module = "servers.keystone"
    region = REGION
    user, password, project = USERS[0]
    other_user, other_password, other_project = USERS[1]
    domain = "Default"
    temp_url_key = swift.TEMP_URL_KEY

    def arguments(self):
        self.python = str(swift.find())
        shutil.copytree(template(self.python), self.directory, dirs_exist_ok=True)
        self.port, self.swift_port = free_ports(2)
        self.auth_url, self.url = f"http://127.0.0.1:{self.port}/v3", f"http://127.0.0.1:{self.swift_port}"
        (self.directory / "keystone.conf").write_text(CONFIGURATION.format(directory=self.directory))
        with sqlite3.connect(self.directory / "keystone.db") as database:
            for old, new in ((_IDENTITY, f"http://127.0.0.1:{self.port}"), (_STORAGE, self.url)):
                database.execute("UPDATE endpoint SET url = replace(url, ?, ?)", (old, new))
            [[self.project_id]] = database.execute("SELECT id FROM project WHERE name = ?", (self.project,))
        database.close()
        return self.port, self.swift_port

    def is_ready(self):
        # A port that is open is not enough: both take connections before they answer any, and the first login and the
        # first token make them load most of what they are.
        return swift.ask(f"{self.url}/healthcheck", {}) is not None and self._lets_in()

    def _lets_in(self):
        try:
            token = Seed(self.auth_url).log_in(self.user, self.password, self.project)
        except (Unavailable, OSError, http.client.HTTPException):
            return False
        return swift.prepare_account(f"{self.url}/v1/KEY_{self.project_id}", token)


def template(python):
    """Return the directory of a database with all users in it, and of its keys, made where it is missing.

    :raises Unavailable: Keystone could not make it.
    """
    made_of = (sys.version, *swift.REQUIREMENTS, inspect.getsource(sys.modules[__name__]))
    return install("keystone", made_of, lambda directory: make_template(python, directory))


def make_template(python, directory):
    """Have Keystone make its database and keys, and fill it by its API."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    (directory / "keystone.conf").write_text(CONFIGURATION.format(directory=directory))
    manage = (python, "-W", "ignore", str(Path(python).with_name("keystone-manage")))
    configured = ("--config-file", str(directory / "keystone.conf"))
    owner = (f"--keystone-user={os.getuid()}", f"--keystone-group={os.getgid()}")
    addresses = [f"--bootstrap-{kind}-url={_IDENTITY}/v3" for kind in ("public", "internal", "admin")]
    for command in (
        ("db_sync",),
        ("fernet_setup", *owner),
        ("credential_setup", *owner),
        ("bootstrap", f"--bootstrap-password={ADMIN_PASSWORD}", f"--bootstrap-region-id={REGION}", *addresses),
    ):
        run(*manage, *configured, *command)
    [port] = free_ports(1)
    identity = start_identity(python, directory, port)
    try:
        limit = time.monotonic() + PATIENCE
        while not answers(port):
            if identity.poll() is not None or time.monotonic() > limit:
                raise Unavailable("Keystone does not start")
            time.sleep(0.05)
        Seed(f"http://127.0.0.1:{port}/v3").plant()
    finally:
        # In this order: what ends with its input removes its directory.
        identity.kill()
        identity.wait()
        identity.stdin.close()
    (directory / "keystone.log").unlink(missing_ok=True)


class Seed:
    """Fills a new Keystone by its API."""

    def __init__(self, url):
        self._url = url
        self._token = None

    def plant(self):
        """Make the users, each with a project, and the catalogue's entry of Swift."""
        self._token = self.log_in(ADMIN, ADMIN_PASSWORD, ADMIN)
        roles = {each["name"]: each["id"] for each in self._send("GET", "/roles")[1]["roles"]}
        self._user(SERVICE, SERVICE_PASSWORD, "service", roles["admin"])
        for each in USERS:
            self._user(*each, roles["member"])
        service = self._create("service", name="swift", type="object-store")
        for kind in ("public", "internal", "admin"):
            url = f"{_STORAGE}/v1/KEY_%(project_id)s"
            self._create("endpoint", service_id=service, interface=kind, url=url, region_id=REGION)

    def log_in(self, name, password, project):
        """Return a token."""
        domain = {"id": "default"}
        user = {"name": name, "domain": domain, "password": password}
        scope = {"project": {"name": project, "domain": domain}}
        identity = {"methods": ["password"], "password": {"user": user}}
        headers, _ = self._send("POST", "/auth/tokens", {"auth": {"identity": identity, "scope": scope}})
        return headers["X-Subject-Token"]

    def _user(self, name, password, project, role):
        where = self._create("project", name=project, domain_id="default")
        user = self._create("user", name=name, password=password, domain_id="default", default_project_id=where)
        self._send("PUT", f"/projects/{where}/users/{user}/roles/{role}")

    def _create(self, kind, **values):
        return self._send("POST", f"/{kind}s", {kind: values})[1][kind]["id"]

    def _send(self, method, path, content=None):
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["X-Auth-Token"] = self._token
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self._url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                read = answer.read()
                return answer.headers, json.loads(read) if read else None
        except urllib.error.HTTPError as error:
            raise Unavailable(f"Keystone answers {error.code} to {path}: {error.read()[:500]}") from error


def start_identity(python, directory, port):
    """Start Keystone alone, which ends with this process."""
    command = [python, "-P", "-W", "ignore", "-m", "servers.keystone", "identity", str(directory), str(port)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)


def serve_identity(directory, port):
    """Serve Keystone until the process is ended."""
    # Keystone reads the command line of whoever imports it.
    sys.argv = ["keystone"]
    os.environ.update(OS_KEYSTONE_CONFIG_DIR=str(directory), OS_KEYSTONE_CONFIG_FILES="keystone.conf")
    import waitress
    from keystone.wsgi.api import application

    waitress.serve(application, host="127.0.0.1", port=port, threads=4, _quiet=True)


def serve(directory, port, swift_port):
    """Serve both until the process is ended: Keystone in a process of its own, as it cannot run under eventlet."""
    identity = start_identity(sys.executable, directory, port)
    import eventlet

    eventlet.monkey_patch()
    url = f"http://127.0.0.1:{port}"
    settings = {
        "authtoken": f"{AUTHTOKEN}\nauth_url = {url}\nwww_authenticate_uri = {url}",
        "keystoneauth": "reseller_prefix = KEY\noperator_roles = admin, member",
    }
    with identity:
        # One Swift with both kinds of users would ask Keystone about every token of the other kind.
        swift.serve(directory, swift_port, users="authtoken keystoneauth", settings=settings)


if __name__ == "__main__":
    if sys.argv[1] == "identity":
        end_with_stdin(sys.argv[2])
        serve_identity(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        end_with_stdin(sys.argv[1])
        serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
