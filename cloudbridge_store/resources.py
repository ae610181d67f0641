"""What buckets and objects have in common: a name, an owner, a value for JSON, equality."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime
from fnmatch import translate
from typing import TYPE_CHECKING, Any

from cloudbridge_store.errors import InvalidParamException, InvalidValueException

if TYPE_CHECKING:
    from cloudbridge_store.provider import CloudProvider

_WILDCARD = re.compile(r"[*?]")


class CloudResource(ABC):
    """Something that a provider stores, known by its name. Its ``repr`` asks the service nothing."""

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


def search_name(criteria: dict[str, Any]) -> str:
    """Return the ``name`` of a search. :raises InvalidParamException: any other keyword, or none."""
    unknown = [keyword for keyword in criteria if keyword != "name"]
    if unknown or "name" not in criteria:
        what = f"unrecognised parameter {unknown[0]!r}" if unknown else "no parameter"
        message = f"{what}; supported: name"
        raise InvalidParamException(message)
    name = criteria["name"]
    if not isinstance(name, str):
        raise InvalidValueException("name", name, "a str: an exact name, or a pattern with * and ?")
    return name


def name_pattern(name: str) -> tuple[str, Callable[[str], object]] | None:
    """Return a pattern's literal beginning and a test for whole names, or ``None`` for a name without ``*`` and ``?``.

    Brackets are literal: names hold them more often than patterns need them.
    """
    wildcard = _WILDCARD.search(name)
    if wildcard is None:
        return None
    return name[: wildcard.start()], re.compile(translate(name.replace("[", "[[]"))).match


def utc_text(moment: datetime) -> str:
    """Return CloudBridge's form of a time: ``%Y-%m-%dT%H:%M:%S.%f``, in UTC, without an offset."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
