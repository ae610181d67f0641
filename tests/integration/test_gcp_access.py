"""Who may do what in Google Cloud Storage, by which credentials, and under which addresses, on the fake of it."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import urllib.request
import uuid
from datetime import datetime, timedelta
from urllib.parse import quote

import pytest

pytest.importorskip("google.cloud.storage")

from servers.gcs_harnesses import GcsHarness

from cloudbridge_store import Encryption, TransferConfig
from cloudbridge_store.drivers.base import SignedRequest
from cloudbridge_store.drivers.gcp import signing
from cloudbridge_store.errors import (
    AuthenticationError,
    CredentialsExpiredError,
    InvalidRequestError,
    LockedError,
    PermissionDeniedError,
    UnsupportedOperationError,
)

HARNESS = GcsHarness

MiB = 2**20
NAME = "dir/ä b?#%.txt"


@pytest.fixture
def make(harness):
    """Return providers; ``file=None`` leaves out the service account."""
    made = []

    def make_provider(file=harness.server.credentials_file, **more):
        made.append(harness.make_provider(gcp_service_creds_file=file and str(file), **more))
        return made[-1]

    yield make_provider
    for provider in made:
        provider.close()


@pytest.fixture
def bucket(make):
    created = make().storage.buckets.create(f"access-{uuid.uuid4().hex[:20]}")
    yield created
    created.delete(delete_contents=True)


def token_of(provider):
    """Return the token that a provider uses now."""
    provider.authenticate()
    return provider.session.driver.native._credentials.token


def revoke(harness, token):
    request = urllib.request.Request(f"{harness.server.url}/revoke?token={quote(token, safe='')}", b"", method="POST")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def email_of(file):
    return json.loads(file.read_text())["client_email"]


def give(bucket, role, member):
    native = bucket.provider.native.bucket(bucket.name)
    policy = native.get_iam_policy(requested_policy_version=3)
    policy.bindings.append({"role": role, "members": {member}})
    native.set_iam_policy(policy)


# Names


@pytest.mark.parametrize("host", ["https://www.googleapis.com", "https://storage.googleapis.com", None])
def test_cloudbridges_ids_are_found_too(harness, bucket, host):
    link = f"{host or harness.server.url}/storage/v1/b/{bucket.name}"
    obj = bucket.objects.create(NAME).upload(b"content")
    found = bucket.provider.storage.buckets.get(link)
    assert (found, found.name) == (bucket, bucket.name)
    again = found.objects.get(f"{link}/o/{quote(NAME, safe='')}")
    assert (again, again.name, again.size) == (obj, NAME, 7)
    assert bucket.provider.storage.buckets.get(f"{link}-x") is None
    assert bucket.objects.get(f"{link}/o/missing") is None


def test_a_link_to_an_object_of_another_bucket_is_a_key(bucket):
    link = f"https://www.googleapis.com/storage/v1/b/{bucket.name}-x/o/a"
    assert bucket.objects.create(link).upload(b"url").content() == b"url"
    assert bucket.objects.get(link).name == link


def test_the_sdks_client_sees_the_same(bucket):
    bucket.objects.create(NAME).upload(b"content", metadata={"m": "ü"})
    blob = bucket.provider.native.bucket(bucket.name).get_blob(NAME)
    assert (blob.download_as_bytes(), blob.metadata) == (b"content", {"m": "ü"})
    assert bucket.objects.get(NAME).etag == str(blob.generation)


# Credentials


def test_every_form_of_credentials(harness, make, bucket):
    bucket.objects.create("a").upload(b"content")
    info = json.loads(harness.server.credentials_file.read_text())
    token = token_of(bucket.provider)
    credentials = bucket.provider.native._credentials
    for given in (
        {"gcp_service_creds_dict": info},
        {"gcp_service_creds_dict": json.dumps(info)},
        {"gcp_access_token": token},
        {"gcp_credentials_obj": credentials},
    ):
        provider = make(file=None, **given)
        assert provider.authenticate() is True
        assert provider.storage.buckets.get(bucket.name).objects.get("a").content() == b"content"
        assert token not in repr(provider)
        assert info["private_key"][40:80] not in repr(provider)


def test_credentials_of_the_environment(harness, make, bucket, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(harness.server.credentials_file))
    provider = make(file=None)
    assert bucket.name in [each.name for each in provider.storage.buckets]


def test_without_a_project_all_works_that_needs_none(harness, make, bucket, monkeypatch):
    for name in ("GCP_PROJECT_NAME", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    provider = make(file=None, gcp_access_token=token_of(bucket.provider))
    assert provider.authenticate() is True
    assert provider.storage.buckets.get(bucket.name).objects.create("a").upload(b"1").content() == b"1"
    for call in (provider.storage.buckets.list, lambda: provider.storage.buckets.create("access-none")):
        with pytest.raises(InvalidRequestError, match="gcp_project_name"):
            call()
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", harness.server.project)
    named = make(file=None, gcp_access_token=token_of(bucket.provider))
    assert bucket.name in [each.name for each in named.storage.buckets]


def test_an_account_with_rights_on_the_objects_of_one_bucket(harness, make, bucket):
    file = harness.server.stranger_credentials_file
    stranger = make(file=file)
    with pytest.raises(PermissionDeniedError, match=r"storage\.buckets\.get"):
        stranger.storage.buckets.get(bucket.name)
    give(bucket, "roles/storage.objectAdmin", f"serviceAccount:{email_of(file)}")
    assert stranger.authenticate() is True
    theirs = stranger.storage.buckets.get(bucket.name)
    obj = theirs.objects.create("a").upload(b"theirs")
    assert (obj.content(), [each.name for each in theirs.objects]) == (b"theirs", ["a"])
    obj.delete()
    with pytest.raises(PermissionDeniedError, match=r"storage\.buckets\.delete") as caught:
        theirs.delete()
    assert "role" in caught.value.hint
    elsewhere = make(file=file, gcp_project_name=harness.server.project)
    assert elsewhere.authenticate() is True
    with pytest.raises(PermissionDeniedError):
        elsewhere.storage.buckets.list()


def test_nobody_but_everybody_reads_a_public_bucket(make, bucket):
    bucket.objects.create("a").upload(b"for all")
    nobody = make(file=None, gcp_anonymous=True)
    with pytest.raises(PermissionDeniedError) as caught:
        nobody.storage.buckets.get(bucket.name)
    assert "gcp_service_creds_file" in caught.value.hint
    bucket.make_public()
    theirs = bucket.objects.get("a")
    there = nobody.storage.buckets
    assert theirs is not None
    # Reading objects does not include seeing the bucket, nor listing.
    with pytest.raises(PermissionDeniedError):
        there.get(bucket.name)
    handle = bucket.sibling(bucket.name)
    handle._owner = nobody
    assert handle.objects.get("a").content() == b"for all"
    for call in (handle.objects.list, lambda: handle.objects.create("b").upload(b"x")):
        with pytest.raises(PermissionDeniedError):
            call()
    with pytest.raises(UnsupportedOperationError):
        handle.objects.create("a").generate_url()


def test_a_bucket_of_others_in_which_objects_have_lists_of_their_own(harness, make):
    """The bucket's policy makes all of them public, and its prevention takes that back from each list."""
    provider = make()
    native = provider.native.bucket(f"access-{uuid.uuid4().hex[:20]}")
    native.iam_configuration.uniform_bucket_level_access_enabled = False
    provider.native.create_bucket(native)
    theirs = provider.storage.buckets.get(native.name)
    try:
        urls = [harness.server.url + f"/{native.name}/{name}" for name in ("listed", "not")]
        for name in ("listed", "not"):
            theirs.objects.create(name).upload(b"content")
        native.blob("listed").make_public()
        assert [harness.get_url(url).status for url in urls] == [200, 403]
        theirs.make_public()
        assert [harness.get_url(url).status for url in urls] == [200, 200]
        assert theirs.objects.get("not").public_url == urls[1]
        theirs.make_private()
        assert [harness.get_url(url).status for url in urls] == [403, 403]
    finally:
        theirs.delete(delete_contents=True)


def test_a_token_that_was_revoked_is_renewed_once(harness, make, bucket):
    seen = []
    provider = make(on_event=seen.append)
    obj = provider.storage.buckets.get(bucket.name).objects.create("a")
    revoke(harness, token_of(provider))
    assert obj.upload(b"content").content() == b"content"
    assert [event.attempts for event in seen if event.operation == "put_object"] == [2]
    # Where content is asked for, the service says so in text alone.
    revoke(harness, token_of(provider))
    assert obj.content() == b"content"
    assert [event.attempts for event in seen if event.operation == "get_object"] == [1, 2]


def test_a_token_that_is_revoked_within_an_upload_in_parts(harness, make, bucket):
    provider = make()
    driver = provider.session.driver
    send = driver.upload_part

    def upload_part(name, key, upload_id, number, *more):
        if number == 2 and driver.upload_part is upload_part:
            driver.upload_part = send
            revoke(harness, token_of(provider))
        return send(name, key, upload_id, number, *more)

    upload_part.__name__ = "upload_part"
    driver.upload_part = upload_part
    content = bytes(range(256)) * (12 * MiB // 256)
    obj = provider.storage.buckets.get(bucket.name).objects.create("a")
    assert obj.upload(content, TransferConfig(5 * MiB, 5 * MiB, 1)).content() == content


def test_a_token_that_nothing_can_renew(harness, make, bucket):
    other = make()
    provider = make(file=None, gcp_access_token=token_of(other))
    revoke(harness, token_of(other))
    with pytest.raises(CredentialsExpiredError) as caught:
        provider.storage.buckets.get(bucket.name)
    assert (caught.value.status, caught.value.attempts) == (401, 1)
    assert "gcp_access_token" in caught.value.hint


ON_A_MACHINE = """
import json, sys
from cloudbridge_store import CloudProviderFactory

provider = CloudProviderFactory().create_provider("gcp", json.loads(sys.argv[1]))
obj = provider.storage.buckets.get(sys.argv[2]).objects.get("a")
print(json.dumps([obj.content().decode(), obj.generate_url(60), [each.name for each in provider.storage.buckets]]))
"""


def test_a_virtual_machine_of_googles_knows_who_it_is(harness, bucket):
    bucket.objects.create("a").upload(b"content")
    where = {"gcp_endpoint_url": harness.server.url, "gcp_iam_endpoint_url": harness.server.url}
    host = harness.server.url.removeprefix("http://")
    cleared = ("GOOGLE_APPLICATION_CREDENTIALS", "NO_GCE_CHECK", "GOOGLE_CLOUD_PROJECT")
    environment = {name: value for name, value in os.environ.items() if name not in cleared}
    environment |= {"GCE_METADATA_HOST": host, "GCE_METADATA_IP": host, "CLOUDSDK_CONFIG": "/nonexistent"}
    command = [sys.executable, "-c", ON_A_MACHINE, json.dumps(where), bucket.name]
    done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    content, url, names = json.loads(done.stdout)
    assert (content, bucket.name in names) == ("content", True)
    # Signed by IAM, for the account that the machine says it is.
    assert harness.get_url(url).body == b"content"


# Signatures


def test_urls_are_signed_by_iam_where_there_is_no_key(harness, make, bucket):
    email = email_of(harness.server.credentials_file)
    bucket.objects.create(NAME).upload(b"content")
    provider = make(file=None, gcp_access_token=token_of(bucket.provider), gcp_service_account_email=email)
    theirs = provider.storage.buckets.get(bucket.name)
    answer = harness.get_url(theirs.objects.create(NAME).generate_url(60))
    assert (answer.status, answer.body) == (200, b"content")
    put = theirs.objects.create("b").sign("PUT", 60, content_type="x/y")
    assert harness.send(put, body=b"put").status == 200
    assert bucket.objects.get("b").content_type == "x/y"


def test_an_account_that_may_not_sign_for_another(harness, make, bucket):
    email = email_of(harness.server.credentials_file)
    token = token_of(make(file=harness.server.stranger_credentials_file))
    provider = make(file=None, gcp_access_token=token, gcp_service_account_email=email)
    obj = bucket.sibling(bucket.name).objects.create("a")
    obj.bucket._owner = provider
    with pytest.raises(PermissionDeniedError, match="signBlob") as caught:
        obj.generate_url(60)
    assert "serviceAccountTokenCreator" in caught.value.hint


def test_nothing_to_sign_with(make, bucket):
    provider = make(file=None, gcp_access_token=token_of(bucket.provider))
    obj = provider.storage.buckets.get(bucket.name).objects.create("a")
    for call in (lambda: obj.generate_url(60), lambda: obj.sign_form(60)):
        with pytest.raises(AuthenticationError, match="cannot sign") as caught:
            call()
        assert "gcp_service_account_email" in caught.value.hint


def test_a_url_is_over_when_it_has_expired(harness, bucket, monkeypatch):
    class Earlier(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) - timedelta(hours=1)

    obj = bucket.objects.create("a").upload(b"content")
    monkeypatch.setattr(signing, "datetime", Earlier)
    assert harness.get_url(obj.generate_url(3700)).status == 200
    answer = harness.get_url(obj.generate_url(3500))
    assert (answer.status, b"ExpiredToken" in answer.body) == (400, True)


def test_a_signed_url_is_for_one_method_on_one_object(harness, bucket):
    bucket.objects.create("a").upload(b"content")
    bucket.objects.create("b").upload(b"other")
    signed = bucket.objects.create("a").sign("GET", 60)
    for request in (
        SignedRequest(signed.url, "DELETE"),
        SignedRequest(signed.url.replace("/a?", "/b?"), "GET"),
        SignedRequest(signed.url.replace("Expires=60", "Expires=6000"), "GET"),
    ):
        answer = harness.send(request)
        assert (answer.status, b"SignatureDoesNotMatch" in answer.body) == (403, True)
    assert bucket.objects.get("a").content() == b"content"


# What is stored


def test_compressed_objects_are_read_as_they_are_stored(harness, bucket, tmp_path):
    packed = gzip.compress(b"0123456789" * 10_000)
    obj = bucket.objects.create("a").upload(packed, content_encoding="gzip", content_type="text/plain")
    assert (obj.size, obj.headers) == (len(packed), {"content_encoding": "gzip"})
    assert (obj.content(), obj.read_range(10, 20)) == (packed, packed[10:30])
    obj.download_to_file(tmp_path / "file", TransferConfig(1, 50, 2))
    assert (tmp_path / "file").read_bytes() == packed
    # Whoever says nothing of gzip is sent what was packed; that is what the header is for.
    assert harness.get_url(obj.generate_url()).body == b"0123456789" * 10_000


def test_one_content_has_one_etag_everywhere(bucket):
    obj = bucket.objects.create("a").upload(b"1")
    put = obj.etag
    with obj.open("rb") as file:
        assert file.read() == b"1"
    assert {put, bucket.objects.get("a").etag, next(iter(bucket.objects)).etag, obj.version} == {put}
    bucket.provider.native.bucket(bucket.name).blob("a").patch()
    assert bucket.objects.get("a").etag == put
    assert obj.upload(b"2", if_match=put).etag != put


def test_what_is_held_is_locked(bucket):
    obj = bucket.objects.create("a").upload(b"held")
    blob = bucket.provider.native.bucket(bucket.name).get_blob("a")
    blob.temporary_hold = True
    blob.patch()
    for call in (obj.delete, lambda: obj.upload(b"x"), lambda: bucket.objects.delete_many(["a"])):
        with pytest.raises(Exception, match="hold") as caught:
            call()
        causes = [caught.value, *getattr(caught.value, "failures", {}).values()]
        assert any(isinstance(each, LockedError) and each.hint for each in causes)
    blob.temporary_hold = False
    blob.patch()
    assert bucket.objects.get("a").content() == b"held"


def test_fields_of_the_service_of_which_the_library_knows_nothing(bucket):
    moment = "2030-01-02T03:04:05Z"
    obj = bucket.objects.create("a").upload(b"1", extra={"customTime": moment})
    with obj.create_multipart_upload(extra={"customTime": moment}) as upload:
        upload.complete([upload.upload_part(1, b"2")])
    copied = obj.copy_to(bucket, "b")
    for name in ("a", "b"):
        blob = bucket.provider.native.bucket(bucket.name).get_blob(name)
        assert blob.custom_time == datetime.fromisoformat(moment)
    assert copied.content() == b"2"
    with pytest.raises(UnsupportedOperationError, match="eventBasedHold"):
        obj.create_multipart_upload(extra={"eventBasedHold": True})


def test_contexts_come_along(bucket):
    given = {"custom": {"team": {"value": "ü"}, "kind": {"value": "report"}}}
    obj = bucket.objects.create("a").upload(b"1", extra={"contexts": given})
    obj.copy_to(bucket, "b")
    obj.set_storage_class("NEARLINE")
    native = bucket.provider.native
    for name in ("a", "b"):
        found = native._get_resource(f"/b/{bucket.name}/o/{name}")["contexts"]["custom"]
        assert {each: what["value"] for each, what in found.items()} == {"team": "ü", "kind": "report"}


def test_metadata_of_uploads_in_parts_is_any_text(bucket):
    given = {"plain": "a", "unicode": "Zürich 東京 🗃", "spaces": " x  y ", "empty": "", "word": "=?utf-8?q?=C3=A4?="}
    with bucket.objects.create("a").create_multipart_upload(metadata=given) as upload:
        assert upload.complete([upload.upload_part(1, b"1")]).metadata == given
    assert bucket.objects.get("a").copy_to(bucket, "b").metadata == given


def test_keys_of_the_key_management_are_named(harness, bucket):
    obj = bucket.objects.create("a")
    with pytest.raises(InvalidRequestError, match="cryptoKeys"):
        obj.upload(b"1", encryption=Encryption.kms())
    with pytest.raises(UnsupportedOperationError, match="context"):
        obj.upload(b"1", encryption=Encryption.kms(harness.kms_key, {"a": "b"}))
    obj.upload(b"1", encryption=Encryption.kms(harness.kms_key))
    with obj.bucket.objects.create("b").create_multipart_upload(encryption=Encryption.kms(harness.kms_key)) as upload:
        upload.complete([upload.upload_part(1, b"2")])
    obj.copy_to(bucket, "c", encryption=Encryption.kms(harness.kms_key))
    for name in ("a", "b", "c"):
        blob = bucket.provider.native.bucket(bucket.name).get_blob(name)
        assert blob.kms_key_name.startswith(harness.kms_key)


def test_an_object_in_another_storage_class_is_encrypted_with_the_same_key(harness, bucket):
    native = bucket.provider.native.bucket(bucket.name)
    obj = bucket.objects.create("a").upload(b"1", encryption=Encryption.kms(harness.kms_key))
    before = native.get_blob("a").kms_key_name
    obj.set_storage_class("NEARLINE")
    blob = native.get_blob("a")
    assert (blob.storage_class, blob.kms_key_name) == ("NEARLINE", before)
    assert before.startswith(f"{harness.kms_key}/cryptoKeyVersions/")


def test_many_versions_of_one_key_come_newest_first_over_pages(bucket):
    bucket.enable_versioning()
    for number in range(7):
        bucket.objects.create("b").upload(str(number))
    for name in ("a", "b/c", "c"):
        bucket.objects.create(name).upload(b"x")
    driver = bucket.provider.session.driver
    everything = [(each.name, each.version) for each in bucket.objects.versions()]
    assert [name for name, _ in everything] == ["a", *["b"] * 7, "b/c", "c"]
    generations = [int(version) for name, version in everything if name == "b"]
    assert generations == sorted(generations, reverse=True)
    for limit in (1, 2, 3, 7, 8):
        found, token = [], None
        while True:
            page = driver.list_versions(bucket.name, limit=limit, token=token)
            assert len(page.items) <= limit
            found += [(each.info.key, each.info.version) for each in page.items]
            if (token := page.token) is None:
                break
        assert found == everything, limit


def test_buckets_are_made_as_configured(make):
    provider = make(gcp_region_name="europe-west4", gcp_storage_class="NEARLINE")
    created = provider.storage.buckets.create(f"access-{uuid.uuid4().hex[:20]}")
    try:
        assert (created.location, provider.storage.regions()[0]) == ("europe-west4", "europe-west4")
        assert created.objects.create("a").upload(b"1").storage_class == "NEARLINE"
        native = provider.native.get_bucket(created.name)
        assert native.iam_configuration.uniform_bucket_level_access_enabled
        assert native.iam_configuration.public_access_prevention == "enforced"
        created.make_public()
        created.make_private()
        assert provider.native.get_bucket(created.name).iam_configuration.public_access_prevention == "enforced"
    finally:
        created.delete(delete_contents=True)
