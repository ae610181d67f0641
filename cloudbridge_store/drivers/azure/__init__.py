"""The driver for Azure Blob Storage."""

from cloudbridge_store.drivers.azure.driver import AzureDriver

__all__ = ["AzureDriver"]
