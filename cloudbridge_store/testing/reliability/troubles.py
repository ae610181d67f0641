"""What goes wrong, how it is played, and what must come of it: one table for all providers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cloudbridge_store import errors
from cloudbridge_store.errors import StoreError
from cloudbridge_store.testing import fault_proxy as wire
from cloudbridge_store.testing.faults import Fault
from cloudbridge_store.testing.reliability.scenarios import NEW, Scenario

Errors = tuple[type[StoreError], ...]
Nature = Literal["passing", "refusal", "damage"]

_BROKEN: Errors = (errors.ConnectionFailedError, errors.OperationTimeoutError, errors.IntegrityError)
_FAILING: Errors = (errors.ServiceUnavailableError, errors.ThrottledError)
_STRANGE: Errors = (errors.ForeignAnswerError, errors.ProviderInternalException, *_BROKEN, errors.ObjectChangedError)


@dataclass(frozen=True)
class Trouble:
    """One fault.

    :param nature: ``passing``: what passes must do no harm, and the operation succeeds; ``refusal``: it fails at once,
        and is not tried again; ``damage``: it succeeds all the same, or fails, and never hands over what is wrong.
    :param errors: what it may fail with.
    :param wire: plays it on the wire; ``None``: it cannot be.
    :param inside: plays it around a driver, given the contract's method; ``None``: it cannot be.
    :param fits: the operations that it can happen to.
    """

    name: str
    nature: Nature
    errors: Errors
    wire: Callable[[], wire.Fault] | None = None
    inside: Callable[[str], Fault] | None = None
    fits: Callable[[Scenario], bool] = lambda scenario: True
    stalls: bool = False
    """It takes until a time-out."""


def _is_read(scenario: Scenario) -> bool:
    return scenario.kind == "read"


def _sends(scenario: Scenario) -> bool:
    return scenario.kind == "write" and scenario.body


def _whole_read(scenario: Scenario) -> bool:
    return scenario.kind == "read" and scenario.verified


def _ranged(scenario: Scenario) -> bool:
    return scenario.name in ("read_range", "seek", "download_ranges")


def _in_document(scenario: Scenario) -> bool:
    return scenario.disturbed in ("copy_object", "finish_upload")


def _answers_body(scenario: Scenario) -> bool:
    return scenario.kind in ("read", "list") or _in_document(scenario) or scenario.disturbed == "start_upload"


OF_ANSWERS_BODY = (_answers_body, _in_document)
"""What the troubles of an answer's body fit."""


def _raising(error: Callable[[], StoreError], *, executed: bool = False) -> Callable[[str], Fault]:
    return lambda operation: Fault(operation, error(), executed=executed)


def _status(status: int, nature: Nature, expected: Errors, **more: object) -> Trouble:
    kind = expected[0]
    return Trouble(
        f"status {status}", nature, expected, lambda: wire.Status(status=status, **more),  # type: ignore[arg-type]
        _raising(lambda: kind("said so")),
    )  # fmt: skip


def at_place(at: int) -> Sequence[Trouble]:
    """Return what can happen to the content at one place of it; negative counts from the end."""
    return (
        Trouble(
            f"reset in the answer at {at}", "passing", _BROKEN, lambda: wire.ResetAnswerBody(at=at),
            lambda operation: Fault(operation, errors.ConnectionFailedError("reset"), at=at), fits=_is_read,
        ),
        Trouble(
            f"answer cut at {at}", "passing", _BROKEN, lambda: wire.CutAnswer(at=at),
            lambda operation: Fault(operation, at=at), fits=_is_read,
        ),
        Trouble(
            f"bit flipped at {at} in what comes", "damage", (errors.IntegrityError,), lambda: wire.FlipAnswerBit(at=at),
            lambda operation: Fault(operation, at=at, flip=True), fits=_whole_read,
        ),
        Trouble(f"reset in the body sent at {at}", "passing", _BROKEN, lambda: wire.ResetRequestBody(at=at), fits=_sends),
        Trouble(
            f"bit flipped at {at} in what is sent", "damage", (errors.IntegrityError, errors.AuthenticationError),
            lambda: wire.FlipRequestBit(at=at), fits=_sends,
        ),
    )  # fmt: skip


TROUBLES: Sequence[Trouble] = (
    Trouble(
        "reset before the request", "passing", _BROKEN, wire.ResetBeforeRequest,
        _raising(lambda: errors.ConnectionFailedError("reset")),
    ),
    Trouble("reset at the start of the body sent", "passing", _BROKEN, wire.ResetRequestBody, fits=_sends),
    Trouble("reset in the body sent", "passing", _BROKEN, lambda: wire.ResetRequestBody(at=70_000), fits=_sends),
    Trouble("reset at the end of the body sent", "passing", _BROKEN, lambda: wire.ResetRequestBody(at=-1), fits=_sends),
    Trouble(
        "lost answer", "passing", _BROKEN, wire.LostAnswer,
        _raising(lambda: errors.ConnectionFailedError("reset"), executed=True),
    ),
    Trouble("reset in the answer", "passing", _BROKEN, lambda: wire.ResetAnswerBody(at=50), fits=_answers_body),
    Trouble(
        "answer cut", "passing", (*_BROKEN, *_FAILING, errors.ForeignAnswerError), lambda: wire.CutAnswer(at=50), fits=_answers_body,
    ),
    Trouble("answer cut at its last byte", "passing", _BROKEN, lambda: wire.CutAnswer(at=-1), fits=_is_read),
    Trouble("no answer", "passing", _BROKEN, lambda: wire.StallBeforeHead(executed=False), stalls=True),
    Trouble("no answer, and done", "passing", _BROKEN, wire.StallBeforeHead, stalls=True),
    Trouble("answer stalls", "passing", _BROKEN, lambda: wire.StallInBody(at=50), fits=_answers_body, stalls=True),
    _status(408, "passing", (errors.OperationTimeoutError,)),
    _status(429, "passing", (errors.ThrottledError,), retry_after=0),
    _status(500, "passing", _FAILING),
    _status(502, "passing", _FAILING),
    _status(503, "passing", _FAILING, retry_after=0),
    _status(504, "passing", _FAILING),
    Trouble(
        "status 503 after it was done", "passing", _FAILING, lambda: wire.Status(status=503, executed=True),
        _raising(lambda: errors.ServiceUnavailableError("said so"), executed=True),
    ),
    Trouble("error in a 200", "passing", _FAILING, wire.ErrorDocument, fits=_in_document),
    Trouble(
        "error in a 200 after it was done", "passing", _FAILING, lambda: wire.ErrorDocument(executed=True),
        fits=_in_document,
    ),
    _status(401, "refusal", (errors.AuthenticationError,)),
    _status(403, "refusal", (errors.PermissionDeniedError,)),
    Trouble("early 403", "refusal", (errors.PermissionDeniedError, *_BROKEN), wire.EarlyStatus, fits=_sends),
    Trouble("page of HTML", "damage", _STRANGE, wire.HtmlPage),
    Trouble("no HTTP", "damage", _STRANGE, wire.NotHttp),
    Trouble(
        "redirect", "damage", (*_STRANGE, errors.InvalidRequestError), lambda: wire.Redirect(to="http://127.0.0.1:9/elsewhere"),
    ),
    Trouble("bit flipped in what is sent", "damage", (errors.IntegrityError, errors.AuthenticationError),
            lambda: wire.FlipRequestBit(at=70_000), fits=_sends),
    Trouble(
        "bit flipped in what comes", "damage", (errors.IntegrityError,), lambda: wire.FlipAnswerBit(at=20_000),
        lambda operation: Fault(operation, at=20_000, flip=True), fits=_whole_read,
    ),
    Trouble("short answer, and says so", "damage", _STRANGE, lambda: wire.ShrinkAnswer(at=20_000), fits=_is_read),
    Trouble("long answer", "damage", _STRANGE, wire.GrowAnswer, fits=_is_read),
    Trouble("wrong range", "damage", _STRANGE, wire.WrongContentRange, fits=_ranged),
    Trouble("all instead of a range", "damage", _STRANGE, lambda: wire.IgnoreRange(whole=NEW), fits=_ranged),
    Trouble("no ETag", "damage", _STRANGE, wire.EtagMissing, fits=_is_read),
    Trouble("page repeated", "damage", _STRANGE, wire.RepeatPage, fits=lambda s: s.kind == "list"),
    Trouble("pages in a circle", "damage", _STRANGE, wire.TokenLoop, fits=lambda s: s.kind == "list"),
    Trouble("exploding XML", "damage", _STRANGE, wire.XmlBomb, fits=lambda s: s.kind == "list"),
    Trouble("truncated XML", "damage", _STRANGE, lambda: wire.ShrinkAnswer(at=200), fits=lambda s: s.kind == "list"),
    Trouble(
        "stream breaks", "passing", _BROKEN,
        inside=lambda operation: Fault(operation, errors.ConnectionFailedError("reset"), at=20_000), fits=_is_read,
    ),
    Trouble("stream ends early", "passing", _BROKEN, inside=lambda operation: Fault(operation, at=20_000), fits=_is_read),
)  # fmt: skip
