"""Clients of OpenStack Swift that services.py compares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from common_clients import LibcloudClient, OwnClient

Facts = Mapping[str, str]


class Swiftclient:
    """python-swiftclient. It compares no checksum by itself."""

    def __init__(self, server: Facts) -> None:
        from swiftclient.client import Connection

        self.client = Connection(server["auth_url"], server["access_key"], server["secret_key"])

    def put(self, name: str, data: bytes) -> None:
        self.client.put_object("bucket", name, data)

    def get(self, bucket: str, name: str) -> bytes:
        data: bytes = self.client.get_object(bucket, name)[1]
        return data

    def read(self, bucket: str, name: str, start: int, size: int) -> bytes:
        asked = {"Range": f"bytes={start}-{start + size - 1}"}
        data: bytes = self.client.get_object(bucket, name, headers=asked)[1]
        return data

    def count(self, bucket: str) -> int:
        return len(self.client.get_container(bucket, full_listing=True)[1])

    def copy(self, name: str, to: str) -> None:
        self.client.copy_object("bucket", name, f"/bucket/{to}")

    def up(self, path: Path, name: str) -> None:
        with open(path, "rb") as file:
            self.client.put_object("bucket", name, file, content_length=path.stat().st_size, chunk_size=2**20)

    def down(self, bucket: str, name: str, path: Path) -> None:
        with open(path, "wb") as file:
            file.writelines(self.client.get_object(bucket, name, resp_chunk_size=2**20)[1])


class SwiftService(Swiftclient):
    """Its service for files, which sends segments in parallel and compares MD5s."""

    def __init__(self, server: Facts) -> None:
        super().__init__(server)
        self.client.get_auth()
        self.options = {"os_storage_url": self.client.url, "os_auth_token": self.client.token, "auth_version": "1.0"}

    def up(self, path: Path, name: str) -> None:
        from swiftclient.service import SwiftService as Service
        from swiftclient.service import SwiftUploadObject

        options = {"segment_size": 100 * 2**20, "use_slo": True}
        with Service(self.options) as service:
            self._finish(service.upload("bucket", [SwiftUploadObject(str(path), name)], options))

    def down(self, bucket: str, name: str, path: Path) -> None:
        from swiftclient.service import SwiftService as Service

        with Service(self.options) as service:
            self._finish(service.download(bucket, [name], {"out_file": str(path)}))

    def _finish(self, results: Any) -> None:
        for each in results:
            if not each["success"]:
                raise SystemExit(str(each.get("error")))


class Sdk:
    """openstacksdk's own calls, which add the MD5 and SHA-256 of what they send to its metadata."""

    def __init__(self, server: Facts) -> None:
        import openstack
        import swiftclient.client
        from keystoneauth1.session import Session
        from keystoneauth1.token_endpoint import Token

        # Its session knows no authentication of version 1.
        url, token = swiftclient.client.get_auth(server["auth_url"], server["access_key"], server["secret_key"])
        self.client = openstack.connection.Connection(session=Session(Token(url, token))).object_store

    def put(self, name: str, data: bytes) -> None:
        self.client.upload_object(container="bucket", name=name, data=data)

    def get(self, bucket: str, name: str) -> bytes:
        data: bytes = self.client.download_object(name, container=bucket)
        return data

    def count(self, bucket: str) -> int:
        return sum(1 for _ in self.client.objects(bucket))

    def up(self, path: Path, name: str) -> None:
        self.client.upload_object(container="bucket", name=name, filename=str(path), segment_size=100 * 2**20)

    def down(self, bucket: str, name: str, path: Path) -> None:
        with open(path, "wb") as file:
            file.writelines(self.client.stream_object(name, container=bucket))


class Ours(OwnClient):
    """cloudbridge_store."""

    def __init__(self, server: Facts) -> None:
        keys = {"os_username": server["access_key"], "os_password": server["secret_key"]}
        super().__init__("openstack", {"os_auth_url": server["auth_url"], "os_auth_version": 1, **keys})


class Libcloud(LibcloudClient):
    """Apache Libcloud."""

    def __init__(self, server: Facts) -> None:
        import swiftclient.client
        from libcloud.storage.drivers.cloudfiles import OpenStackSwiftStorageDriver

        who = (server["access_key"], server["secret_key"])
        url, token = swiftclient.client.get_auth(server["auth_url"], *who)
        forced = {"auth_url": server["auth_url"], "auth_version": "1.0", "base_url": url, "auth_token": token}
        there = {f"ex_force_{name}": value for name, value in forced.items()}
        super().__init__(OpenStackSwiftStorageDriver(*who, secure=False, **there))


class CloudBridge:
    """CloudBridge, which stores by python-swiftclient."""

    def __init__(self, server: Facts) -> None:
        import swiftclient.client
        from cloudbridge.factory import CloudProviderFactory

        url, token = swiftclient.client.get_auth(server["auth_url"], server["access_key"], server["secret_key"])
        # It asks compute for a zone at its start, which there is none to be asked of here.
        config = {"os_storage_url": url, "os_auth_token": token, "os_zone_name": "z", "os_region_name": "r"}
        self.provider = CloudProviderFactory().create_provider("openstack", config)

    def objects(self, bucket: str) -> Any:
        return self.provider.storage.buckets.get(bucket).objects

    def put(self, name: str, data: bytes) -> None:
        self.objects("bucket").create(name).upload(data)

    def get(self, bucket: str, name: str) -> bytes:
        return b"".join(self.objects(bucket).get(name).iter_content())

    def count(self, bucket: str) -> int:
        return sum(1 for _ in self.objects(bucket))

    def up(self, path: Path, name: str) -> None:
        self.objects("bucket").create(name).upload_from_file(str(path))

    def down(self, bucket: str, name: str, path: Path) -> None:
        with open(path, "wb") as file:
            self.objects(bucket).get(name).save_content(file)


CLIENTS: dict[str, Callable[[Facts], Any]] = {
    "python-swiftclient": Swiftclient,
    "its SwiftService": SwiftService,
    "openstacksdk": Sdk,
    "cloudbridge_store": Ours,
    "libcloud": Libcloud,
    "cloudbridge": CloudBridge,
}
