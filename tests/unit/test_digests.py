"""The digest that a download is compared by: the cheapest that the service holds and this machine has."""

import hashlib
import sys

import pytest

from cloudbridge_store.core import digests
from cloudbridge_store.errors import IntegrityError

ALL = dict.fromkeys(("md5", "crc32", "crc32c", "sha256"), "")


@pytest.mark.parametrize(
    ("held", "chosen"),
    [
        (ALL, "crc32"),
        ({"md5": "", "sha256": ""}, "sha256"),
        ({"md5": ""}, "md5"),
        ({"crc64nvme": ""}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_cheapest_digest_is_taken(held, chosen):
    found = digests.choose(held)
    assert (found and found[0]) == chosen


def test_crc32c_is_computed_where_it_can_be():
    if pytest.importorskip("google_crc32c").implementation != "c":
        pytest.skip("only the slow one is here")
    name, digest = digests.choose({"md5": "", "crc32c": "e3069283"})
    digest.update(memoryview(bytearray(b"1234")))
    digest.update(memoryview(b"56789"))
    assert (name, digest.hexdigest()) == ("crc32c", "e3069283")
    digests.compare(name, digest.hexdigest(), {"crc32c": "E3069283"})
    with pytest.raises(IntegrityError, match="crc32c"):
        digests.compare(name, digest.hexdigest(), {"crc32c": "00000000"})


@pytest.mark.parametrize("there", [None, "python"])
def test_without_a_quick_crc32c_another_digest_is_taken(monkeypatch, there):
    if there is None:
        monkeypatch.setitem(sys.modules, "google_crc32c", None)
    else:
        monkeypatch.setattr(pytest.importorskip("google_crc32c"), "implementation", there)
    held = {"crc32c": "e3069283", "md5": hashlib.md5(b"1").hexdigest()}
    name, digest = digests.choose(held)
    digest.update(memoryview(b"1"))
    digests.compare(name, digest.hexdigest(), held)
    assert name == "md5"
    assert digests.choose({"crc32c": "e3069283"}) is None
