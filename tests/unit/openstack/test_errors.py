"""What every status and every exception below the driver means."""

import inspect
import io
import pickle
import ssl

import pytest

pytest.importorskip("keystoneauth1")

from keystoneauth1 import exceptions
from urllib3 import HTTPHeaderDict
from urllib3 import exceptions as wire

from cloudbridge_store import errors
from cloudbridge_store.drivers.openstack.errors import AnswerError, classify

NAMED = {"x-trans-id": "tx1"}
BARE = (errors.StoreError, errors.ProviderInternalException)


def answered(status, method="GET", bucket="b", key="k", headers=NAMED, body=b"<html><h1>No</h1></html>"):
    return classify(AnswerError(method, bucket, key, status, headers, body))


@pytest.mark.parametrize(
    ("status", "kind", "retry"),
    [
        (304, errors.NotModifiedError, "no"),
        (400, errors.InvalidRequestError, "no"),
        (401, errors.AuthenticationError, "no"),
        (402, errors.QuotaExceededError, "no"),
        (403, errors.PermissionDeniedError, "no"),
        (404, errors.NotFoundError, "no"),
        (405, errors.UnsupportedOperationError, "no"),
        (408, errors.OperationTimeoutError, "idempotent"),
        (409, errors.ConflictError, "no"),
        (411, errors.InvalidRequestError, "no"),
        (412, errors.PreconditionFailedError, "no"),
        (413, errors.ThrottledError, "always"),
        (416, errors.InvalidRangeError, "no"),
        (422, errors.IntegrityError, "always"),
        (423, errors.ConflictError, "no"),
        (429, errors.ThrottledError, "always"),
        (497, errors.PermissionDeniedError, "no"),
        (498, errors.ThrottledError, "always"),
        (499, errors.ConnectionFailedError, "idempotent"),
        *((status, errors.ServiceUnavailableError, "idempotent") for status in (500, 502, 503, 504)),
        (501, errors.UnsupportedOperationError, "no"),
        (507, errors.QuotaExceededError, "no"),
        (418, errors.InvalidRequestError, "no"),
        (301, errors.ForeignAnswerError, "no"),
    ],
)
def test_statuses(status, kind, retry):
    failure = answered(status, headers={**NAMED, "retry-after": "7"})
    assert (failure.error, failure.retry, failure.status) == (kind, retry, status)
    assert (failure.request_id, failure.retry_after, failure.reason) == ("tx1", 7.0, "No")


def test_what_is_too_large_is_no_matter_of_time():
    assert answered(413).error is errors.QuotaExceededError


def test_an_answer_means_the_same_in_another_process():
    error = AnswerError("GET", "b", None, 404, HTTPHeaderDict({"X-Trans-Id": "tx1", "Retry-After": "7"}), b"No")
    assert classify(pickle.loads(pickle.dumps(error))) == classify(error)


def test_what_is_missing():
    assert answered(404, "PUT").error is errors.BucketNotFoundError
    assert answered(404, key=None).error is errors.BucketNotFoundError
    assert answered(404, bucket=None, key=None).error is errors.NotFoundError
    assert answered(409, "DELETE", key=None).error is errors.BucketNotEmptyError
    assert answered(412, "PUT", key=None).error is errors.InvalidRequestError


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 405, 409, 412])
def test_who_names_no_request_is_somebody_else(status):
    failure = answered(status, headers={})
    assert failure.error is errors.ForeignAnswerError
    assert "os_auth_url" in failure.hint


def test_a_reason_is_short_and_tells_no_secret():
    failure = answered(400, body=b"X-Auth-Token: geheim " + b"x" * 5000)
    assert "geheim" not in failure.reason
    assert len(failure.reason) <= 300
    assert answered(400, body=b"").reason == "status 400"


def kinds(module, root):
    return sorted(
        {kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, root)},
        key=lambda kind: kind.__name__,
    )


@pytest.mark.parametrize("kind", kinds(exceptions, exceptions.ClientException), ids=lambda kind: kind.__name__)
def test_every_exception_of_keystoneauth_has_a_meaning(kind):
    error = kind.__new__(kind)
    Exception.__init__(error, "said so")
    error.message = error.details = "said so"
    error.response = error.request_id = None
    error.http_status = getattr(kind, "http_status", 0)
    failure = classify(error)
    assert failure is not None
    assert failure.error not in BARE
    assert failure.hint or failure.retry != "no" or failure.error is errors.QuotaExceededError


@pytest.mark.parametrize("kind", kinds(wire, wire.HTTPError), ids=lambda kind: kind.__name__)
def test_every_exception_of_urllib3_has_a_meaning(kind):
    if issubclass(kind, Warning):
        pytest.skip("a warning, which is not raised")
    error = kind.__new__(kind)
    Exception.__init__(error, "said so")
    # What two of them show of themselves.
    error.partial, error.expected, error.length, error.response = 0, 1, 1, io.BytesIO()
    failure = classify(error)
    assert failure is not None
    assert failure.error is not errors.StoreError


@pytest.mark.parametrize(
    ("error", "kind", "retry"),
    [
        (TimeoutError("slow"), errors.OperationTimeoutError, "idempotent"),
        (ConnectionResetError("reset"), errors.ConnectionFailedError, "idempotent"),
        (ConnectionRefusedError("refused"), errors.ConnectionFailedError, "always"),
        (wire.ProxySchemeUnsupported("ftp"), errors.InvalidRequestError, "no"),
        (wire.ProtocolError("aborted", ConnectionResetError("reset")), errors.ConnectionFailedError, "idempotent"),
        (ssl.SSLCertVerificationError("bad"), errors.CertificateError, "no"),
        (wire.SSLError(ssl.SSLError("WRONG_VERSION_NUMBER")), errors.ConnectionFailedError, "no"),
        (exceptions.ConnectTimeout("slow"), errors.OperationTimeoutError, "always"),
        (exceptions.ConnectFailure("no"), errors.ConnectionFailedError, "always"),
        (exceptions.Unauthorized("no"), errors.AuthenticationError, "no"),
        (exceptions.EndpointNotFound("none"), errors.ProviderConnectionException, "no"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_connections_and_logins(error, kind, retry):
    failure = classify(error)
    assert (failure.error, failure.retry) == (kind, retry)


def test_a_bug_is_nobodys():
    assert classify(ValueError("oops")) is None
    assert classify(KeyError("oops")) is None
