"""One set of servers for a whole test run: started when first asked for, shared by all processes of the run."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import defaultdict
from importlib import import_module
from multiprocessing.connection import Client, Listener
from types import SimpleNamespace

from servers.process import Unavailable

KINDS = {
    "moto": "servers.moto:MotoServer",
    "swift": "servers.swift:SwiftServer",
    "swift-small": "servers.swift:SmallSwiftServer",
    "keystone": "servers.keystone:KeystoneServer",
    "rackspace": "servers.rackspace:RackspaceServer",
    "ceph": "servers.ceph:CephServer",
    "azurite": "servers.azurite:AzuriteServer",
    "azurite-tls": "servers.azurite:AzuriteTlsServer",
    "gcs": "servers.gcs:GcsServer",
}


class Keeper:
    """Starts servers and keeps them until :meth:`close`. Other processes ask it by way of a socket."""

    def __init__(self):
        self._servers = {}
        self._closed = False
        self._locks = defaultdict(threading.Lock)
        self._directory = tempfile.TemporaryDirectory(prefix="cbs-keeper-")
        self.secret = os.urandom(16)
        self._listener = Listener(os.path.join(self._directory.name, "socket"), "AF_UNIX", authkey=self.secret)
        self.address = self._listener.address
        threading.Thread(target=self._listen, daemon=True).start()

    def get(self, kind):
        """Return what is to be known of a server. :raises Unavailable: it cannot be had here, and why."""
        with self._locks[kind]:
            if kind not in self._servers:
                self._servers[kind] = self._start(kind)
            found = self._servers[kind]
        if isinstance(found, Exception):
            raise found
        return SimpleNamespace(**found.facts())

    def _start(self, kind):
        try:
            return start(kind)
        except Exception as error:
            return error

    def _listen(self):
        while not self._closed:
            try:
                connection = self._listener.accept()
            except Exception:
                continue  # it went away before it could ask
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with connection:
            try:
                connection.send(self.get(connection.recv()))
            except Unavailable as error:
                connection.send(error)
            except Exception as error:
                connection.send(RuntimeError(str(error)))

    def close(self):
        """Stop all servers."""
        self._closed = True
        self._listener.close()
        for kind, server in self._servers.items():
            with self._locks[kind]:
                if not isinstance(server, Exception):
                    server.stop()
        self._servers.clear()
        self._directory.cleanup()


def start(kind):
    """Start a server by its name. :raises Unavailable:"""
    module, _, name = KINDS[kind].partition(":")
    return getattr(import_module(module), name)()


def ask(address, secret, kind):
    """Return what :meth:`Keeper.get` of another process returns, or raise what it raises."""
    with Client(address, "AF_UNIX", authkey=secret) as connection:
        connection.send(kind)
        answer = connection.recv()
    if isinstance(answer, Exception):
        raise answer
    return answer
