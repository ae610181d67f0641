"""Copies that the service goes on with after it has answered, waited for: what is left where it fetches no blocks."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

from cloudbridge_store.drivers.azure.service import Service
from cloudbridge_store.errors import ObjectChangedError, OperationTimeoutError, ServiceUnavailableError

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two questions whether it is done: each pause is twice the one before."""


def copy(service: Service, path: str, headers: Mapping[str, str], seconds: float) -> Any:
    """Copy, and return the headers of the finished object. What is not finished is given up.

    :param path: of the object to be.
    :param headers: of Copy Blob.
    :param seconds: how long to wait.
    :raises OperationTimeoutError: it took longer. :raises ObjectChangedError: somebody else wrote the object meanwhile.
    :raises ServiceUnavailableError: the service gave up.
    """
    answer = service.send("PUT", path, {}, headers).headers
    number = answer.get("x-ms-copy-id", "")
    try:
        answer = _wait(service, path, answer, number, seconds)
    except BaseException:
        # Whatever is wrong with this is less than what is being raised.
        with contextlib.suppress(Exception):
            service.send("PUT", path, {"comp": "copy", "copyid": number}, {"x-ms-copy-action": "abort"})
        raise
    if answer.get("x-ms-copy-status") != "success":
        said = answer.get("x-ms-copy-status-description") or answer.get("x-ms-copy-status")
        raise ServiceUnavailableError(f"the service gave the copy up: {said}")
    return answer


def _wait(service: Service, path: str, answer: Any, number: str, seconds: float) -> Any:
    limit, pause = time.monotonic() + seconds, FIRST_PAUSE
    while answer.get("x-ms-copy-status") == "pending":
        if time.monotonic() > limit:
            raise OperationTimeoutError(f"the service has not copied within {seconds:.0f} s")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
        answer = service.send("HEAD", path).headers
        if answer.get("x-ms-copy-id") != number:
            raise ObjectChangedError("the object was written by somebody else while the service copied")
    return answer
