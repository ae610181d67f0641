"""Which request is hit by which fault, how often, and what happens before."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from cloudbridge_store.testing.fault_proxy.messages import Answer, Request
from cloudbridge_store.testing.fault_proxy.play import Fault


@dataclass(frozen=True)
class Match:
    """What a request must be like; what is not said is not asked. Expressions are searched for, case counts.

    :param method: such as ``"GET"``, or an expression for the whole method: ``"GET|HEAD"``.
    :param path: expression for the target before the question mark, as it came.
    :param query: expression for what stands behind the question mark.
    :param headers: expressions for the values of headers that must be there.
    :param predicate: asked last.
    """

    method: str | None = None
    path: str | None = None
    query: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    predicate: Callable[[Request], bool] | None = None

    def __call__(self, request: Request) -> bool:
        if self.method is not None and not re.fullmatch(self.method, request.method):
            return False
        wanted: list[tuple[str | None, str | None]] = [(self.path, request.path), (self.query, request.query)]
        wanted += [(expression, request.header(name)) for name, expression in self.headers.items()]
        for expression, value in wanted:
            if expression is not None and (value is None or not re.search(expression, value)):
                return False
        return self.predicate is None or self.predicate(request)


@dataclass(eq=False)
class Rule:
    """A fault for the requests that match.

    :param match: a :class:`Match` or any function of the request; ``None`` matches all.
    :param fault: what goes wrong; ``None``: nothing does, and only the hook runs.
    :param times: how many requests are hit; ``None``: all.
    :param skip: how many matching requests pass before.
    :param hook: called before each request that is hit, in order to change the world between two requests.
    :param at: replaces the fault's own ``at``; negative counts from the end.
    """

    match: Callable[[Request], bool] | None = None
    fault: Fault | None = None
    times: int | None = 1
    skip: int = 0
    hook: Callable[[], object] | None = None
    at: int | None = None
    consumed: int = field(default=0, init=False)
    """How many requests were hit. One in which the fault found no place, such as a shorter body, does not count."""
    memory: Answer | None = field(default=None, init=False, repr=False)
    """The last matching answer that passed, for faults that repeat it."""
    passed: int = field(default=0, init=False, repr=False)
    running: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.at is None:
            return
        if self.fault is None or "at" not in {each.name for each in fields(self.fault)}:
            raise TypeError(f"{self.fault!r} has no place to be at")
        self.fault = replace(self.fault, at=self.at)  # type: ignore[call-arg]

    @property
    def pending(self) -> bool:
        """It was planned to hit more often than it did; one that is for ever, to hit at all."""
        return self.consumed < (1 if self.times is None else self.times)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Rule:
        """Make a rule of what JSON holds.

        ``{"match": {"method": "GET"}, "fault": {"name": "FlipAnswerBit", "at": 3}, "times": 2, "skip": 1}``
        """
        known = {"match", "fault", "times", "skip", "at"}
        if unknown := set(values) - known:
            raise ValueError(f"a rule has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}")
        given = dict(values)
        if given.get("match") is not None:
            given["match"] = Match(**given["match"])
        if given.get("fault") is not None:
            given["fault"] = Fault.from_json(given["fault"])
        return cls(**given)

    def as_json(self) -> dict[str, Any]:
        """Return what :meth:`from_json` takes.

        :raises TypeError: the rule has a function, which no other process can be given.
        """
        values: dict[str, Any] = {"times": self.times, "skip": self.skip}
        if self.hook is not None or not (self.match is None or isinstance(self.match, Match)):
            raise TypeError("a rule with a function cannot be sent to another process")
        if self.match is not None:
            if self.match.predicate is not None:
                raise TypeError("a rule with a predicate cannot be sent to another process")
            values["match"] = {
                each.name: value for each in fields(self.match) if (value := getattr(self.match, each.name))
            }
        if self.fault is not None:
            values["fault"] = self.fault.as_json()
        return values


class RuleBook:
    """The rules of a proxy, in the order in which they are asked."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = list(rules)
        self._lock = threading.Lock()

    def add(self, rules: Iterable[Rule]) -> None:
        """Add rules behind those that are there."""
        with self._lock:
            self._rules.extend(rules)

    def clear(self) -> None:
        """Forget all rules."""
        with self._lock:
            self._rules.clear()

    def all(self) -> list[Rule]:
        """Return the rules."""
        with self._lock:
            return list(self._rules)

    def take(self, request: Request) -> tuple[Rule | None, list[Rule]]:
        """Return the rule that hits a request, and those that want to remember its answer."""
        remember: list[Rule] = []
        # Outside the lock: a predicate may ask the proxy.
        matching = [rule for rule in self.all() if rule.match is None or rule.match(request)]
        with self._lock:
            for rule in matching:
                if rule.times is not None and rule.consumed + rule.running >= rule.times:
                    continue
                if rule.passed < rule.skip:
                    rule.passed += 1
                    remember.append(rule)
                    continue
                rule.running += 1
                return rule, remember
        return None, remember

    def give_back(self, rule: Rule, *, consumed: bool) -> None:
        """Say whether the fault was applied."""
        with self._lock:
            rule.running -= 1
            rule.consumed += consumed
