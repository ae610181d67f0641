"""Signed URLs for stores that have no service of their own: a small HTTP server that obeys nothing but signatures."""

from cloudbridge_store.drivers.gateway.urls import UrlGateway

__all__ = ["UrlGateway"]
