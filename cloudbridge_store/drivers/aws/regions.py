"""Which region an answer sends us to: a bucket is served by its own region alone."""

from __future__ import annotations

import re
from typing import Any

from botocore.exceptions import ClientError

_REGION = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")
_CODES = frozenset(
    {
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "PermanentRedirect",
        "Redirect",
        "TemporaryRedirect",
    }
)
_BARE_STATUSES = frozenset({"301", "307", "400"})
"""What botocore has as the code of an answer to a HEAD, which has no body."""


def named_region(error: ClientError) -> str | None:
    """Return the region that an answer names instead of the one asked; ``None`` where it is about something else.

    The name is checked, as it becomes part of a host name: an answer cannot lead out of the service's own domain.
    """
    details: dict[str, Any] = error.response.get("Error", {})
    if str(details.get("Code")) not in _CODES | _BARE_STATUSES:
        return None
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = str(headers.get("x-amz-bucket-region") or details.get("Region") or "")
    return region if _REGION.fullmatch(region) else None


def is_elsewhere(error: ClientError) -> bool:
    """Say whether an answer means that the bucket is in another region, also where it does not name that."""
    code = str(error.response.get("Error", {}).get("Code"))
    return code in _CODES - {"AuthorizationHeaderMalformed"} or code in ("301", "307")
