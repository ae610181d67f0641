"""What goes wrong between us and an S3 service, played by a server that answers from a script."""

from __future__ import annotations

import re
import socket
import ssl
import sys
import threading

import pytest

pytest.importorskip("boto3")

from servers.scripted import failure

from cloudbridge_store import CloudProviderFactory, RetryConfig, TransferConfig, errors
from cloudbridge_store.testing.fixtures import offline_bucket

NOW = "Sat, 21 Nov 2026 12:00:00 GMT"
OBJECT = {"ETag": '"d41d8cd98f00b204e9800998ecf8427e"', "Last-Modified": NOW, "Content-Type": "text/plain"}


@pytest.fixture
def connect():
    providers = []

    def make(script, **config):
        settings = {"retry": RetryConfig(attempts=2, base=0.001, throttled_base=0.001), **config}
        given = {"aws_access_key": "AK", "aws_secret_key": "SK", "s3_endpoint_url": getattr(script, "url", script)}
        providers.append(CloudProviderFactory().create_provider("aws", {**given, "s3_preset": "aws", **settings}))
        return providers[-1]

    yield make
    for provider in providers:
        provider.close()


def in_region(region, code="PermanentRedirect", status=301, **headers):
    """Return a server of one region, which sends others there."""

    def answer(asked):
        if asked.region != region:
            return failure(status, code, **headers)
        return 200, OBJECT, b""

    return answer


# Regions


@pytest.mark.parametrize(
    ("status", "code"), [(301, "PermanentRedirect"), (307, "TemporaryRedirect"), (400, "AuthorizationHeaderMalformed")]
)
def test_the_region_that_is_named_is_followed_once_and_remembered(serve, connect, status, code):
    named = {"x-amz-bucket-region": "eu-west-3", "Location": "http://192.0.2.1/elsewhere"}
    script = serve(in_region("eu-west-3", code, status, **named))
    bucket = connect(script).storage.buckets.get("some-bucket")
    bucket.objects.create("a").upload(b"content")
    assert [(asked.method, asked.region) for asked in script.asked] == [
        ("HEAD", "us-east-1"),
        ("HEAD", "eu-west-3"),
        ("PUT", "eu-west-3"),
    ]
    assert script.asked[-1].body == b"content"
    assert "eu-west-3" in bucket.objects.create("a").generate_url()


def test_a_body_is_sent_again_from_its_beginning(serve, connect):
    script = serve(in_region("eu-west-3", **{"x-amz-bucket-region": "eu-west-3"}))
    offline(connect(script)).create("a").upload(b"the whole content")
    assert [asked.body for asked in script.asked] == [b"the whole content"] * 2


def test_the_region_is_asked_for_where_the_answer_does_not_name_it(serve, connect):
    def answer(asked):
        if asked.region == "eu-west-3":
            return 200, OBJECT, b""
        named = {"x-amz-bucket-region": "eu-west-3"} if asked.method == "HEAD" else {}
        return failure(301, "PermanentRedirect", **named)

    script = serve(answer)
    offline(connect(script)).create("a").content()
    assert [(asked.method, asked.region) for asked in script.asked] == [
        ("GET", "us-east-1"),
        ("HEAD", "us-east-1"),
        ("GET", "eu-west-3"),
    ]


def test_a_service_that_sends_us_in_circles_is_left(serve, connect):
    regions = iter(f"eu-west-{number}" for number in range(1, 100))
    script = serve(lambda asked: failure(301, "PermanentRedirect", **{"x-amz-bucket-region": next(regions)}))
    with pytest.raises(errors.WrongRegionError) as caught:
        connect(script).storage.buckets.get("some-bucket")
    assert len(script.asked) == 2
    assert "eu-west-2" in caught.value.hint


@pytest.mark.parametrize("region", ["evil.example.org/", "x@evil", "a b", "../x", "", "e" * 65])
def test_what_is_no_name_of_a_region_is_not_followed(serve, connect, region):
    script = serve(lambda asked: failure(301, "PermanentRedirect", **{"x-amz-bucket-region": region}))
    with pytest.raises(errors.WrongRegionError):
        connect(script).storage.buckets.get("some-bucket")
    assert {asked.region for asked in script.asked} == {"us-east-1"}


# Each failure has a class of its own, and a hint


@pytest.mark.parametrize(
    ("status", "code", "kind", "hint"),
    [
        (403, "InvalidAccessKeyId", errors.AuthenticationError, "access key"),
        (403, "SignatureDoesNotMatch", errors.AuthenticationError, "secret key"),
        (400, "ExpiredToken", errors.CredentialsExpiredError, "get new credentials"),
        (403, "RequestTimeTooSkewed", errors.ClockSkewError, "clock"),
        (403, "AccessDenied", errors.PermissionDeniedError, ""),
        (404, "NoSuchBucket", errors.BucketNotFoundError, ""),
        (503, "SlowDown", errors.ThrottledError, ""),
        (500, "InternalError", errors.ServiceUnavailableError, ""),
    ],
)
def test_refusals(serve, connect, status, code, kind, hint):
    objects = offline(connect(serve(lambda asked: failure(status, code))))
    for call in (
        lambda: objects.create("a").upload(b"x"),
        lambda: objects.create("a").content(),
        objects.list,
        lambda: objects.create("a").delete(),
        lambda: objects.bucket.get_rules("cors"),
    ):
        with pytest.raises(kind) as caught:
            call()
        assert type(caught.value) is kind
        assert hint in caught.value.hint


@pytest.mark.parametrize("status", [400, 401, 403, 500, 502, 503, 504])
def test_only_not_found_is_missing(serve, connect, status):
    provider = connect(serve(lambda asked: (status, {}, b"")))
    for call in (
        lambda: provider.storage.buckets.get("some-bucket"),
        lambda: offline(provider).get("a"),
        lambda: offline(provider).exists("a"),
        lambda: offline(provider).bucket.exists,
    ):
        with pytest.raises(errors.StoreError) as caught:
            call()
        assert not isinstance(caught.value, errors.NotFoundError)


PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


@pytest.mark.parametrize("status", [200, 302, 403, 404])
def test_what_is_not_s3(serve, connect, status):
    fields = {"Content-Type": "text/html", "Location": "http://192.0.2.1/login", "x-amz-request-id": None}
    objects = offline(connect(serve(lambda asked: (status, fields, PAGE))))
    for call in (
        lambda: objects.create("a").content(),
        objects.list,
        objects.bucket.provider.storage.buckets.list,
        lambda: objects.create("a").upload(b"x"),
        objects.create("a").create_multipart_upload,
        objects.create("a").delete,
        lambda: objects.create("a").set_tags({"a": "1"}),
        lambda: objects.delete_many(["a"]),
        lambda: objects.bucket.get_rules("cors"),
        objects.bucket.enable_versioning,
        lambda: list(objects.versions()),
        objects.bucket.make_private,
        objects.bucket.delete,
    ):
        with pytest.raises(errors.ForeignAnswerError) as caught:
            call()
        assert "s3_endpoint_url" in caught.value.hint


def test_nobody_listens(connect, unused_port):
    with pytest.raises(errors.ConnectionFailedError):
        connect(f"http://127.0.0.1:{unused_port}").storage.buckets.get("some-bucket")


@pytest.fixture
def unused_port():
    # Kept: nobody else gets it, and nobody listens.
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def offline(provider):
    return offline_bucket(provider, "some-bucket").objects


# Providers do not influence each other


def test_two_providers_with_other_addresses_and_keys(serve, connect, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FROM-THE-ENVIRONMENT")
    scripts = [serve(lambda asked: (200, OBJECT, b"")) for _ in range(2)]
    providers = [
        connect(script, aws_access_key=f"KEY{number}", aws_region_name=f"eu-west-{number}")
        for number, script in enumerate(scripts)
    ]
    threads = [
        threading.Thread(target=lambda one=provider: [offline(one).get("a") for _ in range(20)])
        for provider in providers
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, script in enumerate(scripts):
        assert len(script.asked) == 80
        assert {f"Credential=KEY{number}/" in asked.headers["authorization"] for asked in script.asked} == {True}
        assert {asked.region for asked in script.asked} == {f"eu-west-{number}"}


# Credentials

PART = "<Part><PartNumber>{}</PartNumber><Size>{}</Size><ETag>d41d8cd98f00b204e9800998ecf8427e</ETag></Part>"


def test_a_process_that_gives_credentials_is_asked_again_before_they_expire(serve, connect, tmp_path, monkeypatch):
    """The parts of one upload are signed with ever new credentials, where each set is about to expire."""
    giver = tmp_path / "give.py"
    giver.write_text(
        "import datetime, json, os, pathlib\n"
        f"count = pathlib.Path({str(tmp_path / 'count')!r})\n"
        "number = len(count.read_bytes()) if count.exists() else 0\n"
        "count.write_bytes(b'x' * (number + 1))\n"
        "over = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=60)\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'KEY{number}', 'SecretAccessKey': 's',"
        " 'SessionToken': 't', 'Expiration': over.isoformat()}))\n"
    )
    profile = tmp_path / "config"
    profile.write_text(f"[profile changing]\ncredential_process = {sys.executable} {giver}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(profile))

    part = 5 * 2**20

    def answer(asked):
        if asked.method == "POST" and asked.path.endswith("?uploads"):
            return 200, {}, b"<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>"
        if asked.method == "GET" and "uploadId" in asked.path:
            parts = "".join(PART.format(number, part) for number in (1, 2, 3))
            return 200, {}, f"<ListPartsResult><IsTruncated>false</IsTruncated>{parts}</ListPartsResult>".encode()
        if asked.method == "POST":
            return (
                200,
                {},
                b"<CompleteMultipartUploadResult><ETag>&quot;e-3&quot;</ETag></CompleteMultipartUploadResult>",
            )
        return 200, OBJECT, b""

    script = serve(answer)
    config = {"aws_access_key": None, "aws_secret_key": None, "aws_profile": "changing"}
    objects = offline(connect(script, **config))
    objects.create("a").upload(bytes(3 * part), TransferConfig(part, part, 1))
    keys = [re.search("Credential=(KEY[0-9]+)/", asked.headers["authorization"])[1] for asked in script.asked]
    assert len(set(keys)) == len(keys) > 3


def test_credentials_that_are_refused_as_expired_are_asked_for_anew_once(serve, connect, tmp_path, monkeypatch):
    """The chain's file has new ones by then."""
    keys = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    text = "[default]\naws_access_key_id = {}\naws_secret_access_key = s\naws_session_token = t\n"
    keys.write_text(text.format("OLD"))

    def answer(asked):
        if "Credential=OLD/" in asked.headers["authorization"]:
            keys.write_text(text.format(replacement))
            return failure(400, "ExpiredToken")
        return 200, OBJECT, b""

    nothing = {"aws_access_key": None, "aws_secret_key": None}
    replacement = "NEW"
    script = serve(answer)
    offline(connect(script, **nothing)).create("a").upload(b"content", if_none_match="*")
    assert [asked.body for asked in script.asked] == [b"content"] * 2
    replacement = "OLD"
    keys.write_text(text.format("OLD"))
    script.asked.clear()
    with pytest.raises(errors.CredentialsExpiredError) as caught:
        offline(connect(script, **nothing)).create("a").upload(b"content")
    assert (caught.value.attempts, caught.value.outcome, len(script.asked)) == (2, "not_applied", 2)


@pytest.mark.parametrize(("profile", "asked"), [(None, False), ("machine", True)])
def test_what_a_machine_has_for_aws_is_not_shown_to_others(serve, connect, monkeypatch, tmp_path, profile, asked):
    metadata = serve(lambda asked: (404, {}, b""))
    config = tmp_path / "config"
    config.write_text("[profile machine]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)
    script = serve(lambda asked: (200, OBJECT, b""))
    keys = {"aws_access_key": None, "aws_secret_key": None, "aws_profile": profile}
    with pytest.raises(errors.AuthenticationError):
        offline(connect(script, s3_preset="other", **keys)).get("a")
    assert (bool(metadata.asked), script.asked) == (asked, [])


def test_a_server_without_tls(serve, connect):
    script = serve(lambda asked: (200, OBJECT, b""))
    with pytest.raises(errors.ConnectionFailedError) as caught:
        offline(connect(script.url.replace("http:", "https:"))).get("a")
    assert "does not speak TLS" in caught.value.hint
    assert caught.value.attempts == 1


def test_a_certificate_that_nobody_vouches_for(serve, connect, tmp_path):
    trustme = pytest.importorskip("trustme")
    script = serve(lambda asked: (200, OBJECT, b""))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").configure_cert(context)
    script.server.socket = context.wrap_socket(script.server.socket, server_side=True)
    url = script.url.replace("http:", "https:")
    with pytest.raises(errors.CertificateError) as caught:
        offline(connect(url)).get("a")
    assert "ca_bundle" in caught.value.hint
    assert (caught.value.attempts, script.asked) == (1, [])
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    assert offline(connect(url, ca_bundle=str(tmp_path / "ca.pem"))).get("a").name == "a"
    other = url.replace("127.0.0.1", "localhost")
    with pytest.raises(errors.CertificateError):
        offline(connect(other, ca_bundle=str(tmp_path / "ca.pem"))).get("a")
