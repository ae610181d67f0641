"""Whose certificates are trusted, and the one that we show: by the configuration, ``clouds.yaml``, the environment."""

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


_ENVIRONMENT = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Read here, so that identity and objects are served alike: requests would not read them with ``proxies``."""


class _File(NamedTuple):
    """A file, and who named it."""

    origin: str
    path: str


class Trust(NamedTuple):
    """What TLS is begun with."""

    verify: bool
    bundle: str | None = None
    """File or directory of the authorities that are trusted; ``None`` stands for the usual ones."""
    certificate: tuple[str, str] | None = None
    """Files of the certificate that the server may ask us for, and of its key."""


def trust_of(settings: Settings, cloud: Mapping[str, Any] = _NOTHING, config: Mapping[str, Any] = _NOTHING) -> Trust:
    """Return what the configuration says, and of what it says nothing about, what the cloud's entry does.

    :param config: the driver's keys; ``ca_bundle`` of all drivers goes before ``os_cacert``.
    :raises InvalidConfigurationException: a file cannot be read, or is not what it should be.
    """
    own = _file("config key ca_bundle", settings.ca_bundle) or _file("config key os_cacert", config.get("os_cacert"))
    # Who names authorities wants the server's certificate compared with them.
    decided = "verify_tls" in settings.chosen or own is not None
    verify = settings.verify_tls and (decided or (_flag(cloud, "verify", True) and not _flag(cloud, "insecure", False)))
    certificate = _certificate(cloud, config)
    if not verify:
        _warn()
        return Trust(verify, None, certificate)
    found = own or _file("clouds.yaml: cacert", cloud.get("cacert"))
    for name in _ENVIRONMENT:
        found = found or _file(name, os.environ.get(name))
    if found is not None:
        _try(found, lambda context: context.load_verify_locations(**_located(found.path)))
    return Trust(verify, found.path if found is not None else None, certificate)


def _certificate(cloud: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[str, str] | None:
    found, key = _file("config key os_cert", config.get("os_cert")), config.get("os_key")
    if found is None:
        found, key = _file("clouds.yaml: cert", cloud.get("cert")), cloud.get("key")
    if found is None:
        return None
    file = _file("key", key) or found
    # With a password, though an empty one, nobody is asked for it at the terminal.
    _try(found, lambda context: context.load_cert_chain(found.path, file.path, password=""))
    return found.path, file.path


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


def _file(origin: str, value: Any) -> _File | None:
    # Path's raises for a user that is none.
    return _File(origin, os.path.expanduser(str(value))) if value else None  # noqa: PTH111


def _located(path: str) -> dict[str, str]:
    return {"capath" if os.path.isdir(path) else "cafile": path}  # noqa: PTH112


def _try(file: _File, load: Any) -> None:
    """Read a file now: at the first connection the failure would be the network's."""
    try:
        load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except (OSError, ValueError) as error:
        # ssl's own are among them.
        message = f"{file.origin} {file.path!r} cannot be used: {error}"
        raise InvalidConfigurationException(message) from None
