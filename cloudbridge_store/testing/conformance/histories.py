"""Random histories, played against the store and a model."""

from __future__ import annotations

from cloudbridge_store.testing.fixtures import StoreFixtures
from cloudbridge_store.testing.harness import ProviderHarness
from cloudbridge_store.testing.stateful import run_state_machine


class HistorySuite(StoreFixtures):
    """:func:`~cloudbridge_store.testing.stateful.run_state_machine`, at a small size."""

    def test_random_histories(self, harness: ProviderHarness) -> None:
        assert harness.stateful_examples > 0
        run_state_machine(harness.make_provider, examples=harness.stateful_examples, steps=harness.stateful_steps)
