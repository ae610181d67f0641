"""Which providers there are: the only place that names drivers. A driver is imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

from cloudbridge_store.drivers.base import Driver
from cloudbridge_store.errors import MissingDependencyError, ProviderRetiredError, UnknownProviderError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "cloudbridge_store.drivers"


@dataclass(frozen=True, slots=True)
class Row:
    """Where a provider's driver is, and the extra that installs its SDK (``""``: none needed)."""

    module: str
    name: str
    extra: str = ""


class Resolved(NamedTuple):
    """What a provider's name stands for: a driver, a preset of it, and a region."""

    driver: str
    preset: str | None = None
    region: str | None = None


BUILT_IN: dict[str, Row] = {
    "aws": Row("cloudbridge_store.drivers.aws", "AwsDriver", "aws"),
    "azure": Row("cloudbridge_store.drivers.azure", "AzureDriver", "azure"),
    "gcp": Row("cloudbridge_store.drivers.gcp", "GcpDriver", "gcp"),
    "local": Row("cloudbridge_store.drivers.local", "LocalDriver"),
    "memory": Row("cloudbridge_store.drivers.memory", "MemoryDriver"),
    "mock": Row("cloudbridge_store.drivers.memory", "MemoryDriver"),
    "openstack": Row("cloudbridge_store.drivers.openstack", "OpenStackDriver", "openstack"),
}

RETIRED: Mapping[str, str] = {
    "ninefold": "Ninefold has closed. For EMC Atmos's successor ECS use 'other' with your s3_endpoint_url",
    "atmos": "EMC Atmos is discontinued. For its successor ECS use 'other' with your s3_endpoint_url",
    "nimbus": "Nimbus.io has closed. Use another S3-compatible service, such as 'minio' for one of your own",
}
"""Services that are gone, and what to use instead."""

_AWS_REGIONS: Mapping[str, str] = {
    "S3_AP_NORTHEAST": "ap-northeast-1",
    "S3_AP_NORTHEAST1": "ap-northeast-1",
    "S3_AP_NORTHEAST2": "ap-northeast-2",
    "S3_AP_SOUTH": "ap-south-1",
    "S3_AP_SOUTHEAST": "ap-southeast-1",
    "S3_AP_SOUTHEAST2": "ap-southeast-2",
    "S3_CA_CENTRAL": "ca-central-1",
    "S3_CN_NORTH": "cn-north-1",
    "S3_CN_NORTHWEST": "cn-northwest-1",
    "S3_EU_WEST": "eu-west-1",
    "S3_EU_WEST2": "eu-west-2",
    "S3_EU_WEST3": "eu-west-3",
    "S3_EU_CENTRAL": "eu-central-1",
    "S3_EU_NORTH1": "eu-north-1",
    "S3_SA_EAST": "sa-east-1",
    "S3_US_EAST2": "us-east-2",
    "S3_US_WEST": "us-west-1",
    "S3_US_WEST_OREGON": "us-west-2",
    "S3_US_GOV_WEST": "us-gov-west-1",
}

ALIASES: Mapping[str, Resolved] = {
    "S3": Resolved("aws", "aws"),
    **{name: Resolved("aws", "aws", region) for name, region in _AWS_REGIONS.items()},
    "S3_RGW": Resolved("aws", "rgw"),
    "S3_RGW_OUTSCALE": Resolved("aws", "outscale"),
    "ALIYUN_OSS": Resolved("aws", "alibaba"),
    "BACKBLAZE_B2": Resolved("aws", "backblaze"),
    "DIGITALOCEAN_SPACES": Resolved("aws", "digitalocean"),
    "AZURE_BLOBS": Resolved("azure"),
    "GOOGLE_STORAGE": Resolved("gcp"),
    "OPENSTACK_SWIFT": Resolved("openstack"),
    "CLOUDFILES": Resolved("openstack", "rackspace"),
    "CLOUDFILES_US": Resolved("openstack", "rackspace"),
    "CLOUDFILES_UK": Resolved("openstack", "rackspace", "lon"),
    "CLOUDFILES_SWIFT": Resolved("openstack"),
    "KTUCLOUD": Resolved("openstack", "ktucloud"),
    "KTCLOUD": Resolved("openstack", "ktucloud"),
    "DUMMY": Resolved("memory"),
}
"""libcloud's constants, where they are not already names of ours."""

_NAME_KEYS: Mapping[str, tuple[str, str]] = {
    "aws": ("s3_preset", "aws_region_name"),
    "openstack": ("os_preset", "os_region_name"),
}
"""The config keys that a name's preset and region are values of."""


_SWIFT_NAMES = ("rackspace", "memset", "ktucloud", "ceph-swift")
"""Presets of Swift that are names of providers; the name of any other stands for something else."""


def _fold(name: str) -> str:
    # libcloud's constants and their values differ in underscores: S3_EU_WEST2 is "s3_eu_west_2".
    return name.lower().replace("_", "")


_FOLDED = {_fold(name): found for name, found in ALIASES.items()}


def names() -> Iterator[str]:
    """Yield the name of every provider: the built-in ones, those with presets, those of other packages."""
    from cloudbridge_store.drivers.presets import S3_PRESETS  # here and below: most programs never ask for one

    own = dict.fromkeys((*BUILT_IN, *S3_PRESETS, *_SWIFT_NAMES))
    yield from own
    yield from (point.name for point in _entry_points() if point.name not in own)


def _entry_points() -> Iterator[EntryPoint]:
    from importlib import metadata  # here, as it costs a tenth of importing this library

    yield from metadata.entry_points(group=ENTRY_POINTS)


def resolve(name: str) -> Resolved:
    """Return what a name stands for: one of ours, one of libcloud's constants in any case, or another package's.

    :raises ProviderRetiredError: the service is gone.
    :raises UnknownProviderError: there is none of that name; the message has the nearest.
    """
    found = _resolve_own(name)
    if found is None and name in {point.name for point in _entry_points()}:
        return Resolved(name)
    if found is None:
        raise _unknown(name)
    return found


def _resolve_own(name: str) -> Resolved | None:
    lower = str(name).lower()
    if lower in BUILT_IN:
        return Resolved(lower, "aws" if lower == "aws" else None)
    if reason := RETIRED.get(lower.removesuffix(".io")):
        message = f"provider {name}: {reason}"
        raise ProviderRetiredError(message)
    if alias := _FOLDED.get(_fold(lower)):
        return alias
    from cloudbridge_store.drivers.presets import S3_PRESETS

    preset = lower.replace("_", "-")
    if preset in S3_PRESETS:
        return Resolved("aws", preset)
    return Resolved("openstack", preset) if preset in _SWIFT_NAMES else None


def provider_id(name: str) -> str:
    """Return the one spelling of a name that is known in several, and any other as it is.

    :raises UnknownProviderError: there is no such provider.
    """
    found = resolve(name)
    lower = name.lower()
    if found.preset == lower.replace("_", "-"):
        return found.preset
    return lower if _resolve_own(name) else name


def implied_settings(name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the settings that a provider's name stands for: those it fixes, and defaults for others.

    ``S3_EU_WEST`` fixes its region whatever the environment says; ``minio`` fixes its preset and has a default region.
    """
    found = _resolve_own(name)
    if found is None or found.preset is None or found.driver == name:
        return {}, {}
    preset_key, region_key = _NAME_KEYS[found.driver]
    fixed = {preset_key: found.preset, **({region_key: found.region} if found.region else {})}
    if found.driver != "aws" or found.preset == "aws":
        return fixed, {}  # for AWS itself the SDK's own configuration may name a region
    from cloudbridge_store.drivers.presets import S3_PRESETS

    region = S3_PRESETS[found.preset].default_region
    return fixed, {region_key: region} if region else {}


def load(name: str) -> type[Driver]:
    """Import a provider's driver.

    :raises UnknownProviderError: there is none of that name; the message has the nearest.
    :raises MissingDependencyError: there is, but what it imports is not installed; the message says how to install it.
    """
    found = _resolve_own(name) or Resolved(name)
    row = BUILT_IN.get(found.driver)
    try:
        if row is not None:
            return cast("type[Driver]", getattr(importlib.import_module(row.module), row.name))
        for point in _entry_points():
            if point.name == found.driver:
                return cast("type[Driver]", point.load())
    except ImportError as error:
        if (error.name or "").startswith("cloudbridge_store."):
            raise  # a fault of ours, not of the installation
        extra = row.extra if row else ""
        advice = f"pip install 'cloudbridge-store[{extra}]'" if extra else "install what its package needs"
        message = f"provider {name} needs {error.name or error}, which is not installed: {advice}"
        raise MissingDependencyError(message) from error
    raise _unknown(name)


def _unknown(name: str) -> UnknownProviderError:
    import difflib

    known = dict.fromkeys((*names(), *(alias.lower() for alias in ALIASES)))
    near = difflib.get_close_matches(str(name).lower(), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names())}"
    return UnknownProviderError(f"A provider with name {name} could not be found; {hint}")
