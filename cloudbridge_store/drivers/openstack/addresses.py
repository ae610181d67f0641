"""Addresses of objects in the same object store: those of our own account, and those of others."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

from cloudbridge_store.drivers.openstack.service import CONTAINER, Service
from cloudbridge_store.errors import InvalidRequestError, UnsupportedOperationError

_UNSIGNED = (
    "Give its address without a signature (public_url): it is read with our own token. Or download and upload it"
)
_ELSEWHERE = "Download it, and upload it here: Swift copies only what is in the same object store"
_FORM = "Give <account's address>/<bucket>/<object>, percent-encoded, as public_url is"
_DOT_SEGMENT = re.compile(r"(?:^|/)\.\.?(?:/|$)")
_VERSION = re.compile(r"v\d[.\d]*")
_PORTS = {"http": 80, "https": 443}


class Place(NamedTuple):
    """Where an object is."""

    bucket: str
    key: str
    account: str | None = None
    """``None`` is our own."""


def account_url(service: Service, account: str | None) -> str | None:
    """Return where requests about an account go, where it is not our own."""
    return None if account is None else f"{_split(service.storage_url)[0]}/{quote(account, safe='')}"


def place_of(service: Service, url: str) -> Place:
    """Return which object an address names. It is not asked for.

    :param url: below the address that requests go to, or below the one for everybody.
    :raises UnsupportedOperationError: it leads to another place, or has a signature, or what else a query is.
    :raises InvalidRequestError: it names no object.
    """
    if "?" in url:
        raise UnsupportedOperationError("Swift copies by account, container and name, not by a query", hint=_UNSIGNED)
    if "#" in url:
        raise InvalidRequestError("the address has a fragment: a # in a name is %23", hint=_FORM)
    place = _found_below(service.storage_url, url) or _found_below(service.public_url, url)
    if place is None:
        raise UnsupportedOperationError("the address is not one of this object store", hint=_ELSEWHERE)
    # With an account of any other name, too, it would be the address of something else.
    names = (place.bucket,) if place.account is None else (place.account, place.bucket)
    if not all(map(CONTAINER.fullmatch, names)) or not place.key or "\0" in place.key:
        raise InvalidRequestError("the address names no object", hint=_FORM)
    if _DOT_SEGMENT.search(place.key):
        # A proxy would have us look at another object than the one that is copied.
        raise UnsupportedOperationError("the segments . and .. would be resolved away on the way", hint=_ELSEWHERE)
    return place


def _split(account: str) -> tuple[str, str | None]:
    """Return what is before an account in its address, and its name."""
    before, _, name = account.rpartition("/")
    # Ceph leaves it out, unless it is told to name it.
    return (account, None) if _VERSION.fullmatch(name) else (before, unquote(name))


def _found_below(own: str, url: str) -> Place | None:
    before, account = _split(own)
    root, asked = urlsplit(before), urlsplit(url)
    if _host(root) != _host(asked) or not asked.path.startswith(f"{root.path}/"):
        return None
    given = asked.path.removeprefix(f"{root.path}/")
    try:
        names = [unquote(part, errors="strict") for part in given.split("/", 1 if account is None else 2)]
    except UnicodeDecodeError:
        return Place("", "")
    other = None if account is None or names[0] == account else names[0]
    bucket, key, *_ = [*(names if account is None else names[1:]), "", ""]
    return Place(bucket, key, other)


def _host(parts: SplitResult) -> tuple[str, str | None, int | None]:
    try:
        return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        # A port that is none is nobody's.
        return parts.scheme, parts.hostname, 0
