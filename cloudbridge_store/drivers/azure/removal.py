"""Deletions, one by one and in batches."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from http import HTTPStatus

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from cloudbridge_store.drivers.azure.answers import Answer
from cloudbridge_store.drivers.azure.codes import ADDRESS
from cloudbridge_store.drivers.azure.errors import code_of, item_error, said_by
from cloudbridge_store.drivers.azure.service import Service
from cloudbridge_store.drivers.azure.translate import etag_of, matching
from cloudbridge_store.drivers.azure.versions import selecting
from cloudbridge_store.errors import BucketNotFoundError, ForeignAnswerError, StoreError
from cloudbridge_store.redaction import hide

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})([^\r\n]*)\r?\n(.*)", re.DOTALL)
_NUMBER = re.compile(rb"Content-ID:\s*(\d+)", re.IGNORECASE)
_CODE = re.compile(rb"x-ms-error-code:\s*(\w+)|<Code>(\w+)</Code>", re.IGNORECASE)
_MESSAGE = re.compile(rb"<Message>([^<\r\n]*)")
_BOUNDARY = re.compile('boundary="?([^";]+)')
_IS_CURRENT = "OperationNotAllowedOnRootBlob"
"""What the service says to the deletion of a version that is the object as it is now."""
_DIRECTORIES = frozenset({"OperationNotSupportedOnDirectory", "DirectoryIsNotEmpty"})
"""What the service says of a directory of Data Lake: that it has no snapshots to delete, or is not empty yet."""
_NO_LONGER = frozenset({"ConditionNotMet", "BlobNotFound"})


def delete_object(service: Service, bucket: str, key: str, version: str | None) -> None:
    """Delete an object with its snapshots, or one version of it; a missing one is fine."""
    path, query = service.path(bucket, key), selecting(version)
    headers = {"x-ms-delete-snapshots": "include"} if version is None else {}
    try:
        try:
            service.send("DELETE", path, query, headers)
        except HttpResponseError as error:
            if code_of(error) == _IS_CURRENT:
                _make_former(service, path, query)
            elif code_of(error) not in _DIRECTORIES:
                raise
            service.send("DELETE", path, query)
    except ResourceNotFoundError as error:
        if code_of(error) != "BlobNotFound":
            raise


def _make_former(service: Service, path: str, query: Mapping[str, str]) -> None:
    """Delete an object, which leaves its versions, if it is still the one that the query selects."""
    etag = etag_of(service.send("HEAD", path, query).headers)
    try:
        service.send("DELETE", path, None, matching(etag, None))
    except HttpResponseError as error:
        if code_of(error) not in _NO_LONGER:
            raise


def delete_objects(service: Service, bucket: str, keys: Sequence[str]) -> Mapping[str, Exception]:
    """Delete objects and return the error of each that was refused.

    :raises BucketNotFoundError: the service says so of every object, not of the request.
    """
    boundary = f"batch_{uuid.uuid4()}"
    requests = "".join(_request(service, bucket, key, number, boundary) for number, key in enumerate(keys))
    # Each has a signature of its own.
    body: bytes = hide(f"{requests}--{boundary}--\r\n".encode())
    del requests
    headers = {"Content-Type": f"multipart/mixed; boundary={boundary}"}
    query = {"restype": "container", "comp": "batch"}
    answer = service.send("POST", service.path(bucket), query, headers, body)
    refused: dict[str, StoreError] = {}
    answered = _outcomes(answer, bucket, keys)
    for key in keys:
        if key not in answered:
            raise ForeignAnswerError("the answer to a batch has not all of its requests", hint=ADDRESS)
        if (error := answered[key]) is not None:
            refused[key] = error
    if (
        missing := next((each for each in refused.values() if isinstance(each, BucketNotFoundError)), None)
    ) is not None:
        raise missing
    _delete_directories(service, bucket, refused)
    return refused


def _delete_directories(service: Service, bucket: str, refused: dict[str, StoreError]) -> None:
    """Delete what the service refused for being a directory, the deeper ones first: by now they may be empty."""
    for key in sorted((key for key, error in refused.items() if error.code in _DIRECTORIES), reverse=True):
        try:
            delete_object(service, bucket, key, None)
        except HttpResponseError as error:
            said = said_by(error)
            refused[key] = item_error(said.status or 0, said.code, error.message, bucket, key)
        else:
            del refused[key]


def _request(service: Service, bucket: str, key: str, number: int, boundary: str) -> str:
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-delete-snapshots": "include", "Content-Length": "0"}
    path = service.path(bucket, key)
    target = service.sign("DELETE", path, {}, headers)
    lines = [f"--{boundary}", "Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    lines += [f"Content-ID: {number}", "", f"DELETE {target} HTTP/1.1"]
    lines += [f"{name}: {value!s}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]) + "\r\n"


def _outcomes(answer: Answer, bucket: str, keys: Sequence[str]) -> dict[str, StoreError | None]:
    """Return each key's error, ``None`` where it is gone."""
    boundary = _BOUNDARY.search(answer.headers.get("Content-Type", ""))
    if not boundary:
        raise ForeignAnswerError("the answer to a batch is none", hint=ADDRESS)
    found: dict[str, StoreError | None] = {}
    for part in answer.content.split(b"--" + boundary[1].encode()):
        number, status = _NUMBER.search(part), _STATUS.search(part)
        if number and status and int(number[1]) < len(keys):
            key = keys[int(number[1])]
            found[key] = _error(int(status[1]), status[3], bucket, key)
    return found


def _error(status: int, said: bytes, bucket: str, key: str) -> StoreError | None:
    code, message = _CODE.search(said), _MESSAGE.search(said)
    name = (code[1] or code[2]).decode() if code else ""
    if status < HTTPStatus.MULTIPLE_CHOICES or name == "BlobNotFound":
        return None
    return item_error(status, name, message[1].decode("utf-8", "replace") if message else "", bucket, key)
