"""Google's own client on the fake: what it does there it does at the service."""

import datetime as dt
import io
import os

import pytest
from google.api_core import exceptions
from google.cloud.storage import transfer_manager
from google.cloud.storage.fileio import BlobWriter
from servers.gcs.probing import QUARTER


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 3 * 1024 * 1024])
@pytest.mark.parametrize("checksum", ["md5", "crc32c"])
def test_content_goes_up_and_comes_down(bucket, size, checksum):
    content = os.urandom(size)
    blob = bucket.blob("a/b c+é?#%")
    blob.upload_from_string(content, checksum=checksum)
    fresh = bucket.blob(blob.name)
    assert fresh.download_as_bytes(checksum=checksum) == content
    fresh.reload()
    assert fresh.size == size
    assert fresh.md5_hash == blob.md5_hash
    assert fresh.crc32c
    assert fresh.component_count is None


def test_ranges(bucket):
    blob = bucket.blob("ranged")
    blob.upload_from_string(bytes(range(200)))
    assert blob.download_as_bytes(start=10, end=19) == bytes(range(10, 20))
    assert blob.download_as_bytes(start=190) == bytes(range(190, 200))
    assert blob.download_as_bytes(start=-5) == bytes(range(195, 200))
    with pytest.raises(exceptions.RequestRangeNotSatisfiable):
        blob.download_as_bytes(start=200)


def test_resumable_uploads(bucket):
    content = os.urandom(5 * QUARTER + 17)
    blob = bucket.blob("resumable", chunk_size=2 * QUARTER)
    blob.metadata = {"k": "ü"}
    blob.upload_from_file(io.BytesIO(content), content_type="x/y", checksum="crc32c")
    fresh = bucket.get_blob("resumable")
    assert (fresh.metadata, fresh.content_type) == ({"k": "ü"}, "x/y")
    assert fresh.download_as_bytes() == content


def test_an_upload_of_unknown_length(bucket):
    content = os.urandom(3 * QUARTER + 5)
    blob = bucket.blob("unknown")
    with BlobWriter(blob, chunk_size=QUARTER) as file:
        file.write(content[: QUARTER + 1])
        file.write(content[QUARTER + 1 :])
    assert blob.download_as_bytes() == content


def test_parts_in_parallel(bucket, tmp_path):
    content = os.urandom(13 * 1024 * 1024)
    (tmp_path / "file").write_bytes(content)
    blob = bucket.blob("in/parts of mine")
    blob.content_disposition = "attachment"
    blob.metadata = {"a": "1"}
    transfer_manager.upload_chunks_concurrently(
        str(tmp_path / "file"), blob, chunk_size=5 * 1024 * 1024, max_workers=3, worker_type=transfer_manager.THREAD
    )
    fresh = bucket.get_blob(blob.name)
    assert fresh.md5_hash is None
    assert (fresh.content_disposition, fresh.metadata) == ("attachment", {"a": "1"})
    assert fresh.download_as_bytes(checksum="crc32c") == content


def test_compositions(bucket):
    parts = [bucket.blob(f"part{number}") for number in range(3)]
    for part in parts:
        part.upload_from_string(part.name)
    whole = bucket.blob("whole")
    whole.content_type = "text/x-whole"
    whole.compose(parts, if_generation_match=0, if_source_generation_match=[part.generation for part in parts])
    assert whole.download_as_bytes() == b"part0part1part2"
    assert (whole.component_count, whole.md5_hash, whole.content_type) == (3, None, "text/x-whole")
    again = bucket.blob("again")
    again.compose([whole, parts[0]])
    assert again.component_count == 4
    with pytest.raises(exceptions.PreconditionFailed):
        whole.compose(parts, if_source_generation_match=[parts[0].generation, 1, None])
    with pytest.raises(exceptions.PreconditionFailed):
        whole.compose(parts, if_generation_match=0)
    with pytest.raises(exceptions.BadRequest, match=r"components provided \(33\) exceeds the maximum \(32\)"):
        whole.compose([parts[0]] * 33)


def test_rewrites_take_several_calls_to_another_class(bucket):
    blob = bucket.blob("moved")
    blob.metadata = {"kept": "yes"}
    content = os.urandom(9 * 1024 * 1024)
    blob.upload_from_string(content, content_type="a/b")
    target = bucket.blob("target")
    target.storage_class = "NEARLINE"
    calls, token = 0, None
    while token or not calls:
        token, done, total = target.rewrite(blob, token=token)
        calls += 1
        assert (done == total) == (token is None)
    assert calls == 3
    assert (target.storage_class, target.download_as_bytes()) == ("NEARLINE", content)


def test_rewrites_to_another_place_take_several_calls(client, bucket, new_name):
    other = client.create_bucket(new_name(), location="EUROPE-WEST1")
    blob = bucket.blob("moved")
    blob.upload_from_string(b"x" * 5 * 1024 * 1024)
    target = other.blob("moved")
    token, done, total = target.rewrite(blob)
    assert token
    assert done < total
    with pytest.raises(exceptions.BadRequest):
        other.blob("another").rewrite(blob, token=token)
    assert target.rewrite(blob, token=token) == (None, total, total)
    same = bucket.blob("near")
    assert same.rewrite(blob)[0] is None


def test_copies_bring_everything_along(bucket):
    blob = bucket.blob("source")
    blob.metadata, blob.cache_control = {"a": "b"}, "no-cache"
    blob.upload_from_string(b"x", content_type="m/n")
    copied = bucket.copy_blob(blob, bucket, "copy")
    assert (copied.metadata, copied.cache_control, copied.content_type) == ({"a": "b"}, "no-cache", "m/n")
    assert copied.generation != blob.generation
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.copy_blob(blob, bucket, "copy", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.copy_blob(blob, bucket, "third", if_source_generation_match=1)
    with pytest.raises(exceptions.NotFound):
        bucket.copy_blob(blob, bucket, "third", source_generation=1)


def test_preconditions(bucket):
    blob = bucket.blob("guarded")
    blob.upload_from_string(b"1", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed, match="pre-conditions you specified did not hold"):
        blob.upload_from_string(b"2", if_generation_match=0)
    first = blob.generation
    blob.upload_from_string(b"2", if_generation_match=first)
    assert blob.generation > first
    for wrong in ({"if_generation_match": first}, {"if_metageneration_match": 7}):
        for act in (blob.reload, blob.patch, blob.delete, bucket.blob("guarded").download_as_bytes):
            with pytest.raises(exceptions.PreconditionFailed):
                act(**wrong)
    with pytest.raises(exceptions.NotModified):
        blob.reload(if_generation_not_match=blob.generation)
    with pytest.raises(exceptions.NotModified):
        blob.reload(if_metageneration_not_match=1)
    assert bucket.blob("guarded").download_as_bytes() == b"2"
    blob.reload(if_etag_match=blob.etag)
    with pytest.raises(exceptions.PreconditionFailed):
        blob.reload(if_etag_match="another")


def test_lists_have_pages(bucket):
    names = [f"d{number % 3}/é{number:02}" for number in range(20)] + ["top", "z"]
    for name in names:
        bucket.blob(name).upload_from_string(b"")
    assert [each.name for each in bucket.list_blobs(page_size=3)] == sorted(names)
    found = bucket.list_blobs(delimiter="/", page_size=2)
    assert [each.name for each in found] == ["top", "z"]
    assert found.prefixes == {"d0/", "d1/", "d2/"}
    assert found.page_number == 3
    assert [each.name for each in bucket.list_blobs(start_offset="d2/", end_offset="top")] == sorted(
        name for name in names if "d2/" <= name < "top"
    )
    assert {each.name for each in bucket.list_blobs(match_glob="d?/é*0")} == {"d0/é00", "d1/é10"}
    assert [each.name for each in bucket.list_blobs(prefix="d1/é1")] == [f"d1/é{number}" for number in (10, 13, 16, 19)]


def test_versions(bucket):
    bucket.versioning_enabled = True
    bucket.patch()
    blob = bucket.blob("kept")
    generations = []
    for text in ("one", "two"):
        blob.upload_from_string(text)
        generations.append(blob.generation)
    bucket.blob("kept").delete()
    assert bucket.get_blob("kept") is None
    found = list(bucket.list_blobs(versions=True))
    assert [each.generation for each in found] == generations
    assert all(each.time_deleted for each in found)
    assert bucket.blob("kept", generation=generations[0]).download_as_bytes() == b"one"
    bucket.blob("kept", generation=generations[0]).delete()
    assert [each.generation for each in bucket.list_blobs(versions=True)] == generations[1:]
    with pytest.raises(exceptions.Conflict, match="not empty"):
        bucket.delete()


def test_deleted_objects_can_be_restored(bucket):
    blob = bucket.blob("lost")
    blob.upload_from_string(b"found again")
    blob.delete()
    [deleted] = bucket.list_blobs(soft_deleted=True)
    assert deleted.soft_delete_time
    restored = bucket.restore_blob("lost", generation=deleted.generation)
    assert restored.generation > deleted.generation
    assert bucket.blob("lost").download_as_bytes() == b"found again"
    assert list(bucket.list_blobs(soft_deleted=True)) == []


def test_deleted_buckets_can_be_restored(client, bucket):
    bucket.delete()
    assert client.lookup_bucket(bucket.name) is None
    found = [each for each in client.list_buckets(prefix=bucket.name, soft_deleted=True) if each.name == bucket.name]
    assert [each.generation for each in found] == [bucket.generation]
    client.restore_bucket(bucket.name, generation=bucket.generation)
    assert client.get_bucket(bucket.name).exists()


def test_batches(client, bucket):
    blobs = [bucket.blob(f"b{number}") for number in range(5)]
    for blob in blobs:
        blob.upload_from_string(b"x")
    with client.batch():
        for blob in blobs:
            blob.metadata = {"n": blob.name}
            blob.patch()
    assert [each.metadata for each in bucket.list_blobs()] == [{"n": f"b{number}"} for number in range(5)]
    missed = []
    bucket.delete_blobs([*blobs, bucket.blob("none")], on_error=missed.append)
    assert [blob.name for blob in missed] == ["none"]
    with pytest.raises(exceptions.NotFound), client.batch():
        bucket.blob("none").delete()


def test_own_keys(bucket):
    key, other = os.urandom(32), os.urandom(32)
    blob = bucket.blob("secret", encryption_key=key)
    blob.upload_from_string(b"hidden")
    assert bucket.blob("secret", encryption_key=key).download_as_bytes() == b"hidden"
    with pytest.raises(exceptions.BadRequest, match="encrypted by a customer-supplied encryption key"):
        bucket.blob("secret").download_as_bytes()
    with pytest.raises(exceptions.BadRequest, match="encryption key is incorrect"):
        bucket.blob("secret", encryption_key=other).download_as_bytes()
    found = bucket.get_blob("secret")
    assert (found.md5_hash, found.crc32c) == (None, None)
    rotated = bucket.blob("secret", encryption_key=other)
    rotated.rewrite(blob)
    assert bucket.blob("secret", encryption_key=other).download_as_bytes() == b"hidden"
    plain = bucket.blob("plain")
    plain.upload_from_string(b"x")
    with pytest.raises(exceptions.BadRequest, match="not encrypted by a customer-supplied"):
        bucket.blob("plain", encryption_key=key).download_as_bytes()


def test_holds_and_retention(bucket):
    blob = bucket.blob("held")
    blob.upload_from_string(b"x")
    blob.temporary_hold = True
    blob.patch()
    for act in (blob.delete, lambda: blob.upload_from_string(b"y")):
        with pytest.raises(exceptions.Forbidden, match="is under active Temporary hold"):
            act()
    blob.temporary_hold = False
    blob.patch()
    bucket.retention_period = 3600
    bucket.patch()
    for act in (blob.delete, lambda: blob.upload_from_string(b"y")):
        with pytest.raises(exceptions.Forbidden, match="is subject to bucket's retention policy"):
            act()
    blob.reload()
    assert blob.retention_expiration_time - blob.time_created == dt.timedelta(hours=1)
    bucket.retention_period = None
    bucket.patch()
    blob.delete()


def test_access_control_lists(bucket, ask):
    blob = bucket.blob("public")
    blob.upload_from_string(b"for all")
    path = f"/storage/v1/b/{bucket.name}/o/public"
    assert ask("GET", path, token=None).status_code == 401
    blob.make_public()
    assert ask("GET", path, params={"alt": "media"}, token=None).content == b"for all"
    blob.make_private()
    assert ask("GET", path, token=None).status_code == 401


def test_policies(bucket, ask):
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.patch()
    blob = bucket.blob("public")
    blob.upload_from_string(b"for all")
    with pytest.raises(exceptions.BadRequest, match="uniform bucket-level access is enabled"):
        blob.make_public()
    policy = bucket.get_iam_policy()
    stale = bucket.get_iam_policy()
    policy["roles/storage.objectViewer"].add("allUsers")
    bucket.set_iam_policy(policy)
    assert ask("GET", f"/{bucket.name}/public", token=None).content == b"for all"
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.set_iam_policy(stale)
    bucket.iam_configuration.public_access_prevention = "enforced"
    bucket.patch()
    assert ask("GET", f"/{bucket.name}/public", token=None).status_code == 403
    with pytest.raises(exceptions.PreconditionFailed, match="public access prevention"):
        bucket.set_iam_policy(bucket.get_iam_policy())
    assert bucket.test_iam_permissions(["storage.objects.get"]) == ["storage.objects.get"]


def test_what_is_said_of_buckets(client, bucket):
    bucket.cors = [{"origin": ["*"], "method": ["GET"], "maxAgeSeconds": 60}]
    bucket.labels = {"team": "tests"}
    bucket.add_lifecycle_delete_rule(age=3)
    bucket.configure_website("index.html", "404.html")
    bucket.default_event_based_hold = True
    before = bucket.metageneration
    bucket.patch()
    fresh = client.get_bucket(bucket.name)
    assert fresh.metageneration == before + 1
    assert fresh.cors == [{"origin": ["*"], "method": ["GET"], "maxAgeSeconds": 60}]
    assert fresh.labels == {"team": "tests"}
    assert list(fresh.lifecycle_rules) == [{"action": {"type": "Delete"}, "condition": {"age": 3}}]
    blob = bucket.blob("held")
    blob.upload_from_string(b"")
    with pytest.raises(exceptions.Forbidden, match="Event-Based"):
        blob.delete()
    bucket.update()
    assert client.get_bucket(bucket.name).labels == {"team": "tests"}
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.patch(if_metageneration_match=1)


def test_buckets_of_others(connect, gcs, bucket):
    stranger = connect(gcs.stranger_credentials_file, gcs.stranger_project)
    with pytest.raises(exceptions.Conflict, match="not available"):
        stranger.create_bucket(bucket.name)
    with pytest.raises(exceptions.Conflict, match="you already own it"):
        bucket.client.create_bucket(bucket.name)
    bucket.blob("mine").upload_from_string(b"")
    text = (
        "does not have storage.objects.get access to the Google Cloud Storage object. Permission 'storage.objects.get'"
    )
    with pytest.raises(exceptions.Forbidden, match=text):
        stranger.bucket(bucket.name).blob("mine").download_as_bytes()
    with pytest.raises(exceptions.Forbidden, match=r"storage\.objects\.list access to the Google Cloud Storage bucket"):
        list(stranger.bucket(bucket.name).list_blobs())
    with pytest.raises(exceptions.Forbidden, match=r"storage\.buckets\.list access to the Google Cloud project"):
        list(stranger.list_buckets(project=gcs.project))
    policy = bucket.get_iam_policy()
    policy["roles/storage.objectViewer"].add(f"serviceAccount:{stranger._credentials.service_account_email}")
    bucket.set_iam_policy(policy)
    assert stranger.bucket(bucket.name).blob("mine").download_as_bytes() == b""
    assert [each.name for each in stranger.bucket(bucket.name).list_blobs()] == ["mine"]
    with pytest.raises(exceptions.Forbidden, match=r"storage\.objects\.delete"):
        stranger.bucket(bucket.name).blob("mine").delete()
