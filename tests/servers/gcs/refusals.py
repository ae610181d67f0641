"""What the service says when it does not do what it was asked for, in the shapes of its interfaces.

The JSON bodies: https://cloud.google.com/storage/docs/json_api/v1/status-codes; the XML ones:
https://cloud.google.com/storage/docs/xml-api/reference-status. Downloads of media say it in plain text, without a
document around it.
"""

from __future__ import annotations

import json
from xml.sax.saxutils import escape

from servers.gcs.wire import Answer

UNIFORM = "https://cloud.google.com/storage/docs/uniform-bucket-level-access"


class Refusal(Exception):
    """A refusal: what goes into JSON (a reason, a message, a place), and what into XML (a code, a message)."""

    def __init__(self, status, reason, message, *, place=None, xml=None, headers=None):
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.place = place
        self.xml = xml or _XML.get(reason) or _XML_BY_STATUS.get(status, ("InternalError", "We encountered an error."))
        self.headers = headers or {}

    def as_json(self):
        detail = {"message": self.message, "domain": "global", "reason": self.reason}
        if self.place:
            detail["locationType"], detail["location"] = self.place
        error = {"code": self.status, "message": self.message, "errors": [detail]}
        body = json.dumps({"error": error}, indent=2, ensure_ascii=False).encode()
        return Answer(self.status, {"Content-Type": "application/json; charset=UTF-8", **self.headers}, body)

    def as_text(self):
        return Answer(self.status, {"Content-Type": "text/html; charset=UTF-8", **self.headers}, self.message.encode())

    def as_xml(self):
        code, message = self.xml
        details = f"<Details>{escape(self.message)}</Details>" if self.message != message else ""
        body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{escape(message)}</Message>"
        headers = {"Content-Type": "application/xml; charset=UTF-8", **self.headers}
        # Who does not say who they are is denied access here, and asked for credentials by the JSON API.
        status = 403 if code == "AccessDenied" else self.status
        return Answer(status, headers, f"{body}{details}</Error>".encode())


_XML = {
    "notFound": ("NoSuchKey", "The specified key does not exist."),
    "conditionNotMet": ("PreconditionFailed", "At least one of the pre-conditions you specified did not hold."),
    "required": ("AuthenticationRequired", "Authentication required."),
    "requestedRangeNotSatisfiable": ("InvalidRange", "The requested range cannot be satisfied."),
    "resourceIsEncryptedWithCustomerEncryptionKey": (
        "ResourceIsEncryptedWithCustomerEncryptionKey",
        "The resource is encrypted with a customer encryption key.",
    ),
    "retentionPolicyNotMet": ("RetentionPolicyNotMet", "The object is subject to a retention policy."),
    "objectUnderActiveHold": ("ObjectUnderActiveHold", "Object is under active hold."),
}
_XML_BY_STATUS = {
    400: ("InvalidArgument", "Invalid argument."),
    401: ("AuthenticationRequired", "Authentication required."),
    403: ("AccessDenied", "Access denied."),
    404: ("NoSuchKey", "The specified key does not exist."),
    405: ("MethodNotAllowed", "The specified method is not allowed against this resource."),
    409: ("Conflict", "Conflict."),
    411: ("MissingContentLength", "You must provide the Content-Length HTTP header."),
    412: ("PreconditionFailed", "At least one of the pre-conditions you specified did not hold."),
    501: ("NotImplemented", "A header or query you provided requested a function that is not implemented."),
}


def invalid(message, place=None, reason="invalid", xml=None):
    return Refusal(400, reason, message, place=place, xml=xml)


def missing_parameter(name):
    return Refusal(400, "required", f"Required parameter: {name}", place=("parameter", name), xml=_XML_BY_STATUS[400])


def no_bucket():
    xml = ("NoSuchBucket", "The specified bucket does not exist.")
    return Refusal(404, "notFound", "The specified bucket does not exist.", xml=xml)


def no_object(bucket, name):
    return Refusal(404, "notFound", f"No such object: {bucket}/{name}")


def no_route():
    return Refusal(404, "notFound", "Not Found")


def condition_failed():
    message = "At least one of the pre-conditions you specified did not hold."
    return Refusal(412, "conditionNotMet", message, place=("header", "If-Match"))


def not_modified():
    return Refusal(304, "notModified", "Not Modified")


def no_such_range(size):
    message = "The requested range cannot be satisfied."
    headers = {"Content-Range": f"bytes */{size}"}
    return Refusal(416, "requestedRangeNotSatisfiable", message, place=("header", "Range"), headers=headers)


def not_implemented(what):
    return Refusal(501, "notImplemented", f"The fake of Google Cloud Storage does not do this: {what}")


def bad_credentials():
    headers = {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/", error="invalid_token"'}
    place = ("header", "Authorization")
    xml = ("AuthenticationRequired", "Authentication required.")
    return Refusal(401, "authError", "Invalid Credentials", place=place, headers=headers, xml=xml)


def denied(caller, permission, kind):
    """Return the refusal of a caller, who is ``None`` if anonymous, to do something with a bucket or an object."""
    where = "Google Cloud project" if kind == "project" else f"Google Cloud Storage {kind}"
    message = f"{caller or 'Anonymous caller'} does not have {permission} access to the {where}."
    message += f" Permission '{permission}' denied on resource (or it may not exist)."
    if caller:
        return Refusal(403, "forbidden", message)
    headers = {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'}
    place = ("header", "Authorization")
    return Refusal(401, "required", message, place=place, headers=headers, xml=_XML_BY_STATUS[403])


def no_md5(given, found):
    message = f'Provided MD5 hash "{given}" doesn\'t match calculated MD5 hash "{found}".'
    xml = ("BadDigest", "The Content-MD5 you specified did not match what we received.")
    return Refusal(400, "invalid", message, xml=xml)


def no_crc32c(given, found):
    message = f'Provided CRC32C "{given}" doesn\'t match calculated CRC32C "{found}".'
    xml = ("BadDigest", "The Content-MD5 you specified did not match what we received.")
    return Refusal(400, "invalid", message, xml=xml)


def uniform(act):
    """Return the refusal of ACLs where access is uniform. ``act`` is such as ``get legacy ACL for a bucket``."""
    return invalid(f"Cannot {act} when uniform bucket-level access is enabled. Read more at {UNIFORM}")
