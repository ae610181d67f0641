"""How a server is started, waited for and stopped, and how it learns that the test run is over."""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PATIENCE = 90
"""Seconds until a server must have started, and until it must have ended."""
ATTEMPTS = 5
_PR_SET_PDEATHSIG = 1


class Unavailable(Exception):
    """A server cannot be had on this machine. The message says why."""


class Server:
    """A server that runs until :meth:`stop`, or until this process ends, however it ends.

    Subclasses set :attr:`module` and say by :meth:`is_ready` when it serves.
    """

    module = ""
    """The program, as ``python -m`` takes it."""
    python = sys.executable
    _process = None

    def __init__(self):
        for attempt in range(1, ATTEMPTS + 1):
            self.directory = Path(tempfile.mkdtemp(prefix="cbs-server-", dir=_memory()))
            try:
                self._start()
            except BaseException as error:
                self.stop()
                # Somebody else may take a port between finding and using it.
                if attempt == ATTEMPTS or not isinstance(error, RuntimeError):
                    raise
            else:
                return

    @property
    def _log(self):
        # Beside the directory, which the program removes when it ends.
        return self.directory.with_name(f"{self.directory.name}.log")

    def arguments(self):
        """Prepare all that the program needs, and return its arguments behind the directory."""
        raise NotImplementedError

    def is_ready(self):
        """Say whether the server serves."""
        raise NotImplementedError

    def facts(self):
        """Return what tests know of the server: its public values by name."""
        names = [name for name in dir(self) if not name.startswith("_")]
        return {name: value for name in names if isinstance(value := getattr(self, name), int | str | Path)}

    def _start(self):
        arguments = map(str, (self.directory, *self.arguments()))
        command = [self.python, "-P", "-W", "ignore", "-m", self.module, *arguments]
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(TESTS), "PYTHONDONTWRITEBYTECODE": "1"},
                # An interrupt at the terminal is for the tests. The server ends after they have cleaned up.
                start_new_session=True,
            )
        self._wait()

    def _wait(self):
        limit = time.monotonic() + PATIENCE
        ready = False
        while not ready:
            # In this order: on a port that was taken meanwhile, somebody else answers.
            ready = self.is_ready()
            if self._process.poll() is not None:
                said = self._log.read_text(errors="replace")
                raise RuntimeError(f"{self.module} did not start: {said[-4000:]}")
            if time.monotonic() > limit:
                raise RuntimeError(f"{self.module} did not answer within {PATIENCE} s")
            if not ready:
                self._pause()

    def _pause(self):
        try:
            self._process.wait(0.05)
        except subprocess.TimeoutExpired:
            pass

    def stop(self):
        """End the server and remove its files."""
        if self._process is not None:
            self._process.stdin.close()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
        self._log.unlink(missing_ok=True)


def _memory():
    """Return a directory in memory, where there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def free_ports(count):
    """Return ports of this machine that nobody listens on, each another."""
    taken = [_take_port() for _ in range(count)]
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports


def _take_port():
    # Not one of those that the kernel gives to connections, of which the tests open thousands meanwhile.
    while True:
        try:
            return socket.create_server(("127.0.0.1", random.randrange(15_000, 30_000)))
        except OSError:
            continue


def answers(port):
    """Say whether somebody listens on a port."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def end_with_stdin(directory):
    """Have this process end, and its directory removed, as soon as its standard input ends."""
    read = os.read  # which eventlet replaces

    def wait():
        while read(0, 1024):
            pass
        shutil.rmtree(directory, ignore_errors=True)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def start_bound(command, **others):
    """Start a program that the kernel ends together with this process, however that ends.

    To be called from the main thread, before there are others: the kernel takes the end of the thread that started it
    for the end of the process, and only alone is ``preexec_fn`` safe.
    """
    library = ctypes.CDLL(None)

    def bind():
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return subprocess.Popen(command, preexec_fn=bind, **others)  # noqa: PLW1509


def certificates(directory):
    """Write ``certificate.pem`` and ``key.pem`` for this machine's own address, and return the file of their CA."""
    try:
        import trustme
    except ImportError as error:
        raise Unavailable("trustme is not installed") from error

    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    for part in issued.cert_chain_pems:
        part.write_to_path(directory / "certificate.pem", append=True)
    issued.private_key_pem.write_to_path(directory / "key.pem")
    authority.cert_pem.write_to_path(directory / "ca.pem")
    return directory / "ca.pem"
