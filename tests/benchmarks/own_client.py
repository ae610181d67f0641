"""This library, as the benchmarks use it on every service."""

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
