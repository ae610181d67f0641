"""Arithmetic on checksums: those of a whole from those of its parts, without reading it again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache

# A CRC is a remainder in GF(2)[x] modulo this polynomial (ISO 3309), lowest power in the highest bit. Appending n bytes
# multiplies the remainder of what came before by x^(8n). zlib does the same in crc32_combine(), which Python lacks.
_POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31


_MD5 = re.compile("[0-9a-f]{32}")


def composite_etag(etags: Iterable[str]) -> str | None:
    """Return the ETag that S3 gives an object whose parts have these, in their order; ``None`` if one is no MD5."""
    parts = list(etags)
    if not all(map(_MD5.fullmatch, parts)):
        return None
    digests = b"".join(map(bytes.fromhex, parts))
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"


def combine_crc32(first: int, second: int, second_size: int) -> int:
    """Return the CRC-32 of two strings joined, from the CRC-32 of each.

    :param second_size: bytes in the second string.
    """
    if second_size < 0:
        message = "a size cannot be negative"
        raise ValueError(message)
    return _multiply(_shift(second_size), first) ^ second


# An upload's parts have one size, or two: the loop over the bits of the size is needed once for each.
@lru_cache(maxsize=64)
def _shift(size: int) -> int:
    """Return x^(8 * size)."""
    product, power = _ONE, 3
    while size:
        if size & 1:
            product = _multiply(_POWERS[power % len(_POWERS)], product)
        size >>= 1
        power += 1
    return product


def _multiply(left: int, right: int) -> int:
    product, bit = 0, _ONE
    while left:
        if left & bit:
            product ^= right
            left ^= bit
        bit >>= 1
        right = (right >> 1) ^ _POLYNOMIAL if right & 1 else right >> 1
    return product


def _squares() -> tuple[int, ...]:
    """Return x^(2^n) for n from 0 to 31; then they repeat, as x^(2^32) is x modulo a primitive polynomial."""
    power = _ONE >> 1
    found = [power]
    for _ in range(31):
        power = _multiply(power, power)
        found.append(power)
    return tuple(found)


_POWERS = _squares()
