"""``cloudbridge.interfaces.provider``."""

from cloudbridge_store.provider import CloudProvider

__all__ = ["CloudProvider"]
