"""What the suites have to know of each server: its address, its keys, and the preset that it is."""

from __future__ import annotations

import ssl
from typing import Any, ClassVar

from cloudbridge_store import CloudProviderFactory, ProviderList
from cloudbridge_store.testing import ProviderHarness
from cloudbridge_store.testing.fault_proxy import Match
from cloudbridge_store.testing.keys import LITERAL_KEYS

_KEY = r"^/[^/?]+/[^?]+"
_REQUESTS = {
    "head_bucket": Match("HEAD", path=r"^/[^/?]+/?$"),
    "list_objects": Match("GET", path=r"^/[^/?]+/?$"),
    "head_object": Match("HEAD", path=_KEY),
    "get_object": Match("GET", path=_KEY),
    "put_object": Match("PUT", path=_KEY),
    "copy_object": Match("PUT", headers={"x-amz-copy-source": "."}),
    "delete_object": Match("DELETE", path=_KEY),
    "delete_objects": Match("POST", query="^delete"),
    "start_upload": Match("POST", path=_KEY, query="^uploads"),
    "upload_part": Match("PUT", query="partNumber="),
    "finish_upload": Match("POST", query="uploadId="),
}


class S3Harness(ProviderHarness):
    """A server that speaks S3.

    :param server: what the fixture ``server`` knows of it.
    """

    kind: ClassVar[str]
    """Its name to the fixture ``server``."""
    preset: ClassVar[str]
    more: ClassVar[dict[str, Any]] = {}

    def __init__(self, server):
        super().__init__()
        self.server = server
        self.upstream = server.url

    def make_provider_at(self, url, **overrides):
        return self.make_provider(s3_endpoint_url=url, **overrides)

    def request_of(self, operation):
        return _REQUESTS[operation]

    def make_provider(self, **overrides):
        config = {
            "aws_access_key": self.server.access_key,
            "aws_secret_key": self.server.secret_key,
            "s3_endpoint_url": self.server.url,
            "s3_preset": self.preset,
            **self.more,
            **overrides,
        }
        return CloudProviderFactory().create_provider(ProviderList.AWS, config)


_NO_TERMS = {"s3_post_policy": False, "s3_encryption": "service,kms"}
"""moto checks neither the terms of a form nor a customer's key."""


class MotoHarness(S3Harness):
    """moto, with all that AWS has."""

    kind, preset = "moto", "aws"
    more: ClassVar = {"aws_region_name": "eu-west-1", "s3_addressing_style": "path", **_NO_TERMS}
    # Its routes end at a line's end.
    unlisted_keys = frozenset({LITERAL_KEYS["newline"]})


class OtherHarness(S3Harness):
    """moto, as a service of which only the address is known."""

    kind, preset = "moto", "other"
    more: ClassVar = _NO_TERMS
    # A listing that is not URL-encoded cannot hold the other two.
    unlisted_keys = frozenset(LITERAL_KEYS[what] for what in ("newline", "return", "escape"))


class SwiftS3Harness(S3Harness):
    """Swift by its S3 API."""

    kind, preset = "swift", "swift-s3"
    # A batch of deletions takes it long, and this machine may be busy.
    more: ClassVar = {"read_timeout": 180}


class CephHarness(S3Harness):
    """Ceph over http."""

    kind, preset = "ceph", "ceph"
    # A listing that is not URL-encoded cannot hold it.
    unlisted_keys = frozenset({LITERAL_KEYS["escape"]})


class CephTlsHarness(CephHarness):
    """Ceph over https, with a certificate that is checked."""

    def __init__(self, server):
        super().__init__(server)
        self.tls = ssl.create_default_context(cafile=server.ca_bundle)

    def make_provider(self, **overrides):
        there = {"s3_endpoint_url": self.server.tls_url, "ca_bundle": str(self.server.ca_bundle)}
        return super().make_provider(**{**there, **overrides})


class AuroraHarness(CephTlsHarness):
    """Ceph, as AuroraObjects has it."""

    preset = "auroraobjects"
