"""What buckets and objects have in common: a name, an owner, a value for JSON, equality."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from fnmatch import translate
from typing import TYPE_CHECKING, Any, TypeVar

from cloudbridge_store.errors import InvalidParamException, InvalidValueException
from cloudbridge_store.results import CompleteResultList, ResultList

if TYPE_CHECKING:
    from cloudbridge_store.provider import CloudProvider

_WILDCARD = re.compile(r"[*?]")


Named = TypeVar("Named", bound="CloudResource")


class CloudResource(ABC):
    """Something that a provider stores, known by its name. Its ``repr`` asks the service nothing."""

    __slots__ = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name."""

    @property
    @abstractmethod
    def provider(self) -> CloudProvider:
        """Whose it is."""

    @property
    def id(self) -> str:
        """What ``get()`` finds it by; the same as its name on every provider."""
        return self.name

    @abstractmethod
    def _identity(self) -> tuple[Any, ...]:
        """Return what makes two handles the same resource."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return what is known about it as values that ``json.dumps`` accepts."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CloudResource) and type(self) is type(other) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        return f"<CB-{type(self).__name__}: {self.name}>"


def search(
    criteria: Mapping[str, Any], get: Callable[[str], Named | None], iterate: Callable[[str], Iterable[Named]]
) -> ResultList[Named]:
    """Return the resources whose ``name`` is the one asked for, or fits it as a pattern.

    ``*`` stands for any characters, ``/`` too, ``?`` for one. A pattern covers the whole name; its literal beginning is
    the prefix that ``iterate`` is given. Brackets are literal: names hold them more often than patterns need them.

    :raises InvalidParamException: any other keyword than ``name``, or none.
    """
    name = _searched_name(criteria)
    wildcard = _WILDCARD.search(name)
    if wildcard is None:
        found = get(name)
        return CompleteResultList([found] if found else [])
    fits = re.compile(translate(name.replace("[", "[[]"))).match
    return CompleteResultList(item for item in iterate(name[: wildcard.start()]) if fits(item.name))


def _searched_name(criteria: Mapping[str, Any]) -> str:
    unknown = [keyword for keyword in criteria if keyword != "name"]
    if unknown or "name" not in criteria:
        what = f"unrecognised parameter {unknown[0]!r}" if unknown else "no parameter"
        message = f"{what}; supported: name"
        raise InvalidParamException(message)
    name = criteria["name"]
    if not isinstance(name, str):
        raise InvalidValueException("name", name, "a str: an exact name, or a pattern with * and ?")
    return name


def utc_text(moment: datetime) -> str:
    """Return CloudBridge's form of a time: ``%Y-%m-%dT%H:%M:%S.%f``, in UTC, without an offset."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
