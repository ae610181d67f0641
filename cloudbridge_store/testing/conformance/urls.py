"""Signed URLs, sent as somebody without credentials would: what is signed works, and nothing else."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.drivers.base import SignedRequest
from cloudbridge_store.errors import InvalidValueException, UnsupportedOperationError
from cloudbridge_store.objects import BucketObject
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.testing.fixtures import StoreFixtures, has, lacks, needs, noise, offline_bucket
from cloudbridge_store.testing.harness import ProviderHarness
from cloudbridge_store.testing.keys import WEIRD_KEYS

_DENIED = (400, 401, 403, 404, 405)
"""A service may not even say that the object exists."""
_METHODS = ("GET", "HEAD", "PUT", "DELETE")


class UrlSuite(StoreFixtures):
    """``generate_url`` and ``sign``."""

    @needs("sign", "GET")
    def test_reading(self, harness: ProviderHarness, stored: BucketObject) -> None:
        url = stored.generate_url(100)
        answer = harness.get_url(url)
        assert (answer.status, answer.body) == (200, b"0123456789")
        assert answer.headers["content-type"].startswith("text/plain")
        assert harness.send(stored.sign("GET", 100)).body == b"0123456789"

    @needs("sign", "GET")
    def test_reading_a_range(self, harness: ProviderHarness, bucket: Bucket) -> None:
        obj = bucket.objects.create("a").upload(noise(100_000))
        answer = harness.get_url(obj.generate_url(), headers={"Range": "bytes=10-99"})
        assert (answer.status, answer.body) == (206, noise(100_000)[10:100])
        assert answer.headers["content-range"] == "bytes 10-99/100000"
        assert harness.get_url(obj.generate_url(), headers={"Range": "bytes=200000-"}).status == 416

    @needs("sign", "GET")
    @pytest.mark.parametrize("what", WEIRD_KEYS)
    def test_reading_weird_keys(self, harness: ProviderHarness, bucket: Bucket, what: str) -> None:
        key = WEIRD_KEYS[what]
        if key in harness.refused_keys:
            with pytest.raises(ValueError, match="object key"):
                bucket.objects.create(key).generate_url()
            return
        url = bucket.objects.create(key).upload(key).generate_url()
        assert url.isascii()
        assert (harness.get_url(url).status, harness.get_url(url).body) == (200, key.encode())

    @needs("sign", "GET")
    @needs("sign_options", "content_disposition")
    def test_overridden_disposition(self, harness: ProviderHarness, stored: BucketObject) -> None:
        disposition = "attachment; filename=\"a b;c.txt\"; filename*=UTF-8''%C3%A4.txt"
        answer = harness.get_url(stored.generate_url(100, content_disposition=disposition))
        assert (answer.status, answer.body) == (200, b"0123456789")
        assert answer.headers["content-disposition"] == disposition

    @needs("sign", "GET")
    @needs("sign_options", "content_type")
    def test_overridden_type(self, harness: ProviderHarness, stored: BucketObject) -> None:
        answer = harness.get_url(stored.generate_url(100, content_type="x/y; charset=utf-8"))
        assert (answer.status, answer.body) == (200, b"0123456789")
        assert answer.headers["content-type"] == "x/y; charset=utf-8"

    @needs("sign", "GET")
    @lacks("sign_options", "content_disposition")
    def test_overriding_the_disposition_is_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(UnsupportedOperationError):
            offline_bucket(unreachable).objects.create("a").generate_url(content_disposition="attachment")

    @needs("sign", "GET")
    @lacks("sign_options", "content_type")
    def test_overriding_the_type_is_refused(self, unreachable: CloudProvider) -> None:
        obj = offline_bucket(unreachable).objects.create("a")
        for method in sorted(unreachable.capabilities.sign):
            with pytest.raises(UnsupportedOperationError):
                obj.sign(method, content_type="x/y")

    @needs("sign", "GET")
    @pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x", "a\nb", "\x00"], ids=repr)
    def test_header_injection_is_refused(self, unreachable: CloudProvider, value: str) -> None:
        obj = offline_bucket(unreachable).objects.create("a")
        for override in ({"content_disposition": value}, {"content_type": value}):
            with pytest.raises(InvalidValueException):
                obj.generate_url(**override)  # type: ignore[arg-type]

    @needs("sign", "GET")
    def test_url_of_what_is_not_there(self, harness: ProviderHarness, bucket: Bucket) -> None:
        assert harness.get_url(bucket.objects.create("missing").generate_url()).status == 404

    @needs("sign", "PUT")
    def test_writing(self, harness: ProviderHarness, bucket: Bucket) -> None:
        obj = bucket.objects.create("ä b.txt")
        content = noise(100_000)
        answer = harness.send(obj.sign("PUT", 100), body=content)
        assert answer.status in (200, 201, 204)
        assert bucket.objects.create("ä b.txt").content() == content

    @needs("sign", "PUT")
    def test_writing_by_url_alone(self, harness: ProviderHarness, bucket: Bucket) -> None:
        overridden = {"content_disposition": "attachment; filename=x", "content_type": "x/y"}
        url = bucket.objects.create("a").generate_url(100, writable=True, **overridden)
        for override in ("rscd=", "response-content-disposition", "filename"):
            assert override not in url.lower()
        # The header is what Azure's service asks for; others ignore it.
        answer = harness.send(SignedRequest(url, "PUT"), body=b"1", headers={"x-ms-blob-type": "BlockBlob"})
        assert answer.status in (200, 201, 204)
        assert bucket.objects.create("a").content() == b"1"

    @needs("sign", "PUT")
    @needs("sign_content_type")
    def test_writing_binds_the_content_type(self, harness: ProviderHarness, bucket: Bucket) -> None:
        obj = bucket.objects.create("a")
        signed = obj.sign("PUT", content_type="x/y")
        other = SignedRequest(signed.url, "PUT", {**signed.headers, "Content-Type": "text/html"})
        assert harness.send(other, body=b"<script>").status in _DENIED
        assert bucket.objects.get("a") is None
        assert harness.send(signed, body=b"1").status in (200, 201, 204)
        assert bucket.objects.create("a").content_type == "x/y"

    @needs("sign", "PUT")
    @lacks("sign_content_type")
    def test_binding_the_content_type_is_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(UnsupportedOperationError):
            offline_bucket(unreachable).objects.create("a").sign("PUT", content_type="x/y")

    @needs("sign", "HEAD")
    def test_describing(self, harness: ProviderHarness, stored: BucketObject) -> None:
        answer = harness.send(stored.sign("HEAD"))
        assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "10")

    @needs("sign", "DELETE")
    def test_deleting(self, harness: ProviderHarness, bucket: Bucket, stored: BucketObject) -> None:
        assert harness.send(stored.sign("DELETE")).status in (200, 202, 204)
        assert bucket.objects.list() == []

    @pytest.mark.parametrize("signed", _METHODS)
    @pytest.mark.parametrize("sent", _METHODS)
    def test_other_methods_are_denied(
        self, harness: ProviderHarness, provider: CloudProvider, stored: BucketObject, signed: Any, sent: Any
    ) -> None:
        if not has(provider.capabilities, "sign", signed):
            with pytest.raises(UnsupportedOperationError):
                stored.sign(signed)
            return
        request = stored.sign(signed)
        assert request.method == signed
        if sent == signed or (signed, sent) in harness.also_signed:
            return
        answer = harness.send(SignedRequest(request.url, sent, request.headers), body=b"x" if sent == "PUT" else None)
        assert answer.status in _DENIED
        assert b"0123456789" not in answer.body
        assert stored.content() == b"0123456789"

    @needs("sign", "GET")
    def test_tampered_url_is_denied(self, harness: ProviderHarness, bucket: Bucket, stored: BucketObject) -> None:
        bucket.objects.create("dir/other0.txt").upload(b"of the other")
        url = stored.generate_url(100)
        parts = urlsplit(url)
        tampered = [
            url.replace("stored.txt", "other0.txt"),
            parts._replace(query="").geturl(),
            parts._replace(query=parts.query[:-3]).geturl(),
            parts._replace(query=parts.query.swapcase()).geturl(),
            *(url.replace(old, new) for old, new in (("stored", "%73tored/../other0"), ("dir/", "dir//"))),
        ]
        for field in parts.query.split("&"):
            name, _, value = field.partition("=")
            tampered.append(url.replace(field, f"{name}={value[:-1]}{'1' if value[-1:] != '1' else '2'}"))
        for each in tampered:
            if each == url:
                continue
            answer = harness.get_url(each)
            assert answer.status in _DENIED, each
            assert b"0123456789" not in answer.body
            assert b"of the other" not in answer.body
        assert harness.get_url(url).status == 200

    @needs("sign", "GET")
    def test_expiry_is_refused_before_it_is_signed(self, unreachable: CloudProvider) -> None:
        obj = offline_bucket(unreachable).objects.create("a")
        for wrong in (0, -1, unreachable.capabilities.max_url_seconds + 1, 0.5, "60", None, True, float("nan")):
            with pytest.raises(InvalidValueException):
                obj.generate_url(wrong)  # type: ignore[arg-type]

    @needs("sign", "GET")
    def test_longest_expiry(self, harness: ProviderHarness, provider: CloudProvider, stored: BucketObject) -> None:
        url = stored.generate_url(provider.capabilities.max_url_seconds)
        assert harness.get_url(url).body == b"0123456789"

    @needs("sign", "GET")
    def test_signed_url_is_a_secret(self, stored: BucketObject) -> None:
        signed = stored.sign("GET", 100)
        assert signed.url not in repr(signed)
        assert urlsplit(signed.url).query not in repr(signed)

    @needs("sign_prefix")
    def test_a_prefix(self, harness: ProviderHarness, bucket: Bucket, stored: BucketObject) -> None:
        bucket.objects.create("dir/sub dir/ä?#%2F.txt").upload(b"weird")
        bucket.objects.create("other/secret.txt").upload(b"secret")
        signed = bucket.objects.sign_prefix("dir/", expires_in=100)
        assert harness.get_url(signed.url_of(stored.name)).body == b"0123456789"
        assert harness.get_url(signed.url_of("dir/sub dir/ä?#%2F.txt")).body == b"weird"
        assert harness.get_url(signed.url_of("dir/missing")).status == 404
        for outside in ("other/secret.txt", "di", "dirt"):
            with pytest.raises(InvalidValueException):
                signed.url_of(outside)
        other = signed.url_of("dir/secret.txt").replace("/dir/", "/other/")
        longer = signed.url_of("dir/secret.txt").replace("dir%2F", "").replace("/dir/", "/other/")
        for each in (other, longer):
            answer = harness.get_url(each)
            assert answer.status in _DENIED
            assert b"secret" not in answer.body
        assert harness.send(SignedRequest(signed.url_of(stored.name), "DELETE")).status in _DENIED
        assert urlsplit(signed.url_of("dir/a")).query not in repr(signed)

    @needs("sign_prefix")
    def test_a_prefix_to_write_to(self, harness: ProviderHarness, bucket: Bucket) -> None:
        if "PUT" in bucket.provider.capabilities.sign:
            signed = bucket.objects.sign_prefix("inbox/", "PUT")
            answer = harness.send(SignedRequest(signed.url_of("inbox/a b"), signed.method), body=b"1")
            assert answer.status in (200, 201, 204)
            assert bucket.objects.create("inbox/a b").content() == b"1"
        whole = bucket.objects.sign_prefix("", "GET")
        assert harness.get_url(whole.url_of("nothing")).status == 404

    @lacks("sign_prefix")
    def test_a_prefix_is_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(UnsupportedOperationError):
            offline_bucket(unreachable).objects.sign_prefix("dir/")

    @needs("temp_url_key")
    @pytest.mark.parametrize("key", ["", "short", "with\nnewline-and-more", "ümlaut-and-sixteen-more", 1, b"x" * 20])
    def test_a_key_to_sign_with_is_no_guess(self, unreachable: CloudProvider, key: Any) -> None:
        with pytest.raises(InvalidValueException):
            unreachable.storage.set_temp_url_key(key)

    @lacks("temp_url_key")
    def test_a_key_to_sign_with_is_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(UnsupportedOperationError):
            unreachable.storage.set_temp_url_key()

    def test_unknown_method_is_refused(self, unreachable: CloudProvider) -> None:
        for method in ("POST", "get", "", None):
            with pytest.raises(UnsupportedOperationError):
                offline_bucket(unreachable).objects.create("a").sign(method)  # type: ignore[arg-type]

    @lacks("sign", "GET")
    def test_reading_url_is_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(UnsupportedOperationError):
            offline_bucket(unreachable).objects.create("a").generate_url(100)

    @lacks("sign", "PUT")
    def test_writing_url_is_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(UnsupportedOperationError):
            offline_bucket(unreachable).objects.create("a").generate_url(100, writable=True)
