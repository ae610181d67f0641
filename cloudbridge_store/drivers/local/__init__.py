"""The provider ``local``: objects as files of this machine."""

from cloudbridge_store.drivers.local.driver import LocalDriver

__all__ = ["LocalDriver"]
