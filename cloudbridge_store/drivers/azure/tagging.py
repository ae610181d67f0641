"""Tags of objects, and their storage classes: what is changed without the content."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

from cloudbridge_store.drivers.azure.documents import read_document
from cloudbridge_store.drivers.azure.service import Service
from cloudbridge_store.drivers.azure.translate import check_tags


def get_tags(service: Service, bucket: str, key: str, selected: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an object's tags.

    :param selected: the query that names a version.
    """
    answer = service.send("GET", service.path(bucket, key), {"comp": "tags", **(selected or {})})
    found = read_document(answer, "Tags")
    return {each.findtext("Key", ""): each.findtext("Value", "") for each in found.iter("Tag")}


def set_tags(service: Service, bucket: str, key: str, tags: Mapping[str, str]) -> None:
    """Replace an object's tags."""
    check_tags(tags)
    pairs = "".join(
        f"<Tag><Key>{escape(name)}</Key><Value>{escape(value)}</Value></Tag>" for name, value in tags.items()
    )
    body = f'<?xml version="1.0" encoding="utf-8"?><Tags><TagSet>{pairs}</TagSet></Tags>'.encode()
    headers = {"Content-Type": "application/xml; charset=UTF-8"}
    service.send("PUT", service.path(bucket, key), {"comp": "tags"}, headers, body)


def set_storage_class(service: Service, bucket: str, key: str, storage_class: str) -> None:
    """Move an object to another access tier. One that leaves the archive is on its way for hours."""
    service.send("PUT", service.path(bucket, key), {"comp": "tier"}, {"x-ms-access-tier": storage_class})
