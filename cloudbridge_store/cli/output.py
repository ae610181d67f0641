"""What the commands print: results on stdout, as text or as one JSON object a line; everything else on stderr."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP = 1024


@dataclass(frozen=True, slots=True)
class Output:
    """Prints in the form that the user asked for."""

    json: bool = False
    quiet: bool = False

    def result(self, text: str, record: Mapping[str, Any]) -> None:
        """Print one result on stdout: ``text``, or ``record`` with ``--json``."""
        click.echo(json.dumps(record, default=_as_json) if self.json else text)

    def note(self, text: str) -> None:
        """Say something on stderr that is no result; not with ``--quiet``."""
        if not self.quiet:
            click.echo(printable(text), err=True)

    def problem(self, text: str) -> None:
        """Say on stderr what went wrong."""
        click.echo(f"error: {printable(text)}", err=True)


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)


def printable(text: str) -> str:
    """Return ``text`` with control characters and half surrogates escaped: keys come from anybody."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def human_size(size: int) -> str:
    """Return bytes as people read them: ``"0 B"``, ``"1.5 KiB"``."""
    value = float(size)
    for unit in _UNITS:
        if value < _STEP or unit == _UNITS[-1]:
            break
        value /= _STEP
    return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"


def shown_time(moment: datetime | None) -> str:
    """Return a time in UTC, to the second, as wide as its absence."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if moment else " " * len("2000-01-01 00:00:00")
