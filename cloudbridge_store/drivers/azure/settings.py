"""The configuration of the Azure driver, and what the service can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from cloudbridge_store.config import ConfigKey, Settings, refuse_http
from cloudbridge_store.drivers.azure.credentials import choose, make
from cloudbridge_store.drivers.azure.endpoint import find_place, parse_connection_string
from cloudbridge_store.drivers.azure.publishing import ROOT, SITE
from cloudbridge_store.drivers.azure.service import Service
from cloudbridge_store.drivers.azure.signing import LONGEST, LONGEST_DELEGATED
from cloudbridge_store.drivers.base import Capabilities, KiB, MiB
from cloudbridge_store.errors import InvalidConfigurationException
from cloudbridge_store.redaction import hide

_IGNORED = "CloudBridge's key for compute; accepted, without effect here"


def _key(
    name: str, text: str, *variables: str, kind: type = str, secret: bool = False, default: Any = None
) -> ConfigKey:
    return ConfigKey(name, kind, text, default, (name.upper(), *variables), secret=secret)


CONFIG_KEYS: Sequence[ConfigKey] = (
    _key("azure_storage_account", "name of the storage account", "AZURE_STORAGE_ACCOUNT_NAME"),
    _key("azure_storage_key", "one of the account's two keys", "AZURE_STORAGE_ACCOUNT_KEY", secret=True),
    _key(
        "azure_connection_string",
        "account, key and address in one, as the portal shows them",
        "AZURE_STORAGE_CONNECTION_STRING",
        secret=True,
    ),
    _key("azure_sas_token", "shared access signature", "AZURE_STORAGE_SAS_TOKEN", secret=True),
    _key(
        "azure_access_token",
        "token of Entra ID for Storage, or something with get_token()",
        "AZURE_STORAGE_ACCESS_TOKEN",
        kind=object,
        secret=True,
    ),
    _key("azure_client_id", "client of a service principal, or of a managed identity"),
    _key("azure_secret", "secret of a service principal", "AZURE_CLIENT_SECRET", secret=True),
    _key("azure_tenant", "tenant of a service principal", "AZURE_TENANT_ID"),
    _key(
        "azure_container", "the one bucket that the credentials are for: it alone is listed, and authenticate() asks it"
    ),
    _key("azure_anonymous", "send requests without a signature, for public buckets", kind=bool, default=False),
    _key(
        "azure_endpoint_url", "address of the account, where its name does not say it", "AZURE_STORAGE_SERVICE_ENDPOINT"
    ),
    _key("azure_endpoint_suffix", "domain of a sovereign cloud", default="core.windows.net"),
    _key(
        "azure_website_url",
        "address of the account's static website, which the portal shows; it makes websites possible",
    ),
    ConfigKey("azure_subscription_id", str, _IGNORED),
    ConfigKey("azure_region_name", str, _IGNORED),
    ConfigKey("azure_zone_name", str, _IGNORED),
    ConfigKey("azure_resource_group", str, _IGNORED),
    ConfigKey("azure_networking_resource_group", str, _IGNORED),
    ConfigKey("azure_vm_default_username", str, _IGNORED),
    ConfigKey("azure_public_key_storage_table_name", str, _IGNORED),
)


def make_service(config: Mapping[str, Any], settings: Settings) -> Service:
    """Return the service that a configuration means. :raises InvalidConfigurationException:"""
    parts = parse_connection_string(config["azure_connection_string"])
    kind = choose(config, parts)
    place = find_place(config, parts, keyed=kind == "connection")
    refuse_http(place.url, settings)
    identity = make(kind, config, parts, settings, place.url)
    if identity.sas is not None:
        _refuse_odd_signature(identity.sas)
    website, only = config["azure_website_url"], config["azure_container"]
    return Service(place, identity, settings, website=website, only=only)


def _refuse_odd_signature(sas: str) -> None:
    if "sig=" not in sas or "://" in sas or any(each.isspace() for each in sas):
        message = "config key azure_sas_token must be a signature's query, such as sv=...&sig=..."
        raise InvalidConfigurationException(hide(message))


def _sharing(service: Service) -> dict[str, Any]:
    # A signature cannot sign, nor change who may read a container; that of an account may change its properties.
    signs, of_account = service.identity.kind in ("key", "token"), service.identity.of_account
    return {
        "hints": _hints(service),
        # What permits HEAD permits GET.
        "sign": frozenset({"GET", "PUT", "DELETE"}) if signs else frozenset(),
        "sign_content_type": False,
        "max_url_seconds": LONGEST_DELEGATED if service.identity.kind == "token" else LONGEST,
        "public_access": signs,
        "account_rules": frozenset({"cors"}) if of_account else frozenset(),
        "website": service.website is not None and of_account,
    }


def _hints(service: Service) -> dict[str, str]:
    identity, hints = service.identity, {}
    if identity.kind in ("key", "token"):
        hints["HEAD"] = "Who may ask for an object's headers may read it too: sign GET"
    else:
        hints["sign"] = hints["public_access"] = "Give the account's key, or credentials of Entra ID"
    if identity.of_account:
        hints["rules"] = "They are the account's: set_rules() of provider.storage"
        if service.website is None:
            hints["website"] = "Set azure_website_url to the address of the account's website, which the portal shows"
    if not service.secure:
        hints["customer"] = "A key is sent by https only: give an address of https"
    return hints


def _encryption(service: Service) -> frozenset[Literal["service", "kms", "customer"]]:
    # A customer's key is sent with each request, so the service takes none by http. Its key management is not asked for
    # by a request: it is the account's or the bucket's, or a scope's, whose name is a header to give as ``extra``.
    return frozenset({"service", "customer"} if service.secure else {"service"})


def capabilities_of(service: Service) -> Capabilities:
    """Return what the service can do for these credentials."""
    return Capabilities(
        multipart=True,
        copy=True,
        copy_url=True,
        conditional_put=frozenset({"if_match", "if_none_match"}),
        separate_uploads=False,
        conditional_read=True,
        user_metadata=True,
        tags=True,
        storage_classes=frozenset({"Hot", "Cool", "Cold", "Archive"}),
        change_storage_class=True,
        versions=True,
        encryption=_encryption(service),
        batch_delete=256,
        **_sharing(service),
        list_uploads=True,
        special_buckets=frozenset({ROOT, SITE}),
        byte_order=False,
        checksums=frozenset({"md5"}),
        max_page=5000,
        max_put=5000 * MiB,
        min_part=1,
        max_part=4000 * MiB,
        max_parts=50_000,
        max_metadata_bytes=8 * KiB,
    )
