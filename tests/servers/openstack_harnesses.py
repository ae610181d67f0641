"""What the suites have to know of each server that speaks Swift's own protocol."""

from __future__ import annotations

from typing import Any, ClassVar

from cloudbridge_store import CloudProviderFactory
from cloudbridge_store.testing import ProviderHarness
from cloudbridge_store.testing.fault_proxy import Match

_BUCKET = r"/v1/\w+_[^/?]+/[^/?]+"
_SEGMENTS = r"/v1/\w+_[^/?]+/[^/?]+_segments/"
_KEY = rf"{_BUCKET}/[^?]+"
_REQUESTS = {
    "head_bucket": Match("HEAD", path=rf"{_BUCKET}$"),
    "list_objects": Match("GET", path=rf"{_BUCKET}$"),
    "head_object": Match("HEAD", path=_KEY),
    "get_object": Match("GET", path=_KEY),
    "put_object": Match("PUT", path=_KEY),
    "copy_object": Match("PUT", headers={"x-copy-from": "."}),
    "delete_object": Match("DELETE", path=_KEY),
    "delete_objects": Match("POST", query="^bulk-delete"),
    "start_upload": Match("PUT", path=rf"{_SEGMENTS}.*uploads/"),
    "upload_part": Match("PUT", path=rf"{_SEGMENTS}.*segments/"),
    "finish_upload": Match("PUT", query="multipart-manifest=put"),
}


class OpenStackHarness(ProviderHarness):
    """A server that speaks Swift's own protocol.

    :param server: what the fixture ``server`` knows of it.
    """

    kind: ClassVar[str]
    """Its name to the fixture ``server``."""
    provider: ClassVar[str] = "openstack"
    keeps_doubtful_uploads = True
    # Errors are told by status, and the answers to writes have no body that could be disturbed.
    unplayable = frozenset(
        # The next page begins behind the last name of this one: a page names none that it could be.
        {"error in a 200", "error in a 200 after it was done", "pages in a circle"}
        | {
            f"{scenario}: {trouble}"
            for scenario in ("start_upload", "finish_upload", "copy")
            for trouble in ("reset in the answer", "answer cut", "answer stalls")
        }
    )
    # A signature for a write also lets its holder look whether the write is needed.
    also_signed: ClassVar = frozenset({("GET", "HEAD"), ("PUT", "HEAD")})

    def __init__(self, server):
        super().__init__()
        self.server = server
        self.upstream = server.url
        # An account has it from the start, for all tests: those that replace keys have a container of their own.
        self.temp_url_key = server.temp_url_key

    def credentials(self):
        """Return the configuration of its user."""
        raise NotImplementedError

    def account(self):
        """Return the path of the user's account."""
        raise NotImplementedError

    def make_provider_at(self, url, **overrides):
        return self.make_provider(os_storage_url=f"{url}{self.account()}", **overrides)

    def source_url(self, obj):
        # Swift copies by name, and reads with the token of whoever asks.
        return obj.public_url

    def request_of(self, operation):
        return _REQUESTS[operation]

    def make_provider(self, **overrides: Any):
        config = {"os_auth_url": self.server.auth_url, **self.credentials(), **overrides}
        return CloudProviderFactory().create_provider(self.provider, config)


class SwiftHarness(OpenStackHarness):
    """Swift, with users of its own (version 1)."""

    kind = "swift"

    def credentials(self):
        user, key = self.server.access_key, self.server.secret_key
        # A batch of deletions takes it long, and this machine may be busy.
        return {"os_username": user, "os_password": key, "read_timeout": 180}

    def account(self):
        return f"/v1/AUTH_{self.server.access_key.partition(':')[0]}"


class WeakSwiftHarness(SwiftHarness):
    """Swift, and a user who takes its conditions of writes for what they are."""

    def make_provider(self, **overrides: Any):
        return super().make_provider(**{"os_weak_conditions": True, **overrides})


class KeystoneHarness(OpenStackHarness):
    """Swift whose users are Keystone's."""

    kind = "keystone"
    renews = True

    def credentials(self):
        server = self.server
        return {
            "os_username": server.user,
            "os_password": server.password,
            "os_project_name": server.project,
            "os_region_name": server.region,
            "read_timeout": 180,
        }

    def account(self):
        return f"/v1/KEY_{self.server.project_id}"


class RackspaceHarness(OpenStackHarness):
    """Cloud Files, of which identity and CDN are played."""

    kind, provider = "rackspace", "cloudfiles"

    def credentials(self):
        server = self.server
        return {"os_username": server.user, "os_api_key": server.api_key, "os_region_name": server.region}

    def account(self):
        return f"/v1/{self.server.account}"


class CephSwiftHarness(OpenStackHarness):
    """Ceph by its Swift API."""

    kind = "ceph"
    renews = True

    def credentials(self):
        user, key = self.server.swift_user, self.server.swift_password
        return {"os_username": user, "os_password": key, "os_preset": "ceph-swift"}

    def account(self):
        return f"/swift/v1/AUTH_{self.server.swift_user.partition(':')[0]}"
