"""A driver of another package passes the suite, and drivers that break a promise do not."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path

import pytest

from cloudbridge_store import CloudProviderFactory
from cloudbridge_store.testing import ConformanceSuite, ProviderHarness, needs

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def _load_toy():
    spec = importlib.util.spec_from_file_location("toy_driver", EXAMPLES / "toy_driver.py")
    module = importlib.util.module_from_spec(spec)
    # Under its name before it runs: dataclasses and pickle look modules up there.
    sys.modules["toy_driver"] = module
    spec.loader.exec_module(module)
    return module


toy_driver = _load_toy()


class ToyHarness(ProviderHarness):
    provider_class = toy_driver.ToyCloudProvider

    def __init__(self):
        super().__init__()
        self._name = uuid.uuid4().hex
        self._factory = CloudProviderFactory()
        self._factory.register_provider_class(self.provider_class)

    def make_provider(self, **overrides):
        return self._factory.create_provider("toy", {"toy_name": self._name, **overrides})


class TestToy(ConformanceSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls):
        with ToyHarness() as harness:
            yield harness


BROKEN = {
    "delete that does nothing": (
        "def delete_object(self, bucket, key, version=None): self.head_bucket(bucket)",
        "test_object_lives",
    ),
    "listing without an order": (
        """
        def list_objects(self, *names, **options):
            page = super().list_objects(*names, **options)
            return replace(page, items=page.items[::-1])
        """,
        "test_keys_come_in_byte_order",
    ),
    "listing beyond the limit": (
        "def list_objects(self, *names, limit, **options): return super().list_objects(*names, limit=limit + 1, **options)",
        "test_pages_keep_to_the_limit",
    ),
    "condition that is promised and ignored": (
        "capabilities = replace(ToyDriver.capabilities, conditional_put=frozenset({'if_none_match'}))",
        "test_create_only",
    ),
    "method that is promised and missing": (
        "capabilities = replace(ToyDriver.capabilities, copy=True)",
        "test_promised_methods_are_there",
    ),
    "key that is altered": (
        """
        def put_object(self, bucket, key, *rest):
            return super().put_object(bucket, key.lower(), *rest)
        """,
        "test_weird_key_is_stored_exactly_or_refused",
    ),
    "keys that are refused unnoticed": (
        "def refuse_key(self, key): return 'too hard' if '%' in key else None",
        "test_weird_key_is_stored_exactly_or_refused",
    ),
    "denial that reads as absence": (
        """
        def list_objects(self, bucket, **options):
            return super().list_objects(bucket, **options) if bucket in self.native.buckets else Page([])
        """,
        "test_listing_a_missing_bucket",
    ),
    "range that is ignored": (
        "def get_object(self, bucket, key, options): return super().get_object(bucket, key, ReadOptions())",
        "test_ranges",
    ),
    "lost update": (
        """
        def put_object(self, bucket, key, body, options):
            stored = super().put_object(bucket, key, body, options)
            if body.size > 1:
                self.native.buckets[bucket].objects.popitem()
            return stored
        """,
        "test_random_histories",
    ),
}

PROGRAM = """
from dataclasses import replace
import pytest
from cloudbridge_store.drivers.base import Page, ReadOptions
from cloudbridge_store.testing import ConformanceSuite, ProviderHarness
from toy_driver import ToyCloudProvider, ToyDriver

class BrokenDriver(ToyDriver):
{method}

class BrokenProvider(ToyCloudProvider):
    driver_class = BrokenDriver

class BrokenHarness(ProviderHarness):
    stateful_examples = 50

    def make_provider(self, **overrides):
        return BrokenProvider({{"toy_name": "broken", **overrides}})

    def close(self):
        pass  # what a broken driver leaves behind goes with its process

class TestBroken(ConformanceSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls):
        with BrokenHarness() as harness:
            yield harness
"""


def _run(directory, *arguments):
    paths = [str(EXAMPLES), str(EXAMPLES.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def _run_pytest(directory, *arguments):
    options = ["-q", "-W", "error", "-p", "no:cacheprovider", f"--rootdir={directory}", "--tb=line"]
    return _run(directory, "-m", "pytest", *options, *arguments)


def test_broken_drivers_fail(tmp_path):
    chosen = {}
    for number, (defect, (method, test)) in enumerate(BROKEN.items()):
        path = tmp_path / f"test_broken_{number}.py"
        path.write_text(PROGRAM.format(method=textwrap.indent(textwrap.dedent(method), "    ")))
        chosen[defect] = f"{path.name}::TestBroken::{test}"
    done = _run_pytest(tmp_path, *chosen.values())
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    unnoticed = [defect for defect, test in chosen.items() if f"FAILED {test}" not in done.stdout]
    assert unnoticed == [], done.stdout


CONFTEST = """
import pytest
from cloudbridge_store.testing import ProviderHarness
from toy_driver import ToyCloudProvider

pytest_plugins = ["cloudbridge_store.testing.plugin"]

class FirstHarness(ProviderHarness):
    def make_provider(self, **overrides):
        return ToyCloudProvider({"toy_name": type(self).__name__, **overrides})

class SecondHarness(FirstHarness):
    pass

@pytest.fixture(scope="class", params=[FirstHarness, SecondHarness])
def harness(request):
    with request.param() as harness:
        yield harness
"""
TESTS = """
from cloudbridge_store.testing.conformance import PublishingSuite

class TestPublishing(PublishingSuite):
    pass

def test_memory_bucket(memory_provider, memory_bucket):
    assert memory_bucket.objects.create("a").upload("text").content() == b"text"
    assert [each.name for each in memory_provider.storage.buckets] == [memory_bucket.name]

def test_memory_bucket_is_empty_again(memory_bucket):
    assert memory_bucket.objects.list() == []
"""


def test_harness_in_a_conftest_and_fixtures_for_users(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_all.py").write_text(TESTS)
    done = _run_pytest(tmp_path, "-vv")
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
    for expected in (
        "cdn_is_refused[FirstHarness] PASSED",
        "cdn_is_refused[SecondHarness] PASSED",
        "test_memory_bucket PASSED",
    ):
        assert expected in done.stdout


@pytest.mark.parametrize("missing", ["pytest", "hypothesis"])
def test_what_is_not_installed_is_named(tmp_path, missing):
    program = f"""
        import sys
        sys.modules["{missing}"] = None
        try:
            from cloudbridge_store.testing import ConformanceSuite
        except ImportError as error:
            print(error)
    """
    done = _run(tmp_path, "-c", textwrap.dedent(program))
    assert missing in done.stdout, done.stderr
    assert "pip install 'cloudbridge-store[testing]'" in done.stdout


def test_no_suite_hides_a_test_of_another():
    seen = {}
    for cls in ConformanceSuite.__mro__:
        for name in vars(cls):
            if not name.startswith("_") or name == "_capabilities_wanted":
                assert name not in seen, f"{name} is in {cls.__name__} and in {seen[name]}"
                seen[name] = cls.__name__


def test_every_test_of_a_capability_has_a_twin():
    wanted = {True: set(), False: set()}
    for name in dir(ConformanceSuite):
        for capability, member, needed in getattr(getattr(ConformanceSuite, name), "_requirements", ()):
            wanted[needed].add((capability, member))
    no_call_to_refuse = {("batch_delete", None), ("storage_classes", None), ("sign", "HEAD"), ("sign", "DELETE")}
    assert wanted[True] - no_call_to_refuse == wanted[False]


def test_misspelt_capability_is_an_error():
    with pytest.raises(TypeError, match="copying"):
        needs("copying")
