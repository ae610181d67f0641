"""Providers by name."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys

import pytest

from cloudbridge_store import CloudProvider, CloudProviderFactory, ProviderList, interfaces
from cloudbridge_store.core import registry
from cloudbridge_store.drivers.memory import MemoryDriver
from cloudbridge_store.errors import MissingDependencyError, UnknownProviderError
from cloudbridge_store.interfaces import exceptions


class ToyProvider(CloudProvider):
    PROVIDER_ID = "toy"
    driver_class = MemoryDriver


def test_provider_list_is_plain_text():
    names = {name: value for name, value in vars(ProviderList).items() if not name.startswith("_")}
    assert names["AWS"] == "aws"
    assert all(type(value) is str and name == value.upper().replace("-", "_") for name, value in names.items())
    assert getattr(ProviderList, "OPENSTACK") == "openstack"  # noqa: B009 - as its users do


def test_an_unknown_name_is_not_implemented_and_has_the_nearest():
    with pytest.raises(NotImplementedError, match="A provider with name locl could not be found; did you mean 'local'"):
        CloudProviderFactory().create_provider("locl", {})
    with pytest.raises(UnknownProviderError, match="there are: "):
        CloudProviderFactory().create_provider("zzz", {})


def test_a_missing_sdk_is_not_an_unknown_provider(monkeypatch):
    monkeypatch.setitem(registry.BUILT_IN, "cloudy", registry.Row("no_such_sdk_here", "CloudyDriver", "cloudy"))
    with pytest.raises(
        MissingDependencyError, match=r"no_such_sdk_here.*pip install 'cloudbridge-store\[cloudy\]'"
    ) as caught:
        CloudProviderFactory().create_provider("cloudy", {})
    assert isinstance(caught.value, ImportError)
    assert CloudProviderFactory().get_provider_class("cloudy") is not None


@pytest.mark.parametrize("config", [{}, [("iter_chunk_size", 5)], (("iter_chunk_size", 5),)])
def test_a_configuration_is_a_mapping_or_pairs(config):
    assert isinstance(CloudProviderFactory().create_provider("memory", config), interfaces.CloudProvider)


def test_no_configuration_at_all_is_a_type_error():
    with pytest.raises(TypeError):
        CloudProviderFactory().create_provider("memory", None)


def test_classes_are_found_by_name():
    factory = CloudProviderFactory()
    cls = factory.get_provider_class("local")
    assert cls is CloudProviderFactory().get_provider_class("local")
    assert cls.__name__ == "LocalCloudProvider"
    assert factory.get_provider_class("nope") is None
    assert factory.list_providers()["local"]["class"] is cls
    everything = factory.get_all_provider_classes()
    assert {each.PROVIDER_ID for each in everything} >= {"local", "memory", "mock"}
    assert {each.PROVIDER_ID for each in factory.get_all_provider_classes(ignore_mocks=True)}.isdisjoint(
        {"memory", "mock"}
    )


def test_drivers_of_other_packages_are_found_by_their_entry_point(monkeypatch):
    from importlib import metadata

    point = metadata.EntryPoint("theirs", "cloudbridge_store.drivers.memory:MemoryDriver", registry.ENTRY_POINTS)
    broken = metadata.EntryPoint("broken", "no_such_package_here:Driver", registry.ENTRY_POINTS)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point, broken] if group == point.group else [])
    factory = CloudProviderFactory()
    assert "theirs" in factory.list_providers()
    provider = factory.create_provider("theirs", {})
    assert provider.PROVIDER_ID == "theirs"
    assert pickle.loads(pickle.dumps(provider)) == provider
    with pytest.raises(MissingDependencyError, match="install what its package needs"):
        factory.create_provider("broken", {})


def test_a_fault_of_ours_is_not_called_a_missing_sdk(monkeypatch):
    monkeypatch.setitem(registry.BUILT_IN, "faulty", registry.Row("cloudbridge_store.drivers.nowhere", "Driver"))
    with pytest.raises(ModuleNotFoundError) as caught:
        CloudProviderFactory().create_provider("faulty", {})
    assert not isinstance(caught.value, MissingDependencyError)


def test_registered_classes_belong_to_one_factory(caplog):
    factory = CloudProviderFactory()
    factory.register_provider_class(ToyProvider)
    assert isinstance(factory.create_provider("toy", {}), ToyProvider)
    assert CloudProviderFactory().get_provider_class("toy") is None
    factory.register_provider_class(type("Other", (ToyProvider,), {}))
    assert factory.get_provider_class("toy").__name__ == "Other"
    assert "replaces" in caplog.text


@pytest.mark.parametrize("wrong", [object, "toy", CloudProvider])
def test_what_is_no_provider_class_is_left_out(wrong, caplog):
    factory = CloudProviderFactory()
    before = factory.list_providers()
    factory.register_provider_class(wrong)
    assert factory.list_providers() == before
    assert "not registered" in caplog.text


def test_mock_is_memory():
    provider = CloudProviderFactory().create_provider(ProviderList.MOCK, {})
    provider.storage.buckets.create("a-bucket").objects.create("x").upload(b"1")
    assert provider.PROVIDER_ID == "mock"


@pytest.mark.parametrize("provider_class", [None, ToyProvider])
def test_providers_pickle_compare_and_hash_by_configuration(provider_class):
    config = {"memory_namespace": "pickled"}
    provider = provider_class(config) if provider_class else CloudProviderFactory().create_provider("memory", config)
    provider.storage.buckets.create("kept-bucket")
    try:
        for twin in (pickle.loads(pickle.dumps(provider)), copy.deepcopy(provider), provider.clone()):
            assert twin is not provider
            assert type(twin) is type(provider)
            assert twin == provider
            assert hash(twin) == hash(provider)
            assert twin.storage.buckets.get("kept-bucket") == provider.storage.buckets.get("kept-bucket")
        assert provider != CloudProviderFactory().create_provider("memory", {"memory_namespace": "other"})
    finally:
        provider.storage.buckets.delete("kept-bucket")


def test_services_are_found_by_path():
    provider = CloudProviderFactory().create_provider("memory", {})
    found = {
        name: provider.has_service(path) for name, path in vars(interfaces.CloudServiceType).items() if name.isupper()
    }
    assert [name for name, there in found.items() if there] == ["BUCKET"]
    assert not provider.has_service("")
    assert not provider.has_service("no.such.thing")
    assert provider.authenticate() is True
    assert provider.name == "MemoryCloudProvider"


def test_cloudbridges_import_paths_lead_to_the_same_classes():
    from cloudbridge_store import errors
    from cloudbridge_store.interfaces import provider, resources, services, subservices

    assert provider.CloudProvider is CloudProvider
    assert exceptions.DuplicateResourceException is errors.DuplicateResourceException
    assert resources.BucketObject.__name__ == "BucketObject"
    assert services.BucketService.__name__ == "BucketService"
    assert subservices.BucketObjectSubService is services.BucketObjectService


PROBE = """
import json, socket, sys
socket.socket.connect = None
from cloudbridge_store import CloudProviderFactory
light = sorted({name.partition(".")[0] for name in sys.modules})
provider = CloudProviderFactory().create_provider("local", {"local_root": sys.argv[1]})
provider.storage.buckets.list()
print(json.dumps(light))
"""


def test_importing_loads_no_sdk_and_creating_opens_no_connection(tmp_path):
    root = tmp_path / "root"
    output = subprocess.run([sys.executable, "-c", PROBE, root], check=True, capture_output=True, text=True).stdout
    loaded = set(json.loads(output))
    heavy = {
        "boto3",
        "botocore",
        "azure",
        "google",
        "openstack",
        "keystoneauth1",
        "tenacity",
        "click",
        "tqdm",
        "pytest",
    }
    assert loaded.isdisjoint(heavy)
    assert not root.exists()
