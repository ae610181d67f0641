"""Answers of the service: the documents in them, and the SDK's exceptions made of refusals."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from xml.etree import ElementTree as ET

from cloudbridge_store.drivers.gcp.wire import Answer
from cloudbridge_store.errors import ForeignAnswerError

NOT_GCS = "The answer is not the service's: check gcp_endpoint_url, and that no proxy or login page stands in between"
REQUEST_ID = "x-guploader-uploadid"
_DECLARATION = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
# Keys can hold what XML cannot. No key is read from an answer that does not encode it.
_NOT_IN_XML = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|&#(?:0*(?:[0-8]|1[1-24-9]|2\d|3[01])|x0*(?:[0-8bcef]|1[\da-f]));", re.IGNORECASE
)
_NAMESPACE = re.compile(r"\{[^}]*\}")
_LONGEST_TEXT = 500


def json_of(answer: Answer) -> dict[str, Any]:
    """Return the document of an answer.

    :raises GoogleAPICallError: it is an error in an answer that says 200.
    :raises ForeignAnswerError: there is none.
    """
    try:
        found = json.loads(answer.data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        _refuse_late_error(answer)
        raise ForeignAnswerError("the answer is no JSON object", status=answer.status, hint=NOT_GCS)
    if "error" in found:
        raise refusal(answer)
    return found


def xml_of(answer: Answer, name: str) -> ET.Element:
    """Return the document of an answer, without namespaces.

    :raises GoogleAPICallError: it is an error in an answer that says 200.
    :raises ForeignAnswerError: it is not the one expected.
    """
    root = _parse(answer.data)
    if root is None or root.tag != name:
        _refuse_late_error(answer)
        raise ForeignAnswerError(f"the answer is no {name}", status=answer.status, hint=NOT_GCS)
    return root


def _refuse_late_error(answer: Answer) -> None:
    root = _parse(answer.data)
    if root is not None and root.tag == "Error":
        raise refusal(answer._replace(status=HTTPStatus.INTERNAL_SERVER_ERROR))


def _parse(data: bytes) -> ET.Element | None:
    # Entities can expand to gigabytes; the service sends none.
    if not data.lstrip().startswith(b"<") or _DECLARATION.search(data):
        return None
    try:
        # What takes long can be preceded by blanks, which keep the connection.
        root = ET.fromstring(_NOT_IN_XML.sub(b"?", data.lstrip()))  # noqa: S314 - no declarations, so no entities
    except ET.ParseError:
        return None
    for each in root.iter():
        each.tag = _NAMESPACE.sub("", each.tag)
    return root


def text_of(element: ET.Element, name: str) -> str:
    """Return the text of a child. :raises ForeignAnswerError: there is none."""
    found = element.findtext(name)
    if found is None:
        raise ForeignAnswerError(f"the answer has no {name}", hint=NOT_GCS)
    return found


def required(document: Mapping[str, Any], name: str) -> Any:
    """Return what every answer of this kind has. :raises ForeignAnswerError: this has not."""
    try:
        return document[name]
    except KeyError:
        raise ForeignAnswerError(f"the answer has no {name}", hint=NOT_GCS) from None


def refusal(answer: Answer) -> Exception:
    """Return the SDK's exception for an answer that is an error, with the error's reason in ``errors``."""
    from google.api_core.exceptions import from_http_status  # here, as most programs never see one

    reason, message = reason_of(answer)
    errors = [{"reason": reason, "message": message}] if reason else []
    text = message or f"status {answer.status}"
    error: Exception = from_http_status(answer.status, text, errors=errors, response=answer)
    return error


def reason_of(answer: Answer) -> tuple[str, str]:
    """Return the error's own name and text, empty where the answer has none, from JSON, XML, or text of the service."""
    data = answer.data.strip()
    if data.startswith(b"{"):
        return _json_reason(data)
    if data.startswith(b"<"):
        root = _parse(data)
        if root is not None and root.tag == "Error":
            details = root.findtext("Details") or ""
            message = root.findtext("Message") or ""
            return root.findtext("Code") or "", " ".join(part for part in (message, details) if part)
        return "", ""
    # Where content was asked for, the service answers its text alone.
    if REQUEST_ID in answer.headers:
        return "", data.decode("utf-8", "replace")[:_LONGEST_TEXT]
    return "", ""


def _json_reason(data: bytes) -> tuple[str, str]:
    try:
        error = json.loads(data)["error"]
    except (ValueError, KeyError, TypeError):
        return "", ""
    if isinstance(error, str):
        return error, ""  # as OAuth has it
    if not isinstance(error, dict):
        return "", ""
    message = str(error.get("message", ""))
    for each in error.get("errors") or ():
        if isinstance(each, dict) and each.get("reason"):
            return str(each["reason"]), message or str(each.get("message", ""))
    return str(error.get("status", "")), message
