"""Signed URLs: shared access signatures of one blob, made with the account's key or with a user delegation key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode
from xml.etree.ElementTree import Element

from cloudbridge_store.drivers.azure.codes import ADDRESS
from cloudbridge_store.drivers.azure.documents import read_document
from cloudbridge_store.drivers.azure.service import Service
from cloudbridge_store.drivers.azure.versions import SNAPSHOT, selecting
from cloudbridge_store.drivers.base import Method, SignedRequest, SignOptions
from cloudbridge_store.errors import ForeignAnswerError, UnsupportedOperationError
from cloudbridge_store.redaction import hide

VERSION = "2020-12-06"
"""The first version with the layout that signatures with an account's key still have; emulators know it, too."""
DELEGATION_SECONDS = 7 * 86_400 - 60
"""A delegation key lasts seven days at most."""
LONGEST_DELEGATED = 7 * 86_400 - 3_600
"""Seconds that a URL may last where such a key signs it: it ends with the key, and one key should do for many."""
LONGEST = 366 * 86_400
"""Seconds that a URL may last where the account's key signs it. The service knows no limit; but such a URL can only be
taken back by changing the key."""
_SKEW = timedelta(minutes=10)
"""By how much this machine's clock may be ahead of the service's."""
_PERMISSIONS: Mapping[Method, str] = {"GET": "r", "PUT": "cw", "DELETE": "d"}


@dataclass(frozen=True, slots=True)
class DelegationKey:
    """What the service signs URLs with for whoever asked for it, and only as far as they may do things themselves."""

    value: str = field(repr=False)
    ends: datetime
    fields: Mapping[str, str]
    """What a URL says of the key, by the query's names, in the order in which they are signed."""


class Signer:
    """Signs for one account. A delegation key is asked for once, whatever the number of threads, and kept."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._key: DelegationKey | None = None

    def sign(
        self, bucket: str, key: str, permission: str, seconds: int, *, version: str | None = None, **more: str | None
    ) -> str:
        """Return the query that permits something on one blob from now on.

        :param permission: letters, in the service's order.
        :param version: of a version or snapshot; without, what is signed is no version's.
        :param more: further fields: ``rscd`` and ``rsct``, headers that the answer carries.
        :raises UnsupportedOperationError: there is nothing to sign with.
        """
        # Without a start: the service's own clock would have to have reached it.
        ends = datetime.now(UTC) + timedelta(seconds=seconds)
        chosen = selecting(version)
        moment = next(iter(chosen.values()), "")
        query = {"sv": VERSION, "sr": ("bs" if SNAPSHOT in chosen else "bv") if chosen else "b", "sp": permission}
        query |= {"se": _text(ends), **({"spr": "https"} if self._service.secure else {})}
        query |= {name: value for name, value in more.items() if value is not None}
        secret = self._complete(query, ends)
        path = f"/blob/{self._service.account}/{bucket}/{key}"
        signature = hmac.digest(base64.b64decode(secret), _to_sign(query, path, moment).encode(), hashlib.sha256)
        return urlencode({**query, "sig": base64.b64encode(signature).decode()}, quote_via=quote, safe="")

    def _complete(self, query: dict[str, str], ends: datetime) -> str:
        """Return the key to sign with, having added to the query which one it is."""
        identity = self._service.identity
        if identity.account_key is not None:
            return identity.account_key
        if identity.kind != "token":
            hint = "give the account's key, or credentials of Entra ID"
            reason = "a shared access signature cannot sign another, and nobody cannot sign at all"
            raise UnsupportedOperationError(reason, hint=hint)
        key = self._delegation_key(ends)
        query |= key.fields
        return key.value

    def _delegation_key(self, until: datetime) -> DelegationKey:
        held = self._key
        if held is None or held.ends < until:
            with self._lock:
                held = self._key
                if held is None or held.ends < until:
                    held = self._key = self._fetch()
        return held

    def _fetch(self) -> DelegationKey:
        begins = datetime.now(UTC) - _SKEW
        ends = begins + timedelta(seconds=DELEGATION_SECONDS)
        body = f"<KeyInfo><Start>{_text(begins)}</Start><Expiry>{_text(ends)}</Expiry></KeyInfo>".encode()
        query = {"restype": "service", "comp": "userdelegationkey"}
        headers = {"Content-Type": "application/xml"}
        answer = self._service.send("POST", self._service.path(), query, headers, body)
        return _read_key(read_document(answer, "UserDelegationKey"))


def sign_url(
    service: Service, signer: Signer, bucket: str, key: str, method: Method, seconds: int, options: SignOptions
) -> SignedRequest:
    """Sign one method on one object.

    :raises UnsupportedOperationError: a signature that permits HEAD alone, or binds a header, does not exist.
    """
    if method not in _PERMISSIONS:
        raise UnsupportedOperationError("who may ask for an object's headers may read it too: sign GET")
    if method == "PUT" and options.content_type is not None:
        raise UnsupportedOperationError("a signature of Azure covers no header of the request")
    overrides = {"rscd": options.content_disposition, "rsct": options.content_type} if method == "GET" else {}
    query = signer.sign(bucket, key, _PERMISSIONS[method], seconds, **overrides)
    headers = {"x-ms-blob-type": "BlockBlob"} if method == "PUT" else {}
    return SignedRequest(f"{address(service, bucket, key)}?{query}", method, headers)


def address(service: Service, bucket: str, key: str) -> str:
    """Return an object's URL, without a signature."""
    place = service.place
    return f"{place.url.removesuffix(place.path)}{service.path(bucket, key)}"


def _to_sign(query: Mapping[str, str], path: str, moment: str) -> str:
    """Return the text that a signature covers; its lines' order is the service's."""
    own = [query.get(name, "") for name in ("sp", "st", "se")]
    if "skoid" in query:
        who = [query[name] for name in ("skoid", "sktid", "skt", "ske", "sks", "skv")]
        who += [""] * 3  # other users that are authorised or not, and what correlates entries of a log
    else:
        who = [""]  # a stored access policy
    # No addresses; the protocol, the layout's version, what kind of thing it is, and its moment; no encryption scope.
    rest = ["", query.get("spr", ""), query["sv"], query["sr"], moment, ""]
    overrides = [query.get(name, "") for name in ("rscc", "rscd", "rsce", "rscl", "rsct")]
    return "\n".join([*own, path, *who, *rest, *overrides])


def _read_key(found: Element) -> DelegationKey:
    names = {"skoid": "Oid", "sktid": "Tid", "skt": "Start", "ske": "Expiry", "sks": "Service", "skv": "Version"}
    fields = {ours: found.findtext(f"Signed{theirs}", "") for ours, theirs in names.items()}
    try:
        ends = datetime.fromisoformat(fields["ske"])
    except ValueError as error:
        raise ForeignAnswerError("the user delegation key does not say when it ends", hint=ADDRESS) from error
    return DelegationKey(hide(found.findtext("Value", "")), ends, fields)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
