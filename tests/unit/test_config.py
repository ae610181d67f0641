"""Where settings come from, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from cloudbridge_store import CloudProviderFactory, RetryConfig, TransferConfig, config
from cloudbridge_store.config import Config, ConfigKey, leave_nearest, read_profiles, resolve
from cloudbridge_store.errors import InvalidConfigurationException, InvalidValueException

KEYS = (
    ConfigKey("toy_table", dict, "table"),
    ConfigKey("toy_text", str, "text"),
    ConfigKey("toy_number", int, "number", 3),
    ConfigKey("toy_flag", bool, "flag", True),
    ConfigKey("toy_secret", str, "secret", secret=True),
)


@pytest.fixture(autouse=True)
def _own_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CBS_CONFIG", str(tmp_path / "profiles.toml"))
    monkeypatch.delenv("CBS_PROFILE", raising=False)


def profiles(tmp_path, text):
    (tmp_path / "profiles.toml").write_text(text, encoding="utf-8")


def test_the_mapping_beats_the_environment_beats_the_profile_beats_the_default(monkeypatch, tmp_path):
    assert resolve("toy", {}, KEYS)["toy_number"] == 3
    (tmp_path / ".cloudbridge").write_text("[toy]\ntoy_number = 4\nec2_is_secure = True\n", encoding="utf-8")
    assert resolve("toy", {}, KEYS)["toy_number"] == 4
    profiles(tmp_path, '[profile.lab]\nprovider = "toy"\ntoy_number = 5\n')
    monkeypatch.setenv("CBS_PROFILE", "lab")
    assert resolve("toy", {}, KEYS)["toy_number"] == 5
    monkeypatch.setenv("TOY_NUMBER", "6")
    assert resolve("toy", {}, KEYS)["toy_number"] == 6
    assert resolve("toy", {"toy_number": 7}, KEYS)["toy_number"] == 7


LOGIN_KEYS = (
    ConfigKey("toy_user", str, "user"),
    ConfigKey("toy_password", str, "password", secret=True),
    ConfigKey("toy_token", str, "token", secret=True),
    ConfigKey("toy_place", str, "place"),
)
WAYS = {"toy_user": "password", "toy_password": "password", "toy_token": "token"}


def resolve_login(given):
    return leave_nearest(resolve("toy", given, LOGIN_KEYS), WAYS)


def test_a_later_source_completes_a_way_to_log_in_and_brings_no_other(monkeypatch, tmp_path):
    profiles(tmp_path, '[profile.lab]\nprovider = "toy"\ntoy_token = "of the profile"\ntoy_place = "here"\n')
    (tmp_path / "profiles.toml").chmod(0o600)
    monkeypatch.setenv("CBS_PROFILE", "lab")
    assert resolve_login({})["toy_token"] == "of the profile"
    monkeypatch.setenv("TOY_PASSWORD", "of the environment")
    assert resolve_login({"toy_user": "me"}) == {
        "toy_user": "me",
        "toy_password": "of the environment",
        "toy_token": None,
        "toy_place": "here",
    }
    assert resolve_login({"toy_token": "mine"})["toy_password"] is None
    assert resolve_login({})["toy_token"] is None
    both = resolve_login({"toy_token": "mine", "toy_user": "me"})
    assert (both["toy_token"], both["toy_password"]) == ("mine", "of the environment")


def test_none_and_empty_are_unset_false_and_zero_are_values():
    assert resolve("toy", {"toy_number": None, "toy_flag": ""}, KEYS) == resolve("toy", {}, KEYS)
    values = resolve("toy", {"toy_number": 0, "toy_flag": False}, KEYS)
    assert (values["toy_number"], values["toy_flag"]) == (0, False)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("No", False), ("0", False), ("ON", True), (0, False)])
def test_flags_are_read_from_text(text, value):
    assert resolve("toy", {"toy_flag": text}, KEYS)["toy_flag"] is value


@pytest.mark.parametrize(
    "wrong",
    [
        {"toy_flag": "perhaps"},
        {"toy_number": "many"},
        {"toy_number": 1.5},
        {"toy_number": float("inf")},
        {"toy_text": 3},
        {"toy_number": True},
        {"toy_table": "[1]"},
    ],
)
def test_a_wrong_type_is_refused_and_named(wrong):
    with pytest.raises(InvalidConfigurationException, match=next(iter(wrong))):
        resolve("toy", wrong, KEYS)


def test_a_mapping_may_be_json(monkeypatch):
    monkeypatch.setenv("TOY_TABLE", '{"https": "http://proxy:3128"}')
    assert resolve("toy", {}, KEYS)["toy_table"] == {"https": "http://proxy:3128"}


def test_a_wrong_secret_is_not_shown():
    with pytest.raises(InvalidConfigurationException) as caught:
        resolve("toy", {"toy_secret": 12345678}, KEYS)
    assert "12345678" not in str(caught.value)


def test_a_misspelt_key_is_refused_with_the_nearest():
    with pytest.raises(InvalidConfigurationException, match="'toy_numbr'; did you mean 'toy_number'"):
        resolve("toy", {"toy_numbr": 1}, KEYS)
    with pytest.raises(InvalidConfigurationException, match="local_rot"):
        CloudProviderFactory().create_provider("local", {"local_rot": "/tmp/x"})


def test_keys_of_cloudbridge_that_only_serve_compute_are_accepted():
    resolve("toy", {"cb_debug": "True", "default_wait_timeout": 5}, KEYS)


def test_a_profile_of_another_provider_is_refused_where_it_is_asked_for(monkeypatch, tmp_path):
    profiles(tmp_path, '[profile.lab]\nprovider = "aws"\n')
    with pytest.raises(InvalidConfigurationException, match="'lab' is for provider aws"):
        resolve("toy", {"profile": "lab"}, KEYS)
    monkeypatch.setenv("CBS_PROFILE", "lab")
    assert resolve("toy", {}, KEYS)["toy_number"] == 3


def test_a_profile_that_is_not_there_is_named_with_its_file():
    with pytest.raises(InvalidConfigurationException, match=r"'nowhere' is not in .*profiles\.toml"):
        resolve("toy", {"profile": "nowhere"}, KEYS)


@pytest.mark.parametrize("text", ["[profile.x", "[profile.x]\na = 1\n", "profile = 3\n", '[profile]\nx = "y"\n'])
def test_a_broken_profile_file_is_named(tmp_path, text):
    profiles(tmp_path, text)
    with pytest.raises(InvalidConfigurationException, match=r"profiles\.toml"):
        read_profiles()


def test_a_misspelt_key_in_a_profile_is_refused(tmp_path):
    profiles(tmp_path, '[profile.lab]\nprovider = "toy"\ntoy_txt = "x"\n')
    with pytest.raises(InvalidConfigurationException, match="profile lab: unknown config key 'toy_txt'"):
        resolve("toy", {"profile": "lab"}, KEYS)


def test_secrets_are_hidden_in_every_text():
    given = Config({"toy_secret": "hunter2", "toy_text": "x"})
    given.secret_keys = frozenset({"toy_secret"})
    for text in (repr(given), str(given), f"{given}", repr(given.copy()), repr([given])):
        assert "hunter2" not in text
        assert "toy_text" in text
    assert given["toy_secret"] == "hunter2"


@pytest.mark.parametrize("key", ["default_result_limit", "connect_timeout", "deadline", "retry_attempts"])
def test_numbers_must_be_positive(key):
    with pytest.raises(InvalidConfigurationException, match=key):
        CloudProviderFactory().create_provider("memory", {key: 0})
    with pytest.raises(InvalidConfigurationException, match="multipart_"):
        CloudProviderFactory().create_provider("memory", {"multipart_part_size": -1})


@pytest.mark.parametrize("field", ["threshold", "part_size", "max_concurrency"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "1", True])
def test_a_transfer_config_refuses_what_makes_no_sense(field, value):
    with pytest.raises(InvalidValueException, match=field):
        TransferConfig(**{field: value})


def test_common_keys_are_read_from_the_environment_under_a_prefix(monkeypatch):
    monkeypatch.setenv("CBS_DEFAULT_RESULT_LIMIT", "7")
    monkeypatch.setenv("DEADLINE", "somebody else's")
    provider = CloudProviderFactory().create_provider("memory", {})
    assert provider.default_result_limit == 7


def test_cloudbridges_names_in_the_environment_work(monkeypatch):
    monkeypatch.setenv("CB_MULTIPART_PART_SIZE", "6000000")
    provider = CloudProviderFactory().create_provider("memory", {})
    assert provider.session.settings.transfer.part_size == 6_000_000


def test_every_key_has_a_line_of_help_and_is_listed():
    provider = CloudProviderFactory().create_provider("local", {"local_root": "/nonexistent/for/this/test"})
    names = [key.name for key in provider.config_keys()]
    assert {"local_root", "local_layout", "read_timeout", "on_event"} <= set(names)
    assert len(names) == len(set(names))
    assert all(key.help for key in provider.config_keys())


def test_retries_can_be_set_in_every_detail():
    retry = RetryConfig(attempts=2, base=0.1, budget=5)
    provider = CloudProviderFactory().create_provider("memory", {"retry": retry})
    assert provider.session.settings.retry is retry
    with pytest.raises(InvalidConfigurationException, match="RetryConfig"):
        CloudProviderFactory().create_provider("memory", {"retry": 3})


def test_the_profile_file_is_where_the_system_keeps_such_files(monkeypatch):
    monkeypatch.delenv("CBS_CONFIG")
    assert config.profile_path().name == "profiles.toml"
    assert isinstance(config.profile_path(), Path)


def test_a_config_pickles():
    given = Config({"a": 1})
    assert pickle.loads(pickle.dumps(given)) == given


def test_values_know_how_near_their_sources_were(monkeypatch):
    monkeypatch.setenv("FIRST", "of the environment")
    monkeypatch.setenv("SECOND", "of the environment")
    keys = [ConfigKey("first", str, ""), ConfigKey("second", str, ""), ConfigKey("third", str, "", "default")]
    values = resolve("p", {"first": "given"}, keys)
    assert values == {"first": "given", "second": "of the environment", "third": "default"}
    assert values.origins == {"first": 0, "second": 1}


def test_settings_know_what_was_chosen(monkeypatch):
    monkeypatch.setenv("CBS_READ_TIMEOUT", "30")
    settings = CloudProviderFactory().create_provider("memory", {"verify_tls": True}).session.settings
    assert (settings.verify_tls, settings.read_timeout, settings.allow_http) == (True, 30.0, False)
    assert {"verify_tls", "read_timeout"} <= settings.chosen
    assert not {"allow_http", "ca_bundle"} & settings.chosen


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://store.example.org/a", "http://store.example.org would send everything in the clear"),
        ("store.example.org/a", "write https:// before it"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(url, said):
    with pytest.raises(InvalidConfigurationException, match=said):
        config.refuse_http(url, config.Settings())
