"""A provider: one account of one storage service, with its configuration."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from cloudbridge_store.buckets import Bucket, BucketService
from cloudbridge_store.config import COMMON_KEYS, Config, ConfigKey, Settings, Values, resolve
from cloudbridge_store.core import checks, registry
from cloudbridge_store.core.journal import OFF, Journal
from cloudbridge_store.core.session import Session
from cloudbridge_store.drivers.base import Capabilities, Driver, RuleKind, Usage
from cloudbridge_store.errors import (
    InvalidConfigurationException,
    PermissionDeniedError,
    ProviderConnectionException,
    StoreError,
)
from cloudbridge_store.pending import PendingTransfer, find_pending
from cloudbridge_store.redaction import Secret, unhide

_CLASS_NAMES = {"aws": "AWS", "gcp": "GCP", "openstack": "OpenStack"}
_MOCKS = frozenset({"mock", "memory"})


class CloudServiceType:
    """CloudBridge's names of services, for :meth:`CloudProvider.has_service`; storage is what there is here."""

    COMPUTE = "compute"
    IMAGE = "image"
    SECURITY = "security"
    VOLUME = "storage.volumes"
    BUCKET = "storage.buckets"
    DNS = "dns"


class StorageService:
    """What a provider stores: its buckets."""

    def __init__(self, provider: CloudProvider) -> None:
        self.provider = provider

    @cached_property
    def buckets(self) -> BucketService:
        """The buckets of this account."""
        return BucketService(self.provider)

    def regions(self) -> list[str]:
        """Return the locations that a bucket can be created in, as far as known; empty where there is no choice."""
        session = self.provider.session
        return list(session.call(session.driver.regions))

    def info(self) -> Usage:
        """Return how many buckets, objects and bytes the account holds, and its metadata.

        :raises UnsupportedOperationError: the service does not count.
        """
        session = self.provider.session
        session.require("usage", "say how much an account holds")
        return session.call(session.driver.get_usage, None)

    def set_metadata(self, metadata: Mapping[str, str]) -> None:
        """Replace the account's metadata; :meth:`info` returns it. :raises UnsupportedOperationError:"""
        session = self.provider.session
        session.require("usage", "keep metadata of an account")
        session.call(session.driver.set_bucket_metadata, None, checks.metadata(session, metadata))

    def get_rules(self, kind: RuleKind) -> list[dict[str, Any]]:
        """Return the rules for ``"cors"`` that hold for all buckets of the account, in the service's own form.

        :raises UnsupportedOperationError: the service has none of that kind for an account; a bucket may have.
        """
        session = self._ruled(kind)
        return [dict(rule) for rule in session.call(session.driver.get_account_rules, kind)]

    def set_rules(self, kind: RuleKind, rules: Iterable[Mapping[str, Any]]) -> None:
        """Replace the account's rules of one kind; none removes them. See :meth:`get_rules`."""
        session = self._ruled(kind)
        session.call(session.driver.set_account_rules, kind, [dict(rule) for rule in rules])

    def _ruled(self, kind: RuleKind) -> Session:
        session = self.provider.session
        if kind not in session.capabilities.account_rules:
            raise session.lacking(f"this provider has no rules of kind {kind} for an account", "account_rules")
        return session

    def set_temp_url_key(
        self, key: str | None = None, bucket: Bucket | str | None = None, *, keep_previous: bool = False
    ) -> str:
        """Have the service check signed URLs with a key from now on, and return it. It is as good as a password.

        Nothing else here ever sets one. Without ``keep_previous`` the URLs that were signed with the one before end.

        :param key: ``None`` makes a random one.
        :param bucket: the bucket whose URLs it signs, or its name; ``None`` for all of the account.
        :raises UnsupportedOperationError: URLs are signed with the credentials here.
        """
        session = self.provider.session
        session.require("temp_url_key", "sign with a key of its own")
        chosen = Secret(secrets.token_urlsafe(32) if key is None else checks.temp_url_key(key))
        name = bucket.name if isinstance(bucket, Bucket) else bucket
        session.call(session.driver.set_temp_url_key, chosen, name, keep=keep_previous)
        return chosen

    def pending_transfers(self) -> list[PendingTransfer]:
        """Return the transfers in parts of this provider that a killed process left on this machine, oldest first."""
        return sorted(find_pending(self.provider), key=lambda each: each.started)


def _text_of(value: Any) -> str:
    """Return what tells a setting's value from others, in every process: not its place in the memory of this one."""
    shown: Any = type(value).__repr__
    return type(value).__qualname__ if shown is object.__repr__ else repr(unhide(value))


class CloudProvider:
    """One account of one storage service. Safe to share between threads; pickles as its name and configuration.

    :param config: see :meth:`~cloudbridge_store.factory.CloudProviderFactory.create_provider`.
    """

    PROVIDER_ID: ClassVar[str] = ""
    driver_class: ClassVar[type[Driver] | None] = None
    """The driver, where a subclass brings its own; otherwise the registry finds it by ``PROVIDER_ID``."""
    is_mock: ClassVar[bool] = False

    def __init__(self, config: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        config = self.config = Config(config)  # also so that a traceback's locals show no secret
        driver_class = self.driver_class or registry.load(self.PROVIDER_ID)
        fixed, defaults = self._implied_settings()
        own_keys = (replace(key, default=defaults.get(key.name, key.default)) for key in driver_class.config_keys)
        self._keys = (*own_keys, *COMMON_KEYS)
        self.config.hide(self._keys)
        values = resolve(self.PROVIDER_ID, {**self.config, **fixed}, self._keys)
        settings = Settings.from_values(values)
        own = Values({key.name: values[key.name] for key in driver_class.config_keys}, values.origins)
        journal = self._find_journal(own, settings)
        self.session = Session(self.PROVIDER_ID, lambda: driver_class.connect(own, settings), settings, journal)
        self.storage = StorageService(self)
        # Makes the driver, so that values which cannot work together are refused now.
        able = self.session.capabilities
        if settings.keys == "literal" and not able.literal_keys:
            message = f"config key keys: {self.PROVIDER_ID} cannot take keys literally; its keys are portable ones"
            raise InvalidConfigurationException(message)

    def _implied_settings(self) -> tuple[dict[str, str], dict[str, str]]:
        if self.driver_class:
            return {}, {}  # a driver of its own need not know the keys
        fixed, defaults = registry.implied_settings(self.PROVIDER_ID)
        given = {key for key in fixed if self.config.get(key)}
        return {key: value for key, value in fixed.items() if key not in given}, {} if given else defaults

    def _find_journal(self, own: Mapping[str, Any], settings: Settings) -> Journal | None:
        if settings.journal == Path(OFF):
            return None
        # Wherever the values come from, and not how transfers are cut: what makes it the same account.
        items = sorted((key, _text_of(value)) for key, value in own.items())
        identity = repr((self.PROVIDER_ID, items)).encode("utf-8", "surrogatepass")
        return Journal(settings.journal, hashlib.sha256(identity).digest())

    @property
    def name(self) -> str:
        """The class's name, such as ``"AWSCloudProvider"``."""
        return type(self).__name__

    @property
    def capabilities(self) -> Capabilities:
        """What this provider can do, and its limits."""
        return self.session.capabilities

    @property
    def native(self) -> Any:
        """The SDK's client, for what this library does not cover."""
        return self.session.driver.native

    @property
    def default_result_limit(self) -> int:
        """Items in a page where ``list()`` is given no limit; may be changed in ``config`` at any time."""
        return int(self.config.get("default_result_limit") or self.session.settings.default_result_limit)

    def config_keys(self) -> Sequence[ConfigKey]:
        """Return all configuration keys of this provider, each with a line of help."""
        return self._keys

    def authenticate(self) -> bool:
        """Return ``True`` if the service accepts the credentials. Needs no right beyond listing one bucket.

        :raises ProviderConnectionException: it does not, or it cannot be reached.
        """
        try:
            self.session.call(self.session.driver.authenticate)
        except PermissionDeniedError:
            return True  # known, if not permitted to list
        except ProviderConnectionException:
            raise
        except StoreError as error:
            raise ProviderConnectionException(error.reason, **error.context()) from error
        return True

    def has_service(self, service_type: str) -> bool:
        """Say whether there is an attribute path such as ``"storage.buckets"`` below this provider."""
        if not service_type:
            return False
        found: Any = self
        for name in service_type.split("."):
            found = getattr(found, name, None)
        return found is not None

    def clone(self) -> Self:
        """Return another provider of the same configuration, with connections of its own."""
        return type(self)(self.config)

    def close(self) -> None:
        """Release connections; whatever is called on it afterwards raises ProviderClosedError."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @cached_property
    def _identity(self) -> bytes:
        # A digest: equal configurations compare equal without being kept twice, and it can stand in a hash.
        items = sorted((key, repr(unhide(value))) for key, value in self.config.items())
        return hashlib.sha256(repr((self.PROVIDER_ID, items)).encode("utf-8", "surrogatepass")).digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CloudProvider) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        return f"<{self.name} {self.config!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        if type(self).__module__ == __name__:
            return _make, (self.PROVIDER_ID, dict(self.config))
        return type(self), (dict(self.config),)


def provider_class(name: str) -> type[CloudProvider]:
    """Return the class of a provider that the registry knows; its driver is imported when one is made.

    :raises UnknownProviderError: it knows none of that name.
    """
    return _class_of(registry.provider_id(name))


@cache
def _class_of(name: str) -> type[CloudProvider]:
    title = f"{_CLASS_NAMES.get(name, name.title().replace('_', '').replace('-', ''))}CloudProvider"
    is_mock = registry.resolve(name).driver in _MOCKS
    members = {"PROVIDER_ID": name, "is_mock": is_mock, "__module__": __name__, "__doc__": f"Provider {name}."}
    return type(title, (CloudProvider,), members)


def _make(name: str, config: Mapping[str, Any]) -> CloudProvider:
    return provider_class(name)(config)
