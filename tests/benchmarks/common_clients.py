"""The clients that are the same on every service, save how they are made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class OwnClient:
    """One provider and the objects of its buckets."""

    def __init__(self, provider: str, config: Mapping[str, Any]) -> None:
        from cloudbridge_store import CloudProviderFactory

        self.provider = CloudProviderFactory().create_provider(provider, config)
        self.buckets: dict[str, Any] = {}

    def objects(self, bucket: str) -> Any:
        if bucket not in self.buckets:
            self.buckets[bucket] = self.provider.storage.buckets.get(bucket)
        return self.buckets[bucket].objects

    def put(self, name: str, data: bytes) -> None:
        self.objects("bucket").create(name).upload(data)

    def get(self, bucket: str, name: str) -> bytes:
        data: bytes = self.objects(bucket).create(name).content()
        return data

    def read(self, bucket: str, name: str, start: int, size: int) -> bytes:
        data: bytes = self.objects(bucket).create(name).read_range(start, size)
        return data

    def count(self, bucket: str) -> int:
        return sum(1 for _ in self.objects(bucket))

    def copy(self, name: str, to: str) -> None:
        self.objects("bucket").create(name).copy_to("bucket", to)

    def up(self, path: Path, name: str) -> None:
        self.objects("bucket").create(name).upload_from_file(path)

    def down(self, bucket: str, name: str, path: Path) -> None:
        self.objects(bucket).create(name).download_to_file(path)


class FsspecClient:
    """A file system of fsspec."""

    def __init__(self, system: Any) -> None:
        self.system = system

    def put(self, name: str, data: bytes) -> None:
        self.system.pipe_file(f"bucket/{name}", data)

    def get(self, bucket: str, name: str) -> bytes:
        data: bytes = self.system.cat_file(f"{bucket}/{name}")
        return data

    def read(self, bucket: str, name: str, start: int, size: int) -> bytes:
        data: bytes = self.system.cat_file(f"{bucket}/{name}", start=start, end=start + size)
        return data

    def count(self, bucket: str) -> int:
        return len(self.system.find(bucket))

    def copy(self, name: str, to: str) -> None:
        self.system.cp_file(f"bucket/{name}", f"bucket/{to}")

    def up(self, path: Path, name: str) -> None:
        self.system.put_file(str(path), f"bucket/{name}")

    def down(self, bucket: str, name: str, path: Path) -> None:
        self.system.get_file(f"{bucket}/{name}", str(path))


class LibcloudClient:
    """A driver of Apache Libcloud. Its objects are made without asking for them first."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def container(self, bucket: str) -> Any:
        from libcloud.storage.base import Container

        return Container(bucket, {}, self.driver)

    def object(self, bucket: str, name: str) -> Any:
        from libcloud.storage.base import Object

        return Object(name, 0, "", {}, {}, self.container(bucket), self.driver)

    def put(self, name: str, data: bytes) -> None:
        self.driver.upload_object_via_stream(iter([data]), self.container("bucket"), name)

    def get(self, bucket: str, name: str) -> bytes:
        return b"".join(self.object(bucket, name).as_stream())

    def read(self, bucket: str, name: str, start: int, size: int) -> bytes:
        return b"".join(self.object(bucket, name).range_as_stream(start, start + size))

    def count(self, bucket: str) -> int:
        return sum(1 for _ in self.driver.iterate_container_objects(self.container(bucket)))

    def up(self, path: Path, name: str) -> None:
        self.driver.upload_object(str(path), self.container("bucket"), name)

    def down(self, bucket: str, name: str, path: Path) -> None:
        self.driver.download_object(self.object(bucket, name), str(path), overwrite_existing=True)
