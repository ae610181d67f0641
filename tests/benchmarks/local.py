"""LOCAL beside plain file calls, libcloud's and fsspec's local back ends, on the same disk in one run.

    python tests/benchmarks/local.py [--rounds 5] [--objects 2000] [--mib 1024] [--directory DIR]

Install ``apache-libcloud``, ``fasteners`` and ``fsspec`` to have their rows. ``cloudbridge_store`` runs with
``local_fsync`` off, as the others do not flush either; ``cloudbridge_store, durable`` is its default.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from runner import compare, measure

SMALL = os.urandom(4096)
WORKLOADS = {
    "start": "import, first object",
    "put": "put 4 KiB objects",
    "get": "get 4 KiB objects",
    "list": "list them",
    "delete": "delete them",
    "up": "one large file up",
    "down": "one large file down",
}


class Plain:
    """Files by ``open`` and ``shutil``: no metadata, no checksum, no atomicity."""

    def __init__(self, root: Path) -> None:
        self.root = root / "bucket"
        self.root.mkdir(parents=True, exist_ok=True)

    def put(self, name: str, data: bytes) -> None:
        with open(self.root / name, "wb") as file:
            file.write(data)

    def get(self, name: str) -> bytes:
        with open(self.root / name, "rb") as file:
            return file.read()

    def names(self) -> list[str]:
        return sorted(entry.name for entry in os.scandir(self.root))

    def delete(self, name: str) -> None:
        os.unlink(self.root / name)

    def up(self, path: Path, name: str) -> None:
        shutil.copyfile(path, self.root / name)

    def down(self, name: str, path: Path) -> None:
        shutil.copyfile(self.root / name, path)


class Ours:
    """cloudbridge_store, LOCAL."""

    durable = False

    def __init__(self, root: Path) -> None:
        from cloudbridge_store import CloudProviderFactory

        config = {"local_root": root, "local_fsync": self.durable}
        buckets = CloudProviderFactory().create_provider("local", config).storage.buckets
        self.objects = (buckets.get("bucket") or buckets.create("bucket")).objects

    def put(self, name: str, data: bytes) -> None:
        self.objects.create(name).upload(data)

    def get(self, name: str) -> bytes:
        return self.objects.create(name).content()

    def names(self) -> list[str]:
        return [each.name for each in self.objects]

    def delete(self, name: str) -> None:
        self.objects.create(name).delete()

    def up(self, path: Path, name: str) -> None:
        self.objects.create(name).upload_from_file(path)

    def down(self, name: str, path: Path) -> None:
        self.objects.create(name).download_to_file(path)


class OursDurable(Ours):
    """The same as it comes: every write is flushed to the disk."""

    durable = True


class Libcloud:
    """Apache Libcloud, LOCAL, with its interprocess locks off."""

    def __init__(self, root: Path) -> None:
        from libcloud.storage.drivers.local import LocalStorageDriver

        root.mkdir(parents=True, exist_ok=True)
        self.driver = LocalStorageDriver(str(root), ex_use_locking=False)
        try:
            self.bucket = self.driver.get_container("bucket")
        except Exception:
            self.bucket = self.driver.create_container("bucket")

    def put(self, name: str, data: bytes) -> None:
        self.driver.upload_object_via_stream(iter([data]), self.bucket, name)

    def get(self, name: str) -> bytes:
        return b"".join(self.driver.get_object("bucket", name).as_stream())

    def names(self) -> list[str]:
        return [each.name for each in self.driver.iterate_container_objects(self.bucket)]

    def delete(self, name: str) -> None:
        self.driver.get_object("bucket", name).delete()

    def up(self, path: Path, name: str) -> None:
        self.driver.upload_object(str(path), self.bucket, name)

    def down(self, name: str, path: Path) -> None:
        self.driver.get_object("bucket", name).download(str(path), overwrite_existing=True)


class Fsspec:
    """fsspec's local file system."""

    def __init__(self, root: Path) -> None:
        from fsspec.implementations.local import LocalFileSystem

        self.system = LocalFileSystem(use_listings_cache=False)
        self.root = root / "bucket"
        self.system.makedirs(self.root, exist_ok=True)

    def put(self, name: str, data: bytes) -> None:
        self.system.pipe_file(str(self.root / name), data)

    def get(self, name: str) -> bytes:
        data: bytes = self.system.cat_file(str(self.root / name))
        return data

    def names(self) -> list[str]:
        return sorted(self.system.find(str(self.root)))

    def delete(self, name: str) -> None:
        self.system.rm_file(str(self.root / name))

    def up(self, path: Path, name: str) -> None:
        self.system.put_file(str(path), str(self.root / name))

    def down(self, name: str, path: Path) -> None:
        self.system.get_file(str(self.root / name), str(path))


CLIENTS: dict[str, Callable[[Path], Plain | Ours | Libcloud | Fsspec]] = {
    "plain files": Plain,
    "cloudbridge_store": Ours,
    "cloudbridge_store, durable": OursDurable,
    "libcloud": Libcloud,
    "fsspec": Fsspec,
}


def work(client: str, workload: str, directory: Path, objects: int, source: Path) -> dict[str, float]:
    """Prepare and measure one workload of one client."""
    root = Path(tempfile.mkdtemp(dir=directory))
    names = [f"object-{number:06}" for number in range(objects)]
    try:
        if workload == "start":
            return measure(lambda: CLIENTS[client](root).put("first", SMALL))
        store = CLIENTS[client](root)
        if workload in ("get", "list", "delete"):
            for name in names:
                store.put(name, SMALL)
        if workload == "down":
            store.up(source, "large")
        steps: dict[str, Callable[[], object]] = {
            "put": lambda: [store.put(name, SMALL) for name in names],
            "get": lambda: [store.get(name) for name in names],
            "list": store.names,
            "delete": lambda: [store.delete(name) for name in names],
            "up": lambda: store.up(source, "large"),
            "down": lambda: store.down("large", root / "copy"),
        }
        return measure(steps[workload])
    finally:
        shutil.rmtree(root)


def main() -> None:
    """Print the table, or, where told a client, one measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--objects", type=int, default=2000)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--workload", choices=WORKLOADS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client:
        print(json.dumps(work(given.client, given.workload, given.directory, given.objects, given.source)))
        return
    with tempfile.NamedTemporaryFile(dir=given.directory) as source:
        for _ in range(given.mib):
            source.write(os.urandom(2**20))
        source.flush()
        passed = ["--objects", str(given.objects), "--directory", str(given.directory), "--source", source.name]
        print(
            f"{given.objects} objects of 4 KiB, a file of {given.mib} MiB, {given.rounds} rounds, {given.directory}\n"
        )
        print(compare(sys.argv[0], list(CLIENTS), WORKLOADS, given.rounds, passed))


if __name__ == "__main__":
    main()
