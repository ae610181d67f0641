"""Which providers there are: the only place that names drivers. A driver is imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from cloudbridge_store.drivers.base import Driver
from cloudbridge_store.errors import MissingDependencyError, UnknownProviderError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "cloudbridge_store.drivers"


@dataclass(frozen=True, slots=True)
class Row:
    """Where a provider's driver is, and the extra that installs its SDK (``""``: none needed)."""

    module: str
    name: str
    extra: str = ""


BUILT_IN: dict[str, Row] = {
    "local": Row("cloudbridge_store.drivers.local", "LocalDriver"),
    "memory": Row("cloudbridge_store.drivers.memory", "MemoryDriver"),
    "mock": Row("cloudbridge_store.drivers.memory", "MemoryDriver"),
}


def names() -> Iterator[str]:
    """Yield the name of every provider: the built-in ones, then those of other packages."""
    yield from BUILT_IN
    yield from (point.name for point in _entry_points() if point.name not in BUILT_IN)


def _entry_points() -> Iterator[EntryPoint]:
    from importlib import metadata  # here, as it costs a tenth of importing this library

    yield from metadata.entry_points(group=ENTRY_POINTS)


def load(name: str) -> type[Driver]:
    """Import a provider's driver.

    :raises UnknownProviderError: there is none of that name; the message has the nearest.
    :raises MissingDependencyError: there is, but what it imports is not installed; the message says how to install it.
    """
    row = BUILT_IN.get(name)
    try:
        if row is not None:
            return cast("type[Driver]", getattr(importlib.import_module(row.module), row.name))
        for point in _entry_points():
            if point.name == name:
                return cast("type[Driver]", point.load())
    except ImportError as error:
        if (error.name or "").startswith("cloudbridge_store."):
            raise  # a fault of ours, not of the installation
        extra = row.extra if row else ""
        advice = f"pip install 'cloudbridge-store[{extra}]'" if extra else "install what its package needs"
        message = f"provider {name} needs {error.name or error}, which is not installed: {advice}"
        raise MissingDependencyError(message) from error
    raise _unknown(name)


def _unknown(name: str) -> UnknownProviderError:
    import difflib

    known = list(names())
    near = difflib.get_close_matches(str(name).lower(), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
    return UnknownProviderError(f"A provider with name {name} could not be found; {hint}")
