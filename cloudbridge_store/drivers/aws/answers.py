"""Answers in the shape that botocore gives them, without its walk through all that an answer could hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from xml.etree import ElementTree as ET

from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserFactory
from botocore.response import StreamingBody

from cloudbridge_store.drivers.aws.pages import read_entries
from cloudbridge_store.drivers.aws.translate import parse_time
from cloudbridge_store.drivers.aws.wire import Operation

_LISTINGS = frozenset({"ListObjects", "ListObjectsV2"})
_PLAIN = frozenset({HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.PARTIAL_CONTENT})


class Answers:
    """Reads answers.

    :param made_client: returns the client, if it was made: then errors are of its own classes.
    """

    def __init__(self, made_client: Callable[[], Any]) -> None:
        factory = ResponseParserFactory()
        factory.set_parser_defaults(timestamp_parser=parse_time)
        self._parser = factory.create_parser("rest-xml")
        self._made_client = made_client

    def read(self, operation: Operation, answer: Any) -> dict[str, Any]:
        """Return what an operation answers.

        :param answer: botocore's AWSResponse.
        :raises ClientError: it is an error.
        """
        # Raised from here, where no variable holds what a service may have echoed of a secret.
        found = self._read(operation, answer)
        if isinstance(found, ClientError):
            raise found
        return found

    def _read(self, operation: Operation, answer: Any) -> dict[str, Any] | ClientError:
        if answer.status_code not in _PLAIN:
            return self._parse(operation, answer, answer.content)
        if operation.streams_output or (operation.only_headers and not answer.content):
            found, headers = operation.read_headers(answer.headers)
            found["ResponseMetadata"] = _metadata(answer, headers)
            if operation.streams_output:
                found["Body"] = StreamingBody(answer.raw, headers.get("content-length"))
            return found
        if operation.name in _LISTINGS:
            return self._read_page(operation, answer)
        return self._parse(operation, answer, answer.content)

    def _read_page(self, operation: Operation, answer: Any) -> dict[str, Any] | ClientError:
        found = read_entries(answer.content)
        if found is not None:
            page, entries = found
            parsed = self._parse(operation, answer, page)
            if isinstance(parsed, dict) and parsed.get("Contents") == [{}]:
                # The mark stands where botocore looks for entries, and is the only one.
                return {**parsed, "Contents": entries}
        return self._parse(operation, answer, answer.content)

    def _parse(self, operation: Operation, answer: Any, body: bytes) -> dict[str, Any] | ClientError:
        """Have botocore read an answer as a whole."""
        status = answer.status_code
        shape = operation.model.output_shape
        if status == HTTPStatus.OK and shape is not None and not operation.streams_output and _is_error(body):
            # It began well, and failed while the connection was kept open.
            status = HTTPStatus.INTERNAL_SERVER_ERROR.value
        response = {"status_code": status, "headers": answer.headers, "body": body, "context": {}}
        parsed: dict[str, Any] = self._parser.parse(response, shape)
        parsed["ResponseMetadata"]["RetryAttempts"] = 0
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            return self._error(operation, response, parsed)
        return parsed

    def _error(self, operation: Operation, response: Mapping[str, Any], parsed: dict[str, Any]) -> ClientError:
        code = parsed.get("Error", {}).get("Code")
        shape = operation.model.service_model.shape_for_error_code(code) if code is not None else None
        if shape is not None:
            parsed.update(self._parser.parse(response, shape))
        client = self._made_client()
        kind = client.exceptions.from_code(code) if client is not None else ClientError
        error: ClientError = kind(parsed, operation.name)
        return error


def _metadata(answer: Any, headers: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "x-amzn-requestid" in headers:
        found["RequestId"] = headers["x-amzn-requestid"]
    elif "x-amz-request-id" in headers:
        found["RequestId"] = headers["x-amz-request-id"]
        found["HostId"] = headers.get("x-amz-id-2", "")
    return {**found, "HTTPStatusCode": answer.status_code, "HTTPHeaders": headers, "RetryAttempts": 0}


def _is_error(body: bytes) -> bool:
    """Say whether an answer that should be a success is none: an error, or cut off."""
    if not body:
        return False
    try:
        return ET.fromstring(body).tag == "Error"  # noqa: S314 - botocore reads it in the same way
    except ET.ParseError:
        return True
