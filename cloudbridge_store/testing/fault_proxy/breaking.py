"""Faults of the connection: what breaks it, and what makes it slow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudbridge_store.testing.fault_proxy.messages import Answer, Piece
from cloudbridge_store.testing.fault_proxy.play import Fault, place

if TYPE_CHECKING:
    from cloudbridge_store.testing.fault_proxy.exchange import Exchange


@dataclass(frozen=True)
class Refused(Fault):
    """The server goes away: this request is reset unseen, idle connections end, and new ones are refused.

    :param seconds: how long; ``None``: until :meth:`FaultProxy.accept`.
    """

    seconds: float | None = None

    def play(self, exchange: Exchange) -> None:
        """Close the listener, then the connection."""
        station = exchange.connection.station
        exchange.applied()
        station.refuse()
        exchange.reset()
        if self.seconds is not None:
            station.wait(self.seconds)
            station.accept()


@dataclass(frozen=True)
class ResetBeforeRequest(Fault):
    """The connection is reset before anything is done: the request's body is not read, and the server sees nothing."""

    def play(self, exchange: Exchange) -> None:
        """Reset."""
        exchange.applied()
        exchange.reset()


@dataclass(frozen=True)
class ResetRequestBody(Fault):
    """The connection is reset after ``at`` bytes of the request's body.

    :param at: from 0 to the body's length. A body in chunks is read whole where it is negative, or too great.
    :param forward: the server gets those bytes, and then the end. There are test servers that store them.
    """

    at: int = 0
    forward: bool = False

    def play(self, exchange: Exchange) -> None:
        """Read so much of the body, and reset."""
        total = exchange.request.framing.total
        at: int | None = self.at
        if total is not None:
            at = self.at + total if self.at < 0 else self.at
            if exchange.request.framing.kind == "none" or not 0 <= at <= total:
                exchange.pass_on()
                return
        elif self.at < 0:
            at = None
        exchange.applied()
        taken = exchange.take_body(at)
        if self.forward:
            server = exchange.connection.server()
            server.send(exchange.request.head.encode() + taken)
            server.arrived()
        exchange.reset()


@dataclass(frozen=True)
class LostAnswer(Fault):
    """The request is carried out, and its answer is lost: the connection is reset before the client gets any of it."""

    def play(self, exchange: Exchange) -> None:
        """Have the request carried out, and reset."""
        exchange.fetch()
        exchange.applied()
        exchange.reset()


@dataclass(frozen=True)
class FlipRequestBit(Fault):
    """A bit of the request's body is flipped on the way to the server.

    :param bit: from 0, the lowest, to 7.
    """

    at: int = 0
    bit: int = 0

    def play(self, exchange: Exchange) -> None:
        """Pass the exchange on, with the bit flipped."""
        total = exchange.request.framing.total

        def edit(pieces: Iterable[Piece]) -> Iterable[Piece]:
            known = total
            if known is None and self.at < 0:
                pieces = list(pieces)
                known = sum(len(piece.raw) for piece in pieces if piece.kind == "data")
            at = self.at if known is None else place(self.at, known)
            return pieces if at is None else self._flip(exchange, pieces, at)

        exchange.send_answer(exchange.fetch(edit=edit))

    def _flip(self, exchange: Exchange, pieces: Iterable[Piece], at: int) -> Iterator[Piece]:
        for piece in pieces:
            if piece.kind != "data":
                yield piece
                continue
            if 0 <= at < len(piece.raw):
                exchange.applied()
                yield Piece(flipped(piece.raw, at, self.bit))
            else:
                yield piece
            at -= len(piece.raw)


def flipped(data: bytes, at: int, bit: int) -> bytes:
    """Return bytes of which one bit differs."""
    altered = bytearray(data)
    altered[at] ^= 1 << bit
    return bytes(altered)


@dataclass(frozen=True)
class _BreakBody(Fault):
    """Something happens after ``at`` bytes of the answer's body."""

    at: int = 0

    def play(self, exchange: Exchange) -> None:
        answer = exchange.fetch()
        at = place(self.at, len(answer.body))
        if at is None:
            exchange.send_answer(answer)
            return
        exchange.applied()
        self.breaks(exchange, answer, at)

    def breaks(self, exchange: Exchange, answer: Answer, at: int) -> None:
        raise NotImplementedError


def _begin(answer: Answer, at: int) -> bytes:
    """Return the first bytes of a body as they are sent; those in chunks in a chunk that is not complete."""
    if answer.framing.kind != "chunked":
        return answer.body[:at]
    return b"%x\r\n" % len(answer.body) + answer.body[:at]


@dataclass(frozen=True)
class ResetAnswerBody(_BreakBody):
    """The connection is reset after ``at`` bytes of the answer's body."""

    def breaks(self, exchange: Exchange, answer: Answer, at: int) -> None:
        """Send the beginning, and reset."""
        exchange.send_part(answer, _begin(answer, at))
        exchange.reset()


@dataclass(frozen=True)
class CutAnswer(_BreakBody):
    """The connection ends in an orderly way after ``at`` bytes of the body; the announced length was the whole one."""

    def breaks(self, exchange: Exchange, answer: Answer, at: int) -> None:
        """Send the beginning, and end."""
        exchange.send_part(answer, _begin(answer, at))
        exchange.finish()


@dataclass(frozen=True)
class CutChunk(_BreakBody):
    """The answer comes in chunks, and the connection ends in the middle of one, after ``at`` bytes of the body."""

    def breaks(self, exchange: Exchange, answer: Answer, at: int) -> None:
        """Send the beginning of a chunk, and end."""
        answer = answer.chunked()
        exchange.send_part(answer, _begin(answer, at))
        exchange.finish()


@dataclass(frozen=True)
class EndChunksEarly(_BreakBody):
    """The answer comes in chunks and ends as it should, but after ``at`` bytes of the body."""

    def breaks(self, exchange: Exchange, answer: Answer, at: int) -> None:
        """Send a shorter body, in chunks."""
        exchange.send_answer(answer.chunked().with_body(answer.body[:at]))


@dataclass(frozen=True)
class StallInBody(_BreakBody):
    """After ``at`` bytes of the body nothing comes any more, while the connection stays.

    :param seconds: after which the rest comes; ``None``: until the client leaves or the proxy closes.
    """

    seconds: float | None = None

    def breaks(self, exchange: Exchange, answer: Answer, at: int) -> None:
        """Send the beginning, wait, and send the rest."""
        whole = answer.encode()
        begin = len(answer.head.encode() + _begin(answer, at))
        if answer.framing.kind == "chunked":
            whole = answer.head.encode() + _begin(answer, len(answer.body)) + b"\r\n0\r\n" + answer.trailers + b"\r\n"
        exchange.record.status = answer.status
        exchange.client.send(whole[:begin])
        exchange.client.pause(self.seconds)
        exchange.client.send(whole[begin:])


@dataclass(frozen=True)
class Drip(_BreakBody):
    """From ``at`` on the body comes in small pieces, with a pause before each.

    :param piece: bytes of a piece.
    :param pause: seconds.
    """

    piece: int = 1
    pause: float = 0.01

    def breaks(self, exchange: Exchange, answer: Answer, at: int) -> None:
        """Send the body slowly."""
        whole = answer.encode()
        at = (
            len(whole) - (len(answer.body) - at) if answer.framing.kind != "chunked" else len(answer.head.encode()) + at
        )
        exchange.record.status = answer.status
        exchange.client.send(whole[:at])
        for begin in range(at, len(whole), self.piece):
            exchange.client.pause(self.pause)
            exchange.client.send(whole[begin : begin + self.piece])


@dataclass(frozen=True)
class StallBeforeHead(Fault):
    """No answer comes, while the connection stays.

    :param executed: the request is carried out before that.
    :param seconds: after which the answer comes; ``None``: until the client leaves or the proxy closes.
    """

    executed: bool = True
    seconds: float | None = None

    def play(self, exchange: Exchange) -> None:
        """Wait, and pass the answer on."""
        if self.executed:
            answer = exchange.fetch()
            exchange.applied()
            exchange.client.pause(self.seconds)
            exchange.send_answer(answer)
        else:
            exchange.applied()
            exchange.client.pause(self.seconds)
            exchange.pass_on()
