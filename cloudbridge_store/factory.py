"""The way in: providers by name."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from cloudbridge_store.config import Config
from cloudbridge_store.core import registry
from cloudbridge_store.errors import UnknownProviderError
from cloudbridge_store.provider import CloudProvider, provider_class

_log = logging.getLogger("cloudbridge_store")


class ProviderList:
    """Names of the providers, to be written without quotes. Plain strings: users iterate over ``__dict__``."""

    AWS = "aws"
    AZURE = "azure"
    GCP = "gcp"
    OPENSTACK = "openstack"
    LOCAL = "local"
    MEMORY = "memory"
    MOCK = "mock"

    # S3-compatible services: the driver of AWS with a preset
    MINIO = "minio"
    CEPH = "ceph"
    RGW = "rgw"
    SWIFT_S3 = "swift-s3"
    AURORAOBJECTS = "auroraobjects"
    JETSTREAM2 = "jetstream2"
    DIGITALOCEAN = "digitalocean"
    OVH = "ovh"
    SCALEWAY = "scaleway"
    BACKBLAZE = "backblaze"
    WASABI = "wasabi"
    R2 = "r2"
    LINODE = "linode"
    EXOSCALE = "exoscale"
    HETZNER = "hetzner"
    IBM = "ibm"
    ALIBABA = "alibaba"
    TENCENT = "tencent"
    HUAWEI = "huawei"
    ORACLE = "oracle"
    YANDEX = "yandex"
    STORJ = "storj"
    IDRIVE = "idrive"
    GCS_INTEROP = "gcs-interop"
    OUTSCALE = "outscale"
    IONOS = "ionos"
    SELECTEL = "selectel"
    LYVE = "lyve"
    SYNOLOGY = "synology"
    MEGA = "mega"
    MAGALU = "magalu"
    PETABOX = "petabox"
    QINIU = "qiniu"
    RABATA = "rabata"
    FASTLY = "fastly"
    DREAMHOST = "dreamhost"
    TIGRIS = "tigris"
    CUBBIT = "cubbit"
    IMPOSSIBLE = "impossible"
    OTHER = "other"

    # services with Swift's protocol: the driver of OpenStack with a preset
    RACKSPACE = "rackspace"
    MEMSET = "memset"
    KTUCLOUD = "ktucloud"
    CEPH_SWIFT = "ceph-swift"


class CloudProviderFactory:
    """Finds and makes providers: the built-in ones, those of installed packages, and those registered here."""

    def __init__(self) -> None:
        self._registered: dict[str, type[CloudProvider]] = {}

    def create_provider(self, name: str, config: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> CloudProvider:
        """Make a provider. Its configuration is checked, no connection is opened.

        :param name: such as ``ProviderList.AWS``, ``"local"``, or the name of an installed driver.
        :param config: the provider's keys; each that is missing is looked up (see :mod:`cloudbridge_store.config`).
        :raises UnknownProviderError: there is no provider of that name.
        :raises MissingDependencyError: its SDK is not installed.
        :raises InvalidConfigurationException: an unknown key or a value of a wrong type.
        """
        config = Config(config)  # hides what it holds from a traceback's locals
        return self._class(name)(config)

    def _class(self, name: str) -> type[CloudProvider]:
        return self._registered.get(name) or provider_class(name)

    def get_provider_class(self, name: str) -> type[CloudProvider] | None:
        """Return the class of a provider, ``None`` for an unknown name. :raises MissingDependencyError:"""
        try:
            return self._class(name)
        except UnknownProviderError:
            return None

    def list_providers(self) -> dict[str, dict[str, type[CloudProvider]]]:
        """Return every provider by name, with its class under ``"class"``. Imports no SDK."""
        found = {name: {"class": provider_class(name)} for name in registry.names()}
        return {**found, **{name: {"class": cls} for name, cls in self._registered.items()}}

    def get_all_provider_classes(self, ignore_mocks: bool = False) -> list[type[CloudProvider]]:
        """Return the classes of all providers; those that only imitate one can be left out."""
        classes = [entry["class"] for entry in self.list_providers().values()]
        return [cls for cls in classes if not (ignore_mocks and cls.is_mock)]

    def register_provider_class(self, cls: Any) -> None:
        """Add a provider to this factory; an earlier one of the same ``PROVIDER_ID`` is replaced.

        What is no provider class, or has no ``PROVIDER_ID``, is left out with a warning in the log.
        """
        if not (isinstance(cls, type) and issubclass(cls, CloudProvider)):
            _log.warning("%r is not a provider class and was not registered", cls)
            return
        if not cls.PROVIDER_ID:
            _log.warning("provider class %s has no PROVIDER_ID and was not registered", cls.__name__)
            return
        if cls.PROVIDER_ID in self._registered:
            _log.warning("provider class %s replaces another for %s", cls.__name__, cls.PROVIDER_ID)
        self._registered[cls.PROVIDER_ID] = cls
