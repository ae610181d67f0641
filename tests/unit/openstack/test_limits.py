"""What a service permits: as ``/info`` says it of large objects, and as an error says what to do."""

import hashlib
import json
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("keystoneauth1")

from cloudbridge_store import TransferConfig, errors
from cloudbridge_store.core import checks
from cloudbridge_store.drivers.base import Part, PutOptions, UploadLimits
from cloudbridge_store.testing.fixtures import offline_bucket

KiB, MiB, GiB = 2**10, 2**20, 2**30
UPLOAD = "0" * 32
CONTENT = bytes(range(256)) * 4 * 1024 * 5  # 5 MiB


class Store:
    """Just as much of Swift as an upload in parts needs."""

    def __init__(self):
        self.objects = {}

    def __call__(self, asked):
        path = urlsplit(asked.path).path
        if asked.method == "PUT":
            return self._put(path, asked)
        if asked.method == "GET":
            found = [
                {
                    "name": name.partition("_segments/")[2],
                    "hash": etag,
                    "bytes": size,
                    "last_modified": "2026-01-01T00:00:00",
                }
                for name, (etag, size) in sorted(self.objects.items())
                if "_segments/" in name and "/segments/" in name
            ]
            return (
                200,
                {"Content-Type": "application/json"},
                json.dumps([] if "marker" in asked.path else found).encode(),
            )
        if asked.method == "HEAD" and path.count("/") > 3 and path not in self.objects:
            return 404, {}, b""
        return 204, {"Content-Length": None}, b""

    def _put(self, path, asked):
        if "multipart-manifest" in asked.path:
            etags = "".join(each["etag"] for each in json.loads(asked.body))
            etag, size = hashlib.md5(etags.encode()).hexdigest(), 0
        else:
            etag, size = hashlib.md5(asked.body).hexdigest(), len(asked.body)
        self.objects[path] = etag, size
        return 201, {"ETag": etag}, b""


class OldPolicy(Store):
    """Containers of a policy that is deprecated: there are some, and there will be no others."""

    def __call__(self, asked):
        path = urlsplit(asked.path).path
        if path == "/v1/AUTH_a/box":
            return 204, {"X-Storage-Policy": "old", "X-Container-Read": ".r:*,.rlistings,them"}, b""
        if path == "/v1/AUTH_a/box_segments" and asked.method == "HEAD" and path not in self.objects:
            return 404, {}, b""
        if asked.headers.get("x-storage-policy") == "old":
            return 400, {}, b'Storage Policy "old" is deprecated'
        return super().__call__(asked)


def test_segments_of_a_deprecated_policy_are_in_the_usual_one(make, swift):
    service = swift(OldPolicy())
    offline_bucket(make(**service.config), "box").objects.create("a").create_multipart_upload()
    made = [each for each in service.asked if each.method == "PUT" and each.path.endswith("/box_segments")]
    assert [(each.headers.get("x-storage-policy"), each.headers["x-container-read"]) for each in made] == [
        ("old", ".r:*"),
        (None, ".r:*"),
    ]


def told(service):
    return [each for each in service.asked if each.path == "/info"]


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({}, UploadLimits(MiB, 5 * GiB, 1000, 5 * GiB)),
        ({"swift": {"max_file_size": 2 * GiB}}, UploadLimits(MiB, 2 * GiB, 1000, 2 * GiB)),
        ({"slo": {"min_segment_size": 1}}, UploadLimits(1, 5 * GiB, 1000, 5 * GiB)),
        (
            {"slo": {"min_segment_size": 4 * MiB, "max_manifest_segments": 50}},
            UploadLimits(4 * MiB, 5 * GiB, 50, 5 * GiB),
        ),
        # Segments must also find room in the manifest.
        ({"slo": {"max_manifest_segments": 10**6}}, UploadLimits(MiB, 5 * GiB, 8192, 5 * GiB)),
        (
            {"slo": {"max_manifest_segments": 10**6, "max_manifest_size": 2**30}},
            UploadLimits(MiB, 5 * GiB, 10**6, 5 * GiB),
        ),
        ({"slo": {"max_manifest_segments": "many", "min_segment_size": 0}}, UploadLimits(MiB, 5 * GiB, 1000, 5 * GiB)),
    ],
)
def test_limits_are_those_of_info(make, swift, info, expected):
    service = swift(lambda _: (204, {}, b""), tempurl={}, **info)
    session = make(**service.config).session
    assert session.upload_limits() == session.driver.upload_limits() == expected
    assert len(told(service)) == 1
    able = session.capabilities
    assert (able.min_part, able.max_part, able.max_parts, able.max_put) == (MiB, 5 * GiB, 1000, 5 * GiB)


def test_a_service_without_info_has_the_documented_limits(make, swift):
    service = swift(lambda _: (404, {}, b""))
    assert make(**service.config).session.upload_limits() == UploadLimits(MiB, 5 * GiB, 1000, 5 * GiB)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, errors.ThrottledError), (498, errors.ThrottledError), (503, errors.ServiceUnavailableError)],
)
def test_limits_that_nobody_told_now_are_asked_for_again(make, swift, status, kind):
    moods = [status, status]

    def answer(_):
        return (moods.pop() if moods else 200), {}, b'{"swift": {"max_file_size": 1048577}}'

    service = swift(answer)
    session = make(**service.config).session
    service.script.answer = lambda asked: answer(asked) if asked.path == "/info" else service._serve(asked)
    with pytest.raises(kind):
        session.upload_limits()
    assert session.upload_limits().max_put == 1048577


def test_uploads_are_cut_as_the_service_permits(make, swift):
    service = swift(Store(), slo={"min_segment_size": KiB, "max_manifest_segments": 2})
    obj = make(**service.config).storage.buckets.get("abc").objects.create("a")
    obj.upload(CONTENT[:-MiB], TransferConfig(threshold=MiB, part_size=2 * KiB))
    parts = [each for each in service.asked if each.method == "PUT" and "/segments/" in each.path]
    assert sorted(len(each.body) for each in parts) == [2 * MiB, 2 * MiB]
    assert len(told(service)) == 1
    upload = obj.create_multipart_upload()
    with pytest.raises(errors.InvalidValueException, match="at most 2"):
        upload.upload_part(3, b"1")


def test_what_is_larger_than_one_request_permits_comes_in_parts(make, swift):
    service = swift(Store(), swift={"max_file_size": 2 * MiB})
    provider = make(**service.config, multipart_part_size=2 * MiB)
    provider.session.driver.capabilities = replace(provider.capabilities, multipart_threshold=3 * MiB)
    obj = provider.storage.buckets.get("abc").objects.create("a")
    obj.upload(CONTENT, TransferConfig(threshold=GiB))
    parts = [each for each in service.asked if each.method == "PUT" and "/segments/" in each.path]
    assert sorted(len(each.body) for each in parts) == [MiB, 2 * MiB, 2 * MiB]


def test_what_is_small_asks_nothing_more(make, swift):
    store = Store()
    # Without large objects in that bucket.
    service = swift(lambda asked: (404, {}, b"") if asked.path.endswith("_segments") else store(asked))
    provider = make(**service.config)
    provider.storage.buckets.get("abc").objects.create("a").upload(CONTENT)
    assert told(service) == []


@pytest.mark.parametrize(("least", "refused"), [(None, True), (1, False), (MiB, True)])
def test_the_least_part_is_the_services(make, swift, least, refused):
    service = swift(Store(), slo={} if least is None else {"min_segment_size": least})
    driver = make(**service.config).session.driver
    upload_id = driver.start_upload("abc", "a", PutOptions())
    parts = [Part(number, hashlib.md5(b"1").hexdigest(), 1) for number in (1, 2)]
    if refused:
        with pytest.raises(errors.InvalidRequestError, match="too small"):
            driver.finish_upload("abc", "a", upload_id, parts, PutOptions())
    else:
        driver.finish_upload("abc", "a", upload_id, parts, PutOptions())


@pytest.mark.parametrize(
    ("preset", "weak", "hinted"), [("any", False, True), ("any", True, False), ("ceph-swift", False, False)]
)
def test_a_refused_condition_names_the_key_that_permits_it(make, no_network, preset, weak, hinted):
    config = {"os_storage_url": "https://a.example/v1/a", "os_auth_token": "t", "os_preset": preset}
    session = make(**config, os_weak_conditions=weak).session
    if weak:
        assert checks.put_options(session, "a", {"if_none_match": "*"}).if_none_match == "*"
        assert "if_none_match" not in session.capabilities.hints
        return
    with pytest.raises(errors.UnsupportedOperationError) as caught:
        checks.put_options(session, "a", {"if_none_match": "*"})
    assert ("os_weak_conditions=True" in caught.value.hint) is hinted


def test_cloud_files_says_how_a_bucket_is_published(make, no_network):
    config = {"os_storage_url": "https://a.example/v1/a", "os_auth_token": "t"}
    with pytest.raises(errors.UnsupportedOperationError, match="enable_cdn"):
        make(**config, os_preset="rackspace").session.require("public_access", "publish")
    assert "public_access" not in make(**config).capabilities.hints


def test_a_service_that_takes_very_little_at_once_leads_to_the_threshold(make, swift):
    # Limits are not asked for before what is small; that the service takes even less, it says itself.
    def answer(asked):
        return (413 if asked.method == "PUT" else 404 if asked.path.endswith("_segments") else 204), {}, b""

    service = swift(answer, swift={"max_file_size": MiB})
    obj = make(**service.config).storage.buckets.get("abc").objects.create("a")
    with pytest.raises(errors.QuotaExceededError) as caught:
        obj.upload(CONTENT)
    assert "multipart_threshold" in caught.value.hint
    assert told(service) == []


class LargeSource:
    """As much of Swift as a copy of 300 MiB needs; ``ranges`` are those that were asked for."""

    size = 300 * MiB + 1

    def __init__(self):
        self.ranges = []

    def __call__(self, asked):
        if asked.method == "HEAD" and asked.path.endswith("/large"):
            described = {"Content-Length": str(self.size), "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
            return 200, {**described, "ETag": "e" * 32}, b""
        etag = "e" * 32
        if "x-copy-from" in asked.headers:
            self.ranges.append(asked.headers.get("range"))
        elif "multipart-manifest" in asked.path:
            etag = hashlib.md5("".join(each["etag"] for each in json.loads(asked.body)).encode()).hexdigest()
        return 201, {"ETag": etag}, b""


@pytest.mark.parametrize(
    ("limits", "step"),
    [({"swift": {"max_file_size": 110 * MiB}}, 110 * MiB), ({"slo": {"max_manifest_segments": 2}}, None)],
    ids=str,
)
def test_copies_are_cut_as_the_service_permits(make, swift, limits, step):
    answer = LargeSource()
    service = swift(answer, **limits)
    bucket = make(**service.config).storage.buckets.get("abc")
    bucket.objects.create("large").copy_to(bucket, "copy")
    spans = [f"bytes={at}-{min(at + step, answer.size) - 1}" for at in range(0, answer.size, step)] if step else [None]
    assert sorted(answer.ranges, key=spans.index) == spans


def test_a_copy_that_takes_too_many_segments_is_refused(make, swift):
    answer = LargeSource()
    service = swift(answer, swift={"max_file_size": 110 * MiB}, slo={"max_manifest_segments": 2})
    bucket = make(**service.config).storage.buckets.get("abc")
    with pytest.raises(errors.QuotaExceededError, match="2 segments"):
        bucket.objects.create("large").copy_to(bucket, "copy")
    assert answer.ranges == []


@pytest.mark.parametrize(
    ("version", "preset", "asked"),
    [
        ("2.38.0", "any", ["PUT"]),
        ("1.13.1", "ovh", ["PUT"]),
        # As Ceph says it, which would pass over the condition.
        ("16.2.15", "any", ["HEAD", "PUT"]),
        (None, "any", ["HEAD", "PUT"]),
        ("2.38.0", "ceph-swift", ["HEAD", "PUT"]),
    ],
)
def test_conditions_spare_a_question_where_they_are_kept(make, swift, version, preset, asked):
    missing = 404, {}, b""
    answers = {"HEAD": missing, "PUT": (201, {"ETag": hashlib.md5(b"1").hexdigest()}, b"")}

    def answer(asked):
        return answers[asked.method] if asked.path.endswith("/c/a") else (204, {"Content-Length": None}, b"")

    service = swift(answer, swift={} if version is None else {"version": version})
    make(**service.config, os_preset=preset).storage.buckets.get("c").objects.create("a").upload(b"1")
    about = [each for each in service.asked if each.path.endswith("/c/a")]
    assert [each.method for each in about] == asked
    assert about[-1].headers.get("if-none-match") == ("*" if asked == ["PUT"] else None)


class Listing:
    """Containers and objects in pages that are shorter than usual, of which a longer one is refused."""

    names = tuple(f"n{number}" for number in range(7))

    def __call__(self, asked):
        query = parse_qs(urlsplit(asked.path).query)
        if int(query["limit"][0]) > 3:
            return 412, {}, b"Maximum limit is 3"
        found = [name for name in self.names if name > query.get("marker", [""])[0]][: int(query["limit"][0])]
        described = {"bytes": 0, "hash": "0", "last_modified": "2026-01-01T00:00:00", "count": 0}
        return 200, {"Content-Type": "application/json"}, json.dumps([{"name": n, **described} for n in found]).encode()


SHORT = {"container_listing_limit": 3, "account_listing_limit": 3}


def test_pages_as_short_as_the_service_permits(make, swift):
    service = swift(Listing(), swift=SHORT)
    provider = make(**service.config)
    assert [each.name for each in offline_bucket(provider, "box").objects] == list(Listing.names)
    assert [each.name for each in provider.storage.buckets] == list(Listing.names)
    assert len(provider.session.driver.list_objects("box", delimiter="//", limit=1000).items) == 3


def test_a_page_that_is_refused_is_asked_for_again(make, swift):
    service = swift(Listing(), swift=SHORT)
    driver = make(**service.config).session.driver
    first = driver.list_objects("box", limit=1000)
    assert (len(first.items), len(driver.list_objects("box", limit=1000, token=first.token).items)) == (3, 3)
    # From then on it is known.
    limits = [parse_qs(urlsplit(asked.path).query)["limit"] for asked in service.asked if "limit" in asked.path]
    assert limits == [["1000"], ["3"], ["3"]]


@pytest.mark.parametrize("told", [{"swift": {}}, {"swift": []}, {"swift": {"container_listing_limit": 5000}}])
def test_a_refusal_that_no_limit_explains(make, swift, told):
    service = swift(Listing(), **told)
    with pytest.raises(errors.PreconditionFailedError):
        list(offline_bucket(make(**service.config), "box").objects)


@pytest.mark.parametrize("count", [99, 200, 250])
def test_pages_that_are_cut_without_a_word(make, swift, count):
    # As Ceph's are; for a thousand it has a hundred here.
    names = [f"n{number:04}" for number in range(count)]
    described = {"bytes": 0, "hash": "0", "last_modified": "2026-01-01T00:00:00", "count": 0}

    def answer(asked):
        marker = parse_qs(urlsplit(asked.path).query).get("marker", [""])[0]
        found = [{"name": name, **described} for name in names if name > marker][:100]
        return 200, {"Content-Type": "application/json"}, json.dumps(found).encode()

    provider = make(**swift(answer, swift={"version": "16.2.15"}).config)
    assert [each.name for each in offline_bucket(provider, "box").objects] == names
    assert [each.name for each in provider.storage.buckets] == names
    assert len(offline_bucket(provider, "box").objects.list(limit=500, delimiter="//")) == count


def test_swifts_short_page_is_its_last(make, swift):
    names = [f"n{number:04}" for number in range(250)]
    described = {"bytes": 0, "hash": "0", "last_modified": "2026-01-01T00:00:00"}
    page = json.dumps([{"name": name, **described} for name in names]).encode()
    service = swift(lambda _: (200, {"Content-Type": "application/json"}, page), swift={"version": "2.38.0"})
    assert len(list(offline_bucket(make(**service.config), "box").objects)) == 250
    assert len([asked for asked in service.asked if "limit" in asked.path]) == 1
