"""Clients of Azure Blob, Google Cloud Storage or Swift side by side, on the servers that the tests use.

    python tests/benchmarks/services.py azure|gcp|openstack [--rounds 5] [--objects 1000] [--keys 20000] [--mib 1024]
        [--clients "A;B"] [--workloads A,B] [--python CLIENT=/path/to/python]...

Azurite, our fake of Google's and Swift are slower than any client, and take most of the seconds by the clock. So what
is worth reading is the CPU of the client. The peers, each with its row where it is installed::

    pip install adlfs apache-libcloud        # azure
    pip install gcsfs apache-libcloud        # gcp
    pip install python-swiftclient apache-libcloud    # openstack

CloudBridge wants versions of its own; ``--python cloudbridge=PATH`` names an environment that has it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

from runner import measure
from workloads import SMALL, THREADS, Store, add_arguments, make_work, name_of, print_table, write_source

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
SERVICES = {"azure": "azurite", "gcp": "gcs", "openstack": "swift"}


def fill(own: Any, given: argparse.Namespace, source: Path) -> None:
    """Put on the server what is to be read there."""
    for name in ("bucket", "small", "many"):
        own.provider.storage.buckets.create(name)
    with ThreadPoolExecutor(THREADS) as pool:
        for bucket, count, content in (("small", given.objects, SMALL), ("many", given.keys, b"")):
            objects = own.objects(bucket)
            for _ in pool.map(lambda number: objects.create(name_of(number)).upload(content), range(count)):  # noqa: B023
                pass
    own.objects("small").create("large").upload_from_file(source)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("service", choices=SERVICES)
    add_arguments(parser)
    parser.set_defaults(keys=20_000)
    parser.add_argument("--server", type=json.loads, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Print the table, or, where told a client, one measurement."""
    given = parse_arguments()
    clients = import_module(f"{given.service}_clients").CLIENTS
    if given.client:
        store = Store("small", given.objects, "many", given.keys, "small", given.source)
        print(json.dumps(measure(make_work(clients[given.client], given.server, given.workload, store))))
        return
    from servers.keeper import Keeper

    with tempfile.TemporaryDirectory(dir=given.directory) as name, closing(Keeper()) as keeper:
        source = write_source(Path(name, "source"), given.mib)
        server = {key: str(value) for key, value in vars(keeper.get(SERVICES[given.service])).items()}
        fill(clients["cloudbridge_store"](server), given, source)
        print_table(given, clients, source, given.service, "--server", json.dumps(server))


if __name__ == "__main__":
    main()
