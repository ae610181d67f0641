"""The servers of the tests end with the test run, also where it is killed."""

import os
import select
import subprocess
import sys

import pytest
from servers.process import TESTS

START = """
import sys
from servers.keeper import start
server = start(sys.argv[1])
print(server._process.pid, server.directory, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["moto", "azurite"])
def test_server_ends_with_a_killed_run(server, kind):
    server(kind)  # skips where there is none
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-P", "-c", START, kind], env=environment, text=True, **pipes) as run:
        pid, directory = run.stdout.readline().split()
        descriptor = os.pidfd_open(int(pid))
        try:
            run.kill()
            ended, _, _ = select.select([descriptor], [], [], 60)
        finally:
            os.close(descriptor)
    assert ended
    assert not os.path.exists(directory)
