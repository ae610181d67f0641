"""Clients of Swift's own protocol side by side, against the in-process Swift of the tests.

    python tests/benchmarks/swift.py [--rounds 3] [--objects 300] [--keys 2000] [--mib 256] [--clients "A;B"]
        [--workloads A,B] [--python CLIENT=/path/to/python]...

The peers, each with its row where it is installed: ``pip install python-swiftclient openstacksdk``. CloudBridge wants
an environment of its own, which ``--python`` names::

    python -m venv cloudbridge && cloudbridge/bin/pip install "cloudbridge[openstack]"
    python tests/benchmarks/swift.py --python cloudbridge=cloudbridge/bin/python

Swift is the slower side of every request here: what tells the clients apart is their CPU, user and system. All of them
begin with the same token, so that none is measured logging in.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runner import compare, measure
from swift_clients import CLIENTS, CONTAINER, KEY, USER

SMALL = os.urandom(4096)
THREADS = 16
WORKLOADS = {
    "start": "import, client, first 4 KiB",
    "put": "put 4 KiB objects",
    "get": "get 4 KiB objects",
    "list": "list all keys",
    "up": "one large file up",
    "down": "one large file down",
}


def make_work(client: str, workload: str, given: argparse.Namespace) -> Callable[[], object]:
    """Return the piece of work to be measured, with everything done that it needs."""
    make = CLIENTS[client]
    if workload == "start":
        return lambda: _check(make(given.url, given.token).get("source"), 4096)
    one = make(given.url, given.token)
    # What is made at the first request counts as start-up.
    one.get("source")
    one.put("first", SMALL)
    names = [f"object-{number:07}.bin" for number in range(given.objects)]
    target = given.source.with_name("copy")
    work: dict[str, Callable[[], object]] = {
        "put": lambda: [one.put(name, SMALL) for name in names],
        "get": lambda: [_check(one.get("source"), 4096) for _ in names],
        "list": lambda: _check(range(one.count("listed/")), given.keys),
        "up": lambda: one.up(given.source, f"large-{client}"),
        "down": lambda: one.down("large", target),
    }
    return work[workload]


def _check(found: bytes | range, size: int) -> None:
    if len(found) != size:
        raise SystemExit(f"{len(found)} instead of {size}")


def log_in(address: str) -> tuple[str, str]:
    """Return the account's address and a token."""
    request = urllib.request.Request(address, headers={"X-Auth-User": USER, "X-Auth-Key": KEY})
    with urllib.request.urlopen(request) as answer:
        return answer.headers["X-Storage-Url"], answer.headers["X-Auth-Token"]


def prepare(url: str, token: str, source: Path, keys: int) -> None:
    """Store what is read."""

    def put(path: str, data: bytes | None = None) -> None:
        request = urllib.request.Request(f"{url}/{path}", data, {"X-Auth-Token": token}, method="PUT")
        urllib.request.urlopen(request).close()

    put(CONTAINER)
    put(f"{CONTAINER}/source", SMALL)
    put(f"{CONTAINER}/large", source.read_bytes())
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(lambda number: put(f"{CONTAINER}/listed/{number:07}", b"x"), range(keys)):
            pass


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--objects", type=int, default=300)
    parser.add_argument("--keys", type=int, default=2000)
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--clients", help="names with semicolons")
    parser.add_argument("--workloads", help="names with commas")
    parser.add_argument("--python", action="append", default=[], metavar="CLIENT=PATH")
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--token", help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--workload", choices=WORKLOADS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Print the table, or, where told a client, one measurement."""
    given = parse_arguments()
    if given.client:
        print(json.dumps(measure(make_work(given.client, given.workload, given))))
        return
    chosen = {name: WORKLOADS[name] for name in (given.workloads.split(",") if given.workloads else WORKLOADS)}
    clients = given.clients.split(";") if given.clients else list(CLIENTS)
    pythons = dict(each.split("=", 1) for each in given.python)
    sys.path.append(str(Path(__file__).parents[1]))
    from servers.swift import SwiftServer

    server = SwiftServer()
    try:
        with tempfile.TemporaryDirectory() as name:
            source = Path(name) / "source"
            source.write_bytes(os.urandom(given.mib * 2**20))
            url, token = log_in(server.auth_url)
            prepare(url, token, source, given.keys)
            passed = ["--objects", given.objects, "--keys", given.keys, "--url", url, "--token", token]
            arguments = [*map(str, passed), "--source", str(source)]
            print(compare(__file__, clients, chosen, given.rounds, arguments, pythons))
    finally:
        server.stop()


if __name__ == "__main__":
    main()
