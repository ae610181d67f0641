"""What botocore's exceptions mean."""

import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

pytest.importorskip("botocore")

from botocore import exceptions
from botocore.exceptions import ClientError

from cloudbridge_store import errors
from cloudbridge_store.drivers.aws.errors import classify, item_error
from cloudbridge_store.errors import StoreError

ANSWERS = [
    ("NoSuchKey", 404, "GetObject", errors.ObjectNotFoundError, "no"),
    ("NoSuchBucket", 404, "GetObject", errors.BucketNotFoundError, "no"),
    ("NoSuchUpload", 404, "UploadPart", errors.UploadNotFoundError, "no"),
    ("NoSuchKey", 404, "ListParts", errors.UploadNotFoundError, "no"),
    ("NoSuchKey", 404, "UploadPartCopy", errors.ObjectNotFoundError, "no"),
    ("404", 404, "HeadObject", errors.NotFoundError, "no"),
    ("404", 404, "HeadBucket", errors.BucketNotFoundError, "no"),
    ("403", 403, "HeadBucket", errors.PermissionDeniedError, "no"),
    ("AccessDenied", 403, "GetObject", errors.PermissionDeniedError, "no"),
    ("BucketAlreadyExists", 409, "CreateBucket", errors.DuplicateResourceException, "no"),
    ("BucketAlreadyOwnedByYou", 409, "CreateBucket", errors.DuplicateResourceException, "no"),
    ("BucketNotEmpty", 409, "DeleteBucket", errors.BucketNotEmptyError, "no"),
    ("OperationAborted", 409, "CreateBucket", errors.ConflictError, "always"),
    ("ConditionalRequestConflict", 409, "PutObject", errors.ConflictError, "always"),
    ("ConditionalRequestConflict", 409, "CompleteMultipartUpload", errors.ConflictError, "no"),
    ("PreconditionFailed", 412, "PutObject", errors.PreconditionFailedError, "no"),
    ("304", 304, "GetObject", errors.NotModifiedError, "no"),
    ("InvalidAccessKeyId", 403, "GetObject", errors.AuthenticationError, "no"),
    ("SignatureDoesNotMatch", 403, "GetObject", errors.AuthenticationError, "no"),
    ("ExpiredToken", 400, "GetObject", errors.CredentialsExpiredError, "auth"),
    ("RequestTimeTooSkewed", 403, "GetObject", errors.ClockSkewError, "no"),
    ("401", 401, "GetObject", errors.AuthenticationError, "no"),
    ("InvalidRange", 416, "GetObject", errors.InvalidRangeError, "no"),
    ("KeyTooLongError", 400, "PutObject", errors.InvalidRequestError, "no"),
    ("InvalidBucketName", 400, "CreateBucket", errors.InvalidRequestError, "no"),
    ("EntityTooSmall", 400, "CompleteMultipartUpload", errors.InvalidRequestError, "no"),
    ("EntityTooLarge", 400, "PutObject", errors.QuotaExceededError, "no"),
    ("QuotaExceeded", 403, "PutObject", errors.QuotaExceededError, "no"),
    ("InvalidObjectState", 403, "GetObject", errors.ArchivedError, "no"),
    ("BadDigest", 400, "PutObject", errors.IntegrityError, "always"),
    ("XAmzContentSHA256Mismatch", 400, "PutObject", errors.IntegrityError, "always"),
    ("SlowDown", 503, "GetObject", errors.ThrottledError, "idempotent"),
    ("429", 429, "GetObject", errors.ThrottledError, "always"),
    ("RequestTimeout", 400, "PutObject", errors.OperationTimeoutError, "idempotent"),
    ("InternalError", 500, "GetObject", errors.ServiceUnavailableError, "idempotent"),
    ("InternalError", 200, "CopyObject", errors.ServiceUnavailableError, "idempotent"),
    ("503", 503, "HeadObject", errors.ServiceUnavailableError, "idempotent"),
    ("502", 502, "GetObject", errors.ServiceUnavailableError, "idempotent"),
    ("504", 504, "GetObject", errors.ServiceUnavailableError, "idempotent"),
    ("NotImplemented", 501, "PutBucketWebsite", errors.UnsupportedOperationError, "no"),
    ("MethodNotAllowed", 405, "GetObject", errors.UnsupportedOperationError, "no"),
    ("PermanentRedirect", 301, "GetObject", errors.WrongRegionError, "no"),
    ("SomethingNew", 400, "GetObject", errors.InvalidRequestError, "no"),
    ("SomethingNew", 403, "GetObject", errors.PermissionDeniedError, "no"),
]
# Statuses without a code and without a request id: no S3 service answered.
FOREIGN = [("404", 404), ("403", 403), ("301", 301), ("400", 400)]
LOCAL = [
    (exceptions.NoCredentialsError(), errors.AuthenticationError, "no"),
    (exceptions.PartialCredentialsError(provider="x", cred_var="y"), errors.AuthenticationError, "no"),
    (exceptions.EndpointConnectionError(endpoint_url="x"), errors.ConnectionFailedError, "always"),
    (exceptions.ProxyConnectionError(proxy_url="x"), errors.ConnectionFailedError, "always"),
    (exceptions.ConnectionClosedError(endpoint_url="x"), errors.ConnectionFailedError, "idempotent"),
    (exceptions.HTTPClientError(error="x"), errors.ConnectionFailedError, "idempotent"),
    (ConnectionResetError(), errors.ConnectionFailedError, "idempotent"),
    (exceptions.ConnectTimeoutError(endpoint_url="x"), errors.OperationTimeoutError, "always"),
    (exceptions.ReadTimeoutError(endpoint_url="x"), errors.OperationTimeoutError, "idempotent"),
    (TimeoutError(), errors.OperationTimeoutError, "idempotent"),
    (exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2), errors.IntegrityError, "idempotent"),
    (exceptions.ResponseStreamingError(error="x"), errors.IntegrityError, "idempotent"),
    (exceptions.FlexibleChecksumError(error_msg="x"), errors.IntegrityError, "idempotent"),
    (exceptions.ParamValidationError(report="x"), errors.InvalidRequestError, "no"),
    (
        exceptions.SSLError(endpoint_url="x", error="[SSL: CERTIFICATE_VERIFY_FAILED]"),
        errors.CertificateError,
        "no",
    ),
    (ssl.SSLCertVerificationError("x"), errors.CertificateError, "no"),
    (exceptions.SSLError(endpoint_url="x", error="EOF"), errors.ConnectionFailedError, "idempotent"),
]


def answer(code, status, operation="GetObject", *, request_id="R1", headers=None, **details):
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers or {}}
    if request_id:
        metadata["RequestId"] = request_id
    return ClientError({"Error": {"Code": code, "Message": "m", **details}, "ResponseMetadata": metadata}, operation)


@pytest.mark.parametrize(("code", "status", "operation", "kind", "retry"), ANSWERS)
def test_answer(code, status, operation, kind, retry):
    failure = classify(answer(code, status, operation))
    assert (failure.error, failure.retry) == (kind, retry)
    assert (failure.status, failure.code, failure.request_id, failure.reason) == (status, code, "R1", "m")


@pytest.mark.parametrize(("code", "status"), FOREIGN)
def test_answer_of_something_else_is_not_a_missing_object(code, status):
    failure = classify(answer(code, status, request_id=None))
    assert (failure.error, failure.retry) == (errors.ForeignAnswerError, "no")
    assert "s3_endpoint_url" in failure.hint


@pytest.mark.parametrize(("error", "kind", "retry"), LOCAL, ids=lambda value: type(value).__name__)
def test_what_did_not_reach_the_service(error, kind, retry):
    failure = classify(error)
    assert (failure.error, failure.retry) == (kind, retry)


def test_only_not_found_is_not_found():
    for code, status, operation, kind, _ in ANSWERS:
        assert issubclass(kind, errors.NotFoundError) == (status == 404), (code, operation)


def test_every_exception_of_botocore_means_something():
    for kind in vars(exceptions).values():
        if isinstance(kind, type) and issubclass(kind, exceptions.BotoCoreError):
            error = kind.__new__(kind)
            Exception.__init__(error, "x")
            assert issubclass(classify(error).error, StoreError)


@pytest.mark.parametrize(
    "error",
    [
        answer("PermanentRedirect", 301, headers={"x-amz-bucket-region": "eu-west-3"}),
        answer("301", 301, "HeadBucket", headers={"x-amz-bucket-region": "eu-west-3"}),
        answer("400", 400, "HeadBucket", headers={"x-amz-bucket-region": "eu-west-3"}),
        answer("AuthorizationHeaderMalformed", 400, Region="eu-west-3"),
    ],
)
def test_wrong_region_is_named(error):
    assert "eu-west-3" in classify(error).hint


def test_clock_is_named():
    failure = classify(answer("RequestTimeTooSkewed", 403, headers={"date": "Fri, 20 Nov 2026 21:11:18 GMT"}))
    assert "clock" in failure.hint
    assert "20 Nov 2026" in failure.hint


def test_retry_after():
    def after(headers):
        return classify(answer("SlowDown", 503, headers=headers)).retry_after

    assert after({"Retry-After": "7"}) == 7
    assert after({"x-amz-retry-after": "1500"}) == 1.5
    assert 50 < after({"retry-after": format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)}) <= 60
    assert after({"retry-after": "soon"}) is None
    assert after({}) is None


def test_error_of_one_key():
    error = item_error({"Key": "k", "Code": "AccessDenied", "Message": "no"}, "b")
    assert isinstance(error, errors.PermissionDeniedError)
    assert (error.bucket, error.key, error.code, error.reason) == ("b", "k", "AccessDenied", "no")


def test_bugs_are_not_the_services():
    for error in (ZeroDivisionError(), AttributeError(), OSError(28, "full"), KeyboardInterrupt()):
        assert classify(error) is None
