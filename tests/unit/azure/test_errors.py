"""What the exceptions of azure-core, of the connection, and the service's codes mean."""

import http.client
import re
import ssl
import time
from email.utils import formatdate

import pytest

pytest.importorskip("azure.storage.blob")

from azure.core import exceptions
from azure.storage.blob import StorageErrorCode
from urllib3 import exceptions as urllib3_errors

from cloudbridge_store import errors
from cloudbridge_store.drivers.azure.codes import BY_CODE
from cloudbridge_store.drivers.azure.errors import classify, item_error
from cloudbridge_store.errors import StoreError

ANSWERS = [
    ("BlobNotFound", 404, errors.ObjectNotFoundError, "no"),
    ("ContainerNotFound", 404, errors.BucketNotFoundError, "no"),
    ("ContainerAlreadyExists", 409, errors.DuplicateResourceException, "no"),
    ("ContainerBeingDeleted", 409, errors.BeingDeletedError, "always"),
    ("BlobAlreadyExists", 409, errors.PreconditionFailedError, "no"),
    ("ConditionNotMet", 412, errors.PreconditionFailedError, "no"),
    ("ConditionNotMet", 304, errors.NotModifiedError, "no"),
    ("LeaseIdMissing", 412, errors.LockedError, "no"),
    ("BlobImmutableDueToPolicy", 409, errors.LockedError, "no"),
    ("BlobArchived", 409, errors.ArchivedError, "no"),
    ("BlobBeingRehydrated", 409, errors.ArchivedError, "no"),
    ("AuthenticationFailed", 403, errors.AuthenticationError, "no"),
    ("InvalidAuthenticationInfo", 401, errors.CredentialsExpiredError, "auth"),
    ("AuthorizationPermissionMismatch", 403, errors.PermissionDeniedError, "no"),
    ("AuthorizationResourceTypeMismatch", 403, errors.PermissionDeniedError, "no"),
    ("AccountIsDisabled", 403, errors.PermissionDeniedError, "no"),
    ("Md5Mismatch", 400, errors.IntegrityError, "always"),
    ("InvalidRange", 416, errors.InvalidRangeError, "no"),
    ("InvalidResourceName", 400, errors.InvalidRequestError, "no"),
    ("InvalidBlobType", 409, errors.InvalidRequestError, "no"),
    ("BlobUsesCustomerSpecifiedEncryption", 409, errors.InvalidRequestError, "no"),
    ("OperationNotAllowedOnRootBlob", 403, errors.ConflictError, "no"),
    ("RequestBodyTooLarge", 413, errors.QuotaExceededError, "no"),
    ("ServerBusy", 503, errors.ThrottledError, "idempotent"),
    ("TooManyRequests", 429, errors.ThrottledError, "always"),
    ("OperationTimedOut", 500, errors.OperationTimeoutError, "idempotent"),
    ("InternalError", 500, errors.ServiceUnavailableError, "idempotent"),
    ("CannotVerifyCopySource", 500, errors.ServiceUnavailableError, "idempotent"),
    ("CannotVerifyCopySource", 403, errors.InvalidRequestError, "no"),
    ("SomethingNew", 400, errors.InvalidRequestError, "no"),
    ("SomethingNew", 403, errors.PermissionDeniedError, "no"),
    ("SomethingNew", 404, errors.NotFoundError, "no"),
    ("SomethingNew", 409, errors.ConflictError, "no"),
    ("SomethingNew", 503, errors.ServiceUnavailableError, "idempotent"),
    ("", 404, errors.NotFoundError, "no"),
]
LOCAL = [
    (urllib3_errors.NameResolutionError("host", None, OSError()), errors.ConnectionFailedError, "always"),
    (urllib3_errors.NewConnectionError(None, "refused"), errors.ConnectionFailedError, "always"),
    (urllib3_errors.ConnectTimeoutError(), errors.OperationTimeoutError, "always"),
    (urllib3_errors.ReadTimeoutError(None, "/", "x"), errors.OperationTimeoutError, "idempotent"),
    (urllib3_errors.ProtocolError("x"), errors.ConnectionFailedError, "idempotent"),
    (urllib3_errors.ProxyError("x", OSError()), errors.ConnectionFailedError, "always"),
    (urllib3_errors.IncompleteRead(1, 2), errors.ConnectionFailedError, "idempotent"),
    (http.client.BadStatusLine("x"), errors.ConnectionFailedError, "idempotent"),
    (TimeoutError(), errors.OperationTimeoutError, "idempotent"),
    (ConnectionResetError(), errors.ConnectionFailedError, "idempotent"),
    (ssl.SSLCertVerificationError("x"), errors.CertificateError, "no"),
    (urllib3_errors.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED]"), errors.CertificateError, "no"),
    (urllib3_errors.SSLError("[SSL: WRONG_VERSION_NUMBER]"), errors.ConnectionFailedError, "no"),
    (urllib3_errors.SSLError("EOF"), errors.ConnectionFailedError, "idempotent"),
    (exceptions.ServiceRequestError("x"), errors.ConnectionFailedError, "idempotent"),
    (exceptions.ServiceResponseError("x"), errors.ConnectionFailedError, "idempotent"),
    (exceptions.ServiceRequestTimeoutError("x"), errors.OperationTimeoutError, "always"),
    (exceptions.ServiceResponseTimeoutError("x"), errors.OperationTimeoutError, "idempotent"),
    (exceptions.ClientAuthenticationError("no identity"), errors.AuthenticationError, "no"),
    (exceptions.AzureError("x"), errors.ProviderInternalException, "no"),
]


class Response:
    def __init__(self, status, code="", body="", **headers):
        named = {"x-ms-error-code": code} if code else {}
        self.status_code, self.reason = status, ""
        self.headers = {"x-ms-request-id": "R1", **named, **headers}
        self.body = body

    def text(self):
        return self.body


def answered(status, code="", body="", **headers):
    error = exceptions.HttpResponseError(message="said so")
    error.response, error.status_code = Response(status, code, body, **headers), status
    return error


@pytest.mark.parametrize(("code", "status", "kind", "retry"), ANSWERS)
def test_answer(code, status, kind, retry):
    failure = classify(answered(status, code))
    assert (failure.error, failure.retry) == (kind, retry)
    assert (failure.status, failure.code, failure.request_id) == (status, code or None, "R1")


@pytest.mark.parametrize(
    ("body", "kind", "retry"),
    [
        ("Signature did not match. String to sign used was", errors.AuthenticationError, "no"),
        ("Signed expiry time [Sat] must be after signed start time", errors.CredentialsExpiredError, "auth"),
        ("Signature not valid in the specified time frame: Start", errors.CredentialsExpiredError, "auth"),
        ("Request date header too old: 'Sat, 21 Nov 2026 11:00:00 GMT'", errors.ClockSkewError, "no"),
        ("Lifetime validation failed. The token is expired.", errors.CredentialsExpiredError, "auth"),
        (
            "The specified signed resource is not allowed for the this resource level",
            errors.PermissionDeniedError,
            "no",
        ),
    ],
)
def test_the_document_tells_why_a_signature_was_refused(body, kind, retry):
    failure = classify(answered(403, "AuthenticationFailed", f"<AuthenticationErrorDetail>{body}", date="Sat"))
    assert (failure.error, failure.retry) == (kind, retry)
    assert failure.hint


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("BlobArchived", 409, "or delete it, to store another"),
        ("CannotVerifyCopySource", 403, "permits reading"),
        ("DirectoryIsNotEmpty", 409, "first delete what is in it"),
        ("PendingCopyOperation", 409, "wait, or abort it"),
        ("LeaseIdMissing", 412, "Somebody has a lease on it"),
        ("ResourceNotFound", 404, "Without credentials"),
        ("LeaseNotPresentWithBlobOperation", 412, "leave x-ms-lease-id out"),
        ("LeaseIdMismatchWithBlobOperation", 412, "acquire one anew"),
        ("RequestForbiddenByContainerEncryptionPolicy", 403, "x-ms-encryption-scope"),
    ],
)
def test_what_to_do(code, status, said):
    assert said in classify(answered(status, code)).hint


@pytest.mark.parametrize(("ahead", "kind"), [(0, errors.AuthenticationError), (3600, errors.ClockSkewError)])
def test_a_clock_that_differs_shows_without_a_document(ahead, kind):
    there = formatdate(time.time() + ahead, usegmt=True)
    failure = classify(answered(403, "AuthenticationFailed", Date=there))
    assert failure.error is kind
    assert failure.hint


@pytest.mark.parametrize("status", [200, 301, 302, 400, 403, 404, 405])
def test_somebody_else_answered(status):
    error = answered(status)
    error.response.headers = {}
    failure = classify(error)
    assert (failure.error, failure.retry) == (errors.ForeignAnswerError, "no")
    assert "azure_endpoint_url" in failure.hint


@pytest.mark.parametrize(("error", "kind", "retry"), LOCAL, ids=lambda each: type(each).__name__)
def test_what_is_no_answer(error, kind, retry):
    failure = classify(error)
    assert (failure.error, failure.retry) == (kind, retry)
    assert failure.reason


def test_what_others_wrap_is_found():
    refused = urllib3_errors.NameResolutionError("host", None, OSError())
    retries = urllib3_errors.MaxRetryError(None, "/", refused)
    for error in (retries, exceptions.ServiceRequestError(retries, error=retries)):
        failure = classify(error)
        assert (failure.error, failure.retry) == (errors.ConnectionFailedError, "always")
        assert "azure_storage_account" in failure.hint


def test_a_proxy_that_cannot_be_reached_is_not_taken_for_the_service():
    for below in (
        urllib3_errors.NameResolutionError("proxy", None, OSError()),
        urllib3_errors.NewConnectionError(None, "refused"),
        OSError(),
    ):
        failure = classify(urllib3_errors.ProxyError("Unable to connect to proxy", below))
        assert (failure.error, failure.retry) == (errors.ConnectionFailedError, "always")
        assert "HTTPS_PROXY" in failure.hint
    untrusted = urllib3_errors.ProxyError("x", urllib3_errors.SSLError("CERTIFICATE_VERIFY_FAILED"))
    assert classify(untrusted).error is errors.CertificateError


@pytest.mark.parametrize(("status", "retry"), [("407 Proxy Authentication Required", "no"), ("502 Bad", "always")])
def test_a_proxy_that_refuses(status, retry):
    cause = OSError(f"Tunnel connection failed: {status}")
    failure = classify(urllib3_errors.ProtocolError("Connection aborted.", cause))
    assert (failure.error, failure.retry) == (errors.ConnectionFailedError, retry)
    assert "proxies" in failure.hint


@pytest.mark.parametrize("headers", [{"x-ms-request-id": "R1"}, {}], ids=["named", "not named"])
@pytest.mark.parametrize("status", [400, 401])
def test_entra_id_refuses(status, headers):
    """Its answers are not the Blob service's: they say 400 to a wrong tenant or secret."""
    error = exceptions.ClientAuthenticationError("Authentication failed: AADSTS7000215: Invalid client secret")
    error.response, error.status_code = Response(status), status
    error.response.headers = headers
    failure = classify(error)
    assert (failure.error, failure.retry) == (errors.AuthenticationError, "no")
    assert "AADSTS7000215" in failure.reason
    assert "azure_secret" in failure.hint


@pytest.mark.parametrize(("status", "kind"), [(429, errors.ThrottledError), (503, errors.ServiceUnavailableError)])
def test_entra_id_is_busy(status, kind):
    error = exceptions.ClientAuthenticationError("temporarily_unavailable")
    error.response, error.status_code = Response(status), status
    assert (classify(error).error, classify(error).retry) == (kind, "always")


@pytest.mark.parametrize(
    "below", [urllib3_errors.NewConnectionError(None, "refused"), urllib3_errors.ProtocolError("reset")]
)
def test_entra_id_cannot_be_reached(below):
    error = exceptions.ClientAuthenticationError("Authentication failed: ...")
    error.__cause__ = exceptions.ServiceRequestError("...", error=below)
    failure = classify(error)
    assert (failure.error, failure.retry) == (errors.ConnectionFailedError, "always")
    assert "AZURE_AUTHORITY_HOST" in failure.hint


def test_what_is_nobodys():
    for error in (ValueError("x"), OSError("x"), KeyError("x"), StopIteration()):
        assert classify(error) is None


def test_a_reason_has_no_signature():
    error = urllib3_errors.ProtocolError("https://a.blob.core.windows.net/c/k?sv=1&sig=geheim failed")
    assert "geheim" not in classify(error).reason
    error = answered(403, "AuthorizationFailure")
    error.message = "https://a.blob.core.windows.net/c/k?sv=1&sig=geheim"
    assert "geheim" not in classify(error).reason


@pytest.mark.parametrize(("header", "seconds"), [("3", 3.0), ("0.5", 0.5), ("soon", None), ("-1", 0.0)])
def test_retry_after(header, seconds):
    assert classify(answered(503, "ServerBusy", **{"Retry-After": header})).retry_after == seconds


def test_retry_after_in_milliseconds():
    assert classify(answered(503, "ServerBusy", **{"x-ms-retry-after-ms": "250"})).retry_after == 0.25


OTHER_SERVICES = re.compile(
    "Share|^ContainerQuota|^SourcePath|^LeaseNameMismatch|^LeaseIsAlreadyBroken|^ContentLengthMust|^InvalidSourceOr"
)
"""Codes of Azure Files and Data Lake, which the SDK's list also has."""


@pytest.mark.parametrize("code", sorted({code.value for code in StorageErrorCode}))
def test_every_code_of_the_sdk_has_a_meaning(code):
    assert code in BY_CODE or code == "AuthenticationFailed" or OTHER_SERVICES.search(code)


TESTED_ABOVE = (http.client.IncompleteRead, urllib3_errors.InvalidChunkLength, exceptions.ODataV4Error)
"""They cannot be made without more."""


def exception_classes():
    found = {kind for kind in vars(exceptions).values() if isinstance(kind, type) and issubclass(kind, Exception)}
    found |= {kind for kind in vars(urllib3_errors).values() if isinstance(kind, type) and issubclass(kind, Exception)}
    other = {kind for kind in found if issubclass(kind, (Warning, *TESTED_ABOVE)) or kind.__module__ == "email.errors"}
    return sorted(found - other - {Exception, TimeoutError}, key=lambda kind: f"{kind.__module__}.{kind.__name__}")


@pytest.mark.parametrize("kind", exception_classes(), ids=lambda kind: kind.__name__)
def test_every_exception_has_a_meaning(kind):
    error = kind.__new__(kind)
    Exception.__init__(error, "said so")
    failure = classify(error)
    bare = failure is None or failure.error in (StoreError, errors.ProviderInternalException)
    assert bare is (kind.__name__ in WITHOUT_MEANING), failure


_MISUSE = "how the SDK is called is broken: nothing that a user could do about it"
WITHOUT_MEANING = {
    "AzureError": "the root of all others",
    "HttpResponseError": "without an answer it says nothing",
    **dict.fromkeys(("StreamConsumedError", "StreamClosedError", "ResponseNotReadError"), _MISUSE),
    **dict.fromkeys(("ResourceExistsError", "ResourceNotFoundError"), "without an answer they say nothing"),
    **dict.fromkeys(("ResourceModifiedError", "ResourceNotModifiedError"), "without an answer they say nothing"),
    "BackgroundTaskException": _MISUSE,
}


def test_an_item_of_a_batch():
    error = item_error(403, "AuthorizationPermissionMismatch", "may not", "b", "k")
    assert (type(error), error.bucket, error.key) == (errors.PermissionDeniedError, "b", "k")
    assert "This takes d to delete" in str(error)
