"""What the exceptions of keystoneauth and openstacksdk mean: they come of logging in, and of ``native``."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from keystoneauth1 import exceptions

from cloudbridge_store.drivers.base import Failure
from cloudbridge_store.drivers.http import Meaning, seconds_to_wait
from cloudbridge_store.drivers.openstack.errors import NOT_SWIFT
from cloudbridge_store.errors import (
    AuthenticationError,
    CertificateError,
    ConnectionFailedError,
    ForeignAnswerError,
    InvalidRequestError,
    OperationTimeoutError,
    PermissionDeniedError,
    ProviderConnectionException,
    ServiceUnavailableError,
    ThrottledError,
)
from cloudbridge_store.redaction import redact

_USER = "Check the user's name, its password or key, its project, and the domains of both"
_ADDRESS = "Check os_auth_url and os_auth_version: that address does not answer as an identity service does"
_ENDPOINT = "Check os_region_name and os_interface, and that the project may use the object store"
_TLS = "The identity service's certificate was not accepted: set ca_bundle, or check os_auth_url"

_BY_STATUS = {
    400: Meaning(InvalidRequestError, hint=_USER),
    401: Meaning(AuthenticationError, hint=_USER),
    403: Meaning(PermissionDeniedError, hint=_USER),
    404: Meaning(ForeignAnswerError, hint=_ADDRESS),
    405: Meaning(ForeignAnswerError, hint=_ADDRESS),
    408: Meaning(OperationTimeoutError, "always"),
    # As Rackspace's identity says that it is asked too often.
    413: Meaning(ThrottledError, "always"),
    429: Meaning(ThrottledError, "always"),
}

# Nothing of these changes anything: a login can always be tried again. The first class that fits counts.
_BY_CLASS: tuple[tuple[tuple[type[BaseException], ...], Meaning], ...] = (
    ((exceptions.ConnectTimeout,), Meaning(OperationTimeoutError, "always")),
    ((exceptions.SSLError,), Meaning(CertificateError, hint=_TLS)),
    ((exceptions.ConnectFailure, exceptions.UnknownConnectionError), Meaning(ConnectionFailedError, "always")),
    ((exceptions.ConnectionError,), Meaning(ConnectionFailedError, "always")),
    ((exceptions.InvalidResponse,), Meaning(ForeignAnswerError, hint=_ADDRESS)),
    ((exceptions.DiscoveryFailure, exceptions.VersionNotAvailable), Meaning(ForeignAnswerError, hint=_ADDRESS)),
    ((exceptions.CatalogException,), Meaning(ProviderConnectionException, hint=_ENDPOINT)),
    (
        (exceptions.AuthorizationFailure, exceptions.MissingAuthMethods, exceptions.AuthPluginException),
        Meaning(AuthenticationError, hint=_USER),
    ),
)


def classify_login(error: BaseException) -> Failure:
    """Say what an exception of keystoneauth, openstacksdk or requests means."""
    if isinstance(error, exceptions.HttpError) or isinstance(getattr(error, "status_code", None), int):
        return _classify_status(error)
    for classes, meaning in _BY_CLASS:
        if isinstance(error, classes):
            return Failure(meaning.error, meaning.retry, redact(str(error)), hint=meaning.hint)
    return Failure(ProviderConnectionException, reason=redact(str(error)) or type(error).__name__, hint=NOT_SWIFT)


def _is_keystones(response: Any) -> bool:
    """Say whether an answer is an error as Keystone writes them."""
    try:
        return "code" in response.json()["error"]
    except (AttributeError, KeyError, TypeError, ValueError):
        return False


def _classify_status(error: BaseException) -> Failure:
    status = getattr(error, "http_status", None) or getattr(error, "status_code", None) or 0
    response = getattr(error, "response", None)
    headers = response.headers if response is not None else {}
    meaning = _BY_STATUS.get(status)
    if status == HTTPStatus.NOT_FOUND and _is_keystones(response):
        # Of an application credential, or a trust, that is not there any more.
        meaning = _BY_STATUS[HTTPStatus.UNAUTHORIZED]
    if status == HTTPStatus.BAD_REQUEST and not _is_keystones(response):
        # So Swift answers who takes it for the identity service: no account is called v3.
        meaning = Meaning(InvalidRequestError, hint=_ADDRESS)
    if meaning is None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        meaning = Meaning(ServiceUnavailableError, "always")
    return Failure(
        *(meaning or Meaning(ForeignAnswerError, hint=_ADDRESS))[:2],
        f"logging in failed: {redact(str(error))}",
        seconds_to_wait(headers.get("retry-after")),
        status,
        None,
        getattr(error, "request_id", None),
        (meaning or Meaning(ForeignAnswerError, hint=_ADDRESS)).hint,
    )
