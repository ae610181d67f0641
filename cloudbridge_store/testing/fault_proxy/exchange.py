"""One connection of a client, the one to the server that belongs to it, and the exchanges that pass over both."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol
from urllib.parse import SplitResult

from cloudbridge_store.testing.fault_proxy.messages import (
    Answer,
    Framing,
    Head,
    Piece,
    Request,
    framing_of,
    read_answer,
    read_body,
    status_of,
)
from cloudbridge_store.testing.fault_proxy.records import Recorded
from cloudbridge_store.testing.fault_proxy.rules import Rule
from cloudbridge_store.testing.fault_proxy.wire import Ended, Stopped, Wire, wait_for

CONNECT_SECONDS = 10.0
_LINGER = 2.0


class Station(Protocol):
    """What connections ask of the proxy."""

    upstream: SplitResult | None
    upstream_tls: ssl.SSLContext | None
    stop: int

    @property
    def scheme(self) -> str:
        """``http`` or ``https``, as clients have to say."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait. :raises Stopped: the proxy closes."""
        ...

    def record(self, request: Request) -> Recorded:
        """Write a request down."""
        ...

    def find_rule(self, request: Request) -> tuple[Rule | None, list[Rule]]:
        """Return the rule that hits, and those that remember."""
        ...

    def give_back(self, rule: Rule, *, consumed: bool) -> None:
        """Take a rule back, when its fault happens or has found no place."""
        ...

    def handshake_failed(self) -> None:
        """Count a client that did not like the certificate."""
        ...

    def report(self, error: Exception) -> None:
        """Keep an error of the proxy's own, or of a hook."""
        ...

    def refuse(self) -> None:
        """Close the listener."""
        ...

    def accept(self) -> None:
        """Open it again."""
        ...

    @property
    def accepts(self) -> bool:
        """The listener is open."""
        ...


class Connection:
    """A client's connection, from its beginning to its end, in a thread of its own."""

    def __init__(self, station: Station, client: Wire) -> None:
        self.station = station
        self.client = client
        self.idle = True
        self._server: Wire | None = None

    def run(self) -> None:
        """Carry out exchanges until one side ends."""
        try:
            self._shake_hands()
            while self.station.accepts and self._wait() and self._exchange():
                pass
        except (Ended, Stopped):
            pass
        except OSError:
            self.client.reset()
        except Exception as error:
            self.station.report(error)
            self.client.reset()
        finally:
            self.drop_server()
            self.client.close()

    def _shake_hands(self) -> None:
        try:
            self.client.handshake()
        except OSError:
            self.station.handshake_failed()
            raise

    def hang_up(self) -> None:
        """Wake the thread of a connection that waits for a request, to end it."""
        if self.idle:
            self.client.stop_reading()

    def _wait(self) -> bool:
        """Wait for the next request; ``False``: the server ended, and so does this side."""
        self.idle = True
        while not self.client.has_data():
            wires = [self.client, self._server] if self._server else [self.client]
            wait_for(wires, self.station.stop)
            if self._server is not None and self._server.has_data():
                return False
        self.idle = False
        return True

    def _exchange(self) -> bool:
        request = Request(Head.read(self.client))
        record = self.station.record(request)
        rule, remember = self.station.find_rule(request)
        exchange = Exchange(self, request, record, rule)
        try:
            if rule is not None and rule.hook is not None:
                rule.hook()
            self._play(exchange, remember)
            exchange.settle()
        except BaseException:
            exchange.abandon()
            raise
        finally:
            exchange.give_back()
        return exchange.keep

    @staticmethod
    def _play(exchange: Exchange, remember: list[Rule]) -> None:
        rule = exchange.rule
        if rule is not None and rule.fault is not None:
            exchange.record.fault = type(rule.fault).__name__
            rule.fault.play(exchange)
            return
        exchange.applied()
        if remember:
            exchange.send_answer(exchange.fetch(), remember)
        else:
            exchange.pass_on()

    def server(self) -> Wire:
        """Return the connection to the server, made where there is none."""
        if self._server is None:
            self._server = connect(self.station)
        return self._server

    def drop_server(self) -> None:
        """Close the connection to the server."""
        if self._server is not None:
            self._server.close()
            self._server = None


def connect(station: Station) -> Wire:
    """Connect to the server."""
    upstream = station.upstream
    assert upstream is not None
    host = upstream.hostname or "127.0.0.1"
    made = socket.create_connection(
        (host, upstream.port or (443 if upstream.scheme == "https" else 80)), CONNECT_SECONDS
    )
    try:
        if station.upstream_tls is not None:
            made = station.upstream_tls.wrap_socket(made, server_hostname=host)
        return Wire(made, station.stop)
    except BaseException:
        made.close()
        raise


Editor = Callable[[Iterable[Piece]], Iterable[Piece]]


class Exchange:
    """One request and its answer, in the hands of a fault. What a fault does not do itself is done as without it."""

    def __init__(self, connection: Connection, request: Request, record: Recorded, rule: Rule | None) -> None:
        self.connection = connection
        self.client = connection.client
        self.request = request
        self.record = record
        self.rule = rule
        self.keep = request.keeps
        """The connection stays open afterwards."""
        self._given_back = rule is None
        self._pump: threading.Thread | None = None
        self._halt = False
        self._left = request.framing.kind != "none"  # of the body, on the client's side

    def applied(self) -> None:
        """Say that the fault happens. To be called before the client can notice: its test may look at once."""
        self.give_back(consumed=True)

    def give_back(self, *, consumed: bool = False) -> None:
        """Give the rule back, once."""
        if not self._given_back and self.rule is not None:
            self._given_back = True
            self.connection.station.give_back(self.rule, consumed=consumed)

    # Towards the server

    def forward(self, *, head: Head | None = None, edit: Editor | None = None) -> None:
        """Send the request to the server. Its body follows in a thread, as the answer may come before its end."""
        server = self.connection.server()
        server.send((head or self.request.head).encode())
        framing = self.request.framing
        if not self._left:
            return
        if framing.kind == "length" and framing.length <= self.client.buffered():
            self._send_body(server, framing, edit)
            return
        self._pump = threading.Thread(target=self._pump_body, args=(server, framing, edit), name="fault-proxy-body")
        self._pump.start()

    def _send_body(self, server: Wire, framing: Framing, edit: Editor | None) -> None:
        pieces = self.body_pieces(framing)
        for piece in edit(pieces) if edit else pieces:
            server.send(piece.raw)

    def _pump_body(self, server: Wire, framing: Framing, edit: Editor | None) -> None:
        try:
            self._send_body(server, framing, edit)
        except Stopped:
            pass
        except Ended:
            server.finish()
        except OSError:
            pass  # whoever reads the answer learns of it

    def body_pieces(self, framing: Framing) -> Iterable[Piece]:
        """Yield the request's body, and count it."""
        for piece in read_body(self.client, framing):
            if self._halt:
                raise Ended("nobody wants the rest")
            if piece.kind == "data":
                self.record.body_length += len(piece.raw)
            yield piece
        self._left = False

    def answer_head(self) -> Head:
        """Read the head of the server's answer. Interim answers are passed on."""
        server = self.connection.server()
        while (status := status_of(head := Head.read(server))) < HTTPStatus.OK:
            self.client.send(head.encode())
        self.record.server_status = status
        framing = framing_of(head, self.request.method)
        if framing.kind == "close" or not head.keeps(head.words[0]):
            self.keep = False
        return head

    def fetch(self, *, head: Head | None = None, edit: Editor | None = None) -> Answer:
        """Have the request carried out, and read the answer to its end."""
        if self.connection.station.upstream is None:
            return self.invented_by_nobody()
        self.forward(head=head, edit=edit)
        found = self.answer_head()
        return read_answer(self.connection.server(), found, self.request.method)

    def pass_on(self) -> None:
        """Carry out the exchange byte for byte, without holding its bodies."""
        if self.connection.station.upstream is None:
            self.send_answer(self.invented_by_nobody())
            return
        self.forward()
        head = self.answer_head()
        self.record.status = self.record.server_status
        self.give_back()
        self.client.send(head.encode())
        for piece in read_body(self.connection.server(), framing_of(head, self.request.method)):
            self.client.send(piece.raw)

    def invented_by_nobody(self) -> Answer:
        """Take a request for which there is no server, and return the answer: there is nothing."""
        self.take_body()
        return self.make_answer(HTTPStatus.OK, {"Content-Type": "text/plain"}, b"")

    # Towards the client

    def take_body(self, most: int | None = None) -> bytes:
        """Read the request's body and forget it; or read so many bytes of it, and return them as they came.

        A client that waits for ``100 Continue`` is not asked for a body that nobody wants.
        """
        if not self._left or most == 0:
            return b""
        if self.request.expects:
            if most is None:
                self.keep = False
                return b""
            self.client.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if most is not None:
            return b"".join(self._first(most))
        for _ in self.body_pieces(self.request.framing):
            pass
        return b""

    def _first(self, most: int) -> Iterator[bytes]:
        for piece in read_body(self.client, self.request.framing, most):
            yield piece.raw
            if piece.kind == "data":
                self.record.body_length += len(piece.raw)
                if self.record.body_length >= most:
                    return

    def make_answer(self, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return an answer of the proxy's own, framed right."""
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Unknown"
        own = {"Date": formatdate(usegmt=True), "Content-Length": str(len(body))}
        if not self.keep:
            own["Connection"] = "close"
        given = {name.lower() for name in headers}
        pairs = [*((name, value) for name, value in own.items() if name.lower() not in given), *headers.items()]
        head = Head.make(f"HTTP/1.1 {status} {phrase}", pairs)
        framing = framing_of(head, self.request.method)
        return Answer(head, framing, body if framing.kind != "none" else b"")

    def send_answer(self, answer: Answer, remember: Iterable[Rule] = ()) -> None:
        """Send an answer as it is. A rule whose fault was not applied by now is free for the next request."""
        for rule in remember:
            rule.memory = answer
        self.record.status = answer.status
        self.give_back()
        self.client.send(answer.encode())

    def send_part(self, answer: Answer, body: bytes) -> None:
        """Send an answer's head and these bytes of its body."""
        self.record.status = answer.status
        self.client.send(answer.head.encode() + body)

    def reset(self) -> None:
        """End the connections to both sides, by a reset to the client."""
        self.abandon()
        self.client.reset()

    def finish(self) -> None:
        """End the connection in an orderly way, behind what was sent."""
        self.abandon()
        self.client.finish(politely=False)

    def abandon(self) -> None:
        """Forget the rest of the request's body, and the server."""
        self.keep = False
        if self._pump is not None and self._left:
            self._halt = True
            self.client.stop_reading()
        self._join()
        self._left = False
        self.connection.drop_server()

    def linger(self) -> None:
        """End the connection so that a client that is still sending gets to read the answer."""
        self.keep = False
        self._left = False
        self.client.finish()
        self.client.drain(_LINGER)

    def settle(self) -> None:
        """Wait until the body has gone its way, and let the client read an answer that came before that."""
        if self._pump is not None and self._left and not self.keep:
            self.client.finish()
        self._join()
        if self._left:
            self.linger()

    def _join(self) -> None:
        if self._pump is not None:
            self._pump.join()
            self._pump = None
