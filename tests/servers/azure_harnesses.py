"""What the suites have to know of Azurite: its addresses, and the ways in which one proves who one is."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import ClassVar

from cloudbridge_store import CloudProviderFactory, ProviderList
from cloudbridge_store.testing import ProviderHarness
from cloudbridge_store.testing.fault_proxy import Match
from cloudbridge_store.testing.keys import WEIRD_KEYS
from servers.azurite import LONE_ACCOUNTS, LONE_KEY, make_token

_CONTAINER = r"^/[^/?]+/[^/?]+/?$"
_BLOB = r"^/[^/?]+/[^/?]+/[^?]+"
_REQUESTS = {
    "head_bucket": Match("HEAD|GET", path=_CONTAINER, query=r"restype=container(?!.*\bcomp=)"),
    "list_objects": Match("GET", path=_CONTAINER, query=r"\bcomp=list\b"),
    "head_object": Match("HEAD", path=_BLOB),
    "get_object": Match("GET", path=_BLOB),
    "put_object": Match("PUT", path=_BLOB, headers={"x-ms-blob-type": "."}),
    "copy_object": Match("PUT", path=_BLOB, headers={"x-ms-copy-source": "."}),
    "delete_object": Match("DELETE", path=_BLOB),
    "delete_objects": Match("POST", query=r"\bcomp=batch\b"),
    # Azure has no such request: an upload starts with its first block.
    "start_upload": Match("PUT", query=r"\bcomp=block\b"),
    "upload_part": Match("PUT", query=r"\bcomp=block\b"),
    "finish_upload": Match("PUT", query=r"\bcomp=blocklist\b"),
}


class AzuriteHarness(ProviderHarness):
    """Azurite over http, with the account's key.

    :param server: what the fixture ``server`` knows of it.
    :param lone: which of the accounts that tests have to themselves; else it is the one that they share.
    """

    kind: ClassVar[str] = "azurite"
    """Its name to the fixture ``server``."""
    cors_rule: ClassVar = MappingProxyType(
        {
            "AllowedOrigins": ["https://example.org", "https://example.net"],
            "AllowedMethods": ["GET", "PUT"],
            "AllowedHeaders": ["x-ms-*"],
            "ExposedHeaders": ["etag"],
            "MaxAgeInSeconds": 60,
        }
    )
    bodiless = frozenset({"copy_object", "start_upload", "finish_upload"})
    # The service drops dots at the end of segments, and makes slashes of backslashes.
    refused_keys = frozenset(
        WEIRD_KEYS[what]
        for what in (
            *("backslash", "backslash dots", "three dots", "three dots segment", "trailing dot"),
            "trailing dot segment",
        )
    )

    def __init__(self, server, lone=None):
        super().__init__()
        self.server = server
        self.upstream = server.url
        shared = server.account, server.key
        self.account, self.key = shared if lone is None else (LONE_ACCOUNTS[lone], LONE_KEY)

    def make_provider(self, **overrides):
        config = {"azure_endpoint_url": f"{self.server.url}/{self.account}", **self.credentials(), **overrides}
        return CloudProviderFactory().create_provider(ProviderList.AZURE, config)

    def credentials(self):
        """Return what the account is entered with."""
        return {"azure_storage_account": self.account, "azure_storage_key": self.key}

    def make_provider_at(self, url, **overrides):
        return self.make_provider(azure_endpoint_url=f"{url}/{self.account}", **overrides)

    def make_lone_provider(self):
        return type(self)(self.server, lone=0).make_provider()

    def make_other_provider(self):
        """Return a provider of the server's other account."""
        there = {"azure_endpoint_url": f"{self.server.url}/{self.server.other_account}"}
        who = {"azure_storage_account": self.server.other_account, "azure_storage_key": self.server.other_key}
        return self.make_provider(**there, **who)

    def request_of(self, operation):
        return _REQUESTS[operation]


class AzuriteSasHarness(AzuriteHarness):
    """Azurite over http, with a SAS of the whole account."""

    def credentials(self):
        return {"azure_storage_account": self.account, "azure_sas_token": make_sas(self)}

    def remove_bucket(self, bucket):
        # Azurite answers 500 to a batch that comes with a SAS.
        with self.make_provider(azure_sas_token=None, azure_storage_key=self.key) as owner:
            super().remove_bucket(owner.storage.buckets.get(bucket.name) or bucket)


class AzuriteTlsHarness(AzuriteHarness):
    """Azurite over https, with an access token, and with a certificate that is checked."""

    kind = "azurite-tls"

    def __init__(self, server, lone=None):
        super().__init__(server, lone)
        self.tls = ssl.create_default_context(cafile=server.ca_bundle)

    def make_provider(self, **overrides):
        return super().make_provider(**{"ca_bundle": str(self.server.ca_bundle), **overrides})

    def credentials(self):
        return {"azure_storage_account": self.account, "azure_access_token": make_token()}


def make_sas(harness, *, permission="rwdxylacuptfi", kinds="sco", seconds=3600):
    """Return a SAS of a harness's account; by default it permits all that a SAS can, for all blobs.

    :param kinds: of what: ``s`` the account, ``c`` containers, ``o`` blobs.
    :param seconds: from now until it ends; a negative number makes one that has ended.
    """
    from azure.storage.blob import ResourceTypes, generate_account_sas

    resources = ResourceTypes(service="s" in kinds, container="c" in kinds, object="o" in kinds)
    expiry = datetime.now(UTC) + timedelta(seconds=seconds)
    return generate_account_sas(harness.account, harness.key, resources, permission, expiry)
