"""The part of the XML API that signed URLs and uploads in parts use: https://cloud.google.com/storage/docs/xml-api

Objects are read, written and deleted, and uploads are made in parts. Buckets and lists are the JSON API's here.
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

from servers.gcs import access, acls, forms, resumable, signing, xml_uploads
from servers.gcs.call import read_query
from servers.gcs.content import Writer
from servers.gcs.creating import Plan, read_customer_key, read_hashes
from servers.gcs.media import download, metadata_headers, stored, xml_etag
from servers.gcs.model import check_conditions, parse_time
from servers.gcs.refusals import Refusal, condition_failed, invalid, no_bucket, not_implemented, not_modified
from servers.gcs.wire import Answer

_FIELDS = {
    "cache-control": "cacheControl",
    "content-disposition": "contentDisposition",
    "content-encoding": "contentEncoding",
    "content-language": "contentLanguage",
    "content-type": "contentType",
    "x-goog-custom-time": "customTime",
}
_HEADERS = {
    "x-goog-acl", "x-goog-api-client", "x-goog-content-length-range", "x-goog-content-sha256", "x-goog-custom-time", "x-goog-date",
    "x-goog-encryption-algorithm", "x-goog-encryption-key", "x-goog-encryption-key-sha256",
    "x-goog-encryption-kms-key-name", "x-goog-hash", "x-goog-if-generation-match", "x-goog-if-metageneration-match",
    "x-goog-resumable", "x-goog-storage-class", "x-goog-user-project",
}  # fmt: skip
_CONDITIONS = {"ifGenerationMatch": "generation", "ifMetagenerationMatch": "metageneration"}
_READING = {"generation", "response-content-type", "response-content-disposition", "userproject"}
_SIGNED = {
    f"x-goog-{name.lower()}" for name in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
}


class XmlCall:
    """A request of the XML API as what answers it sees it."""

    def __init__(self, state, asked, bucket_name, name):
        self.state = state
        self.asked = asked
        self.headers = asked.headers
        self.name = name
        self.bucket_name = bucket_name
        self.params = {key.lower(): value for key, value in read_query(asked.query).items()}
        if signing.is_signed(asked.query):
            self.caller = signing.check(state, asked)
        else:
            self.caller = state.identity.find(asked.headers.get("authorization"))
        for header in asked.headers:
            if header.startswith("x-goog-") and not header.startswith("x-goog-meta-") and header not in _HEADERS:
                raise not_implemented(f"the header {header}")

    @property
    def url(self):
        return f"http://{self.headers.get('host', '')}"

    @property
    def bucket(self):
        if self.bucket_name not in self.state.buckets:
            raise no_bucket()
        return self.state.buckets[self.bucket_name]

    def know(self, names):
        """Refuse query parameters other than these."""
        for name in self.params:
            if name not in names and name not in _SIGNED:
                raise invalid(f"Unknown query parameter: {name}", xml=("InvalidQueryParameterValue", "Invalid query."))

    def condition(self, name):
        """Return the number of a condition, or ``None``: preconditions are headers here, those of a match alone."""
        header = f"x-goog-if-{_CONDITIONS[name]}-match" if name in _CONDITIONS else ""
        text = self.headers.get(header)
        if text is not None and not re.fullmatch(r"\d+", text):
            raise invalid(f"Invalid value of {header}: {text}")
        return None if text is None else int(text)

    def plan(self, conditions=None):
        """Return the object that the headers describe."""
        fields = {field: self.headers[name] for name, field in _FIELDS.items() if name in self.headers}
        fields.setdefault("contentType", "application/octet-stream")
        prefix = "x-goog-meta-"
        metadata = {
            name.removeprefix(prefix): value.encode("latin-1").decode("utf-8", "replace")
            for name, value in self.headers.items()
            if name.startswith(prefix)
        }
        if metadata:
            fields["metadata"] = metadata
        acl = self.headers.get("x-goog-acl")
        if acl is not None and acl not in acls.XML_NAMES:
            raise invalid(f"Invalid ACL: {acl}")
        return Plan(
            bucket=self.bucket,
            name=self.name,
            fields=fields,
            caller=self.caller,
            given=conditions or self.condition,
            storage_class=self.headers.get("x-goog-storage-class"),
            predefined_acl=acls.XML_NAMES.get(acl),
            kms_key=self.headers.get("x-goog-encryption-kms-key-name"),
            customer_key=read_customer_key(self.headers),
            digests=read_hashes(self.headers),
        )


def answer(state, asked, bucket_name, name):
    """Answer a request for a bucket, or for an object of it."""
    call = XmlCall(state, asked, bucket_name, name)
    if not name:
        if asked.method == "POST" and "multipart/form-data" in asked.headers.get("content-type", ""):
            return forms.post(call)
        if asked.method == "GET" and "uploads" in call.params:
            return xml_uploads.list_uploads(call)
        raise not_implemented(f"{asked.method} of a bucket by the XML API")
    if "uploads" in call.params or "uploadid" in call.params:
        return xml_uploads.answer(call)
    if "upload_id" in call.params:
        return _go_on(call)
    ways = {"GET": get, "HEAD": get, "PUT": put, "DELETE": delete, "POST": _begin}
    if asked.method not in ways:
        raise Refusal(405, "methodNotAllowed", "Method Not Allowed")
    return ways[asked.method](call)


def find(call, permission):
    """Return the bucket and the version that a call means."""
    text = call.params.get("generation")
    if text is not None and not text.isdigit():
        raise invalid(f"Invalid generation: {text}")
    bucket = call.bucket
    try:
        version = bucket.find(call.name, None if text is None else int(text))
    except Refusal:
        access.allow(call.caller, permission, bucket)
        access.allow(call.caller, "storage.objects.list", bucket)
        raise
    access.allow(call.caller, permission, bucket, version)
    return bucket, version


def get(call):
    call.know(_READING)
    with call.state.lock:
        bucket, version = find(call, "storage.objects.get")
        check_conditions(call.condition, version, live=bucket.live(version.name))
        _check_headers(call, version)
        extra = metadata_headers(version)
        for field in ("Content-Type", "Content-Disposition"):
            if f"response-{field.lower()}" in call.params:
                extra[field] = call.params[f"response-{field.lower()}"].replace("\r", " ").replace("\n", " ")
        return download(version, call.headers, xml_etag(version), extra)


def _check_headers(call, version):
    """Check the conditions of HTTP itself."""
    given = {name: call.headers.get(name) for name in ("if-match", "if-none-match")}
    tags = {name: [each.strip() for each in value.split(",")] for name, value in given.items() if value is not None}
    known = (xml_etag(version), xml_etag(version).strip('"'), "*")
    if "if-match" in tags and not set(tags["if-match"]) & set(known):
        raise condition_failed()
    if "if-none-match" in tags and set(tags["if-none-match"]) & set(known):
        raise not_modified()
    changed = version.updated.replace(microsecond=0)
    try:
        if (text := call.headers.get("if-unmodified-since")) and changed > parsedate_to_datetime(text):
            raise condition_failed()
        if (text := call.headers.get("if-modified-since")) and changed <= parsedate_to_datetime(text):
            raise not_modified()
    except ValueError:
        pass  # a date that is none is no condition


def put(call):
    """Store an object. Without the lock, but for the beginning and the end."""
    call.know(set())
    if call.asked.body.length is None and not call.asked.body.is_chunked:
        raise Refusal(411, "required", "Length Required")
    with call.state.lock:
        planned = call.plan()
        if custom := planned.fields.get("customTime"):
            parse_time(custom)
        planned.check()
    content = Writer(call.state.directory).take(call.asked.body.pieces())
    _check_length(call, content.size)
    return stored(planned.commit(call.state, content))


def _check_length(call, size):
    """Refuse a content that is not as long as the header says that may be signed."""
    text = call.headers.get("x-goog-content-length-range")
    if text is None:
        return
    found = re.fullmatch(r"(\d+),\s*(\d+)", text)
    if not found:
        raise invalid(f"Invalid x-goog-content-length-range: {text}")
    for is_wrong, name in ((size < int(found[1]), "Small"), (size > int(found[2]), "Large")):
        if is_wrong:
            message = f"Your proposed upload is too {name.lower()} for the range that was given."
            raise invalid(message, xml=(f"EntityToo{name}", message))


def delete(call):
    call.know({"generation", "userproject"})
    with call.state.lock:
        bucket, version = find(call, "storage.objects.delete")
        check_conditions(call.condition, version, live=bucket.live(version.name))
        version.check_unlocked(is_kept=bucket.is_versioned and "generation" not in call.params)
        if "generation" in call.params:
            bucket.remove(version)
        else:
            bucket.retire(version)
    return Answer(204)


def _begin(call):
    if call.headers.get("x-goog-resumable") != "start":
        raise not_implemented("POST of an object, but for the beginning of a resumable upload")
    call.know(set())
    with call.state.lock:
        planned = call.plan()
        planned.check()
    begun = resumable.begin(call, planned, call.asked.path)
    begun.status = 201
    return begun


def _go_on(call):
    session = call.params["upload_id"]
    if call.asked.method == "DELETE":
        return resumable.cancel(call.state, session)
    if call.asked.method != "PUT":
        raise Refusal(405, "methodNotAllowed", "Method Not Allowed")
    return resumable.put(call.state, call.asked, session, call.url)
