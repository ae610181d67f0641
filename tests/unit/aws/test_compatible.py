"""What services do otherwise than AWS, each fault as it was met, from written answers."""

import re
from types import SimpleNamespace

import pytest

pytest.importorskip("botocore")

from cloudbridge_store.drivers.aws import uploads
from cloudbridge_store.drivers.aws.credentials import _loader
from cloudbridge_store.drivers.aws.listing import list_uploads
from cloudbridge_store.drivers.aws.settings import capabilities_of
from cloudbridge_store.drivers.aws.translate import parse_time
from cloudbridge_store.drivers.base import Part, PutOptions
from cloudbridge_store.drivers.presets import S3_PRESETS, find, with_overrides
from cloudbridge_store.errors import ProviderInternalException, UnsupportedOperationError, UploadNotFoundError

DIGEST = "d41d8cd98f00b204e9800998ecf8427e"


def service(preset, *answers):
    left = list(answers)
    return SimpleNamespace(
        preset=find(preset),
        trusted=False,
        send=lambda *_, **__: left.pop(0),
        accepted=lambda *_: {},
    )


def test_page_of_uploads_without_next_marker_goes_on_behind_its_last():
    uploads_there = [{"UploadId": "1", "Key": "a"}, {"UploadId": "2", "Key": "b%2Bc"}]
    answer = {"IsTruncated": True, "NextKeyMarker": "", "EncodingType": "url", "Uploads": uploads_there}
    assert list_uploads(service("swift-s3", answer), "bucket", "", 2, None).token == "b+c\x002"


def test_page_of_uploads_that_is_empty_and_not_the_last_is_no_endless_loop():
    with pytest.raises(ProviderInternalException):
        list_uploads(service("swift-s3", {"IsTruncated": True}), "bucket", "", 2, None)


def test_completed_upload_without_etag_has_the_one_that_its_parts_make():
    parts = {"IsTruncated": False, "Parts": [{"PartNumber": 1, "ETag": f'"{DIGEST}"', "Size": 0}]}
    one = service("ceph", parts, {"ETag": ""})
    stored = uploads.finish(one, "bucket", "a", "id", [Part(1, DIGEST, 0)], PutOptions())
    assert stored.etag == "59adb24ef3cdbe0297f05b395827453f-1"


def test_time_of_a_listing_is_that_of_the_header():
    assert parse_time("2026-11-21T14:24:34.027Z") == parse_time("Sat, 21 Nov 2026 14:24:34 GMT")


def test_part_of_no_upload_is_not_sent(make, no_network):
    driver = make()
    with pytest.raises(UploadNotFoundError):
        driver.list_parts("bucket", "a", "")
    driver.abort_upload("bucket", "a", "")


def test_metadata_that_would_change_their_name_are_not_sent(make, no_network):
    driver = make(s3_preset="ceph", s3_endpoint_url="https://ceph.example.org")
    with pytest.raises(UnsupportedOperationError, match="underscore"):
        driver.start_upload("bucket", "a", PutOptions(metadata={"a_b": "1"}))


def test_conditions_of_uploads_in_parts_are_promised_where_they_are_kept(make):
    url = "https://ceph.example.org"
    assert make().capabilities.conditional_multipart
    assert not make(s3_preset="ceph", s3_endpoint_url=url).capabilities.conditional_multipart
    changed = make(s3_preset="ceph", s3_endpoint_url=url, s3_conditional_multipart=True)
    assert changed.capabilities.conditional_multipart


def test_what_a_service_may_have_by_now_names_the_flag_that_says_so(make):
    """Whoever does as the hint says has what was lacking."""
    url = {"s3_endpoint_url": "https://s3.example.org"}
    for preset in S3_PRESETS.values():
        able = capabilities_of(preset, anonymous=False, locations=False)
        for name, hint in able.hints.items():
            flag, value = re.search(r"set s3_(\w+)=([\w,]+)", hint).groups()
            kind = type(getattr(preset, flag))
            given = {bool: value == "true", int: value}.get(kind, value)
            changed = with_overrides(preset, {f"s3_{flag}": given})
            after = capabilities_of(changed, anonymous=False, locations=False)
            assert name not in after.hints
            sets = (after.conditional_put, after.encryption, after.rules)
            assert getattr(after, name, False) is True or any(name in each for each in sets)
    lacking = make(s3_preset="other", **url).capabilities
    assert "s3_conditional_put=if_none_match:" in lacking.hints["if_none_match"]
    assert make().capabilities.hints == {}
    hints = make(aws_anonymous=True).capabilities.hints
    assert hints.keys() == {"sign", "sign_form", "versions", "switch_versions"}
    assert all("aws_anonymous" in hint for hint in hints.values())


def test_clients_share_what_botocore_knows(make):
    first, second = make().native, make().native
    assert first is not second
    known = {id(each.meta.service_model.metadata) for each in (first, second)}
    assert len(known) == 1
    places = len(_loader(None).search_paths)
    make()
    assert len(_loader(None).search_paths) == places
