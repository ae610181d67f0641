"""Versions of objects, which Swift keeps where ``X-Versions-Enabled`` says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from cloudbridge_store.drivers.base import Page, VersionInfo
from cloudbridge_store.drivers.openstack.listing import ask_page, describe, goes_on
from cloudbridge_store.drivers.openstack.service import Service
from cloudbridge_store.errors import ForeignAnswerError, UnsupportedOperationError

_ENABLED = "X-Versions-Enabled"
_NOT_KEPT = "null"
"""The version of what was written while the container kept none."""
_MARK = "application/x-deleted;swift_versions_deleted=1"


def get_versioning(service: Service, bucket: str) -> bool:
    """Say whether a container keeps versions now."""
    return bool(service.send("HEAD", bucket).headers.get(_ENABLED, "").lower() == "true")


def set_versioning(service: Service, bucket: str, *, enabled: bool) -> None:
    """Keep versions from now on, or no more. :raises UnsupportedOperationError: the service has no versions."""
    _require(service)
    service.send("POST", bucket, headers={_ENABLED: str(enabled).lower()})


def list_versions(service: Service, bucket: str, prefix: str, limit: int, token: str | None) -> Page[VersionInfo]:
    """List versions and marks of deletion by key, the newest first."""
    _require(service)
    query = {"versions": "true", "prefix": prefix}
    if token is not None:
        query["marker"], query["version_marker"] = json.loads(token)
    entries = ask_page(service, bucket, limit, **query)
    try:
        items = [_version(each) for each in entries]
    except (KeyError, TypeError, ValueError):
        raise ForeignAnswerError("the list of versions is none of Swift's", bucket=bucket) from None
    if not goes_on(service, items, limit, bucket):
        return Page(items)
    last = items[-1].info
    return Page(items, json.dumps([last.key, last.version]))


def show_newest(service: Service, bucket: str, key: str) -> None:
    """Make the newest version that is left the object again, after the one that was it, or its mark, was deleted.

    Swift leaves nothing there. A write that comes between wins: the condition sees it. One at the very same moment
    may be kept as a version, and not be the object: nothing is lost, and the other order was as possible.
    """
    newest = next(iter(list_versions(service, bucket, key, 1, None).items), None)
    if newest is None or newest.info.key != key or newest.deleted or newest.info.version == _NOT_KEPT:
        return
    query = {"version-id": newest.info.version or ""}
    # 404: somebody deleted that one, too.
    ok = (HTTPStatus.PRECONDITION_FAILED, HTTPStatus.NOT_FOUND)
    service.send("PUT", bucket, key, query=query, headers={"If-None-Match": "*"}, body=b"", ok=ok)


def _version(entry: Mapping[str, Any]) -> VersionInfo:
    info = describe(entry)
    version = entry["version_id"]
    deleted = info.content_type == _MARK
    if deleted:
        info = info._replace(size=0, etag="", content_type=None)
    return VersionInfo(info._replace(version=version), bool(entry["is_latest"]), deleted)


def _require(service: Service) -> None:
    if not service.has("object_versioning"):
        raise UnsupportedOperationError("this service keeps no versions: its /info does not name object_versioning")
