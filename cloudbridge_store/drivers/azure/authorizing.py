"""How requests say who asks. The signature is the Shared Key scheme of the Blob service."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping

from cloudbridge_store.drivers.azure.credentials import Credentials, TokenKeeper
from cloudbridge_store.errors import InvalidConfigurationException
from cloudbridge_store.redaction import hide

_SIGNED = (
    *("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date"),
    *("if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"),
)
_SERVICE_ORDER = str.maketrans({"-": None, "_": "!"})

Authorize = Callable[[str, str, Mapping[str, str], dict[str, str]], None]
"""Adds to the headers of a request, its last argument. The others are its method, its path as it is sent, and its
query, not encoded."""


class SharedKey:
    """Signs with an account's key.

    :raises InvalidConfigurationException: the key is not in base64.
    """

    def __init__(self, account: str, key: str) -> None:
        self._account = account
        try:
            # The two rounds of HMAC begin the same for all requests; the state after that is copied.
            self._hmac = hmac.new(base64.b64decode(key, validate=True), digestmod=hashlib.sha256)
        except (binascii.Error, ValueError):
            message = "the account's key must be base64, as the portal shows it"
            raise InvalidConfigurationException(message) from None

    def __call__(self, method: str, path: str, query: Mapping[str, str], headers: dict[str, str]) -> None:
        """Add the signature."""
        lowered = {name.lower(): value for name, value in headers.items()}
        if lowered.get("content-length") == "0":
            del lowered["content-length"]
        lines = [method, *(lowered.get(name, "") for name in _SIGNED)]
        ours = [name for name in lowered if name.startswith("x-ms-")]
        # Spaces around a value are lost on the way.
        lines += [f"{name}:{lowered[name].strip()}" for name in sorted(ours, key=service_order)]
        lines.append(f"/{self._account}{path}")
        lines += [f"{name.lower()}:{query[name]}" for name in sorted(query)]
        signer = self._hmac.copy()
        signer.update("\n".join(lines).encode())
        signature = base64.b64encode(signer.digest()).decode()
        headers["Authorization"] = hide(f"SharedKey {self._account}:{signature}")


def service_order(name: str) -> tuple[str, str]:
    """Return what the service sorts headers by: as if they had no hyphens, and underscores came before digits.

    No two headers differ in hyphens alone: names of metadata have none.
    """
    return name.translate(_SERVICE_ORDER), name


def authorizer(account: str, credentials: Credentials, keeper: TokenKeeper | None) -> Authorize | None:
    """Return what adds the signature to requests; ``None`` where none is added, or where the query has it."""
    if credentials.account_key is not None:
        return SharedKey(account, credentials.account_key)
    if keeper is None:
        return None

    def bear(_method: str, _path: str, _query: Mapping[str, str], headers: dict[str, str]) -> None:
        headers["Authorization"] = hide(f"Bearer {keeper.get()!s}")

    return bear
