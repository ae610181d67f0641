"""What the exceptions of the SDK, and of the connection below it, mean."""

from __future__ import annotations

import http.client
import re
import ssl
import sys
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import google.auth.exceptions as auth
import urllib3.exceptions as wire

from cloudbridge_store.drivers.base import Failure
from cloudbridge_store.drivers.gcp.answers import NOT_GCS, REQUEST_ID
from cloudbridge_store.drivers.http import Meaning, Retry, meaning_of_class, seconds_to_wait
from cloudbridge_store.errors import (
    ArchivedError,
    AuthenticationError,
    BucketNotEmptyError,
    BucketNotFoundError,
    CertificateError,
    ClockSkewError,
    ConflictError,
    ConnectionFailedError,
    CredentialsExpiredError,
    DuplicateResourceException,
    ForeignAnswerError,
    IntegrityError,
    InvalidRangeError,
    InvalidRequestError,
    LockedError,
    NotFoundError,
    NotModifiedError,
    ObjectNotFoundError,
    OperationTimeoutError,
    PermissionDeniedError,
    PreconditionFailedError,
    ProviderInternalException,
    QuotaExceededError,
    ServiceUnavailableError,
    StoreError,
    ThrottledError,
    UnsupportedOperationError,
    UploadNotFoundError,
)

_WHO = "Check gcp_service_creds_file, gcp_service_creds_dict, gcp_access_token, or the default credentials"
_DEFAULT = (
    "Give gcp_service_creds_file, run 'gcloud auth application-default login', or set gcp_anonymous for what is public"
)
_MAY = "Grant the account a role with the permission that the message names, on the bucket or its project"
_KEY = "The object is encrypted with a key of its writer's: give the very same as Encryption.customer(key)"
_LOCKED = "A hold or a retention period has to end before this can be changed"
_PAYER = "The bucket's requester pays: name who does as the quota project of the credentials"
_POLICY = (
    "A policy of the organization or the bucket's public access prevention forbids it; its administrator may lift it"
)
_SIGN = "Grant the caller roles/iam.serviceAccountTokenCreator on the account that is to sign"
_WHERE = "Check gcp_endpoint_url, and proxies or the environment's HTTPS_PROXY"
_TOKENS = (
    "The address that gives out tokens has to be reached: the credentials' token_uri or token_url, or the machine's "
    "metadata server; check proxies too"
)
_PROXY = "The proxy could not be reached: check proxies, or the environment's HTTPS_PROXY"
_CLOCK = "This machine's clock differs from the service's: set it right"
_BILLING = "Check that the project exists, has billing, and has the API in question switched on"
_PROJECT = "Give gcp_project_name"
_SLOWER = "Fewer than one change a second of an object, or of a bucket's settings, is what the service takes"
_RESTORE = "It was deleted, and can be restored while the bucket's soft delete policy keeps it"


def _all(*names: str, meaning: Meaning) -> dict[str, Meaning]:
    return dict.fromkeys(names, meaning)


# Reasons of the JSON API, then codes of the XML API.
_BY_REASON: Mapping[str, Meaning] = {
    **_all("notModified", meaning=Meaning(NotModifiedError)),
    **_all(
        "badRequest", "corsRequestWithXOrigin", "failedPrecondition", "invalid", "invalidAltValue", "invalidArgument",
        "invalidParameter", "INVALID_ARGUMENT", "FAILED_PRECONDITION", "notDownload", "required",
        "turnedDown", "wrongUrlForUpload", "lengthRequired", "unsupportedMediaType", "fieldsNotAllowed",
        "invalidUploadType", "keyInvalid", "kmsKeyInvalid",
        meaning=Meaning(InvalidRequestError),
    ),
    **_all(
        "customerEncryptionAlgorithmIsInvalid", "customerEncryptionKeyFormatIsInvalid",
        "customerEncryptionKeyIsIncorrect", "customerEncryptionKeySha256IsInvalid",
        "resourceIsEncryptedWithCustomerEncryptionKey", "resourceNotEncryptedWithCustomerEncryptionKey",
        meaning=Meaning(InvalidRequestError, hint=_KEY),
    ),
    **_all(
        "userProjectInconsistent", "userProjectInvalid", "userProjectMissing", "userProjectAccessDenied",
        "UserProjectAccountProblem", "AuthenticationRequiredRequesterPays",
        "UserProjectInconsistent", "UserProjectInvalid", "UserProjectMissing", "UserProjectAccessDenied", "InvalidPayer",
        meaning=Meaning(PermissionDeniedError, hint=_PAYER),
    ),
    **_all("authError", meaning=Meaning(CredentialsExpiredError, "auth", _WHO)),
    **_all("UNAUTHENTICATED", meaning=Meaning(AuthenticationError, "auth", _WHO)),
    **_all("invalid_grant", "invalid_client", meaning=Meaning(AuthenticationError, hint=_WHO)),
    **_all(
        "accountDisabled", "accessNotConfigured", "projectNotFound", "SERVICE_DISABLED", "AccountProblem", "NotSignedUp",
        "billingDisabled",
        meaning=Meaning(PermissionDeniedError, hint=_BILLING),
    ),
    **_all(
        "countryBlocked", "domainPolicy", "forbidden", "insufficientPermissions", "PERMISSION_DENIED",
        "stopChannelCallerNotOwner", "unauthorized_client", "lockedDomainCreationFailure", "lockedDomainForbidden",
        "AccessDenied", "AllAccessDisabled", "CrossLocationLoggingProhibited",
        meaning=Meaning(PermissionDeniedError, hint=_MAY),
    ),
    **_all("sslRequired", meaning=Meaning(PermissionDeniedError, hint="Use an https address")),
    **_all(
        "objectUnderActiveHold", "retentionPolicyNotMet", "retentionPeriodNotMet", "objectRetentionNotMet",
        "ObjectUnderActiveHold", "RetentionPolicyNotMet", "UnderRetentionPolicy",
        meaning=Meaning(LockedError, hint=_LOCKED),
    ),
    **_all("orgPolicyConstraintFailed", "publicAccessPrevention", meaning=Meaning(PermissionDeniedError, hint=_POLICY)),
    **_all(
        "rateLimitExceeded", "userRateLimitExceeded", "RESOURCE_EXHAUSTED", "SlowDown", "TooManyRequests",
        "usageLimits.rateLimitExceeded",
        meaning=Meaning(ThrottledError, "always", _SLOWER),
    ),
    **_all(
        "quotaExceeded", "dailyLimitExceeded", "limitExceeded", "uploadTooLarge", "tooManyBuckets", "InsufficientQuota",
        "QuotaExceeded", "EntityTooLarge", "MaxMessageLengthExceeded", "TooManyBuckets", "InlineDataTooLarge",
        meaning=Meaning(QuotaExceededError),
    ),
    **_all("methodNotAllowed", "notImplemented", "MethodNotAllowed", "NotImplemented", "UNIMPLEMENTED",
           meaning=Meaning(UnsupportedOperationError)),
    **_all("uploadBrokenConnection", "RequestTimeout", meaning=Meaning(OperationTimeoutError, "idempotent")),
    **_all("notFound", "NOT_FOUND", meaning=Meaning(NotFoundError)),
    **_all("gone", "NoSuchUpload", meaning=Meaning(UploadNotFoundError)),
    **_all("NoSuchKey", "NoSuchVersion", meaning=Meaning(ObjectNotFoundError)),
    **_all("NoSuchBucket", meaning=Meaning(BucketNotFoundError)),
    **_all("conflict", "OperationAborted", "ABORTED", meaning=Meaning(ConflictError)),
    **_all(
        "BucketAlreadyExists", "BucketAlreadyOwnedByYou", "BucketNameUnavailable", "ALREADY_EXISTS",
        meaning=Meaning(DuplicateResourceException),
    ),
    **_all("BucketNotEmpty", meaning=Meaning(BucketNotEmptyError)),
    **_all("conditionNotMet", "PreconditionFailed", meaning=Meaning(PreconditionFailedError)),
    **_all("requestedRangeNotSatisfiable", "InvalidRange", "OUT_OF_RANGE", meaning=Meaning(InvalidRangeError)),
    **_all(
        "backendError", "internalError", "transientError", "gatewayTimeout", "INTERNAL", "UNAVAILABLE",
        "DEADLINE_EXCEEDED", "InternalError", "ServiceUnavailable", "ServerBusy",
        meaning=Meaning(ServiceUnavailableError, "idempotent"),
    ),
    **_all(
        # What is sent can be parsed: if not, it was another when it arrived.
        "BadDigest", "CrcMismatch", "InvalidDigest", "IncompleteBody", "hashMismatch", "parseError",
        meaning=Meaning(IntegrityError, "always"),
    ),
    # The XML interface's word for a token that is no good any more, or never was.
    **_all("AuthenticationRequired", meaning=Meaning(AuthenticationError, "auth", _WHO)),
    **_all("ExpiredToken", "TokenRefreshRequired", meaning=Meaning(CredentialsExpiredError, "auth", _WHO)),
    **_all(
        "InvalidAccessKeyId", "InvalidSecurity", "InvalidToken", "MissingSecurityElement",
        "MissingSecurityHeader", "SignatureDoesNotMatch", "CredentialsNotSupported",
        meaning=Meaning(AuthenticationError, hint=_WHO),
    ),
    **_all("RequestTimeTooSkewed", meaning=Meaning(ClockSkewError, hint=_CLOCK)),
    **_all("InvalidObjectState", meaning=Meaning(ArchivedError)),
    **_all(
        "AmbiguousGrantByEmailAddress", "BadRequestException", "EntityTooSmall", "ExcessHeaderValues",
        "IncorrectNumberOfFilesInPostRequest", "InvalidArgument", "InvalidBucketName", "InvalidLocationConstraint",
        "InvalidObjectName", "InvalidPart", "InvalidPartOrder", "InvalidPolicyDocument", "InvalidQueryParameter",
        "InvalidStorageClass", "InvalidTargetBucketForLogging", "InvalidURI", "KeyTooLong", "KeyTooLongError",
        "MalformedACLError", "MalformedHeaderValue", "MalformedPOSTRequest", "MalformedSecurityHeader", "MalformedXML",
        "MaxPostPreDataLengthExceededError", "MetadataTooLarge", "MissingContentLength", "MissingRequestBodyError",
        "NoLoggingStatusForKey", "RequestIsNotMultiPartContent", "UnexpectedContent", "UnresolvableGrantByEmailAddress",
        "UnsupportedAcl", "CustomDomainNotSupported",
        meaning=Meaning(InvalidRequestError),
    ),
}  # fmt: skip

_BY_STATUS: Mapping[int, Meaning] = {
    304: Meaning(NotModifiedError),
    401: Meaning(AuthenticationError, hint=_WHO),
    403: Meaning(PermissionDeniedError, hint=_MAY),
    404: Meaning(NotFoundError),
    405: Meaning(UnsupportedOperationError),
    408: Meaning(OperationTimeoutError, "idempotent"),
    409: Meaning(ConflictError),
    410: Meaning(UploadNotFoundError),
    412: Meaning(PreconditionFailedError),
    413: Meaning(QuotaExceededError),
    416: Meaning(InvalidRangeError),
    429: Meaning(ThrottledError, "always", _SLOWER),
    # The service's word for a client that went away: what it sent may have been carried out.
    499: Meaning(ConnectionFailedError, "idempotent"),
    501: Meaning(UnsupportedOperationError),
}

# What an answer's text says more exactly than its reason; the first that fits counts. The names of accounts, buckets
# and objects stand in texts, and a word of theirs is none of the service's: patterns are phrases, or begin the text.
_BY_TEXT: tuple[tuple[int, re.Pattern[str], Meaning], ...] = tuple(
    (status, re.compile(pattern, re.IGNORECASE), meaning)
    for status, pattern, meaning in (
        (400, r"^provided (md5|crc32c)\b.*match", Meaning(IntegrityError, "always")),
        (400, r"^(parse error|malformed multipart)", Meaning(IntegrityError, "always")),
        (400, r"project( id)?\b.*(required|missing)|required parameter: project", Meaning(InvalidRequestError, hint=_PROJECT)),
        (400, r"requester pays", Meaning(PermissionDeniedError, hint=_PAYER)),
        (400, r"encrypted.*customer.supplied|customer.supplied encryption", Meaning(InvalidRequestError, hint=_KEY)),
        (401, r"^anonymous (caller|users?) (does|do) not have", Meaning(PermissionDeniedError, hint=_WHO)),
        (401, r"^(request had )?invalid (authentication )?credentials", Meaning(CredentialsExpiredError, "auth", _WHO)),
        (403, r"^\S+ does not have \S+ access to ", Meaning(PermissionDeniedError, hint=_MAY)),
        (403, r" is (under active|subject to) .*\b(hold|retention)\b", Meaning(LockedError, hint=_LOCKED)),
        (403, r"^permission 'iam\.serviceAccounts\.", Meaning(PermissionDeniedError, hint=_SIGN)),
        (403, r" has not been used in project ", Meaning(PermissionDeniedError, hint=_BILLING)),
        (403, r"rate limit exceeded", Meaning(ThrottledError, "always", _SLOWER)),
        (403, r"billing account|billing to be enabled", Meaning(PermissionDeniedError, hint=_BILLING)),
        (404, r"^no such (object|upload)", Meaning(ObjectNotFoundError)),
        (404, r" is soft.deleted", Meaning(ObjectNotFoundError, hint=_RESTORE)),
        (404, r"^(the specified bucket does not exist|bucket .*not found|no such bucket)", Meaning(BucketNotFoundError)),
        (409, r"not empty", Meaning(BucketNotEmptyError)),
        (409, r"already own|not available|already exists", Meaning(DuplicateResourceException)),
        (412, r"public access prevention|constraints/|organization polic", Meaning(PermissionDeniedError, hint=_POLICY)),
    )
)  # fmt: skip

# The service says what is wrong with all of these; somebody else answered.
_NEVER_WITHOUT_TEXT = frozenset({200, 301, 302, 303, 307, 308, 400, 404, 405})

_TLS = "The server's certificate was not accepted: set ca_bundle, or check the endpoint's name"
_NO_TLS = "The server does not speak TLS there: check the port, or whether it is an http address"

# The first class that fits counts, so that the special ones come first.
_BY_CLASS: tuple[tuple[tuple[type[BaseException], ...], Meaning], ...] = (
    ((auth.DefaultCredentialsError,), Meaning(AuthenticationError, hint=_DEFAULT)),
    ((auth.GoogleAuthError,), Meaning(AuthenticationError, hint=_WHO)),
    ((wire.ProxyError,), Meaning(ConnectionFailedError, "always", _PROXY)),
    ((wire.NewConnectionError,), Meaning(ConnectionFailedError, "always", _WHERE)),
    ((wire.ConnectTimeoutError,), Meaning(OperationTimeoutError, "always")),
    ((wire.TimeoutError, TimeoutError), Meaning(OperationTimeoutError, "idempotent")),
    ((wire.LocationValueError,), Meaning(InvalidRequestError, hint=_WHERE)),
    (
        (wire.HTTPError, ConnectionError, ssl.SSLError, http.client.HTTPException),
        Meaning(ConnectionFailedError, "idempotent"),
    ),
)


def classify(error: BaseException) -> Failure | None:
    """Say what an exception of the SDK, or of the connection below it, means; ``None`` if it is of neither."""
    if isinstance(error, auth.TransportError):
        return _classify_token_request(error)
    if isinstance(error, (wire.SSLError, ssl.SSLError)):
        found = _classify_tls(error)
        if found is not None:
            return found
    if isinstance(error, auth.RefreshError):
        lost = error.__cause__
        return _classify_token_request(lost) if isinstance(lost, auth.TransportError) else _classify_refresh(error)
    for classes, meaning in _BY_CLASS:
        if isinstance(error, classes):
            return Failure(meaning.error, meaning.retry, _reason(error), hint=meaning.hint)
    return _classify_requests(error) or _classify_sdk(error)


def _reason(error: BaseException) -> str:
    said: list[object] = [error]
    if isinstance(error, auth.GoogleAuthError):
        # It keeps what went wrong below beside its own words; or an answer, which can hold a token.
        said = [*error.args[:1], *(each for each in error.args[1:] if isinstance(each, Exception))]
    return ": ".join(str(each).removesuffix(".") for each in said) or type(error).__name__


def _classify_tls(error: BaseException) -> Failure | None:
    if isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Failure(CertificateError, reason=str(error), hint=_TLS)
    if "WRONG_VERSION_NUMBER" in str(error):
        return Failure(ConnectionFailedError, reason=str(error), hint=_NO_TLS)
    return None


def _classify_token_request(error: auth.TransportError) -> Failure:
    """Say what it means that a token could not be asked for: the request itself was not sent."""
    cause = error.__cause__
    below = classify(cause) if cause is not None and not isinstance(cause, auth.GoogleAuthError) else None
    if below is None:
        return Failure(ConnectionFailedError, "always", _reason(error), hint=_DEFAULT)
    retry: Retry = "always" if below.retry == "idempotent" else below.retry
    hint = _TOKENS if below.hint in ("", _WHERE) else below.hint
    return Failure(below.error, retry, f"no token could be fetched: {below.reason}", hint=hint)


def _classify_refresh(error: auth.RefreshError) -> Failure:
    # What stands behind it is an answer, which can hold a token.
    text = str(error.args[0]).removesuffix(".") if error.args else type(error).__name__
    if getattr(error, "retryable", False):
        return Failure(ServiceUnavailableError, "always", f"no token could be fetched: {text}")
    if re.search(r"\biat and exp\b", text):
        return Failure(ClockSkewError, reason=text, hint=_CLOCK)
    return Failure(AuthenticationError, reason=f"no token could be fetched: {text}", hint=_WHO)


def _classify_requests(error: BaseException) -> Failure | None:
    """Say what an exception of requests means, by which credentials of somebody else's may fetch their tokens."""
    requests = sys.modules.get("requests")
    if requests is None or not isinstance(error, requests.exceptions.RequestException):
        return None
    kinds = requests.exceptions
    if isinstance(error, kinds.SSLError):
        return _classify_tls(error) or Failure(ConnectionFailedError, "idempotent", _reason(error))
    if isinstance(error, kinds.ConnectTimeout):
        return Failure(OperationTimeoutError, "always", _reason(error))
    if isinstance(error, kinds.Timeout):
        return Failure(OperationTimeoutError, "idempotent", _reason(error))
    if isinstance(error, ValueError):
        return Failure(InvalidRequestError, reason=_reason(error), hint="Check the addresses in the configuration")
    return Failure(ConnectionFailedError, "idempotent", _reason(error))


def _classify_sdk(error: BaseException) -> Failure | None:
    from google.api_core import exceptions as sdk  # here, as most programs never see a failure

    if isinstance(error, sdk.GoogleAPICallError):
        return _classify_answer(error)
    if isinstance(error, sdk.RetryError):
        below = classify(error.cause) if error.cause is not None else None
        return below or Failure(OperationTimeoutError, "idempotent", _reason(error))
    if isinstance(error, sdk.GoogleAPIError):
        return Failure(ProviderInternalException, reason=_reason(error))
    return None


def _classify_answer(error: Any) -> Failure:
    response = error.response
    headers = {name.lower(): value for name, value in dict(getattr(response, "headers", None) or {}).items()}
    status = int(error.code) if error.code is not None else None
    details = error.errors[0] if error.errors and isinstance(error.errors[0], dict) else {}
    reason, text = str(details.get("reason", "")), str(error.message or "").removesuffix(".")
    named = bool(reason) or REQUEST_ID in headers or response is None
    meaning = meaning_of(status, reason, text, named=named)
    hint = meaning.hint
    if hint == _CLOCK and "date" in headers:
        hint = f"{_CLOCK} (the service has {headers['date']})"
    request_id = headers.get(REQUEST_ID)
    return Failure(
        meaning.error,
        meaning.retry,
        text,
        seconds_to_wait(headers.get("retry-after")),
        status,
        reason or None,
        request_id,
        hint,
    )


def meaning_of(status: int | None, reason: str, text: str, *, named: bool) -> Meaning:
    """Return what an answer means.

    :param named: whether it is certainly the service's.
    """
    for code, pattern, meaning in _BY_TEXT:
        if code == status and pattern.search(text):
            return meaning
    if status == HTTPStatus.UNAUTHORIZED and (reason == "required" or not reason):
        # Where content was asked for, the service gives no reasons. Another would refuse a new token too.
        return Meaning(AuthenticationError, "auth" if named and not reason else "no", _WHO)
    if reason in _BY_REASON:
        found = _BY_REASON[reason]
        # Something on the way may have said so after it was done.
        late = status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR and found.retry == "always"
        return found._replace(retry="idempotent") if late else found
    if status is None or (not named and status in _NEVER_WITHOUT_TEXT):
        return Meaning(ForeignAnswerError, hint=NOT_GCS)
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return meaning_of_class(status, NOT_GCS)


def failure_of(error: BaseException) -> type[StoreError]:
    """Return the class of ours that an exception means."""
    if isinstance(error, StoreError):
        return type(error)
    found = classify(error)
    return found.error if found is not None else ProviderInternalException


def passes(error: BaseException) -> bool:
    """Say whether what an exception tells of may be over the next time."""
    failure = classify(error)
    return failure is not None and failure.retry != "no"


def as_store_error(error: Exception, **context: Any) -> StoreError:
    """Return an exception of the SDK as one of ours."""
    found = classify(error)
    assert found is not None
    known = {name: getattr(found, name) for name in ("status", "code", "request_id", "hint", "retry_after")}
    wrapped = found.error(found.reason, **context, **known)
    wrapped.__cause__ = error
    return wrapped
