"""OpenStack Swift, Rackspace Cloud Files, and every service that speaks Swift's protocol."""

from cloudbridge_store.drivers.openstack.driver import OpenStackDriver

__all__ = ["OpenStackDriver"]
