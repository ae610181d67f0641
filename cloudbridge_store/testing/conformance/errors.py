"""Errors: one tree, with context, that travels between processes; not-found means not-found and nothing else."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudbridge_store import errors
from cloudbridge_store.buckets import Bucket
from cloudbridge_store.errors import (
    BucketNotFoundError,
    CloudBridgeBaseException,
    InvalidValueException,
    NotFoundError,
    ObjectNotFoundError,
    StoreError,
)
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.testing.fixtures import StoreFixtures

_CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, CloudBridgeBaseException)]
_STORE_ERRORS = [cls for cls in _CLASSES if issubclass(cls, StoreError)]
_CONTEXT = {
    "provider": "p",
    "operation": "put_object",
    "bucket": "b",
    "key": "k/ä",
    "status": 503,
    "code": "SlowDown",
    "request_id": "r1",
    "attempts": 6,
    "outcome": "unknown",
    "hint": "Wait",
    "retry_after": 1.5,
}

_BUCKET_CALLS: dict[str, Callable[[Bucket], object]] = {
    "list": lambda bucket: bucket.objects.list(),
    "iterate": lambda bucket: list(bucket.objects),
    "find": lambda bucket: bucket.objects.find(name="a*"),
    "upload": lambda bucket: bucket.objects.create("a").upload(b"1"),
    "upload stream": lambda bucket: bucket.objects.create("a").upload(iter([b"1"])),
    "upload_many": lambda bucket: bucket.objects.upload_many({"a": b"1"}),
    "delete": lambda bucket: bucket.objects.create("a").delete(),
    "delete_many": lambda bucket: bucket.objects.delete_many(["a"]),
    "delete bucket": lambda bucket: bucket.delete(),
    "delete bucket with contents": lambda bucket: bucket.delete(delete_contents=True),
    "write": lambda bucket: bucket.objects.create("a").open("wb").close(),
    "download_directory": lambda bucket: bucket.download_directory(Path(__file__).parent, prefix="no/such/"),
}
_OBJECT_CALLS: dict[str, Callable[[Bucket], object]] = {
    "content": lambda bucket: bucket.objects.create("a").content(),
    "iter_content": lambda bucket: list(bucket.objects.create("a").iter_content()),
    "save_content": lambda bucket: bucket.objects.create("a").save_content(io.BytesIO()),
    "read_range": lambda bucket: bucket.objects.create("a").read_range(0, 1),
    "refresh": lambda bucket: bucket.objects.create("a").refresh(),
    "size": lambda bucket: bucket.objects.create("a").size,
    "metadata": lambda bucket: bucket.objects.create("a").metadata,
    "open": lambda bucket: bucket.objects.create("a").open("rb"),
    "download": lambda bucket: bucket.objects.create("a").download_to_file(Path(__file__).parent / "no-such-file"),
}


class ErrorSuite(StoreFixtures):
    """:mod:`cloudbridge_store.errors`, as the calls raise them."""

    @pytest.mark.parametrize("cls", _STORE_ERRORS, ids=lambda cls: cls.__name__)
    def test_error_keeps_its_context(self, cls: type[StoreError]) -> None:
        error = cls("the reason", **_CONTEXT)
        again = pickle.loads(pickle.dumps(error))
        for each in (error, again, copy.copy(error)):
            assert type(each) is cls
            assert {name: getattr(each, name) for name in _CONTEXT} == _CONTEXT
            assert each.reason == "the reason"
            assert str(each) == str(error)
        for shown in ("the reason", "put_object", "b/k/ä", "503", "SlowDown", "r1", "Wait"):
            assert shown in str(error)
        with pytest.raises(TypeError):
            cls("x", colour="red")

    @pytest.mark.parametrize("cls", [cls for cls in _CLASSES if cls not in _STORE_ERRORS], ids=lambda cls: cls.__name__)
    def test_other_error_travels(self, cls: type[CloudBridgeBaseException]) -> None:
        error = cls("param", "value", "hint") if issubclass(cls, InvalidValueException) else cls("the reason")
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.args) == (cls, str(error), error.args)

    @pytest.mark.parametrize("call", _BUCKET_CALLS)
    def test_missing_bucket(self, provider: CloudProvider, bucket: Bucket, call: str) -> None:
        missing = bucket.sibling(f"{bucket.name}-x")
        with pytest.raises(BucketNotFoundError) as caught:
            _BUCKET_CALLS[call](missing)
        assert (caught.value.provider, caught.value.bucket) == (provider.PROVIDER_ID, missing.name)
        assert missing.exists is False

    @pytest.mark.parametrize("call", _OBJECT_CALLS)
    def test_object_of_a_missing_bucket(self, bucket: Bucket, call: str) -> None:
        # A service that answers HEAD and GET by a bare 404 does not say which of the two is missing.
        missing = bucket.sibling(f"{bucket.name}-x")
        with pytest.raises(NotFoundError) as caught:
            _OBJECT_CALLS[call](missing)
        assert (caught.value.bucket, caught.value.key) == (missing.name, "a")
        assert not isinstance(caught.value, ObjectNotFoundError)

    @pytest.mark.parametrize("call", _OBJECT_CALLS)
    def test_missing_object(self, provider: CloudProvider, bucket: Bucket, call: str) -> None:
        with pytest.raises(ObjectNotFoundError) as caught:
            _OBJECT_CALLS[call](bucket)
        error = caught.value
        assert isinstance(error, FileNotFoundError)
        assert (error.provider, error.bucket, error.key) == (provider.PROVIDER_ID, bucket.name, "a")
        assert error.operation in ("get_object", "head_object")
        assert (error.attempts, error.outcome) == (1, "not_applied")
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), again.context(), str(again)) == (type(error), error.context(), str(error))

    def test_get_in_a_missing_bucket_is_not_found(self, bucket: Bucket) -> None:
        objects = bucket.sibling(f"{bucket.name}-x").objects
        for call in (lambda: objects.get("a"), lambda: objects.exists("a") or None):
            try:
                assert call() is None
            except BucketNotFoundError as error:
                assert error.bucket == f"{bucket.name}-x"
