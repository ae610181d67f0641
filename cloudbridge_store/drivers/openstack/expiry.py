"""Objects that expire. Swift deletes a manifest alone when its time has come; its segments have to be told theirs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from cloudbridge_store.drivers.openstack.segments import Segment
from cloudbridge_store.drivers.openstack.service import Service

_LATER = 3600
"""Seconds by which segments outlive their object: whoever began to read it goes on."""
_WORKERS = 8


def expire_segments(service: Service, segments: Sequence[Segment], headers: Mapping[str, str]) -> None:
    """Have segments expire behind the object that is to be made of them.

    :param headers: the object's, which say whether it expires.
    """
    moment = _moment(headers)
    if moment is None:
        return

    def tell(segment: Segment) -> None:
        # One that is missing is found out when the object is made.
        service.send("POST", segment.bucket, segment.key, headers={"X-Delete-At": str(moment + _LATER)}, ok=(404,))

    with ThreadPoolExecutor(_WORKERS, "cloudbridge-expiry") as pool:
        for _ in pool.map(tell, segments):
            pass


def _moment(headers: Mapping[str, str]) -> int | None:
    """Return when an object expires, in seconds since the epoch; what is no number is the service's to refuse."""
    given = {name.lower(): value for name, value in headers.items()}
    at, after = given.get("x-delete-at", ""), given.get("x-delete-after", "")
    # Where both are given, Swift takes the second.
    if after.isdecimal():
        return int(time.time()) + int(after)
    return int(at) if at.isdecimal() else None
