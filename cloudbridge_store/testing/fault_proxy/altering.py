"""Faults of the answer: its body or its head is not what the server sent."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from cloudbridge_store.testing.fault_proxy.breaking import flipped
from cloudbridge_store.testing.fault_proxy.messages import Answer, Framing
from cloudbridge_store.testing.fault_proxy.play import Edit, Fault, place

if TYPE_CHECKING:
    from cloudbridge_store.testing.fault_proxy.exchange import Exchange


@dataclass(frozen=True)
class FlipAnswerBit(Edit):
    """A bit of the answer's body is flipped on the way to the client.

    :param bit: from 0, the lowest, to 7.
    """

    at: int = 0
    bit: int = 0

    def edit(self, exchange: Exchange, answer: Answer) -> Answer | None:
        """Flip the bit."""
        at = place(self.at, len(answer.body))
        return None if at is None else replace(answer, body=flipped(answer.body, at, self.bit))


@dataclass(frozen=True)
class ShrinkAnswer(Edit):
    """The body ends after ``at`` bytes, and the announced length says so, too. Also for truncated XML."""

    at: int = 0

    def edit(self, exchange: Exchange, answer: Answer) -> Answer | None:
        """Cut the body."""
        at = place(self.at, len(answer.body))
        return None if at is None else answer.with_body(answer.body[:at])


@dataclass(frozen=True)
class GrowAnswer(Fault):
    """The body is longer than it should be.

    :param extra: sent behind the body.
    :param announced: the length says so, too. Otherwise the extra bytes come behind the end of the answer, and the
        connection stays: a client that takes it for its next request finds them before the answer.
    """

    extra: bytes = b"\0"
    announced: bool = False

    def play(self, exchange: Exchange) -> None:
        """Send the body and something behind it."""
        answer = exchange.fetch()
        if not answer.has_body:
            exchange.send_answer(answer)
            return
        exchange.applied()
        if self.announced:
            exchange.send_answer(answer.with_body(answer.body + self.extra))
        else:
            exchange.record.status = answer.status
            exchange.client.send(answer.encode() + self.extra)


@dataclass(frozen=True)
class ChangeHeaders(Edit):
    """Headers of the answer are others.

    :param change: new values of headers, which need not have been there.
    :param remove: names of headers that are left out.
    """

    change: dict[str, str] = field(default_factory=dict)
    remove: tuple[str, ...] | list[str] = ()

    def edit(self, exchange: Exchange, answer: Answer) -> Answer | None:
        """Change the head."""
        head = answer.head.without(*self.remove)
        for name, value in self.change.items():
            head = head.with_header(name, value)
        return None if head == answer.head else replace(answer, head=head)


@dataclass(frozen=True)
class EtagMissing(Edit):
    """The answer has no ``ETag``."""

    def edit(self, exchange: Exchange, answer: Answer) -> Answer | None:
        """Leave it out."""
        return None if answer.head.get("ETag") is None else replace(answer, head=answer.head.without("ETag"))


@dataclass(frozen=True)
class EtagChanged(Edit):
    """The answer has another ``ETag`` than the object.

    :param value: with its quotes.
    """

    value: str = '"00000000000000000000000000000000"'

    def edit(self, exchange: Exchange, answer: Answer) -> Answer | None:
        """Write another."""
        if answer.head.get("ETag") in {None, self.value}:
            return None
        return replace(answer, head=answer.head.with_header("ETag", self.value))


@dataclass(frozen=True)
class WrongContentRange(Edit):
    """``Content-Range`` names other bytes than those that come.

    :param by: how far off it is.
    """

    by: int = 1

    def edit(self, exchange: Exchange, answer: Answer) -> Answer | None:
        """Move the range."""
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", answer.head.get("Content-Range") or "")
        if found is None:
            return None
        first, last, total = found.groups()
        moved = f"bytes {int(first) + self.by}-{int(last) + self.by}/{total}"
        return replace(answer, head=answer.head.with_header("Content-Range", moved))


@dataclass(frozen=True)
class IgnoreRange(Fault):
    """A range is asked for, and the whole object comes, with status 200.

    :param whole: the object. Without, the proxy leaves ``Range`` out of the request; a server that checks signatures
        refuses that where ``Range`` is signed, as boto3 signs it.
    """

    whole: bytes | None = None

    def play(self, exchange: Exchange) -> None:
        """Answer with the whole object."""
        if exchange.request.header("Range") is None:
            exchange.pass_on()
            return
        if self.whole is None:
            answer = exchange.fetch(head=exchange.request.head.without("Range"))
        else:
            answer = self._made_whole(exchange, exchange.fetch(), self.whole)
        if answer.status == HTTPStatus.OK:
            exchange.applied()
        exchange.send_answer(answer)

    @staticmethod
    def _made_whole(exchange: Exchange, answer: Answer, whole: bytes) -> Answer:
        if answer.status != HTTPStatus.PARTIAL_CONTENT:
            return answer
        head = answer.head.without("Content-Range", "Transfer-Encoding").with_header("Content-Length", str(len(whole)))
        head = replace(head, lines=(b"HTTP/1.1 200 OK\r\n", *head.lines[1:]))
        is_head = exchange.request.method == "HEAD"
        framing = Framing("none") if is_head else Framing("length", len(whole))
        return Answer(head, framing, b"" if is_head else whole)
