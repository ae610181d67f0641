"""CORS: the service has rules for the account, which hold for all of its buckets, and none for a bucket.

A rule is a mapping of the names that the service's reference has (Set Blob Service Properties, ``CorsRule``): lists of
``AllowedOrigins``, ``AllowedMethods``, ``AllowedHeaders`` and ``ExposedHeaders``, and ``MaxAgeInSeconds``, a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from cloudbridge_store.drivers.azure.documents import read_document
from cloudbridge_store.drivers.azure.publishing import PROPERTIES, set_properties
from cloudbridge_store.drivers.azure.service import Service
from cloudbridge_store.errors import InvalidRequestError

_LISTS = ("AllowedOrigins", "AllowedMethods", "AllowedHeaders", "ExposedHeaders")
_AGE = "MaxAgeInSeconds"


def get_cors(service: Service) -> list[dict[str, Any]]:
    """Return the account's rules, in their order: the first that fits counts."""
    root = read_document(service.send("GET", service.path(), PROPERTIES), "StorageServiceProperties")
    return [_read(each) for each in root.iterfind("Cors/CorsRule")]


def _read(rule: Element) -> dict[str, Any]:
    found: dict[str, Any] = {name: [each for each in rule.findtext(name, "").split(",") if each] for name in _LISTS}
    return {**found, _AGE: int(rule.findtext(_AGE) or 0)}


def set_cors(service: Service, rules: Sequence[Mapping[str, Any]]) -> None:
    """Replace the account's rules. :raises InvalidRequestError: one is none of the service's."""
    set_properties(service, f"<Cors>{''.join(map(_write, rules))}</Cors>")


def _write(rule: Mapping[str, Any]) -> str:
    unknown = sorted(rule.keys() - {*_LISTS, _AGE})
    age = rule.get(_AGE, 0)
    listed = [rule.get(name, []) for name in _LISTS]
    texts = all(isinstance(each, list) and all(isinstance(text, str) for text in each) for each in listed)
    if unknown or not texts or not isinstance(age, int):
        hint = f"A rule has lists of text as {', '.join(_LISTS)}, and a number of seconds as {_AGE}"
        raise InvalidRequestError(f"this is no rule for CORS: {dict(rule)!r}", hint=hint)
    # The service wants every element, and these in any order.
    fields = {name: ",".join(each) for name, each in zip(_LISTS, listed, strict=True)}
    inner = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in {**fields, _AGE: age}.items())
    return f"<CorsRule>{inner}</CorsRule>"
