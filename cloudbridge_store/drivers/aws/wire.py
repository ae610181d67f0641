"""What an operation looks like on the wire, compiled from botocore's own model of the service.

Only what needs no generic machinery: parameters that are text, numbers or headers by the dozen, and a body that goes
as it is. :meth:`Operation.serialize` answers ``None`` for all else, and the client takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPMethod
from typing import Any, NamedTuple

from botocore.utils import SAFE_CHARS, percent_encode, percent_encode_sequence

from cloudbridge_store.drivers.aws.translate import parse_time

OPERATIONS: Mapping[str, str] = {
    "abort_multipart_upload": "AbortMultipartUpload",
    "complete_multipart_upload": "CompleteMultipartUpload",
    "copy_object": "CopyObject",
    "create_multipart_upload": "CreateMultipartUpload",
    "delete_object": "DeleteObject",
    "get_object": "GetObject",
    "get_object_tagging": "GetObjectTagging",
    "head_bucket": "HeadBucket",
    "head_object": "HeadObject",
    "list_multipart_uploads": "ListMultipartUploads",
    "list_objects": "ListObjects",
    "list_objects_v2": "ListObjectsV2",
    "list_parts": "ListParts",
    "put_object": "PutObject",
    "upload_part": "UploadPart",
    "upload_part_copy": "UploadPartCopy",
}
_BUCKET, _KEY = "/{Bucket}", "/{Key+}"
# botocore makes digests of these keys.
_REWRITTEN = frozenset({"SSECustomerKey", "CopySourceSSECustomerKey"})
_KINDS: Mapping[str, type] = {"string": str, "integer": int, "long": int, "boolean": bool}


class Member(NamedTuple):
    """One parameter: where it goes, under which name, and the type that it must have."""

    location: str
    name: str
    kind: type


class Header(NamedTuple):
    """One header of an answer: the member it becomes, and by what."""

    member: str
    read: Callable[[str], Any]


class Request(NamedTuple):
    """Parameters as they travel, without address and signature."""

    path: str
    query: str
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the service."""

    name: str
    method: HTTPMethod
    has_key: bool
    query: str
    members: Mapping[str, Member]
    required: frozenset[str]
    payload: str | None
    """The parameter that is the request's body."""
    streams_input: bool
    streams_output: bool
    headers: Mapping[str, Header]
    """By their names in lower case."""
    metadata: tuple[str, str] | None
    """The member that holds all headers that begin with a prefix, and that prefix."""
    only_headers: bool
    """The answer's body says nothing."""
    model: Any = field(repr=False)

    def serialize(self, parameters: Mapping[str, Any]) -> Request | None:
        """Return the request; ``None`` where that is the client's affair."""
        if not self.required <= parameters.keys():
            return None
        headers: dict[str, str] = {}
        query: dict[str, Any] = {}
        for name, value in parameters.items():
            if name in ("Bucket", "Key") or name == self.payload:
                continue
            member = self.members.get(name)
            if member is None or not _put(member, value, query, headers):
                return None
        path = ""
        if self.has_key:
            path = f"/{percent_encode(parameters['Key'], safe='/~')}"
        asked = "&".join(part for part in (self.query, percent_encode_sequence(query)) if part)
        return Request(path, asked, headers, parameters.get(self.payload or ""))

    def read_headers(self, headers: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the members that an answer's headers hold, and all headers by their names in lower case."""
        answer: dict[str, Any] = {}
        lowered: dict[str, str] = {}
        known = self.headers
        member, prefix = self.metadata or ("", "\n")
        metadata: dict[str, str] = {}
        answer[member] = metadata
        for given, value in headers.items():
            name = given.lower()
            lowered[name] = value
            if name in known:
                answer[known[name].member] = known[name].read(value)
            elif name.startswith(prefix):
                metadata[given[len(prefix) :]] = value
        answer.pop("", None)
        return answer, lowered


def _put(member: Member, value: Any, query: dict[str, Any], headers: dict[str, str]) -> bool:
    """Put a parameter where it belongs; ``False`` for a value that only the client knows what to do with."""
    if member.kind is dict:
        return _put_headers(member.name, value, headers)
    if member.name == "x-amz-copy-source":
        value = _copy_source(value)
    if type(value) is not member.kind or value == "":
        return False
    text = str(value).lower() if member.kind is bool else str(value)
    if member.location == "header":
        headers[member.name] = text
    else:
        query[member.name] = text
    return True


def _put_headers(prefix: str, value: Any, headers: dict[str, str]) -> bool:
    if type(value) is not dict:
        return False
    for name, text in value.items():
        if type(name) is not str or type(text) is not str or not (name.isascii() and text.isascii()):
            return False
        headers[f"{prefix}{name}"] = text
    return True


def _copy_source(value: Any) -> Any:
    if type(value) is not dict or not {"Bucket", "Key"} <= value.keys() or ":" in value["Bucket"]:
        return None
    source = percent_encode(f"{value['Bucket']}/{value['Key']}", safe=f"{SAFE_CHARS}/")
    version = value.get("VersionId")
    return source if version is None else f"{source}?versionId={version}"


def compile_operation(service: Any, name: str) -> Operation:
    """Compile one operation.

    :param service: botocore's ServiceModel.
    """
    model = service.operation_model(OPERATIONS[name])
    path, _, query = model.http["requestUri"].removeprefix(_BUCKET).partition("?")
    shape, answer = model.input_shape, model.output_shape
    outputs = answer.members if answer is not None else {}
    payload = shape.serialization.get("payload")
    metadata = [(member, each.serialization["name"]) for member, each in outputs.items() if _place(each) == "headers"]
    return Operation(
        model.name,
        HTTPMethod(model.http["method"]),
        path == _KEY,
        query,
        _members(shape, model.has_streaming_input),
        frozenset(shape.required_members),
        payload,
        model.has_streaming_input,
        model.has_streaming_output,
        _headers(outputs),
        (metadata[0][0], metadata[0][1].lower()) if metadata else None,
        all(_place(each) in ("header", "headers", "statusCode") for each in outputs.values()),
        model,
    )


def _place(shape: Any) -> str | None:
    place: str | None = shape.serialization.get("location")
    return place


def _members(shape: Any, streams: bool) -> dict[str, Member]:
    members = {}
    for name, each in shape.members.items():
        place, wire = _place(each), each.serialization.get("name", name)
        if place == "headers":
            members[name] = Member(place, wire, dict)
        elif place in ("header", "querystring") and each.type_name in _KINDS and name not in _REWRITTEN:
            members[name] = Member(place, wire, _KINDS[each.type_name])
    if streams:
        # botocore computes this one's checksum itself, in a trailer.
        members.pop("ChecksumAlgorithm", None)
    return members


def _headers(outputs: Mapping[str, Any]) -> dict[str, Header]:
    read: dict[str, Callable[[str], Any]] = {
        "string": str,
        "integer": int,
        "long": int,
        "boolean": lambda text: text == "true",
        "timestamp": parse_time,
    }
    return {
        each.serialization.get("name", name).lower(): Header(name, read[each.type_name])
        for name, each in outputs.items()
        if _place(each) == "header" and name != "Expires"
    }
