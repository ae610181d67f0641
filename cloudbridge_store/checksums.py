"""Arithmetic on checksums: the CRC-32 of a whole from the CRC-32s of its parts, without reading it again."""

from __future__ import annotations

from functools import lru_cache

# A CRC is a remainder in GF(2)[x] modulo this polynomial (ISO 3309), lowest power in the highest bit. Appending n bytes
# multiplies the remainder of what came before by x^(8n). zlib does the same in crc32_combine(), which Python lacks.
_POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31


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
