"""Copies that the service makes, of which the emulator knows only the oldest."""

from __future__ import annotations

import base64
import itertools
import re
import threading
import time
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("azure.storage.blob")

from servers.scripted import failure

from cloudbridge_store import CloudProviderFactory, errors
from cloudbridge_store.buckets import Bucket
from cloudbridge_store.drivers.azure import background
from cloudbridge_store.drivers.azure.copying import BLOCK, LARGEST_AT_ONCE
from cloudbridge_store.drivers.base import BucketInfo, PutOptions, ReadOptions

KEY = base64.b64encode(b"a key").decode()
NAMED = {"x-ms-request-id": "R1", "Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"}
SECRET = "https://elsewhere.example/a-bucket/a?sig=topsecret"


class Account:
    """A service with one source and no memory: it says what it is told to say."""

    def __init__(self, size, **headers):
        self.described = {**NAMED, "Content-Length": str(size), "ETag": '"the-etag"', **headers}
        self.refused = {}
        self.copy = [{"x-ms-copy-status": "success"}]
        self.asked = []
        self._lock = threading.Lock()

    def __call__(self, asked):
        query = parse_qs(urlsplit(asked.path).query)
        what = query.get("comp", ["copy" if "x-ms-copy-source" in asked.headers else ""])[0]
        if what == "copy" and "x-ms-copy-action" in asked.headers:
            what = "abort"
        with self._lock:
            self.asked.append((asked.method, what, query, asked))
        if what in self.refused:
            return failure(*self.refused[what])
        if asked.method == "HEAD":
            more = self._progress() if "/to" in asked.path else self.described
            return 200, {**NAMED, "Content-Length": "0", "ETag": '"new"', **more}, b""
        if what == "tags" and asked.method == "GET":
            return 200, NAMED, b"<Tags><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tags>"
        more = self._progress() if what == "copy" else {}
        return 201, {**NAMED, "ETag": '"new"', **more}, b""

    def _progress(self):
        with self._lock:
            said = self.copy.pop(0) if len(self.copy) > 1 else self.copy[0]
        return {"x-ms-copy-id": "the-copy", **said}

    def of(self, what):
        return [asked for _, each, _, asked in self.asked if each == what]


@pytest.fixture
def start(serve):
    providers = []

    def make(account, **config):
        who = config or {"azure_storage_key": KEY}
        url = f"{serve(account).url}/anaccount"
        providers.append(CloudProviderFactory().create_provider("azure", {"azure_endpoint_url": url, **who}))
        return Bucket(providers[-1], BucketInfo("a-bucket"))

    yield make
    for provider in providers:
        provider.close()


@pytest.fixture
def pauses(monkeypatch):
    found = []
    # Not of the module: it is that of all threads of this process.
    monkeypatch.setattr(background, "time", SimpleNamespace(sleep=found.append, monotonic=time.monotonic))
    return found


def test_a_small_object_in_one_request(start):
    account = Account(10, **{"x-ms-tag-count": "1", "x-ms-access-tier": "Cool"})
    start(account).objects.create("dir/ä").copy_to("other-bucket", "to")
    [asked] = account.of("copy")
    sent = asked.headers
    assert asked.path == "/anaccount/other-bucket/to"
    assert (sent["x-ms-requires-sync"], sent["x-ms-source-if-match"]) == ("true", '"the-etag"')
    assert (sent["x-ms-tags"], sent["x-ms-access-tier"]) == ("k=v", "Cool")
    source = urlsplit(sent["x-ms-copy-source"])
    query = {name: values[0] for name, values in parse_qs(source.query).items()}
    assert (source.path, query["sp"], query["sr"]) == ("/anaccount/a-bucket/dir/%C3%A4", "r", "b")


def test_a_tier_that_nobody_chose_does_not_come_along(start):
    account = Account(10, **{"x-ms-access-tier": "Hot", "x-ms-access-tier-inferred": "true"})
    start(account).objects.create("a").copy_to("other-bucket", "to")
    assert "x-ms-access-tier" not in account.of("copy")[0].headers


@pytest.mark.parametrize(
    ("version", "kind", "name"),
    [("2026-11-20T10:00:00.0000000Z", "bv", "versionid"), ("snapshot:2026-11-20T10:00:00.0000000Z", "bs", "snapshot")],
)
def test_a_version_is_copied(start, version, kind, name):
    account = Account(10)
    start(account).objects.get("a", version=version).copy_to("other-bucket", "to")
    source = parse_qs(urlsplit(account.of("copy")[0].headers["x-ms-copy-source"]).query)
    assert (source["sr"], source[name]) == ([kind], ["2026-11-20T10:00:00.0000000Z"])
    assert parse_qs(urlsplit(account.asked[0][3].path).query)[name] == ["2026-11-20T10:00:00.0000000Z"]


def test_a_token_reads_the_source_too(start):
    account = Account(10)
    start(account, azure_access_token="the-token").objects.create("a").copy_to("other-bucket", "to")
    sent = account.of("copy")[0].headers
    assert sent["x-ms-copy-source-authorization"] == "Bearer the-token"
    assert urlsplit(sent["x-ms-copy-source"]).query == ""


def test_a_signature_reads_the_source_too(start):
    account = Account(10)
    start(account, azure_sas_token="sv=1&sig=abc").objects.create("a").copy_to("other-bucket", "to")
    assert urlsplit(account.of("copy")[0].headers["x-ms-copy-source"]).query == "sv=1&sig=abc"


def test_a_large_object_by_blocks(start):
    size = LARGEST_AT_ONCE + 5
    account = Account(
        size, **{"Content-MD5": "md5==", "Content-Type": "x/y", "x-ms-meta-a": "1", "x-ms-tag-count": "1"}
    )
    start(account).objects.create("a").copy_to("other-bucket", "to")
    ranges = {asked.headers["x-ms-source-range"] for asked in account.of("block")}
    assert len(account.of("block")) == 5
    assert ranges == {f"bytes={n * BLOCK}-{min((n + 1) * BLOCK, size) - 1}" for n in range(5)}
    assert {asked.headers["x-ms-source-if-match"] for asked in account.of("block")} == {'"the-etag"'}
    [commit] = account.of("blocklist")
    sent = commit.headers
    assert (sent["x-ms-blob-content-type"], sent["x-ms-meta-a"], sent["x-ms-tags"]) == ("x/y", "1", "k=v")
    assert sent["x-ms-blob-content-md5"] == "md5=="
    named = {parse_qs(urlsplit(asked.path).query)["blockid"][0]: asked for asked in account.of("block")}
    order = re.findall(r"<Uncommitted>(.*?)</Uncommitted>", commit.body.decode())
    assert [named[each].headers["x-ms-source-range"].split("-")[0] for each in order] == [
        f"bytes={n * BLOCK}" for n in range(5)
    ]


def test_a_block_that_fails_is_fetched_again_by_itself(start):
    account = Account(LARGEST_AT_ONCE + 5)
    left = [failure(503, "ServerBusy"), None]

    def answer(asked):
        if "comp=block&" in asked.path and left:
            account(asked)
            return left.pop(0)
        return account(asked)

    start(answer).objects.create("a").copy_to("other-bucket", "to")
    blocks = [parse_qs(urlsplit(asked.path).query)["blockid"][0] for asked in account.of("block")]
    assert (len(blocks), len(set(blocks))) == (7, 5)
    assert len(account.of("blocklist")) == 1


def test_an_empty_object_is_not_fetched(start):
    """The service takes nothing for a source that it cannot read."""
    account = Account(0, **{"Content-Type": "x/y", "x-ms-meta-a": "1", "x-ms-access-tier": "Cool"})
    start(account).objects.create("a").copy_to("other-bucket", "to")
    assert (account.of("copy"), account.of("block")) == ([], [])
    [commit] = account.of("blocklist")
    sent = commit.headers
    assert (sent["x-ms-blob-content-type"], sent["x-ms-meta-a"], sent["x-ms-access-tier"]) == ("x/y", "1", "Cool")
    assert b"<BlockList></BlockList>" in commit.body


@pytest.mark.parametrize("kind", ["AppendBlob", "PageBlob"])
def test_other_kinds_of_blobs_are_copied_by_blocks(start, kind):
    account = Account(1024, **{"x-ms-blob-type": kind, "x-ms-access-tier": "P10"})
    start(account).objects.create("a").copy_to("other-bucket", "to")
    assert [asked.headers["x-ms-source-range"] for asked in account.of("block")] == ["bytes=0-1023"]
    assert account.of("copy") == []
    assert "x-ms-access-tier" not in account.of("blocklist")[0].headers


def test_options_describe_the_copy_from_the_first_moment_on(start):
    account = Account(10, **{"x-ms-meta-a": "1"})
    start(account).objects.create("a").copy_to("other-bucket", "to", content_type="x/z", if_none_match="*")
    sent = account.of("blocklist")[0].headers
    assert (sent["x-ms-blob-content-type"], sent["if-none-match"]) == ("x/z", "*")
    assert "x-ms-meta-a" not in sent
    assert account.of("copy") == []


def test_a_source_that_is_replaced_meanwhile(start):
    account = Account(10)
    account.refused["copy"] = (412, "SourceConditionNotMet")
    with pytest.raises(errors.PreconditionFailedError):
        start(account).objects.create("a").copy_to("other-bucket", "to")


@pytest.mark.parametrize("size", [0, 10, LARGEST_AT_ONCE + 1])
def test_an_archived_source_is_refused(start, size):
    account = Account(size, **{"x-ms-access-tier": "Archive", "x-ms-archive-status": "rehydrate-pending-to-hot"})
    with pytest.raises(errors.ArchivedError, match="storage class to Hot"):
        start(account).objects.create("a").copy_to("other-bucket", "to")
    assert [method for method, *_ in account.asked] == ["HEAD"]


def test_an_object_with_the_customers_key_is_refused(start):
    bucket = start(Account(10))
    asked = ReadOptions(customer_key=b"k" * 32)
    with pytest.raises(errors.UnsupportedOperationError, match="download it"):
        bucket.provider.session.driver.copy_object("a-bucket", "a", "a-bucket", "to", source=asked)


def without_blocks(*progress):
    """Return a server that does not fetch blocks, as emulators."""
    account = Account(10, **{"x-ms-meta-a": "1"})
    account.refused["block"] = (501, "APINotImplemented")
    account.copy = [{"x-ms-copy-status": "pending"}, *progress]
    return account


def test_a_copy_in_the_background_is_waited_for(start, pauses):
    account = without_blocks(*[{"x-ms-copy-status": "pending"}] * 8, {"x-ms-copy-status": "success"})
    start(account).objects.create("a").copy_to("other-bucket", "to", content_type="x/z")
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    assert account.of("properties")[0].headers["x-ms-blob-content-type"] == "x/z"
    assert not [name for name in account.of("metadata")[0].headers if name.startswith("x-ms-meta-")]
    assert account.of("abort") == []


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"x-ms-copy-status": "failed", "x-ms-copy-status-description": "500 gone"}, errors.ServiceUnavailableError),
        ({"x-ms-copy-status": "pending", "x-ms-copy-id": "another"}, errors.ObjectChangedError),
    ],
    ids=["failed", "replaced"],
)
def test_a_copy_in_the_background_that_fails(start, pauses, said, error):
    account = without_blocks(said)
    driver = start(account).provider.session.driver
    with pytest.raises(error) as caught:
        driver.copy_url("a-bucket", "to", SECRET, PutOptions(content_type="x/y"))
    assert "topsecret" not in str(caught.value)
    assert len(account.of("properties")) == 0


def test_a_copy_that_takes_too_long_is_given_up(start, pauses, monkeypatch):
    clock = itertools.count(0, 20)
    monkeypatch.setattr(background.time, "monotonic", lambda: next(clock))
    account = without_blocks({"x-ms-copy-status": "pending"})
    driver = start(account).provider.session.driver
    with pytest.raises(errors.OperationTimeoutError):
        driver.copy_url("a-bucket", "to", SECRET, PutOptions(content_type="x/y"))
    [abort] = account.of("abort")
    assert parse_qs(urlsplit(abort.path).query)["copyid"] == ["the-copy"]


def test_a_url_is_fetched_as_one_block(start):
    account = Account(10)
    start(account).objects.create("to").copy_from_url(SECRET, content_type="x/y", metadata={"b": "2"})
    [block] = account.of("block")
    assert block.headers["x-ms-copy-source"] == SECRET
    assert "x-ms-source-range" not in block.headers
    sent = account.of("blocklist")[0].headers
    assert (sent["x-ms-blob-content-type"], sent["x-ms-meta-b"]) == ("x/y", "2")


@pytest.mark.parametrize("code", ["CannotVerifyCopySource", "InvalidSourceBlobUrl"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
def test_what_the_service_cannot_fetch(start, status, code):
    account = Account(10)
    account.refused["block"] = (status, code)
    with pytest.raises(errors.StoreError) as caught:
        start(account).objects.create("to").copy_from_url(SECRET)
    assert not isinstance(caught.value, errors.NotFoundError | errors.AuthenticationError)
    assert "topsecret" not in str(caught.value)
    assert account.of("blocklist") == []


@pytest.mark.parametrize("code", ["BlobNotFound", "ResourceNotFound"])
def test_a_url_that_leads_to_nothing_is_no_missing_object(start, code):
    account = Account(10)
    account.refused["block"] = (404, code)
    with pytest.raises(errors.InvalidRequestError, match="at the URL") as caught:
        start(account).objects.create("to").copy_from_url(SECRET)
    assert "topsecret" not in str(caught.value)
    account.refused["block"] = (404, "ContainerNotFound")
    with pytest.raises(errors.BucketNotFoundError):
        start(account).objects.create("to").copy_from_url(SECRET)


def test_a_lease_comes_with_every_block(start):
    account = Account(10)
    extra = {"x-ms-lease-id": "the-lease"}
    start(account).objects.create("a").copy_to("other-bucket", "to", content_type="x/z", extra=extra)
    assert account.of("block")[0].headers["x-ms-lease-id"] == "the-lease"
    assert account.of("blocklist")[0].headers["x-ms-lease-id"] == "the-lease"
