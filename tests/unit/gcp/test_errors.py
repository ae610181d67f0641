"""What the SDK's exceptions, and those of the connection below it, mean."""

import http.client
import json
import ssl

import google.auth.exceptions as auth
import pytest
import requests
import urllib3.exceptions as wire
from google.api_core import exceptions as sdk

from cloudbridge_store import errors
from cloudbridge_store.drivers.gcp.answers import reason_of, refusal
from cloudbridge_store.drivers.gcp.errors import classify
from cloudbridge_store.drivers.gcp.wire import Answer

JSON = [
    (400, "invalid", "Invalid argument", errors.InvalidRequestError, "no"),
    (400, "required", "Required parameter: project", errors.InvalidRequestError, "no"),
    (400, "invalid", "Provided MD5 hash \"a\" doesn't match calculated MD5 hash \"b\".", errors.IntegrityError, "always"),
    (400, "invalid", "Provided CRC32C \"a\" doesn't match calculated CRC32C \"b\".", errors.IntegrityError, "always"),
    (400, "parseError", "Parse Error", errors.IntegrityError, "always"),
    (400, "resourceIsEncryptedWithCustomerEncryptionKey", "is encrypted", errors.InvalidRequestError, "no"),
    (400, "customerEncryptionKeyIsIncorrect", "wrong key", errors.InvalidRequestError, "no"),
    (400, "userProjectMissing", "Bucket is a requester pays bucket", errors.PermissionDeniedError, "no"),
    (401, "authError", "Invalid Credentials", errors.CredentialsExpiredError, "auth"),
    (401, "required", "Login Required.", errors.AuthenticationError, "no"),
    (401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", errors.CredentialsExpiredError, "auth"),
    (401, "UNAUTHENTICATED", "Request is missing a credential", errors.AuthenticationError, "auth"),
    (401, "required", "Anonymous caller does not have storage.objects.get access", errors.PermissionDeniedError, "no"),
    (403, "forbidden", "a@b does not have storage.objects.get access", errors.PermissionDeniedError, "no"),
    (403, "retentionPolicyNotMet", "Object is subject to a policy", errors.LockedError, "no"),
    (403, "forbidden", "Object 'b/o' is under active Temporary hold", errors.LockedError, "no"),
    (403, "forbidden", "Object 'b/o' is subject to bucket's retention policy and cannot be", errors.LockedError, "no"),
    (403, "rateLimitExceeded", "slow down", errors.ThrottledError, "always"),
    (403, "forbidden", "Rate Limit Exceeded", errors.ThrottledError, "always"),
    (403, "quotaExceeded", "too much", errors.QuotaExceededError, "no"),
    (403, "userProjectAccessDenied", "no", errors.PermissionDeniedError, "no"),
    (403, "forbidden", "The billing account for the owning project is disabled", errors.PermissionDeniedError, "no"),
    (404, "notFound", "No such object: b/o", errors.ObjectNotFoundError, "no"),
    (404, "notFound", "The specified bucket does not exist.", errors.BucketNotFoundError, "no"),
    (404, "notFound", "Not Found", errors.NotFoundError, "no"),
    (404, "notFound", "Object b/o is soft-deleted", errors.ObjectNotFoundError, "no"),
    (405, "methodNotAllowed", "no", errors.UnsupportedOperationError, "no"),
    (408, "uploadBrokenConnection", "broken", errors.OperationTimeoutError, "idempotent"),
    (409, "conflict", "You already own this bucket. Please select another name.", errors.DuplicateResourceException, "no"),
    (409, "conflict", "The requested bucket name is not available.", errors.DuplicateResourceException, "no"),
    (409, "conflict", "The bucket you tried to delete is not empty.", errors.BucketNotEmptyError, "no"),
    (409, "conflict", "The metadata was edited", errors.ConflictError, "no"),
    (410, "gone", "gone", errors.UploadNotFoundError, "no"),
    (411, "lengthRequired", "no length", errors.InvalidRequestError, "no"),
    (412, "conditionNotMet", "did not hold", errors.PreconditionFailedError, "no"),
    (412, "orgPolicyConstraintFailed", "constraints/storage.publicAccessPrevention", errors.PermissionDeniedError, "no"),
    (412, "conditionNotMet", "public access prevention is enforced.", errors.PermissionDeniedError, "no"),
    (413, "uploadTooLarge", "too large", errors.QuotaExceededError, "no"),
    (416, "requestedRangeNotSatisfiable", "range", errors.InvalidRangeError, "no"),
    (429, "rateLimitExceeded", "slow down", errors.ThrottledError, "always"),
    (499, "clientClosed", "went away", errors.ConnectionFailedError, "idempotent"),
    (500, "backendError", "oops", errors.ServiceUnavailableError, "idempotent"),
    (502, "badGateway", "oops", errors.ServiceUnavailableError, "idempotent"),
    (503, "backendError", "oops", errors.ServiceUnavailableError, "idempotent"),
    (503, "rateLimitExceeded", "oops", errors.ThrottledError, "idempotent"),
    (504, "gatewayTimeout", "oops", errors.ServiceUnavailableError, "idempotent"),
]  # fmt: skip
# Names of accounts, buckets and keys stand in the texts, and may be any word.
_TO = "does not have storage.objects.list access to the Google Cloud Storage bucket."
NAMES = [
    (403, "forbidden", f"retention-job@p.iam.gserviceaccount.com {_TO}", errors.PermissionDeniedError),
    (403, "forbidden", f"threshold@p.iam.gserviceaccount.com {_TO}", errors.PermissionDeniedError),
    (403, "forbidden", f"rate-limiter@p.iam.gserviceaccount.com {_TO}", errors.PermissionDeniedError),
    (404, "notFound", "No such object: my-bucket/not found.html", errors.ObjectNotFoundError),
    (404, "notFound", "No such object: b/the specified bucket does not exist", errors.ObjectNotFoundError),
    (404, "notFound", "No such object: soft-deleted/a", errors.ObjectNotFoundError),
    (400, "invalid", "Invalid bucket name: 'hash-match'", errors.InvalidRequestError),
    (400, "customerEncryptionKeySha256IsInvalid", "The SHA256 hash of the encryption key does not match the key.",
     errors.InvalidRequestError),
]  # fmt: skip
XML = [
    (400, "BadDigest", errors.IntegrityError, "always"),
    (400, "EntityTooSmall", errors.InvalidRequestError, "no"),
    (400, "EntityTooLarge", errors.QuotaExceededError, "no"),
    (400, "ExpiredToken", errors.CredentialsExpiredError, "auth"),
    (400, "InvalidPart", errors.InvalidRequestError, "no"),
    (400, "NotImplemented", errors.UnsupportedOperationError, "no"),
    (400, "RequestTimeout", errors.OperationTimeoutError, "idempotent"),
    (401, "AuthenticationRequired", errors.AuthenticationError, "auth"),
    (403, "AccessDenied", errors.PermissionDeniedError, "no"),
    (403, "ObjectUnderActiveHold", errors.LockedError, "no"),
    (403, "RequestTimeTooSkewed", errors.ClockSkewError, "no"),
    (403, "SignatureDoesNotMatch", errors.AuthenticationError, "no"),
    (404, "NoSuchBucket", errors.BucketNotFoundError, "no"),
    (404, "NoSuchKey", errors.ObjectNotFoundError, "no"),
    (404, "NoSuchUpload", errors.UploadNotFoundError, "no"),
    (409, "BucketNotEmpty", errors.BucketNotEmptyError, "no"),
    (409, "BucketNameUnavailable", errors.DuplicateResourceException, "no"),
    (412, "PreconditionFailed", errors.PreconditionFailedError, "no"),
    (416, "InvalidRange", errors.InvalidRangeError, "no"),
    (429, "SlowDown", errors.ThrottledError, "always"),
    (500, "InternalError", errors.ServiceUnavailableError, "idempotent"),
    (503, "ServiceUnavailable", errors.ServiceUnavailableError, "idempotent"),
    (503, "SlowDown", errors.ThrottledError, "idempotent"),
]
BARE = [
    (200, errors.ForeignAnswerError, "no"),
    (302, errors.ForeignAnswerError, "no"),
    (308, errors.ForeignAnswerError, "no"),
    (304, errors.NotModifiedError, "no"),
    (400, errors.ForeignAnswerError, "no"),
    (401, errors.AuthenticationError, "no"),
    (403, errors.PermissionDeniedError, "no"),
    (404, errors.ForeignAnswerError, "no"),
    (405, errors.ForeignAnswerError, "no"),
    (418, errors.InvalidRequestError, "no"),
    (429, errors.ThrottledError, "always"),
    (500, errors.ServiceUnavailableError, "idempotent"),
    (501, errors.UnsupportedOperationError, "no"),
    (507, errors.ServiceUnavailableError, "idempotent"),
]


def in_json(status, reason, message, **headers):
    error = {"code": status, "message": message, "errors": [{"reason": reason, "message": message, "domain": "global"}]}
    return Answer(status, headers, json.dumps({"error": error}).encode())


def in_xml(status, code):
    return Answer(status, {}, f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message></Error>".encode())


@pytest.mark.parametrize(("status", "reason", "message", "kind", "retry"), JSON)
def test_reasons_of_the_json_interface(status, reason, message, kind, retry):
    error = refusal(in_json(status, reason, message))
    found = classify(error)
    assert (found.error, found.retry, found.status, found.code, found.reason) == (
        kind,
        retry,
        status,
        reason,
        message.removesuffix("."),
    )
    assert isinstance(error, sdk.GoogleAPICallError)


@pytest.mark.parametrize(("status", "reason", "message", "kind"), NAMES)
def test_names_in_a_text_do_not_say_what_it_means(status, reason, message, kind):
    found = classify(refusal(in_json(status, reason, message)))
    assert (found.error, found.retry) == (kind, "no")
    assert "restored" not in found.hint


@pytest.mark.parametrize(("status", "code", "kind", "retry"), XML)
def test_codes_of_the_xml_interface(status, code, kind, retry):
    found = classify(refusal(in_xml(status, code)))
    assert (found.error, found.retry, found.code, found.reason) == (kind, retry, code, "m")


@pytest.mark.parametrize(("status", "kind", "retry"), BARE)
@pytest.mark.parametrize("body", [b"", b"<!DOCTYPE html><html><body>Log in</body></html>"], ids=["empty", "page"])
def test_answers_of_which_nobody_says_what_they_mean(status, kind, retry, body):
    found = classify(refusal(Answer(status, {"content-type": "text/html"}, body)))
    assert (found.error, found.retry, found.status) == (kind, retry, status)


def test_text_alone_where_content_was_asked_for():
    answer = Answer(404, {"x-guploader-uploadid": "R1"}, b"No such object: b/o")
    found = classify(refusal(answer))
    assert (found.error, found.reason, found.request_id) == (errors.ObjectNotFoundError, "No such object: b/o", "R1")


def test_a_token_that_is_refused_in_text_alone_can_be_renewed():
    found = classify(refusal(Answer(401, {"x-guploader-uploadid": "R1"}, b"Invalid Credentials")))
    assert (found.error, found.retry) == (errors.CredentialsExpiredError, "auth")
    found = classify(refusal(Answer(401, {"x-guploader-uploadid": "R1"}, b"")))
    assert (found.error, found.retry) == (errors.AuthenticationError, "auth")
    anonymous = b"Anonymous caller does not have storage.objects.get access to the Google Cloud Storage object."
    found = classify(refusal(Answer(401, {"x-guploader-uploadid": "R1"}, anonymous)))
    assert (found.error, found.retry) == (errors.PermissionDeniedError, "no")


def test_what_an_answer_says_beside_its_error():
    headers = {"Retry-After": "7", "X-GUploader-UploadID": "R2", "Date": "Sat, 21 Nov 2026 00:00:00 GMT"}
    found = classify(refusal(in_json(429, "rateLimitExceeded", "slow", **headers)))
    assert (found.retry_after, found.request_id) == (7.0, "R2")
    late = Answer(403, headers, in_xml(403, "RequestTimeTooSkewed").data)
    assert "21 Nov 2026" in classify(refusal(late)).hint


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}', ("INVALID_ARGUMENT", "m")),
        (b'{"error": "invalid_grant"}', ("invalid_grant", "")),
        (b'{"error": {"errors": [{"reason": "r", "message": "inner"}]}}', ("r", "inner")),
        (b'{"error": 5}', ("", "")),
        (b'{"else": 5}', ("", "")),
        (b"{broken", ("", "")),
        (b"<broken", ("", "")),
        (b"<Other/>", ("", "")),
        (b"<Error xmlns='http://a'><Code>C</Code><Message>m</Message><Details>d</Details></Error>", ("C", "m d")),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><Error><Code>&b;</Code></Error>', ("", "")),
        (b"", ("", "")),
        (b"text", ("", "")),
    ],
)
def test_what_is_read_from_a_refusal(data, found):
    assert reason_of(Answer(400, {}, data)) == found


CONNECTION = [
    (wire.ConnectTimeoutError(), errors.OperationTimeoutError, "always"),
    (wire.NewConnectionError(None, "refused"), errors.ConnectionFailedError, "always"),
    (wire.NameResolutionError("h", None, OSError()), errors.ConnectionFailedError, "always"),
    (wire.ProxyError("p", OSError()), errors.ConnectionFailedError, "always"),
    (wire.ReadTimeoutError(None, "/", "late"), errors.OperationTimeoutError, "idempotent"),
    (TimeoutError(), errors.OperationTimeoutError, "idempotent"),
    (wire.ProtocolError("reset"), errors.ConnectionFailedError, "idempotent"),
    (wire.IncompleteRead(1, 2), errors.ConnectionFailedError, "idempotent"),
    (http.client.IncompleteRead(b""), errors.ConnectionFailedError, "idempotent"),
    (ConnectionResetError(), errors.ConnectionFailedError, "idempotent"),
    (wire.SSLError("CERTIFICATE_VERIFY_FAILED"), errors.CertificateError, "no"),
    (ssl.SSLCertVerificationError(), errors.CertificateError, "no"),
    (wire.SSLError("[SSL: WRONG_VERSION_NUMBER]"), errors.ConnectionFailedError, "no"),
    (ssl.SSLError("other"), errors.ConnectionFailedError, "idempotent"),
    (auth.DefaultCredentialsError("none"), errors.AuthenticationError, "no"),
    (auth.RefreshError("invalid_grant: Invalid JWT Signature."), errors.AuthenticationError, "no"),
    (auth.RefreshError("Invalid JWT: check your iat and exp values"), errors.ClockSkewError, "no"),
    (auth.RefreshError("initial account is expired"), errors.AuthenticationError, "no"),
    (auth.RefreshError("busy", retryable=True), errors.ServiceUnavailableError, "always"),
    (auth.MalformedError("x"), errors.AuthenticationError, "no"),
    (requests.exceptions.ConnectTimeout("x"), errors.OperationTimeoutError, "always"),
    (requests.exceptions.ReadTimeout("x"), errors.OperationTimeoutError, "idempotent"),
    (requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED"), errors.CertificateError, "no"),
    (requests.exceptions.SSLError("x"), errors.ConnectionFailedError, "idempotent"),
    (requests.exceptions.ProxyError("x"), errors.ConnectionFailedError, "idempotent"),
    (requests.exceptions.ConnectionError("x"), errors.ConnectionFailedError, "idempotent"),
    (requests.exceptions.ChunkedEncodingError("x"), errors.ConnectionFailedError, "idempotent"),
    (requests.exceptions.InvalidURL("x"), errors.InvalidRequestError, "no"),
    (auth.TransportError("no answer"), errors.ConnectionFailedError, "always"),
    (sdk.RetryError("tried", ConnectionResetError()), errors.ConnectionFailedError, "idempotent"),
    (sdk.RetryError("tried", None), errors.OperationTimeoutError, "idempotent"),
    (sdk.GoogleAPIError("odd"), errors.ProviderInternalException, "no"),
    (sdk.DeadlineExceeded("late"), errors.ServiceUnavailableError, "idempotent"),
]


@pytest.mark.parametrize(("error", "kind", "retry"), CONNECTION, ids=lambda each: type(each).__name__)
def test_what_is_below_and_beside_answers(error, kind, retry):
    found = classify(error)
    assert (found.error, found.retry) == (kind, retry)
    assert found.reason


def test_a_token_that_could_not_be_asked_for_leaves_nothing_in_doubt():
    outer = auth.TransportError("x")
    outer.__cause__ = wire.ReadTimeoutError(None, "/", "late")
    found = classify(outer)
    assert (found.error, found.retry) == (errors.OperationTimeoutError, "always")
    assert "token" in found.reason


def test_an_answer_that_google_auth_keeps_in_its_error_is_not_shown():
    found = classify(auth.TransportError("Failed to retrieve a token.", b'{"access_token": "geheim"}'))
    assert found.reason == "Failed to retrieve a token"
    assert (
        classify(auth.DefaultCredentialsError("Failed.", ValueError("x is missing."))).reason == "Failed: x is missing"
    )


def test_a_metadata_server_that_does_not_answer_is_asked_again():
    """google.auth says of it that the credentials could not be refreshed."""
    lost = auth.TransportError("unreachable")
    lost.__cause__ = wire.NewConnectionError(None, "refused")
    outer = auth.RefreshError(lost)
    outer.__cause__ = lost
    found = classify(outer)
    assert (found.error, found.retry) == (errors.ConnectionFailedError, "always")


def everything_below(kind):
    yield kind
    for each in kind.__subclasses__():
        yield from everything_below(each)


@pytest.mark.parametrize(
    "base", [auth.GoogleAuthError, sdk.GoogleAPIError, wire.HTTPError, requests.exceptions.RequestException]
)
def test_no_class_is_forgotten(base):
    for kind in set(everything_below(base)):
        error = type(kind.__name__, (kind,), {"__init__": lambda self: None, "__str__": lambda self: "said so"})()
        vars(error).update(args=("said so",), message="said so", _errors=[], _response=None, _cause=None)
        found = classify(error)
        assert found is not None, kind
        assert issubclass(found.error, errors.StoreError), kind


def test_bugs_are_nobodys():
    for error in (ValueError("x"), KeyError("x"), AttributeError("x"), OSError("x")):
        assert classify(error) is None
