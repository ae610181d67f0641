"""Uploads by HTML forms with a signed policy.

https://cloud.google.com/storage/docs/authentication/signatures#policy-document,
https://cloud.google.com/storage/docs/xml-api/post-object-forms
"""

from __future__ import annotations

import base64
import binascii
import json
import re

from servers.gcs import acls, signing
from servers.gcs.content import Writer
from servers.gcs.creating import Plan
from servers.gcs.identity import Caller
from servers.gcs.inserts import Parts
from servers.gcs.media import stored
from servers.gcs.model import now, parse_time
from servers.gcs.refusals import invalid
from servers.gcs.wire import Answer

LONGEST_FIELD = 64 * 1024
_FIELDS = {
    "cache-control": "cacheControl",
    "content-disposition": "contentDisposition",
    "content-encoding": "contentEncoding",
    "content-type": "contentType",
}
_UNSIGNED = {"x-goog-signature", "file", "policy"}
_META = "x-goog-meta-"


def post(call):
    """Store the file of a form."""
    boundary = re.search(r'boundary=("?)([^";]+)\1', call.headers["content-type"])
    if boundary is None:
        raise _malformed("no boundary")
    parts = Parts(call.asked.body.pieces(), boundary[2].encode("latin-1"))
    fields, pieces, filename = _read_fields(parts)
    caller, limits = _check(call, fields)
    with call.state.lock:
        planned = _plan(call, fields, caller, filename)
        planned.check()
    content = Writer(call.state.directory).take(_limited(parts.last(pieces), limits[1]))
    if content.size < limits[0]:
        raise _too("small", "smaller than the minimum")
    return _answer(call, fields, planned.commit(call.state, content))


def _read_fields(parts):
    """Return the fields before the file, by name in lower case, and the file, which must come last."""
    fields = {}
    while True:
        headers, pieces = parts.next()
        said = headers.get("content-disposition", "")
        name = re.search(r'\bname="([^"]*)"', said)
        if name is None:
            raise _malformed("a part has no name")
        if name[1].lower() == "file":
            filename = re.search(r'\bfilename="([^"]*)"', said)
            return fields, pieces, filename[1] if filename else ""
        text = b""
        for piece in pieces:
            text += piece
            if len(text) > LONGEST_FIELD:
                raise _malformed("a field is too long")
        fields[name[1].lower()] = text.decode("utf-8", "replace")


def _check(call, fields):
    """Check the policy's signature and conditions. Return who signed, and the fewest and the most bytes."""
    if "policy" not in fields:
        if "x-goog-signature" in fields:
            raise _malformed("no policy")
        return Caller(), (0, float("inf"))
    for name in ("key", "x-goog-algorithm", "x-goog-credential", "x-goog-date", "x-goog-signature"):
        if not fields.get(name):
            raise _malformed(f"no field {name}")
    if fields["x-goog-algorithm"] != signing.ALGORITHM:
        raise _malformed("x-goog-algorithm")
    account, _ = signing.read_credential(call.state, fields["x-goog-credential"], fields["x-goog-date"])
    signing.read_date(fields["x-goog-date"])
    signing.check_signature(account, fields["policy"].encode(), fields["x-goog-signature"])
    try:
        policy = json.loads(base64.b64decode(fields["policy"], validate=True))
        over, conditions = parse_time(policy["expiration"]), policy["conditions"]
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise _malformed("the policy") from None
    if now() >= over:
        raise _against("Policy expired.")
    return Caller(account), _check_conditions(conditions, {**fields, "bucket": call.bucket_name})


def _check_conditions(conditions, fields):
    limits, covered = (0, float("inf")), {"bucket"}
    for condition in conditions:
        if isinstance(condition, dict):
            (name, value), kind = next(iter(condition.items())), "eq"
        elif condition[0] == "content-length-range":
            limits = (int(condition[1]), int(condition[2]))
            continue
        else:
            kind, name, value = condition
        name = name.removeprefix("$").lower()
        covered.add(name)
        found = fields.get(name, "")
        if not (found == str(value) if kind == "eq" else kind == "starts-with" and found.startswith(value)):
            raise _against(f"Policy did not allow the value of {name}.")
    for name in fields:
        if name not in covered | _UNSIGNED and not name.startswith("x-ignore-"):
            raise _against(f"Policy did not reference these fields: {name}")
    return limits


def _plan(call, fields, caller, filename):
    described = {field: fields[name] for name, field in _FIELDS.items() if name in fields}
    described.setdefault("contentType", "application/octet-stream")
    metadata = {name.removeprefix(_META): value for name, value in fields.items() if name.startswith(_META)}
    if metadata:
        described["metadata"] = metadata
    if fields.get("acl", "private") not in acls.XML_NAMES:
        raise invalid(f"Invalid ACL: {fields['acl']}")
    return Plan(
        bucket=call.bucket,
        name=fields.get("key", "").replace("${filename}", filename),
        fields=described,
        caller=caller,
        given=lambda _: None,
        storage_class=fields.get("x-goog-storage-class"),
        predefined_acl=acls.XML_NAMES.get(fields.get("acl")),
    )


def _limited(pieces, most):
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            raise _too("large", "larger than the maximum")
        yield piece


def _answer(call, fields, version):
    if target := fields.get("success_action_redirect"):
        return Answer(303, {"Location": target})
    status = int(fields.get("success_action_status", "204"))
    if status not in (200, 201, 204):
        status = 204
    body = b""
    if status == 201:
        told = f"<Bucket>{call.bucket_name}</Bucket><Key>{version.name}</Key><ETag>{version.etag}</ETag>"
        body = f"<?xml version='1.0' encoding='UTF-8'?><PostResponse>{told}</PostResponse>".encode()
    return stored(version, status, body)


def _malformed(what):
    message = "The body of your POST request is not well-formed multipart/form-data."
    return invalid(f"The form is wrong: {what}", xml=("MalformedPOSTRequest", message))


def _against(details):
    xml = (
        "InvalidPolicyDocument",
        "The content of the form does not meet the conditions specified in the policy document.",
    )
    return invalid(details, xml=xml)


def _too(size, details):
    message = f"Your proposed upload is {details} object size specified in your Policy Document."
    xml = (f"EntityToo{size.capitalize()}", message)
    return invalid(f"Content-Length is {details} of the policy.", xml=xml)
