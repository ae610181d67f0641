"""Listings of services that answer otherwise than AWS, from written answers."""

import io
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

pytest.importorskip("botocore")

from cloudbridge_store.drivers.aws.listing import list_buckets, list_objects
from cloudbridge_store.drivers.presets import find
from cloudbridge_store.drivers.streams import SentStream
from cloudbridge_store.errors import ProviderInternalException, SourceChangedError

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def service(preset, *answers):
    left, sent = list(answers), []

    def send(operation, **parameters):
        sent.append((operation, parameters))
        return left.pop(0)

    return SimpleNamespace(preset=find(preset), send=send, sent=sent)


def entries(*keys):
    return [{"Key": key, "Size": 1, "LastModified": NOW, "ETag": '"e"'} for key in keys]


def page(one, **asked):
    return list_objects(one, "b", asked.get("prefix", ""), asked.get("delimiter", ""), "", 2, asked.get("token"))


def test_first_version_goes_on_behind_the_last_key():
    one = service("other", {"IsTruncated": True, "Contents": entries("a", "b+c%20")}, {"IsTruncated": False})
    found = page(one)
    assert ([each.key for each in found.items], found.token) == (["a", "b+c%20"], "b+c%20")
    assert page(one, token=found.token).token is None
    assert [(name, sent["Marker"]) for name, sent in one.sent] == [("list_objects", None), ("list_objects", "b+c%20")]


def test_first_version_goes_on_behind_a_prefix():
    one = service("other", {"IsTruncated": True, "Contents": entries("a"), "CommonPrefixes": [{"Prefix": "d/"}]})
    found = page(one, delimiter="/")
    assert found.prefixes == ["d/"]
    assert "d/\U0010fffd" < found.token < "d0"


def test_keys_are_decoded_only_where_they_were_encoded():
    contents = entries("a+b%2Bc%C3%BC")
    assert (
        page(service("aws", {"IsTruncated": False, "EncodingType": "url", "Contents": contents})).items[0].key
        == "a b+cü"
    )
    assert page(service("aws", {"IsTruncated": False, "Contents": contents})).items[0].key == "a+b%2Bc%C3%BC"


def test_page_of_something_else_is_no_empty_bucket():
    with pytest.raises(ProviderInternalException):
        page(service("aws", {}))
    with pytest.raises(ProviderInternalException):
        list_buckets(service("aws", {}), 5, None)


def test_buckets_of_a_service_without_pages():
    everything = {"Buckets": [{"Name": name} for name in "cab"]}
    one = service("other", everything, everything)
    first = list_buckets(one, 2, None)
    second = list_buckets(one, 2, first.token)
    assert [each.name for each in first.items] == ["a", "b"]
    assert ([each.name for each in second.items], second.token) == (["c"], None)


@pytest.mark.parametrize("size", [2, 4])
def test_source_of_another_size_is_noticed(size):
    with pytest.raises(SourceChangedError):
        stream = SentStream(io.BytesIO(b"123"), size)
        while stream.read(2):
            pass


def test_source_of_the_announced_size():
    stream = SentStream(io.BytesIO(b"123"), 3)
    assert [stream.read(2), stream.read(2), stream.read(2)] == [b"12", b"3", b""]
    stream.seek(0)
    assert (stream.read(), stream.tell()) == (b"123", 3)
