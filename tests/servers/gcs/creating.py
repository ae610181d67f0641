"""How an object comes to be, whichever way its bytes arrive.

* Names: https://cloud.google.com/storage/docs/objects#naming; metadata: https://cloud.google.com/storage/docs/metadata
* Digests: https://cloud.google.com/storage/docs/hashes-etags
* Customers' own keys: https://cloud.google.com/storage/docs/encryption/customer-supplied-keys
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from servers.gcs import acls
from servers.gcs.access import allow, is_allowed
from servers.gcs.bucket_rules import check_class
from servers.gcs.model import Version, check_conditions, parse_time
from servers.gcs.refusals import invalid, no_crc32c, no_md5

WRITABLE = (
    "cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "contentType", "contexts",
    "customTime", "eventBasedHold", "metadata", "retention", "temporaryHold",
)  # fmt: skip
LONGEST_METADATA = 8192
_KEY = "x-goog-encryption-"
COPIED_KEY = "x-goog-copy-source-encryption-"


@dataclass
class Plan:
    """An object that is to come to be."""

    bucket: object
    name: str
    fields: dict
    """What the caller says of it, as in the resource."""
    caller: object
    given: Callable
    """Returns the number of a condition by its name, or ``None``."""
    storage_class: str | None = None
    predefined_acl: str | None = None
    acl: list | None = None
    kms_key: str | None = None
    customer_key: str | None = None
    digests: dict = field(default_factory=dict)
    """``md5Hash`` and ``crc32c`` as the caller expects them, in Base64."""
    component_count: int | None = None

    def check(self, *, is_final=False, overwrites=True):
        """Refuse what can be refused before the bytes are there; all of it, or what is new at the end."""
        check_name(self.name)
        allow(self.caller, "storage.objects.create", self.bucket)
        live = self.bucket.live(self.name)
        check_conditions(self.given, live)
        if live is not None and overwrites:
            if not is_allowed(self.caller, "storage.objects.delete", self.bucket):
                allow(self.caller, "storage.objects.delete", self.bucket, live)
            live.check_unlocked(is_kept=self.bucket.is_versioned)
        if self.storage_class is not None:
            check_class(self.storage_class)
        if not is_final:
            check_fields(self.bucket, self.fields)
            acls.for_object(self.bucket, self.caller, self.predefined_acl, self.acl)

    def commit(self, state, content):
        """Make the object out of its content. :raises Refusal: the content is another, or a condition does not hold."""
        check_digests(self.digests, content)
        with state.lock:
            if state.buckets.get(self.bucket.name) is not self.bucket:
                state.bucket(self.bucket.name)
            self.check(is_final=True)
            fields = dict(self.fields)
            if self.bucket.fields.get("defaultEventBasedHold"):
                fields.setdefault("eventBasedHold", True)
            encryption = self.bucket.fields.get("encryption") or {}
            kms = self.kms_key or (None if self.customer_key else encryption.get("defaultKmsKeyName"))
            version = Version(
                self.bucket,
                self.name,
                state.next_generation(),
                content,
                fields,
                self.storage_class or self.bucket.fields["storageClass"],
                component_count=self.component_count,
                kms_key=kms and f"{kms}/cryptoKeyVersions/1",
                customer_key=self.customer_key,
                acl=acls.for_object(self.bucket, self.caller, self.predefined_acl, self.acl),
                owner=self.caller.email or "",
            )
            version.updated = version.class_updated = version.created
            self.bucket.add(version)
        return version


def check_digests(digests, content):
    """Refuse a content that does not have the digests that it should have."""
    if (wanted := digests.get("md5Hash")) and wanted != content.md5:
        raise no_md5(wanted, content.md5)
    if (wanted := digests.get("crc32c")) and wanted != content.crc32c:
        raise no_crc32c(wanted, content.crc32c)


def read_hashes(headers):
    """Return the digests that ``x-goog-hash`` and ``Content-MD5`` give, as in a resource."""
    found = {}
    for part in headers.get("x-goog-hash", "").split(","):
        name, _, value = part.strip().partition("=")
        if name:
            if name not in ("md5", "crc32c"):
                raise invalid(f"Invalid x-goog-hash: {name}")
            found["md5Hash" if name == "md5" else name] = value
    if "content-md5" in headers:
        found["md5Hash"] = headers["content-md5"]
    return found


def check_name(name):
    if not name:
        raise invalid("Required", ("parameter", "name"), "required")
    is_right = (
        len(name.encode()) <= 1024
        and not re.search("[\r\n]", name)
        and name not in (".", "..")
        and not name.startswith(".well-known/acme-challenge/")
    )
    if not is_right:
        xml = ("InvalidObjectName", "The specified object name is not valid.")
        raise invalid(f"Invalid object name: '{name}'"[:300], reason="invalid", xml=xml)


def check_fields(bucket, fields):
    """Refuse what may not be said of an object."""
    metadata = fields.get("metadata") or {}
    size = sum(len(f"{name}{value}".encode()) for name, value in metadata.items())
    if size > LONGEST_METADATA:
        xml = ("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size.")
        message = f"The metadata of an object is {size} bytes, more than the allowed {LONGEST_METADATA}."
        raise invalid(message, xml=xml)
    if retention := fields.get("retention"):
        if not bucket.fields.get("objectRetention"):
            raise invalid("Object retention is not enabled on this bucket.")
        if retention.get("mode") not in ("Locked", "Unlocked") or "retainUntilTime" not in retention:
            raise invalid("Invalid object retention.")
    if custom := fields.get("customTime"):
        parse_time(custom)


def read_customer_key(headers, prefix=_KEY):
    """Return the SHA-256 of the key that headers give, in Base64, or ``None``. :raises Refusal: it is no key."""
    algorithm, key, digest = (headers.get(f"{prefix}{name}") for name in ("algorithm", "key", "key-sha256"))
    if algorithm is None and key is None and digest is None:
        return None
    if algorithm != "AES256":
        message = "The encryption algorithm is not valid. It must be AES256."
        raise _bad_key("customerEncryptionAlgorithmIsInvalid", message)
    try:
        raw = base64.b64decode(key or "", validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != 32:
        message = "The encryption key is not valid. It must be a Base64-encoded AES-256 key."
        raise _bad_key("customerEncryptionKeyFormatIsInvalid", message)
    found = base64.b64encode(hashlib.sha256(raw).digest()).decode()
    if digest != found:
        message = "The SHA256 hash of the encryption key does not match the key."
        raise _bad_key("customerEncryptionKeySha256IsInvalid", message)
    return found


def check_customer_key(headers, version, prefix=_KEY):
    """Refuse to read an object without the key that it was encrypted with, or with one if it was not."""
    given = read_customer_key(headers, prefix)
    if given == version.customer_key:
        return
    if given is None:
        message = "The target object is encrypted by a customer-supplied encryption key."
        raise _bad_key("resourceIsEncryptedWithCustomerEncryptionKey", message)
    if version.customer_key is None:
        message = "The target object is not encrypted by a customer-supplied encryption key."
        raise _bad_key("resourceNotEncryptedWithCustomerEncryptionKey", message)
    raise _bad_key("customerEncryptionKeyIsIncorrect", "The provided encryption key is incorrect.")


def _bad_key(reason, message):
    return invalid(message, reason=reason, xml=(reason[0].upper() + reason[1:], message))
