"""Deletions, of one object and of many."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from email.parser import BytesParser
from email.policy import HTTP
from http import HTTPStatus

from cloudbridge_store.drivers.gcp.answers import NOT_GCS, refusal
from cloudbridge_store.drivers.gcp.errors import as_store_error, classify, failure_of
from cloudbridge_store.drivers.gcp.service import Service, object_path
from cloudbridge_store.drivers.gcp.translate import version_of
from cloudbridge_store.drivers.gcp.wire import Answer
from cloudbridge_store.errors import BucketNotFoundError, ForeignAnswerError, NotFoundError, StoreError

_BOUNDARY = "cloudbridge-store-batch"
_STATUS = re.compile(rb"HTTP/\S+ (\d{3})[^\r\n]*\r?\n")
_ITEM = re.compile(r"response-(?:.*\D)?(\d+)>?$")


def delete_object(service: Service, bucket: str, key: str, version: str | None) -> None:
    """Delete an object, or one version of it; a missing one is fine, a missing bucket is not."""
    try:
        service.ask("DELETE", object_path(bucket, key), {"generation": version_of(version)})
    except Exception as error:
        if not _is_gone(error):
            raise


def _is_gone(error: Exception) -> bool:
    kind = failure_of(error)
    return issubclass(kind, NotFoundError) and kind is not BucketNotFoundError


def delete_objects(service: Service, bucket: str, keys: Sequence[str]) -> Mapping[str, Exception]:
    """Delete up to 100 objects in one request, of which each is answered by itself.

    :raises GoogleAPICallError: one was answered by what is worth repeating, or what concerns all. Deleting what is gone
        already is fine, so that all of them can be repeated.
    """
    headers = {"Content-Type": f"multipart/mixed; boundary={_BOUNDARY}"}
    body = b"".join(_item(number, bucket, key) for number, key in enumerate(keys)) + f"--{_BOUNDARY}--\r\n".encode()
    answers = _parts(service.send("POST", "/batch/storage/v1", headers, body), len(keys))
    failures: dict[str, Exception] = {}
    for key, answer in zip(keys, answers, strict=True):
        if answer.status < HTTPStatus.MULTIPLE_CHOICES:
            continue
        error = refusal(answer)
        if _is_gone(error):
            continue
        found = classify(error)
        if found is None or found.retry != "no" or found.error is BucketNotFoundError:
            raise error
        failures[key] = _named(error, bucket, key)
    return failures


def _named(error: Exception, bucket: str, key: str) -> StoreError:
    return as_store_error(error, bucket=bucket, key=key)


def _item(number: int, bucket: str, key: str) -> bytes:
    return (
        f"--{_BOUNDARY}\r\nContent-Type: application/http\r\nContent-ID: <item-{number}>\r\n\r\n"
        f"DELETE /storage/v1{object_path(bucket, key)} HTTP/1.1\r\n\r\n\r\n"
    ).encode()


def _parts(answer: Answer, count: int) -> list[Answer]:
    """Return the answers in the order of the requests. :raises ForeignAnswerError: they are not all there."""
    head = f"Content-Type: {answer.headers.get('content-type', '')}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + answer.data)
    found: dict[int, Answer] = {}
    for part in message.iter_parts() if message.is_multipart() else ():
        number = _ITEM.search(part.get("Content-ID", ""))
        payload = part.get_payload(decode=True)
        status = _STATUS.match(payload) if isinstance(payload, bytes) else None
        if number and status and isinstance(payload, bytes):
            inner = BytesParser(policy=HTTP).parsebytes(payload[status.end() :])
            content = inner.get_payload(decode=True)
            headers = {name.lower(): str(value) for name, value in inner.items()}
            found[int(number[1])] = Answer(int(status[1]), headers, content if isinstance(content, bytes) else b"")
    if sorted(found) != list(range(count)):
        raise ForeignAnswerError(f"{len(found)} of {count} answers came to a batch", hint=NOT_GCS)
    return [found[number] for number in range(count)]
