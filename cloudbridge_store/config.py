"""Settings: which keys there are, where their values come from, and what they may be.

A value is looked up in the mapping given to ``create_provider``, then in the environment, then in a profile file, then
in CloudBridge's own ini files, then in the default. ``None`` and ``""`` count as unset; ``False`` and ``0`` are values.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cloudbridge_store.errors import InvalidConfigurationException, InvalidValueException
from cloudbridge_store.redaction import has_userinfo, hide, unhide

MiB = 2**20

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})

IGNORED_KEYS = frozenset({"cb_debug", "default_wait_interval", "default_wait_timeout", "profile"})
"""Accepted and without effect here: CloudBridge's keys that serve compute, and ``profile``, which is used before."""


@dataclass(frozen=True, slots=True)
class ConfigKey:
    """One setting: its name, the type of its values, and a line of help."""

    name: str
    kind: type
    help: str
    default: Any = None
    environment: tuple[str, ...] | None = None
    """Environment variables, best first; ``None`` stands for the upper-case name."""
    secret: bool = False

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that are looked at, best first."""
        return (self.name.upper(),) if self.environment is None else self.environment

    def parse(self, value: Any) -> Any:
        """Return ``value`` in the key's type; text is read, anything else must be of it already.

        :raises InvalidConfigurationException: it cannot be.
        """
        value = self.hidden(value)
        try:
            return self.hidden(_parse(self.kind, value))
        except (TypeError, ValueError, OverflowError):
            shown = "***" if self.secret else repr(value)
            message = f"config key {self.name} must be {_KIND_NAMES.get(self.kind, self.kind.__name__)}, not {shown}"
            raise InvalidConfigurationException(message) from None

    def hidden(self, value: Any) -> Any:
        """Return ``value`` so that no ``repr`` shows it, where it is a secret or a URL with one in it."""
        return hide(value) if self.secret or has_userinfo(value) else value


_KIND_NAMES: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    dict: "a mapping, or text that is one in JSON",
}


def _parse(kind: type, value: Any) -> Any:
    if kind is bool:
        return _parse_bool(value)
    if kind in (int, float):
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise TypeError
        if kind is int and isinstance(value, float) and value != int(value):
            raise ValueError
        return kind(value)
    if kind is dict and isinstance(value, str):
        import json  # here and below: what an import need not pay for

        value = json.loads(value)
    if kind is Path:
        return Path(os.fspath(value)).expanduser()
    if not isinstance(value, kind) and kind is not object:
        raise TypeError
    return value


def _parse_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError


def _common(name: str, kind: type, help: str, default: Any = None, *legacy: str, secret: bool = False) -> ConfigKey:
    # The names are short English words; unprefixed variables of that kind (DEADLINE, PROXIES) belong to other programs.
    return ConfigKey(name, kind, help, default, (f"CBS_{name.upper()}", *legacy), secret)


COMMON_KEYS: Sequence[ConfigKey] = (
    _common("default_result_limit", int, "items in a page where list() is given no limit", 50),
    _common("multipart_threshold", int, "bytes from which a transfer is split", None, "CB_MULTIPART_THRESHOLD"),
    _common("multipart_part_size", int, "bytes in a part", None, "CB_MULTIPART_PART_SIZE"),
    _common("multipart_max_concurrency", int, "parts in flight in one transfer", 5, "CB_MULTIPART_MAX_CONCURRENCY"),
    _common("iter_chunk_size", int, "bytes in a piece of iter_content()", MiB, "CB_ITER_CHUNK_SIZE"),
    _common("connect_timeout", float, "seconds to wait for a connection", 5.0),
    _common("read_timeout", float, "seconds to wait for the next bytes", 30.0),
    _common("deadline", float, "seconds for one control call, retries included", 60.0),
    _common("retry_attempts", int, "attempts at one request, the first included", 6),
    _common("ca_bundle", Path, "file of certificate authorities to trust"),
    _common("verify_tls", bool, "check the server's certificate", True),
    _common("allow_http", bool, "permit plain http to hosts other than this one", False),
    _common("proxies", dict, "proxy URL by scheme, such as {'https': 'http://proxy:3128'}", secret=True),
    _common("user_agent", str, "text added to the User-Agent"),
    _common("keys", str, "portable, or literal to reach odd keys that other programs stored", "portable"),
    _common("journal", Path, "directory that notes transfers in parts, to go on after a crash; none: nowhere"),
    ConfigKey("retry", object, "a RetryConfig, instead of retry_attempts", None, ()),
    ConfigKey("on_event", object, "called with an Event after every operation", None, ()),
)


@dataclass(frozen=True, slots=True)
class TransferConfig:
    """How one transfer is cut. ``None`` means: ask the provider's configuration, then the service's own measure.

    :param threshold: bytes; smaller objects go in one request.
    :param part_size: bytes in a part; grows by itself where the service's number of parts would not suffice.
    :param max_concurrency: parts in flight; a transfer's memory is at most ``max_concurrency * part_size``.
    :raises InvalidValueException: a value below 1.
    """

    threshold: int | None = None
    part_size: int | None = None
    max_concurrency: int | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise InvalidValueException(each.name, value, "a whole number of 1 or more")


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """When and how long to try again. Waits are drawn from 0 to ``base * 2**n`` seconds ("full jitter").

    The numbers follow AWS's standard retry mode, with a longer base and a longer patience where a service throttles.
    """

    attempts: int = 6
    base: float = 0.2
    throttled_base: float = 1.0
    longest_wait: float = 20.0
    longest_retry_after: float = 60.0
    budget: float = 100.0
    """Retries a provider may make ahead of its successes, so that an outage is not answered with a storm."""
    earned: float = 0.1
    """What a success adds to the budget."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that all providers have, parsed; drivers set the time-outs and TLS options on their SDK's client."""

    default_result_limit: int = 50
    transfer: TransferConfig = field(default_factory=TransferConfig)
    iter_chunk_size: int = MiB
    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    deadline: float = 60.0
    slowest_rate: int = 256 * 1024
    """Bytes a second that a transfer's deadline allows for, on top of ``deadline``."""
    retry: RetryConfig = field(default_factory=RetryConfig)
    ca_bundle: Path | None = None
    verify_tls: bool = True
    allow_http: bool = False
    proxies: Mapping[str, str] | None = None
    user_agent: str | None = None
    keys: str = "portable"
    """``literal`` also takes keys with dot segments and control characters, as other programs may have stored them."""
    journal: Path | None = None
    """``None`` stands for a directory in the user's state directory, and the path ``none`` for no journal."""
    on_event: Callable[[Any], None] | None = None
    chosen: frozenset[str] = frozenset()
    """Names of the keys that somebody gave a value; those of the others are defaults."""

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Settings:
        """Build settings from the values of :data:`COMMON_KEYS`. :raises InvalidConfigurationException:"""
        for name in _POSITIVE:
            if not values[name] > 0:
                message = f"config key {name} must be greater than 0, not {values[name]!r}"
                raise InvalidConfigurationException(message)
        own = {each.name for each in fields(cls)} & set(values)
        try:
            transfer = TransferConfig(*(values[f"multipart_{each.name}"] for each in fields(TransferConfig)))
        except InvalidValueException as error:
            message = f"config key multipart_*: {error}"
            raise InvalidConfigurationException(message) from None
        if values["keys"] not in ("portable", "literal"):
            message = f"config key keys must be portable or literal, not {values['keys']!r}"
            raise InvalidConfigurationException(message)
        if values["on_event"] is not None and not callable(values["on_event"]):
            message = "config key on_event must be callable"
            raise InvalidConfigurationException(message)
        retry = values["retry"] or RetryConfig(attempts=values["retry_attempts"])
        if not isinstance(retry, RetryConfig):
            message = f"config key retry must be a RetryConfig, not {retry!r}"
            raise InvalidConfigurationException(message)
        chosen = frozenset(getattr(values, "origins", ()))
        found = {name: values[name] for name in own}
        return cls(**{**found, "transfer": transfer, "retry": retry, "chosen": chosen})


_POSITIVE = (
    "default_result_limit",
    "iter_chunk_size",
    "connect_timeout",
    "read_timeout",
    "deadline",
    "retry_attempts",
)


def refuse_http(url: str, settings: Settings) -> None:
    """Raise InvalidConfigurationException for plain http to another host, unless ``allow_http`` is set; or no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        # Its text, and the address, may hold a signature.
        message = "the address of a service is none: its host cannot be read"
        raise InvalidConfigurationException(message) from None
    if parts.scheme != "https" and not settings.allow_http and not _is_loopback(parts.hostname or ""):
        if not parts.scheme:
            message = "the address of a service has no scheme: write https:// before it"
            raise InvalidConfigurationException(message)
        host = parts.netloc.rpartition("@")[2]
        message = f"{parts.scheme}://{host} would send everything in the clear: use https, or set allow_http"
        raise InvalidConfigurationException(message)


def _is_loopback(host: str) -> bool:
    import ipaddress  # here, as only drivers of services ask

    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Config(dict[str, Any]):
    """What the user gave, as given. Its ``repr`` hides the values of secret keys; of all, until these are known."""

    secret_keys: frozenset[str] | None = None

    def hide(self, keys: Iterable[ConfigKey]) -> None:
        """Learn which keys are secret, and have their values hide themselves wherever they go."""
        known = {key.name: key for key in keys}
        self.secret_keys = frozenset(key.name for key in known.values() if key.secret)
        for name, value in self.items():
            self[name] = known[name].hidden(value) if name in known else value

    def __repr__(self) -> str:
        secret = self.keys() if self.secret_keys is None else self.secret_keys
        shown = {key: "***" if key in secret else value for key, value in self.items()}
        return f"{type(self).__name__}({shown!r})"

    __str__ = __repr__

    def copy(self) -> Config:
        """Return a copy that hides the same keys."""
        twin = type(self)(self)
        twin.secret_keys = self.secret_keys
        return twin


class Values(dict[str, Any]):
    """The value of every key, and how near its source was: values from different sources do not contradict."""

    def __init__(self, values: Mapping[str, Any], origins: Mapping[str, int]) -> None:
        super().__init__(values)
        self.origins = {name: origins[name] for name in self if name in origins}
        """0: given; 1: the environment; 2: a profile; 3: CloudBridge's files. A default has none."""


def leave_nearest(values: Mapping[str, Any], ways: Mapping[str, str]) -> dict[str, Any]:
    """Return the values with those unset that are for another way to log in than the nearest source has any of.

    Farther sources complete that way, and bring no other: no password of the environment displaces a configured token.

    :param ways: the way that a key belongs to, by its name.
    """
    origins: Mapping[str, int] = getattr(values, "origins", dict.fromkeys(values, 0))
    given = {name: origins[name] for name in ways if name in origins and values[name] is not None}
    nearest = min(given.values(), default=0)
    kept = {ways[name] for name, origin in given.items() if origin == nearest}
    return {name: None if name in given and ways[name] not in kept else value for name, value in values.items()}


def resolve(provider: str, given: Mapping[str, Any], keys: Sequence[ConfigKey]) -> Values:
    """Look every key up and parse it.

    :param provider: provider name; a profile of another provider is refused, or, where only the environment names it,
        passed over.
    :raises InvalidConfigurationException: an unknown key (the message has the nearest name), a value of a wrong type.
    """
    known = {key.name: key for key in keys}
    refuse_unknown(given, known, f"provider {provider}")
    sources = (_present(given), _profile_values(provider, given, known), _ini_values(provider))
    found: dict[str, Any] = {}
    origins: dict[str, int] = {}
    for name, key in known.items():
        value, origin = _look_up(key, sources)
        found[name] = None if value is None else key.parse(unhide(key.hidden(value)))
        if origin is not None:
            origins[name] = origin
    return Values(found, origins)


def refuse_unknown(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise InvalidConfigurationException for the first name that is not known, with the nearest that is."""
    names = set(known) | IGNORED_KEYS
    for name in given:
        if name not in names:
            import difflib

            near = difflib.get_close_matches(str(name), names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            message = f"{where}: unknown config key {name!r}{hint}"
            raise InvalidConfigurationException(message)


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None and value != ""}


def _look_up(key: ConfigKey, sources: Sequence[Mapping[str, Any]]) -> tuple[Any, int | None]:
    given, *files = sources
    if key.name in given:
        return given[key.name], 0
    for variable in key.variables:
        if value := os.environ.get(variable):
            return value, 1
    for origin, values in enumerate(files, 2):
        if key.name in values:
            return values[key.name], origin
    return key.default, None


def profile_path() -> Path:
    """Return where profiles are read from: ``CBS_CONFIG``, else ``profiles.toml`` in the user's config directory."""
    if given := os.environ.get("CBS_CONFIG"):
        return Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_config_dir("cloudbridge_store")) / "profiles.toml"


def read_profiles(path: Path | None = None) -> dict[str, dict[str, Any]]:
    """Read all profiles, by name: the tables ``[profile.NAME]``, each with a ``provider``. A missing file has none.

    :raises InvalidConfigurationException: the file is not what it should be.
    """
    profiles, _ = _load_profiles(path or profile_path())
    return {name: unhide(profile) for name, profile in profiles.items()}


def _load_profiles(path: Path) -> tuple[dict[str, dict[str, Any]], bool]:
    """Return the profiles, with all values hidden, and whether others than the file's owner can read or alter it."""
    try:
        content, exposed = _read_toml(path)
    except FileNotFoundError:
        return {}, False
    except (OSError, ValueError) as error:
        message = f"profile file {path}: {error}"
        raise InvalidConfigurationException(message) from error
    profiles = content.get("profile", {})
    if not isinstance(profiles, dict):
        message = f"profile file {path}: profiles are tables, [profile.NAME]"
        raise InvalidConfigurationException(message)
    for name, profile in profiles.items():
        if not isinstance(profile, dict) or not isinstance(profile.get("provider"), str):
            message = f'profile file {path}: [profile.{name}] needs a provider = "..."'
            raise InvalidConfigurationException(message)
    return profiles, exposed


def _read_toml(path: Path) -> tuple[dict[str, Any], bool]:
    import tomllib

    with path.open("rb") as file:
        # Of the open file: the one that has the name may be another by now.
        mode = os.fstat(file.fileno()).st_mode
        return hide(tomllib.load(file)), os.name == "posix" and bool(mode & _OTHERS)


_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def _profile_values(provider: str, given: Mapping[str, Any], known: Mapping[str, ConfigKey]) -> dict[str, Any]:
    named = given.get("profile")
    name = named or os.environ.get("CBS_PROFILE")
    if not name:
        return {}
    path = profile_path()
    profiles, exposed = _load_profiles(path)
    profile = dict(profiles.get(name, {}))
    belongs_to = profile.pop("provider", None)
    if belongs_to == provider:
        refuse_unknown(profile, known, f"profile {name}")
        if exposed and any(key in known and known[key].secret for key in profile):
            message = (
                f"profile file {path}: others can read or change it, and there are secrets in it: chmod 600 {path}"
            )
            raise InvalidConfigurationException(message)
        return {key: known[key].hidden(unhide(value)) for key, value in _present(profile).items() if key in known}
    if named and name != provider:
        reason = f"is for provider {belongs_to}" if belongs_to else f"is not in {path}"
        message = f"profile {name!r} {reason}"
        raise InvalidConfigurationException(message)
    return {}


def _ini_values(provider: str) -> dict[str, Any]:
    """CloudBridge's files: section ``[aws]`` and so on; keys for compute stand there too, so unknown ones may."""
    paths = [path for path in (Path("/etc/cloudbridge.ini"), Path("~/.cloudbridge").expanduser()) if path.is_file()]
    if not paths:
        return {}
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(paths, encoding="utf-8")
    except (OSError, configparser.Error, UnicodeDecodeError) as error:
        message = f"CloudBridge configuration file: {error}"
        raise InvalidConfigurationException(message) from error
    return hide(_present(dict(parser[provider]))) if parser.has_section(provider) else {}
