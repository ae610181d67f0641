"""Names of versions. A snapshot is one too: an object as it was at some moment."""

from __future__ import annotations

SNAPSHOT, VERSION = "snapshot", "versionid"
"""The parameters that select one."""
_MARK = "snapshot:"


def selecting(version: str | None) -> dict[str, str]:
    """Return the query that selects a version or a snapshot by its name; empty for the object as it is now."""
    if version is None:
        return {}
    if version.startswith(_MARK):
        return {SNAPSHOT: version.removeprefix(_MARK)}
    return {VERSION: version}


def name_of(snapshot: str | None, version: str | None) -> str | None:
    """Return a version's name: :func:`selecting` undone."""
    return f"{_MARK}{snapshot}" if snapshot else version or None
