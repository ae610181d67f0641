"""Objects: described, read and written in one request each."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from cloudbridge_store.drivers.azure.errors import reworded
from cloudbridge_store.drivers.azure.service import Service
from cloudbridge_store.drivers.azure.translate import (
    conditions,
    describing,
    encode_md5,
    matching,
    object_info,
    require,
    stored,
    unlocking,
)
from cloudbridge_store.drivers.azure.versions import selecting
from cloudbridge_store.drivers.base import Body, Download, ObjectInfo, PutOptions, ReadOptions, Stored
from cloudbridge_store.drivers.http import sent_range
from cloudbridge_store.drivers.streams import BodyStream, SentStream
from cloudbridge_store.errors import InvalidRangeError, PreconditionFailedError

_OF_NOTHING = re.compile(r"bytes (\d+)--1/0")
"""What Azurite says of an empty object. The service itself refuses a range behind the end, of any object."""


def head(service: Service, bucket: str, key: str, options: ReadOptions) -> ObjectInfo:
    """Describe an object."""
    path = service.path(bucket, key)
    answer = service.send("HEAD", path, selecting(options.version), unlocking(options.customer_key))
    return _as_asked(object_info(key, answer.headers), options)


def is_missing(service: Service, bucket: str, key: str) -> bool:
    """Say whether it is certain that there is no object; blocks that none is made of are none.

    Not certain is what may not be looked at: by a signature that permits writing only, or without a customer's key.
    """
    try:
        service.send("HEAD", service.path(bucket, key))
    except HttpResponseError as error:
        return isinstance(error, ResourceNotFoundError)
    return False


def _as_asked(info: ObjectInfo, options: ReadOptions) -> ObjectInfo:
    # Of a snapshot the service does not say that it is one.
    return info if options.version is None else info._replace(version=options.version)


def get(service: Service, bucket: str, key: str, options: ReadOptions) -> Download:
    """Open an object. A range that begins at 0 is asked for again without one, where the object may be empty."""
    if options.stop is not None and options.stop <= options.start:
        raise InvalidRangeError("the range is empty", bucket=bucket, key=key)
    try:
        return _get(service, bucket, key, options, ranged=options.ranged)
    except HttpResponseError as error:
        if options.start > 0 or error.status_code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
    # Only an empty object has nothing from 0 on.
    download = _get(service, bucket, key, options, ranged=False)
    if download.info.size:
        download.stream.close()
        raise InvalidRangeError("the service refused a range that begins at 0", bucket=bucket, key=key)
    return download


def _get(service: Service, bucket: str, key: str, options: ReadOptions, *, ranged: bool) -> Download:
    headers = {**matching(options.if_match, options.if_none_match), **unlocking(options.customer_key)}
    if ranged:
        headers["Range"] = f"bytes={options.start}-{'' if options.stop is None else options.stop - 1}"
    answer = service.send("GET", service.path(bucket, key), selecting(options.version), headers, stream=True)
    try:
        start, length, size = _sent(answer)
        partial = answer.status_code == HTTPStatus.PARTIAL_CONTENT
        info = _as_asked(object_info(key, answer.headers, size if partial else None), options)
    except BaseException:
        answer.raw.close()
        raise
    return Download(info, BodyStream(answer.raw, length), start, length)


def _sent(answer: Any) -> tuple[int, int, int]:
    """Return where the answer starts in the object, its length, and the object's size."""
    told = answer.headers.get("Content-Range")
    nothing = _OF_NOTHING.fullmatch(told or "")
    if nothing is None:
        start, length, size = sent_range(answer.status_code, int(require(answer.headers, "Content-Length")), told)
    else:
        start, length, size = int(nothing[1]), 0, 0
    if 0 < start >= size:
        raise InvalidRangeError(f"the object has no more than {size} bytes")
    return start, length, size


def put(service: Service, bucket: str, key: str, body: Body, options: PutOptions) -> Stored:
    """Store an object. The service compares what arrives with its MD5, and keeps that."""
    digest = encode_md5(body.md5)
    headers = {
        "x-ms-blob-type": "BlockBlob",
        "Content-MD5": digest,
        "x-ms-blob-content-md5": digest,
        **conditions(options),
        **describing(options),
    }
    try:
        with body.open() as stream:
            answer = service.send("PUT", service.path(bucket, key), None, headers, SentStream(stream, body.size))
    except HttpResponseError as error:
        failed = condition_failed(error, options, bucket, key)
        raise failed from failed.__cause__
    return stored(answer.headers, body.md5)


def condition_failed(error: HttpResponseError, options: PutOptions, bucket: str, key: str) -> Exception:
    """Return the failed condition where the answer is that what should match is missing."""
    if options.if_match is None or getattr(error, "error_code", None) != "BlobNotFound":
        return error
    reason = "there is no object that could have this ETag"
    return reworded(PreconditionFailedError, reason, error, bucket=bucket, key=key)
