"""``cloudbridge.interfaces.exceptions``."""

from cloudbridge_store.errors import (
    CloudBridgeBaseException,
    DuplicateResourceException,
    InvalidConfigurationException,
    InvalidLabelException,
    InvalidNameException,
    InvalidParamException,
    InvalidValueException,
    ProviderConnectionException,
    ProviderInternalException,
    WaitStateException,
)

__all__ = [
    "CloudBridgeBaseException",
    "DuplicateResourceException",
    "InvalidConfigurationException",
    "InvalidLabelException",
    "InvalidNameException",
    "InvalidParamException",
    "InvalidValueException",
    "ProviderConnectionException",
    "ProviderInternalException",
    "WaitStateException",
]
