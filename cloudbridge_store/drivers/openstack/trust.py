"""Whose certificates are trusted, and the one that we show: the configuration's, else those of ``clouds.yaml``."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from cloudbridge_store.config import Settings
from cloudbridge_store.errors import InvalidConfigurationException

_log = logging.getLogger("cloudbridge_store")
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class Trust(NamedTuple):
    """What TLS is begun with."""

    verify: bool
    bundle: str | None = None
    """File of the authorities that are trusted; ``None`` stands for the usual ones."""
    certificate: tuple[str, str] | None = None
    """Files of the certificate that the server may ask us for, and of its key."""


def trust_of(settings: Settings, cloud: Mapping[str, Any] = _NOTHING) -> Trust:
    """Return what the configuration says, and of what it says nothing about, what the cloud's entry does.

    :raises InvalidConfigurationException: a file of the cloud's cannot be read, or is not what it should be.
    """
    # Who names authorities wants the server's certificate compared with them.
    decided = "verify_tls" in settings.chosen or settings.ca_bundle is not None
    verify = settings.verify_tls and (decided or (_flag(cloud, "verify", True) and not _flag(cloud, "insecure", False)))
    if not verify:
        _warn()
    bundle = str(settings.ca_bundle) if settings.ca_bundle is not None else None
    if bundle is None and verify:
        bundle = _file(cloud, "cacert")
        if bundle is not None:
            _try("cacert", bundle, lambda context: context.load_verify_locations(bundle))
    certificate = _file(cloud, "cert")
    if certificate is None:
        return Trust(verify, bundle)
    key = _file(cloud, "key") or certificate
    # With a password, though an empty one, nobody is asked for it at the terminal.
    _try("cert", certificate, lambda context: context.load_cert_chain(certificate, key, password=""))
    return Trust(verify, bundle, (certificate, key))


def _warn() -> None:
    import urllib3

    _log.warning("certificates are not checked: whoever is in between can read and change everything")
    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)


def _flag(cloud: Mapping[str, Any], name: str, default: bool) -> bool:
    value = cloud.get(name, default)
    known = default if value is None else _WORDS.get(str(value).strip().lower())
    if known is None:
        message = f"clouds.yaml: {name} must be true or false, not {value!r}"
        raise InvalidConfigurationException(message)
    return known


def _file(cloud: Mapping[str, Any], name: str) -> str | None:
    value = cloud.get(name)
    # Path's raises for a user that is none.
    return os.path.expanduser(str(value)) if value else None  # noqa: PTH111


def _try(name: str, path: str, load: Any) -> None:
    """Read a file now: at the first connection the failure would be the network's."""
    try:
        load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except (OSError, ValueError) as error:
        # ssl's own are among them.
        message = f"clouds.yaml: {name} {path!r} cannot be used: {error}"
        raise InvalidConfigurationException(message) from None
