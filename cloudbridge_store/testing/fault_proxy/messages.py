"""Requests and answers of HTTP/1.1 as they are on the wire: nothing is decoded, sorted or written anew."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Self

from cloudbridge_store.testing.fault_proxy.wire import PIECE, Ended, Wire

_NO_BODY = frozenset({204, 304})


@dataclass(frozen=True)
class Head:
    """The lines of a request or an answer, each with its end. What is not changed stays byte for byte."""

    lines: tuple[bytes, ...]

    @classmethod
    def read(cls, wire: Wire) -> Self:
        """Read a head. :raises Ended: the connection ended instead."""
        raw = wire.until(b"\r\n\r\n")
        # Empty lines before a request are allowed, and passed on.
        text = raw.lstrip(b"\r\n")
        if not text:
            raw += (text := wire.until(b"\r\n\r\n"))
        before = raw[: len(raw) - len(text)]
        lines = re.findall(rb"[^\n]*\n(?:[ \t][^\n]*\n)*", text[:-2])
        return cls((before + lines[0], *lines[1:]))

    @classmethod
    def make(cls, start: str, headers: Iterable[tuple[str, str]]) -> Self:
        """Make a head of the proxy's own."""
        lines = (start, *(f"{name}: {value}" for name, value in headers))
        return cls(tuple(line.encode("latin-1") + b"\r\n" for line in lines))

    def encode(self) -> bytes:
        """Return the bytes of the wire."""
        return b"".join(self.lines) + b"\r\n"

    @property
    def words(self) -> list[str]:
        """What stands in the first line; always three values."""
        found = self.lines[0].strip().decode("latin-1").split(" ", 2)
        return [*found, "", "", ""][:3]

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Names and values in the order of the wire."""
        pairs = (line.decode("latin-1").partition(":") for line in self.lines[1:])
        return tuple((name.strip(), value.strip()) for name, _, value in pairs)

    def get(self, name: str) -> str | None:
        """Return the value of a header; of several, joined by commas."""
        found = [value for each, value in self.headers if each.lower() == name.lower()]
        return ", ".join(found) if found else None

    def without(self, *names: str) -> Self:
        """Return the head without these headers."""
        gone = {name.lower().encode("latin-1") for name in names}
        kept = (line for line in self.lines[1:] if line.partition(b":")[0].strip().lower() not in gone)
        return replace(self, lines=(self.lines[0], *kept))

    def with_header(self, name: str, value: str) -> Self:
        """Return the head with a header set, in its old place where there was one."""
        line = f"{name}: {value}\r\n".encode("latin-1")
        places = [at for at, old in enumerate(self.lines) if at and _is_header(old, name)]
        at = places[0] if places else len(self.lines)
        left = self.without(name).lines
        return replace(self, lines=(*left[:at], line, *left[at:]))

    def has_token(self, header: str, token: str) -> bool:
        """Say whether a header's list of words has one, such as ``close`` of ``Connection``."""
        return token in {part.strip().lower() for part in (self.get(header) or "").split(",")}

    def keeps(self, version: str) -> bool:
        """Say whether the connection is meant to stay."""
        if self.has_token("Connection", "close"):
            return False
        return version != "HTTP/1.0" or self.has_token("Connection", "keep-alive")


def _is_header(line: bytes, name: str) -> bool:
    return line.partition(b":")[0].strip().lower() == name.lower().encode("latin-1")


class Framing(NamedTuple):
    """How the end of a body is told."""

    kind: Literal["none", "length", "chunked", "close"]
    length: int = 0

    @property
    def total(self) -> int | None:
        """Bytes of the body, as far as the head says."""
        return None if self.kind in {"chunked", "close"} else self.length


def _announced(head: Head) -> Framing | None:
    if head.has_token("Transfer-Encoding", "chunked"):
        return Framing("chunked")
    length = head.get("Content-Length")
    return Framing("length", int(length)) if length is not None else None


class Request(NamedTuple):
    """A request as rules see it."""

    head: Head

    @property
    def method(self) -> str:
        """Such as ``GET``."""
        return self.head.words[0]

    @property
    def target(self) -> str:
        """Path and query, exactly as they came."""
        return self.head.words[1]

    @property
    def path(self) -> str:
        """The target up to the question mark."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The target from behind the question mark."""
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """Return a header's value."""
        return self.head.get(name)

    @property
    def framing(self) -> Framing:
        """How the body's end is told."""
        return _announced(self.head) or Framing("none")

    @property
    def expects(self) -> bool:
        """The client waits for ``100 Continue`` before it sends the body."""
        return self.head.has_token("Expect", "100-continue") and self.framing.kind != "none"

    @property
    def keeps(self) -> bool:
        """The client wants to send more over this connection."""
        return self.head.keeps(self.head.words[2])


@dataclass(frozen=True)
class Answer:
    """An answer that was read to its end, to be altered."""

    head: Head
    framing: Framing
    body: bytes = b""
    trailers: bytes = b""

    @property
    def status(self) -> int:
        """Such as ``200``."""
        return status_of(self.head)

    @property
    def has_body(self) -> bool:
        """Not an answer to HEAD, nor one whose status forbids it."""
        return self.framing.kind != "none"

    def with_body(self, body: bytes) -> Answer:
        """Return the answer with another body, and headers that fit to it."""
        if self.framing.kind != "length":
            return replace(self, body=body)
        head = self.head.with_header("Content-Length", str(len(body)))
        return replace(self, head=head, framing=Framing("length", len(body)), body=body)

    def chunked(self) -> Answer:
        """Return the answer framed in chunks."""
        head = self.head.without("Content-Length").with_header("Transfer-Encoding", "chunked")
        return replace(self, head=head, framing=Framing("chunked"))

    def chunks(self) -> bytes:
        """Return the body in chunks, without the last, empty one."""
        parts = (self.body[at : at + PIECE] for at in range(0, len(self.body), PIECE))
        return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)

    def encode(self) -> bytes:
        """Return head and body for the wire."""
        body = self.body
        if self.framing.kind == "chunked":
            body = self.chunks() + b"0\r\n" + self.trailers + b"\r\n"
        return self.head.encode() + body


def status_of(head: Head) -> int:
    """Return the status of an answer. :raises Ended: this is no HTTP."""
    word = head.words[1]
    if not (head.lines[0].startswith(b"HTTP/") and word.isdecimal()):
        raise Ended("the server does not speak HTTP")
    return int(word)


def framing_of(head: Head, method: str) -> Framing:
    """Return how the body of an answer ends."""
    if method == "HEAD" or status_of(head) in _NO_BODY:
        return Framing("none")
    return _announced(head) or Framing("close")


class Piece(NamedTuple):
    """A piece of a body as it is on the wire: data, or what frames it."""

    raw: bytes
    kind: Literal["data", "frame", "trailer"] = "data"


def read_body(wire: Wire, framing: Framing, most: int | None = None) -> Iterator[Piece]:
    """Yield a body as it arrives. :raises Ended: it is shorter than it should be.

    :param most: read no more than so many bytes of data, as long as the pieces before are taken one by one.
    """
    if framing.kind == "length":
        yield from _read_length(wire, framing.length if most is None else min(most, framing.length))
    elif framing.kind == "chunked":
        yield from _read_chunks(wire, most)
    elif framing.kind == "close":
        yield from _read_rest(wire)


def _read_length(wire: Wire, left: int) -> Iterator[Piece]:
    while left:
        data = wire.some(min(left, PIECE))
        left -= len(data)
        yield Piece(data)


def _read_chunks(wire: Wire, most: int | None) -> Iterator[Piece]:
    while True:
        line = wire.until(b"\r\n")
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            raise Ended("these are no chunks") from None
        yield Piece(line, "frame")
        if not size:
            break
        if most is not None and most <= size:
            yield from _read_length(wire, most)
            return
        most = None if most is None else most - size
        yield from _read_length(wire, size)
        yield Piece(wire.exactly(2), "frame")
    while (line := wire.until(b"\r\n")) != b"\r\n":
        yield Piece(line, "trailer")
    yield Piece(line, "frame")


def _read_rest(wire: Wire) -> Iterator[Piece]:
    while True:
        try:
            data = wire.some(PIECE)
        except Ended:
            return
        yield Piece(data)


def read_answer(wire: Wire, head: Head, method: str) -> Answer:
    """Read the rest of an answer."""
    framing = framing_of(head, method)
    pieces = list(read_body(wire, framing))
    body = b"".join(piece.raw for piece in pieces if piece.kind == "data")
    trailers = b"".join(piece.raw for piece in pieces if piece.kind == "trailer")
    return Answer(head, framing, body, trailers)
