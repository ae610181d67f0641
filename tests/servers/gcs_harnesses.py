"""What the suites have to know of Google Cloud Storage, on the fake of it: a service account, and its requests."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, ClassVar

from cloudbridge_store import CloudProviderFactory, ProviderList
from cloudbridge_store.testing import ProviderHarness
from cloudbridge_store.testing.fault_proxy import Match
from cloudbridge_store.testing.keys import LITERAL_KEYS

_BUCKET = r"^/storage/v1/b/[^/?]+"
_KEY = rf"{_BUCKET}/o/[^/?]+"
_REQUESTS = {
    "head_bucket": Match("GET", path=rf"{_BUCKET}$"),
    "list_objects": Match("GET", path=rf"{_BUCKET}/o$"),
    "head_object": Match("GET", path=rf"{_KEY}$", query=r"^(?!alt=media)"),
    "get_object": Match("GET", path=rf"{_KEY}$", query="^alt=media"),
    "put_object": Match("POST", path="^/upload/storage/v1/"),
    "copy_object": Match("POST", path=rf"{_KEY}/rewriteTo/"),
    "delete_object": Match("DELETE", path=rf"{_KEY}$"),
    "delete_objects": Match("POST", path="^/batch/storage/v1$"),
    "start_upload": Match("POST", query="^uploads"),
    "upload_part": Match("PUT", query="partNumber="),
    "finish_upload": Match("POST", query="^uploadId="),
}


class GcsHarness(ProviderHarness):
    """The fake, as its owner's service account.

    :param server: what the fixture ``server`` knows of it.
    """

    kind: ClassVar[str] = "gcs"
    cors_rule: ClassVar = MappingProxyType(
        {
            "origin": ["https://example.org"],
            "method": ["GET", "PUT"],
            "responseHeader": ["Content-Type"],
            "maxAgeSeconds": 60,
        }
    )
    lifecycle_rule: ClassVar = MappingProxyType(
        {"action": {"type": "Delete"}, "condition": {"age": 30, "matchesPrefix": ["logs/"]}}
    )
    # Names of objects have no line breaks, and none is called by a dot or two.
    unlisted_keys = frozenset(LITERAL_KEYS[what] for what in ("newline", "return", "only dots"))

    def __init__(self, server):
        super().__init__()
        self.server = server
        self.upstream = server.url
        self.kms_key = f"projects/{server.project}/locations/us/keyRings/ring/cryptoKeys/key"

    def make_provider_at(self, url, **overrides):
        return self.make_provider(gcp_endpoint_url=url, **overrides)

    def request_of(self, operation):
        return _REQUESTS[operation]

    def make_provider(self, **overrides: Any):
        config = {
            "gcp_service_creds_file": str(self.server.credentials_file),
            "gcp_endpoint_url": self.server.url,
            "gcp_iam_endpoint_url": self.server.url,
            **overrides,
        }
        return CloudProviderFactory().create_provider(ProviderList.GCP, config)
