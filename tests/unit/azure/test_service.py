"""Requests as they are on the wire, and answers that no emulator gives."""

import base64
import hashlib
import re
from contextlib import closing
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("azure.storage.blob")

from azure.core.exceptions import HttpResponseError

from cloudbridge_store import CloudProviderFactory
from cloudbridge_store.core.source import BytesBody
from cloudbridge_store.drivers.azure import answers
from cloudbridge_store.drivers.azure.permissions import explained, needed
from cloudbridge_store.drivers.base import Encryption, PutOptions, ReadOptions
from cloudbridge_store.drivers.http import decode_own_text
from cloudbridge_store.errors import (
    ArchivedError,
    BeingDeletedError,
    BucketNotEmptyError,
    BucketNotFoundError,
    ConflictError,
    ConnectionFailedError,
    ForeignAnswerError,
    IntegrityError,
    InvalidNameException,
    InvalidRangeError,
    InvalidRequestError,
    LockedError,
    PermissionDeniedError,
    PreconditionFailedError,
    ThrottledError,
)

ANSWERED = {"x-ms-request-id": "R1", "x-ms-version": "2021-12-02"}
STORED = {**ANSWERED, "ETag": '"0x1"', "Last-Modified": "Sat, 21 Nov 2026 12:00:00 GMT"}
SOMEBODY = {"x-ms-request-id": None}
CREATED = (201, STORED, b"")
KEY = base64.b64encode(b"k").decode()


def refused(status, code, **headers):
    body = (
        f'\ufeff<?xml version="1.0"?><Error><Code>{code}</Code><Message>said &amp; so\nRequestId:R1</Message></Error>'
    )
    return status, {**ANSWERED, "x-ms-error-code": code, "Content-Type": "application/xml", **headers}, body.encode()


def listed(*names, marker="", prefixes=()):
    entry = (
        "<Blob>{}<Properties><Last-Modified>Sat, 21 Nov 2026 12:00:00 GMT</Last-Modified><Etag>0x1</Etag>"
        "<Content-Length>1</Content-Length><AccessTier>Cool</AccessTier></Properties></Blob>"
    )
    blobs = "".join(entry.format(name if name.startswith("<") else f"<Name>{name}</Name>") for name in names)
    rolled = "".join(f"<BlobPrefix><Name>{name}</Name></BlobPrefix>" for name in prefixes)
    text = f"<EnumerationResults><Blobs>{blobs}{rolled}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
    return 200, ANSWERED, f'<?xml version="1.0" encoding="utf-8"?>{text}'.encode()


def query_of(asked):
    return {name: values[0] for name, values in parse_qs(urlsplit(asked.path).query, keep_blank_values=True).items()}


def test_put_says_all_in_one_request(play):
    driver, script = play(lambda asked: CREATED)
    options = PutOptions(
        content_type="text/plain",
        headers={"cache_control": "no-store"},
        metadata={"a-b": "ü", "x_x002d_": "1"},
        tags={"k": "a b/c"},
        storage_class="Cool",
        if_none_match="*",
        extra={"x-ms-lease-id": "L"},
    )
    stored = driver.put_object("bucket", "a b/ü", BytesBody(b"content"), options)
    digest = hashlib.md5(b"content").digest()
    assert (stored.etag, stored.checksums) == ("0x1", {"md5": digest.hex()})
    [asked] = script.asked
    assert (asked.method, asked.path, asked.body) == ("PUT", "/account1/bucket/a%20b/%C3%BC", b"content")
    expected = {
        "content-md5": base64.b64encode(digest).decode(),
        "x-ms-blob-content-md5": base64.b64encode(digest).decode(),
        "x-ms-blob-type": "BlockBlob",
        "x-ms-blob-content-type": "text/plain",
        "x-ms-blob-cache-control": "no-store",
        "x-ms-access-tier": "Cool",
        "x-ms-tags": "k=a%20b%2Fc",
        "x-ms-lease-id": "L",
        "if-none-match": "*",
        "content-length": "7",
    }
    assert expected.items() <= asked.headers.items()
    assert decode_own_text(asked.headers["x-ms-meta-a_x002d_b"]) == "ü"
    assert asked.headers["x-ms-meta-x_x005f_x002d_"] == "1"
    assert asked.headers["authorization"].startswith("SharedKey account1:")


@pytest.mark.parametrize(
    "extra",
    [
        {"ACL": "private"},
        {"Content-Length": "1"},
        {"x-ms-lease-id": None},
        {"x-ms-lease-id": "a\r\nx-ms-b: c"},
        {"x-ms-lease-id": "ü"},
        {"x-ms lease": "a"},
    ],
)
def test_what_is_no_header_of_the_service_is_not_sent(play, extra):
    driver, script = play(lambda asked: CREATED)
    options = PutOptions(extra=extra)
    for call in (
        lambda: driver.put_object("bucket", "a", BytesBody(b"1"), options),
        lambda: driver.start_upload("bucket", "a", options),
        lambda: driver.copy_url("bucket", "a", "https://example.org/", options),
    ):
        with pytest.raises(InvalidRequestError, match="x-ms-lease-id"):
            call()
    assert script.asked == []


@pytest.mark.parametrize("who", [{}, {"azure_access_token": "t"}, {"azure_sas_token": "sv=1&sig=x"}])
def test_requests_say_when_they_were_made_and_in_which_version(play, who):
    """As the service wants it: a day of the month has two digits. In a batch only the whole has a version."""
    driver, script = play(lambda asked: CREATED if asked.method == "PUT" else parts((202, "")), **who)
    driver.put_object("bucket", "a", BytesBody(b"1"), PutOptions())
    driver.delete_objects("bucket", ["a"])
    date = r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} 20\d\d \d\d:\d\d:\d\d GMT"
    assert all(re.fullmatch(date, each.headers["x-ms-date"]) for each in script.asked)
    assert [each.headers["x-ms-version"] for each in script.asked] == ["2021-12-02"] * 2
    batch = script.asked[1].body.decode()
    assert re.search(f"\r\nx-ms-date: {date}\r\n", batch)
    assert "x-ms-version" not in batch


def test_a_signature_is_part_of_every_query(play):
    driver, script = play(lambda asked: CREATED, azure_sas_token="?sv=2021-12-02&sig=a%2Bb")
    driver.put_object("bucket", "a", BytesBody(b""), PutOptions())
    driver.start_upload("bucket", "a", PutOptions())
    assert [query_of(each)["sig"] for each in script.asked] == ["a+b", "a+b"]
    assert all("authorization" not in each.headers for each in script.asked)


def test_a_token_is_a_header(play):
    driver, script = play(lambda asked: CREATED, azure_access_token="ey.t")
    driver.put_object("bucket", "a", BytesBody(b""), PutOptions())
    assert script.asked[0].headers["authorization"] == "Bearer ey.t"


def test_nobodys_requests_have_no_signature(play):
    driver, script = play(lambda asked: CREATED, azure_anonymous=True)
    driver.head_bucket("bucket")
    assert "authorization" not in script.asked[0].headers


def test_the_environment_does_not_replace_signatures(play, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("default login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    driver, script = play(lambda asked: CREATED)
    driver.put_object("bucket", "a", BytesBody(b""), PutOptions())
    driver.native.get_container_client("bucket").create_container()
    assert [each.headers["authorization"].split(":")[0] for each in script.asked] == ["SharedKey account1"] * 2


@pytest.mark.parametrize(
    ("answer", "kind", "hint"),
    [
        (refused(503, "ServerBusy"), ThrottledError, ""),
        (refused(409, "BlobArchived"), ArchivedError, "storage class"),
        (refused(412, "LeaseIdMissing"), LockedError, "lease"),
        (refused(403, "AuthorizationPermissionMismatch"), PermissionDeniedError, "takes c to create, or w to replace"),
        (refused(400, "Md5Mismatch"), IntegrityError, ""),
        ((302, {**SOMEBODY, "Location": "http://127.0.0.1:1/login"}, b""), ForeignAnswerError, "azure_endpoint_url"),
        (
            (200, {**SOMEBODY, "Content-Type": "text/html"}, b"<html>Sign in</html>"),
            ForeignAnswerError,
            "azure_endpoint_url",
        ),
        (
            (403, {**SOMEBODY, "Content-Type": "text/html"}, b"<html>Blocked</html>"),
            ForeignAnswerError,
            "azure_endpoint_url",
        ),
    ],
)
def test_refusals(play, answer, kind, hint):
    driver, script = play(lambda asked: answer)
    with pytest.raises(Exception) as caught:
        driver.put_object("bucket", "a", BytesBody(b"1"), PutOptions())
    failure = driver.classify(caught.value)
    assert failure.error is kind
    assert hint in f"{failure.hint}{getattr(caught.value, 'hint', '')}"
    assert len(script.asked) == 1  # no retries, no redirects


def test_the_reason_is_one_line(play):
    driver, _ = play(lambda asked: refused(409, "BlobArchived"))
    with pytest.raises(HttpResponseError) as caught:
        driver.get_object("bucket", "a", ReadOptions())
    assert driver.classify(caught.value).reason == "said & so"


def test_what_should_have_been_signed_is_not_shown(play):
    detail = "MAC signature 'canary1' is wrong. Server used 'PUT\n\nx-ms-encryption-key:canary2\nit's' to sign"
    body = f"<Error><Code>AuthenticationFailed</Code><AuthenticationErrorDetail>{detail}".encode()
    driver, _ = play(lambda asked: (403, {**ANSWERED, "x-ms-error-code": "AuthenticationFailed"}, body))
    with pytest.raises(HttpResponseError) as caught:
        driver.get_object("bucket", "a", ReadOptions())
    assert "canary" not in f"{caught.value} {caught.value!r} {driver.classify(caught.value)}"
    assert "MAC signature" in str(caught.value)


@pytest.mark.parametrize("end", ["</HeaderValue></Error>", ""])
def test_a_refused_header_is_not_shown(play, end):
    """It may be a customer's key, or the address of a copy's source with its signature."""
    body = f"<Error><Code>InvalidHeaderValue</Code><Message>Said so</Message><HeaderValue>canary\n?sig=canary{end}"
    driver, _ = play(lambda asked: (400, {**ANSWERED, "x-ms-error-code": "InvalidHeaderValue"}, body.encode()))
    with pytest.raises(HttpResponseError) as caught:
        driver.put_object("bucket", "a", BytesBody(b"1"), PutOptions())
    assert "canary" not in f"{caught.value} {caught.value!r} {driver.classify(caught.value)}"
    assert "Said so" in str(caught.value)


def test_an_answer_without_end_is_not_read_to_its_end(play, monkeypatch):
    """Nor is its connection used again, on which the rest of it would come."""
    monkeypatch.setattr(answers, "_LONGEST", 10)
    pages = [(200, ANSWERED, b"x" * 100_000), listed()]
    driver, script = play(lambda asked: pages.pop(0))
    with pytest.raises(ForeignAnswerError, match="longer"):
        driver.list_objects("bucket")
    monkeypatch.undo()
    assert list(driver.list_objects("bucket").items) == []
    assert script.asked[0].client != script.asked[1].client


@pytest.mark.parametrize(
    ("method", "query", "headers", "expected"),
    [
        ("HEAD", {}, {}, "r to read"),
        ("GET", {"comp": "list"}, {}, "l to list"),
        ("GET", {"restype": "container", "comp": "list"}, {}, "l to list"),
        ("PUT", {"restype": "container"}, {}, "c to create"),
        ("PUT", {"restype": "container", "comp": "acl"}, {}, ""),
        ("PUT", {"restype": "service", "comp": "properties"}, {}, "w to write"),
        ("POST", {"restype": "service", "comp": "userdelegationkey"}, {}, ""),
        ("POST", {"restype": "container", "comp": "batch"}, {}, "d to delete"),
        ("PUT", {"comp": "blocklist"}, {"x-ms-tags": "a=b"}, "c to create, or w to replace, and t for tags"),
        ("DELETE", {"versionid": "1"}, {}, "x to delete versions"),
        ("DELETE", {"snapshot": "1"}, {}, "d to delete"),
        ("PUT", {"comp": "tier"}, {}, "w to write"),
    ],
)
def test_the_permission_that_a_request_takes(method, query, headers, expected):
    assert needed(method, query, headers) == expected


@pytest.mark.parametrize(
    ("method", "query", "headers", "role"),
    [
        ("GET", {}, {}, "Storage Blob Data Contributor"),
        ("PUT", {"comp": "tags"}, {}, "Storage Blob Data Owner"),
        ("PUT", {}, {"x-ms-tags": "a=b"}, "Storage Blob Data Owner"),
        ("PUT", {"restype": "container", "comp": "acl"}, {}, "Storage Blob Data Owner"),
        ("PUT", {"restype": "service", "comp": "properties"}, {}, "Storage Account Contributor"),
        ("POST", {"restype": "service", "comp": "userdelegationkey"}, {}, "Storage Blob Delegator"),
    ],
)
def test_the_role_that_a_request_takes(method, query, headers, role):
    assert explained(method, query, headers).endswith(f"; with Entra ID a role such as {role}")


def test_a_bucket_being_deleted_is_waited_for(play):
    answers = [refused(409, "ContainerBeingDeleted"), refused(409, "ContainerBeingDeleted"), CREATED]
    driver, script = play(lambda asked: answers.pop(0))
    config = {
        "azure_endpoint_url": f"{script.url}/account1",
        "azure_storage_account": "account1",
        "azure_storage_key": KEY,
    }
    with CloudProviderFactory().create_provider("azure", config) as provider:
        provider.session._sleep = lambda seconds: None
        assert provider.storage.buckets.create("bucket").name == "bucket"
    assert len(script.asked) == 3
    assert driver.classify(BeingDeletedError()).error is BeingDeletedError


def test_a_bucket_with_objects_is_not_deleted(play):
    pages = [listed(marker="m"), listed("a")]
    driver, script = play(lambda asked: pages.pop(0))
    with pytest.raises(BucketNotEmptyError):
        driver.delete_bucket("bucket")
    assert [each.method for each in script.asked] == ["GET", "GET"]
    assert query_of(script.asked[1])["marker"] == "m"


@pytest.mark.parametrize("bucket", ["", ".", "..", "a", "a/b", "A", "a" * 64, "ab%2f", "a?b", "a--b"])
def test_names_that_lead_elsewhere_are_not_sent(play, bucket):
    driver, script = play(lambda asked: CREATED)
    with pytest.raises(BucketNotFoundError):
        driver.head_object(bucket, "a")
    assert script.asked == []


@pytest.mark.parametrize(
    ("who", "answer"),
    [
        ({"azure_sas_token": "sv=1&sr=c&sig=x"}, refused(403, "AuthorizationPermissionMismatch")),
        ({"azure_sas_token": "sv=1&sr=c&sig=x"}, refused(403, "AuthorizationFailure")),
        (
            {"azure_sas_token": "sv=1&si=policy&sig=x"},
            (
                *refused(403, "AuthenticationFailed")[:2],
                b"<AuthenticationErrorDetail>The specified signed resource is not allowed for the this resource level",
            ),
        ),
        ({"azure_anonymous": True}, refused(404, "ResourceNotFound")),
        ({"azure_anonymous": True}, refused(401, "NoAuthenticationInformation")),
    ],
)
def test_the_one_bucket_need_not_be_described(play, who, answer):
    """The service describes no container to who has a signature for it alone, and none to nobody."""
    driver, script = play(lambda asked: answer, **who, azure_container="bucket")
    assert driver.head_bucket("bucket").name == "bucket"
    assert query_of(script.asked[0])["comp"] == "list"
    with pytest.raises(HttpResponseError):
        driver.head_bucket("another")


@pytest.mark.parametrize("kind", ["b", "bv", "d"])
def test_a_signature_for_one_object_is_not_asked_for_its_bucket(play, kind):
    driver, script = play(lambda asked: CREATED, azure_sas_token=f"sv=1&sr={kind}&sig=x", azure_container="bucket")
    assert driver.head_bucket("bucket").name == "bucket"
    assert [each.name for each in driver.list_buckets(limit=1).items] == ["bucket"]
    assert script.asked == []


@pytest.mark.parametrize("answer", [refused(404, "ContainerNotFound"), refused(403, "AuthenticationFailed")])
def test_the_one_bucket_has_to_be_there_and_the_signature_right(play, answer):
    driver, _ = play(lambda asked: answer, azure_sas_token="sv=1&sr=c&sig=x", azure_container="bucket")
    with pytest.raises(HttpResponseError):
        driver.head_bucket("bucket")
    with pytest.raises(HttpResponseError):
        driver.list_buckets(limit=1)


def test_two_hyphens_are_refused(make):
    with pytest.raises(InvalidNameException, match="two dashes"):
        make().create_bucket("a--b")


@pytest.mark.parametrize("key", ["a\\b", "a.", "a./b", "...", "../a", "a/./b", "/".join("a" * 255)])
def test_keys_that_would_become_others_are_refused(make, key):
    assert make().refuse_key(key)
    assert make().refuse_key(key.replace("\\", "").replace(".", "").replace("a/a", "a")) is None


# Reading


def content(body, status=200, **headers):
    return status, {**STORED, "Content-Type": "text/plain", **headers}, body


def test_get_is_one_request_with_the_range(play):
    answer = content(
        b"345", 206, **{"Content-Range": "bytes 3-5/10", "x-ms-blob-content-md5": "YWI=", "Content-MD5": "YWM="}
    )
    driver, script = play(lambda asked: answer)
    download = driver.get_object("bucket", "a", ReadOptions(3, 6, if_match="0x1"))
    with closing(download.stream) as stream:
        assert (download.start, download.length, download.info.size) == (3, 3, 10)
        assert download.info.checksums == {"md5": b"ab".hex()}
        assert stream.read(10) == b"345"
    assert [(each.headers["range"], each.headers["if-match"]) for each in script.asked] == [("bytes=3-5", '"0x1"')]


@pytest.mark.parametrize("told", ["bytes 3-6/10", "nonsense", None])
def test_a_range_that_is_not_what_is_sent(play, told):
    driver, _ = play(lambda asked: content(b"345", 206, **{"Content-Range": told}))
    with pytest.raises((IntegrityError, ForeignAnswerError)):
        driver.get_object("bucket", "a", ReadOptions(3, 6))


def test_a_range_behind_the_end_of_what_is_empty(play):
    driver, _ = play(lambda asked: content(b"", 206, **{"Content-Range": "bytes 5--1/0"}))
    with pytest.raises(InvalidRangeError):
        driver.get_object("bucket", "a", ReadOptions(5, 10))


@pytest.mark.parametrize(
    "looked", [(403, "AuthorizationPermissionMismatch"), (409, "BlobUsesCustomerSpecifiedEncryption")]
)
def test_what_may_not_be_looked_at_is_there_where_the_service_says_so(play, looked):
    head = (*refused(*looked)[:2], b"")
    driver, script = play(lambda asked: head if asked.method == "HEAD" else refused(409, "BlobAlreadyExists"))
    with pytest.raises(HttpResponseError) as caught:
        driver.put_object("bucket", "a", BytesBody(b"1"), PutOptions(if_none_match="*"))
    assert driver.classify(caught.value).error is PreconditionFailedError
    assert [each.method for each in script.asked] == ["PUT", "HEAD"]


def test_content_is_not_unpacked(play):
    driver, _ = play(lambda asked: content(b"packed", **{"Content-Encoding": "gzip"}))
    download = driver.get_object("bucket", "a", ReadOptions())
    assert download.stream.read(100) == b"packed"
    assert download.info.headers == {"content_encoding": "gzip"}


def test_truncated_content(play):
    driver, _ = play(lambda asked: content(b"short", **{"Content-Length": "10", "Connection": "close"}))
    stream = driver.get_object("bucket", "a", ReadOptions()).stream
    buffer = memoryview(bytearray(10))
    with closing(stream), pytest.raises(ConnectionFailedError):
        while stream.readinto(buffer):
            pass


def test_a_customers_key_goes_with_every_request(play):
    driver, script = play(lambda asked: content(b"", **{"Content-Length": "0"}) if asked.method == "GET" else CREATED)
    key = bytes(range(32))
    options = PutOptions(encryption=Encryption.customer(key))
    driver.put_object("bucket", "a", BytesBody(b""), options)
    upload_id = driver.start_upload("bucket", "b", options)
    driver.upload_part("bucket", "b", upload_id, 1, BytesBody(b"1"), options)
    driver.get_object("bucket", "a", ReadOptions(customer_key=key)).stream.close()
    assert len(script.asked) == 4
    for asked in script.asked:
        assert base64.b64decode(asked.headers["x-ms-encryption-key"]) == key
        assert base64.b64decode(asked.headers["x-ms-encryption-key-sha256"]) == hashlib.sha256(key).digest()
        assert asked.headers["x-ms-encryption-algorithm"] == "AES256"


def test_a_customers_key_is_not_sent_in_the_clear(make, play):
    driver, _ = play(lambda asked: CREATED)
    assert "customer" not in driver.capabilities.encryption
    assert "customer" in make().capabilities.encryption


def test_a_connection_serves_the_next_request(play):
    """Also one that brought nothing, which nobody reads; but not one with content left on it."""
    bodies = [b"", b"", b"content", b"content", b""]
    driver, script = play(lambda asked: content(bodies.pop(0)))
    for read in (0, 0, 10, 3, 0):
        with closing(driver.get_object("bucket", "a", ReadOptions()).stream) as stream:
            stream.read(read)
    ports = [each.client[1] for each in script.asked]
    assert len(set(ports[:4])) == 1
    assert ports[4] != ports[3]


# Listings


def test_names_that_xml_cannot_hold(play):
    driver, _ = play(lambda asked: listed('<Name Encoded="true">a%01%EF%BF%BF</Name>', "a%20b"))
    page = driver.list_objects("bucket")
    assert [each.key for each in page.items] == ["a\x01\uffff", "a%20b"]
    assert page.items[0].storage_class == "Cool"


def test_a_listing_begins_at_a_name(play):
    driver, script = play(lambda asked: listed("b", "c"))
    page = driver.list_objects("bucket", start_after="b")
    assert [each.key for each in page.items] == ["c"]  # the service begins with the name itself
    assert query_of(script.asked[0])["startFrom"] == "b"
    assert script.asked[0].headers["x-ms-version"] > "2026"


def test_a_listing_does_not_begin_at_a_name_that_the_service_may_sort_otherwise(play):
    driver, script = play(lambda asked: listed("\U0001f4be", "\uff5e"))
    assert [each.key for each in driver.list_objects("bucket", start_after="\uff5e").items] == ["\U0001f4be"]
    assert "startFrom" not in query_of(script.asked[0])


def test_a_service_that_cannot_begin_at_a_name(play):
    def answer(asked):
        if "startFrom" in query_of(asked):
            return refused(400, "InvalidHeaderValue")
        return listed("a", "b", marker="m") if "marker" not in query_of(asked) else listed("c")

    driver, script = play(answer)
    page = driver.list_objects("bucket", start_after="b")
    assert (list(page.items), page.token) == ([], "m")
    assert [each.key for each in driver.list_objects("bucket", start_after="b", token="m").items] == ["c"]
    assert ["startFrom" in query_of(each) for each in script.asked] == [True, False, False]


def test_a_prefix_that_the_start_is_in(play):
    def answer(asked):
        if query_of(asked).get("delimiter"):
            return listed(prefixes=["a/", "b/", "c/"])
        return listed("b/1", "b/2")

    driver, _ = play(answer)
    assert driver.list_objects("bucket", delimiter="/", start_after="b/1").prefixes == ["b/", "c/"]
    assert driver.list_objects("bucket", delimiter="/", start_after="b/2").prefixes == ["c/"]


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE x [<!ENTITY a 'b'>]><EnumerationResults/>",
        b"<html/>",
        b"nonsense",
        b"",
        b"<EnumerationResults/>",
        b"\xff",
    ],
)
def test_what_is_no_listing(play, body):
    driver, _ = play(lambda asked: (200, ANSWERED, body))
    with pytest.raises(ForeignAnswerError):
        driver.list_objects("bucket")


# Deletions


class Versioned:
    """An object whose current version is ``v2``; the service deletes no version by its name while it is the current."""

    def __init__(self, *, replaced=False):
        self.replaced = replaced
        self.current = "v2"
        self.gone = []

    def __call__(self, asked):
        version = query_of(asked).get("versionid")
        if asked.method == "HEAD":
            if self.replaced:
                self.current = "v3"
            return 200, {**STORED, "ETag": f'"etag-{version}"'}, b""
        if version == self.current:
            return refused(403, "OperationNotAllowedOnRootBlob")
        if version is None and asked.headers.get("if-match") != f'"etag-{self.current}"':
            return refused(412, "ConditionNotMet")
        self.gone.append(version)
        self.current = None if version is None else self.current
        return 202, ANSWERED, b""


def test_the_current_version_is_deleted_for_good(play):
    account = Versioned()
    driver, _ = play(account)
    driver.delete_object("bucket", "a", "v2")
    assert account.gone == [None, "v2"]


def test_what_replaced_a_version_is_not_deleted_with_it(play):
    account = Versioned(replaced=True)
    driver, _ = play(account)
    driver.delete_object("bucket", "a", "v2")
    assert (account.gone, account.current) == (["v2"], "v3")


def test_a_version_that_is_kept_is_refused(play):
    driver, _ = play(lambda asked: refused(409, "BlobImmutableDueToPolicy"))
    with pytest.raises(HttpResponseError) as caught:
        driver.delete_object("bucket", "a", "v2")
    assert driver.classify(caught.value).error is LockedError


# Batches


def parts(*answers):
    text = ""
    for number, (status, code) in enumerate(answers):
        said = f"x-ms-error-code: {code}\r\n" if code else ""
        text += f"--b\r\nContent-Type: application/http\r\nContent-ID: {number}\r\n\r\nHTTP/1.1 {status} x\r\n{said}\r\n\r\n"
    return 202, {**ANSWERED, "Content-Type": "multipart/mixed; boundary=b"}, f"{text}--b--".encode()


def test_directories_of_data_lake_go_when_they_are_empty(play):
    """The service takes no word of snapshots with them, and lists each before what is in it."""
    held = {"d", "d/e", "other"}

    def answer(asked):
        if asked.method == "POST":
            return parts((400, "OperationNotSupportedOnDirectory"), (409, "DirectoryIsNotEmpty"), (202, ""))
        key = asked.path.removeprefix("/account1/bucket/")
        if "x-ms-delete-snapshots" in asked.headers:
            return refused(400, "OperationNotSupportedOnDirectory")
        if any(each.startswith(f"{key}/") for each in held) or key == "full":
            return refused(409, "DirectoryIsNotEmpty")
        held.remove(key)
        return 202, ANSWERED, b""

    driver, _ = play(answer)
    assert driver.delete_objects("bucket", ["d", "d/e", "d/f"]) == {}
    assert held == {"other"}
    [(key, error)] = driver.delete_objects("bucket", ["full", "other", "x"]).items()
    assert (key, type(error), error.code) == ("full", ConflictError, "DirectoryIsNotEmpty")
    with pytest.raises(HttpResponseError):
        driver.delete_object("bucket", "full")


def test_batch(play):
    driver, script = play(lambda asked: parts((202, ""), (404, "BlobNotFound"), (403, "AuthorizationFailure")))
    refused = driver.delete_objects("bucket", ["a", "ü", "c"])
    assert {key: type(error) for key, error in refused.items()} == {"c": PermissionDeniedError}
    [asked] = script.asked
    assert query_of(asked) == {"restype": "container", "comp": "batch"}
    assert b"DELETE /account1/bucket/%C3%BC HTTP/1.1\r\n" in asked.body
    assert asked.body.count(b"Authorization: SharedKey account1:") == 3
    assert asked.body.count(b"x-ms-delete-snapshots: include") == 3


@pytest.mark.parametrize(
    "answer", [parts((202, "")), (202, ANSWERED, b""), (202, {**ANSWERED, "Content-Type": "x"}, b"")]
)
def test_a_batch_that_is_not_answered_whole(play, answer):
    driver, _ = play(lambda asked: answer)
    with pytest.raises(ForeignAnswerError):
        driver.delete_objects("bucket", ["a", "b"])


# Uploads in parts


def blocks(*names):
    entries = "".join(f"<Block><Name>{name}</Name><Size>3</Size></Block>" for name in names)
    return 200, STORED, f"<BlockList><UncommittedBlocks>{entries}</UncommittedBlocks></BlockList>".encode()


def test_a_part_is_known_by_its_content(play):
    held = []

    def answer(asked):
        query = query_of(asked)
        if query.get("comp") == "block":
            held.append(query["blockid"])
        return blocks(*reversed(held), "b3RoZXI=") if asked.method == "GET" else CREATED

    driver, script = play(answer)
    upload_id = driver.start_upload("bucket", "a", PutOptions())
    old = driver.upload_part("bucket", "a", upload_id, 2, BytesBody(b"old"))
    new = driver.upload_part("bucket", "a", upload_id, 2, BytesBody(b"new"))
    assert new.etag == driver.part_etag(BytesBody(b"new"))
    assert driver.list_parts("bucket", "a", upload_id) == [new]
    with pytest.raises(InvalidRequestError, match="part 2"):
        driver.finish_upload("bucket", "a", upload_id, [old], PutOptions())
    driver.finish_upload("bucket", "a", upload_id, [new], PutOptions(if_match="0x1", metadata={"a": "1"}))
    last = script.asked[-1]
    assert last.body.count(b"<Uncommitted>") == 1
    assert held[2].encode() in last.body
    assert (last.headers["if-match"], last.headers["x-ms-meta-a"]) == ('"0x1"', "1")
    assert {len(base64.b64decode(each)) for each in held} == {42}
    assert script.asked[1].headers["content-md5"]
