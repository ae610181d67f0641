"""S3-compatible services, and every name that leads to a driver."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from urllib.parse import urlsplit

import pytest

from cloudbridge_store import CloudProviderFactory, ProviderList
from cloudbridge_store.config import ConfigKey
from cloudbridge_store.core import registry
from cloudbridge_store.core.registry import Resolved
from cloudbridge_store.drivers.memory import MemoryDriver
from cloudbridge_store.drivers.presets import S3_PRESETS, find, override_keys, with_overrides
from cloudbridge_store.errors import InvalidConfigurationException, ProviderRetiredError, UnknownProviderError

IDENTITY = {"name", "title", "endpoint", "elsewhere", "regions", "default_region", "notes"}
FLAGS = [each.name for each in fields(find("other")) if each.name not in IDENTITY]
OTHER_VALUES = {
    "addressing_style": ("virtual", "virtual"),
    "signature_version": ("s3", "s3"),
    "list_version": (2, 2),
    "conditional_put": ("if_match, if_none_match", frozenset({"if_match", "if_none_match"})),
    "checksum": ("none", "none"),
    "delete_digest": ("sha256", "sha256"),
    "encryption": ("customer", frozenset({"customer"})),
    "rules": ("cors", frozenset({"cors"})),
    "storage_classes": ("HOT,COLD", ("HOT", "COLD")),
}

LIBCLOUD = {
    "DUMMY": ("memory", None, None),
    "LOCAL": ("local", None, None),
    "S3": ("aws", "aws", None),
    "S3_AP_NORTHEAST": ("aws", "aws", "ap-northeast-1"),
    "S3_AP_NORTHEAST1": ("aws", "aws", "ap-northeast-1"),
    "S3_AP_NORTHEAST2": ("aws", "aws", "ap-northeast-2"),
    "S3_AP_SOUTH": ("aws", "aws", "ap-south-1"),
    "S3_AP_SOUTHEAST": ("aws", "aws", "ap-southeast-1"),
    "S3_AP_SOUTHEAST2": ("aws", "aws", "ap-southeast-2"),
    "S3_CA_CENTRAL": ("aws", "aws", "ca-central-1"),
    "S3_CN_NORTH": ("aws", "aws", "cn-north-1"),
    "S3_CN_NORTHWEST": ("aws", "aws", "cn-northwest-1"),
    "S3_EU_WEST": ("aws", "aws", "eu-west-1"),
    "S3_EU_WEST2": ("aws", "aws", "eu-west-2"),
    "S3_EU_WEST3": ("aws", "aws", "eu-west-3"),
    "S3_EU_CENTRAL": ("aws", "aws", "eu-central-1"),
    "S3_EU_NORTH1": ("aws", "aws", "eu-north-1"),
    "S3_SA_EAST": ("aws", "aws", "sa-east-1"),
    "S3_US_EAST2": ("aws", "aws", "us-east-2"),
    "S3_US_WEST": ("aws", "aws", "us-west-1"),
    "S3_US_WEST_OREGON": ("aws", "aws", "us-west-2"),
    "S3_US_GOV_WEST": ("aws", "aws", "us-gov-west-1"),
    "AURORAOBJECTS": ("aws", "auroraobjects", None),
    "MINIO": ("aws", "minio", None),
    "S3_RGW": ("aws", "rgw", None),
    "S3_RGW_OUTSCALE": ("aws", "outscale", None),
    "DIGITALOCEAN_SPACES": ("aws", "digitalocean", None),
    "SCALEWAY": ("aws", "scaleway", None),
    "OVH": ("aws", "ovh", None),
    "BACKBLAZE_B2": ("aws", "backblaze", None),
    "ALIYUN_OSS": ("aws", "alibaba", None),
    "GOOGLE_STORAGE": ("gcp", None, None),
    "AZURE_BLOBS": ("azure", None, None),
    "OPENSTACK_SWIFT": ("openstack", None, None),
    "CLOUDFILES": ("openstack", "rackspace", None),
    "CLOUDFILES_US": ("openstack", "rackspace", None),
    "CLOUDFILES_UK": ("openstack", "rackspace", "lon"),
    "CLOUDFILES_SWIFT": ("openstack", None, None),
    "KTUCLOUD": ("openstack", "ktucloud", None),
    "NINEFOLD": None,
    "NIMBUS": None,
}
UNLIKE_THEIR_NAMES = {
    "s3_ap_northeast_1": "S3_AP_NORTHEAST1", "s3_ap_northeast_2": "S3_AP_NORTHEAST2", "s3_eu_west_2": "S3_EU_WEST2",
    "s3_eu_west_3": "S3_EU_WEST3", "s3_eu_north_1": "S3_EU_NORTH1", "s3_us_east_2": "S3_US_EAST2",
}  # fmt: skip


class FakeAws(MemoryDriver):
    """Takes AWS's keys and keeps them: what arrives at the driver is what is tested here."""

    config_keys = (
        ConfigKey("s3_preset", str, "preset", "aws"),
        ConfigKey("aws_region_name", str, "region"),
        ConfigKey("aws_secret_key", str, "secret", secret=True),
        *override_keys(),
    )

    @classmethod
    def connect(cls, config, settings):
        driver = super().connect({"memory_namespace": None}, settings)
        driver.given = config
        return driver


@pytest.fixture
def fake_aws(monkeypatch):
    """Put a driver without an SDK in AWS's place."""
    monkeypatch.setitem(sys.modules, "fake_aws", sys.modules[__name__])
    monkeypatch.setitem(registry.BUILT_IN, "aws", registry.Row("fake_aws", "FakeAws", "aws"))
    for name in ("S3_PRESET", "AWS_REGION_NAME", "CBS_PROFILE"):
        monkeypatch.delenv(name, raising=False)


def given(name, config=()):
    """Return the preset and the region that the driver of a new provider is given."""
    with CloudProviderFactory().create_provider(name, config) as provider:
        values = provider.session.driver.given
        return values["s3_preset"], values["aws_region_name"]


@pytest.mark.parametrize("preset", S3_PRESETS.values(), ids=S3_PRESETS)
def test_every_row_builds_an_endpoint_or_says_what_it_needs(preset):
    for region in (*preset.regions, preset.default_region, "xx-new-9"):
        if preset.name == "aws":
            assert preset.endpoint_url(region) is None
        elif not preset.endpoint:
            assert preset.needs == ("s3_endpoint_url",)
            with pytest.raises(InvalidConfigurationException, match="s3_endpoint_url is needed"):
                preset.endpoint_url(region, "account")
        elif region or preset.default_region or "aws_region_name" not in preset.needs:
            url = urlsplit(preset.endpoint_url(region, "account"))
            assert url.scheme == "https"
            assert url.hostname
            assert not set("{}/@ ") & set(url.netloc)
            assert url.path == ""
            assert not preset.regions or "{region}" not in preset.endpoint or not region or region in url.netloc


@pytest.mark.parametrize("preset", [each for each in S3_PRESETS.values() if each.endpoint], ids=lambda each: each.name)
def test_what_is_missing_is_named_by_its_config_key(preset):
    values = {"aws_region_name": None, "s3_account": None}
    for key in preset.needs:
        with pytest.raises(InvalidConfigurationException, match=f"preset {preset.name} .*{key}"):
            preset.endpoint_url(values["aws_region_name"], values["s3_account"])
        values[key] = "something"
    url = preset.endpoint_url(values["aws_region_name"], values["s3_account"])
    assert (url is None) == (preset.name == "aws")


def test_endpoints_elsewhere():
    assert find("ovh").endpoint_url("us-east-va") == "https://s3.us-east-va.io.cloud.ovh.us"
    assert find("ovh").endpoint_url("gra") == "https://s3.gra.io.cloud.ovh.net"
    assert find("yandex").endpoint_url(None) == "https://storage.yandexcloud.net"
    assert find("r2").endpoint_url(None, "0a1b.eu") == "https://0a1b.eu.r2.cloudflarestorage.com"
    assert find("lyve").endpoint_url("us-west-1", "me", secure=False) == "http://s3.us-west-1.me.lyve.seagate.com"


@pytest.mark.parametrize("wrong", ["evil.org/", "a@b", "x y", "-x", "a:1", "..", "é", "x\n", "#"])
def test_neither_region_nor_account_leads_to_another_host(wrong):
    with pytest.raises(InvalidConfigurationException, match=r"aws_region_name.*cannot stand in a host name"):
        find("scaleway").endpoint_url(wrong)
    with pytest.raises(InvalidConfigurationException, match=r"s3_account.*cannot stand in a host name"):
        find("r2").endpoint_url(None, wrong)


def test_https_where_there_is_nothing_else():
    with pytest.raises(InvalidConfigurationException, match="s3_is_secure"):
        find("backblaze").endpoint_url("us-west-004", secure=False)
    mended = with_overrides(find("backblaze"), {"s3_force_https": False})
    assert mended.endpoint_url("us-west-004", secure=False) == "http://s3.us-west-004.backblazeb2.com"


@pytest.mark.parametrize("preset", S3_PRESETS.values(), ids=S3_PRESETS)
def test_limits_make_sense(preset):
    assert S3_PRESETS[preset.name] is preset
    assert preset.name == preset.name.lower()
    assert preset.title
    assert 0 < preset.min_part <= preset.max_part
    assert preset.max_parts > 0
    assert preset.copy or not preset.multipart_copy
    assert preset.conditional_put <= {"if_none_match", "if_match"}
    assert not preset.regions or not preset.default_region or preset.default_region in preset.regions
    with pytest.raises(FrozenInstanceError):
        preset.acl = True


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_has_a_key_and_can_be_set(flag):
    keys = {key.name: key for key in override_keys()}
    assert list(keys) == [f"s3_{each}" for each in FLAGS]
    key = keys[f"s3_{flag}"]
    assert key.help
    assert key.default is None
    for preset in (find("other"), find("aws")):
        present = getattr(preset, flag)
        text, wanted = OTHER_VALUES.get(flag) or ((not present,) * 2 if type(present) is bool else (present + 1,) * 2)
        for value in (text, str(text)):
            changed = with_overrides(preset, {key.name: key.parse(value)})
            assert getattr(changed, flag) == wanted
            assert type(getattr(changed, flag)) is type(present)
            assert [each for each in FLAGS if getattr(changed, each) != getattr(preset, each)] in ([flag], [])
            assert with_overrides(preset, {key.name: value}) == changed


def test_overrides_that_are_not_given_change_nothing():
    preset = find("r2")
    assert with_overrides(preset, {key.name: None for key in override_keys()}) is preset
    assert with_overrides(preset, {"s3_conditional_put": "none"}).conditional_put == frozenset()
    assert with_overrides(preset, {"s3_acl": "false"}).acl is False


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("list_version", 3), ("checksum", "sha1"), ("addressing_style", "Path"), ("conditional_put", "if_match,if_new"),
        ("max_parts", 0), ("min_part", -1), ("acl", "perhaps"), ("min_part", "much"), ("delete_digest", "none"),
        ("storage_classes", 7),
    ],
)  # fmt: skip
def test_values_that_a_flag_cannot_have(flag, value):
    with pytest.raises(InvalidConfigurationException, match=f"config key s3_{flag} must be"):
        with_overrides(find("other"), {f"s3_{flag}": value})


def test_presets_are_found_by_name_and_mistakes_have_the_nearest():
    assert find("GCS_Interop") is S3_PRESETS["gcs-interop"]
    with pytest.raises(InvalidConfigurationException, match="did you mean 'hetzner'"):
        find("hetzer")
    with pytest.raises(InvalidConfigurationException, match=r"there are: aws, .*'other' with s3_endpoint_url"):
        find("zzzzzz")


def test_libcloud_has_41_constants():
    assert len(LIBCLOUD) == 41
    types = pytest.importorskip("libcloud.storage.types")
    assert {name for name in vars(types.Provider) if name.isupper()} == set(LIBCLOUD)
    values = {getattr(types.Provider, name): name for name in LIBCLOUD}
    assert {value: name for value, name in values.items() if value != name.lower()} == UNLIKE_THEIR_NAMES


@pytest.mark.parametrize("name", LIBCLOUD)
def test_libclouds_constants_are_known_in_any_case(name):
    wanted = LIBCLOUD[name]
    for spelling in (name, name.lower(), name.title(), *(key for key, of in UNLIKE_THEIR_NAMES.items() if of == name)):
        if wanted is None:
            with pytest.raises(ProviderRetiredError, match=f"provider {spelling}: .*has closed.* [Uu]se "):
                registry.resolve(spelling)
        else:
            assert registry.resolve(spelling) == wanted


@pytest.mark.parametrize("name", ["NINEFOLD", "Nimbus.io", "nimbus", "atmos"])
def test_what_is_retired_says_so_to_everyone(name):
    factory = CloudProviderFactory()
    with pytest.raises(NotImplementedError, match="se "):
        factory.create_provider(name, {})
    assert factory.get_provider_class(name) is None


@pytest.mark.parametrize("name", ["azure", "GOOGLE_STORAGE", "openstack", "CLOUDFILES_UK", "ktucloud", "ktcloud"])
def test_every_service_has_its_provider(name):
    assert registry.resolve(name).driver in registry.BUILT_IN
    assert CloudProviderFactory().get_provider_class(name) is not None


@pytest.mark.parametrize(("name", "nearest"), [("hetzer", "hetzner"), ("S3_EU_WST", "s3_eu_west"), ("minioo", "minio")])
def test_unknown_names_have_the_nearest_of_all(name, nearest):
    with pytest.raises(UnknownProviderError, match=f"{name} could not be found; did you mean '{nearest}'"):
        CloudProviderFactory().create_provider(name, {})


def test_provider_list_has_every_preset():
    listed = {value for name, value in vars(ProviderList).items() if name.isupper()}
    assert listed >= set(S3_PRESETS)
    assert ProviderList.GCS_INTEROP == "gcs-interop"
    assert {name.upper().replace("-", "_") for name in S3_PRESETS} <= set(vars(ProviderList))


@pytest.mark.parametrize("name", S3_PRESETS)
def test_every_preset_makes_a_provider(name, fake_aws):
    with CloudProviderFactory().create_provider(name, {"aws_secret_key": "hush"}) as provider:
        values = provider.session.driver.given
        assert name == provider.PROVIDER_ID
        assert not provider.is_mock
        assert values["s3_preset"] == name
        assert values["aws_region_name"] == ((find(name).default_region or None) if name != "aws" else None)
        assert dict(provider.config) == {"aws_secret_key": "hush"}
        twin = pickle.loads(pickle.dumps(provider))
        assert twin == provider
        assert type(twin) is type(provider)
        assert twin.session.driver.given == values
        assert "hush" not in repr(twin)
        twin.close()


def test_names_in_other_spellings_are_the_same_provider(fake_aws):
    factory = CloudProviderFactory()
    assert factory.get_provider_class("MinIO") is factory.get_provider_class("minio")
    assert factory.get_provider_class("GCS_INTEROP") is factory.get_provider_class("gcs-interop")
    assert factory.get_provider_class("LOCAL") is factory.get_provider_class("local")
    assert factory.get_provider_class("DUMMY").is_mock
    with factory.create_provider("S3_EU_WEST", {}) as provider:
        assert pickle.loads(pickle.dumps(provider)) == provider
        assert provider.PROVIDER_ID == "s3_eu_west"


def test_what_the_user_gave_stays(fake_aws, monkeypatch):
    assert given("S3_EU_WEST") == ("aws", "eu-west-1")
    assert given("S3_EU_WEST", {"aws_region_name": "eu-west-3"}) == ("aws", "eu-west-3")
    assert given("S3_EU_WEST", {"aws_region_name": None}) == ("aws", "eu-west-1")
    assert given("minio", {"aws_region_name": "here"}) == ("minio", "here")
    assert given("minio", {"s3_preset": "scaleway"}) == ("scaleway", None)
    assert given("aws", {"s3_preset": "ovh"}) == ("ovh", None)
    monkeypatch.setenv("AWS_REGION_NAME", "from-environment")
    monkeypatch.setenv("S3_PRESET", "wasabi")
    assert given("S3_EU_WEST") == ("aws", "eu-west-1")
    assert given("minio") == ("minio", "from-environment")
    assert given("aws") == ("wasabi", "from-environment")


def test_a_profile_of_a_preset_is_read(fake_aws, monkeypatch, tmp_path):
    path = tmp_path / "profiles.toml"
    path.write_text('[profile.ours]\nprovider = "scaleway"\naws_region_name = "nl-ams"\n', encoding="utf-8")
    monkeypatch.setenv("CBS_CONFIG", str(path))
    assert given("scaleway", {"profile": "ours"}) == ("scaleway", "nl-ams")


def test_a_provider_class_with_its_own_driver_is_left_alone():
    from cloudbridge_store import CloudProvider

    own = type("Own", (CloudProvider,), {"PROVIDER_ID": "minio", "driver_class": MemoryDriver})
    with own({}) as provider:
        assert "s3_preset" not in {key.name for key in provider.config_keys()}


PROBE = """
import json, sys
sys.modules["boto3"] = sys.modules["botocore"] = None
from cloudbridge_store import CloudProviderFactory
factory = CloudProviderFactory()
names = list(factory.list_providers())
try:
    factory.create_provider("minio", {"s3_endpoint_url": "http://localhost:9000"})
except ImportError as error:
    print(json.dumps([names, type(error).__name__, str(error)]))
"""


def test_presets_are_listed_without_an_sdk():
    output = subprocess.run([sys.executable, "-c", PROBE], check=True, capture_output=True, text=True).stdout
    names, kind, message = json.loads(output)
    assert set(names) >= {*S3_PRESETS, "local", "memory"}
    assert len(names) == len(set(names))
    assert kind == "MissingDependencyError"
    assert message.startswith("provider minio needs boto")
    assert "pip install 'cloudbridge-store[aws]'" in message


def test_a_resolved_name_is_a_tuple():
    assert registry.resolve("R2") == Resolved("aws", "r2") == ("aws", "r2", None)
