"""Pages of listings, read quickly, against botocore's own reading of them."""

import pytest

pytest.importorskip("botocore")

from botocore.parsers import ResponseParserFactory
from botocore.session import get_session

from cloudbridge_store.drivers.aws.pages import read_entries
from cloudbridge_store.drivers.aws.translate import parse_time

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>'
TAIL = "<IsTruncated>false</IsTruncated><CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes></ListBucketResult>"
READ = ("Key", "LastModified", "ETag", "Size", "StorageClass")


def entry(key="k", more="", size="5", tag="&quot;e&quot;"):
    inner = f"<Key>{key}</Key><LastModified>2026-11-20T16:00:00.000Z</LastModified><ETag>{tag}</ETag>{more}<Size>{size}</Size>"
    return f"<Contents>{inner}</Contents>"


def page(*entries, head=HEAD, tail=TAIL):
    return (head + "".join(entries) + tail).encode()


@pytest.fixture(scope="module")
def reference():
    """Return botocore's entries of a page; ``None`` where it cannot read the page."""
    shape = get_session().get_service_model("s3").operation_model("ListObjectsV2").output_shape
    factory = ResponseParserFactory()
    factory.set_parser_defaults(timestamp_parser=parse_time)

    def read(body):
        answer = factory.create_parser("rest-xml").parse({"status_code": 200, "headers": {}, "body": body}, shape)
        return [{name: each[name] for name in READ if name in each} for each in answer.get("Contents", [])]

    return read


OWNER = "<Owner><ID>i</ID><DisplayName>d</DisplayName></Owner>"
PAGES = {
    "plain": page(entry(), entry("l")),
    "sums": page(entry(more="<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>")),
    "several sums": page(
        entry(more="<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumAlgorithm>SHA1</ChecksumAlgorithm>")
    ),
    "mixed": page(entry(), entry(more="<StorageClass>GLACIER</StorageClass>"), entry(more=OWNER), entry("z")),
    "spread over lines": page(entry().replace("><", ">\n  <"), "\n", entry(" k ").replace("><", ">\n  <"), "\n"),
    "references": page(entry("a&amp;b&lt;&#x20;&#233;&gt;&apos;"), entry("&amp;quot;"), entry("&quot;", tag="&quot;a")),
    "characters": page(entry("ü/日本/𝄞 +%2F")),
    "bare tag": page(entry(tag="e"), entry("&amp;", tag="e")),
    "restored": page(entry(more="<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus>")),
    "unknown": page(entry(more="<Colour>blue</Colour>")),
    "empty key": page(entry("")),
    "no declaration": page(entry(), head="<ListBucketResult>"),
    "unmarked tail": page(entry(), tail="</ListBucketResult>"),
}
LEFT = {
    "no entries": page(),
    "entities": page(entry("&a;"), head='<!DOCTYPE r [<!ENTITY a "b">]><ListBucketResult>'),
    "comment": page(entry(), "<!-- <Contents> -->"),
    "section": page(entry("<![CDATA[<Contents>]]>")),
    "instruction": page("<?x <Contents>?>", entry()),
    "attribute": page(entry().replace("<Size>", '<Size a="b">')),
    "namespace": page(entry().replace("Size>", "n:Size>"), head='<ListBucketResult xmlns:n="n">'),
    "another encoding": page(entry(), head='<?xml version="1.0" encoding="ISO-8859-1"?><ListBucketResult>'),
    "no text": b"\xff" + page(entry()),
    "control character": page(entry("a\x01")),
    "line end": page(entry("a\r\nb")),
    "reference to nothing": page(entry("&#0;")),
    "unknown reference": page(entry("&nbsp;")),
    "bare ampersand": page(entry("a&b")),
    "between entries": page(entry(), "<Colour>blue</Colour>", entry()),
    "cut off": page(entry())[:-150],
    "no size": page(entry().replace("<Size>5</Size>", "")),
    "two keys": page(entry(more="<Key>l</Key>")),
    "no number": page(entry(size="five")),
    "an error": page(entry(), head="<Error>", tail="</Error>"),
    "nested entry": page("<Contents>", entry(), "</Contents>"),
    "crossed": page("<Contents><Key>k</Contents></Key>"),
}


@pytest.mark.parametrize("name", PAGES)
def test_entries_are_botocores(reference, name):
    rest, entries = read_entries(PAGES[name])
    assert entries == reference(PAGES[name])
    assert entries
    assert reference(rest) == [{}]


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_to_botocore(name):
    assert read_entries(LEFT[name]) is None


def test_entries_elsewhere_are_noticed(reference):
    hidden = page("<Deeper>", entry(), "</Deeper>")
    rest, _ = read_entries(hidden)
    assert reference(rest) == reference(hidden) == []
