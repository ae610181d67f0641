"""The settings of this provider, and what it can do with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from cloudbridge_store.config import ConfigKey
from cloudbridge_store.drivers.aws.client import is_aws
from cloudbridge_store.drivers.base import Capabilities
from cloudbridge_store.drivers.presets import S3Preset, find, override_keys, with_overrides

_IGNORED = "CloudBridge's key for compute; accepted, without effect here"

CONFIG_KEYS: Sequence[ConfigKey] = (
    ConfigKey("aws_access_key", str, "access key; without one, the chain of boto3 is asked", secret=True),
    ConfigKey("aws_secret_key", str, "secret key", secret=True),
    ConfigKey("aws_session_token", str, "token of temporary credentials", secret=True),
    ConfigKey("aws_profile", str, "profile of AWS's own configuration files, where no keys are given"),
    ConfigKey("aws_region_name", str, "region; by default the profile's or the preset's"),
    ConfigKey("aws_anonymous", bool, "send requests without a signature, for public buckets", False),
    ConfigKey("s3_endpoint_url", str, "address of a compatible service"),
    ConfigKey("s3_is_secure", bool, "https, where the address does not say", True),
    ConfigKey("s3_validate_certs", bool, "check the server's certificate; verify_tls must agree", True),
    ConfigKey("s3_preset", str, "name of a compatible service; without one AWS, or with an address any other"),
    ConfigKey("s3_account", str, "account, where a preset's address holds it"),
    ConfigKey("s3_direct", bool, "send plain requests without boto3's client, in less time", True),
    *override_keys(),
    ConfigKey("aws_zone_name", str, _IGNORED),
    ConfigKey("aws_page_size", int, _IGNORED),
    ConfigKey("ec2_endpoint_url", str, _IGNORED),
    ConfigKey("ec2_is_secure", bool, _IGNORED),
    ConfigKey("ec2_validate_certs", bool, _IGNORED),
    ConfigKey("ec2_retries_value", int, _IGNORED),
)


def choose_preset(config: Mapping[str, Any]) -> S3Preset:
    """Return the service that the configuration means, with the flags it sets."""
    url = config.get("s3_endpoint_url")
    name = config.get("s3_preset") or ("aws" if is_aws(_complete(url, secure=True)) else "other")
    return with_overrides(find(name), config)


def choose_endpoint(config: Mapping[str, Any], preset: S3Preset) -> str | None:
    """Return the service's address; ``None`` for AWS's own, which boto3 knows."""
    secure = bool(config["s3_is_secure"])
    if config["s3_endpoint_url"]:
        return _complete(config["s3_endpoint_url"], secure=secure)
    return preset.endpoint_url(config["aws_region_name"], config["s3_account"], secure)


def _complete(url: str | None, *, secure: bool) -> str | None:
    if not url or "://" in url:
        return url
    return f"{'https' if secure else 'http'}://{url}"


def capabilities_of(preset: S3Preset, *, anonymous: bool, locations: bool) -> Capabilities:
    """Return what a service can do."""
    conditions = cast('frozenset[Literal["if_match", "if_none_match"]]', preset.conditional_put)
    held = {"crc32"} if preset.checksum == "crc32" else {"md5"} if preset.etag_is_md5 else set()
    multipart = preset.max_parts > 1
    return Capabilities(
        multipart=multipart,
        copy=preset.copy,
        conditional_put=conditions,
        conditional_read=True,
        user_metadata=True,
        tags=preset.tagging,
        storage_classes=frozenset(preset.storage_classes),
        batch_delete=1000,
        sign=frozenset() if anonymous else frozenset({"GET", "HEAD", "PUT", "DELETE"}),
        public_access=preset.acl,
        website=preset.name == "aws",
        list_uploads=multipart,
        locations=locations,
        checksums=frozenset(held),
        max_put=min(preset.max_part, 5 * 2**30),
        min_part=preset.min_part,
        max_part=preset.max_part,
        max_parts=preset.max_parts,
        max_metadata_bytes=preset.max_metadata_bytes,
    )
