"""What the exceptions of azure-core, of the connection below it, and the service's codes mean."""

from __future__ import annotations

import http.client
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, NamedTuple

from azure.core import exceptions
from requests.exceptions import RequestException
from urllib3 import exceptions as urllib3_errors

from cloudbridge_store.drivers.azure.answers import Answer
from cloudbridge_store.drivers.azure.codes import ADDRESS, BY_CODE, BY_STATUS, PERMISSIONS
from cloudbridge_store.drivers.azure.permissions import explained
from cloudbridge_store.drivers.base import Failure
from cloudbridge_store.drivers.http import Meaning, meaning_of_class, seconds_to_wait
from cloudbridge_store.errors import (
    AuthenticationError,
    CertificateError,
    ClockSkewError,
    ConnectionFailedError,
    CredentialsExpiredError,
    ForeignAnswerError,
    InvalidRequestError,
    NotModifiedError,
    OperationTimeoutError,
    PermissionDeniedError,
    ProviderInternalException,
    ServiceUnavailableError,
    StoreError,
    ThrottledError,
)
from cloudbridge_store.redaction import redact

_TLS = "The server's certificate was not accepted: set ca_bundle, or check the address"
_NO_TLS = "The server does not speak TLS there: check the port, or whether it is an http address"
_NAME = "There is no such host: check azure_storage_account and azure_endpoint_url, and this machine's DNS"
_PROXY = "The proxy could not be reached: check proxies, or the environment's HTTPS_PROXY"
_REFUSING = "The proxy leads nowhere: check proxies, its user and password, and whether it permits this address"
_TUNNEL = re.compile(r"Tunnel connection failed: (\d)\d\d")
"""How http.client says that a proxy refused: nothing has reached the service."""
_ENTRA = (
    "What gives out tokens could not be reached: check proxies, ca_bundle, and for another cloud azure_endpoint_suffix "
    "or AZURE_AUTHORITY_HOST"
)
_IDENTITY = (
    "Give azure_storage_key, azure_sas_token, or a service principal (azure_client_id, azure_secret, azure_tenant), "
    "or set azure_anonymous"
)
_CLOCK = "This machine's clock differs from the service's: set it right"
_WRONG = (
    "Check azure_storage_key, azure_sas_token, azure_access_token and azure_storage_account: they do not belong "
    "together, or the signature is for another bucket or object; and tokens are taken by https only"
)
_LEVEL = (
    "The shared access signature is for less: one of an object (sr=b) opens no bucket, and one of a bucket (sr=c) no "
    "account. azure_container names the bucket that it is for"
)
_SHOWN = 500
_TOLERATED = 15 * 60
"""Seconds that the service lets a request be old."""
ENDED = "The shared access signature, or the token, has ended, or has not begun: get a new one"

# The first class that fits counts, so that the special ones come first.
_BY_CLASS: tuple[tuple[tuple[type[BaseException], ...], Meaning], ...] = (
    ((urllib3_errors.NameResolutionError,), Meaning(ConnectionFailedError, "always", _NAME)),
    ((urllib3_errors.ProxyError,), Meaning(ConnectionFailedError, "always", _PROXY)),
    ((urllib3_errors.NewConnectionError,), Meaning(ConnectionFailedError, "always")),
    (
        (urllib3_errors.ConnectTimeoutError, exceptions.ServiceRequestTimeoutError),
        Meaning(OperationTimeoutError, "always"),
    ),
    (
        (urllib3_errors.TimeoutError, exceptions.ServiceResponseTimeoutError, TimeoutError),
        Meaning(OperationTimeoutError, "idempotent"),
    ),
    (
        (urllib3_errors.IncompleteRead, exceptions.IncompleteReadError, http.client.IncompleteRead),
        Meaning(ConnectionFailedError, "idempotent"),
    ),
    (
        (urllib3_errors.ProxySchemeUnknown, urllib3_errors.ProxySchemeUnsupported),
        Meaning(InvalidRequestError, hint=_PROXY),
    ),
    ((urllib3_errors.LocationValueError,), Meaning(InvalidRequestError, hint=_NAME)),
    (
        (
            urllib3_errors.HTTPError,
            exceptions.ServiceRequestError,
            exceptions.ServiceResponseError,
            RequestException,
            ConnectionError,
            ssl.SSLError,
            http.client.HTTPException,
        ),
        Meaning(ConnectionFailedError, "idempotent"),
    ),
    (
        (exceptions.DecodeError, exceptions.DeserializationError, exceptions.ODataV4Error),
        Meaning(ForeignAnswerError, hint=ADDRESS),
    ),
    ((exceptions.SerializationError,), Meaning(InvalidRequestError)),
    (
        (exceptions.StreamConsumedError, exceptions.StreamClosedError, exceptions.ResponseNotReadError),
        Meaning(ProviderInternalException),
    ),
    ((exceptions.TooManyRedirectsError,), Meaning(ForeignAnswerError, hint=ADDRESS)),
)


def classify(error: BaseException) -> Failure | None:
    """Say what an exception of the SDK, or of the connection below it, means; ``None`` if it is of neither."""
    response = getattr(error, "response", None)
    if isinstance(response, Answer) and isinstance(error, exceptions.HttpResponseError):
        return _classify_answer(error)
    if isinstance(error, exceptions.ClientAuthenticationError) or _is_unavailable(error):
        return _classify_identity(error)
    if isinstance(error, exceptions.HttpResponseError) and response is not None:
        return _classify_answer(error)
    if (found := _TUNNEL.search(str(error))) is not None:
        return Failure(ConnectionFailedError, "no" if found[1] == "4" else "always", _reason(error), hint=_REFUSING)
    if isinstance(error, (urllib3_errors.HTTPError, exceptions.AzureError, RequestException, ssl.SSLError)):
        below = _innermost(error)
        if (failure := _classify_tls(below)) is not None:
            return failure
        error = below
    for classes, meaning in _BY_CLASS:
        if isinstance(error, classes):
            return Failure(meaning.error, meaning.retry, _reason(error), hint=meaning.hint)
    if isinstance(error, exceptions.AzureError):
        return Failure(ProviderInternalException, reason=_reason(error))
    return None


def _classify_identity(error: BaseException) -> Failure:
    """Say what keeps a token away. An answer in it is one of Entra ID, which says 400 to a wrong secret.

    Without a token nothing has been asked of the Blob service yet.
    """
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Failure(ThrottledError, "always", _reason(error), status=status)
    if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Failure(ServiceUnavailableError, "always", _reason(error), status=status)
    cause = error.__cause__
    if isinstance(cause, (exceptions.ServiceRequestError, exceptions.ServiceResponseError, RequestException)):
        found = classify(cause)
        if found is not None:
            return replace(found, retry="always" if found.retry == "idempotent" else found.retry, hint=_ENTRA)
    return Failure(AuthenticationError, reason=_reason(error), status=status, hint=_IDENTITY)


def _is_unavailable(error: BaseException) -> bool:
    # azure-identity's, which need not be installed; it is a subclass of nothing that says what it is.
    return type(error).__name__ in ("CredentialUnavailableError", "AuthenticationRequiredError")


def _innermost(error: BaseException) -> BaseException:
    """Return what went wrong first: retries, pools and the SDK wrap one another's exceptions."""
    for _ in range(8):
        below = getattr(error, "inner_exception", None) or getattr(error, "reason", None)
        if not isinstance(below, BaseException):
            below = next((each for each in error.args if isinstance(each, BaseException)), None)
        if below is None or not _tells(below):
            return error
        if isinstance(error, urllib3_errors.ProxyError) and not isinstance(below, _OF_TLS):
            return error  # what is below is the proxy's name and address, not the service's
        error = below
    return error


def _tells(error: BaseException) -> bool:
    return isinstance(error, (urllib3_errors.HTTPError, exceptions.AzureError, RequestException, ssl.SSLError))


_OF_TLS = (ssl.SSLError, urllib3_errors.SSLError)


def _classify_tls(error: BaseException) -> Failure | None:
    if not isinstance(error, _OF_TLS):
        return None
    text = str(error)
    if (
        isinstance(error, ssl.SSLCertVerificationError)
        or "CERTIFICATE_VERIFY_FAILED" in text
        or "doesn't match" in text
    ):
        return Failure(CertificateError, reason=_reason(error), hint=_TLS)
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
        return Failure(ConnectionFailedError, reason=_reason(error), hint=_NO_TLS)
    return None


_QUERY = re.compile(r"\?[^\s'\")]*")


def _reason(error: BaseException) -> str:
    # Messages of the layers below name addresses, and an address may be a signed one.
    return redact(_QUERY.sub("?...", str(error)))[:_SHOWN] or type(error).__name__


class Said(NamedTuple):
    """What an answer says."""

    status: int | None
    code: str
    headers: Mapping[str, str]
    text: str
    needs: str = ""
    """What the request takes, in a sentence."""


def said_by(error: exceptions.HttpResponseError) -> Said:
    """Return what an answer says, whether our own requests or the SDK's clients got it."""
    response: Any = error.response
    headers = {str(name).lower(): str(value) for name, value in dict(getattr(response, "headers", {})).items()}
    code = getattr(error, "error_code", None) or headers.get("x-ms-error-code") or ""
    status = getattr(response, "status_code", None)
    needs = getattr(response, "needs", "")
    return Said(status, str(getattr(code, "value", code)), headers, _document(response), needs)


def _document(response: Any) -> str:
    try:
        return str(response.text())
    except (AttributeError, ValueError, exceptions.AzureError):
        return ""


def code_of(error: exceptions.HttpResponseError) -> str:
    """Return the service's own code of an answer."""
    return said_by(error).code


def _classify_answer(error: exceptions.HttpResponseError) -> Failure:
    said = said_by(error)
    meaning = _specific(_meaning(said), said.needs)
    reason = (error.message or "").partition("\n")[0] or said.code or f"status {said.status}"
    return Failure(
        meaning.error,
        meaning.retry,
        redact(_QUERY.sub("?...", reason))[:_SHOWN],
        _retry_after(said.headers),
        said.status,
        said.code or None,
        said.headers.get("x-ms-request-id"),
        meaning.hint,
    )


_UNKNOWN = "Server failed to authenticate"
"""How the sentence of ``AuthenticationFailed`` begins. Emulators say it under the code of what is not permitted."""


def _meaning(said: Said) -> Meaning:
    if said.status == HTTPStatus.NOT_MODIFIED:
        return Meaning(NotModifiedError)  # the code is that of any condition
    if said.code == "AuthenticationFailed" or (said.code == "AuthorizationFailure" and _UNKNOWN in said.text):
        return _of_refused_signature(said)
    if said.code == "InvalidAuthenticationInfo" and said.status == HTTPStatus.UNAUTHORIZED:
        return Meaning(CredentialsExpiredError, "auth", "The token is not accepted, or has expired: get a new one")
    if said.code == "InvalidOperation" and "MD5" in said.text:
        return BY_CODE["Md5Mismatch"]  # as Azurite says it
    if said.code in BY_CODE:
        return _of_code(said)
    if not said.code and "x-ms-request-id" not in said.headers and said.status not in _FROM_ANYBODY:
        # The service names a code or a request in all of its answers: somebody else answered.
        return Meaning(ForeignAnswerError, hint=ADDRESS)
    return meaning_of_status(said.status)


def _of_code(said: Said) -> Meaning:
    meaning = BY_CODE[said.code]
    if meaning.error is ThrottledError and said.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return meaning._replace(retry="idempotent")  # something on the way may have said so after it was done
    if meaning.error is InvalidRequestError and (said.status or 0) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return meaning_of_status(said.status)  # of a source that it does not get in time, or that is busy
    return meaning


def _specific(meaning: Meaning, needs: str) -> Meaning:
    """Say of all permissions only the one that the request takes, as far as that is known."""
    if not needs:
        return meaning
    return meaning._replace(hint=meaning.hint.replace(PERMISSIONS, needs))


_FROM_ANYBODY = frozenset({408, 429, 500, 502, 503, 504})


def meaning_of_status(status: int | None) -> Meaning:
    """Return what an HTTP status says where the error's code says nothing."""
    if status in BY_STATUS:
        return BY_STATUS[status]
    if status is None:
        return Meaning(ForeignAnswerError, hint=ADDRESS)
    return meaning_of_class(status, ADDRESS)


_CAUSES = (
    (
        re.compile("Signed expiry time|Signature not valid in the specified time frame|expired", re.IGNORECASE),
        "expired",
    ),
    (re.compile("request date header|Request date header too old|is not within|time skew", re.IGNORECASE), "clock"),
    (re.compile("Issuer validation|Audience validation|Lifetime validation", re.IGNORECASE), "token"),
    (re.compile("signed resource is not allowed", re.IGNORECASE), "level"),
)


def _of_refused_signature(said: Said) -> Meaning:
    """Tell apart what the service has one code for: its document has the reason."""
    cause = next((cause for pattern, cause in _CAUSES if pattern.search(said.text)), "key")
    if not said.text and _clocks_differ(said.headers.get("date")):
        cause = "clock"  # to a HEAD the service does not say why
    if cause == "expired":
        return Meaning(CredentialsExpiredError, "auth", ENDED)
    if cause == "clock":
        there = f" (the service has {said.headers['date']})" if "date" in said.headers else ""
        return Meaning(ClockSkewError, hint=f"{_CLOCK}{there}")
    if cause == "token":
        return Meaning(CredentialsExpiredError, "auth", "The token is for something else, or has ended: get a new one")
    if cause == "level":
        return Meaning(PermissionDeniedError, hint=_LEVEL)
    return Meaning(AuthenticationError, hint=_WRONG)


def _clocks_differ(there: str | None) -> bool:
    try:
        return abs(parsedate_to_datetime(there or "").timestamp() - time.time()) > _TOLERATED
    except ValueError:
        return False


def _retry_after(headers: Mapping[str, str]) -> float | None:
    for name in ("x-ms-retry-after-ms", "retry-after-ms"):
        if (milliseconds := headers.get(name, "")).isdecimal():
            return int(milliseconds) / 1000
    return seconds_to_wait(headers.get("retry-after"))


def reworded(kind: type[StoreError], reason: str, error: exceptions.HttpResponseError, **context: Any) -> StoreError:
    """Return an answer's error as another class, where the call says more than the answer."""
    failure = _classify_answer(error)
    said = kind(reason, status=failure.status, code=failure.code, request_id=failure.request_id, **context)
    said.__cause__ = error
    return said


def item_error(status: int, code: str, message: str, bucket: str, key: str) -> StoreError:
    """Return the error of one key in the answer to a batch."""
    said = Said(status, code, {"x-ms-request-id": ""}, message, explained("DELETE", {}, {}))
    meaning = _specific(_meaning(said), said.needs)
    return meaning.error(message or code or f"status {status}", bucket=bucket, key=key, code=code, hint=meaning.hint)
