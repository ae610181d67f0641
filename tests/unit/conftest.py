"""A provider over a driver that fails by rule, and never sleeps."""

from __future__ import annotations

import pytest

from cloudbridge_store import CloudProvider
from cloudbridge_store.config import Settings
from cloudbridge_store.core.session import Session
from cloudbridge_store.drivers.memory import MemoryDriver
from cloudbridge_store.testing.faults import FaultyDriver


class FaultyProvider(CloudProvider):
    PROVIDER_ID = "faulty"
    driver_class = MemoryDriver

    def __init__(self, config=(), faults=()):
        super().__init__(config)
        self.driver = FaultyDriver(self.session.driver, faults)
        self.session = Session("faulty", lambda: self.driver, self.session.settings)
        self.waits = []
        self.session._sleep = self.waits.append


@pytest.fixture
def faulty():
    """Make a provider with faults: ``faulty(Fault(...), ..., retry_attempts=3)``."""
    made = []

    def make(*faults, **config):
        provider = FaultyProvider(config, faults)
        made.append(provider)
        return provider

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def settings():
    return Settings()
