"""CloudBridge's import paths: a program moves here by changing ``cloudbridge`` to ``cloudbridge_store``."""

from cloudbridge_store.errors import InvalidConfigurationException
from cloudbridge_store.provider import CloudProvider, CloudServiceType

__all__ = ["CloudProvider", "CloudServiceType", "InvalidConfigurationException"]
