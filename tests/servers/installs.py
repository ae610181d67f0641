"""What servers are made of, where it must not mix with this environment: installed once, into ``.servers``."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess

from servers.process import TESTS, Unavailable

DIRECTORY = TESTS.parent / ".servers"


def install(name, wanted, make):
    """Return a directory that ``make`` filled; it is filled anew where it was made for something else.

    :param wanted: strings that say what the directory is made from.
    :param make: a function of the directory, which may be there or not.
    :raises Unavailable: from ``make``.
    """
    directory = DIRECTORY / name
    mark = directory / "installed"
    digest = hashlib.sha256("\0".join(wanted).encode()).hexdigest()
    DIRECTORY.mkdir(exist_ok=True)
    # Test runs that start together wait for the first of them.
    with open(DIRECTORY / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (mark.exists() and mark.read_text() == digest):
            make(directory)
            mark.write_text(digest)
    return directory


def run(*command):
    """Run a program that installs something. :raises Unavailable: it failed; the message is what it said."""
    environment = {**os.environ, "PIP_USER": "0"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise Unavailable(f"{' '.join(map(str, command))}: {done.stderr[-2000:]}")
