"""Clients of Google Cloud Storage that services.py compares."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from common_clients import FsspecClient, OwnClient

Facts = Mapping[str, str]


class Sdk:
    """google-cloud-storage as it comes."""

    def __init__(self, server: Facts) -> None:
        from google.cloud.storage import Client
        from google.oauth2.service_account import Credentials

        scopes = ["https://www.googleapis.com/auth/devstorage.full_control"]
        credentials = Credentials.from_service_account_file(server["credentials_file"], scopes=scopes)
        self.client = Client(server["project"], credentials, client_options={"api_endpoint": server["url"]})

    def blob(self, bucket: str, name: str) -> Any:
        return self.client.bucket(bucket).blob(name)

    def put(self, name: str, data: bytes) -> None:
        self.blob("bucket", name).upload_from_string(data)

    def get(self, bucket: str, name: str) -> bytes:
        data: bytes = self.blob(bucket, name).download_as_bytes()
        return data

    def read(self, bucket: str, name: str, start: int, size: int) -> bytes:
        data: bytes = self.blob(bucket, name).download_as_bytes(start=start, end=start + size - 1)
        return data

    def count(self, bucket: str) -> int:
        return sum(1 for _ in self.client.list_blobs(bucket))

    def copy(self, name: str, to: str) -> None:
        bucket = self.client.bucket("bucket")
        bucket.copy_blob(bucket.blob(name), bucket, to)

    def up(self, path: Path, name: str) -> None:
        self.blob("bucket", name).upload_from_filename(str(path))

    def down(self, bucket: str, name: str, path: Path) -> None:
        self.blob(bucket, name).download_to_filename(str(path))


class TransferManager(Sdk):
    """Its transfer manager, with threads."""

    def up(self, path: Path, name: str) -> None:
        from google.cloud.storage import transfer_manager

        transfer_manager.upload_chunks_concurrently(
            str(path), self.blob("bucket", name), chunk_size=16 * 2**20, max_workers=5, worker_type="thread"
        )

    def down(self, bucket: str, name: str, path: Path) -> None:
        from google.cloud.storage import transfer_manager

        transfer_manager.download_chunks_concurrently(
            self.blob(bucket, name), str(path), chunk_size=16 * 2**20, max_workers=5, worker_type="thread"
        )


class Ours(OwnClient):
    """cloudbridge_store."""

    def __init__(self, server: Facts) -> None:
        keys = {"gcp_service_creds_file": server["credentials_file"], "gcp_project_name": server["project"]}
        super().__init__("gcp", {"gcp_endpoint_url": server["url"], **keys})


class Gcsfs(FsspecClient):
    """gcsfs."""

    def __init__(self, server: Facts) -> None:
        # Otherwise it asks Google itself for each bucket's layout, by gRPC, which no address in its settings changes.
        os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
        from gcsfs import GCSFileSystem

        there = {"endpoint_url": server["url"], "use_listings_cache": False}
        super().__init__(GCSFileSystem(server["project"], token=server["credentials_file"], **there))


CLIENTS: dict[str, Callable[[Facts], Any]] = {
    "google-cloud-storage": Sdk,
    "its transfer_manager": TransferManager,
    "cloudbridge_store": Ours,
    "gcsfs": Gcsfs,
}
