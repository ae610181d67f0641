"""Who asks: an account's key, a shared access signature, a token of Entra ID, or nobody."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

from cloudbridge_store.config import Settings
from cloudbridge_store.errors import InvalidConfigurationException, MissingDependencyError
from cloudbridge_store.redaction import hide

SCOPE = "https://storage.azure.com/.default"
"""What a token has to be for, in all clouds."""
_RENEW_AHEAD = 300
"""Seconds before its end from which a token is not used any more."""
_FOR_EVER = 2**53
_PRINCIPAL = ("azure_client_id", "azure_secret", "azure_tenant")
_AUTHORITIES = {"usgovcloudapi.net": "login.microsoftonline.us", "chinacloudapi.cn": "login.chinacloudapi.cn"}
"""Who gives out tokens in the sovereign clouds, by the end of their domains, as azure-identity has them."""
_AUTHORITY_VARIABLE = "AZURE_AUTHORITY_HOST"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What requests are signed with. Only the field of its kind is set."""

    kind: Literal["key", "sas", "token", "anonymous"]
    account_key: str | None = field(default=None, repr=False)
    """Base64, as the portal shows it."""
    sas: str | None = field(default=None, repr=False)
    """The query of a signed URL, without a question mark."""
    token: Any = field(default=None, repr=False)
    """Something with ``get_token(scope)``, as azure-identity has them."""
    owned: bool = False
    """Nobody else has the token's source: it is closed with the driver."""

    @property
    def of_account(self) -> bool:
        """Whether what belongs to the account itself may be asked for: not with a signature for one bucket or blob."""
        return self.kind in ("key", "token") or (self.kind == "sas" and "sr" not in parse_qs(str(self.sas)))

    @property
    def of_object(self) -> bool:
        """Whether nothing but one object, or what is in one directory, may be asked for: no bucket, whatever of it."""
        return self.kind == "sas" and parse_qs(str(self.sas)).get("sr", ["c"])[0] != "c"

    def has_ended(self) -> bool:
        """Say whether a shared access signature says of itself that its time is over, by this machine's clock."""
        ends = parse_qs(str(self.sas or "")).get("se", [""])[0]
        try:
            moment = datetime.fromisoformat(ends)
        except ValueError:
            return False  # a stored access policy may say when it ends
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) < datetime.now(UTC)

    def close(self) -> None:
        """Release what finding tokens took."""
        if self.owned and hasattr(self.token, "close"):
            with contextlib.suppress(Exception):  # what was asked of the driver has been done
                self.token.close()


class AccessToken(NamedTuple):
    """A token and when it ends, in seconds since 1970; like azure-core's, which costs an import."""

    token: str
    expires_on: int


class GivenToken:
    """A token that the configuration gave: it ends when it ends."""

    def __init__(self, token: str) -> None:
        self._token: str = hide(token)

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        """Return the token."""
        return AccessToken(self._token, _FOR_EVER)


class TokenKeeper:
    """Keeps a token until shortly before it ends: credentials are slower to ask, and some ask the network."""

    def __init__(self, credential: Any) -> None:
        self._credential = credential
        self._lock = threading.Lock()
        self._held = AccessToken("", 0)

    def get(self) -> str:
        """Return a token that is good for some minutes."""
        held = self._held
        if held.expires_on - _RENEW_AHEAD > time.time():
            return held.token
        with self._lock:
            if self._held.expires_on - _RENEW_AHEAD <= time.time():
                found = self._credential.get_token(SCOPE)
                self._held = AccessToken(hide(found.token), found.expires_on)
            return self._held.token

    def renew(self) -> bool:
        """Ask the credential anew at the next request; ``False`` where the configuration gave the token itself."""
        if isinstance(self._credential, GivenToken):
            return False
        with self._lock:
            self._held = AccessToken("", 0)
        return True


def choose(config: Mapping[str, Any], parts: Mapping[str, str]) -> str:
    """Return the kind of the credentials that a configuration means.

    The nearest source that has any counts: what was given to ``create_provider`` before the environment, a profile,
    a file. Of one source: connection string, key, shared access signature, token, service principal, anonymous. Of
    what was given itself only one may be there, save a token beside a principal.

    :param parts: what the connection string says, by its own names in lower case.
    :raises InvalidConfigurationException: two that contradict each other.
    """
    origins: Mapping[str, int] = getattr(config, "origins", {})
    found = {kind: min(origins.get(name, 0) for name in names) for kind, names in _found(config, parts).items()}
    given = [kind for kind, origin in found.items() if origin == 0]
    if len(given) > 1 and set(given) != {"token", "principal"}:
        names = " and ".join(_NAMES[kind] for kind in given)
        raise InvalidConfigurationException(f"config keys {names} contradict each other: give one of them")
    nearest = min(found.values(), default=0)
    return next((kind for kind in _NAMES if found.get(kind) == nearest), "default")


_NAMES: Mapping[str, str] = {
    "connection": "azure_connection_string",
    "key": "azure_storage_key",
    "sas": "azure_sas_token",
    "token": "azure_access_token",
    "principal": "azure_secret",
    "anonymous": "azure_anonymous",
}
"""The kinds, best first, and the key that each is known by."""


def _found(config: Mapping[str, Any], parts: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {kind: (name,) for kind, name in _NAMES.items() if config[name]}
    if not parts.keys() & {"accountkey", "sharedaccesssignature"}:
        found.pop("connection", None)
    return found


def make(kind: str, config: Mapping[str, Any], parts: Mapping[str, str], settings: Settings, url: str) -> Credentials:
    """Return the credentials of the kind that was chosen.

    :param parts: as for :func:`choose`.
    :param settings: how whoever gives out tokens is reached.
    :param url: address of the account, whose cloud says who that is.
    :raises InvalidConfigurationException: half of them is missing.
    """
    if kind in ("principal", "default"):
        return Credentials("token", token=_of_identity(config, settings, url), owned=True)
    if kind == "connection":
        if "accountkey" in parts:
            return Credentials("key", account_key=hide(parts["accountkey"]))
        return Credentials("sas", sas=hide(parts["sharedaccesssignature"].lstrip("?")))
    if kind == "key":
        return Credentials("key", account_key=config["azure_storage_key"])
    if kind == "sas":
        return Credentials("sas", sas=hide(config["azure_sas_token"].strip().lstrip("?")))
    if kind == "token":
        given = config["azure_access_token"]
        return Credentials("token", token=given if hasattr(given, "get_token") else GivenToken(_text(given)))
    return Credentials("anonymous")


def _text(given: object) -> str:
    if isinstance(given, str):
        return given
    raise InvalidConfigurationException("config key azure_access_token must be text, or something with get_token()")


def _of_identity(config: Mapping[str, Any], settings: Settings, url: str) -> Any:
    """Return a credential of azure-identity: a service principal's, or the chain that finds what this machine has."""
    try:
        from azure import identity  # here, as a key needs none of it
    except ImportError as error:
        message = (
            "no azure_storage_key, azure_sas_token or azure_access_token is given, and what finds credentials of "
            "Entra ID is not installed: pip install 'cloudbridge-store[azure]'"
        )
        raise MissingDependencyError(message) from error
    client, secret, tenant = (config[name] for name in _PRINCIPAL)
    if secret and not (client and tenant):
        raise InvalidConfigurationException("config keys azure_client_id, azure_secret and azure_tenant come together")
    options = _asking(config, settings, url)
    try:
        if not secret:
            return identity.DefaultAzureCredential(**options, **_named(client, tenant))
        # The chain tries what is not there, and asks machines next to it; of a principal it is known who is asked.
        options |= {"retry_total": 0, **({"proxies": dict(settings.proxies)} if settings.proxies is not None else {})}
        who = {"tenant_id": tenant, "client_id": client, "client_secret": str(secret)}
        return identity.ClientSecretCredential(**who, **options)
    except ValueError as error:
        raise InvalidConfigurationException(f"azure_client_id, azure_secret, azure_tenant: {error}") from error


def _named(client: str | None, tenant: str | None) -> dict[str, str]:
    named = {"managed_identity_client_id": client, "workload_identity_client_id": client} if client else {}
    return {**named, "workload_identity_tenant_id": tenant} if tenant else named


def _asking(config: Mapping[str, Any], settings: Settings, url: str) -> dict[str, Any]:
    """Return how tokens are asked for: of whom, unless the environment says so, and over which connections."""
    options: dict[str, Any] = {"connection_timeout": settings.connect_timeout, "read_timeout": settings.read_timeout}
    if not settings.verify_tls:
        options["connection_verify"] = False
    elif settings.ca_bundle is not None:
        options["connection_verify"] = str(settings.ca_bundle)
    domains = (urlsplit(url).hostname or "", str(config["azure_endpoint_suffix"]).strip("."))
    found = [whom for end, whom in _AUTHORITIES.items() if any(each.endswith(end) for each in domains)]
    if found and not os.environ.get(_AUTHORITY_VARIABLE):
        options["authority"] = found[0]
    return options
