"""What the service's answers mean, and the exceptions of keystoneauth and of the connections below."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from urllib3 import exceptions as wire

from cloudbridge_store.drivers.base import Failure
from cloudbridge_store.drivers.http import Meaning, meaning_of_class, seconds_to_wait
from cloudbridge_store.errors import (
    AuthenticationError,
    BucketNotEmptyError,
    BucketNotFoundError,
    CertificateError,
    ConflictError,
    ConnectionFailedError,
    ForeignAnswerError,
    IntegrityError,
    InvalidConfigurationException,
    InvalidRangeError,
    InvalidRequestError,
    NotFoundError,
    NotModifiedError,
    OperationTimeoutError,
    PermissionDeniedError,
    PreconditionFailedError,
    ProviderInternalException,
    QuotaExceededError,
    StoreError,
    ThrottledError,
    UnsupportedOperationError,
)
from cloudbridge_store.redaction import redact

NOT_SWIFT = (
    "The answer is not Swift's: check os_auth_url, os_storage_url, and that no proxy or login page stands between"
)
_REFUSED = "The token is not accepted: check os_auth_token, or give a user, so that expired tokens are replaced"
_TLS = "The server's certificate was not accepted: set ca_bundle, or check the address"
_NO_TLS = "The server does not speak TLS there: check the port, or whether it is an http address"
_QUOTA = (
    "Delete something, or have the quota raised; if the object is too large for one request: lower multipart_threshold"
)
_LATE = "No objects are listed in it any more; not all of the service's servers know that yet: try again in a moment"
_TAG = re.compile("<[^>]*>")
_LONGEST_REASON = 300


class AnswerError(Exception):
    """An answer that is an error. Its address may hold a signature, and is not part of it."""

    def __init__(
        self, method: str, bucket: str | None, key: str | None, status: int, headers: Mapping[str, str], body: bytes
    ) -> None:
        super().__init__(f"{method}: status {status}")
        self.method = method
        self.bucket = bucket
        self.key = key
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def reason(self) -> str:
        """What the service says, in one line."""
        text = " ".join(_TAG.sub(" ", self.body[:4096].decode("utf-8", "replace")).split())
        return redact(text)[:_LONGEST_REASON] or f"status {self.status}"

    def __reduce__(self) -> tuple[Any, ...]:
        # In lower case, as they are asked for: a plain dictionary finds them in no other.
        headers = {name.lower(): value for name, value in self.headers.items()}
        return type(self), (self.method, self.bucket, self.key, self.status, headers, self.body)


class LateError(AnswerError):
    """A container whose listing is empty was not deleted: some of its servers have not heard of that yet."""


_BY_STATUS: Mapping[int, Meaning] = {
    304: Meaning(NotModifiedError),
    400: Meaning(InvalidRequestError),
    401: Meaning(AuthenticationError, hint=_REFUSED),
    402: Meaning(QuotaExceededError, hint="The account has to be paid for"),
    403: Meaning(PermissionDeniedError),
    404: Meaning(NotFoundError),
    405: Meaning(UnsupportedOperationError),
    406: Meaning(InvalidRequestError),
    408: Meaning(OperationTimeoutError, "idempotent"),
    409: Meaning(ConflictError),
    410: Meaning(NotFoundError),
    411: Meaning(InvalidRequestError, hint="A proxy took the Content-Length away: see to it that it lets it pass"),
    412: Meaning(PreconditionFailedError),
    413: Meaning(QuotaExceededError, hint=_QUOTA),
    414: Meaning(InvalidRequestError, hint="The name is too long for this service"),
    416: Meaning(InvalidRangeError),
    # What arrived is not what the digest says, and was thrown away.
    422: Meaning(IntegrityError, "always"),
    423: Meaning(ConflictError, hint="The container or object is locked"),
    429: Meaning(ThrottledError, "always"),
    497: Meaning(PermissionDeniedError, hint="The account is on the service's black list: tell its operator"),
    # Swift's own for a container or account that is asked for too often.
    498: Meaning(ThrottledError, "always"),
    # We went away, says the service: it did not get all.
    499: Meaning(ConnectionFailedError, "idempotent"),
    501: Meaning(UnsupportedOperationError),
    507: Meaning(QuotaExceededError, hint="The service's disks are full: tell its operator"),
}

# Swift names the request in all of these; somebody else answered. Who forbids something may be in between, too.
_NEVER_WITHOUT_NAME = frozenset({301, 302, 303, 307, 308, 400, 404, 405, 409, 410, 412})


def is_named(headers: Mapping[str, str]) -> bool:
    """Say whether an answer names the request, as Swift's do, and Ceph's."""
    return "x-trans-id" in headers or "x-openstack-request-id" in headers


def classify(error: BaseException) -> Failure | None:
    """Say what an exception of the service, of keystoneauth, or of the connection means; ``None``: it is of neither."""
    if isinstance(error, AnswerError):
        return _classify_answer(error)
    if isinstance(error, InvalidConfigurationException):
        return None
    login = type(error).__module__.startswith("keystoneauth1.")
    for cause in _causes(error):
        if (found := _classify_connection(cause)) is not None:
            # Who could not log in has not asked for anything yet.
            return replace(found, retry="always") if login and found.retry == "idempotent" else found
    if login or type(error).__module__.startswith(("openstack.", "requests.")):
        # Here, as most programs never see one.
        from cloudbridge_store.drivers.openstack.login_errors import classify_login

        return classify_login(error)
    if isinstance(error, wire.HTTPError):
        return Failure(ConnectionFailedError, "idempotent", _said(error))
    return None


def _classify_answer(error: AnswerError) -> Failure:
    named = is_named(error.headers)
    meaning = _meaning(error, named=named)
    return Failure(
        meaning.error,
        meaning.retry,
        error.reason,
        seconds_to_wait(error.headers.get("retry-after")),
        error.status,
        None,
        error.headers.get("x-trans-id") or error.headers.get("x-openstack-request-id"),
        meaning.hint,
    )


def _meaning(error: AnswerError, *, named: bool) -> Meaning:
    status = error.status
    if status in _NEVER_WITHOUT_NAME and not named:
        return Meaning(ForeignAnswerError, hint=NOT_SWIFT)
    if status == HTTPStatus.NOT_FOUND:
        return Meaning(_missing(error))
    if isinstance(error, LateError):
        return Meaning(BucketNotEmptyError, "always", hint=_LATE)
    if status == HTTPStatus.CONFLICT and error.method == "DELETE" and error.key is None and error.bucket is not None:
        return Meaning(BucketNotEmptyError)
    if status == HTTPStatus.PRECONDITION_FAILED and error.method == "PUT" and error.key is None:
        # A name that is too long, or has a slash in it, Ceph refuses so.
        return Meaning(InvalidRequestError)
    if status == HTTPStatus.BAD_REQUEST and error.method == "HEAD" and error.key is None and error.bucket is not None:
        # There is nothing else in the request that could be wrong: to Ceph no container can have that name.
        return Meaning(BucketNotFoundError)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and "retry-after" in error.headers:
        # What is too large stays so. There are services that mean too many requests, Rackspace's among them.
        return _BY_STATUS[HTTPStatus.TOO_MANY_REQUESTS]
    return meaning_of_status(status)


def _missing(error: AnswerError) -> type[StoreError]:
    if error.key is None:
        return BucketNotFoundError if error.bucket is not None else NotFoundError
    # A PUT needs no object to be there; of all else the answer does not say which of both is missing.
    return BucketNotFoundError if error.method == "PUT" else NotFoundError


def meaning_of_status(status: int) -> Meaning:
    """Return what a status says by itself."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return meaning_of_class(status, NOT_SWIFT)


def _causes(error: BaseException) -> list[BaseException]:
    """Return the exception and those that it was made of, the innermost first: that one says most."""
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in found:
        found.append(following)
        inner = [each for each in following.args if isinstance(each, BaseException)]
        reason = getattr(following, "reason", None)
        if isinstance(reason, BaseException):
            inner.append(reason)
        following = inner[0] if inner else following.__cause__ or following.__context__
    return found[::-1]


def _certificate_refused(error: BaseException) -> bool:
    if isinstance(error, ssl.SSLCertVerificationError):
        return True
    return any(sign in str(error) for sign in ("CERTIFICATE_VERIFY_FAILED", "doesn't match"))


def _classify_connection(error: BaseException) -> Failure | None:
    if isinstance(error, (ssl.SSLError, wire.SSLError)):
        if _certificate_refused(error):
            return Failure(CertificateError, reason=str(error), hint=_TLS)
        if "WRONG_VERSION_NUMBER" in str(error):
            return Failure(ConnectionFailedError, reason=str(error), hint=_NO_TLS)
        return Failure(ConnectionFailedError, "idempotent", str(error))
    for classes, meaning in _BY_CLASS:
        if isinstance(error, classes):
            return Failure(meaning.error, meaning.retry, _said(error), hint=meaning.hint)
    return None


def _said(error: BaseException) -> str:
    return redact(str(error)) or type(error).__name__


# The first class that fits counts, so that the special ones come first.
_BY_CLASS: tuple[tuple[tuple[type[BaseException], ...], Meaning], ...] = (
    ((wire.ConnectTimeoutError,), Meaning(OperationTimeoutError, "always")),
    ((wire.NameResolutionError, wire.NewConnectionError), Meaning(ConnectionFailedError, "always")),
    ((ConnectionRefusedError,), Meaning(ConnectionFailedError, "always")),
    ((wire.ProxyError,), Meaning(ConnectionFailedError, "always", "The proxy refused: check proxies")),
    ((wire.ReadTimeoutError, TimeoutError), Meaning(OperationTimeoutError, "idempotent")),
    (
        (
            *(wire.LocationParseError, wire.LocationValueError, wire.URLSchemeUnknown),
            *(wire.ProxySchemeUnknown, wire.ProxySchemeUnsupported),
        ),
        Meaning(InvalidRequestError, hint="Check os_auth_url, os_storage_url and proxies"),
    ),
    ((wire.DecodeError,), Meaning(ForeignAnswerError, hint=NOT_SWIFT)),
    ((wire.BodyNotHttplibCompatible, wire.UnrewindableBodyError), Meaning(ProviderInternalException)),
    ((ConnectionError, wire.ProtocolError), Meaning(ConnectionFailedError, "idempotent")),
)


def reworded(kind: type[StoreError], reason: str, error: AnswerError, **context: Any) -> StoreError:
    """Return an answer's error as another class, where the call says more than the answer."""
    failure = _classify_answer(error)
    said = kind(reason, status=failure.status, request_id=failure.request_id, **context)
    said.__cause__ = error
    return said
