"""OpenStack Swift for tests: proxy, account, container and object server in one process, with its S3 API.

Swift brings eventlet, which changes Python itself: it gets an environment of its own, made when it is first asked for.
Keystone is in the same one: Swift's part of it has to be there.
"""

from __future__ import annotations

import http.client
import sys
import urllib.request
from pathlib import Path
from types import MappingProxyType

from servers.installs import install, run
from servers.process import Server, answers, end_with_stdin, free_ports

REQUIREMENTS = (
    "swift==2.38.3",
    "keystone==30.0.0",
    "keystonemiddleware==13.0.1",
    "waitress==3.0.2",
    "setuptools<82",
)

# S3's access key is the user, its secret key is the password.
USER, PASSWORD = "test:tester", "testing"
OTHER_USER, OTHER_PASSWORD = "test2:tester2", "testing2"
# For the one test that reads all of an account: in the others, containers come and go meanwhile.
LONE_USER, LONE_PASSWORD = "alone:tester3", "testing3"
_USERS = {USER: PASSWORD, OTHER_USER: OTHER_PASSWORD, LONE_USER: LONE_PASSWORD}
TEMP_URL_KEY = "the-key-of-these-tests"
"""What signs URLs in every account."""
POLICIES = ("default", "silver")
# All four servers are one process. Half a second, which is usual, it may have to wait for a processor; and nobody is
# there to repair listings later that were not told of an object in time.
PATIENT = "conn_timeout = 60\nnode_timeout = 60\ncontainer_update_timeout = 60\n"
# What a request passes before it is known whose it is, and behind that.
_BEFORE = "catch_errors gatekeeper healthcheck cache listing_formats bulk tempurl formpost"
_BEHIND = "staticweb copy container-quotas account-quotas slo dlo versioned_writes symlink"
SETTINGS = {
    "cache": "paste.filter_factory = servers.swift:cache_filter",
    "tempurl": "methods = GET HEAD PUT POST DELETE",
    "s3api": "location = us-east-1\nauth_pipeline_check = false",
    "tempauth": "token_life = 86400"
    + "".join(f"\nuser_{user.replace(':', '_')} = {password} .admin" for user, password in _USERS.items()),
    # More than is documented, so that it is seen who asks.
    "slo": "max_manifest_segments = 1200",
    "versioned_writes": "allow_versioned_writes = true\nallow_object_versioning = true",
}


class SwiftServer(Server):
    """A Swift that runs until :meth:`stop`."""

    module = "servers.swift"
    access_key, secret_key = USER, PASSWORD
    other_access_key, other_secret_key = OTHER_USER, OTHER_PASSWORD
    lone_user, lone_password = LONE_USER, LONE_PASSWORD
    temp_url_key = TEMP_URL_KEY

    def arguments(self):
        self.python = str(find())
        [self.port] = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.auth_url = f"{self.url}/auth/v1.0"
        return (self.port,)

    def is_ready(self):
        return answers(self.port) and all(self._prepare(*each) for each in _USERS.items())

    def _prepare(self, user, password):
        login = ask(self.auth_url, {"X-Auth-User": user, "X-Auth-Key": password})
        return login is not None and prepare_account(login["X-Storage-Url"], login["X-Auth-Token"])


class SmallSwiftServer(SwiftServer):
    """One whose pages are short, so that a large object can have more segments than one of them."""

    page = 4

    def arguments(self):
        return (*super().arguments(), f"container_listing_limit={self.page}")


def prepare_account(url, token):
    """Make an account, with the key that signs its URLs; say whether the server did so.

    Before there are tests: Swift forgets what it knew of an account before it changes it. Who asks for something in it
    meanwhile has it remember for a minute that there is no account, or none with a key.
    """
    return ask(url, {"X-Auth-Token": token, "X-Account-Meta-Temp-URL-Key": TEMP_URL_KEY}, "POST") is not None


def ask(url, headers, method="GET"):
    """Return the headers of an answer; ``None`` if there is none, or a refusal."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers, method=method), timeout=5) as answer:
            return answer.headers
    except (OSError, http.client.HTTPException):
        return None


def find():
    """Return the Python of Swift's environment. :raises Unavailable: pip could not make it."""
    # Runs under several Pythons at once do not take it from each other.
    name = "swift-{}.{}".format(*sys.version_info)
    return install(name, (sys.version, sys.base_prefix, *REQUIREMENTS), _make) / "bin" / "python"


def _make(directory):
    run(sys.executable, "-m", "venv", "--clear", "--without-pip", str(directory))
    python = str(directory / "bin" / "python")
    pip = ("pip", "--python", python, "--disable-pip-version-check", "install", "--quiet", "--retries=2")
    run(sys.executable, "-m", *pip, *REQUIREMENTS)


class Cache:
    """What Swift keeps in memcached, in a dictionary."""

    def __init__(self):
        self._values = {}

    def set(self, key, value, serialize=True, time=0, **_):
        from time import time as now

        self._values[key] = (value, now() + time if time else None)

    def get(self, key, raise_on_error=False, **_):
        from time import time as now

        value, until = self._values.get(key, (None, None))
        return value if until is None or until > now() else None

    def delete(self, key, **_):
        self._values.pop(key, None)

    def incr(self, key, delta=1, time=0, **_):
        value = max(0, int(self.get(key) or 0) + int(delta))
        self.set(key, value, time=time)
        return value

    def decr(self, key, delta=1, time=0, **_):
        return self.incr(key, -int(delta), time)

    def set_multi(self, values, server_key=None, serialize=True, time=0, **_):
        for key, value in values.items():
            self.set(key, value, time=time)

    def get_multi(self, keys, *_, **__):
        return [self.get(key) for key in keys]


def cache_filter(*_, **__):
    """Return Swift's filter ``cache``, as its configuration names it."""
    cache = Cache()

    def wrap(app):
        def serve(environ, start_response):
            environ.setdefault("swift.cache", cache)
            return app(environ, start_response)

        return serve

    return wrap


def write_proxy(directory, users, settings):
    """Write the proxy's configuration and return its path.

    :param users: the filters that know the users.
    :param settings: lines of the configuration by filter.
    """
    pipeline = f"{_BEFORE} {users} {_BEHIND}"
    lines = [f"[DEFAULT]\nswift_dir = {directory}\n{PATIENT}[pipeline:main]\npipeline = {pipeline} proxy-server"]
    lines.append(
        "[app:proxy-server]\nuse = egg:swift#proxy\nallow_account_management = true\naccount_autocreate = true"
    )
    for name in pipeline.split():
        own = settings.get(name, "")
        use = "" if "paste.filter_factory" in own else f"use = egg:swift#{name.replace('-', '_')}\n"
        lines.append(f"[filter:{name}]\n{use}{own}")
    path = directory / "proxy.conf"
    path.write_text("\n".join(lines) + "\n")
    return path


def write_backend(directory, name, port):
    """Write the configuration and the ring of a server behind the proxy, and return the path of the first."""
    from swift.common.ring import RingBuilder

    builder = RingBuilder(2, 1, 1)
    place = {"ip": "127.0.0.1", "port": port, "replication_ip": "127.0.0.1", "replication_port": port}
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1.0, "device": "d1", "meta": "", **place})
    builder.rebalance()
    policies = range(len(POLICIES)) if name == "object" else (0,)
    for number in policies:
        builder.get_ring().save(str(directory / f"{name}{f'-{number}' if number else ''}.ring.gz"))
    path = directory / f"{name}.conf"
    path.write_text(
        f"[DEFAULT]\nswift_dir = {directory}\ndevices = {directory / 'devices'}\nmount_check = false\n"
        f"disable_fallocate = true\nfallocate_reserve = 0\ndb_preallocation = off\n{PATIENT}"
        f"[pipeline:main]\npipeline = {name}-server\n[app:{name}-server]\nuse = egg:swift#{name}\n"
    )
    return path


def prepare(directory, constraints=()):
    """Write what all servers share, and make Swift read it.

    :param constraints: limits that are not the usual ones, as lines of the configuration.
    """
    (directory / "devices" / "d1").mkdir(parents=True)
    (directory / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_suffix = s\nswift_hash_path_prefix = p\n"
        + "".join(
            f"[storage-policy:{number}]\nname = {name}\ndefault = {'no' if number else 'yes'}\n"
            for number, name in enumerate(POLICIES)
        )
        + "\n".join(("[swift-constraints]", *constraints, ""))
    )
    from swift.common import constraints as limits
    from swift.common import storage_policy, utils

    utils.set_swift_dir(str(directory))
    utils.validate_hash_conf()
    limits.reload_constraints()
    storage_policy.reload_storage_policies()


def serve(directory, *ports, users="s3api tempauth", settings=MappingProxyType({}), constraints=()):
    """Serve until the process is ended, the same at all ports.

    :param users: as :func:`write_proxy` takes them; ``settings`` likewise, beside those that all have.
    :param constraints: as :func:`prepare` takes them.
    """
    import logging

    import eventlet
    from eventlet import wsgi
    from swift.common.http_protocol import SwiftHttpProtocol
    from swift.common.wsgi import loadapp

    prepare(directory, constraints)
    quiet = logging.getLogger("servers.swift")
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False

    def run(app, listener):
        wsgi.server(
            listener, app, quiet, protocol=SwiftHttpProtocol, log_output=False, max_size=512, socket_timeout=300
        )

    for name in ("object", "container", "account"):
        listener = eventlet.listen(("127.0.0.1", 0))
        path = write_backend(directory, name, listener.getsockname()[1])
        eventlet.spawn(run, loadapp(str(path), global_conf={"log_name": name}), listener)
    path = write_proxy(directory, users, {**SETTINGS, **settings})
    # One for all ports: what its filters remember is the same at each.
    proxy = loadapp(str(path), global_conf={"log_name": "proxy"})
    proxies = [eventlet.spawn(run, proxy, eventlet.listen(("127.0.0.1", port), backlog=512)) for port in ports]
    for each in proxies:
        each.wait()


if __name__ == "__main__":
    end_with_stdin(sys.argv[1])
    import eventlet

    eventlet.monkey_patch()
    serve(Path(sys.argv[1]), int(sys.argv[2]), constraints=sys.argv[3:])
