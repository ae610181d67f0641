"""The conformance suite on Azure, against Azurite: with the account's key, with a token by https, and with a SAS."""

from __future__ import annotations

from servers.azure_harnesses import AzuriteHarness, AzuriteSasHarness, AzuriteTlsHarness
from servers.suites import OnServer

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.objects import BucketObject
from cloudbridge_store.testing import ConformanceSuite
from cloudbridge_store.testing.conformance import (
    BucketSuite,
    CopyingSuite,
    ErrorSuite,
    ListingSuite,
    MultipartSuite,
    ObjectSuite,
    UploadSuite,
    UrlSuite,
)


class TestAzure(OnServer, ConformanceSuite):
    """The suite, but for a fault of Azurite."""

    kind = AzuriteHarness

    def test_tags(self, bucket: Bucket, stored: BucketObject) -> None:
        # Azurite refuses a tag with an empty value.
        etag = stored.etag
        assert stored.get_tags() == {}
        stored.set_tags({"project": "x1", "a b": "-", "path": "a/b=c+d-e_f.g:h"})
        assert bucket.objects.create(stored.name).get_tags() == {"project": "x1", "a b": "-", "path": "a/b=c+d-e_f.g:h"}
        stored.refresh()
        assert (stored.etag, stored.content(), stored.content_type) == (etag, b"0123456789", "text/plain")
        stored.set_tags({"only": "this"})
        assert stored.get_tags() == {"only": "this"}
        stored.set_tags({})
        assert stored.get_tags() == {}


class TestAzureByToken(
    OnServer, BucketSuite, ObjectSuite, UploadSuite, MultipartSuite, CopyingSuite, ErrorSuite, UrlSuite
):
    """What depends on who one is, and on https: the subjects that sign and copy. Azurite refuses customers' keys."""

    kind = AzuriteTlsHarness


class TestAzureBySas(OnServer, ObjectSuite, ListingSuite, MultipartSuite, UrlSuite):
    """What a SAS could get wrong: requests whose query it is added to, and URLs, which it cannot sign."""

    kind = AzuriteSasHarness
