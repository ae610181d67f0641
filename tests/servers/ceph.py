"""A Ceph RADOS Gateway for tests: a monitor, an OSD that keeps everything in memory, and the gateway over both.

The program of this module starts them and ends them. Should it be killed, the kernel ends them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

from servers.process import PATIENCE, Server, Unavailable, answers, certificates, free_ports, start_bound

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
ACCESS_KEY, SECRET_KEY = "test-access", "test-secret"
OTHER_ACCESS_KEY, OTHER_SECRET_KEY = "other-access", "other-secret"
SWIFT_USER, SWIFT_PASSWORD, TEMP_URL_KEY = "tester:swift", "swift-secret", "temporary-url-key"
BYTES = 8 * 2**30

CONFIGURATION = """
[global]
fsid = {fsid}
mon host = [v1:127.0.0.1:{monitor_port}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
ms bind msgr2 = false
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 2000
run dir = {directory}
admin socket = {directory}/$name.asok
crash dir = {directory}
log file =
log to stderr = false
mon cluster log file = /dev/null
[mon]
mon data = {directory}/mon
mon data avail crit = 1
mon data avail warn = 1
[osd]
osd data = {directory}/osd
osd objectstore = memstore
memstore device bytes = {bytes}
osd class update on start = false
osd heartbeat grace = 300
[client]
# Without tcp_nodelay many small answers take 40 ms.
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1 ssl_endpoint=127.0.0.1:{tls_port} \
ssl_certificate={directory}/certificate.pem ssl_private_key={directory}/key.pem
rgw data = {directory}/rgw
rgw run sync thread = false
rgw enable usage log = false
rgw enable ops log = false
rgw crypt require ssl = false
rgw crypt s3 kms backend = testing
rgw swift account in url = true
rgw swift versioning enabled = true
rgw thread pool size = 64
"""


class CephServer(Server):
    """A Ceph that runs until :meth:`stop`."""

    module = "servers.ceph"
    access_key, secret_key = ACCESS_KEY, SECRET_KEY
    other_access_key, other_secret_key = OTHER_ACCESS_KEY, OTHER_SECRET_KEY
    swift_user, swift_password, temp_url_key = SWIFT_USER, SWIFT_PASSWORD, TEMP_URL_KEY

    def arguments(self):
        missing = [each for each in PROGRAMS if shutil.which(each) is None]
        if missing:
            raise Unavailable(f"{', '.join(missing)} not installed; Debian's packages are those that .ci/run names")
        port, tls_port, monitor_port = free_ports(3)
        self.url, self.tls_url = f"http://127.0.0.1:{port}", f"https://127.0.0.1:{tls_port}"
        self.auth_url = f"{self.url}/auth/v1.0"
        self.ca_bundle = certificates(self.directory)
        for name in ("mon", "osd", "rgw"):
            (self.directory / name).mkdir()
        text = CONFIGURATION.format(
            fsid=uuid.uuid4(), directory=self.directory, bytes=BYTES, port=port, tls_port=tls_port,
            monitor_port=monitor_port,
        )  # fmt: skip
        (self.directory / "ceph.conf").write_text(text)
        return port, monitor_port

    def is_ready(self):
        return (self.directory / "ready").exists()


class Cluster:
    """The processes of a Ceph, started one after the other."""

    def __init__(self, directory, port, monitor_port):
        self._directory, self._port, self._monitor_port = directory, port, monitor_port
        self._daemons = []
        os.environ["CEPH_CONF"] = str(directory / "ceph.conf")

    def start(self):
        """Start all that is needed, and return when the gateway serves and knows its users."""
        self._start_monitor()
        self._start_osd()
        self._create_user("tester", ACCESS_KEY, SECRET_KEY, "--temp-url-key", TEMP_URL_KEY)
        self._daemon("radosgw", "-f", "-n", "client.rgw.a")
        self._create_user("other", OTHER_ACCESS_KEY, OTHER_SECRET_KEY)
        swift = ("--subuser", SWIFT_USER, "--access", "full", "--key-type", "swift", "--secret-key", SWIFT_PASSWORD)
        self._run("radosgw-admin", "subuser", "create", "--uid", "tester", *swift)
        limit = time.monotonic() + PATIENCE
        while not answers(self._port):
            self._check()
            if time.monotonic() > limit:
                raise TimeoutError("the gateway does not answer")
            time.sleep(0.05)
        (self._directory / "ready").touch()

    def _start_monitor(self):
        where = f"[v1:127.0.0.1:{self._monitor_port}]"
        fsid = next(line for line in (self._directory / "ceph.conf").read_text().splitlines() if "fsid" in line)
        monitors = str(self._directory / "monmap")
        self._run("monmaptool", "--create", "--fsid", fsid.split()[-1], "--addv", "a", where, "--clobber", monitors)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monitors)
        self._daemon("ceph-mon", "-f", "-i", "a")

    def _start_osd(self):
        name = str(uuid.uuid4())
        number = self._run("ceph", "osd", "new", name).strip()
        self._run("ceph-osd", "-i", number, "--mkfs", "--osd-uuid", name)
        self._daemon("ceph-osd", "-f", "-i", number)

    def _create_user(self, name, access_key, secret_key, *others):
        keys = ("--access-key", access_key, "--secret", secret_key)
        self._run("radosgw-admin", "user", "create", "--uid", name, "--display-name", name, *keys, *others)

    def _run(self, *command):
        done = start_bound(command, stdout=subprocess.PIPE, text=True)
        while done.poll() is None:
            self._check()
            time.sleep(0.02)
        said = done.stdout.read()
        done.stdout.close()
        if done.returncode:
            raise RuntimeError(f"{command} ended with {done.returncode}")
        self._check()
        return said

    def _daemon(self, *command):
        self._daemons.append(start_bound(command, stdout=subprocess.DEVNULL))

    def _check(self):
        for each in self._daemons:
            if each.poll() is not None:
                raise RuntimeError(f"{each.args[0]} ended")

    def stop(self):
        """End all processes; what they keep is in memory only."""
        for each in self._daemons:
            each.kill()
        for each in self._daemons:
            each.wait()
        shutil.rmtree(self._directory, ignore_errors=True)


if __name__ == "__main__":
    cluster = Cluster(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    try:
        cluster.start()
        while os.read(0, 1024):
            pass
    finally:
        cluster.stop()
