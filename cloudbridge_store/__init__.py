"""One small object-storage API over AWS S3, Azure Blob, Google Cloud Storage, OpenStack Swift and the local disk.

Importing this imports no SDK: a provider's driver is imported when one is created.
"""

from __future__ import annotations

from cloudbridge_store.buckets import Bucket, BucketService
from cloudbridge_store.config import RetryConfig, TransferConfig
from cloudbridge_store.contents import BucketObjectService, SignedPrefix
from cloudbridge_store.core.session import Event
from cloudbridge_store.drivers.base import Capabilities, CdnInfo, Encryption, SignedForm, SignedRequest, Usage
from cloudbridge_store.factory import CloudProviderFactory, ProviderList
from cloudbridge_store.objects import BucketObject
from cloudbridge_store.pending import PendingTransfer
from cloudbridge_store.provider import CloudProvider, StorageService
from cloudbridge_store.results import ResultList, TransferReport
from cloudbridge_store.uploads import MultipartUpload, UploadPart

__version__ = "0.1.0"

__all__ = [
    "Bucket",
    "BucketObject",
    "BucketObjectService",
    "BucketService",
    "Capabilities",
    "CdnInfo",
    "CloudProvider",
    "CloudProviderFactory",
    "Encryption",
    "Event",
    "MultipartUpload",
    "PendingTransfer",
    "ProviderList",
    "ResultList",
    "RetryConfig",
    "SignedForm",
    "SignedPrefix",
    "SignedRequest",
    "StorageService",
    "TransferConfig",
    "TransferReport",
    "UploadPart",
    "Usage",
    "__version__",
]
