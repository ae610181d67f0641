"""The servers of the tests end with the test run, also where it is killed."""

import os
import select
import subprocess
import sys

from servers.process import TESTS

START = """
import sys
from servers.moto import MotoServer
server = MotoServer()
print(server._process.pid, server.directory, flush=True)
sys.stdin.read()
"""


def test_server_ends_with_a_killed_run(server):
    server("moto")  # skips where there is none
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-P", "-c", START], env=environment, text=True, **pipes) as run:
        pid, directory = run.stdout.readline().split()
        descriptor = os.pidfd_open(int(pid))
        try:
            run.kill()
            ended, _, _ = select.select([descriptor], [], [], 60)
        finally:
            os.close(descriptor)
    assert ended
    assert not os.path.exists(directory)
