"""Clients of Azure Blob that services.py compares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from common_clients import FsspecClient, LibcloudClient, OwnClient

Facts = Mapping[str, str]


def address_of(server: Facts) -> str:
    return f"{server['url']}/{server['account']}"


class Sdk:
    """azure-storage-blob as it comes."""

    def __init__(self, server: Facts) -> None:
        from azure.storage.blob import BlobServiceClient

        self.client = BlobServiceClient(address_of(server), server["key"])

    def blob(self, bucket: str, name: str) -> Any:
        return self.client.get_blob_client(bucket, name)

    def put(self, name: str, data: bytes) -> None:
        self.blob("bucket", name).upload_blob(data, overwrite=True)

    def get(self, bucket: str, name: str) -> bytes:
        data: bytes = self.blob(bucket, name).download_blob().readall()
        return data

    def read(self, bucket: str, name: str, start: int, size: int) -> bytes:
        data: bytes = self.blob(bucket, name).download_blob(start, size).readall()
        return data

    def count(self, bucket: str) -> int:
        return sum(1 for _ in self.client.get_container_client(bucket).list_blobs())

    def copy(self, name: str, to: str) -> None:
        self.blob("bucket", to).start_copy_from_url(self.blob("bucket", name).url)

    def up(self, path: Path, name: str) -> None:
        with open(path, "rb") as file:
            self.blob("bucket", name).upload_blob(file, overwrite=True, max_concurrency=5)

    def down(self, bucket: str, name: str, path: Path) -> None:
        with open(path, "wb") as file:
            self.blob(bucket, name).download_blob(max_concurrency=5).readinto(file)


class SdkChecked(Sdk):
    """The same with MD5s in both directions, which is what this library does."""

    def put(self, name: str, data: bytes) -> None:
        self.blob("bucket", name).upload_blob(data, overwrite=True, validate_content=True)

    def get(self, bucket: str, name: str) -> bytes:
        data: bytes = self.blob(bucket, name).download_blob(validate_content=True).readall()
        return data

    def up(self, path: Path, name: str) -> None:
        with open(path, "rb") as file:
            self.blob("bucket", name).upload_blob(file, overwrite=True, max_concurrency=5, validate_content=True)

    def down(self, bucket: str, name: str, path: Path) -> None:
        with open(path, "wb") as file:
            self.blob(bucket, name).download_blob(max_concurrency=5, validate_content=True).readinto(file)


class Ours(OwnClient):
    """cloudbridge_store."""

    def __init__(self, server: Facts) -> None:
        keys = {"azure_storage_account": server["account"], "azure_storage_key": server["key"]}
        super().__init__("azure", {"azure_endpoint_url": address_of(server), **keys})


class Adlfs(FsspecClient):
    """adlfs."""

    def __init__(self, server: Facts) -> None:
        from adlfs import AzureBlobFileSystem

        account = f"AccountName={server['account']};AccountKey={server['key']};BlobEndpoint={address_of(server)}"
        super().__init__(AzureBlobFileSystem(connection_string=f"DefaultEndpointsProtocol=http;{account};"))

    def up(self, path: Path, name: str) -> None:
        self.system.put_file(str(path), f"bucket/{name}", overwrite=True)


class Libcloud(LibcloudClient):
    """Apache Libcloud."""

    def __init__(self, server: Facts) -> None:
        from libcloud.storage.drivers.azure_blobs import AzureBlobsStorageDriver

        at = urlsplit(server["url"])
        super().__init__(
            AzureBlobsStorageDriver(
                key=server["account"], secret=server["key"], secure=False, host=at.hostname, port=at.port
            )
        )


CLIENTS: dict[str, Callable[[Facts], Any]] = {
    "azure-storage-blob": Sdk,
    "azure-storage-blob, MD5": SdkChecked,
    "cloudbridge_store": Ours,
    "adlfs": Adlfs,
    "libcloud": Libcloud,
}
