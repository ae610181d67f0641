"""What containers and the account hold, and their metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cloudbridge_store.drivers.base import Usage
from cloudbridge_store.drivers.openstack.service import Service
from cloudbridge_store.drivers.openstack.translate import metadata_headers, metadata_of
from cloudbridge_store.errors import InvalidRequestError

_SETTING = re.compile(r"temp-url-key(-2)?|quota-.+|web-.+|access-control-.+", re.IGNORECASE)
"""Names that are settings of the service, some of them secret, though they look like metadata."""


def get_usage(service: Service, bucket: str | None) -> Usage:
    """Return what the service has counted."""
    answer = service.send("HEAD", bucket)
    kind = _kind(bucket)
    # An account that nothing was ever put in does not exist yet on some, and says nothing.
    objects, size = (int(answer.headers.get(f"x-{kind}-{name}", 0)) for name in ("object-count", "bytes-used"))
    buckets = int(answer.headers.get("x-account-container-count", 0)) if bucket is None else None
    plain = {name: value for name, value in answer.headers.items() if not _is_setting(name, kind)}
    return Usage(objects, size, buckets, metadata_of(plain, _prefix(kind)))


def set_metadata(service: Service, bucket: str | None, metadata: Mapping[str, str]) -> None:
    """Replace the metadata; settings stay. :raises InvalidRequestError: a name is one of a setting."""
    kind = _kind(bucket)
    prefix = _prefix(kind)
    wanted = metadata_headers(metadata, prefix)
    for name in wanted:
        if _is_setting(name, kind):
            raise InvalidRequestError(f"{name} is a setting of the service, and no metadata", bucket=bucket)
    kept = {name.lower() for name in wanted}
    for name in service.send("HEAD", bucket).headers:
        if name.lower().startswith(prefix.lower()) and name.lower() not in kept and not _is_setting(name, kind):
            wanted[f"X-Remove-{name[2:]}"] = "x"
    if wanted:
        service.send("POST", bucket, headers=wanted)


def _kind(bucket: str | None) -> str:
    return "account" if bucket is None else "container"


def _prefix(kind: str) -> str:
    return f"X-{kind.title()}-Meta-"


def _is_setting(name: str, kind: str) -> bool:
    start = _prefix(kind).lower()
    return name.lower().startswith(start) and _SETTING.fullmatch(name[len(start) :]) is not None
