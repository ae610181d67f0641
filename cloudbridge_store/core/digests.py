"""Digests of what arrives, to compare with the one the service holds."""

from __future__ import annotations

import hashlib
import warnings
import zlib
from collections.abc import Mapping
from typing import Any, Protocol

from cloudbridge_store.errors import IntegrityError


class Digest(Protocol):
    """A digest that grows with the bytes it is given."""

    def update(self, data: memoryview, /) -> object:
        """Add bytes."""

    def hexdigest(self) -> str:
        """Return the digest so far."""


class Crc32:
    """CRC-32 as in zlib, in the shape of :mod:`hashlib`; hexadecimal, 8 digits."""

    def __init__(self, value: int = 0) -> None:
        self.value = value

    def update(self, data: memoryview, /) -> None:
        """Add bytes."""
        self.value = zlib.crc32(data, self.value)

    def hexdigest(self) -> str:
        """Return the digest so far."""
        return f"{self.value:08x}"


class Crc32c:
    """CRC-32C, likewise, by Google's own package, which its SDK brings along."""

    def __init__(self, checksum: Any) -> None:
        self._checksum = checksum

    def update(self, data: memoryview, /) -> None:
        """Add bytes."""
        self._checksum.update(bytes(data))

    def hexdigest(self) -> str:
        """Return the digest so far."""
        return str(self._checksum.hexdigest().decode())


def _crc32c() -> Crc32c | None:
    """Return a CRC-32C; ``None`` where there is none, or only the one in Python, which is a hundred times slower."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # by which the slow one introduces itself
            import google_crc32c
    except ImportError:
        return None
    return Crc32c(google_crc32c.Checksum()) if google_crc32c.implementation == "c" else None


def choose(checksums: Mapping[str, str] | None) -> tuple[str, Digest] | None:
    """Return the cheapest digest that can be compared with one of ``checksums``, or ``None``.

    Speeds on one core: CRC-32C 14.9 GB/s, CRC-32 6.7, SHA-256 2.0 with the CPU's instructions, MD5 0.9.
    CRC-32 goes first, as those of ranges can be put together without reading them again.
    """
    held = checksums or {}
    if "crc32" in held:
        return "crc32", Crc32()
    if "crc32c" in held and (crc32c := _crc32c()) is not None:
        return "crc32c", crc32c
    for name in ("sha256", "md5", "sha1", "sha512"):
        if name in held:
            return name, hashlib.new(name, usedforsecurity=False)
    return None


def compare(name: str, computed: str, checksums: Mapping[str, str] | None) -> None:
    """Raise IntegrityError where what arrived has another digest than the service holds."""
    expected = (checksums or {})[name].lower()
    if computed != expected:
        message = f"the content has {name} {computed}, the service holds {expected}"
        raise IntegrityError(message, hint="Read it again; if it stays so, what is stored is damaged")
