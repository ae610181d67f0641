"""Plays every trouble in every operation, and compares with the table."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest

from cloudbridge_store.config import RetryConfig
from cloudbridge_store.core.session import Session
from cloudbridge_store.errors import StoreError
from cloudbridge_store.provider import CloudProvider
from cloudbridge_store.testing.fault_proxy import FaultProxy, Rule
from cloudbridge_store.testing.faults import FaultyDriver
from cloudbridge_store.testing.harness import ProviderHarness
from cloudbridge_store.testing.reliability.scenarios import NEW, SCENARIOS, Scenario, Stage
from cloudbridge_store.testing.reliability.troubles import OF_ANSWERS_BODY, TROUBLES, Trouble, at_place

ATTEMPTS = 3
TIMEOUT, LONG_TIMEOUT = 1.0, 10.0
"""Seconds that are waited for an answer: what stalls is played until then. The longer is for a machine that is so busy
that the service itself does not answer within the shorter."""
LONGEST = 30
"""Time-outs that a cell may take."""
_SETTINGS: dict[str, Any] = {
    "retry": RetryConfig(ATTEMPTS, base=0.001, throttled_base=0.001, longest_retry_after=0.01, budget=1e9),
    "connect_timeout": LONG_TIMEOUT,
}
_TIMES = (1, 2, None)
_LEAST_PART = 128 * 2**10
"""Bytes of a part where the service asks for fewer: room for what happens in the middle of one."""
_ALL = os.environ.get("CBS_TEST_FAULTS") == "all"
_REPORT = os.environ.get("CBS_TEST_REPORT")


class Cell(NamedTuple):
    """One trouble in one operation."""

    scenario: Scenario
    trouble: Trouble
    times: int | None
    skip: int = 0
    """Requests that pass before."""

    def __str__(self) -> str:
        often = {1: "once", 2: "twice", None: "for ever"}[self.times]
        after = f" after {self.skip}" if self.skip else ""
        return f"{self.scenario.name}: {self.trouble.name}, {often}{after}"


def cells(*, everything: bool = _ALL) -> list[Cell]:
    """Return the cells; without ``everything`` those of CI: not twice, and what stalls only where bytes pass."""
    found = [
        Cell(scenario, trouble, times)
        for scenario in SCENARIOS
        for trouble in TROUBLES
        for times in _TIMES
        if trouble.fits(scenario)
    ]
    return found if everything else [cell for cell in found if _is_quick(cell)]


def places() -> list[Cell]:
    """Return the cells of a sweep: the ends of the content and of its parts, and their neighbours."""
    part = 50 * 2**10
    sweep = [(0, 0), (0, 1), (0, part - 1), (0, part), (0, part + 1), (0, -1)]
    by_parts = [(0, 0), (0, 1), (1, 0), (1, 1), (1, part - 1), (2, -1)]
    wanted = {
        "content": sweep, "iter_content": sweep, "download": sweep, "put": sweep, "put_stream": sweep,
        "download_ranges": by_parts, "upload_part": by_parts,
    }  # fmt: skip
    return [
        Cell(scenario, trouble, 1, skip)
        for scenario in SCENARIOS
        for skip, at in wanted.get(scenario.name, ())
        for trouble in at_place(at)
        if trouble.fits(scenario)
    ]


def _is_quick(cell: Cell) -> bool:
    return cell.times == 1 if cell.trouble.stalls else cell.times != 2


class Played(NamedTuple):
    """What came of a cell."""

    cell: Cell
    result: Any
    failure: Exception | None
    seconds: float
    consumed: int
    """Times that the trouble happened."""

    @property
    def was_kept_waiting(self) -> bool:
        """It took a time-out more than were played."""
        return self.seconds >= TIMEOUT * (1 + self.consumed * self.cell.trouble.stalls)


class Disturber(Protocol):
    """Makes troubles."""

    def provider(self, timeout: float) -> CloudProvider:
        """Return what is disturbed, which waits that long for an answer, in seconds."""

    def begin(self, cell: Cell) -> None:
        """Plan a cell's trouble. Skips the test where it cannot be played here."""

    def end(self) -> int:
        """Plan nothing any more; return how often it happened."""


class WireDisturber:
    """A proxy between the provider and its server."""

    def __init__(self, harness: ProviderHarness, stack: ExitStack) -> None:
        assert harness.upstream is not None
        self._harness = harness
        self._stack = stack
        self._proxy = stack.enter_context(FaultProxy(harness.upstream))
        self._providers: dict[float, CloudProvider] = {}
        self._rule: Rule | None = None

    def provider(self, timeout: float) -> CloudProvider:
        """Return a provider by the proxy."""
        if timeout not in self._providers:
            made = self._harness.make_provider_at(self._proxy.url, **_SETTINGS, read_timeout=timeout)
            self._providers[timeout] = self._stack.enter_context(made)
        return self._providers[timeout]

    def begin(self, cell: Cell) -> None:
        """Add a rule."""
        if cell.trouble.wire is None:
            pytest.skip("this cannot be played on the wire")
        match = self._harness.request_of(cell.scenario.disturbed)
        self._proxy.clear()
        self._rule = self._proxy.add(Rule(match, cell.trouble.wire(), times=cell.times, skip=cell.skip))

    def end(self) -> int:
        """Take the rule away."""
        assert self._rule is not None
        consumed = self._rule.consumed
        errors = list(self._proxy.errors)
        self._proxy.clear()
        self._proxy.accept()
        assert errors == []
        return consumed


class InsideDisturber:
    """A driver around the provider's own."""

    def __init__(self, harness: ProviderHarness, stack: ExitStack) -> None:
        self._provider = stack.enter_context(harness.make_provider(**_SETTINGS))
        inner = self._provider.session
        self._driver = FaultyDriver(inner.driver)  # type: ignore[abstract]
        self._provider.session = Session(inner.provider, self._get, inner.settings)

    def _get(self) -> FaultyDriver:
        return self._driver

    def provider(self, timeout: float) -> CloudProvider:
        """Return the provider; nothing is waited for."""
        return self._provider

    def begin(self, cell: Cell) -> None:
        """Add a fault."""
        if cell.trouble.inside is None:
            pytest.skip("this cannot be played around a driver")
        fault = cell.trouble.inside(cell.scenario.disturbed)
        fault.times = 10**9 if cell.times is None else cell.times
        fault.skip = cell.skip
        if fault.at is not None and fault.at < 0:
            fault.at += len(NEW)
        self._driver.faults[:] = [fault]

    def end(self) -> int:
        """Take the fault away."""
        (fault,) = self._driver.faults
        self._driver.faults.clear()
        return fault.consumed


class FaultSuite:
    """Every trouble in every operation. ``harness`` comes from the subclass or from a ``conftest.py``."""

    @pytest.fixture(scope="class")
    @classmethod
    def disturber(cls, harness: ProviderHarness) -> Iterator[Disturber]:
        """What makes the troubles, for all cells of a class."""
        with ExitStack() as stack:
            kind = InsideDisturber if harness.upstream is None else WireDisturber
            yield kind(harness, stack)

    @pytest.fixture(scope="class")
    @classmethod
    def direct(cls, harness: ProviderHarness) -> Iterator[CloudProvider]:
        """A provider that nothing disturbs."""
        with harness.make_provider() as provider:
            yield provider

    @pytest.fixture(scope="class")
    @classmethod
    def name(cls, harness: ProviderHarness, direct: CloudProvider) -> Iterator[str]:
        """A bucket."""
        bucket = harness.make_bucket(direct)
        yield bucket.name
        harness.remove_bucket(bucket)

    @pytest.fixture
    def stage(self, disturber: Disturber, direct: CloudProvider, name: str, tmp_path: Path) -> Stage:
        """The surroundings of a cell."""
        bucket = direct.storage.buckets.get(name)
        assert bucket is not None
        return Stage(
            bucket,
            type(bucket)(disturber.provider(TIMEOUT), bucket._info),
            f"cell-{uuid.uuid4().hex[:12]}",
            tmp_path,
            max(direct.session.upload_limits().min_part or 5 * 2**20, _LEAST_PART),
        )

    @pytest.mark.parametrize("cell", cells(), ids=str)
    def test_trouble(self, harness: ProviderHarness, disturber: Disturber, stage: Stage, cell: Cell) -> None:
        self._play(harness, disturber, stage, cell)

    @pytest.mark.parametrize("cell", places(), ids=str)
    def test_place(self, harness: ProviderHarness, disturber: Disturber, stage: Stage, cell: Cell) -> None:
        self._play(harness, disturber, stage, cell)

    def _play(self, harness: ProviderHarness, disturber: Disturber, stage: Stage, cell: Cell) -> None:
        cell = _as_met(harness, cell)
        scenario, trouble = cell.scenario, cell.trouble
        lacking = [each for each in scenario.needs if not getattr(stage.direct.provider.capabilities, each)]
        if lacking:
            pytest.skip(f"this provider lacks {lacking}")
        if trouble.fits in OF_ANSWERS_BODY and scenario.disturbed in harness.bodiless:
            pytest.skip("what answers this on the service has no body")
        if not harness.unplayable.isdisjoint({trouble.name, f"{scenario.name}: {trouble.name}"}):
            pytest.skip("this server does not notice, which its harness documents")
        played = _perform(cell, disturber, stage)
        if played.was_kept_waiting:
            # A slow machine excuses time-outs, and no harm.
            _refuse_harm(played, stage)
            patient = type(stage.bucket)(disturber.provider(LONG_TIMEOUT), stage.bucket._info)
            stage = replace(stage, bucket=patient, key=f"{stage.key}-again")
            played = _perform(cell, disturber, stage)
        assert played.seconds < LONGEST * LONG_TIMEOUT
        _write_down(harness, played)
        assert played.consumed, "the trouble never happened"
        _refuse_harm(played, stage)
        _compare(played)
        tries = 2 if _is_renewed(harness, cell) else 1
        assert trouble.nature != "refusal" or played.consumed == tries, "a refusal was not taken for one"
        doubtful = harness.keeps_doubtful_uploads and played.failure and scenario.disturbed == "finish_upload"
        if stage.direct.provider.capabilities.list_uploads and not doubtful:
            assert list(stage.direct.list_uploads(stage.key)) == []


def _perform(cell: Cell, disturber: Disturber, stage: Stage) -> Played:
    cell.scenario.prepare(stage)
    disturber.begin(cell)
    began = time.monotonic()
    result, failure = _run(cell.scenario, stage)
    return Played(cell, result, failure, time.monotonic() - began, disturber.end())


def _as_met(harness: ProviderHarness, cell: Cell) -> Cell:
    """Return a cell as these credentials meet it: with a new token a refusal is over."""
    if _is_renewed(harness, cell) and cell.times == 1:
        return cell._replace(trouble=replace(cell.trouble, nature="passing"))
    return cell


def _is_renewed(harness: ProviderHarness, cell: Cell) -> bool:
    return cell.trouble.name == "status 401" and harness.renews


def _run(scenario: Scenario, stage: Stage) -> tuple[Any, Exception | None]:
    try:
        return scenario.run(stage), None
    except StoreError as error:
        return None, error


def _refuse_harm(played: Played, stage: Stage) -> None:
    """Raise for what is wrong however long it took."""
    scenario, trouble = played.cell.scenario, played.cell.trouble
    assert played.consumed <= ATTEMPTS * scenario.requests, "it was tried more often than the law permits"
    if played.failure is None:
        assert trouble.nature != "refusal" or not played.consumed, "a refusal came out as a success"
        assert scenario.check(stage, played.result), "it came out wrong, and as a success"
    else:
        assert scenario.unharmed(stage), "what was there is harmed"


def _compare(played: Played) -> None:
    """Raise for a failure that this trouble does not explain."""
    (_, trouble, times, _), failure = played.cell, played.failure
    if failure is None:
        return
    assert trouble.nature != "passing" or times is None, f"what passes was not outlived: {failure!r}"
    causes = [failure, *getattr(failure, "failures", {}).values()]
    assert any(isinstance(cause, trouble.errors) for cause in causes), f"unexpected: {failure!r}"


def _write_down(harness: ProviderHarness, played: Played) -> None:
    if not _REPORT:
        return
    cell, failure = played.cell, played.failure
    came = "success" if failure is None else type(failure).__name__
    line = {"provider": type(harness).__name__, "cell": str(cell), "nature": cell.trouble.nature, "outcome": came}
    with Path(_REPORT).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
