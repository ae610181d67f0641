"""``cloudbridge.interfaces.resources``."""

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.config import TransferConfig
from cloudbridge_store.objects import BucketObject
from cloudbridge_store.provider import CloudServiceType
from cloudbridge_store.resources import CloudResource
from cloudbridge_store.results import ResultList
from cloudbridge_store.uploads import MultipartUpload, UploadPart

__all__ = [
    "Bucket",
    "BucketObject",
    "CloudResource",
    "CloudServiceType",
    "MultipartUpload",
    "ResultList",
    "TransferConfig",
    "UploadPart",
]
