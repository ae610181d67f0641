"""What all faults have in common: they play with an exchange, and they can be written as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from cloudbridge_store.testing.fault_proxy.exchange import Exchange
    from cloudbridge_store.testing.fault_proxy.messages import Answer


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong. Subclasses are frozen dataclasses and implement :meth:`play`.

    A position ``at`` counts the bytes of the body on the wire, without the framing of chunks; a negative one counts
    from the end. Where the body does not reach to it, the exchange passes unharmed, and the fault does not count.
    """

    kinds: ClassVar[dict[str, type[Fault]]] = {}
    """All faults by name."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if not cls.__name__.startswith("_"):
            cls.kinds[cls.__name__] = cls

    def play(self, exchange: Exchange) -> None:
        """Carry out the exchange, with the fault. Whoever applies it says so by ``exchange.applied()``."""
        raise NotImplementedError

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Fault:
        """Make a fault of its name and its parameters. Bytes are text of which each character is one byte."""
        given = dict(values)
        name = given.pop("name", None)
        if name not in cls.kinds:
            raise ValueError(f"there is no fault {name!r}; there are {', '.join(sorted(cls.kinds))}")
        kind = cls.kinds[name]
        types = {each.name: str(each.type) for each in fields(kind)}
        for parameter, value in given.items():
            if isinstance(value, str) and "bytes" in types.get(parameter, ""):
                given[parameter] = value.encode("latin-1")
        return kind(**given)

    def as_json(self) -> dict[str, Any]:
        """Return what :meth:`from_json` takes."""
        values: dict[str, Any] = {"name": type(self).__name__}
        for each in fields(self):
            value = getattr(self, each.name)
            values[each.name] = value.decode("latin-1") if isinstance(value, bytes) else value
        return values


def place(at: int, total: int) -> int | None:
    """Return the position of a byte counted from the front, or ``None`` where there is no such byte."""
    found = at + total if at < 0 else at
    return found if 0 <= found < total else None


@dataclass(frozen=True)
class Edit(Fault):
    """A fault that alters the answer's head or body, or both, and keeps the framing right."""

    def edit(self, exchange: Exchange, answer: Answer) -> Answer | None:
        """Return the altered answer, or ``None`` where it has nothing to alter."""
        raise NotImplementedError

    def play(self, exchange: Exchange) -> None:
        """Have the request carried out and send the altered answer."""
        answer = exchange.fetch()
        altered = self.edit(exchange, answer)
        if altered is not None:
            exchange.applied()
        exchange.send_answer(altered or answer)
