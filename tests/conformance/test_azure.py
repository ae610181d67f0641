"""The conformance suite on Azure, against Azurite: with the account's key, with a token by https, and with a SAS."""

from __future__ import annotations

from servers.azure_harnesses import AzuriteHarness, AzuriteSasHarness, AzuriteTlsHarness
from servers.suites import OnServer

from cloudbridge_store.testing import ConformanceSuite
from cloudbridge_store.testing.conformance import (
    BucketSuite,
    CopyingSuite,
    EncryptionSuite,
    ErrorSuite,
    ListingSuite,
    MultipartSuite,
    ObjectSuite,
    UploadSuite,
    UrlSuite,
)


class TestAzure(OnServer, ConformanceSuite):
    kind = AzuriteHarness


class TestAzureByToken(
    OnServer, BucketSuite, ObjectSuite, UploadSuite, MultipartSuite, CopyingSuite, EncryptionSuite, ErrorSuite, UrlSuite
):
    """What depends on who one is, and on https: the subjects that sign, copy, or send a key."""

    kind = AzuriteTlsHarness


class TestAzureBySas(OnServer, BucketSuite, ObjectSuite, ListingSuite, MultipartSuite, CopyingSuite, UrlSuite):
    """What a SAS could get wrong: requests whose query it is added to, copies, and URLs, which it cannot sign."""

    kind = AzuriteSasHarness
