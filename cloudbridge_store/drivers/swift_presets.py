"""Services that speak Swift's protocol as data: where one authenticates, and how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from cloudbridge_store.errors import InvalidConfigurationException


@dataclass(frozen=True, slots=True)
class SwiftPreset:
    """One service. What a configuration says goes before what stands here."""

    name: str
    title: str
    auth_url: str = ""
    """Empty: every user has their own."""
    elsewhere: tuple[tuple[str, str], ...] = ()
    """Pairs of a region, in upper case, and the address where that one's users authenticate instead."""
    auth_version: Literal[1, 2, 3] | None = None
    """``None``: the address says, or it is 3."""
    regions: tuple[str, ...] = ()
    """Examples; any other is taken too."""
    tempurl_digest: Literal["sha256", "sha1"] = "sha256"
    """What temporary URLs are signed with where the service does not tell (``/info``)."""
    container_keys: bool = True
    """Containers can have keys of their own for temporary URLs."""
    inline_names: bool = True
    """Temporary URLs can name the file that a browser is to show, not only the one that it is to save."""
    all_headers: bool = True
    """Objects have ``Cache-Control`` and ``Content-Language``, too; older releases leave them out without a word."""
    put_conditions: bool = True
    """``If-None-Match: *`` with a PUT is looked at."""
    ranged_copy: bool = True
    """A part of an object can be copied."""
    manifests: bool = True
    """What a static large object consists of is told (``multipart-manifest=get``)."""
    versions: bool = True
    """Containers can keep versions (``X-Versions-Enabled``)."""
    cdn: bool = False
    """There is a CDN with an API of its own."""
    notes: str = ""
    account_copy: bool = True
    """Objects of other accounts can be copied (``X-Copy-From-Account``)."""

    def authenticates_at(self, region: str | None) -> str | None:
        """Return the address of the service's identity; ``None`` where every user has their own."""
        return dict(self.elsewhere).get((region or "").upper(), self.auth_url) or None


def find(name: str) -> SwiftPreset:
    """Return a preset; case and ``_`` for ``-`` do not matter. :raises InvalidConfigurationException: there is none."""
    wanted = name.lower().replace("_", "-")
    wanted = _OTHER_NAMES.get(wanted, wanted)
    if wanted in SWIFT_PRESETS:
        return SWIFT_PRESETS[wanted]
    import difflib  # what only a mistake needs

    near = difflib.get_close_matches(wanted, SWIFT_PRESETS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(SWIFT_PRESETS)}"
    message = f"there is no Swift preset {name!r}; {hint} For any other service: 'any' with os_auth_url"
    raise InvalidConfigurationException(message)


_OTHER_NAMES: Mapping[str, str] = {"cloudfiles": "rackspace", "ktcloud": "ktucloud", "ceph": "ceph-swift"}
"""Names that are in use, too."""


def _table(rows: Iterable[SwiftPreset]) -> Mapping[str, SwiftPreset]:
    return MappingProxyType({row.name: row for row in rows})


SWIFT_PRESETS: Mapping[str, SwiftPreset] = _table((
    SwiftPreset("any", "OpenStack Swift, or any service that speaks its protocol"),
    SwiftPreset(
        "rackspace", "Rackspace Cloud Files", "https://identity.api.rackspacecloud.com/v2.0",
        elsewhere=(("LON", "https://lon.identity.api.rackspacecloud.com/v2.0"),), auth_version=2,
        regions=("DFW", "ORD", "IAD", "LON", "SYD", "HKG"), tempurl_digest="sha1", all_headers=False,
        versions=False, cdn=True,
        notes="os_api_key is the account's; os_interface 'internal' is ServiceNet, without charges for transfers",
    ),
    SwiftPreset(
        "ovh", "OVHcloud Object Storage, Swift API", "https://auth.cloud.ovh.net/v3", auth_version=3,
        regions=("GRA", "SBG", "BHS", "DE", "UK", "WAW"),
        notes="the user comes from an OpenStack RC file; as a provider's name, ovh is the S3 API",
    ),
    SwiftPreset(
        "memset", "Memset Memstore", "https://auth.storage.memset.com/v1.0", auth_version=1,
        tempurl_digest="sha1", all_headers=False, notes="os_username is the Memstore's, such as mstestaa1.admin",
    ),
    SwiftPreset(
        "ktucloud", "KT Cloud", "https://ssproxy.ucloudbiz.olleh.com/auth/v1.0", auth_version=1,
        tempurl_digest="sha1", all_headers=False, notes="os_api_key is the account's",
    ),
    SwiftPreset(
        "ceph-swift", "Ceph RADOS Gateway, Swift API", auth_version=None, tempurl_digest="sha1",
        container_keys=False, inline_names=False, put_conditions=False, ranged_copy=False, manifests=False,
        versions=False, account_copy=False,
        notes="a user of its own, such as tester:swift, authenticates with version 1 at /auth/v1.0",
    ),
))  # fmt: skip
