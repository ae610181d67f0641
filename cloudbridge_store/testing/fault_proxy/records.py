"""What the proxy writes down of each request, without anybody's secrets."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from cloudbridge_store.testing.fault_proxy.messages import Request

_SECRET_HEADERS = re.compile(r"authorization|cookie|token|secret|signature|[-_]key$|key-md5$", re.IGNORECASE)
_SECRET_VALUES = re.compile(
    r"(?i)((?:^|[?&])(?:[\w.-]*(?:signature|credential|token|secret|accessid|accesskeyid)|sig|temp_url_sig)=)[^&#]+"
)
# Where a listing goes on is told by tokens too, and is no secret.
_PLACES = re.compile(r"(?i)(?:[?&]|^)(?:[\w.-]*continuation-?token|pagetoken)=")


@dataclass
class Recorded:
    """One request, in the order of arrival. ``None`` stands for what did not happen (yet)."""

    method: str
    target: str
    """As it came, save the values of signatures and tokens."""
    headers: tuple[tuple[str, str], ...]
    body_length: int = 0
    """Bytes of the body that the proxy read, without the framing of chunks."""
    status: int | None = None
    """What the client was answered."""
    server_status: int | None = None
    """What the server answered."""
    fault: str | None = None
    """The fault that was planned for it."""

    @classmethod
    def of(cls, request: Request) -> Recorded:
        """Write down a request that arrived."""
        headers = tuple((name, _cut(value) if _is_secret(name) else value) for name, value in request.head.headers)
        return cls(request.method, without_secrets(request.target), headers)

    def header(self, name: str) -> str | None:
        """Return a header's value."""
        return next((value for each, value in self.headers if each.lower() == name.lower()), None)

    def as_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Recorded:
        """Make it of what :meth:`as_json` returned."""
        headers = tuple((name, value) for name, value in values["headers"])
        return cls(**{**values, "headers": headers})


def _is_secret(name: str) -> bool:
    return _SECRET_HEADERS.search(name) is not None


def _cut(value: str) -> str:
    return f"[{len(value)} characters]"


def without_secrets(target: str) -> str:
    """Return a target whose signatures and tokens are cut out."""

    def hide(found: re.Match[str]) -> str:
        return found.group() if _PLACES.match(found.group()) else f"{found.group(1)}[cut]"

    return _SECRET_VALUES.sub(hide, target)
