"""What happens after a first attempt failed: wait and repeat, renew credentials, or find out what became of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from cloudbridge_store.core import outcomes
from cloudbridge_store.core.operations import OPERATIONS, Operation
from cloudbridge_store.drivers.base import Body, PutOptions
from cloudbridge_store.errors import NotFoundError, StoreError

if TYPE_CHECKING:
    import tenacity

    from cloudbridge_store.core.session import Session

T = TypeVar("T")

_log = logging.getLogger("cloudbridge_store")


def subject(method: Callable[..., Any], args: tuple[Any, ...]) -> tuple[str | None, str | None]:
    """Return the bucket and key that a call of a contract method names."""
    about = OPERATIONS[method.__name__].subject
    if about == "service":
        return None, None
    return args[0], args[1] if about == "object" else None


def body_size(args: tuple[Any, ...]) -> int:
    """Return the bytes that a call of a contract method sends."""
    return sum(argument.size for argument in args if isinstance(argument, Body))


class Recovery:
    """One call whose first attempt failed.

    :param since: when that attempt began, in seconds since the epoch.
    :param operation: what it is, if it is no method of the contract.
    """

    def __init__(
        self,
        session: Session,
        method: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        error: Exception,
        since: float,
        operation: Operation | None = None,
    ) -> None:
        self.attempts = 1
        self._session = session
        self._method = method
        self._name = "" if operation is not None else method.__name__
        self._args = args
        self._kwargs = kwargs
        self._first = error
        self._since = since
        self._pending: Exception | None = error
        self._operation: Operation = operation or OPERATIONS[self._name]
        self._doubtful = False
        """An attempt was made of which nobody knows whether it was carried out."""
        self._verdict: str | None = None
        self._renewed_after: int | None = None
        """The attempt after which new credentials were fetched, once."""

    def run(self) -> Any:
        """Repeat as the rules allow; return the result or raise the last failure as one of ours."""
        try:
            result = self._repeat()
        except Exception as error:
            if isinstance(error, NotFoundError):
                self._session.earn_token()
            verdict = self._last_look(error)
            if self._doubtful and self._name == "start_upload":
                self._leave_no_twin()
            if verdict.state != "applied":
                wrapped = self._wrapped(error)
                raise wrapped from wrapped.__cause__
            result = verdict.result
        if self._doubtful and self._name == "start_upload":
            self._session.doubtful_starts[result] = self._moment, datetime.now(UTC)
        return result

    def run_step(self) -> Any:
        """Repeat one of many requests; raise what is final as it is, as the driver knows what that means."""
        try:
            return self._repeat()
        except Exception as error:
            failure = self._session.classify(error)
            if failure is None or failure.retry in ("no", "auth"):
                raise
            given_up = self._session.wrap(error, attempts=self.attempts)
            if isinstance(given_up, StoreError):
                given_up.given_up = True
            raise given_up from given_up.__cause__

    def _repeat(self) -> Any:
        try:
            return self._settled(self._first)
        except Exception as error:
            if not self._permits(error):
                raise
        return self._retrying()(self._attempt)

    def _retrying(self) -> tenacity.Retrying:
        import tenacity  # here, because most programs never see a failure that passes

        settings = self._session.settings
        size = body_size(self._args)
        return tenacity.Retrying(
            # The budget last, so that no token is taken in vain.
            stop=tenacity.stop_after_attempt(settings.retry.attempts)
            | tenacity.stop_before_delay(settings.deadline + size / settings.slowest_rate)
            | cast("tenacity.stop.stop_base", lambda _: not self._session.take_token()),
            wait=self._wait,
            retry=self._may_repeat,
            sleep=self._session.pause,
            reraise=True,
        )

    def _attempt(self) -> Any:
        # tenacity counts and waits from the first attempt on, which was made before it was called for.
        if self._pending is not None:
            first, self._pending = self._pending, None
            raise first
        self.attempts += 1
        try:
            return self._method(*self._args, **self._kwargs)
        except Exception as error:
            return self._settled(error)

    def _settled(self, error: Exception) -> Any:
        """Return the result of an attempt that succeeded after all, or raise ``error``."""
        if not self._is_in_doubt(error):
            raise error
        verdict = outcomes.settle(self._name, self._doubt())
        self._verdict = verdict.state
        if verdict.state != "applied":
            raise error
        return verdict.result

    def _is_in_doubt(self, error: Exception) -> bool:
        failure = self._session.classify(error)
        if failure is None:
            return False
        if failure.retry == "idempotent":
            self._doubtful = True
            # Where it can be repeated, once more will do.
            return outcomes.may_be_settled(self._name) and not self._repeatable()
        kind = type(error) if isinstance(error, StoreError) else failure.error
        return self._doubtful and outcomes.shows_own_success(self._name, kind)

    def _last_look(self, error: Exception) -> outcomes.Verdict:
        """Find out what became of a write that is not tried again."""
        failure = self._session.classify(error)
        lost = failure is not None and failure.retry == "idempotent"
        if not lost or self._verdict or not outcomes.may_be_settled(self._name):
            return outcomes.UNKNOWN
        return outcomes.settle(self._name, self._doubt())

    def _leave_no_twin(self) -> None:
        bucket, key = self._args[:2]
        try:
            outcomes.abort_twins(self._session, bucket, key, None, self._moment, datetime.now(UTC))
        except StoreError:
            _log.warning("whether an upload of %s/%s was started could not be seen", bucket, key)

    def _doubt(self) -> outcomes.Doubt:
        return outcomes.Doubt(self._session, self._args, self._kwargs, self._moment)

    @property
    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._since, UTC)

    def _may_repeat(self, state: tenacity.RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        return error is not None and self._permits(error)

    def _permits(self, error: BaseException) -> bool:
        failure = self._session.classify(error)
        if failure is None or failure.retry == "no":
            return False
        if failure.retry == "auth":
            if self._renewed_after is None and self._session.driver.renew():
                self._renewed_after = self.attempts
            return self._renewed_after == self.attempts
        return failure.retry == "always" or self._verdict == "not_applied" or self._repeatable()

    def _repeatable(self) -> bool:
        if self._operation.repeatable == "unless_conditional":
            options = [argument for argument in self._args if isinstance(argument, PutOptions)]
            return not any(each.conditional for each in options)
        return self._operation.repeatable == "always"

    def _wait(self, state: tenacity.RetryCallState) -> float:
        assert state.outcome is not None
        error = state.outcome.exception()
        assert error is not None
        return self._session.backoff(state.attempt_number, error)

    def _wrapped(self, error: Exception) -> Exception:
        bucket, key = subject(self._method, self._args)
        failure = self._session.classify(error)
        lost = self._operation.writes and failure is not None and failure.retry == "idempotent"
        unknown = self._verdict == "unknown" or (lost and self._verdict != "not_applied")
        return self._session.wrap(
            error,
            operation=self._name,
            bucket=bucket,
            key=key,
            attempts=self.attempts,
            outcome="unknown" if unknown else "not_applied",
        )
