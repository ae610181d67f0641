"""Pages in an order that only a service has which keeps names in UTF-16."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("azure.storage.blob")

from cloudbridge_store import CloudProviderFactory
from cloudbridge_store.buckets import Bucket
from cloudbridge_store.drivers.base import BucketInfo
from cloudbridge_store.errors import ProviderInternalException

PAGES = {"": ["a!", "a\U0001f4be"], "2": ["a\U0001f5c3", "a\ue000"], "3": ["a\uff01", "b"]}
FOLLOWING = {"": "2", "2": "3", "3": ""}


def page(names, following):
    entry = (
        "<Blob><Name>{}</Name><Properties><Last-Modified>Sat, 21 Nov 2026 10:00:00 GMT</Last-Modified>"
        "<Etag>0x1</Etag><Content-Length>1</Content-Length></Properties></Blob>"
    )
    blobs = "".join(map(entry.format, names))
    text = f"<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{following}</NextMarker></EnumerationResults>"
    return 200, {"Content-Type": "application/xml"}, text.encode()


@pytest.fixture
def list_pages(serve):
    """List a bucket whose pages are given by their markers."""

    def start(pages, following):
        def answer(asked):
            marker = parse_qs(urlsplit(asked.path).query).get("marker", [""])[0]
            return page(pages[marker], following[marker])

        where = {"azure_endpoint_url": f"{serve(answer).url}/account1", "azure_anonymous": True}
        with CloudProviderFactory().create_provider("azure", where) as provider:
            return [each.name for each in Bucket(provider, BucketInfo("a-bucket")).objects]

    return start


def test_nothing_is_lost_where_pages_are_in_the_order_of_utf_16(list_pages):
    listed = list_pages(PAGES, FOLLOWING)
    assert sorted(listed) == sorted(name for names in PAGES.values() for name in names)
    # Each page by itself is in the order of UTF-8.
    assert listed == ["a!", "a\U0001f4be", "a\ue000", "a\U0001f5c3", "a\uff01", "b"]


@pytest.mark.parametrize("again", ["a!", "a\U0001f4be"])
def test_a_page_that_comes_twice_is_still_refused(list_pages, again):
    with pytest.raises(ProviderInternalException, match="came twice"):
        list_pages({**PAGES, "3": [again, "c"]}, FOLLOWING)
