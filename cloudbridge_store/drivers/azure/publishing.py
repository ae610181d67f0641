"""Who may read a bucket, and under which addresses."""

from __future__ import annotations

from xml.sax.saxutils import escape

from cloudbridge_store.drivers.azure.service import Service
from cloudbridge_store.errors import UnsupportedOperationError

PROPERTIES = {"restype": "service", "comp": "properties"}
"""The query that asks for the properties of the account."""
SITE = "$web"
"""The one bucket of an account that can be a website."""
ROOT = "$root"
"""The one whose objects are addressed without its name, too."""


def set_public(service: Service, bucket: str, *, public: bool) -> None:
    """Let everybody read the objects, but not list them, or nobody. The bucket's stored access policies stay.

    Where the account forbids public access, the service refuses.
    """
    path, query = service.path(bucket), {"restype": "container", "comp": "acl"}
    # The same request replaces both.
    policies = service.send("GET", path, query).content
    headers = {"Content-Type": "application/xml", **({"x-ms-blob-public-access": "blob"} if public else {})}
    service.send("PUT", path, query, headers, policies)


def set_properties(service: Service, properties: str) -> None:
    """Set properties of the account, as XML; those that are not named stay as they are."""
    document = f"<StorageServiceProperties>{properties}</StorageServiceProperties>"
    body = f'<?xml version="1.0" encoding="utf-8"?>{document}'.encode()
    service.send("PUT", service.path(), PROPERTIES, {"Content-Type": "application/xml"}, body)


def set_website(service: Service, bucket: str, index: str | None, error: str | None) -> str:
    """Serve the account's site, or no more, and return its address. Other properties of the account stay as they are.

    :raises UnsupportedOperationError: of another bucket than :data:`SITE`.
    """
    if bucket != SITE:
        hint = f"store the site's objects in the bucket {SITE}"
        raise UnsupportedOperationError(f"an account has one website, of its bucket {SITE}", hint=hint)
    if index is None:
        site = "<Enabled>false</Enabled>"
    else:
        missing = "" if error is None else f"<ErrorDocument404Path>{escape(error)}</ErrorDocument404Path>"
        site = f"<Enabled>true</Enabled><IndexDocument>{escape(index)}</IndexDocument>{missing}"
    set_properties(service, f"<StaticWebsite>{site}</StaticWebsite>")
    return str(service.website)
