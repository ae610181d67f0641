"""The clients that swift.py compares, each with the same few methods. What is missing is found when one is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

USER, KEY = "test:tester", "testing"
CONTAINER = "bench"


class Ours:
    """cloudbridge_store."""

    def __init__(self, url: str, token: str) -> None:
        from cloudbridge_store import CloudProviderFactory

        config = {"os_storage_url": url, "os_auth_token": token, "read_timeout": 180}
        self.provider = CloudProviderFactory().create_provider("openstack", config)
        self.bucket = self.provider.storage.buckets.get(CONTAINER)

    @property
    def objects(self) -> Any:
        assert self.bucket is not None
        return self.bucket.objects

    def put(self, name: str, data: bytes) -> None:
        self.objects.create(name).upload(data)

    def get(self, name: str) -> bytes:
        data: bytes = self.objects.create(name).content()
        return data

    def count(self, prefix: str) -> int:
        return sum(1 for _ in self.objects.iter(prefix=prefix))

    def up(self, path: Path, name: str) -> None:
        self.objects.create(name).upload_from_file(path)

    def down(self, name: str, path: Path) -> None:
        self.objects.create(name).download_to_file(path)


class SwiftClient:
    """python-swiftclient: its connection, and its service for files."""

    def __init__(self, url: str, token: str) -> None:
        import swiftclient

        self.connection = swiftclient.Connection(preauthurl=url, preauthtoken=token)
        self.options = {"os_storage_url": url, "os_auth_token": token, "auth_version": "1.0"}

    def put(self, name: str, data: bytes) -> None:
        self.connection.put_object(CONTAINER, name, data)

    def get(self, name: str) -> bytes:
        data: bytes = self.connection.get_object(CONTAINER, name)[1]
        return data

    def count(self, prefix: str) -> int:
        return len(self.connection.get_container(CONTAINER, prefix=prefix, full_listing=True)[1])

    def up(self, path: Path, name: str) -> None:
        from swiftclient.service import SwiftService, SwiftUploadObject

        options = {"segment_size": 100 * 2**20, "use_slo": True}
        with SwiftService(self.options) as service:
            self._finish(service.upload(CONTAINER, [SwiftUploadObject(str(path), name)], options))

    def down(self, name: str, path: Path) -> None:
        from swiftclient.service import SwiftService

        with SwiftService(self.options) as service:
            self._finish(service.download(CONTAINER, [name], {"out_file": str(path)}))

    def _finish(self, results: Any) -> None:
        for each in results:
            if not each["success"]:
                raise SystemExit(str(each.get("error")))


class OpenStackSdk:
    """openstacksdk's own calls for objects."""

    def __init__(self, url: str, token: str) -> None:
        import openstack
        from keystoneauth1.session import Session
        from keystoneauth1.token_endpoint import Token

        self.store = openstack.connection.Connection(session=Session(Token(url, token))).object_store

    def put(self, name: str, data: bytes) -> None:
        self.store.upload_object(CONTAINER, name, data=data)

    def get(self, name: str) -> bytes:
        data: bytes = self.store.download_object(name, container=CONTAINER)
        return data

    def count(self, prefix: str) -> int:
        return sum(1 for _ in self.store.objects(CONTAINER, prefix=prefix))

    def up(self, path: Path, name: str) -> None:
        self.store.upload_object(CONTAINER, name, filename=str(path), segment_size=100 * 2**20)

    def down(self, name: str, path: Path) -> None:
        with open(path, "wb") as file:
            file.writelines(self.store.stream_object(name, container=CONTAINER))


class CloudBridge:
    """CloudBridge's Swift path. It asks compute for a zone at its start, which there is none to be asked of here."""

    def __init__(self, url: str, token: str) -> None:
        from cloudbridge.factory import CloudProviderFactory

        config = {"os_storage_url": url, "os_auth_token": token, "os_zone_name": "z", "os_region_name": "r"}
        self.bucket = CloudProviderFactory().create_provider("openstack", config).storage.buckets.get(CONTAINER)

    def put(self, name: str, data: bytes) -> None:
        self.bucket.objects.create(name).upload(data)

    def get(self, name: str) -> bytes:
        return b"".join(self.bucket.objects.get(name).iter_content())

    def count(self, prefix: str) -> int:
        return sum(1 for _ in self.bucket.objects.iter(prefix=prefix))

    def up(self, path: Path, name: str) -> None:
        self.bucket.objects.create(name).upload_from_file(str(path))

    def down(self, name: str, path: Path) -> None:
        with open(path, "wb") as file:
            self.bucket.objects.get(name).save_content(file)


CLIENTS: dict[str, Callable[[str, str], Any]] = {
    "cloudbridge_store": Ours,
    "python-swiftclient": SwiftClient,
    "openstacksdk": OpenStackSdk,
    "cloudbridge": CloudBridge,
}
