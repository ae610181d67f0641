"""Where an account is: from a connection string, an address, or its name."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from cloudbridge_store.errors import InvalidConfigurationException
from cloudbridge_store.redaction import has_userinfo, hide

DEVELOPMENT: Mapping[str, str] = {
    "defaultendpointsprotocol": "http",
    "accountname": "devstoreaccount1",
    "accountkey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "blobendpoint": "http://127.0.0.1:10000/devstoreaccount1",
}
"""What ``UseDevelopmentStorage=true`` stands for. Microsoft publishes the key: the emulator's is no secret."""
_OTHER_SERVICE = re.compile(r"([^.]+)\.(?:z\d+\.)?(?:dfs|file|queue|table)\.(?:core|storage)\..+", re.IGNORECASE)
_ACCOUNT = re.compile("[a-z0-9]{3,24}")
_HOST = re.compile(
    r"(?P<account>[a-z0-9]{3,24})(?:-secondary|-ipv6|-dualstack)*\.(?:z\d+\.)?(?:privatelink\.)?blob\..+", re.IGNORECASE
)


class Place(NamedTuple):
    """An account: its name, and the address that the names of containers are added to."""

    account: str
    url: str

    @property
    def path(self) -> str:
        """What stands before the container in a path: empty, or with an emulator the account."""
        return urlsplit(self.url).path

    @property
    def named_in_path(self) -> bool:
        """Whether the account is in the path, as with an emulator."""
        return bool(self.path.strip("/"))


def parse_connection_string(text: str | None) -> dict[str, str]:
    """Return what a connection string says, by its names in lower case.

    :raises InvalidConfigurationException: it is none. The message has nothing of it, as it holds a key.
    """
    parts: dict[str, str] = {}
    for piece in filter(None, (text or "").split(";")):
        name, separator, value = piece.strip().partition("=")
        if not separator or not value.strip() or not name.strip().isalpha():
            message = (
                "config key azure_connection_string must be NAME=VALUE;NAME=VALUE, as the portal shows it, unquoted"
            )
            raise InvalidConfigurationException(message)
        parts[name.strip().lower()] = hide(value.strip())
    if parts.get("usedevelopmentstorage", "").lower() == "true":
        return {**DEVELOPMENT, **_elsewhere(parts.get("developmentstorageproxyuri")), **parts}
    return parts


def _elsewhere(proxy: str | None) -> dict[str, str]:
    """Return where the emulator is that is not on this machine: the port and the account are always the same."""
    if proxy is None:
        return {}
    host = str(proxy).rstrip("/")
    return {"blobendpoint": f"{host}:{urlsplit(DEVELOPMENT['blobendpoint']).port}/{DEVELOPMENT['accountname']}"}


def find_place(config: Mapping[str, Any], parts: Mapping[str, str]) -> Place:
    """Return the account that a configuration means.

    :param parts: of the connection string.
    :raises InvalidConfigurationException: it names none, two, or an address that cannot be one.
    """
    url = config["azure_endpoint_url"] or parts.get("blobendpoint")
    account = _agreed(config["azure_storage_account"], parts.get("accountname"))
    if url:
        return _at(str(url), account)
    if not account:
        message = "no account is named: give azure_storage_account, azure_connection_string or azure_endpoint_url"
        raise InvalidConfigurationException(message)
    _refuse_odd(account)
    scheme = parts.get("defaultendpointsprotocol", "https").lower()
    suffix = parts.get("endpointsuffix") or config["azure_endpoint_suffix"]
    return Place(account, f"{scheme}://{account}.blob.{str(suffix).strip('.')}")


def _agreed(configured: str | None, named: str | None) -> str:
    if configured and named and configured != named:
        message = f"azure_storage_account is {configured}, and azure_connection_string is for {named!s}"
        raise InvalidConfigurationException(message)
    return str(configured or named or "")


def _refuse_odd(account: str) -> None:
    # The name becomes part of a host's.
    if not _ACCOUNT.fullmatch(account):
        message = f"azure_storage_account {account!r}: an account's name has 3 to 24 lower-case letters and digits"
        raise InvalidConfigurationException(message)


def _at(url: str, account: str) -> Place:
    if has_userinfo(url):
        url = hide(url)  # from a traceback's locals too
        message = "config key azure_endpoint_url has a user or a password in it: use azure_storage_key"
        raise InvalidConfigurationException(message)
    url = url if "://" in url else f"https://{url}"
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        message = "config key azure_endpoint_url has a query: give the signature in it as azure_sas_token"
        raise InvalidConfigurationException(message)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidConfigurationException(f"{url} is no address of a service")
    path = parts.path.strip("/")
    if "/" in path:
        message = f"{url} is the address of something in an account: azure_endpoint_url is the account's own"
        raise InvalidConfigurationException(message)
    if _OTHER_SERVICE.fullmatch(parts.hostname):
        message = f"{url} is the address of another service of the account: give the one with .blob. in it"
        raise InvalidConfigurationException(message)
    found = _HOST.fullmatch(parts.hostname)
    account = account or path or (found["account"] if found else "")
    if not account:
        message = f"the account is not to be seen in {url}: give azure_storage_account"
        raise InvalidConfigurationException(message)
    if not path and _is_bare(parts.hostname):
        path = account
    base = f"{parts.scheme}://{parts.netloc}"
    return Place(account, f"{base}/{path}" if path else base)


def _is_bare(host: str) -> bool:
    """Say whether a host has no name that could hold the account's: then the path does, as with an emulator."""
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
