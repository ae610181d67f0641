"""``cloudbridge.interfaces.services``."""

from cloudbridge_store.buckets import BucketService
from cloudbridge_store.contents import BucketObjectService
from cloudbridge_store.provider import StorageService

__all__ = ["BucketObjectService", "BucketService", "StorageService"]
