"""The conformance suite and what else helps to test: shipped, because drivers of other packages run it too.

A driver's author writes a harness and inherits the suite::

    # test_toy.py
    import pytest
    from cloudbridge_store.testing import ConformanceSuite, ProviderHarness

    class ToyHarness(ProviderHarness):
        def make_provider(self, **overrides):
            return ToyCloudProvider({"toy_directory": self.directory, **overrides})

    class TestToy(ConformanceSuite):
        @pytest.fixture(scope="class")
        @classmethod
        def harness(cls):
            with ToyHarness() as harness:
                yield harness

Where one suite shall run against several stores, a parametrised fixture of that name in ``conftest.py`` does as well::

    # conftest.py
    @pytest.fixture(scope="class", params=[ToyHarness, FastToyHarness])
    def harness(request):
        with request.param() as harness:
            yield harness

    # test_toy.py
    from cloudbridge_store.testing import ConformanceSuite

    class TestToy(ConformanceSuite):
        pass

Tests of capabilities that the driver does not have are skipped; in their place the suite shows that such a call is
refused before anything is sent. Users of the library find fixtures in :mod:`cloudbridge_store.testing.plugin`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cloudbridge_store.errors import MissingDependencyError

try:
    import pytest
except ImportError as error:
    message = "cloudbridge_store.testing needs pytest, which is not installed: pip install 'cloudbridge-store[testing]'"
    raise MissingDependencyError(message) from error

pytest.register_assert_rewrite(
    "cloudbridge_store.testing.conformance",
    "cloudbridge_store.testing.fixtures",
    "cloudbridge_store.testing.harness",
    "cloudbridge_store.testing.stateful",
)

if TYPE_CHECKING:
    from cloudbridge_store.testing.conformance import ConformanceSuite
    from cloudbridge_store.testing.fixtures import lacks, needs
    from cloudbridge_store.testing.harness import ProviderHarness
    from cloudbridge_store.testing.keys import REFUSED_KEYS, WEIRD_KEYS
    from cloudbridge_store.testing.stateful import run_state_machine

__all__ = [
    "REFUSED_KEYS",
    "WEIRD_KEYS",
    "ConformanceSuite",
    "ProviderHarness",
    "lacks",
    "needs",
    "run_state_machine",
]

_HOMES = {
    "REFUSED_KEYS": "keys",
    "WEIRD_KEYS": "keys",
    "ConformanceSuite": "conformance",
    "ProviderHarness": "harness",
    "lacks": "fixtures",
    "needs": "fixtures",
    "run_state_machine": "stateful",
}


def __getattr__(name: str) -> Any:
    # Late, because the suite needs hypothesis and the fixtures for users' own tests do not.
    if name not in _HOMES:
        missing = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(missing)
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        needed = f"{name} needs hypothesis, which is not installed: pip install 'cloudbridge-store[testing]'"
        raise MissingDependencyError(needed) from error
