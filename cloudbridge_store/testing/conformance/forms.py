"""Signed forms and rules of buckets: where the service has them, and refused where it has not."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.drivers.base import SignedForm
from cloudbridge_store.errors import InvalidValueException, UnsupportedOperationError
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.testing.fixtures import StoreFixtures, lacks, needs, offline_bucket
from cloudbridge_store.testing.harness import Answer, ProviderHarness

_REFUSED = (400, 403)


class FormSuite(StoreFixtures):
    """``sign_form``, sent as a browser would, kept to and not kept to."""

    @needs("sign_form")
    def test_a_form_stores_the_object(self, harness: ProviderHarness, bucket: Bucket) -> None:
        obj = bucket.objects.create("dir/ü b.txt")
        form = obj.sign_form(60, max_size=100, content_type="text/x-form")
        assert _send(harness, form, b"from a browser").status in (200, 201, 204)
        assert (obj.content(), obj.content_type) == (b"from a browser", "text/x-form")

    @needs("sign_form")
    def test_a_form_for_a_prefix_takes_the_name_of_the_file(self, harness: ProviderHarness, bucket: Bucket) -> None:
        form = bucket.objects.sign_form(prefix="inbox/")
        assert _send(harness, form, b"x", filename="report.pdf").status in (200, 201, 204)
        assert [obj.name for obj in bucket.objects] == ["inbox/report.pdf"]
        assert _send(harness, _with(form, key="elsewhere/a"), b"x").status in _REFUSED
        assert bucket.objects.get("elsewhere/a") is None

    @needs("sign_form")
    def test_terms_are_kept_to(self, harness: ProviderHarness, bucket: Bucket) -> None:
        form = bucket.objects.sign_form("a", min_size=2, max_size=4, content_type="text/plain")
        for altered, content in (
            (form, b"1"),
            (form, b"12345"),
            (_with(form, **{"Content-Type": "text/html"}), b"123"),
            (_with(form, key="b"), b"123"),
        ):
            assert _send(harness, altered, content).status in _REFUSED
        assert list(bucket.objects) == []
        assert _send(harness, form, b"123").status in (200, 201, 204)

    @needs("sign_form")
    @pytest.mark.parametrize(
        "terms",
        [{}, {"name": "a", "prefix": "b"}, {"name": "a", "max_size": -1}, {"name": "a", "min_size": 2, "max_size": 1}],
        ids=str,
    )
    def test_terms_that_make_no_sense(self, unreachable: CloudProvider, terms: dict[str, Any]) -> None:
        with pytest.raises(InvalidValueException):
            offline_bucket(unreachable).objects.sign_form(**terms)

    @lacks("sign_form")
    def test_forms_are_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(UnsupportedOperationError):
            offline_bucket(unreachable).objects.sign_form("a")


class RuleSuite(StoreFixtures):
    """``get_rules`` and ``set_rules``."""

    @needs("rules", "cors")
    def test_cors(self, harness: ProviderHarness, bucket: Bucket) -> None:
        assert bucket.get_rules("cors") == []
        bucket.set_rules("cors", [harness.cors_rule])
        (rule,) = bucket.get_rules("cors")
        assert _in_order(rule).items() >= _in_order(harness.cors_rule).items()
        bucket.set_rules("cors", [])
        assert bucket.get_rules("cors") == []

    @needs("rules", "lifecycle")
    def test_lifecycle(self, harness: ProviderHarness, bucket: Bucket) -> None:
        assert bucket.get_rules("lifecycle") == []
        bucket.set_rules("lifecycle", [harness.lifecycle_rule])
        (rule,) = bucket.get_rules("lifecycle")
        assert _in_order(rule).items() >= _in_order(harness.lifecycle_rule).items()
        bucket.set_rules("lifecycle", [])
        assert bucket.get_rules("lifecycle") == []

    @needs("account_rules", "cors")
    def test_cors_of_the_account(self, harness: ProviderHarness) -> None:
        with harness.make_lone_provider() as provider:
            # It may be an account that is used otherwise: what was set is put back.
            before = provider.storage.get_rules("cors")
            provider.storage.set_rules("cors", [harness.cors_rule])
            (rule,) = provider.storage.get_rules("cors")
            assert _in_order(rule).items() >= _in_order(harness.cors_rule).items()
            provider.storage.set_rules("cors", before)
            assert provider.storage.get_rules("cors") == before

    @lacks("account_rules", "cors")
    def test_cors_of_the_account_is_refused(self, unreachable: CloudProvider) -> None:
        storage = unreachable.storage
        for call in (lambda: storage.get_rules("cors"), lambda: storage.set_rules("cors", [{}])):
            with pytest.raises(UnsupportedOperationError):
                call()

    @lacks("rules", "cors")
    def test_cors_is_refused(self, unreachable: CloudProvider) -> None:
        bucket = offline_bucket(unreachable)
        for call in (lambda: bucket.get_rules("cors"), lambda: bucket.set_rules("cors", [{}])):
            with pytest.raises(UnsupportedOperationError):
                call()

    @lacks("rules", "lifecycle")
    def test_lifecycle_is_refused(self, unreachable: CloudProvider) -> None:
        bucket = offline_bucket(unreachable)
        for call in (lambda: bucket.get_rules("lifecycle"), lambda: bucket.set_rules("lifecycle", [])):
            with pytest.raises(UnsupportedOperationError):
                call()


def _in_order(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {name: sorted(value) if isinstance(value, list) else value for name, value in rule.items()}


def _with(form: SignedForm, **fields: str) -> SignedForm:
    return SignedForm(form.url, {**form.fields, **fields})


def _send(harness: ProviderHarness, form: SignedForm, content: bytes, filename: str = "file") -> Answer:
    boundary = uuid.uuid4().hex
    pieces = [_piece(boundary, f'name="{name}"', value.encode()) for name, value in form.fields.items()]
    pieces.append(_piece(boundary, f'name="file"; filename="{filename}"', content))
    body = b"".join(pieces) + f"--{boundary}--\r\n".encode()
    return harness.post(form.url, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})


def _piece(boundary: str, disposition: str, content: bytes) -> bytes:
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + content + b"\r\n"
