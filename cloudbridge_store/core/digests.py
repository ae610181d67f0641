"""Digests of what arrives, to compare with the one the service holds."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from typing import Protocol

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


def choose(checksums: Mapping[str, str] | None) -> tuple[str, Digest] | None:
    """Return the cheapest digest that can be compared with one of ``checksums``, or ``None``.

    Speeds on one core: CRC-32 6.7 GB/s, SHA-256 2.0 with the CPU's instructions, MD5 0.9.
    """
    held = checksums or {}
    if "crc32" in held:
        return "crc32", Crc32()
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
