"""Where an account is: from a connection string, an address, or its name."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

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


def find_place(config: Mapping[str, Any], parts: Mapping[str, str], *, keyed: bool) -> Place:
    """Return the account that a configuration means. The nearest source that names one counts.

    :param parts: of the connection string.
    :param keyed: the credentials are those of the connection string.
    :raises InvalidConfigurationException: it names none, two, or an address that cannot be one.
    """
    origins: Mapping[str, int] = getattr(config, "origins", {})
    account, url, nearness = _named_beside(config, origins)
    ours = account or _account_of(url)
    theirs = parts.get("accountname") or _account_of(parts.get("blobendpoint"))
    nearness -= origins.get("azure_connection_string", 0)
    if ours and theirs and ours != theirs:
        if nearness == 0 or (nearness < 0 and keyed):
            message = f"azure_storage_account or azure_endpoint_url is for {ours!s}, and azure_connection_string for "
            raise InvalidConfigurationException(f"{message}{theirs!s}")
        account, url, parts = (account, url, {}) if nearness < 0 else (None, None, parts)
    elif nearness > 0 and "blobendpoint" in parts:
        url = None
    return _place(account or parts.get("accountname"), url or parts.get("blobendpoint"), config, parts)


def _named_beside(config: Mapping[str, Any], origins: Mapping[str, int]) -> tuple[str | None, str | None, int]:
    """Return the account and the address that have keys of their own, and how far the nearer one's source is."""
    account, url = config["azure_storage_account"], config["azure_endpoint_url"]
    nearness = {name: origins.get(name, 0) for name in ("azure_storage_account", "azure_endpoint_url") if config[name]}
    if account and url and _account_of(url) not in (None, account):
        if len(set(nearness.values())) == 1:
            message = f"azure_storage_account is {account}, and azure_endpoint_url is for {_account_of(url)}"
            raise InvalidConfigurationException(message)
        if nearness["azure_storage_account"] < nearness["azure_endpoint_url"]:
            url = None
        else:
            account = None
    return account, url, min(nearness.values(), default=0)


def _account_of(url: object) -> str | None:
    """Return the account that an address is surely of; ``None`` where it does not say."""
    if not url:
        return None
    parts = _split(str(url))
    found = _HOST.fullmatch(parts.hostname or "")
    if found:
        return found["account"].lower()
    return parts.path.strip("/") or None if _is_bare(parts.hostname or "") else None


def _place(account: str | None, url: str | None, config: Mapping[str, Any], parts: Mapping[str, str]) -> Place:
    account = str(account or "")
    if url:
        return _at(str(url), account)
    if not account:
        message = "no account is named: give azure_storage_account, azure_connection_string or azure_endpoint_url"
        raise InvalidConfigurationException(message)
    _refuse_odd(account)
    scheme = parts.get("defaultendpointsprotocol", "https").lower()
    suffix = parts.get("endpointsuffix") or config["azure_endpoint_suffix"]
    return Place(account, f"{scheme}://{account}.blob.{str(suffix).strip('.')}")


def _refuse_odd(account: str) -> None:
    # The name becomes part of a host's.
    if not _ACCOUNT.fullmatch(account):
        message = f"azure_storage_account {account!r}: an account's name has 3 to 24 lower-case letters and digits"
        raise InvalidConfigurationException(message)


def _split(url: str) -> SplitResult:
    """Take an address to pieces, in which https need not be named. It may hold a secret, so that no message has it."""
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        _ = parts.port  # looks at it
    except ValueError:
        parts = None
    if parts is None or any(each.isspace() for each in url):
        raise InvalidConfigurationException("config key azure_endpoint_url is no address of a service")
    return parts


def _at(url: str, account: str) -> Place:
    if has_userinfo(url):
        url = hide(url)  # from a traceback's locals too
        message = "config key azure_endpoint_url has a user or a password in it: use azure_storage_key"
        raise InvalidConfigurationException(message)
    parts = _split(url)
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
