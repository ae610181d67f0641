"""Tags, public access, websites, CDN: where the service has them, and refused where it has not."""

from __future__ import annotations

from typing import Any

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.errors import InvalidValueException, NotFoundError, UnsupportedOperationError
from cloudbridge_store.objects import BucketObject
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.testing.fixtures import StoreFixtures, lacks, needs, offline_bucket
from cloudbridge_store.testing.harness import ProviderHarness

_BAD_TAGS = ({"": "x"}, {"a" * 129: "x"}, {"a": "x" * 257}, {"a\n": "x"}, {"a": "x\x00"}, {"a": 1}, {1: "x"})


class PublishingSuite(StoreFixtures):
    """``get_tags``, ``set_tags``, ``make_public``, ``public_url``, ``enable_website``, ``enable_cdn``."""

    @needs("tags")
    def test_tags(self, bucket: Bucket, stored: BucketObject) -> None:
        assert stored.get_tags() == {}
        etag = stored.etag
        given = {"project": "x1", "a b": "", "path": "a/b=c+d-e_f.g:h"}
        stored.set_tags(given)
        assert bucket.objects.create(stored.name).get_tags() == given
        stored.refresh()
        assert (stored.etag, stored.content(), stored.content_type) == (etag, b"0123456789", "text/plain")
        stored.set_tags({"only": "this"})
        assert stored.get_tags() == {"only": "this"}
        stored.set_tags({})
        assert stored.get_tags() == {}

    @needs("tags")
    def test_tags_of_an_upload(self, provider: CloudProvider, bucket: Bucket) -> None:
        full = {f"k{number}": str(number) for number in range(provider.capabilities.max_tags)}
        obj = bucket.objects.create("a").upload(b"", tags=full)
        assert obj.get_tags() == full
        obj.upload(b"again")
        assert obj.get_tags() == {}

    @needs("tags")
    def test_tags_of_what_is_not_there(self, bucket: Bucket) -> None:
        obj = bucket.objects.create("missing")
        for call in (obj.get_tags, lambda: obj.set_tags({"a": "1"})):
            with pytest.raises(NotFoundError):
                call()
        assert bucket.objects.list() == []

    @needs("tags")
    @pytest.mark.parametrize("tags", _BAD_TAGS, ids=ascii)
    def test_tags_are_refused_before_any_request(self, unreachable: CloudProvider, tags: Any) -> None:
        obj = offline_bucket(unreachable).objects.create("a")
        for call in (lambda: obj.set_tags(tags), lambda: obj.upload(b"", tags=tags)):
            with pytest.raises(InvalidValueException):
                call()

    @needs("tags")
    def test_too_many_tags_are_refused(self, unreachable: CloudProvider) -> None:
        obj = offline_bucket(unreachable).objects.create("a")
        many = {f"k{number}": "" for number in range(unreachable.capabilities.max_tags + 1)}
        for call in (lambda: obj.set_tags(many), lambda: obj.upload(b"", tags=many)):
            with pytest.raises(InvalidValueException):
                call()

    @lacks("tags")
    def test_any_tags_are_refused(self, unreachable: CloudProvider) -> None:
        obj = offline_bucket(unreachable).objects.create("a")
        for call in (obj.get_tags, lambda: obj.set_tags({"a": "1"}), lambda: obj.upload(b"", tags={"a": "1"})):
            with pytest.raises(UnsupportedOperationError):
                call()

    @needs("public_access")
    def test_public_bucket(self, harness: ProviderHarness, bucket: Bucket) -> None:
        obj = bucket.objects.create("dir/ä b.txt").upload(b"for all")
        url = obj.public_url
        assert harness.get_url(url).status in (401, 403, 404)
        bucket.make_public()
        answer = harness.get_url(url)
        assert (answer.status, answer.body) == (200, b"for all")
        bucket.make_private()
        assert harness.get_url(url).status in (401, 403, 404)
        assert obj.content() == b"for all"

    @lacks("public_access")
    def test_public_access_is_refused(self, unreachable: CloudProvider) -> None:
        bucket = offline_bucket(unreachable)
        for call in (bucket.make_public, bucket.make_private, lambda: bucket.objects.create("a").public_url):
            with pytest.raises(UnsupportedOperationError):
                call()

    @needs("website")
    def test_website(self, bucket: Bucket) -> None:
        bucket.objects.create("index.html").upload("<p>Hello</p>")
        url = bucket.enable_website("index.html", "missing.html")
        assert url.startswith(("http://", "https://"))
        assert bucket.enable_website("index.html") == url
        for pages in (("a\nb",), ("a", "b\r\nX-Other: c")):
            with pytest.raises(ValueError, match="object key"):
                bucket.enable_website(*pages)

    @lacks("website")
    def test_website_is_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(UnsupportedOperationError):
            offline_bucket(unreachable).enable_website("index.html", "missing.html")

    @needs("cdn")
    def test_cdn(self, bucket: Bucket) -> None:
        assert not bucket.cdn.enabled
        url = bucket.enable_cdn(ttl=3600)
        assert url.startswith(("http://", "https://"))
        found = bucket.cdn
        assert (found.enabled, found.ttl, url in found.urls.values()) == (True, 3600, True)
        assert bucket.enable_cdn() == url
        bucket.disable_cdn()
        assert not bucket.cdn.enabled

    @needs("cdn")
    def test_cdn_forgets(self, bucket: Bucket, stored: BucketObject) -> None:
        bucket.enable_cdn(ttl=3600)
        stored.purge_cdn(email="somebody@example.org")
        bucket.purge_cdn()
        for wrong in (0, -1, "3600", True):
            with pytest.raises(InvalidValueException):
                bucket.enable_cdn(wrong)  # type: ignore[arg-type]
        with pytest.raises(InvalidValueException):
            stored.purge_cdn(email="a\r\nX-Other: b")

    @lacks("cdn")
    def test_cdn_is_refused(self, unreachable: CloudProvider) -> None:
        bucket = offline_bucket(unreachable)
        for call in (
            bucket.enable_cdn,
            bucket.disable_cdn,
            bucket.purge_cdn,
            bucket.objects.create("a").purge_cdn,
            lambda: bucket.cdn,
        ):
            with pytest.raises(UnsupportedOperationError):
                call()
