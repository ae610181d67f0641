"""Metadata in headers, and what answers say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("urllib3")

from cloudbridge_store.drivers.base import PutOptions
from cloudbridge_store.drivers.openstack.translate import (
    describing,
    etag_of,
    is_large,
    listed_time,
    metadata_headers,
    metadata_of,
    version_of,
)
from cloudbridge_store.errors import ForeignAnswerError, InvalidValueException

NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,40}", fullmatch=True)
ODD_NAMES = st.from_regex(r"a(-|_|x5f|x2d|x2b|1){0,8}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]), max_size=700)


@given(st.dictionaries(NAMES | ODD_NAMES, VALUES, max_size=5))
def test_metadata_comes_back(metadata):
    headers = metadata_headers(metadata)
    assert all(value.isascii() and len(value) <= 256 for value in headers.values())
    assert all(name.replace("-", "").isalnum() for name in headers)
    # As HTTP and Swift have them: in capitals of their own, without space around.
    assert metadata_of({name.title(): value.strip() for name, value in headers.items()}) == metadata


@pytest.mark.parametrize("name", ["a-x2b-1", "a-x2d", "a--x2b-1", "a_", "a-x2d-x2b-1", "a-x5f-x2b-0"])
@pytest.mark.parametrize("value", ["", "1" * 600])
def test_a_name_that_looks_like_a_piece_of_another_comes_back(name, value):
    assert metadata_of(metadata_headers({name: value, "a": "2" * 600})) == {name: value, "a": "2" * 600}


def test_metadata_of_others_is_read():
    assert metadata_of({"X-Object-Meta-Owner": "Zoë".encode().decode("latin-1")}) == {"owner": "Zoë"}
    assert metadata_of({"X-Object-Meta-Owner": "\xff"}) == {"owner": "\xff"}


def test_what_describes_an_object():
    options = PutOptions("x/y", {"content_disposition": "ü"}, {"a": "1"}, extra={"X-Delete-After": 60})
    assert describing(options) == {
        "Content-Disposition": "Ã¼",
        "Content-Type": "x/y",
        "X-Object-Meta-a": "1",
        "X-Delete-After": "60",
    }
    assert describing(PutOptions())["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("headers", "large"),
    [({}, False), ({"x-static-large-object": "True"}, True), ({"x-object-manifest": "c/p"}, True)],
    ids=str,
)
def test_a_large_object_has_no_md5(headers, large):
    assert is_large(headers) is large


def test_etags_and_versions():
    assert etag_of({"etag": '"abc"'}) == "abc"
    with pytest.raises(ForeignAnswerError):
        etag_of({})
    assert [version_of({"x-object-version-id": each}) for each in ("", "null", "1.2")] == [None, None, "1.2"]


def test_a_listed_time_is_the_headers():
    assert listed_time("2024-01-02T03:04:05.000000").isoformat() == "2024-01-02T03:04:05+00:00"
    assert listed_time("2024-01-02T03:04:05.100000").isoformat() == "2024-01-02T03:04:06+00:00"


@pytest.mark.parametrize(
    "extra", [{"X-A": "a\r\nX-Auth-Token: b"}, {"X-A": "a\0"}, {"X A": "a"}, {"X-A:": "a"}, {"": "a"}]
)
def test_what_is_no_header_is_refused(extra):
    with pytest.raises(InvalidValueException, match="extra"):
        describing(PutOptions(extra=extra))
