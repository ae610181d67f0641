"""A local driver in a directory of the test's own, and short words for what tests do with it all the time."""

from __future__ import annotations

import os

import pytest

from cloudbridge_store.config import Settings
from cloudbridge_store.core.source import BytesBody
from cloudbridge_store.drivers.base import PutOptions, ReadOptions
from cloudbridge_store.drivers.local import LocalDriver


class Store:
    """A driver and one bucket of it."""

    bucket = "bucket"

    def __init__(self, root, **config):
        self.root = root
        self.driver = LocalDriver.connect({"local_root": root, "local_fsync": False, **config}, Settings())

    def put(self, key, data=b"content", **options):
        return self.driver.put_object(self.bucket, key, BytesBody(data), PutOptions(**options))

    def get(self, key, **options):
        download = self.driver.get_object(self.bucket, key, ReadOptions(**options))
        try:
            return download.stream.read(-1)
        finally:
            download.stream.close()

    def head(self, key):
        return self.driver.head_object(self.bucket, key)

    def delete(self, key):
        self.driver.delete_object(self.bucket, key)

    def page(self, **options):
        return self.driver.list_objects(self.bucket, **options)

    def keys(self, *, limit=1000, **options):
        """Return all keys and common prefixes, each page's in order."""
        found, token = [], None
        while True:
            page = self.page(limit=limit, token=token, **options)
            assert len(page.items) + len(page.prefixes) <= limit
            found += sorted([info.key for info in page.items] + list(page.prefixes), key=str.encode)
            token = page.token
            if token is None:
                return found

    @property
    def folder(self):
        return self.root / self.bucket

    def staged(self):
        """Return the names of all files that are being written, or were, by anybody."""
        staging = self.root / ".cbs" / "staging"
        return sorted(
            os.path.join(folder, name) for folder, _, names in os.walk(staging) for name in names if name != "lock"
        )

    def side_files(self):
        return sorted(path.name for path in (self.root / ".cbs" / "attributes").glob("*/*"))


@pytest.fixture
def make_store(tmp_path):
    """Connect to a root, ``tmp_path / "root"`` by default: ``make_store(local_layout="plain")``."""
    made = []

    def make(root=None, **config):
        store = Store(root or tmp_path / "root", **config)
        made.append(store)
        return store

    yield make
    for store in made:
        store.driver.close()


@pytest.fixture
def store(make_store):
    """A store of the encoded layout with an empty bucket."""
    store = make_store()
    store.driver.create_bucket(store.bucket)
    return store


@pytest.fixture
def plain(make_store):
    """A store of the plain layout with an empty bucket."""
    store = make_store(local_layout="plain")
    store.driver.create_bucket(store.bucket)
    return store


@pytest.fixture
def no_xattr(monkeypatch):
    """A file system without extended attributes."""
    import errno

    def refuse(*_, **__):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    for name in ("setxattr", "getxattr", "removexattr"):
        monkeypatch.setattr(os, name, refuse)
