"""The quick way against boto3's client: the same requests, the same answers, the same errors."""

import io
import logging
from urllib.parse import urlsplit

import pytest

pytest.importorskip("botocore")

import botocore.auth
import botocore.httpsession
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError
from urllib3.response import HTTPResponse

from cloudbridge_store.drivers.aws.wire import OPERATIONS
from cloudbridge_store.drivers.streams import SentStream
from cloudbridge_store.errors import SourceChangedError

OWN = {"authorization", "x-amz-date", "user-agent", "amz-sdk-invocation-id", "amz-sdk-request"}
HARD_KEYS = [
    "a",
    "a b",
    "a?b",
    "a%2Fb",
    "%",
    "//a",
    "a//b",
    "a/",
    "ü/日本/𝄞",
    "a+b",
    "a.b",
    "a/.hidden",
    "a&b=c#d",
    "~!*'()",
    ";:@,$",
]
PLACES = {
    "path": {"s3_endpoint_url": "http://127.0.0.1:9", "s3_addressing_style": "path"},
    "path below a path": {"s3_endpoint_url": "https://example.org:8443/store/", "s3_addressing_style": "path"},
    "virtual": {"s3_endpoint_url": "https://example.org", "s3_addressing_style": "virtual"},
    "aws": {"aws_region_name": "eu-west-1"},
    "aws, first region": {"aws_region_name": "us-east-1"},
    "aws, path": {"aws_region_name": "eu-west-1", "s3_addressing_style": "path"},
    "aws, China": {"aws_region_name": "cn-north-1"},
    "aws, token": {"aws_region_name": "eu-west-1", "aws_session_token": "t"},
}
OBJECT = {"Bucket": "bucket", "Key": "a b/ü"}
UPLOAD = {**OBJECT, "UploadId": "id/+"}
COPY = {**OBJECT, "CopySource": {"Bucket": "other", "Key": "ü +%?"}}
DESCRIBED = {
    "CacheControl": "no-cache", "ContentDisposition": "attachment", "ContentEncoding": "gzip", "ContentLanguage": "de",
    "ContentType": "text/plain", "Metadata": {"one": "1", "two": "=?UTF-8?B?w7w=?="}, "Tagging": "a=b&c=%2B",
    "StorageClass": "STANDARD_IA", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key", "BucketKeyEnabled": True,
    "RequestPayer": "requester", "ExpectedBucketOwner": "1",
}  # fmt: skip
REQUESTS = [
    ("get_object", OBJECT),
    ("get_object", {**OBJECT, "Range": "bytes=1-2", "IfMatch": '"e"', "IfNoneMatch": '"f"', "VersionId": "v/+="}),
    ("get_object", {**OBJECT, "ChecksumMode": "ENABLED", "ResponseContentType": "a/b; c=d", "PartNumber": 3}),
    ("head_object", {**OBJECT, "ChecksumMode": "ENABLED", "VersionId": "v"}),
    ("delete_object", OBJECT),
    ("delete_object", {**OBJECT, "VersionId": "v", "IfMatch": '"e"', "BypassGovernanceRetention": True}),
    ("list_objects", {"Bucket": "bucket", "Prefix": "a b/", "Delimiter": "/", "Marker": "ü+", "MaxKeys": 7, "EncodingType": "url"}),
    ("list_objects_v2", {"Bucket": "bucket", "Prefix": "a b/", "StartAfter": "+", "MaxKeys": 1000, "EncodingType": "url", "FetchOwner": True}),
    ("list_objects_v2", {"Bucket": "bucket", "ContinuationToken": "a/b+c==", "EncodingType": "url"}),
    ("list_parts", {**UPLOAD, "MaxParts": 5, "PartNumberMarker": 3}),
    ("list_multipart_uploads", {"Bucket": "bucket", "KeyMarker": "ü", "UploadIdMarker": "id", "EncodingType": "url"}),
    ("create_multipart_upload", {**OBJECT, **DESCRIBED, "ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}),
    ("abort_multipart_upload", UPLOAD),
    ("complete_multipart_upload", {**UPLOAD, "IfNoneMatch": "*", "MultipartUpload": {"Parts": [
        {"PartNumber": 1, "ETag": '"e"', "ChecksumCRC32": "AAAAAA=="}, {"PartNumber": 2, "ETag": '"<&>"'}]}}),
    ("copy_object", {**COPY, **DESCRIBED, "MetadataDirective": "REPLACE", "CopySourceIfMatch": '"e"'}),
    ("copy_object", {**OBJECT, "CopySource": {"Bucket": "other", "Key": "a/b", "VersionId": "v"}}),
    ("upload_part_copy", {**COPY, "UploadId": "id", "PartNumber": 2, "CopySourceRange": "bytes=0-9"}),
    ("head_bucket", {"Bucket": "bucket"}),
    ("get_object_tagging", OBJECT),
]  # fmt: skip
SENT = [
    ("put_object", {**OBJECT, **DESCRIBED, "ChecksumCRC32": "AAAAAA==", "IfNoneMatch": "*"}),
    ("put_object", {**OBJECT, "ContentMD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}),
    ("put_object", OBJECT),
    ("upload_part", {**UPLOAD, "PartNumber": 7, "ChecksumCRC32": "AAAAAA=="}),
]
BUCKETS = ["bucket", "with.dots", "Upper_Case", "123", "a--b", "xn--a", "ends-s3alias"]


class Wire:
    """Takes the place of the network: keeps what is sent and gives written answers."""

    def __init__(self):
        self.sent = []
        self.answer = (200, {}, b"")

    def send(self, session, request):
        body = request.body or b""
        if not isinstance(body, bytes):
            body = body.read() if hasattr(body, "read") else b"".join(map(bytes, body))
        self.sent.append((request, body))
        if isinstance(self.answer, Exception):
            raise self.answer
        status, headers, content = self.answer
        raw = HTTPResponse(
            io.BytesIO(content),
            headers,
            status,
            preload_content=False,
            decode_content=False,
            request_method=request.method,
        )
        found = AWSResponse(request.url, status, headers, raw)
        if not request.stream_output:
            assert found.content == content
        return found


@pytest.fixture
def wire(monkeypatch):
    made = Wire()

    def send(session, request):
        return made.send(session, request)

    monkeypatch.setattr(botocore.httpsession.URLLib3Session, "send", send)
    return made


@pytest.fixture
def both(make, wire):
    """Return the two ways of one configuration: functions of an operation and its parameters."""

    def make_both(**config):
        service = make(**{"s3_preset": "minio" if "s3_endpoint_url" in config else None, **config})._service
        return service._direct.send, lambda operation, given: getattr(service.client, operation)(**given)

    return make_both


def described(request, body, *, without=frozenset()):
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
    }
    return request.method, request.url, {name: headers[name] for name in headers.keys() - OWN - without}, body


def compare_requests(both, wire, operation, given, make_body=None, without=frozenset()):
    direct, client = both
    for way in (direct, client):
        body = {} if make_body is None else {"Body": make_body()}
        way(operation, {**given, **body})
    (first, content), (second, other) = wire.sent[-2:]
    assert described(first, content, without=without) == described(second, other, without=without)
    assert not isinstance(first.headers, type(second.headers))  # or both went the same way
    return first


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize(("operation", "given"), REQUESTS, ids=lambda value: value if isinstance(value, str) else "")
def test_requests_are_the_clients(both, wire, place, operation, given):
    root = {"list_objects": "ListBucketResult", "list_objects_v2": "ListBucketResult"}.get(operation, "Whatever")
    wire.answer = (200, {}, b"" if operation.startswith(("head", "delete", "abort")) else f"<{root}/>".encode())
    compare_requests(both(**PLACES[place]), wire, operation, given)


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("checksum", ["crc32", "md5"])
@pytest.mark.parametrize(("operation", "given"), SENT, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("size", [0, 5000, 3_000_000])
def test_bodies_are_the_clients(both, wire, place, checksum, operation, given, size):
    data = bytes(range(250)) * (size // 250)
    ways = both(**PLACES[place], s3_checksum=checksum)
    # What waits for the service to ask for it is decided by size here, and not at all there.
    expected = frozenset() if size > 2**20 else {"expect"}
    body = lambda: SentStream(io.BytesIO(data), size)  # noqa: E731
    compare_requests(ways, wire, operation, {**given, "ContentLength": size}, body, expected)
    assert wire.sent[-2][1] == data


@pytest.mark.parametrize("key", HARD_KEYS)
@pytest.mark.parametrize("place", ["path", "virtual", "aws"])
def test_keys_are_encoded_as_by_the_client(both, wire, place, key):
    compare_requests(both(**PLACES[place]), wire, "get_object", {"Bucket": "bucket", "Key": key})
    source = {"Bucket": "bucket", "Key": "b", "CopySource": {"Bucket": "bucket", "Key": key}}
    wire.answer = (200, {}, b"<CopyObjectResult/>")
    compare_requests(both(**PLACES[place]), wire, "copy_object", source)


@pytest.mark.parametrize("bucket", BUCKETS)
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_buckets_are_where_the_client_finds_them(both, wire, place, bucket):
    compare_requests(both(**PLACES[place]), wire, "head_object", {"Bucket": bucket, "Key": "k"})


@pytest.mark.parametrize("variant", ["AWS_USE_DUALSTACK_ENDPOINT", "AWS_USE_FIPS_ENDPOINT"])
def test_variants_of_addresses(both, wire, monkeypatch, variant):
    monkeypatch.setenv(variant, "true")
    request = compare_requests(both(aws_region_name="us-east-1"), wire, "head_object", OBJECT)
    assert "dualstack" in request.url or "fips" in request.url


@pytest.mark.parametrize("place", ["path", "aws", "aws, token"])
def test_signature_is_botocores(both, wire, monkeypatch, place):
    direct, _ = both(**PLACES[place])
    for given in (OBJECT, {**OBJECT, "Range": "bytes=1-2", "VersionId": "a b/+", "IfMatch": '"two  spaces"'}):
        direct("get_object", given)
        request, _ = wire.sent[-1]
        headers = {name: value.decode() for name, value in request.headers.items()}
        signed = headers.pop("Authorization")
        plain = AWSRequest(request.method, request.url, headers)
        plain.context = dict(request.context)
        now = botocore.auth.datetime.datetime.strptime(headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda now=now: now)
        credentials = Credentials("AKIDEXAMPLE", "geheim", PLACES[place].get("aws_session_token"))
        region = PLACES[place].get("aws_region_name", "us-east-1")
        botocore.auth.S3SigV4Auth(credentials, "s3", region).add_auth(plain)
        assert plain.headers["Authorization"] == signed


@pytest.mark.parametrize(
    ("operation", "given"),
    [
        ("get_object", {"Bucket": "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine", "Key": "k"}),
        ("get_object", {**OBJECT, "SSECustomerKey": "k" * 32, "SSECustomerAlgorithm": "AES256"}),
        ("put_object", {**OBJECT, "ChecksumAlgorithm": "SHA256"}),
        ("put_object", {**OBJECT, "Metadata": {"name": "ü"}}),
        ("get_object", {**OBJECT, "PartNumber": "1"}),
        ("get_object", {**OBJECT, "Unheard": "of"}),
        ("get_object", {"Bucket": "bucket"}),
        ("get_object", {"Bucket": "b--use1-az1--x-s3", "Key": "k"}),
        ("delete_objects", {"Bucket": "bucket", "Delete": {"Objects": [{"Key": "k"}]}}),
        ("copy_object", {**OBJECT, "CopySource": "bucket/key"}),
    ],
    ids=str,
)
def test_what_is_left_to_the_client(make, wire, operation, given):
    assert make(aws_region_name="us-east-1")._service._direct.send(operation, given) is None
    assert wire.sent == []


@pytest.mark.parametrize(
    "config", [{"s3_direct": False}, {"s3_signature_version": "s3"}, {"aws_anonymous": True}], ids=str
)
def test_configurations_that_are_left_to_the_client(make, config):
    keys = {"aws_access_key": None, "aws_secret_key": None} if "aws_anonymous" in config else {}
    assert make(**keys, **config)._service._direct is None


def test_every_operation_is_compiled(both, wire):
    assert {operation for operation, _ in REQUESTS + SENT} == OPERATIONS.keys()


def test_handlers_of_the_user_are_heard(make, wire):
    driver = make(aws_region_name="eu-west-1")
    driver.head_bucket("bucket")
    assert "amz-sdk-request" not in {name.lower() for name in wire.sent[-1][0].headers}
    heard = []
    assert driver.native is driver.native
    driver.head_bucket("another")
    assert "amz-sdk-request" not in {name.lower() for name in wire.sent[-1][0].headers}
    driver.native.meta.events.register("before-send.s3.*", lambda request, **_: heard.append(request.url))
    driver.head_bucket("bucket")
    assert [urlsplit(url).hostname for url in heard] == ["bucket.s3.eu-west-1.amazonaws.com"]


def test_source_of_another_size_is_noticed(make, wire):
    service = make(s3_endpoint_url="http://127.0.0.1:9")._service
    for announced in (3, 5, 2**21):
        with pytest.raises(SourceChangedError):
            service.send(
                "put_object",
                Bucket="bucket",
                Key="k",
                Body=SentStream(io.BytesIO(b"four"), announced),
                ContentLength=announced,
            )


XML = {"content-type": "application/xml", "x-amz-request-id": "R", "x-amz-id-2": "H"}
TIME = "Fri, 20 Nov 2026 16:00:00 GMT"
FOUND = {
    **XML, "ETag": '"e"', "Last-Modified": TIME, "Content-Length": "3", "Content-Type": "text/plain", "X-Amz-Meta-One": "1",
    "x-amz-meta-Two": "=?UTF-8?B?w7w=?=", "x-amz-version-id": "v", "x-amz-delete-marker": "false", "x-amz-mp-parts-count": "2",
    "x-amz-storage-class": "GLACIER", "x-amz-checksum-crc32": "AAAAAA==", "x-amz-unknown": "?", "Cache-Control": "no-cache",
    "x-amz-server-side-encryption-bucket-key-enabled": "true", "x-amz-missing-meta": "4", "Content-Range": "bytes 0-2/9",
}  # fmt: skip
COPIED = b"<CopyObjectResult><LastModified>2026-11-20T16:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag></CopyObjectResult>"
PARTS = (
    b"<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker><Part><PartNumber>1"
    b"</PartNumber><ETag>e</ETag><Size>5</Size><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part></ListPartsResult>"
)
ANSWERS = [
    ("head_object", OBJECT, (200, FOUND, b"")),
    ("get_object", OBJECT, (200, FOUND, b"abc")),
    ("get_object", {**OBJECT, "Range": "bytes=0-2"}, (206, FOUND, b"abc")),
    ("put_object", OBJECT, (200, {**XML, "ETag": '"e"', "x-amz-version-id": "v", "x-amz-object-size": "5"}, b"")),
    ("delete_object", OBJECT, (204, {**XML, "x-amz-delete-marker": "true"}, b"")),
    ("head_bucket", {"Bucket": "bucket"}, (200, {**XML, "x-amz-bucket-region": "eu-west-1"}, b"")),
    ("copy_object", COPY, (200, {**XML, "x-amz-version-id": "v"}, COPIED)),
    ("list_parts", UPLOAD, (200, XML, PARTS)),
    ("create_multipart_upload", OBJECT, (200, XML, b"<R><UploadId>id</UploadId><Key>k</Key></R>")),
    (
        "upload_part",
        {**UPLOAD, "PartNumber": 1},
        (200, {**XML, "ETag": '"e"', "x-amz-checksum-crc32": "AAAAAA=="}, b""),
    ),
    ("abort_multipart_upload", UPLOAD, (204, XML, b"")),
    ("complete_multipart_upload", {**UPLOAD, "MultipartUpload": {"Parts": []}}, (200, XML, b"<R><ETag>e</ETag></R>")),
    ("get_object_tagging", OBJECT, (200, XML, b"<T><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></T>")),
]


def outcome(way, operation, given):
    """Return what a call answers or raises, in a form that can be compared."""
    try:
        answer = dict(way(operation, given))
    except ClientError as error:
        # The client has a layer for retries, switched off, which says so.
        error.response["ResponseMetadata"].pop("MaxAttemptsReached", None)
        text = str(error).replace(" (reached max retries: 0)", "")
        return type(error).__name__, text, error.operation_name, error.response
    answer["ResponseMetadata"].pop("MaxAttemptsReached", None)
    body = answer.pop("Body", None)
    return answer, body.read() if body is not None else None


@pytest.mark.parametrize(
    ("operation", "given", "answer"), ANSWERS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_answers_are_the_clients(both, wire, operation, given, answer):
    direct, client = both(**PLACES["path"])
    wire.answer = answer
    first, second = outcome(direct, operation, given), outcome(client, operation, given)
    assert first == second
    assert first[0]["ResponseMetadata"]["HTTPStatusCode"] == answer[0]


def error_body(code, more=""):
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message>{more}<RequestId>R</RequestId></Error>".encode()


ERRORS = [
    (304, XML, b""),
    (301, {**XML, "x-amz-bucket-region": "eu-west-1"}, error_body("PermanentRedirect", "<Endpoint>x</Endpoint>")),
    (307, {"Location": "http://elsewhere/"}, b""),
    (400, XML, error_body("InvalidArgument")),
    (400, {}, b""),
    (400, {}, b"<html>Bad</html>"),
    (401, {}, b"login"),
    (403, XML, error_body("AccessDenied")),
    (403, XML, error_body("InvalidObjectState", "<StorageClass>GLACIER</StorageClass><AccessTier>x</AccessTier>")),
    (404, XML, b""),
    (404, {**XML, "x-amz-delete-marker": "true"}, error_body("NoSuchKey", "<Key>k</Key>")),
    (404, XML, error_body("NoSuchBucket")),
    (409, XML, error_body("BucketAlreadyOwnedByYou")),
    (412, XML, error_body("PreconditionFailed", "<Condition>If-Match</Condition>")),
    (416, XML, error_body("InvalidRange")),
    (429, {"Retry-After": "3"}, error_body("SlowDown")),
    (500, XML, error_body("InternalError")),
    (500, {}, b""),
    (502, {}, b"<html><body>Bad gateway</body></html>"),
    (503, {**XML, "retry-after": "3"}, b"not xml <"),
    (200, XML, error_body("InternalError")),
    (200, XML, b"<Half"),
]


@pytest.mark.parametrize("answer", ERRORS, ids=lambda answer: f"{answer[0]} {answer[2][22:70]}")
@pytest.mark.parametrize(
    "operation", ["get_object", "head_object", "put_object", "copy_object", "list_objects_v2", "upload_part_copy"]
)
def test_errors_are_the_clients(both, wire, operation, answer):
    given = {**OBJECT, "CopySource": {"Bucket": "b", "Key": "k"}, "UploadId": "u", "PartNumber": 1}
    names = {
        "get_object": 2,
        "head_object": 2,
        "put_object": 2,
        "copy_object": 3,
        "upload_part_copy": 5,
        "list_objects_v2": 1,
    }
    given = dict(list(given.items())[: names[operation]])
    if operation == "head_object":
        answer = (*answer[:2], b"")
    direct, client = both(**PLACES["path"])
    wire.answer = answer
    second = outcome(client, operation, given)
    assert outcome(direct, operation, given) == second


@pytest.mark.parametrize(
    "error", [EndpointConnectionError(endpoint_url="u"), ConnectionClosedError(endpoint_url="u")], ids=str
)
def test_errors_of_the_connection_pass(both, wire, error):
    wire.answer = error
    with pytest.raises(type(error)):
        both(**PLACES["path"])[0]("head_object", OBJECT)


def test_bucket_elsewhere_is_found_by_the_client(make, wire):
    service = make(aws_region_name="us-east-1")._service
    moved = (301, {**XML, "x-amz-bucket-region": "eu-west-1"}, error_body("PermanentRedirect"))
    wire.answer = moved
    served = wire.send

    def send(session, request):
        wire.answer = (200, {"ETag": '"e"'}, b"") if "eu-west-1" in request.url else moved
        return served(session, request)

    wire.send = send
    data = SentStream(io.BytesIO(b"abc"), 3)
    assert service.send("put_object", Bucket="bucket", Key="k", Body=data, ContentLength=3)["ETag"] == '"e"'
    assert [urlsplit(request.url).hostname for request, _ in wire.sent][-1] == "bucket.s3.eu-west-1.amazonaws.com"
    before = len(wire.sent)
    service.send("head_object", Bucket="bucket", Key="k")
    assert [urlsplit(request.url).hostname for request, _ in wire.sent[before:]] == [
        "bucket.s3.eu-west-1.amazonaws.com"
    ]


def test_no_secret_is_logged(both, wire, caplog):
    caplog.set_level(logging.DEBUG)
    direct, _ = both(**PLACES["aws, token"])
    wire.answer = (403, XML, error_body("AccessDenied"))
    with pytest.raises(ClientError) as caught:
        direct("get_object", OBJECT)
    assert "geheim" not in caplog.text + repr(caught.value) + str(caught.value.response) + repr(caught.value.__dict__)


def test_address_of_the_environment(make, wire, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://example.org:8443")
    service = make(aws_region_name="eu-west-1")._service
    service.send("head_bucket", Bucket="bucket")
    assert [request.url for request, _ in wire.sent] == ["https://example.org:8443/bucket"]
    assert not service.trusted


def test_client_is_made_when_it_is_needed(make, wire):
    service = make(s3_endpoint_url="http://127.0.0.1:9")._service
    service.send("head_object", **OBJECT)
    assert service._maker._client is None
    assert service.client.meta.endpoint_url == "http://127.0.0.1:9"
