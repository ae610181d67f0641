"""The settings of this provider, and what it can do with them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cloudbridge_store.config import ConfigKey, refuse_http
from cloudbridge_store.drivers.base import CONTENT_HEADERS, Capabilities, GiB, MiB
from cloudbridge_store.drivers.openstack.plan import Plan
from cloudbridge_store.drivers.swift_presets import SwiftPreset, find
from cloudbridge_store.errors import InvalidConfigurationException
from cloudbridge_store.redaction import has_userinfo

WAYS: Mapping[str, str] = {
    **dict.fromkeys(("os_username", "os_user_id", "os_password", "os_api_key"), "password"),
    **dict.fromkeys(("os_application_credential_id", "os_application_credential_secret"), "application credential"),
    "os_cloud": "clouds.yaml",
    "os_auth_token": "token",
}
"""The ways to log in, by the keys that are for one of them only."""
_HEADER = re.compile(r"[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?")
_VERSION = re.compile(r"/v([123])(?:\.\d+)?(?:/auth/tokens|/tokens)?/*$")
SERVICE = "object-store"
"""What catalogues and ``clouds.yaml`` call it."""
_EARLY = 30.0
"""Seconds before its end that a token is replaced: a request that begins with it should be able to arrive."""
_LEAST = 10.0
"""Seconds that a token is used at least: of one that ends before, or by a clock that is not ours, a refusal tells."""
_IGNORED = "CloudBridge's key for compute; accepted, without effect here"


def _key(name: str, help: str, *old: str, kind: type = str, default: Any = None, **more: Any) -> ConfigKey:
    return ConfigKey(name, kind, help, default, (name.upper(), *old), **more)


CONFIG_KEYS: Sequence[ConfigKey] = (
    _key("os_auth_url", "address of the identity service; by default the preset's"),
    _key(
        "os_auth_version",
        "1, 2 or 3; by default what the address or the preset says, or 3",
        "OS_IDENTITY_API_VERSION",
        kind=object,  # text, or a number
    ),
    _key("os_username", "user's name", "ST_USER"),
    _key("os_user_id", "user's id, in place of the name"),
    _key("os_password", "password", secret=True),
    _key(
        "os_api_key",
        "key of the account, where the service has such: Rackspace, version 1",
        secret=True,
    ),
    _key("os_project_name", "project's name", "OS_TENANT_NAME"),
    _key("os_project_id", "project's id, in place of the name", "OS_TENANT_ID"),
    _key("os_user_domain_name", "name of the user's domain; by default the one of id default"),
    _key("os_user_domain_id", "its id"),
    _key("os_project_domain_name", "name of the project's domain; by default the one of id default"),
    _key("os_project_domain_id", "its id"),
    _key("os_domain_name", "name of the domain of both"),
    _key("os_application_credential_id", "id of an application credential"),
    _key("os_application_credential_secret", "its secret", secret=True),
    _key("os_trust_id", "trust to act under"),
    _key("os_region_name", "region; there must be an object store in it"),
    _key("os_interface", "public, or internal: the provider's own network (ServiceNet)", "OS_ENDPOINT_TYPE"),
    _key("os_cloud", "name of a cloud in clouds.yaml"),
    _key("os_storage_url", "the account's address; with os_auth_token nothing else is needed"),
    _key("os_auth_token", "a token", "OS_TOKEN", secret=True),
    _key("os_cacert", "file or directory of the authorities to trust, where ca_bundle names none", kind=Path),
    _key("os_cert", "file of the certificate that we show the service", kind=Path),
    _key("os_key", "file of that certificate's key; by default the same file", kind=Path),
    _key("os_temp_url_key", "the account's or the container's key for temporary URLs", secret=True),
    _key(
        "os_weak_conditions",
        "permit if_none_match, though of several writers at the same moment more than one may win",
        kind=bool,
        default=False,
    ),
    _key("os_preset", "name of a service: rackspace, ovh, memset, ktucloud, ceph-swift or any", default="any"),
    *(
        ConfigKey(name, str, _IGNORED)
        for name in (
            "os_zone_name",
            "os_storage_zone_name",
            "os_compute_zone_name",
            "os_networking_zone_name",
            "os_security_zone_name",
            "os_compute_api_version",
            "os_volume_api_version",
            "nova_service_name",
        )
    ),
)


def choose_preset(config: Mapping[str, Any]) -> SwiftPreset:
    """Return the service that the configuration means."""
    return find(config["os_preset"] or "any")


def refuse_userinfo(config: Mapping[str, Any]) -> None:
    """Refuse an address with a password: errors name addresses."""
    for name in ("os_auth_url", "os_storage_url"):
        if has_userinfo(config[name]):
            message = f"config key {name} has a user or a password in it: use os_username and os_password"
            raise InvalidConfigurationException(message)


def sendable(config: Mapping[str, Any], name: str) -> str:
    """Return a value as a header of UTF-8 holds it.

    :raises InvalidConfigurationException: none can; those below would say so, and show it.
    """
    text = str(config[name]).encode().decode("latin-1")
    if not _HEADER.fullmatch(text):
        message = f"config key {name} has a line break, another control character, or a space at its beginning or end"
        raise InvalidConfigurationException(message)
    return text


def auth_url_of(plan: Plan) -> str:
    """Return the address of the identity service. :raises InvalidConfigurationException: none is known, or is one."""
    given = plan.config["os_auth_url"] or plan.preset.authenticates_at(plan.config["os_region_name"])
    if not given:
        message = "config key os_auth_url is needed, or os_storage_url and os_auth_token, or os_cloud"
        raise InvalidConfigurationException(message)
    url = str(given) if "://" in given else f"https://{given}"
    refuse_http(url, plan.settings)
    return url


def auth_version_of(plan: Plan, url: str) -> int:
    """Return 1, 2 or 3: as given, as the address ends, as the preset has it, or 3."""
    given = plan.config["os_auth_version"]
    if given:
        version = str(given).removeprefix("v").partition(".")[0]
        if version not in ("1", "2", "3"):
            message = f"config key os_auth_version must be 1, 2 or 3, not {given!r}"
            raise InvalidConfigurationException(message)
        return int(version)
    named = _VERSION.search(urlsplit(url).path)
    return int(named[1]) if named else plan.preset.auth_version or 3


def root_of(url: str) -> str:
    """Return what is before the version in an address of the identity service."""
    return _VERSION.sub("", url).rstrip("/")


def until(end: float) -> float:
    """Return until when a token is used that has just been given, and ends then, in seconds since the epoch."""
    return max(end - _EARLY, time.time() + _LEAST)


def whole_addresses(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a configuration whose addresses have a scheme: without one they are of https."""
    url = config["os_storage_url"]
    return {**config, "os_storage_url": f"https://{url}"} if url and "://" not in url else config


def check_login(plan: Plan) -> None:
    """Raise InvalidConfigurationException where something to log in with is missing; the message names it."""
    config = plan.config
    version = auth_version_of(plan, auth_url_of(plan))
    if config["os_username"] or config["os_user_id"]:
        if not (config["os_password"] or (config["os_api_key"] and version < 3)):  # noqa: PLR2004 - the protocol's
            raise _missing("os_password" if version == 3 else "os_api_key or os_password")  # noqa: PLR2004
        return
    if version == 3 and config["os_application_credential_id"]:  # noqa: PLR2004
        if not config["os_application_credential_secret"]:
            raise _missing("os_application_credential_secret")
        return
    if version == 1 or not config["os_auth_token"]:
        raise _missing("os_username" if version < 3 else "os_username or os_application_credential_id")  # noqa: PLR2004


def _missing(name: str) -> InvalidConfigurationException:
    return InvalidConfigurationException(f"config key {name} is needed to log in")


_OLD_HEADERS = frozenset({"content_disposition", "content_encoding"})
MIN_SEGMENT = MiB
"""Least size of every segment but the last: 1 byte by now, but this with older releases, and on Cloud Files."""
MAX_SEGMENTS = 1000
"""Segments in one object, unless ``/info`` says another number."""
MAX_FILE = 5 * GiB
"""Bytes in one request, likewise."""


_CAPABILITIES = Capabilities(
    multipart=True,
    copy=True,
    # Where nobody answers a manifest, a condition would refuse its repetition for what it made itself.
    conditional_multipart=False,
    # A copy has one set of conditions, which count for its source.
    conditional_copy=False,
    conditional_read=True,
    user_metadata=True,
    batch_delete=1000,
    sign=frozenset({"GET", "HEAD", "PUT", "DELETE"}),
    sign_options=frozenset({"content_disposition"}),
    sign_content_type=False,
    sign_prefix=True,
    temp_url_key=True,
    # Swift has no limit. Ceph counts seconds with 32 bits.
    max_url_seconds=10 * 365 * 86_400,
    website=True,
    usage=True,
    list_uploads=True,
    locations=True,
    checksums=frozenset({"md5"}),
    max_page=10_000,
    max_put=MAX_FILE,
    min_part=MIN_SEGMENT,
    max_part=MAX_FILE,
    max_parts=MAX_SEGMENTS,
    max_key_bytes=1024,
    max_metadata_bytes=2048,
)


_WEAK = (
    "os_weak_conditions=True permits it, for what has been there for a while; it is no lock: of several that create the "
    "object at the same moment, all may succeed"
)


def capabilities_of(preset: SwiftPreset, *, weak_conditions: bool) -> Capabilities:
    """Return what a service can do. Connecting asks nothing, so that these are the documented defaults.

    :param weak_conditions: promise ``if_none_match``, as weak as Swift's is.
    """
    hints = {}
    if preset.put_conditions and not weak_conditions:
        hints["if_none_match"] = _WEAK
    if preset.cdn:
        hints["public_access"] = "Of Cloud Files everybody reads by its CDN: enable_cdn() of the bucket"
    return replace(
        _CAPABILITIES,
        hints=hints,
        conditional_put=frozenset({"if_none_match"}) if weak_conditions and preset.put_conditions else frozenset(),
        content_headers=CONTENT_HEADERS if preset.all_headers else CONTENT_HEADERS & _OLD_HEADERS,
        copy_url=preset.account_copy,
        versions=preset.versions,
        switch_versions=preset.versions,
        # Of Cloud Files everybody reads by its CDN only.
        public_access=not preset.cdn,
        cdn=preset.cdn,
    )
