"""The servers of a test run: each is started once, by the process that all others were started by."""

from __future__ import annotations

import os

import pytest
from servers.keeper import Keeper, ask
from servers.process import Unavailable
from servers.scripted import Script

_KEEPER = pytest.StashKey[Keeper]()


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.stash[_KEEPER] = Keeper()


def pytest_unconfigure(config):
    if _KEEPER in config.stash:
        config.stash[_KEEPER].close()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    # Where faults are played, time-outs are waited for: one process more than there are processors.
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    keeper = node.config.stash[_KEEPER]
    node.workerinput["servers"] = (keeper.address, keeper.secret.hex())


@pytest.fixture(scope="session", autouse=True)
def _own_journal(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CBS_JOURNAL", str(tmp_path_factory.mktemp("journal")))
        yield


@pytest.fixture(scope="session")
def server(request):
    """Return a server by name; without it the test is skipped, and fails in continuous integration."""

    def find(kind):
        config = request.config
        try:
            if _KEEPER in config.stash:
                return config.stash[_KEEPER].get(kind)
            address, secret = config.workerinput["servers"]
            return ask(address, bytes.fromhex(secret), kind)
        except Unavailable as error:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no {kind}: {error}")

    return find


@pytest.fixture
def serve():
    """Start servers that answer from a script: a function of a request."""
    scripts = []

    def start(answer, context=None):
        scripts.append(Script(answer, context))
        return scripts[-1]

    yield start
    for script in scripts:
        script.close()
