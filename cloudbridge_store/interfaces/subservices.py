"""``cloudbridge.interfaces.subservices``."""

from cloudbridge_store.contents import BucketObjectService as BucketObjectSubService

__all__ = ["BucketObjectSubService"]
