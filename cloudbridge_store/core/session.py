"""The pipe: every request to a service passes :meth:`Session.call`, which retries, wraps, times and reports it.

The first attempt runs bare; only a failure pays for classification and for tenacity.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from cloudbridge_store.config import Settings
from cloudbridge_store.core.journal import Journal
from cloudbridge_store.core.operations import STEP
from cloudbridge_store.core.outcomes import abort_twins
from cloudbridge_store.core.recovery import Recovery, body_size, subject
from cloudbridge_store.drivers.base import Capabilities, Driver, Failure, Step, UploadLimits
from cloudbridge_store.errors import (
    ConnectionFailedError,
    OperationTimeoutError,
    ProviderClosedError,
    ServiceUnavailableError,
    StoreError,
    ThrottledError,
    UnsupportedOperationError,
)

if TYPE_CHECKING:
    pass

P = ParamSpec("P")
T = TypeVar("T")

_random = random.Random()  # noqa: S311 - spreads retries, guards nothing
_log = logging.getLogger("cloudbridge_store")
_log.addHandler(logging.NullHandler())

_RAISED_BY_DRIVER: Mapping[type[StoreError], Failure] = {
    ThrottledError: Failure(ThrottledError, "always"),
    ServiceUnavailableError: Failure(ServiceUnavailableError, "idempotent"),
    ConnectionFailedError: Failure(ConnectionFailedError, "idempotent"),
    OperationTimeoutError: Failure(OperationTimeoutError, "idempotent"),
}
_FINAL = Failure(StoreError, "no")


@dataclass(frozen=True, slots=True)
class Event:
    """One finished operation, as ``on_event`` is told it. Holds no secret and no content."""

    operation: str
    provider: str
    bucket: str | None
    key: str | None
    seconds: float
    attempts: int
    bytes: int
    """Bytes of the body that was sent; 0 for everything else."""
    error: StoreError | None
    """``None`` where it succeeded."""


class Session:
    """A driver and the rules around it. Safe to share between threads, and across a fork.

    :param provider: the name that errors and events carry.
    :param connect: makes the driver; called again in a forked child, whose connections must be its own.
    :param journal: where transfers in parts are written down; without it, none is gone on with after a crash.
    """

    def __init__(
        self, provider: str, connect: Callable[[], Driver], settings: Settings, journal: Journal | None = None
    ) -> None:
        self.provider = provider
        self.settings = settings
        self.journal = journal
        self._connect = connect
        self._lock = threading.Lock()
        self._driver: Driver | None = None
        self._limits: UploadLimits | None = None
        self._closed = False
        self._budget = settings.retry.budget
        self.doubtful_starts: dict[str, tuple[datetime, datetime]] = {}
        """Uploads that were started twice, as far as anybody knows, by id: when the one was, whose answer was lost."""
        self._sleep: Callable[[float], None] = time.sleep
        _sessions.add(self)

    @property
    def driver(self) -> Driver:
        """The driver of this process. :raises ProviderClosedError: the provider was closed."""
        return self._driver or self._open()

    @property
    def capabilities(self) -> Capabilities:
        """What the service can do."""
        return self.driver.capabilities

    def upload_limits(self) -> UploadLimits:
        """Return how an upload can be cut here. The service may be asked, once. :raises StoreError:"""
        if self._limits is None:
            self._limits = self.call(self.driver.upload_limits)
        return self._limits

    def _open(self) -> Driver:
        with self._lock:
            if self._closed:
                raise ProviderClosedError("the provider was closed", provider=self.provider)
            if self._driver is None:
                self._driver = self._connect()
                self._driver.take_step(_step_of(weakref.ref(self)))
            return self._driver

    def close(self) -> None:
        """Close the driver; any later call raises ProviderClosedError."""
        with self._lock:
            driver, self._driver, self._closed = self._driver, None, True
        if driver is not None:
            driver.close()

    def forget_driver(self) -> None:
        """In a forked child: leave the parent's connections alone and make new ones at the next call."""
        self._driver = None
        self._lock = threading.Lock()

    def call(self, method: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Carry out one method of the driver.

        :raises StoreError: always one of ours, with what is known about the failure.
        """
        if self.settings.on_event is not None or _log.isEnabledFor(logging.DEBUG):
            return self._call_observed(method, *args, **kwargs)
        since = time.time()
        try:
            result = method(*args, **kwargs)
        except Exception as error:
            return cast("T", Recovery(self, method, args, kwargs, error, since).run())
        if self._budget < self.settings.retry.budget:
            self.earn_token()
        return result

    def _call_observed(self, method: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        started, since = time.perf_counter(), time.time()
        attempts = 1
        failure: StoreError | None = None
        try:
            return method(*args, **kwargs)
        except Exception as error:
            recovery = Recovery(self, method, args, kwargs, error, since)
            try:
                return cast("T", recovery.run())
            except StoreError as final:
                failure = final
                raise
            finally:
                attempts = recovery.attempts
        finally:
            self._report(method, args, time.perf_counter() - started, attempts, failure)

    def step(self, request: Callable[[], T], /) -> T:
        """Carry out one of the many requests that a driver's operation consists of, and repeat it where it fails.

        :raises Exception: what the request raised, if that is final; else a StoreError, by which no other attempt is
            made at the whole operation.
        """
        since = time.time()
        try:
            return request()
        except Exception as error:
            return cast("T", Recovery(self, request, (), {}, error, since, STEP).run_step())

    def _report(
        self,
        method: Callable[..., Any],
        args: tuple[Any, ...],
        seconds: float,
        attempts: int,
        failure: StoreError | None,
    ) -> None:
        bucket, key = subject(method, args)
        event = Event(method.__name__, self.provider, bucket, key, seconds, attempts, body_size(args), failure)
        where = f"{self.provider} {event.operation} {bucket}/{key}"
        _log.debug("%s: %.6f s, %d attempts, %s", where, seconds, attempts, failure or "ok")
        if self.settings.on_event is not None:
            self.settings.on_event(event)

    def require(self, capability: str, what: str) -> None:
        """Refuse what the service cannot do, before anything is sent. :raises UnsupportedOperationError:"""
        if not getattr(self.capabilities, capability):
            raise self.lacking(f"this provider cannot {what}", capability)

    def lacking(self, message: str, *names: str, **context: Any) -> UnsupportedOperationError:
        """Return the error for what the service lacks.

        :param names: what that is, as :attr:`Capabilities.hints` names it.
        """
        hints = self.capabilities.hints
        found = dict.fromkeys(hints[name] for name in names if name in hints)
        return UnsupportedOperationError(message, provider=self.provider, hint=". ".join(found), **context)

    def classify(self, error: BaseException) -> Failure | None:
        """Say what an exception means, whoever raised it; ``None`` for one that is nobody's (a bug)."""
        if isinstance(error, StoreError):
            return _FINAL if error.given_up else _RAISED_BY_DRIVER.get(type(error), _FINAL)
        return self.driver.classify(error)

    def wrap(self, error: Exception, **context: Any) -> Exception:
        """Return ``error`` as one of ours with its context, or as it is where it is nobody's."""
        context.setdefault("provider", self.provider)
        if isinstance(error, StoreError):
            return error.add_context(**context)
        failure = self.classify(error)
        if failure is None:
            return error
        reason = failure.reason or str(error) or type(error).__name__
        known = ("status", "code", "request_id", "hint", "retry_after")
        wrapped = failure.error(reason, **context, **{name: getattr(failure, name) for name in known})
        wrapped.__cause__ = error
        return wrapped

    def backoff(self, attempt: int, error: BaseException) -> float:
        """Return the seconds to wait after the ``attempt``-th failure: full jitter, or what the service asked for."""
        failure = self.classify(error) or _FINAL
        retry = self.settings.retry
        base = retry.throttled_base if issubclass(failure.error, ThrottledError) else retry.base
        drawn = _random.uniform(0, min(retry.longest_wait, base * 2 ** (attempt - 1)))
        asked = failure.retry_after if failure.retry_after is not None else getattr(error, "retry_after", None)
        return max(drawn, min(asked or 0.0, retry.longest_retry_after))

    def pause(self, seconds: float) -> None:
        """Wait before trying again."""
        self._sleep(seconds)

    def end_doubt(self, bucket: str, key: str, upload_id: str) -> None:
        """Abort the twin of an upload that is over, where its start was tried twice."""
        if (window := self.doubtful_starts.pop(upload_id, None)) is not None:
            try:
                abort_twins(self, bucket, key, upload_id, *window)
            except StoreError:
                _log.warning("whether an upload of %s/%s was started twice could not be seen", bucket, key)

    def earn_token(self) -> None:
        """Add to the budget: the service answered."""
        self._budget = min(self._budget + self.settings.retry.earned, self.settings.retry.budget)

    def take_token(self) -> bool:
        """Take one retry from the budget; ``False`` when it is used up."""
        if self._budget < 1:
            return False
        self._budget -= 1
        return True


def _step_of(session: weakref.ref[Session]) -> Step:
    # A driver that held its session would outlive it until memory is tidied up, with all its connections.
    def step(request: Callable[[], T], /) -> T:
        there = session()
        return request() if there is None else there.step(request)

    return step


_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


def _after_fork() -> None:
    for session in list(_sessions):
        session.forget_driver()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
