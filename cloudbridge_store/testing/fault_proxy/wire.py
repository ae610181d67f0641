"""A socket that reads what it is asked for, ends as it is told to, and lets go when the proxy closes."""

from __future__ import annotations

import array
import fcntl
import select
import socket
import ssl
import struct
import termios
import threading
import time
from collections.abc import Sequence
from typing import Protocol

PIECE = 64 * 1024
LONGEST_HEAD = 256 * 1024
_PATIENCE = 5.0
_TICK = 0.001
_ABORT = struct.pack("ii", 1, 0)
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class HasDescriptor(Protocol):
    """Something to wait for."""

    def fileno(self) -> int:
        """Return the descriptor."""
        ...


class Stopped(Exception):
    """The proxy is closing; whoever waits goes home."""


class Ended(ConnectionError):
    """The other side ended before what was expected of it."""


def wait_for(
    wires: Sequence[HasDescriptor], stop: int, seconds: float | None = None, event: int = select.POLLIN
) -> bool:
    """Wait until one of them is ready, and say whether one is. :raises Stopped: the proxy closes."""
    poll = select.poll()
    poll.register(stop, select.POLLIN)
    for wire in wires:
        poll.register(wire.fileno(), event)
    ready = poll.poll(None if seconds is None else max(0.0, seconds) * 1000)
    if any(descriptor == stop for descriptor, _ in ready):
        raise Stopped
    return bool(ready)


class Wire:
    """One side of a connection. Two threads may use it, one that reads and one that writes.

    :param stop: a descriptor that becomes readable when the proxy closes.
    """

    def __init__(self, connected: socket.socket, stop: int) -> None:
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connected
        self._stop = stop
        # OpenSSL's connections are not for two threads at once, and CPython guards them from 3.13 on only.
        self._lock = threading.Lock()
        self._buffer = bytearray()

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def handshake(self) -> None:
        """Agree on keys, where this is TLS."""
        while isinstance(self._socket, ssl.SSLSocket):
            try:
                self._socket.do_handshake()
                return
            except ssl.SSLWantReadError:
                wait_for([self], self._stop)
            except ssl.SSLWantWriteError:
                wait_for([self], self._stop, event=select.POLLOUT)

    def _receive_now(self) -> bytes | None:
        try:
            with self._lock:
                return self._socket.recv(PIECE)
        except _WOULD_BLOCK:
            return None

    def _receive(self) -> bytes:
        while (data := self._receive_now()) is None:
            wait_for([self], self._stop)
        if not data:
            raise Ended("the connection ended")
        return data

    def has_data(self) -> bool:
        """Say whether something arrived, without waiting. :raises Ended: that was the end."""
        if self._buffer:
            return True
        data = self._receive_now()
        if data == b"":
            raise Ended("the connection ended")
        self._buffer += data or b""
        return data is not None

    def until(self, mark: bytes) -> bytes:
        """Read up to a mark, which is returned too."""
        begin = 0
        while (found := self._buffer.find(mark, begin)) < 0:
            begin = max(0, len(self._buffer) - len(mark) + 1)
            if len(self._buffer) > LONGEST_HEAD:
                raise Ended("a head without end")
            self._buffer += self._receive()
        return self._pull(found + len(mark))

    def some(self, most: int) -> bytes:
        """Read at least one byte and at most so many."""
        if not self._buffer:
            self._buffer += self._receive()
        return self._pull(min(most, len(self._buffer)))

    def exactly(self, count: int) -> bytes:
        """Read so many bytes."""
        while len(self._buffer) < count:
            self._buffer += self._receive()
        return self._pull(count)

    def _pull(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def buffered(self) -> int:
        """Return how many bytes have been received and not been read."""
        return len(self._buffer)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        rest = memoryview(data)
        while rest:
            try:
                with self._lock:
                    sent = self._socket.send(rest)
            except _WOULD_BLOCK as error:
                event = select.POLLIN if isinstance(error, ssl.SSLWantReadError) else select.POLLOUT
                wait_for([self], self._stop, event=event)
            else:
                rest = rest[sent:]

    def pause(self, seconds: float | None) -> None:
        """Wait so long, or for ever, or until the other side leaves. :raises Ended: it left."""
        over = None if seconds is None else time.monotonic() + seconds
        while over is None or time.monotonic() < over:
            left = None if over is None else over - time.monotonic()
            if not wait_for([self], self._stop, left):
                return
            data = self._receive_now()
            if data == b"":
                raise Ended("the other side did not wait")
            self._buffer += data or b""

    def arrived(self) -> None:
        """Wait until the other side's system has all that was sent: a reset would overtake it."""
        over = time.monotonic() + _PATIENCE
        while self._unsent() and time.monotonic() < over:
            wait_for([], self._stop, _TICK)

    def _unsent(self) -> int:
        count = array.array("i", [0])
        try:
            fcntl.ioctl(self.fileno(), termios.TIOCOUTQ, count)
        except OSError:
            return 0
        return count[0]

    def stop_reading(self) -> None:
        """Wake whoever waits for data in another thread."""
        self._shut(socket.SHUT_RD)

    def finish(self, *, politely: bool = True) -> None:
        """Send no more; the other side sees the end.

        :param politely: with TLS, say that the end is meant.
        """
        if politely and isinstance(self._socket, ssl.SSLSocket):
            try:
                with self._lock:
                    self._socket.unwrap()
            except (OSError, ValueError):
                pass
        self._shut(socket.SHUT_WR)

    def _shut(self, how: int) -> None:
        try:
            # Not SSLSocket's own, which forgets the keys first.
            socket.socket.shutdown(self._socket, how)
        except OSError:
            pass

    def drain(self, seconds: float) -> None:
        """Read and forget until the other side ends, so that closing does not take back what was sent.

        :param seconds: without anything coming, after which it is given up.
        """
        try:
            while (data := self._receive_now()) != b"":
                if data is None and not wait_for([self], self._stop, seconds):
                    return
        except OSError:
            pass

    def reset(self) -> None:
        """Close so that the other side gets a reset, behind what was sent before."""
        try:
            self.arrived()
        except (OSError, Stopped, ValueError):
            pass
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        except OSError:
            pass
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
