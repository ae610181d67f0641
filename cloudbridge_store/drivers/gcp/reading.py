"""Objects as they come: their descriptions, and their content as it is stored."""

from __future__ import annotations

from typing import Any

from cloudbridge_store.drivers.base import Download, ObjectInfo, ReadOptions
from cloudbridge_store.drivers.gcp.answers import NOT_GCS
from cloudbridge_store.drivers.gcp.errors import failure_of
from cloudbridge_store.drivers.gcp.service import Service, object_path, query_text
from cloudbridge_store.drivers.gcp.translate import (
    DESCRIBED_FIELDS,
    info_of_headers,
    object_info,
    reading,
    refuse_same,
    unlocking,
    version_of,
)
from cloudbridge_store.drivers.http import sent_range
from cloudbridge_store.drivers.streams import BodyStream
from cloudbridge_store.errors import ForeignAnswerError, IntegrityError, InvalidRangeError


def head_object(service: Service, bucket: str, key: str, options: ReadOptions) -> ObjectInfo:
    """Describe an object."""
    query = {"generation": version_of(options.version), "fields": DESCRIBED_FIELDS}
    return object_info(service.ask("GET", object_path(bucket, key), query, headers=unlocking(options.customer_key)))


def get_object(service: Service, bucket: str, key: str, options: ReadOptions) -> Download:
    """Open an object."""
    if options.stop is not None and options.stop <= options.start:
        raise InvalidRangeError("the range is empty", bucket=bucket, key=key)
    try:
        return _open(service, bucket, key, options, ranged=options.ranged)
    except Exception as error:
        if options.start > 0 or failure_of(error) is not InvalidRangeError:
            raise
    # Only an empty object has nothing from 0 on.
    download = _open(service, bucket, key, options, ranged=False)
    if download.info.size:
        download.stream.close()
        raise InvalidRangeError("the service refused a range that begins at 0", bucket=bucket, key=key)
    return download


def _open(service: Service, bucket: str, key: str, options: ReadOptions, *, ranged: bool) -> Download:
    # Whoever takes gzip is sent what is stored; for others the service would decompress it on the way, ranges too.
    headers = {"Accept-Encoding": "gzip", **unlocking(options.customer_key)}
    if ranged:
        headers["Range"] = f"bytes={options.start}-{'' if options.stop is None else options.stop - 1}"
    target = f"/storage/v1{object_path(bucket, key)}?{query_text({'alt': 'media', **reading(options)})}"
    response = service.open(target, headers)
    try:
        start, length, size = sent_range(response.status, _length(response), response.headers.get("content-range"))
        info = info_of_headers(key, response.headers, size)
        refuse_same(options, info.etag)
    except BaseException:
        response.close()
        raise
    return Download(info, BodyStream(response, length), start, length)


def _length(response: Any) -> int:
    headers = response.headers
    if headers.get("x-goog-stored-content-encoding") == "gzip" and headers.get("content-encoding") != "gzip":
        raise IntegrityError("the object was decompressed on the way; it cannot be read as it is stored")
    text = headers.get("content-length", "")
    if not text.isdecimal():
        raise ForeignAnswerError("the answer does not say how long it is", hint=NOT_GCS)
    return int(text)
