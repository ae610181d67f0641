"""Lost answers: what became of a write is found out, and never guessed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cloudbridge_store import TransferConfig, errors
from cloudbridge_store.checksums import composite_etag
from cloudbridge_store.core.source import BytesBody
from cloudbridge_store.drivers.base import Failure, MiB, Part, PutOptions
from cloudbridge_store.testing.faults import Fault

PARTS = TransferConfig(threshold=5 * MiB, part_size=5 * MiB, max_concurrency=1)


def reset():
    # Each time another: an error keeps what it was told first of where it happened.
    return errors.ConnectionFailedError("reset")


def lost(operation, **more):
    """Return a fault: the operation is carried out, and its answer does not arrive."""
    return Fault(operation, reset(), executed=True, **more)


def not_sent(operation, **more):
    """Return a fault: the operation is not carried out, and nobody can tell."""
    return Fault(operation, reset(), **more)


@pytest.fixture
def bucket(faulty):
    def make(*faults, **config):
        return faulty(*faults, **config).storage.buckets.create("a-bucket")

    return make


def calls(bucket, operation):
    return bucket.provider.driver.calls.count(operation)


# Conditional puts


def test_a_conditional_put_that_was_carried_out_is_a_success(bucket):
    one = bucket(lost("put_object"))
    obj = one.objects.create("a").upload(b"whole", if_none_match="*")
    assert obj.content() == b"whole"
    assert calls(one, "put_object") == 1


def test_a_conditional_put_that_was_not_carried_out_is_repeated(bucket):
    one = bucket(not_sent("put_object", times=2))
    assert one.objects.create("a").upload(b"whole", if_none_match="*").content() == b"whole"
    assert calls(one, "put_object") == 3


def test_replacing_what_is_known_in_spite_of_lost_answers(bucket):
    one = bucket(lost("put_object", skip=1), not_sent("put_object", skip=1))
    first = one.objects.create("a").upload(b"1")
    assert one.objects.create("a").upload(b"2", if_match=first.etag).content() == b"2"


def test_an_attempt_that_arrives_late_is_no_failed_condition(bucket):
    """The first attempt is carried out only after the service was asked; the second then finds it there."""
    one = bucket()

    def arrive():
        one.provider.driver._inner.put_object("a-bucket", "a", BytesBody(b"mine"), PutOptions(if_none_match="*"))

    one.provider.driver.faults += [not_sent("put_object"), Fault("put_object", before=arrive)]
    assert one.objects.create("a").upload(b"mine", if_none_match="*").content() == b"mine"
    assert calls(one, "put_object") == 2


def test_somebody_elses_object_is_not_taken_for_ones_own(bucket):
    one = bucket()

    def other():
        one.provider.driver._inner.put_object("a-bucket", "a", BytesBody(b"theirs"), PutOptions())

    one.provider.driver.faults.append(Fault("put_object", reset(), before=other))
    with pytest.raises(errors.ConnectionFailedError) as caught:
        one.objects.create("a").upload(b"mine", if_none_match="*")
    assert caught.value.outcome == "unknown"
    assert one.objects.create("a").content() == b"theirs"


def test_an_old_object_of_the_same_content_leaves_the_outcome_unknown(bucket):
    one = bucket()
    one.objects.create("a").upload(b"same")
    head = one.provider.driver._inner.head_object
    one.provider.driver._inner.head_object = lambda *given: replace_time(head(*given))
    one.provider.driver.faults.append(lost("put_object"))
    with pytest.raises(errors.ConnectionFailedError) as caught:
        one.objects.create("a").upload(b"same", if_match=one.objects.create("a").etag)
    assert caught.value.outcome == "unknown"


def replace_time(info):
    return info._replace(modified=info.modified - timedelta(hours=1))


def test_where_the_service_does_not_say_either_the_outcome_is_unknown(bucket):
    one = bucket(lost("put_object"), Fault("head_object", errors.ServiceUnavailableError("down"), times=99))
    with pytest.raises(errors.ConnectionFailedError) as caught:
        one.objects.create("a").upload(b"1", if_none_match="*")
    assert caught.value.outcome == "unknown"
    assert calls(one, "put_object") == 1


# Plain puts are repeated; at the end somebody looks


def test_a_plain_put_is_repeated_and_looked_for_in_the_end(bucket):
    one = bucket(lost("put_object", times=99), retry_attempts=2)
    assert one.objects.create("a").upload(b"1").content() == b"1"
    assert calls(one, "put_object") == 2


def test_a_plain_put_that_never_arrives_fails(bucket):
    one = bucket(not_sent("put_object", times=99), retry_attempts=2)
    with pytest.raises(errors.ConnectionFailedError) as caught:
        one.objects.create("a").upload(b"1")
    assert (caught.value.outcome, caught.value.attempts) == ("unknown", 2)


# Copies


def test_a_copy_onto_itself_is_not_done_because_its_source_is_there(bucket):
    one = bucket(not_sent("copy_object", times=100))
    obj = one.objects.create("a").upload(b"content", content_type="text/plain")
    with pytest.raises(errors.ConnectionFailedError):
        obj.copy_to(one, content_type="text/html")
    obj.refresh()
    assert obj.content_type == "text/plain"


@pytest.mark.parametrize("fault", [lost, not_sent])
def test_a_conditional_copy(bucket, fault):
    one = bucket(fault("copy_object"))
    source = one.objects.create("a").upload(b"content")
    assert source.copy_to(one, "b", if_none_match="*").content() == b"content"
    assert calls(one, "copy_object") == (1 if fault is lost else 2)


# Uploads in parts


@pytest.mark.parametrize("fault", [lost, not_sent])
def test_the_end_of_an_upload_in_parts(bucket, fault):
    one = bucket(fault("finish_upload"))
    content = bytes(11 * MiB)
    assert one.objects.create("a").upload(content, PARTS).content() == content
    assert calls(one, "finish_upload") == (1 if fault is lost else 2)
    assert list(one.list_uploads()) == []


def test_an_upload_that_somebody_aborted_did_not_succeed(bucket):
    one = bucket()

    def abort():
        (upload,) = one.provider.driver._inner.list_uploads("a-bucket").items
        one.provider.driver._inner.abort_upload("a-bucket", "a", upload.upload_id)

    one.provider.driver.faults.append(Fault("finish_upload", reset(), before=abort))
    with pytest.raises(errors.ConnectionFailedError) as caught:
        one.objects.create("a").upload(bytes(6 * MiB), PARTS)
    assert caught.value.outcome == "unknown"
    assert one.objects.get("a") is None


def test_the_twin_of_an_upload_is_aborted_and_nobody_elses(bucket):
    one = bucket(lost("start_upload"))
    other = one.objects.create("a").bucket.provider.driver._inner
    theirs = other.start_upload("a-bucket", "a", PutOptions())
    other.upload_part("a-bucket", "a", theirs, 1, BytesBody(b"theirs"))
    unrelated = other.start_upload("a-bucket", "ab", PutOptions())
    content = bytes(6 * MiB)
    assert one.objects.create("a").upload(content, PARTS).content() == content
    assert {upload.id for upload in one.list_uploads()} == {theirs, unrelated}


def test_the_twin_of_an_upload_in_the_callers_hands(bucket):
    one = bucket(lost("start_upload"))
    with one.objects.create("a").create_multipart_upload() as upload:
        assert len(list(one.list_uploads())) == 2
        upload.complete([upload.upload_part(1, b"1")])
    assert list(one.list_uploads()) == []
    assert one.provider.session.doubtful_starts == {}


# Buckets


@pytest.mark.parametrize("fault", [lost, not_sent])
def test_creating_a_bucket(faulty, fault):
    provider = faulty(fault("create_bucket"))
    assert provider.storage.buckets.create("a-bucket").name == "a-bucket"
    assert provider.storage.buckets.get("a-bucket") is not None


@pytest.mark.parametrize("told", [True, False])
def test_a_bucket_that_was_there_before_was_not_created_by_an_attempt_that_nobody_answered(faulty, told):
    provider = faulty()
    provider.storage.buckets.create("a-bucket")
    inner = provider.driver._inner
    head, listed = inner.head_bucket, inner.list_buckets
    inner.head_bucket = lambda *given: long_ago(head(*given)) if told else head(*given)._replace(created=None)
    inner.list_buckets = lambda **given: replace(page := listed(**given), items=[long_ago(each) for each in page.items])
    provider.driver.faults.append(not_sent("create_bucket"))
    with pytest.raises(errors.DuplicateResourceException):
        provider.storage.buckets.create("a-bucket")


def long_ago(bucket):
    return bucket._replace(created=bucket.created - timedelta(hours=1))


def test_a_bucket_that_exists_is_not_ones_own(faulty):
    provider = faulty()
    provider.storage.buckets.create("a-bucket")
    with pytest.raises(errors.DuplicateResourceException):
        provider.storage.buckets.create("a-bucket")


@pytest.mark.parametrize("fault", [lost, not_sent])
def test_deleting_a_bucket(bucket, fault):
    one = bucket(fault("delete_bucket"))
    one.delete()
    assert not one.exists


# What is idempotent anyway


@pytest.mark.parametrize("fault", [lost, not_sent])
def test_deleting_an_object_and_its_tags(bucket, fault):
    one = bucket(fault("delete_object"), fault("set_tags"), fault("upload_part"))
    obj = one.objects.create("a").upload(bytes(6 * MiB), PARTS)
    obj.set_tags({"a": "1"})
    assert obj.get_tags() == {"a": "1"}
    obj.delete()
    assert one.objects.get("a") is None


# Credentials


@pytest.mark.parametrize(("renewed", "expected"), [(True, 2), (False, 1)])
def test_credentials_are_renewed_once(bucket, renewed, expected):
    class Expired(Exception):
        pass

    one = bucket(Fault("put_object", Expired(), times=99))
    driver = one.provider.driver
    driver.classify = lambda error: Failure(errors.CredentialsExpiredError, "auth")
    driver.renew = lambda: renewed
    with pytest.raises(errors.CredentialsExpiredError) as caught:
        one.objects.create("a").upload(b"1", if_none_match="*")
    assert calls(one, "put_object") == expected
    assert caught.value.outcome == "not_applied"


# Details


def test_the_etag_of_parts():
    parts = [Part(1, "0" * 32, 1), Part(2, "f" * 32, 1)]
    assert composite_etag(part.etag for part in parts) == "86c036c1a10384a5673251100457087a-2"
    assert composite_etag(["x"]) is None
