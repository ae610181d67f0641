"""Which permission of a shared access signature a request takes: the service says only that it was missing."""

from __future__ import annotations

from collections.abc import Mapping

from cloudbridge_store.drivers.azure.codes import ROLE

_OWNER = "Storage Blob Data Owner"
_ROLES: Mapping[str, str] = {"tags": _OWNER, "acl": _OWNER, "userdelegationkey": "Storage Blob Delegator"}
"""By ``comp``: the least of the built-in roles that has the action, where it is not the usual one."""
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


def explained(method: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """Say what a request takes: of a shared access signature, and of a role."""
    role = _OWNER if "x-ms-tags" in headers else _ROLES.get(query.get("comp", ""), ROLE)
    if query.get("restype") == "service" and query.get("comp") == "properties":
        role = "Storage Account Contributor"
    letters = needed(method, query, headers)
    if not letters:
        return f"This takes the account's key; with Entra ID a role such as {role}"
    return f"This takes {letters}, of a shared access signature; with Entra ID a role such as {role}"


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
