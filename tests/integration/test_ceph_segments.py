"""Large objects of Ceph's Swift API, which does not tell what they consist of: records beside the container do."""

from __future__ import annotations

from urllib.parse import quote

import pytest

pytest.importorskip("keystoneauth1")

from servers.openstack_harnesses import CephSwiftHarness

from cloudbridge_store import TransferConfig, errors
from cloudbridge_store.drivers.openstack.names import RECORDS, SEGMENTS
from cloudbridge_store.testing.fixtures import noise

HARNESS = CephSwiftHarness

MiB = 2**20
CUT = TransferConfig(threshold=MiB, part_size=MiB, max_concurrency=1)
LARGE, OTHER = noise(MiB + 1000, seed=9), noise(MiB + 7, seed=10)


@pytest.fixture
def bucket(harness, provider):
    bucket = harness.make_bucket(provider)
    yield bucket
    harness.remove_bucket(bucket)
    assert provider.storage.buckets.get(f"{bucket.name}_segments") is None


def beside(bucket):
    """Return the names of all that is beside a bucket."""
    return sorted(each.name for each in bucket.provider.storage.buckets.get(f"{bucket.name}_segments").objects)


def store_large(bucket, name="large", content=LARGE):
    return bucket.objects.create(name).upload(content, CUT)


def started(bucket, content=LARGE, name="large"):
    """Return an upload of two parts that is to be completed."""
    upload = bucket.objects.create(name).create_multipart_upload()
    for number, at in enumerate((0, MiB), start=1):
        upload.upload_part(number, content[at : at + MiB])
    return upload


@pytest.mark.parametrize(
    "replace",
    [
        lambda bucket: bucket.objects.create("large").upload(b"small"),
        lambda bucket: store_large(bucket, content=OTHER),
        lambda bucket: bucket.objects.create("plain").upload(b"1").copy_to(bucket, "large"),
        lambda bucket: bucket.objects.create("kept").copy_to(bucket, "large"),
        lambda bucket: bucket.objects.create("large").copy_to(bucket, "large", content_type="x/z"),
        lambda bucket: bucket.objects.create("large").delete(),
        lambda bucket: bucket.objects.delete_many(["large", "not there"]),
    ],
    ids=["put", "upload", "copy", "copy of a large one", "copy onto itself", "delete", "batch"],
)
def test_what_is_replaced_or_deleted_takes_its_segments_along(bucket, replace):
    kept = [store_large(bucket, name, OTHER) for name in ("kept", "large/below", "larg")]
    others = set(beside(bucket))
    store_large(bucket)
    old = set(beside(bucket)) - others
    assert len(old) == 3  # two segments, and the record of them
    replace(bucket)
    left = set(beside(bucket))
    assert not old & left
    assert others <= left
    assert [each.content() for each in kept] == [OTHER] * 3


def test_the_same_content_again(bucket):
    store_large(bucket)
    first = set(beside(bucket))
    obj = store_large(bucket)
    assert len(beside(bucket)) == 3
    assert not first & set(beside(bucket))
    assert obj.content() == LARGE
    obj.delete()
    assert beside(bucket) == []


def test_an_upload_whose_mark_was_left_is_over(bucket, monkeypatch):
    upload = started(bucket)
    uploads = bucket.provider.session.driver._uploads
    with monkeypatch.context() as patch:
        patch.setattr(uploads, "_unmark", lambda *_: None)
        obj = upload.complete()
    [again] = bucket.list_uploads()
    again.abort()
    assert (obj.content(), list(bucket.list_uploads())) == (LARGE, [])
    obj.delete()
    assert beside(bucket) == []


@pytest.mark.parametrize("arrived", [False, True], ids=["lost", "carried out"])
def test_of_two_uploads_of_one_content_nothing_is_lost(bucket, monkeypatch, arrived):
    obj = store_large(bucket)
    upload = started(bucket)
    transport = bucket.provider.session.driver._service._transport
    send = transport.send

    def lose(verb, url, headers, body):
        if verb == "PUT" and "multipart-manifest=put" in url:
            if arrived:
                send(verb, url, headers, body).read()
            raise ConnectionResetError
        return send(verb, url, headers, body)

    with monkeypatch.context() as patch:
        patch.setattr(transport, "send", lose)
        with pytest.raises(errors.ConnectionFailedError):
            upload.complete()
    # As another process would, which knows of no doubt.
    bucket.provider.session.driver._uploads._doubtful.clear()
    [again] = bucket.list_uploads()
    again.abort()
    assert obj.content() == LARGE
    obj.delete()
    assert [name for name in beside(bucket) if name.startswith((SEGMENTS, RECORDS))] == []


def test_an_upload_that_is_aborted_leaves_nothing(bucket):
    obj = bucket.objects.create("large").upload(b"what was there")
    upload = started(bucket)
    parts = upload.list_parts()
    first = next(name for name in beside(bucket) if name.startswith(SEGMENTS))
    bucket.provider.storage.buckets.get(f"{bucket.name}_segments").objects.create(first).delete()
    with pytest.raises(errors.InvalidRequestError):
        upload.complete(parts)
    assert [name for name in beside(bucket) if name.startswith(RECORDS)]
    upload.abort()
    assert (obj.content(), beside(bucket)) == (b"what was there", [])


@pytest.mark.parametrize("options", [{}, {"content_type": "x/y", "metadata": {"b": "2"}}], ids=str)
def test_a_copy_shares_no_segment(bucket, options):
    source = bucket.objects.create("large").upload(LARGE, CUT, content_type="x/z", metadata={"a": "ü"})
    bucket.objects.create("copy").upload(OTHER, CUT)
    source.copy_to(bucket, "copy", **options)
    assert len(beside(bucket)) == 6
    etag = source.etag
    source.delete()
    copy = bucket.objects.get("copy")
    described = {"content_type": copy.content_type, "metadata": copy.metadata}
    assert described == (options or {"content_type": "x/z", "metadata": {"a": "ü"}})
    assert (copy.content(), copy.etag) == (LARGE, etag)
    copy.delete()
    assert beside(bucket) == []


def test_what_is_not_known_to_consist_of_segments_is_not_copied_by_halves(bucket):
    obj = store_large(bucket)
    kept = bucket.objects.create("kept").upload(b"what was there")
    [record] = (name for name in beside(bucket) if name.startswith(RECORDS))
    # As of what another program made.
    bucket.provider.storage.buckets.get(f"{bucket.name}_segments").objects.create(record).delete()
    with pytest.raises(errors.UnsupportedOperationError, match="manifest"):
        obj.copy_to(bucket, "kept")
    assert (kept.content(), obj.content()) == (b"what was there", LARGE)


def test_a_copy_that_is_refused_leaves_nothing(bucket, monkeypatch):
    source = store_large(bucket)
    before = beside(bucket)
    transport = bucket.provider.session.driver._service._transport
    send, copied = transport.send, []

    def refuse(verb, url, headers, body):
        if "X-Copy-From" in headers:
            copied.append(url)
            if len(copied) > 1:
                url = url.replace("_segments", "_nowhere")
        return send(verb, url, headers, body)

    monkeypatch.setattr(transport, "send", refuse)
    with pytest.raises(errors.ObjectChangedError):
        source.copy_to(bucket, "copy")
    assert len(copied) == 2
    assert (beside(bucket), bucket.objects.get("copy")) == (before, None)


def test_a_deletion_takes_no_segment_of_what_is_being_copied_there(bucket, monkeypatch):
    source = store_large(bucket)
    target = store_large(bucket, "copy")  # of the same content, and so of the same ETag
    transport = bucket.provider.session.driver._service._transport
    send = transport.send

    def delete_first(verb, url, headers, body):
        if verb == "PUT" and "multipart-manifest=put" in url:
            monkeypatch.setattr(transport, "send", send)
            target.delete()
        return send(verb, url, headers, body)

    monkeypatch.setattr(transport, "send", delete_first)
    assert source.copy_to(bucket, "copy").content() == LARGE
    bucket.objects.create("copy").delete()
    source.delete()
    assert (beside(bucket), list(bucket.list_uploads())) == ([], [])


def test_a_copy_whose_end_nobody_answered_can_be_discarded(bucket, monkeypatch):
    source = store_large(bucket)
    transport = bucket.provider.session.driver._service._transport
    send = transport.send

    def lose(verb, url, headers, body):
        if verb == "PUT" and "multipart-manifest=put" in url:
            send(verb, url, headers, body).read()
            raise ConnectionResetError
        return send(verb, url, headers, body)

    with monkeypatch.context() as patch:
        patch.setattr(transport, "send", lose)
        copy = source.copy_to(bucket, "copy")  # by its ETag it is known to be done
    doubtful = list(bucket.list_uploads())
    assert doubtful
    for each in doubtful:
        each.abort()
    assert copy.content() == LARGE
    copy.delete()
    source.delete()
    assert (beside(bucket), list(bucket.list_uploads())) == ([], [])


def test_a_copy_whose_record_is_refused_leaves_nothing(bucket, monkeypatch):
    source = store_large(bucket)
    before = beside(bucket)
    transport = bucket.provider.session.driver._service._transport
    send = transport.send

    def misplace(verb, url, headers, body):
        if verb == "PUT" and quote(RECORDS) in url:
            return send(verb, url.replace("_segments", "_nowhere"), headers, body)
        return send(verb, url, headers, body)

    with monkeypatch.context() as patch:
        patch.setattr(transport, "send", misplace)
        with pytest.raises(errors.ObjectChangedError):
            source.copy_to(bucket, "copy")
    assert (beside(bucket), list(bucket.list_uploads())) == (before, [])
