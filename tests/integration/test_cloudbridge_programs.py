"""Programs written for CloudBridge's storage part, with nothing changed but the import root."""

from __future__ import annotations

import io
import urllib.request
import uuid

import pytest

from cloudbridge_store.factory import CloudProviderFactory, ProviderList
from cloudbridge_store.interfaces import InvalidConfigurationException
from cloudbridge_store.interfaces.exceptions import (
    CloudBridgeBaseException,
    DuplicateResourceException,
    InvalidNameException,
    InvalidParamException,
    InvalidValueException,
)
from cloudbridge_store.interfaces.resources import Bucket, BucketObject, TransferConfig


@pytest.fixture(params=["local", "mock"])
def provider(request, tmp_path):
    config = {"local_root": tmp_path / "root"} if request.param == "local" else {}
    with CloudProviderFactory().create_provider(request.param, {**config, "default_result_limit": 5}) as made:
        yield made


def test_the_documented_walk_through(provider, tmp_path):
    bucket = provider.storage.buckets.create("my-bucket")
    assert bucket.objects.list() == []
    source = tmp_path / "myfile.txt"
    source.write_text("content", encoding="utf-8")
    obj = bucket.objects.create("my-data.txt")
    obj.upload_from_file(str(source))
    bucket = provider.storage.buckets.find(name="my-bucket")[0]
    obj = bucket.objects.find(name="my-data.txt")[0]
    assert "Size: 7, Modified: 20" in f"Size: {obj.size}, Modified: {obj.last_modified}"
    with (tmp_path / "copy.txt").open("wb") as file:
        obj.save_content(file)
    assert (tmp_path / "copy.txt").read_text(encoding="utf-8") == "content"
    url = bucket.objects.get("my-data.txt").generate_url(expires_in=7200)
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"content"
    writable = obj.generate_url(expires_in=100, writable=True)
    request = urllib.request.Request(writable, b"new", {"x-ms-blob-type": "BlockBlob"}, method="PUT")
    urllib.request.urlopen(request).close()
    assert b"".join(obj.iter_content()) == b"new"
    bucket.delete(delete_contents=True)
    assert provider.storage.buckets.get("my-bucket") is None


def test_an_object_store_of_a_workflow_engine(provider, tmp_path):
    """What a platform's object store does with a bucket: find or make it, push, look, pull, forget."""

    def get_bucket(name):
        try:
            return provider.storage.buckets.get(name) or provider.storage.buckets.create(name)
        except InvalidNameException:
            pytest.fail("a valid name")

    bucket = get_bucket("engine-store")
    assert get_bucket("engine-store") == bucket
    key = "000/dataset_1.dat"
    assert bucket.objects.get(key) is None
    bucket.objects.create(key).upload("text of a data set")
    bucket.objects.create("000/dataset_1_files/a.html").upload(b"<p>")
    assert bucket.objects.get(key).size == len("text of a data set")
    assert len(bucket.objects.list(prefix="000/dataset_1_files/")) == 1
    assert [obj.name for obj in bucket.objects.iter(prefix="000/dataset_1_files/")] == ["000/dataset_1_files/a.html"]
    target = tmp_path / "cache"
    bucket.objects.get(key).download_to_file(str(target), config=TransferConfig(threshold=5, max_concurrency=2))
    assert target.read_text(encoding="utf-8") == "text of a data set"
    content = bucket.objects.get(key).iter_content(chunk_size=4)
    assert next(content) == b"text"
    getattr(content, "close", lambda: None)()
    for obj in bucket.objects.list(prefix="000/"):
        obj.delete()
    assert not bucket.objects.list()


def test_pages_are_followed_by_their_markers(provider):
    bucket = provider.storage.buckets.create("paged")
    for number in range(12):
        bucket.objects.create(f"object-{number:02}").upload("x")
    found = bucket.objects.list()
    assert len(found) == 5
    page = found
    while page.is_truncated:
        page = bucket.objects.list(limit=5, marker=page.marker)
        found += page
    assert [obj.id for obj in found] == [obj.id for obj in bucket.objects]


def test_exceptions_are_caught_by_their_names(provider):
    provider.storage.buckets.create("twice")
    with pytest.raises(DuplicateResourceException):
        provider.storage.buckets.create("twice")
    for name in ("hello_bucket", "197.10.100.42", None, "cb"):
        with pytest.raises(InvalidNameException):
            provider.storage.buckets.create(name)
    with pytest.raises(InvalidParamException):
        provider.storage.buckets.find(notaparameter="x")
    obj = provider.storage.buckets.get("twice").objects.create("a")
    for wrong in (0, -1):
        with pytest.raises(InvalidValueException):
            obj.iter_content(chunk_size=wrong)
    with pytest.raises(CloudBridgeBaseException):
        obj.save_content(io.BytesIO())
    with pytest.raises(InvalidConfigurationException):
        CloudProviderFactory().create_provider(ProviderList.LOCAL, {"local_rooot": "/"})


def test_parts_are_sent_by_hand(provider):
    bucket = provider.storage.buckets.create("parts")
    upload = bucket.objects.create("big").create_multipart_upload()
    second = upload.upload_part(2, b"b" * 1024)
    first = upload.upload_part(1, io.BytesIO(b"a" * 5 * 2**20))
    obj = upload.complete([second, first])
    assert (obj.size, obj.name, upload.object_name) == (5 * 2**20 + 1024, "big", "big")
    other = bucket.objects.create("gone").create_multipart_upload()
    other.upload_part(1, b"x")
    other.abort()
    other.abort()
    assert bucket.objects.get("gone") is None


def test_resources_know_themselves(provider):
    bucket = provider.storage.buckets.create("known")
    obj = bucket.objects.create(str(uuid.uuid4())).upload("x")
    assert isinstance(bucket, Bucket)
    assert isinstance(obj, BucketObject)
    for resource in (bucket, obj):
        assert resource.id in repr(resource)
        assert (resource.to_json()["id"], resource.to_json()["name"]) == (resource.id, resource.name)
        assert all(getattr(type(resource), name).fset is None for name in ("id", "name"))
