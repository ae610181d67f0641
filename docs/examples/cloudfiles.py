"""Backups in Cloud Files, or in any Swift: list, create, upload, restore, delete.

The account comes from the environment: ``OS_USERNAME`` and ``OS_API_KEY`` for Rackspace (``cloudfiles``); for another
Swift (``openstack``) ``OS_AUTH_URL``, ``OS_USERNAME``, ``OS_PASSWORD`` and what else it asks for.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from cloudbridge_store import CloudProvider, CloudProviderFactory
from cloudbridge_store.errors import CloudBridgeBaseException


def connect(provider: str, *, service_net: bool = False) -> CloudProvider:
    """Return the account. ServiceNet is the network within Rackspace's data centre, which costs no traffic."""
    config = {"os_interface": "internal"} if service_net else {}
    return CloudProviderFactory().create_provider(provider, config)


def show(account: CloudProvider) -> None:
    """List every container, and every object in it: all of them, not the first ten thousand."""
    for container in account.storage.buckets:
        print(f"\nOBJECTS FOR CONTAINER: {container.name}")
        for obj in container.objects:
            print(f"{obj.size:>14,} {obj.last_modified} {obj.name}")


def upload(account: CloudProvider, name: str, files: Sequence[Path]) -> None:
    """Store files in a container, which is created where it is missing."""
    container = account.storage.buckets.get(name) or account.storage.buckets.create(name)
    for file in files:
        print(f"Uploading {file} to container {name}")
        # Of any size: 5 GB and more go up in segments.
        container.objects.create(file.name).upload_from_file(file)


def restore(account: CloudProvider, name: str, directory: Path) -> None:
    """Write all objects of a container below a directory; every file appears whole and checked, or not at all."""
    container = account.storage.buckets.get(name)
    if container is None:
        raise SystemExit(f"No container found with name {name}")
    report = container.download_directory(directory)
    print(f"Retrieved {report.transferred} objects, {report.bytes:,} bytes")


def delete(account: CloudProvider, name: str) -> None:
    """Delete a container with all that is in it."""
    container = account.storage.buckets.get(name)
    if container is not None:
        print(f"Deleting container {name}")
        container.delete(delete_contents=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--provider", default="cloudfiles")
    parser.add_argument("--service-net", action="store_true")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    for command in ("upload", "restore", "delete"):
        commands.add_parser(command).add_argument("container")
    commands.choices["upload"].add_argument("files", nargs="+", type=Path)
    commands.choices["restore"].add_argument("directory", type=Path)
    chosen = parser.parse_args(arguments)
    with connect(chosen.provider, service_net=chosen.service_net) as account:
        try:
            if chosen.command == "list":
                show(account)
            elif chosen.command == "upload":
                upload(account, chosen.container, chosen.files)
            elif chosen.command == "restore":
                restore(account, chosen.container, chosen.directory)
            else:
                delete(account, chosen.container)
        except CloudBridgeBaseException as error:
            raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
