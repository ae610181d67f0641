import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudbridge_store.checksums import combine_crc32


@given(st.binary(), st.binary())
def test_the_checksum_of_two_strings_joined(first, second):
    assert combine_crc32(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)


@given(st.lists(st.binary(max_size=64), max_size=20))
def test_the_checksum_of_many_strings_joined_one_after_the_other(pieces):
    whole = 0
    for piece in pieces:
        whole = combine_crc32(whole, zlib.crc32(piece), len(piece))
    assert whole == zlib.crc32(b"".join(pieces))


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**43), st.integers(0, 2**43))
def test_sizes_that_nobody_wants_to_read_add_up(first, second, size, more):
    # Two steps of nothing but zeros are one step of their sum; the second checksum only cancels.
    apart = combine_crc32(combine_crc32(first, 0, size), 0, more)
    assert combine_crc32(first, second, size + more) == apart ^ second


def test_four_gibibytes_of_zeros():
    gibibyte = 0
    for _ in range(1024):
        gibibyte = zlib.crc32(bytes(2**20), gibibyte)
    two = combine_crc32(gibibyte, gibibyte, 2**30)
    assert combine_crc32(two, two, 2**31) == combine_crc32(combine_crc32(two, gibibyte, 2**30), gibibyte, 2**30)


def test_a_negative_size_is_refused():
    with pytest.raises(ValueError, match="negative"):
        combine_crc32(0, 0, -1)
