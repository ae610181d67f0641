"""What botocore's exceptions mean."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from botocore import exceptions
from urllib3.exceptions import HTTPError

from cloudbridge_store.drivers.base import Failure
from cloudbridge_store.drivers.http import Meaning, meaning_of_class, seconds_to_wait
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
    WrongRegionError,
)

_KEYS = "Check the access key and the secret key"
_EXPIRED = "The session has expired: get new credentials"
_CLOCK = "This machine's clock differs from the service's: set it right"
_REGION = "The bucket is in another region: set aws_region_name"
NOT_S3 = "The answer is not S3's: check s3_endpoint_url, and that no proxy or login page stands in between"

_BY_CODE: Mapping[str, Meaning] = {
    **dict.fromkeys(("NoSuchKey", "NoSuchVersion"), Meaning(ObjectNotFoundError)),
    "NoSuchBucket": Meaning(BucketNotFoundError),
    "NoSuchUpload": Meaning(UploadNotFoundError),
    **dict.fromkeys(("BucketAlreadyExists", "BucketAlreadyOwnedByYou"), Meaning(DuplicateResourceException)),
    "BucketNotEmpty": Meaning(BucketNotEmptyError),
    "OperationAborted": Meaning(ConflictError, "always"),
    "ConditionalRequestConflict": Meaning(ConflictError, "always"),
    "PreconditionFailed": Meaning(PreconditionFailedError),
    "NotModified": Meaning(NotModifiedError),
    **dict.fromkeys(("InvalidAccessKeyId", "SignatureDoesNotMatch"), Meaning(AuthenticationError, hint=_KEYS)),
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"),
        Meaning(CredentialsExpiredError, "auth", _EXPIRED),
    ),
    **dict.fromkeys(
        ("InvalidToken", "InvalidSecurity", "NotSignedUp", "MissingSecurityHeader", "UnauthorizedAccess"),
        Meaning(AuthenticationError, hint=_KEYS),
    ),
    "RequestTimeTooSkewed": Meaning(ClockSkewError, hint=_CLOCK),
    **dict.fromkeys(
        ("AccessDenied", "AccountProblem", "AllAccessDisabled", "CrossLocationLoggingProhibited", "InvalidPayer"),
        Meaning(PermissionDeniedError),
    ),
    **dict.fromkeys(
        ("AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "Redirect"),
        Meaning(WrongRegionError, hint=_REGION),
    ),
    **dict.fromkeys(
        ("IllegalLocationConstraintException", "InvalidLocationConstraint", "InvalidRegion"),
        Meaning(WrongRegionError, hint="Create the bucket in the configured region, or set aws_region_name"),
    ),
    "InvalidRange": Meaning(InvalidRangeError),
    **dict.fromkeys(
        (
            "EntityTooSmall",
            "InvalidArgument",
            "InvalidBucketName",
            "InvalidObjectName",
            "InvalidPart",
            "InvalidPartOrder",
            "InvalidRequest",
            "InvalidStorageClass",
            "InvalidTag",
            "KeyTooLongError",
            "MalformedXML",
            "MetadataTooLarge",
        ),
        Meaning(InvalidRequestError),
    ),
    **dict.fromkeys(
        ("EntityTooLarge", "MaxMessageLengthExceeded", "QuotaExceeded", "ServiceQuotaExceeded", "TooManyBuckets"),
        Meaning(QuotaExceededError),
    ),
    "InvalidObjectState": Meaning(ArchivedError, hint="Restore the object first"),
    **dict.fromkeys(
        ("BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"),
        Meaning(IntegrityError, "always"),
    ),
    "IncompleteBody": Meaning(IntegrityError, "always"),
    **dict.fromkeys(
        (
            "BandwidthLimitExceeded",
            "RequestLimitExceeded",
            "SlowDown",
            "SlowDownRead",
            "SlowDownWrite",
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "TooManyRequests",
            "TooManyRequestsException",
        ),
        Meaning(ThrottledError, "always"),
    ),
    **dict.fromkeys(("RequestTimeout", "OperationTimedOut"), Meaning(OperationTimeoutError, "idempotent")),
    **dict.fromkeys(
        ("InternalError", "InternalFailure", "ServiceUnavailable", "ServerBusy", "ServiceFailure"),
        Meaning(ServiceUnavailableError, "idempotent"),
    ),
    **dict.fromkeys(("NotImplemented", "MethodNotAllowed"), Meaning(UnsupportedOperationError)),
}

_BY_STATUS: Mapping[int, Meaning] = {
    304: Meaning(NotModifiedError),
    401: Meaning(AuthenticationError, hint=_KEYS),
    403: Meaning(PermissionDeniedError),
    404: Meaning(NotFoundError),
    405: Meaning(UnsupportedOperationError),
    408: Meaning(OperationTimeoutError, "idempotent"),
    409: Meaning(ConflictError),
    412: Meaning(PreconditionFailedError),
    413: Meaning(QuotaExceededError),
    416: Meaning(InvalidRangeError),
    429: Meaning(ThrottledError, "always"),
    501: Meaning(UnsupportedOperationError),
    507: Meaning(QuotaExceededError),
    509: Meaning(ThrottledError, "always"),
}

# S3 names a code in all of these; somebody else answered.
_NEVER_WITHOUT_CODE = frozenset({200, 301, 302, 303, 307, 308, 400, 403, 404, 405})

_TLS = "The server's certificate was not accepted: set ca_bundle, or check the endpoint's name"
_NO_TLS = "The server does not speak TLS there: check the port, or whether it is an http address"
_CHAIN = "Give aws_access_key and aws_secret_key, a profile, or set aws_anonymous"


def _named(*names: str) -> tuple[type[BaseException], ...]:
    """Return those of botocore's classes that the installed version has."""
    return tuple(getattr(exceptions, name) for name in names if hasattr(exceptions, name))


# The first class that fits counts, so that the special ones come first.
_BY_CLASS: tuple[tuple[tuple[type[BaseException], ...], Meaning], ...] = (
    (
        (
            exceptions.NoCredentialsError,
            exceptions.PartialCredentialsError,
            exceptions.CredentialRetrievalError,
            exceptions.NoAuthTokenError,
            exceptions.TokenRetrievalError,
            exceptions.SSOError,
            exceptions.UnknownCredentialError,
            exceptions.RefreshWithMFAUnsupportedError,
            *_named("LoginError", "MetadataRetrievalError", "ProfileNotFound", "UnknownTokenProviderError"),
        ),
        Meaning(AuthenticationError, hint=_CHAIN),
    ),
    ((exceptions.ConnectTimeoutError,), Meaning(OperationTimeoutError, "always")),
    ((exceptions.ReadTimeoutError, TimeoutError), Meaning(OperationTimeoutError, "idempotent")),
    ((exceptions.ProxyConnectionError, exceptions.EndpointConnectionError), Meaning(ConnectionFailedError, "always")),
    (
        (
            exceptions.FlexibleChecksumError,
            exceptions.ChecksumError,
            exceptions.IncompleteReadError,
            exceptions.ResponseStreamingError,
        ),
        Meaning(IntegrityError, "idempotent"),
    ),
    (
        (
            exceptions.HTTPClientError,
            exceptions.ConnectionError,
            ConnectionError,
            ssl.SSLError,
            http.client.HTTPException,
            HTTPError,
        ),
        Meaning(ConnectionFailedError, "idempotent"),
    ),
    (
        (
            exceptions.ParamValidationError,
            exceptions.ValidationError,
            exceptions.UnsupportedSignatureVersionError,
            exceptions.UnsupportedS3ArnError,
            exceptions.AwsChunkedWrapperError,
            *_named(
                *("InvalidDNSNameError", "InvalidHostLabelError", "MissingParametersError", "UnseekableStreamError"),
                *("UnsupportedOutpostResourceError", "UnsupportedS3AccesspointConfigurationError"),
            ),
        ),
        Meaning(InvalidRequestError),
    ),
    (
        _named(
            *("BaseEndpointResolverError", "EndpointProviderError", "EndpointVariantError", "InvalidConfigError"),
            *("InvalidEndpointConfigurationError", "InvalidChecksumConfigError", "InvalidProxiesConfigError"),
            *("InvalidRetryConfigurationError", "InvalidRetryModeError", "UnknownEndpointError", "NoRegionError"),
            *("InvalidS3AddressingStyleError", "UnsupportedS3ConfigurationError", "UnknownSignatureVersionError"),
            *("ConfigNotFound", "ConfigParseError", "InfiniteLoopConfigError", "UnknownFIPSEndpointError"),
            *("InvalidDefaultsMode", "InvalidIMDSEndpointError", "InvalidIMDSEndpointModeError", "UnknownRegionError"),
            *("InvalidMaxRetryAttemptsError", "InvalidS3UsEast1RegionalEndpointConfigError"),
            "InvalidSTSRegionalEndpointsConfigError",
        ),
        Meaning(InvalidRequestError, hint="Check the configuration, and AWS's own files and environment variables"),
    ),
    (_named("CapacityNotAvailableError"), Meaning(ThrottledError, "always")),
    (_named("MissingDependencyException"), Meaning(UnsupportedOperationError, hint="Install what it names")),
)


def classify(error: BaseException) -> Failure | None:
    """Say what an exception of botocore, or of the connection below it, means; ``None`` if it is of neither."""
    if isinstance(error, exceptions.ClientError):
        return _classify_answer(error)
    if isinstance(error, (exceptions.SSLError, ssl.SSLError)):
        if _certificate_refused(error):
            return Failure(CertificateError, reason=str(error), hint=_TLS)
        if "WRONG_VERSION_NUMBER" in str(error):
            return Failure(ConnectionFailedError, reason=str(error), hint=_NO_TLS)
    for classes, meaning in _BY_CLASS:
        if isinstance(error, classes):
            return Failure(meaning.error, meaning.retry, _reason(error), hint=meaning.hint)
    if type(error).__name__ == "ResponseParserError":
        return Failure(ForeignAnswerError, reason="the answer could not be read", hint=NOT_S3)
    if isinstance(error, exceptions.BotoCoreError):
        return Failure(ProviderInternalException, reason=_reason(error))
    return None


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _certificate_refused(error: BaseException) -> bool:
    if isinstance(error, ssl.SSLCertVerificationError):
        return True
    return any(sign in str(error) for sign in ("CERTIFICATE_VERIFY_FAILED", "doesn't match"))


def _classify_answer(error: exceptions.ClientError) -> Failure:
    details = error.response.get("Error", {})
    metadata = error.response.get("ResponseMetadata", {})
    headers = {name.lower(): value for name, value in metadata.get("HTTPHeaders", {}).items()}
    status, code = metadata.get("HTTPStatusCode"), str(details.get("Code", ""))
    request_id = metadata.get("RequestId") or headers.get("x-amz-request-id")
    meaning = _meaning(status, code, error.operation_name, named=bool(request_id))
    return Failure(
        meaning.error,
        meaning.retry,
        details.get("Message") or code or f"status {status}",
        _retry_after(headers),
        status,
        code or None,
        request_id,
        _hint(meaning, status, details, headers),
    )


def _meaning(status: int | None, code: str, operation: str, *, named: bool) -> Meaning:
    # A conflict at the end of a multipart upload uses the upload up.
    if code == "ConditionalRequestConflict" and operation == "CompleteMultipartUpload":
        return Meaning(ConflictError)
    # Ceph's word for an upload that is not there; Swift's where it was completed.
    if code == "NoSuchKey" and operation in ("UploadPart", "ListParts", "AbortMultipartUpload"):
        return Meaning(UploadNotFoundError)
    if code in _BY_CODE:
        meaning = _BY_CODE[code]
        # Something on the way may have said so after it was done.
        late = status == HTTPStatus.SERVICE_UNAVAILABLE and meaning.error is ThrottledError
        return meaning._replace(retry="idempotent") if late else meaning
    if status == HTTPStatus.NOT_FOUND and operation == "HeadBucket":
        return Meaning(BucketNotFoundError)
    bare = code in ("", str(status)) and not operation.startswith("Head") and not named
    if bare and status in _NEVER_WITHOUT_CODE:
        return Meaning(ForeignAnswerError, hint=NOT_S3)
    return meaning_of_status(status)


def meaning_of_status(status: int | None) -> Meaning:
    """Return what an HTTP status says where the error's code says nothing."""
    if status is None:
        return Meaning(ForeignAnswerError, hint=NOT_S3)
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status in (301, 307):
        return Meaning(WrongRegionError, hint=_REGION)
    return meaning_of_class(status, NOT_S3)


def _hint(meaning: Meaning, status: int | None, details: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    region = headers.get("x-amz-bucket-region") or details.get("Region")
    if region and (meaning.hint == _REGION or status in (301, 307, 400)):
        return f"The bucket is in region {region}: set aws_region_name to it"
    if meaning.hint == _CLOCK and "date" in headers:
        return f"{_CLOCK} (the service has {headers['date']})"
    return meaning.hint


def _retry_after(headers: Mapping[str, str]) -> float | None:
    if (milliseconds := headers.get("x-amz-retry-after", "")).isdecimal():
        return int(milliseconds) / 1000
    return seconds_to_wait(headers.get("retry-after"))


def item_error(item: Mapping[str, Any], bucket: str) -> StoreError:
    """Return the error of one key in the answer to a batch delete."""
    code = item.get("Code", "")
    meaning = _BY_CODE.get(code, Meaning(ProviderInternalException))
    reason = item.get("Message") or code or "the service did not say why"
    return meaning.error(reason, bucket=bucket, key=item.get("Key"), code=code or None, hint=meaning.hint)


def status_of(error: exceptions.ClientError) -> int | None:
    """Return the HTTP status of an answer."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status if isinstance(status, int) else None


def code_of(error: exceptions.ClientError) -> str:
    """Return the service's own code of an answer."""
    return str(error.response.get("Error", {}).get("Code", ""))


def reworded(kind: type[StoreError], reason: str, error: exceptions.ClientError, **context: Any) -> StoreError:
    """Return an answer's error as another class, where the call says more than the answer."""
    failure = _classify_answer(error)
    said = kind(reason, status=failure.status, code=failure.code, request_id=failure.request_id, **context)
    said.__cause__ = error
    return said
