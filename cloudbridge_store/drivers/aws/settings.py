"""The settings of this provider, and what it can do with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from cloudbridge_store.config import ConfigKey
from cloudbridge_store.drivers.aws.plan import is_aws
from cloudbridge_store.drivers.base import Capabilities, RuleKind
from cloudbridge_store.drivers.presets import S3Preset, find, override_keys, with_overrides
from cloudbridge_store.errors import InvalidConfigurationException
from cloudbridge_store.redaction import has_userinfo

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


def refuse_userinfo(config: Mapping[str, Any]) -> None:
    """Refuse an address with a password: requests are signed instead, and errors name addresses."""
    if has_userinfo(config["s3_endpoint_url"]):
        message = "config key s3_endpoint_url has a user or a password in it: use aws_access_key and aws_secret_key"
        raise InvalidConfigurationException(message)


def choose_preset(config: Mapping[str, Any]) -> S3Preset:
    """Return the service that the configuration means, with the flags it sets."""
    url = config.get("s3_endpoint_url")
    name = config.get("s3_preset") or ("aws" if not url or is_aws(_complete(url, secure=True)) else "other")
    return with_overrides(find(name), config)


def choose_endpoint(config: Mapping[str, Any], preset: S3Preset) -> str | None:
    """Return the service's address; ``None`` for AWS's own, which boto3 knows."""
    secure = bool(config["s3_is_secure"])
    if config["s3_endpoint_url"]:
        url = _complete(config["s3_endpoint_url"], secure=secure)
        if preset.force_https and not url.lower().startswith("https://"):
            message = f"preset {preset.name} is served over https only: {url} is not; s3_force_https=false permits it"
            raise InvalidConfigurationException(message)
        return url
    return preset.endpoint_url(config["aws_region_name"], config["s3_account"], secure)


def _complete(url: str, *, secure: bool) -> str:
    return url if "://" in url else f"{'https' if secure else 'http'}://{url}"


def _held_checksums(preset: S3Preset) -> frozenset[str]:
    if preset.checksum == "crc32":
        return frozenset({"crc32"})
    return frozenset({"md5"} if preset.etag_is_md5 else ())


def _changes_storage_class(preset: S3Preset) -> bool:
    # It is a copy onto itself. Only where that can depend on what is there, it cannot undo a write of the same moment.
    guarded = "if_match" in preset.conditional_put and preset.conditional_multipart
    return preset.copy and guarded and len(preset.storage_classes) > 1


def _part_sizes(preset: S3Preset) -> dict[str, Any]:
    return {
        "max_put": min(preset.max_part, 5 * 2**30),
        "min_part": preset.min_part,
        "max_part": preset.max_part,
        "max_parts": preset.max_parts,
        "equal_parts": preset.equal_part_size,
    }


_NOBODY = "Give credentials, and leave aws_anonymous out"
_FLAGS: Mapping[str, str] = {
    "copy": "copy",
    "tags": "tagging",
    "versions": "versioning",
    "switch_versions": "versioning",
    "public_access": "acl",
    "sign_form": "post_policy",
    "conditional_multipart": "conditional_multipart",
    "conditional_copy": "conditional_multipart",
}
"""The flags of a preset by the capabilities that they are for."""
_SETS: Mapping[str, tuple[str, ...]] = {
    "conditional_put": ("if_match", "if_none_match"),
    "encryption": ("customer", "kms", "service"),
    "rules": ("cors", "lifecycle"),
}
"""Flags that are sets, and what can be in them."""


def _hints(preset: S3Preset, *, anonymous: bool) -> dict[str, str]:
    """Return what to do about what a preset lacks: its service may have it by now, and a flag says so."""
    hints: dict[str, str] = {}
    if preset.name != "aws":
        for name, flag in _FLAGS.items():
            if getattr(preset, flag) is False:
                hints[name] = _told(flag, "true")
        if preset.max_parts == 1:
            hints["multipart"] = _told("max_parts", "10000")
        for flag, members in _SETS.items():
            there = getattr(preset, flag)
            hints |= {each: _told(flag, ",".join(sorted({*there, each}))) for each in members if each not in there}
    if anonymous:
        hints |= dict.fromkeys(("sign", "sign_form", "versions", "switch_versions"), _NOBODY)
    return hints


def _told(flag: str, value: str) -> str:
    if flag.startswith("conditional"):
        return f"If this service certainly keeps it, set s3_{flag}={value}: one that does not would overwrite objects"
    return f"If this service has it all the same, set s3_{flag}={value}"


def capabilities_of(preset: S3Preset, *, anonymous: bool, locations: bool) -> Capabilities:
    """Return what a service can do."""
    return Capabilities(
        multipart=preset.max_parts > 1,
        copy=preset.copy,
        conditional_put=cast('frozenset[Literal["if_match", "if_none_match"]]', preset.conditional_put),
        conditional_multipart=preset.conditional_multipart,
        conditional_copy=preset.conditional_multipart,
        conditional_read=True,
        user_metadata=True,
        tags=preset.tagging,
        storage_classes=frozenset(preset.storage_classes),
        change_storage_class=_changes_storage_class(preset),
        versions=preset.versioning and not anonymous,
        switch_versions=preset.versioning and not anonymous,
        encryption=cast('frozenset[Literal["service", "kms", "customer"]]', preset.encryption),
        batch_delete=1000,
        sign=frozenset() if anonymous else frozenset({"GET", "HEAD", "PUT", "DELETE"}),
        sign_form=preset.post_policy and not anonymous,
        public_access=preset.acl,
        website=preset.name == "aws",
        rules=cast("frozenset[RuleKind]", preset.rules),
        list_uploads=preset.max_parts > 1,
        locations=locations,
        checksums=_held_checksums(preset),
        literal_keys=True,
        **_part_sizes(preset),
        max_metadata_bytes=preset.max_metadata_bytes,
        hints=_hints(preset, anonymous=anonymous),
    )
