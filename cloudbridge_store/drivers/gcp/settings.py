"""The settings of Google Cloud Storage, and what the service can do."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from cloudbridge_store.config import ConfigKey, Settings, refuse_http
from cloudbridge_store.drivers.base import Capabilities, GiB, KiB, MiB, TiB
from cloudbridge_store.errors import InvalidConfigurationException
from cloudbridge_store.redaction import has_userinfo

STORAGE_CLASSES = frozenset({"STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"})
EMULATOR = "STORAGE_EMULATOR_HOST"
_PORTS = {"http": 80, "https": 443}
_IGNORED = "CloudBridge's key for compute; accepted, without effect here"
_HMAC = "half of an HMAC key; refused, as provider gcs-interop takes those"

CONFIG_KEYS: Sequence[ConfigKey] = (
    ConfigKey("gcp_service_creds_file", str, "path of a JSON file with credentials, such as a service account's key"),
    ConfigKey("gcp_service_creds_dict", dict, "what stands in such a file, as a mapping or as JSON", secret=True),
    ConfigKey("gcp_credentials_obj", object, "credentials of google.auth, ready made"),
    ConfigKey("gcp_access_token", str, "an OAuth access token, used as long as it lasts", secret=True),
    ConfigKey("gcp_anonymous", bool, "send requests without credentials, for public buckets", False),
    ConfigKey(
        "gcp_project_name", str, "id of the project that buckets are created in and listed of; by default the "
        "credentials' own", environment=("GCP_PROJECT_NAME", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"),
    ),
    ConfigKey(
        "gcp_region_name", str, "where buckets are created, if the call does not say; by default the service's choice",
        environment=("GCP_REGION_NAME", "GCP_DEFAULT_REGION"),
    ),
    ConfigKey("gcp_storage_class", str, "class of what is stored in buckets created, if the write does not say"),
    ConfigKey("gcp_endpoint_url", str, "address of the service, where it is not Google's public one"),
    ConfigKey(
        "gcp_service_account_email", str, "account that signs URLs by IAM, where the credentials hold no key and do "
        "not name it",
    ),
    ConfigKey("gcp_iam_endpoint_url", str, "address of IAM's service for signing, where it is not Google's public one"),
    ConfigKey("gcp_access_key", str, _HMAC, secret=True),
    ConfigKey("gcp_secret_key", str, _HMAC, secret=True),
    ConfigKey("gcp_default_zone", str, _IGNORED),
    ConfigKey("gcp_zone_name", str, _IGNORED),
    ConfigKey("gcp_vm_default_username", str, _IGNORED),
)  # fmt: skip


def refuse_contradictions(config: Mapping[str, Any]) -> None:
    """Raise InvalidConfigurationException for HMAC keys, and for an unknown class."""
    token = config["gcp_access_token"] or ""
    if config["gcp_access_key"] or config["gcp_secret_key"] or token.startswith("GOOG"):
        message = "HMAC keys are for the S3 protocol: use provider gcs-interop with aws_access_key and aws_secret_key"
        raise InvalidConfigurationException(message)
    wanted = config["gcp_storage_class"]
    if wanted is not None and wanted not in STORAGE_CLASSES:
        message = f"config key gcp_storage_class must be one of {', '.join(sorted(STORAGE_CLASSES))}, not {wanted!r}"
        raise InvalidConfigurationException(message)


def emulator() -> str | None:
    """Return the address of an emulator that the environment names, as Google's own clients look for it."""
    return os.environ.get(EMULATOR) or None


def choose_endpoint(config: Mapping[str, Any], settings: Settings, universe: str) -> str:
    """Return the service's address, without a slash at the end.

    :param universe: domain of the cloud that the credentials are for.
    :raises InvalidConfigurationException: it is none, or plain http to another machine.
    """
    given = config["gcp_endpoint_url"]
    if not given and (host := emulator()):
        return _checked(EMULATOR, host if "://" in host else f"http://{host}", settings)
    return _checked("config key gcp_endpoint_url", given or f"https://storage.{universe}", settings)


def choose_iam_endpoint(config: Mapping[str, Any], settings: Settings, universe: str) -> str:
    """Return the address of IAM's service for signing, likewise."""
    return _checked(
        "config key gcp_iam_endpoint_url",
        config["gcp_iam_endpoint_url"] or f"https://iamcredentials.{universe}",
        settings,
    )


def _checked(name: str, url: str, settings: Settings) -> str:
    """Return an address as clients write it: a signature is for the host as it is said in a request."""
    if has_userinfo(url):
        message = f"{name} has a user or a password in it: the service takes neither"
        raise InvalidConfigurationException(message)
    url = url if "://" in url else f"https://{url}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment:
        message = f"{name}: {url} is no address of a service"
        raise InvalidConfigurationException(message)
    refuse_http(url, settings)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port in (None, _PORTS[parts.scheme]) else f"{host}:{port}"
    return f"{parts.scheme}://{place}{parts.path}".rstrip("/")


_ABLE = Capabilities(
    multipart=True,
    copy=True,
    conditional_put=frozenset({"if_match", "if_none_match"}),
    # Its uploads in parts know no preconditions; a resumable one does, and takes any object there can be.
    conditional_multipart=False,
    conditional_copy=True,
    conditional_read=True,
    user_metadata=True,
    storage_classes=STORAGE_CLASSES,
    change_storage_class=True,
    versions=True,
    switch_versions=True,
    delete_marks=False,
    encryption=frozenset({"service", "kms", "customer"}),
    batch_delete=100,
    sign=frozenset({"GET", "HEAD", "PUT", "DELETE"}),
    sign_form=True,
    public_access=True,
    website=True,
    rules=frozenset({"cors", "lifecycle"}),
    list_uploads=True,
    locations=True,
    checksums=frozenset({"crc32c", "md5"}),
    max_put=5 * TiB,
    min_part=5 * MiB,
    max_part=5 * GiB,
    max_parts=10_000,
    max_metadata_bytes=8 * KiB,
    literal_keys=True,
)
"""The limits are those of the service's page "Quotas and limits"."""


_NOBODY = "Give credentials, such as gcp_service_creds_file, and leave gcp_anonymous out"


def capabilities_of(*, anonymous: bool) -> Capabilities:
    """Return what can be done: without credentials nothing is signed, and versions are not for everybody."""
    if not anonymous:
        return _ABLE
    hints = dict.fromkeys(("sign", "sign_form", "versions", "switch_versions"), _NOBODY)
    return replace(_ABLE, sign=frozenset(), sign_form=False, versions=False, switch_versions=False, hints=hints)
