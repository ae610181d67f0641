"""The pieces of work that the benchmarks of services measure, for clients with the same few methods."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner import compare

SMALL = os.urandom(4096)
RANGE = 64 * 1024
THREADS = 16
WORKLOADS = {
    "start": "import, client, first 4 KiB",
    "put": "put 4 KiB objects",
    "get": "get 4 KiB objects",
    "put16": "put 4 KiB objects, 16 at once",
    "get16": "get 4 KiB objects, 16 at once",
    "list": "list all keys",
    "range": "read 64 KiB ranges",
    "copy": "copy 4 KiB objects",
    "up": "one large file up",
    "down": "one large file down",
}
_METHODS = {"put16": "put", "get16": "get", "list": "count", "range": "read"}


@dataclass(frozen=True)
class Store:
    """What is on the server; what clients put goes to ``bucket``."""

    small: str
    """A bucket of ``objects`` objects of 4 KiB, called as :func:`name_of` says."""
    objects: int
    many: str
    """A bucket of ``keys`` objects."""
    keys: int
    large: str
    """A bucket that has the source as ``large``."""
    source: Path
    """A large file."""


def name_of(number: int) -> str:
    return f"object-{number:07}.bin"


def make_work(kind: Callable[[Any], Any], server: Any, workload: str, store: Store) -> Callable[[], object]:
    """Return the piece of work to be measured, with everything done that it needs.

    :param kind: the client, which is made with what there is to know of the server.
    """
    names = [name_of(number) for number in range(store.objects)]
    if workload == "start" and hasattr(kind, "get"):
        return lambda: kind(server).get(store.small, names[0])
    one = kind(server)
    if hasattr(one, "put_many") and workload in ("put16", "get16"):
        return one.put_many(names, SMALL) if workload == "put16" else one.get_many(store.small)
    # What a client has no method for is a row without figures.
    if not hasattr(one, _METHODS.get(workload, workload)):
        raise SystemExit("--")
    if hasattr(one, "get"):
        # What is made at the first request counts as start-up.
        one.get(store.small, names[0])
        one.put("source", SMALL)
    return _works(one, names, store)[workload]


def _works(one: Any, names: list[str], store: Store) -> dict[str, Callable[[], object]]:
    starts = [number * 7 * RANGE % (store.source.stat().st_size - RANGE) for number in range(store.objects)]
    target = store.source.with_name("copy")
    return {
        "put": lambda: [one.put(name, SMALL) for name in names],
        "get": lambda: [_check(one.get(store.small, name), 4096) for name in names],
        "put16": lambda: _at_once(lambda name: one.put(name, SMALL), names),
        "get16": lambda: _at_once(lambda name: _check(one.get(store.small, name), 4096), names),
        "list": lambda: _check(range(one.count(store.many)), store.keys),
        "range": lambda: [_check(one.read(store.large, "large", start, RANGE), RANGE) for start in starts],
        "copy": lambda: [one.copy("source", name) for name in names],
        "up": lambda: one.up(store.source, "large"),
        "down": lambda: one.down(store.large, "large", target),
    }


def _check(found: Any, size: int) -> None:
    if len(found) != size:
        raise SystemExit(f"{len(found)} instead of {size}")


def _at_once(function: Callable[[str], object], names: list[str]) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(function, names):
            pass


def add_arguments(parser: argparse.ArgumentParser, clients: Collection[str] = ()) -> None:
    """Add the options that the benchmarks of all services have."""
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--objects", type=int, default=1000)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--clients", help="names with semicolons")
    parser.add_argument("--workloads", help="names with commas")
    parser.add_argument("--python", action="append", default=[], metavar="CLIENT=PATH")
    parser.add_argument("--directory", type=Path, default=Path("/dev/shm" if os.path.isdir("/dev/shm") else "/tmp"))
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--client", choices=clients or None, help=argparse.SUPPRESS)
    parser.add_argument("--workload", choices=WORKLOADS, help=argparse.SUPPRESS)


def print_table(given: argparse.Namespace, clients: Collection[str], source: Path, *more: str) -> None:
    """Measure what is asked for, each in a process of its own, and print the table.

    :param more: arguments of those processes.
    """
    chosen = {name: WORKLOADS[name] for name in (given.workloads.split(",") if given.workloads else WORKLOADS)}
    pythons = dict(each.split("=", 1) for each in given.python)
    passed = ["--objects", str(given.objects), "--keys", str(given.keys), "--source", str(source), *more]
    print(f"{given.objects} objects, {given.keys} keys, {given.mib} MiB, {given.rounds} rounds\n", flush=True)
    named = given.clients.split(";") if given.clients else list(clients)
    print(compare(sys.argv[0], named, chosen, given.rounds, passed, pythons))


def write_source(path: Path, mib: int) -> Path:
    """Write a file of random bytes."""
    with open(path, "wb") as file:
        file.writelines(os.urandom(2**20) for _ in range(mib))
    return path
