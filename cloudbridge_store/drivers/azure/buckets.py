"""Containers, which are the buckets of this service."""

from __future__ import annotations

from typing import Any

from azure.core.exceptions import HttpResponseError

from cloudbridge_store.drivers.azure.documents import plain_text, read_document
from cloudbridge_store.drivers.azure.errors import classify
from cloudbridge_store.drivers.azure.service import Service
from cloudbridge_store.drivers.azure.translate import parse_time, require
from cloudbridge_store.drivers.base import BucketInfo, Failure, Page
from cloudbridge_store.errors import (
    AuthenticationError,
    BucketNotEmptyError,
    InvalidNameException,
    PermissionDeniedError,
    UnsupportedOperationError,
)

_CONTAINER = {"restype": "container"}
_MOST = 5000
"""Most items that the service puts on a page."""


def create(service: Service, bucket: str) -> BucketInfo:
    """Create a private bucket: without a header that says otherwise nobody else reads it.

    :raises InvalidNameException: Azure's own rule for names forbids it.
    """
    if "--" in bucket:
        message = f"Invalid name: {bucket}. Azure takes none with two dashes in a row."
        raise InvalidNameException(message)
    answer = service.send("PUT", service.path(bucket), _CONTAINER)
    return _info(bucket, answer.headers)


def head(service: Service, bucket: str) -> BucketInfo:
    """Describe a bucket, or only name it, where it is the one that a signature is for, or that is public."""
    if bucket == service.only and service.identity.kind in ("sas", "anonymous"):
        return _only(service, bucket)
    return _info(bucket, service.send("HEAD", service.path(bucket), _CONTAINER).headers)


def _only(service: Service, bucket: str) -> BucketInfo:
    """Return the one bucket that the credentials are for, having had the service look at them.

    A signature for a container permits nobody to describe it, whatever its letters are, and need not permit to list.
    Of a container whose objects alone are public, nobody is told that it exists. Of a signature for one object the
    service says nothing before that object is asked for.
    """
    if service.identity.of_object:
        return BucketInfo(bucket)
    try:
        service.send("GET", service.path(bucket), {**_CONTAINER, "comp": "list", "maxresults": "1"})
    except HttpResponseError as error:
        failure = classify(error)
        if failure is None or (failure.error is not PermissionDeniedError and not _is_hidden(service, failure)):
            raise
    return BucketInfo(bucket)


def _is_hidden(service: Service, failure: Failure) -> bool:
    # Nobody is told to say who asks, or that there is nothing; a missing container would be another code.
    refused = failure.error is AuthenticationError or failure.code == "ResourceNotFound"
    return service.identity.kind == "anonymous" and refused


def _info(bucket: str, headers: Any) -> BucketInfo:
    # The service does not tell when a container was created, but when its own settings changed last.
    return BucketInfo(bucket, parse_time(require(headers, "Last-Modified")))


def list_page(service: Service, limit: int, token: str | None) -> Page[BucketInfo]:
    """List buckets by name; with credentials for one bucket, that one, if they open it.

    :raises UnsupportedOperationError: they are for one bucket, and which it is has not been said.
    """
    if service.only is not None:
        return Page([_only(service, service.only)])
    if service.identity.kind == "sas" and not service.identity.of_account:
        hint = "name it as azure_container"
        raise UnsupportedOperationError("a shared access signature for one container lists no containers", hint=hint)
    query = {"comp": "list", "maxresults": str(max(1, min(limit, _MOST)))}
    if token:
        query["marker"] = token
    root = read_document(service.send("GET", service.path(), query), "EnumerationResults")
    items = [
        BucketInfo(plain_text(each.find("Name")), parse_time(each.findtext("Properties/Last-Modified", "")))
        for each in root.iterfind("Containers/Container")
    ]
    return Page(items, root.findtext("NextMarker") or None)


def delete(service: Service, bucket: str) -> None:
    """Delete a bucket that has nothing in it.

    The service deletes buckets with all that is in them, and has no condition against that: what somebody else stores
    between the look and the deletion, which follow each other at once, is lost with the bucket, unless the account
    keeps deleted containers for some days.
    """
    query = {**_CONTAINER, "comp": "list", "maxresults": "1", "include": "snapshots,versions"}
    marker: str | None = ""
    while marker is not None:
        root = read_document(
            service.send("GET", service.path(bucket), {**query, "marker": marker}), "EnumerationResults"
        )
        if root.find("Blobs/Blob") is not None:
            raise BucketNotEmptyError("the bucket still has objects, or versions or snapshots of some", bucket=bucket)
        marker = root.findtext("NextMarker") or None
    service.send("DELETE", service.path(bucket), _CONTAINER)
