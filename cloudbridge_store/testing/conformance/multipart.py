"""Multipart uploads in the caller's hands."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.errors import (
    BucketNotFoundError,
    InvalidRequestError,
    InvalidValueException,
    PreconditionFailedError,
    UnsupportedOperationError,
    UploadNotFoundError,
)
from cloudbridge_store.objects import BucketObject
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.testing.fixtures import StoreFixtures, lacks, needs, noise, offline_bucket
from cloudbridge_store.testing.harness import ProviderHarness
from cloudbridge_store.uploads import MultipartUpload, UploadPart


class MultipartSuite(StoreFixtures):
    """``create_multipart_upload``, ``resume_upload``, ``list_uploads``."""

    @pytest.fixture
    def piece(self, provider: CloudProvider) -> bytes:
        """Content for a part that is not the last: not much more than the service asks for."""
        return noise(max(provider.session.upload_limits().min_part, 1000), seed=4)

    @pytest.fixture
    def upload(self, bucket: Bucket) -> MultipartUpload:
        """An upload without parts, discarded with its bucket."""
        return bucket.objects.create("dir/a.txt").create_multipart_upload()

    @needs("multipart")
    def test_parts_become_an_object(self, bucket: Bucket, piece: bytes) -> None:
        upload = bucket.objects.create("a.txt").create_multipart_upload(content_type="x/y")
        assert (upload.name, upload.object_name, upload.bucket) == ("a.txt", "a.txt", bucket)
        assert upload.id
        parts = [upload.upload_part(1, piece), upload.upload_part(2, b"last")]
        assert [(part.part_number, part.size) for part in parts] == [(1, len(piece)), (2, 4)]
        assert bucket.objects.get("a.txt") is None
        obj = upload.complete(parts)
        assert isinstance(obj, BucketObject)
        assert (obj.name, obj.size, obj.content_type) == ("a.txt", len(piece) + 4, "x/y")
        assert obj.content() == piece + b"last"

    @needs("multipart")
    def test_parts_come_out_of_order(self, upload: MultipartUpload, piece: bytes) -> None:
        last = upload.upload_part(7, b"last")
        first = upload.upload_part(2, piece)
        assert [part.part_number for part in upload.list_parts()] == [2, 7]
        assert upload.complete([last, first]).content() == piece + b"last"

    @needs("multipart")
    def test_completing_all_that_is_stored(self, upload: MultipartUpload, piece: bytes) -> None:
        upload.upload_part(2, "text")
        upload.upload_part(1, io.BytesIO(piece))
        assert [part.size for part in upload.list_parts()] == [len(piece), 4]
        assert upload.complete().content() == piece + b"text"

    @needs("multipart")
    def test_part_is_replaced(self, upload: MultipartUpload, piece: bytes) -> None:
        old = upload.upload_part(1, piece[::-1])
        upload.upload_part(1, piece)
        new = upload.upload_part(2, iter([b"la", b"st"]))
        with pytest.raises(InvalidRequestError):
            upload.complete([old, new])
        assert upload.complete().content() == piece + b"last"

    @needs("multipart")
    def test_one_part_is_enough(self, upload: MultipartUpload) -> None:
        assert upload.complete([upload.upload_part(1, b"small")]).content() == b"small"

    @needs("multipart")
    def test_only_the_parts_named_are_used(self, upload: MultipartUpload, piece: bytes) -> None:
        parts = [upload.upload_part(1, piece), upload.upload_part(2, b"unused"), upload.upload_part(3, b"last")]
        assert upload.complete([parts[0], parts[2]]).content() == piece + b"last"

    @needs("multipart")
    def test_parts_from_many_threads(self, upload: MultipartUpload, piece: bytes) -> None:
        with ThreadPoolExecutor(3) as pool:
            parts = list(pool.map(lambda number: upload.upload_part(number, piece), (1, 2, 3)))
        assert upload.complete(parts[::-1]).content() == piece * 3

    @needs("multipart")
    def test_completing_what_was_not_sent(self, upload: MultipartUpload) -> None:
        part = upload.upload_part(1, b"1")
        for wrong in (UploadPart(2, part.etag, part.size), UploadPart(1, "0" * len(part.etag), part.size)):
            with pytest.raises(InvalidRequestError) as caught:
                upload.complete([wrong])
            assert isinstance(caught.value, ValueError)
        assert upload.bucket.objects.get(upload.object_name) is None
        assert upload.complete([part]).content() == b"1"

    @needs("multipart")
    def test_part_that_is_too_small(self, provider: CloudProvider, upload: MultipartUpload) -> None:
        parts = [upload.upload_part(1, b"1"), upload.upload_part(2, b"2")]
        if provider.session.upload_limits().min_part > 1:
            with pytest.raises(InvalidRequestError):
                upload.complete(parts)
            assert upload.bucket.objects.get(upload.object_name) is None
        else:
            assert upload.complete(parts).content() == b"12"

    @needs("multipart")
    def test_completing_nothing(self, upload: MultipartUpload) -> None:
        with pytest.raises(InvalidValueException):
            upload.complete()
        with pytest.raises(InvalidValueException):
            upload.complete([])
        assert upload.bucket.objects.list() == []

    @needs("multipart")
    @pytest.mark.parametrize("number", [0, -1, 1.5, True, "1"], ids=repr)
    def test_part_number_is_refused(self, upload: MultipartUpload, number: Any) -> None:
        with pytest.raises(InvalidValueException):
            upload.upload_part(number, b"1")
        assert upload.list_parts() == []

    @needs("multipart")
    def test_part_number_beyond_the_last(self, provider: CloudProvider, upload: MultipartUpload) -> None:
        most = provider.session.upload_limits().max_parts
        with pytest.raises(InvalidValueException):
            upload.upload_part(most + 1, b"1")
        assert upload.complete([upload.upload_part(most, b"1")]).content() == b"1"

    @needs("multipart")
    def test_abort_leaves_nothing(self, upload: MultipartUpload) -> None:
        part = upload.upload_part(1, b"1")
        upload.abort()
        upload.abort()
        assert upload.bucket.objects.get(upload.object_name) is None
        for use in (lambda: upload.upload_part(2, b"2"), upload.list_parts, lambda: upload.complete([part])):
            with pytest.raises(UploadNotFoundError) as caught:
                use()
            assert isinstance(caught.value, FileNotFoundError)

    @needs("multipart")
    @needs("conditional_put", "if_none_match")
    @pytest.mark.parametrize("aborted", [False, True])
    def test_an_upload_is_no_object_to_a_condition(self, upload: MultipartUpload, aborted: bool) -> None:
        upload.upload_part(1, b"1")
        if aborted:
            upload.abort()
        obj = upload.bucket.objects.create(upload.object_name)
        obj.upload(b"2", if_none_match="*", content_type="x/y", metadata={"a": "1"})
        found = upload.bucket.objects.get(upload.object_name)
        assert found is not None
        assert (found.content(), found.content_type, found.metadata) == (b"2", "x/y", {"a": "1"})
        with pytest.raises(PreconditionFailedError):
            obj.upload(b"3", if_none_match="*")

    @needs("multipart")
    def test_upload_is_over_when_completed(self, upload: MultipartUpload) -> None:
        upload.complete([upload.upload_part(1, b"1")])
        for use in (lambda: upload.upload_part(2, b"2"), upload.list_parts, upload.complete):
            with pytest.raises(UploadNotFoundError):
                use()
        upload.abort()
        assert upload.bucket.objects.create(upload.object_name).content() == b"1"

    @needs("multipart")
    def test_with_block_aborts(self, bucket: Bucket) -> None:
        obj = bucket.objects.create("a").upload(b"old")
        with pytest.raises(RuntimeError, match="stop"), obj.create_multipart_upload() as upload:
            upload.upload_part(1, b"new")
            message = "stop"
            raise RuntimeError(message)
        with pytest.raises(UploadNotFoundError):
            upload.list_parts()
        assert obj.content() == b"old"
        with obj.create_multipart_upload() as upload:
            upload.complete([upload.upload_part(1, b"new")])
        assert bucket.objects.create("a").content() == b"new"

    @needs("multipart")
    @needs("separate_uploads")
    def test_uploads_of_one_key_are_apart(self, bucket: Bucket) -> None:
        obj = bucket.objects.create("a")
        first, second = obj.create_multipart_upload(), obj.create_multipart_upload()
        assert first.id != second.id
        parts = [first.upload_part(1, b"first"), second.upload_part(1, b"second")]
        assert second.complete([parts[1]]).content() == b"second"
        assert first.complete([parts[0]]).content() == b"first"

    @needs("multipart")
    @lacks("separate_uploads")
    def test_the_first_to_finish_ends_the_others(self, bucket: Bucket) -> None:
        obj = bucket.objects.create("a")
        first, second = obj.create_multipart_upload(), obj.create_multipart_upload()
        assert first.id != second.id
        parts = [first.upload_part(1, b"first"), second.upload_part(1, b"second")]
        assert [each.size for each in first.list_parts()] == [5]
        assert second.complete([parts[1]]).content() == b"second"
        for use in (lambda: first.complete([parts[0]]), first.list_parts):
            with pytest.raises(UploadNotFoundError):
                use()
        assert obj.content() == b"second"

    @needs("multipart")
    def test_upload_is_resumed(self, bucket: Bucket, upload: MultipartUpload, piece: bytes) -> None:
        upload.upload_part(1, piece)
        again = bucket.objects.create(upload.object_name).resume_upload(upload.id)
        assert [part.part_number for part in again.list_parts()] == [1]
        again.upload_part(2, b"last")
        assert again.complete().content() == piece + b"last"

    @needs("multipart")
    @pytest.mark.parametrize("upload_id", ["unknown", "0" * 32, "../x", "a/b", "a b", ""], ids=repr)
    def test_unknown_upload(self, bucket: Bucket, upload_id: str) -> None:
        upload = bucket.objects.create("a").resume_upload(upload_id)
        for use in (lambda: upload.upload_part(1, b"1"), upload.list_parts):
            with pytest.raises(UploadNotFoundError):
                use()
        upload.abort()
        assert bucket.objects.list() == []

    @needs("multipart")
    def test_upload_of_another_key_is_not_found(self, bucket: Bucket, upload: MultipartUpload) -> None:
        upload.upload_part(1, b"1")
        with pytest.raises(UploadNotFoundError):
            bucket.objects.create("other").resume_upload(upload.id).list_parts()

    @needs("multipart")
    def test_multipart_upload_to_a_missing_bucket(self, bucket: Bucket) -> None:
        with pytest.raises(BucketNotFoundError):
            bucket.sibling(f"{bucket.name}-x").objects.create("a").create_multipart_upload()

    @needs("multipart")
    @needs("conditional_multipart")
    @needs("conditional_put", "if_none_match")
    def test_conditions_hold_at_the_end(self, bucket: Bucket) -> None:
        obj = bucket.objects.create("a")
        upload = obj.create_multipart_upload(if_none_match="*")
        part = upload.upload_part(1, b"late")
        obj.upload(b"early")
        with pytest.raises(PreconditionFailedError):
            upload.complete([part])
        assert bucket.objects.create("a").content() == b"early"

    @needs("multipart")
    @lacks("conditional_multipart")
    @needs("conditional_put", "if_none_match")
    def test_condition_is_refused(self, unreachable: CloudProvider) -> None:
        with pytest.raises(UnsupportedOperationError):
            offline_bucket(unreachable).objects.create("a").create_multipart_upload(if_none_match="*")

    @needs("multipart")
    @lacks("conditional_multipart")
    @needs("conditional_put", "if_none_match")
    def test_what_has_a_condition_goes_in_one_request(
        self, harness: ProviderHarness, provider: CloudProvider, bucket: Bucket
    ) -> None:
        size = provider.session.upload_limits().min_part
        with harness.make_provider(multipart_threshold=size, multipart_part_size=size) as other:
            obj = other.storage.buckets.get(bucket.name).objects.create("a")  # type: ignore[union-attr]
            obj.upload(b"first")
            for source in (noise(size + 1), iter([noise(size), b"1"])):
                with pytest.raises(PreconditionFailedError):
                    obj.upload(source, if_none_match="*")
            assert obj.content() == b"first"
            file = bucket.objects.create("b").open("wb", if_none_match="*")
            file.write(noise(size + 1))
            bucket.objects.create("b").upload(b"first")
            with pytest.raises(PreconditionFailedError):
                file.close()
            assert bucket.objects.create("b").content() == b"first"

    @needs("multipart")
    @needs("user_metadata")
    def test_options_are_stored(self, bucket: Bucket) -> None:
        upload = bucket.objects.create("a").create_multipart_upload(metadata={"a": "ü"})
        assert upload.complete([upload.upload_part(1, b"")]).metadata == {"a": "ü"}

    @lacks("multipart")
    def test_multipart_is_refused(self, unreachable: CloudProvider) -> None:
        obj = offline_bucket(unreachable).objects.create("a")
        calls: list[Callable[[], object]] = [obj.create_multipart_upload, lambda: obj.resume_upload("1")]
        for call in calls:
            with pytest.raises(UnsupportedOperationError):
                call()

    @needs("list_uploads")
    def test_unfinished_uploads_are_listed(self, bucket: Bucket) -> None:
        names = ["a", "b/1", "b/1", "b/2", "é"]
        started = [bucket.objects.create(name).create_multipart_upload() for name in names]
        found = list(bucket.list_uploads())
        assert [each.object_name for each in found] == names
        assert {each.id for each in found} == {each.id for each in started}
        assert [each.object_name for each in bucket.list_uploads("b/")] == ["b/1", "b/1", "b/2"]
        for each in found:
            assert each.started is None or abs(datetime.now(UTC) - each.started) < timedelta(hours=1)
        assert bucket.objects.list() == []
        found[-1].complete([found[-1].upload_part(1, b"1")])
        assert [each.object_name for each in bucket.list_uploads()] == names[:-1]

    @needs("list_uploads")
    def test_unfinished_uploads_are_aborted(self, bucket: Bucket) -> None:
        for name in ("a", "b/1", "b/2"):
            bucket.objects.create(name).create_multipart_upload().upload_part(1, b"1")
        assert bucket.abort_uploads(older_than=timedelta(days=1)) == 0
        assert bucket.abort_uploads("b/") == 2
        assert [each.object_name for each in bucket.list_uploads()] == ["a"]
        assert bucket.abort_uploads() == 1
        assert list(bucket.list_uploads()) == []

    @needs("list_uploads")
    def test_unfinished_uploads_do_not_keep_a_bucket(self, bucket: Bucket, upload: MultipartUpload) -> None:
        upload.upload_part(1, b"1")
        bucket.delete(delete_contents=True)
        assert bucket.exists is False

    @lacks("list_uploads")
    def test_listing_of_uploads_is_refused(self, unreachable: CloudProvider) -> None:
        bucket = offline_bucket(unreachable)
        for call in (lambda: list(bucket.list_uploads()), bucket.abort_uploads):
            with pytest.raises(UnsupportedOperationError):
                call()
