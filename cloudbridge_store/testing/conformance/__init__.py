"""The conformance suite: what every provider does, whichever service is behind it. One class for each subject."""

from __future__ import annotations

from cloudbridge_store.testing.conformance.buckets import BucketSuite
from cloudbridge_store.testing.conformance.bulk import BulkSuite
from cloudbridge_store.testing.conformance.concurrency import ConcurrencySuite
from cloudbridge_store.testing.conformance.copying import CopyingSuite
from cloudbridge_store.testing.conformance.directories import DirectorySuite
from cloudbridge_store.testing.conformance.driver import DriverSuite
from cloudbridge_store.testing.conformance.encryption import EncryptionSuite
from cloudbridge_store.testing.conformance.errors import ErrorSuite
from cloudbridge_store.testing.conformance.files import FileSuite
from cloudbridge_store.testing.conformance.forms import FormSuite, RuleSuite
from cloudbridge_store.testing.conformance.histories import HistorySuite
from cloudbridge_store.testing.conformance.keys import KeySuite
from cloudbridge_store.testing.conformance.listing import ListingSuite
from cloudbridge_store.testing.conformance.multipart import MultipartSuite
from cloudbridge_store.testing.conformance.objects import ObjectSuite
from cloudbridge_store.testing.conformance.publishing import PublishingSuite
from cloudbridge_store.testing.conformance.reads import ReadSuite
from cloudbridge_store.testing.conformance.resources import ResourceSuite
from cloudbridge_store.testing.conformance.uploads import UploadSuite
from cloudbridge_store.testing.conformance.urls import UrlSuite
from cloudbridge_store.testing.conformance.versions import VersionSuite

__all__ = [
    "BucketSuite",
    "BulkSuite",
    "ConcurrencySuite",
    "ConformanceSuite",
    "CopyingSuite",
    "DirectorySuite",
    "DriverSuite",
    "EncryptionSuite",
    "ErrorSuite",
    "FileSuite",
    "FormSuite",
    "HistorySuite",
    "KeySuite",
    "ListingSuite",
    "MultipartSuite",
    "ObjectSuite",
    "PublishingSuite",
    "ReadSuite",
    "ResourceSuite",
    "RuleSuite",
    "UploadSuite",
    "UrlSuite",
    "VersionSuite",
]


class ConformanceSuite(
    BucketSuite,
    ObjectSuite,
    KeySuite,
    UploadSuite,
    ReadSuite,
    FileSuite,
    ListingSuite,
    MultipartSuite,
    CopyingSuite,
    VersionSuite,
    EncryptionSuite,
    FormSuite,
    RuleSuite,
    PublishingSuite,
    UrlSuite,
    BulkSuite,
    DirectorySuite,
    ResourceSuite,
    ErrorSuite,
    ConcurrencySuite,
    DriverSuite,
    HistorySuite,
):
    """All of it. A subclass named ``Test...`` with a fixture ``harness`` is a provider's whole test file."""
