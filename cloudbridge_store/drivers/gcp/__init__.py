"""Google Cloud Storage."""

from cloudbridge_store.drivers.gcp.driver import GcpDriver

__all__ = ["GcpDriver"]
