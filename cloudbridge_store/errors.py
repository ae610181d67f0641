"""Every exception this library raises, in one tree.

CloudBridge's names (``cloudbridge.interfaces.exceptions``) are part of it, and where Python has a fitting built-in
the class is that one too, so ``except FileNotFoundError`` works::

    CloudBridgeBaseException
    ├── WaitStateException
    ├── InvalidConfigurationException (ValueError)
    │   ├── UnknownProviderError (NotImplementedError)
    │   │   └── ProviderRetiredError                   the service is gone; the message has what takes its place
    │   └── MissingDependencyError (ImportError)
    ├── InvalidNameException (ValueError)              a bucket name or an object key, refused before any request
    │   ├── InvalidLabelException                      an object key
    │   └── InvalidParamException                      a keyword that ``find`` does not know
    ├── InvalidValueException (ValueError)             any other argument, refused before any request
    └── StoreError                                     says operation, provider, bucket, key, status, code, attempts
        ├── ProviderInternalException                  the service answered what it should not
        │   ├── ServiceUnavailableError                5xx
        │   └── ForeignAnswerError                     what answered is not such a service at all
        ├── ProviderConnectionException
        │   ├── AuthenticationError (PermissionError)  who we are is not accepted
        │   │   ├── CredentialsExpiredError
        │   │   └── ClockSkewError                     this machine's clock is wrong
        │   ├── ConnectionFailedError (ConnectionError)
        │   │   └── CertificateError                   the server could not prove who it is
        │   └── OperationTimeoutError (TimeoutError)
        ├── PermissionDeniedError (PermissionError)    who we are is known, and may not
        ├── NotFoundError (FileNotFoundError)
        │   ├── BucketNotFoundError
        │   ├── ObjectNotFoundError
        │   └── UploadNotFoundError
        ├── DuplicateResourceException (FileExistsError)
        ├── ConflictError                              the state of the store forbids it now
        │   ├── BucketNotEmptyError
        │   ├── BeingDeletedError                      its deletion is not over yet; later the name is free
        │   └── LockedError                            a lease, a hold or a retention period forbids it
        ├── PreconditionFailedError                    if_match or if_none_match did not hold
        │   └── ObjectChangedError                     replaced while it was being read
        ├── NotModifiedError                           a conditional read found nothing new
        ├── InvalidRequestError (ValueError)           the service refused the arguments themselves
        │   ├── InvalidRangeError
        │   └── WrongRegionError                       the bucket is in another region
        ├── IntegrityError                             bytes or checksums differ; nothing was kept
        ├── SourceChangedError                         the file being uploaded changed meanwhile
        ├── ThrottledError
        ├── QuotaExceededError
        ├── ArchivedError                              must be restored before it can be read
        ├── UnsupportedOperationError (NotImplementedError)
        ├── LocalIOError (OSError)                     this machine's disk, not the service
        │   └── LocalFileNotFoundError (FileNotFoundError)
        ├── TransferError                              some items of a bulk operation failed; it lists them
        └── ProviderClosedError
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

Outcome = Literal["not_applied", "applied", "unknown"]
"""What is known of a write that failed: whether the store carried it out."""


class CloudBridgeBaseException(Exception):
    """Root of the tree."""


class WaitStateException(CloudBridgeBaseException):
    """A resource did not reach the awaited state in time."""


class InvalidConfigurationException(CloudBridgeBaseException, ValueError):
    """A configuration key is unknown, misspelt, of the wrong type, or contradicts another."""


class UnknownProviderError(InvalidConfigurationException, NotImplementedError):
    """No provider of that name is registered."""


class ProviderRetiredError(UnknownProviderError):
    """The service that the name stands for is gone; the message says what to use in its place."""


class MissingDependencyError(InvalidConfigurationException, ImportError):
    """The provider exists, but the SDK it needs is not installed; the message names the extra to install."""


class InvalidNameException(CloudBridgeBaseException, ValueError):
    """A bucket name or object key that would not be stored faithfully; nothing was sent."""


class InvalidLabelException(InvalidNameException):
    """An object key that would not be stored faithfully; nothing was sent."""


class InvalidParamException(InvalidNameException):
    """A search keyword that is not known."""


class InvalidValueException(CloudBridgeBaseException, ValueError):
    """An argument outside its range; nothing was sent.

    :param param: the argument's name.
    :param value: what was given.
    :param hint: what would be accepted.
    """

    def __init__(self, param: str, value: object, hint: str = "") -> None:
        message = f"Param {param} has been given an unrecognised value {value!r}"
        super().__init__(f"{message}: {hint}" if hint else message)
        self._arguments = (param, value, hint)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments


_CONTEXT = (
    "provider",
    "operation",
    "bucket",
    "key",
    "status",
    "code",
    "request_id",
    "attempts",
    "outcome",
    "hint",
    "retry_after",
)


_UNSAID: Mapping[str, Any] = {"attempts": 1, "outcome": "not_applied", "hint": ""}
"""What stands in a field, where it is not ``None``, until somebody says otherwise."""


class StoreError(CloudBridgeBaseException):
    """An operation failed. The fields say which, where and how often it was tried; ``__cause__`` has the SDK's error.

    :ivar reason: what went wrong, without the context that ``str()`` puts around it.
    :ivar provider: provider name, such as ``"local"``.
    :ivar operation: the contract's name for what was attempted, such as ``"put_object"``.
    :ivar bucket: bucket name, or ``None``.
    :ivar key: object key, or ``None``.
    :ivar status: HTTP status, where there was one.
    :ivar code: the service's own error code.
    :ivar request_id: the service's request id, to quote to its support.
    :ivar attempts: how many times it was tried.
    :ivar outcome: ``"not_applied"``, ``"applied"`` or ``"unknown"``.
    :ivar hint: what to do about it.
    :ivar retry_after: seconds the service asked to wait, where it did.
    """

    provider: str | None
    operation: str | None
    bucket: str | None
    key: str | None
    status: int | None
    code: str | None
    request_id: str | None
    attempts: int
    outcome: Outcome
    hint: str
    retry_after: float | None
    given_up: bool = False
    """It was repeated by itself as often as the rules permit, within an operation that is not to be repeated for it."""

    def __init__(self, reason: str = "", **context: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        for name in _CONTEXT:
            setattr(self, name, context.pop(name, _UNSAID.get(name)))
        if context:
            unexpected = ", ".join(sorted(context))
            message = f"unexpected context: {unexpected}"
            raise TypeError(message)

    def add_context(self, **context: Any) -> Self:
        """Fill in what is not known yet; what the raiser said stays."""
        for name, value in context.items():
            if getattr(self, name) in (None, _UNSAID.get(name)):
                setattr(self, name, value)
        return self

    def context(self) -> Mapping[str, Any]:
        """Return the fields as a mapping, for logs and reports."""
        return {name: getattr(self, name) for name in _CONTEXT}

    def __str__(self) -> str:
        where = "/".join(part for part in (self.bucket, self.key) if part)
        head = " ".join(part for part in (self.provider, self.operation, where) if part)
        notes = [f"{label} {value}" for label, value in self._notes() if value not in (None, "")]
        text = f"{head}: {self.reason}" if head else self.reason
        if notes:
            text += f" ({', '.join(notes)})"
        return f"{text}. {self.hint}" if self.hint else text

    def _notes(self) -> list[tuple[str, object]]:
        return [
            ("status", self.status),
            ("code", self.code),
            ("request", self.request_id),
            ("attempts", self.attempts if self.attempts > 1 else None),
            ("outcome", self.outcome if self.outcome != "not_applied" else None),
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), dict(vars(self)))


def _rebuild(kind: type[StoreError], state: dict[str, Any]) -> StoreError:
    error = kind(state["reason"])
    for name, value in state.items():
        setattr(error, name, value)
    return error


class ProviderInternalException(StoreError):
    """The service answered what it should not have, or failed in a way it does not explain."""


class ServiceUnavailableError(ProviderInternalException):
    """The service is failing (5xx); trying again later may help."""


class ForeignAnswerError(ProviderInternalException):
    """What answered does not speak the service's protocol: a wrong address, a proxy, or a login page."""


class ProviderConnectionException(StoreError):
    """The service cannot be reached, or does not accept who we are."""


class AuthenticationError(ProviderConnectionException, PermissionError):
    """The credentials are missing, wrong or expired."""


class CredentialsExpiredError(AuthenticationError):
    """The credentials were valid and are no more."""


class ClockSkewError(AuthenticationError):
    """The signature's time is not the service's: this machine's clock is wrong."""


class ConnectionFailedError(ProviderConnectionException, ConnectionError):
    """The connection could not be made, or broke."""


class CertificateError(ConnectionFailedError):
    """The server's certificate was not accepted; nothing was sent."""


class OperationTimeoutError(ProviderConnectionException, TimeoutError):
    """An attempt, or all of them together, took longer than allowed."""


class PermissionDeniedError(StoreError, PermissionError):
    """The credentials are valid and do not permit this. Never means that something does not exist."""


class NotFoundError(StoreError, FileNotFoundError):
    """It does not exist; the service did not say whether bucket or object."""


class BucketNotFoundError(NotFoundError):
    """The bucket does not exist."""


class ObjectNotFoundError(NotFoundError):
    """The object does not exist."""


class UploadNotFoundError(NotFoundError):
    """The multipart upload does not exist, was completed, or was aborted."""


class DuplicateResourceException(StoreError, FileExistsError):
    """A bucket of that name exists already."""


class ConflictError(StoreError):
    """The present state of the store forbids the operation."""


class BucketNotEmptyError(ConflictError):
    """Only an empty bucket can be deleted."""


class BeingDeletedError(ConflictError):
    """A bucket of that name is still being deleted; once that is over, the name can be used again."""


class LockedError(ConflictError):
    """A lease, a legal hold or a retention period forbids changing it."""


class PreconditionFailedError(StoreError):
    """``if_match`` or ``if_none_match`` did not hold; nothing was changed."""


class ObjectChangedError(PreconditionFailedError):
    """The object was replaced or deleted while it was being read."""


class NotModifiedError(StoreError):
    """The object still has the ETag given as ``if_none_match``."""


class InvalidRequestError(StoreError, ValueError):
    """The service refused the arguments themselves, such as a part that is too small."""


class InvalidRangeError(InvalidRequestError):
    """The range starts beyond the object's end."""


class WrongRegionError(InvalidRequestError):
    """The bucket, or the signature, belongs to another region of the service."""


class IntegrityError(StoreError):
    """What arrived is not what was sent; nothing of it was kept."""


class SourceChangedError(StoreError):
    """The local source changed, shrank or vanished while it was being uploaded; nothing was stored."""


class ThrottledError(StoreError):
    """The service asks for fewer requests."""


class QuotaExceededError(StoreError):
    """The service, or the disk behind it, has no room left, or the object is larger than it takes."""


class ArchivedError(StoreError):
    """The object is in an archive class and must be restored before it can be read."""


class UnsupportedOperationError(StoreError, NotImplementedError):
    """This provider cannot do that; nothing was sent."""


class LocalIOError(StoreError, OSError):
    """This machine's file system refused; ``errno`` says why."""

    def __init__(self, reason: str = "", **context: Any) -> None:
        errno = context.pop("errno", None)
        super().__init__(reason, **context)
        self.errno = errno

    def __reduce__(self) -> tuple[Any, ...]:
        kind, (cls, state) = super().__reduce__()
        return kind, (cls, {**state, "errno": self.errno})


class LocalFileNotFoundError(LocalIOError, FileNotFoundError):
    """A file or directory of this machine does not exist."""


class TransferError(StoreError):
    """Some items of a bulk operation failed; the others were carried out.

    :ivar failures: the error of each failed item, by key or path.
    """

    failures: Mapping[str, Exception]

    def __init__(self, reason: str = "", *, failures: Mapping[str, Exception] | None = None, **context: Any) -> None:
        super().__init__(reason, **context)
        self.failures = dict(failures or {})


class ProviderClosedError(StoreError):
    """The provider was closed; create a new one."""
