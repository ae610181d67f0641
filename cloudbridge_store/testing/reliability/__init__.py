"""The fault part of the conformance suite: each fault, in each operation, once, twice and for ever.

A test class inherits :class:`FaultSuite`. Where its harness names an ``upstream``, faults are played on the wire, by a
proxy; where it has none, in the process, around the driver. What must come of each stands in one table,
for all providers.
"""

from __future__ import annotations

from cloudbridge_store.testing.reliability.suite import FaultSuite

__all__ = ["FaultSuite"]
