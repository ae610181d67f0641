"""A driver that fails by rule, to show that what stands above it does not lose or alter anything.

    driver = FaultyDriver(MemoryDriver.connect({}, settings), [Fault("put_object", ThrottledError("wait"), times=2)])

Works around any driver in the process; it is meant for LOCAL and MEMORY, whose own faults are rare.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from cloudbridge_store.config import Settings
from cloudbridge_store.core.operations import OPERATIONS
from cloudbridge_store.drivers.base import Body, Download, Driver, Failure, RawStream


@dataclass
class Fault:
    """What goes wrong, where and how often.

    :param operation: the contract's method, such as ``"put_object"``.
    :param error: raised by the operation, or by the stream of a ``get_object`` where ``at`` is set.
    :param times: how many calls are hit.
    :param skip: how many calls pass before.
    :param executed: the operation is carried out, and only its answer is lost.
    :param at: for ``get_object``: bytes that arrive before it goes wrong.
    :param flip: for ``get_object``: the byte at ``at`` arrives altered, and nothing is raised.
    :param delay: seconds that the operation waits before anything else happens.
    :param before: called before the operation, to change the world under it.
    """

    operation: str
    error: Exception | None = None
    times: int = 1
    skip: int = 0
    executed: bool = False
    at: int | None = None
    flip: bool = False
    delay: float = 0.0
    before: Callable[[], object] | None = None
    consumed: int = field(default=0, init=False)
    """How many calls were hit; a test that planned more has shown nothing."""


class FaultyDriver(Driver):
    """Wraps a driver and applies faults to its operations."""

    name = "faulty"

    def __init__(self, inner: Driver, faults: Iterable[Fault] = ()) -> None:
        self._inner = inner
        self.faults = list(faults)
        self.calls: list[str] = []
        """The operations that were asked for, in order."""
        self._lock = threading.Lock()
        self.sleep: Callable[[float], None] = time.sleep
        self.capabilities = inner.capabilities

    @classmethod
    def connect(cls, config: Mapping[str, Any], settings: Settings) -> Self:
        """Not possible by configuration: faults are objects."""
        raise NotImplementedError

    @property
    def native(self) -> Any:
        """The wrapped driver's."""
        return self._inner.native

    def classify(self, error: BaseException) -> Failure | None:
        """Ask the wrapped driver."""
        return self._inner.classify(error)

    def close(self) -> None:
        """Close the wrapped driver."""
        self._inner.close()

    def refuse_key(self, key: str) -> str | None:
        """Ask the wrapped driver."""
        return self._inner.refuse_key(key)

    def bucket_name(self, bucket_id: str) -> str:
        """Ask the wrapped driver."""
        return self._inner.bucket_name(bucket_id)

    def object_key(self, bucket: str, object_id: str) -> str:
        """Ask the wrapped driver."""
        return self._inner.object_key(bucket, object_id)

    def part_etag(self, body: Body) -> str | None:
        """Ask the wrapped driver."""
        return self._inner.part_etag(body)

    def _next_fault(self, operation: str) -> Fault | None:
        with self._lock:
            self.calls.append(operation)
            for fault in self.faults:
                if fault.operation != operation or fault.consumed >= fault.times:
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.consumed += 1
                return fault
        return None

    def _apply(self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        fault = self._next_fault(operation)
        method = getattr(self._inner, operation)
        if fault is None:
            return method(*args, **kwargs)
        if fault.delay:
            self.sleep(fault.delay)
        if fault.before is not None:
            fault.before()
        if fault.error is not None and fault.at is None and not fault.executed:
            raise fault.error
        answer = method(*args, **kwargs)
        if isinstance(answer, Download) and fault.at is not None:
            return replace(answer, stream=_FaultyStream(answer.stream, fault))
        if fault.error is not None:
            raise fault.error
        return answer


def _delegate(operation: str) -> Callable[..., Any]:
    def method(self: FaultyDriver, *args: Any, **kwargs: Any) -> Any:
        return self._apply(operation, args, kwargs)

    method.__name__ = operation
    method.__doc__ = f"Apply a fault to ``{operation}``, or pass it on."
    return method


for _operation in OPERATIONS:
    setattr(FaultyDriver, _operation, _delegate(_operation))
FaultyDriver.__abstractmethods__ = frozenset()


class _FaultyStream:
    """A stream that breaks, ends early or alters a byte."""

    def __init__(self, inner: RawStream, fault: Fault) -> None:
        self._inner = inner
        self._fault = fault
        self._position = 0

    def readinto(self, buffer: memoryview, /) -> int:
        """Receive bytes, up to the place where it goes wrong."""
        assert self._fault.at is not None
        left = self._fault.at - self._position
        if self._fault.flip:
            return self._flipped(buffer, left)
        if left <= 0:
            if self._fault.error is not None:
                raise self._fault.error
            return 0
        count = self._inner.readinto(buffer[:left])
        self._position += count
        return count

    def _flipped(self, buffer: memoryview, left: int) -> int:
        count = self._inner.readinto(buffer)
        if 0 <= left < count:
            buffer[left] ^= 1
        self._position += count
        return count

    def read(self, size: int, /) -> bytes:
        """Return bytes, up to the place where it goes wrong."""
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def close(self) -> None:
        """Close the wrapped stream."""
        self._inner.close()
