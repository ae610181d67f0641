"""Who may read a bucket, and under which addresses."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from cloudbridge_store.drivers.gcp.service import Service, bucket_path, xml_path

_READER = "roles/storage.legacyObjectReader"
"""May read objects; the more usual ``objectViewer`` could also list them."""
_EVERYBODY = frozenset({"allUsers", "allAuthenticatedUsers"})
_POLICY_VERSION = 3
"""The first that knows conditions: those of other bindings would be lost in an earlier one."""


def set_public(service: Service, bucket: str, *, public: bool) -> None:
    """Let everybody read the objects, or nobody who is not named any more.

    By IAM in any bucket: with uniform access there is nothing else, and otherwise the bucket's policy holds for all
    objects, whatever their own lists say. Prevention of public access, which new buckets have, is lifted before, and
    set again afterwards; so lists of single objects make none public either.

    :raises PermissionDeniedError: the organization's policy forbids it.
    """
    if public:
        _prevent_public(service, bucket, prevent=False)
    policy = service.ask("GET", f"{bucket_path(bucket)}/iam", {"optionsRequestedPolicyVersion": _POLICY_VERSION})
    changed = _with_everybody(policy) if public else _without_everybody(policy)
    if changed != policy:
        service.ask("PUT", f"{bucket_path(bucket)}/iam", document={**changed, "version": _POLICY_VERSION})
    if not public:
        _prevent_public(service, bucket, prevent=True)


def _prevent_public(service: Service, bucket: str, *, prevent: bool) -> None:
    document = {"iamConfiguration": {"publicAccessPrevention": "enforced" if prevent else "inherited"}}
    service.ask("PATCH", bucket_path(bucket), {"fields": "name"}, document=document)


def _with_everybody(policy: dict[str, Any]) -> dict[str, Any]:
    bindings = [dict(each) for each in policy.get("bindings", ())]
    for each in bindings:
        if each.get("role") == _READER and "condition" not in each:
            each["members"] = sorted({*each.get("members", ()), "allUsers"})
            return {**policy, "bindings": bindings}
    return {**policy, "bindings": [*bindings, {"role": _READER, "members": ["allUsers"]}]}


def _without_everybody(policy: dict[str, Any]) -> dict[str, Any]:
    bindings = []
    for each in policy.get("bindings", ()):
        members = [member for member in each.get("members", ()) if member not in _EVERYBODY]
        if members:
            bindings.append({**each, "members": members})
    return {**policy, "bindings": bindings}


def public_url(service: Service, bucket: str, key: str) -> str:
    """Return the address of an object without a signature."""
    return f"{service.endpoint}{xml_path(bucket, key)}"


def set_website(service: Service, bucket: str, index: str | None, error: str | None) -> str:
    """Say which objects are the index and the error page, and return where the site is.

    The service serves a site under a domain's name only: one that the bucket is called after, or a load balancer's. For
    any other bucket the address of the index page is returned, which works without either.
    """
    website = None if index is None else {"mainPageSuffix": index, "notFoundPage": error}
    service.ask("PATCH", bucket_path(bucket), {"fields": "name"}, document={"website": website})
    if "." in bucket:
        return f"http://{bucket}/"
    return f"{service.endpoint}{xml_path(bucket)}/{quote(index or '', safe='/~')}"
