"""What the fake knows: buckets, versions of objects, uploads that are not over. One lock guards it all."""

from __future__ import annotations

import base64
import bisect
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from servers.gcs.refusals import Refusal, condition_failed, no_bucket, no_object, not_modified

REMEMBERED = 64 * 1024 * 1024
"""Bytes of soft-deleted content that a bucket keeps; the service keeps all of it for as long as the policy says."""


def now():
    return datetime.now(UTC)


def rfc3339(moment):
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def parse_time(text):
    """Return the moment that a text in RFC 3339 means."""
    moment = datetime.fromisoformat(text.upper())
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def etag(*numbers):
    """Return an ETag as the JSON API gives it: numbered varints in Base64, of generation and metageneration."""
    return base64.b64encode(b"".join(bytes([8 * n]) + _varint(value) for n, value in enumerate(numbers, 1))).decode()


def _varint(value):
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


@dataclass(eq=False)
class Version:
    """One version of an object: its content and what is said of it."""

    bucket: Bucket
    name: str
    generation: int
    content: object
    fields: dict
    """What the caller set, as in the resource: contentType, metadata, the holds ..."""
    storage_class: str
    created: datetime = field(default_factory=now)
    metageneration: int = 1
    component_count: int | None = None
    kms_key: str | None = None
    customer_key: str | None = None
    """The SHA-256 of the customer's own key, in Base64."""
    acl: list = field(default_factory=list)
    owner: str = ""
    updated: datetime | None = None
    class_updated: datetime | None = None
    deleted: datetime | None = None
    soft_deleted: datetime | None = None
    hold_released: datetime | None = None

    @property
    def etag(self):
        return etag(self.generation, self.metageneration)

    def touch(self):
        """Note that what is said of the object has changed."""
        self.metageneration += 1
        self.updated = now()

    def retained_until(self):
        """Return when the object's retention ends, or ``None``."""
        ends = []
        policy = self.bucket.fields.get("retentionPolicy")
        if policy and not self.fields.get("eventBasedHold"):
            begun = self.hold_released or self.created
            ends.append(begun + timedelta(seconds=int(policy["retentionPeriod"])))
        if own := self.fields.get("retention"):
            ends.append(parse_time(own["retainUntilTime"]))
        return max(ends, default=None)

    def check_unlocked(self, *, is_kept=False):
        """Refuse to delete or overwrite what is on hold or retained. ``is_kept``: it becomes noncurrent at most."""
        name = f"{self.bucket.name}/{self.name}"
        for hold, text in (("temporaryHold", "Temporary"), ("eventBasedHold", "Event-Based")):
            if self.fields.get(hold):
                message = f"Object '{name}' is under active {text} hold and cannot be deleted, overwritten or archived"
                raise Refusal(403, "objectUnderActiveHold", f"{message} until hold is removed.")
        until = self.retained_until()
        if until is not None and until > now() and not is_kept:
            message = f"Object '{name}' is subject to bucket's retention policy or object retention and cannot be"
            text = f"{message} deleted or overwritten until {rfc3339(until)}"
            raise Refusal(403, "retentionPolicyNotMet", text)


@dataclass(eq=False)
class Bucket:
    """A bucket, its objects by name, and what is said of it."""

    name: str
    project: str
    generation: int
    fields: dict
    """What the caller set, as in the resource."""
    created: datetime = field(default_factory=now)
    updated: datetime = field(default_factory=now)
    metageneration: int = 1
    soft_deleted: datetime | None = None
    acl: list = field(default_factory=list)
    default_acl: list = field(default_factory=list)
    bindings: list = field(default_factory=list)
    policy_version: int = 1
    policy_changes: int = 1
    names: list = field(default_factory=list)
    """Names with a version that is not soft-deleted, sorted. Python sorts text as UTF-8 sorts: by code points."""
    versions: dict = field(default_factory=dict)
    """By name: the versions that are not soft-deleted, oldest first. Only the last one may be live."""
    soft: list = field(default_factory=list)
    soft_size: int = 0

    @property
    def is_uniform(self):
        return bool(self.fields["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"])

    @property
    def is_private(self):
        """Whether public access is prevented."""
        return self.fields["iamConfiguration"]["publicAccessPrevention"] == "enforced"

    @property
    def is_versioned(self):
        return bool((self.fields.get("versioning") or {}).get("enabled"))

    @property
    def soft_seconds(self):
        return int((self.fields.get("softDeletePolicy") or {}).get("retentionDurationSeconds", 0))

    def touch(self):
        self.metageneration += 1
        self.updated = now()

    def live(self, name):
        """Return the live version of an object, or ``None``."""
        versions = self.versions.get(name)
        return versions[-1] if versions and versions[-1].deleted is None else None

    def find(self, name, generation=None):
        """Return the live version, or the one of a generation. :raises Refusal: there is none."""
        if generation is None:
            found = self.live(name)
        else:
            found = next((each for each in self.versions.get(name, ()) if each.generation == generation), None)
        if found is None:
            raise no_object(self.name, name)
        return found

    def add(self, version):
        """Make a version the live one."""
        if live := self.live(version.name):
            self.retire(live)
        if version.name not in self.versions:
            bisect.insort(self.names, version.name)
            self.versions[version.name] = []
        self.versions[version.name].append(version)

    def retire(self, version):
        """Make a live version noncurrent, or delete it where the bucket keeps none."""
        if self.is_versioned:
            version.deleted = now()
        else:
            self.remove(version)

    def remove(self, version):
        """Delete a version for good, as far as the soft delete policy goes."""
        versions = self.versions[version.name]
        versions.remove(version)
        if not versions:
            del self.versions[version.name]
            del self.names[bisect.bisect_left(self.names, version.name)]
        if self.soft_seconds:
            version.soft_deleted = now()
            self.soft.append(version)
            self.soft_size += version.content.size
            while self.soft_size > REMEMBERED:
                self.forget(self.soft[0])

    def forget(self, version):
        """Delete a version that was soft-deleted."""
        self.soft.remove(version)
        self.soft_size -= version.content.size


class State:
    """Everything, and the lock that whoever reads or changes it holds."""

    def __init__(self, url, directory, identity):
        self.url = url
        self.directory = directory
        self.identity = identity
        self.lock = threading.RLock()
        self.buckets = {}
        self.soft_buckets = []
        self.sessions = {}
        self.uploads = {}
        self.rewrites = {}
        self._generation = 0

    def next_generation(self):
        """Return a number larger than all before: microseconds since 1970, as the service has it."""
        with self.lock:
            self._generation = max(self._generation + 1, time.time_ns() // 1000)
            return self._generation

    def bucket(self, name):
        try:
            return self.buckets[name]
        except KeyError:
            raise no_bucket() from None


_ITSELF = object()


def check_conditions(given, version, *, live=_ITSELF, prefix="if"):
    """Check the conditions among parameters against a version, or against ``None`` if there is none.

    https://cloud.google.com/storage/docs/request-preconditions: what is not met is 412 for a match, and 304 for the
    match of what must not match. Generation 0 is that of an object that has no live version. Conditions of generations
    are about the live one, also where the version is another, as in Google's own testbench.
    """
    live = version if live is _ITSELF else live
    generation = live.generation if live else 0
    metageneration = version.metageneration if version else 0
    for name, found in (("Generation", generation), ("Metageneration", metageneration)):
        wanted, unwanted = given(f"{prefix}{name}Match"), given(f"{prefix}{name}NotMatch")
        if wanted is not None and wanted != found:
            raise condition_failed()
        if unwanted is not None and unwanted == found:
            raise not_modified()
