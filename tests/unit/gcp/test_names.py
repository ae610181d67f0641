"""Ids as CloudBridge has them, told apart from names that look like them."""

import pytest

from cloudbridge_store.drivers.gcp.names import bucket_of, key_of

HERE = "https://storage.googleapis.com"
OWN = "https://gcs.example.org/base"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("https://www.googleapis.com/storage/v1/b/some-bucket", "some-bucket"),
        ("https://storage.googleapis.com/storage/v1/b/some-bucket", "some-bucket"),
        ("some-bucket", "some-bucket"),
        *(
            (text, text)
            for text in (
                "http://www.googleapis.com/storage/v1/b/some-bucket",
                "https://www.googleapis.com.example.org/storage/v1/b/some-bucket",
                "https://user@www.googleapis.com/storage/v1/b/some-bucket",
                "https://www.googleapis.com/storage/v1/b/some-bucket/o/a",
                "https://www.googleapis.com/storage/v1/b/some-bucket?alt=json",
                "https://www.googleapis.com/storage/v1/b/",
                "https://www.googleapis.com/compute/v1/b/some-bucket",
                "https://[broken/storage/v1/b/some-bucket",
            )
        ),
    ],
)
def test_buckets(text, name):
    assert bucket_of(text, HERE) == name


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("https://www.googleapis.com/storage/v1/b/mine/o/a%2F%C3%A4%20b%3F.txt", "a/ä b?.txt"),
        ("https://storage.googleapis.com/storage/v1/b/mine/o/a", "a"),
        ("a/b", "a/b"),
        *(
            (text, text)
            for text in (
                "https://www.googleapis.com/storage/v1/b/other/o/a",
                "https://www.googleapis.com/storage/v1/b/mine/o/a/b",
                "https://www.googleapis.com/storage/v1/b/mine/o/a#b",
                "https://example.com/storage/v1/b/mine/o/a",
                "https://example.com/a?b#c",
            )
        ),
    ],
)
def test_objects(text, key):
    assert key_of("mine", text, HERE) == key


def test_an_address_of_ones_own():
    assert bucket_of(f"{OWN}/storage/v1/b/mine", OWN) == f"{OWN}/storage/v1/b/mine"
    assert bucket_of("http://127.0.0.1:9023/storage/v1/b/mine", "http://127.0.0.1:9023") == "mine"
    assert key_of("mine", "http://127.0.0.1:9023/storage/v1/b/mine/o/a", "http://127.0.0.1:9023") == "a"
