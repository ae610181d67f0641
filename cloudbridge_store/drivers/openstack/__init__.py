"""OpenStack Swift, Rackspace Cloud Files, and every service that speaks Swift's protocol."""

from importlib.util import find_spec

from cloudbridge_store.drivers.openstack.driver import OpenStackDriver

if find_spec("keystoneauth1") is None:
    # Importing it is put off to the first login, which is late for being told.
    raise ModuleNotFoundError("No module named 'keystoneauth1'", name="keystoneauth1")

__all__ = ["OpenStackDriver"]
