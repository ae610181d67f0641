"""Which permission of a shared access signature a request takes: the service says only that it was missing."""

from __future__ import annotations

from collections.abc import Mapping

_WRITE = "c to create, or w to replace"
_BY_OPERATION: Mapping[str, str] = {
    "list": "l to list",
    "batch": "d to delete",
    "tags": "t for tags",
    "tier": "w to write",
    "properties": "w to write",
    "metadata": "w to write",
}
"""By ``comp`` of the query, where the method does not matter."""
_BY_METHOD: Mapping[str, str] = {"GET": "r to read", "HEAD": "r to read", "PUT": _WRITE, "DELETE": "d to delete"}


def needed(method: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """Return the letter, and what it is for; empty where no signature is enough."""
    kind, operation = query.get("restype"), query.get("comp", "")
    if operation in ("acl", "userdelegationkey"):
        return ""
    if kind == "service":
        return "w to write" if method == "PUT" else "r to read"
    if method == "DELETE" and "versionid" in query:
        return "x to delete versions"
    found = _BY_OPERATION.get(operation) or _BY_METHOD.get(method, "")
    if kind == "container" and found == _WRITE:
        return "c to create"
    return f"{found}, and t for tags" if "x-ms-tags" in headers else found
