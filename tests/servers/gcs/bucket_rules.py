"""What a bucket may be called, and what may be said of it.

* Names: https://cloud.google.com/storage/docs/buckets#naming
* Places: https://cloud.google.com/storage/docs/locations; classes: https://cloud.google.com/storage/docs/storage-classes
* Lifecycle: https://cloud.google.com/storage/docs/lifecycle
"""

from __future__ import annotations

import re
from datetime import timedelta

from servers.gcs.model import now, parse_time, rfc3339
from servers.gcs.refusals import Refusal, invalid

MULTI_REGIONS = {"US", "EU", "ASIA"}
DUAL_REGIONS = {"NAM4", "EUR4", "EUR5", "EUR7", "EUR8", "ASIA1"}
REGIONS = {
    f"{area}{number}".upper()
    for area, numbers in {
        "africa-south": "1", "asia-east": "12", "asia-northeast": "123", "asia-south": "12", "asia-southeast": "123",
        "australia-southeast": "12", "europe-central": "2", "europe-north": "12", "europe-southwest": "1",
        "europe-west": "1234689", "me-central": "12", "me-west": "1", "northamerica-northeast": "12",
        "northamerica-south": "1", "southamerica-east": "1", "southamerica-west": "1", "us-central": "1",
        "us-east": "145", "us-south": "1", "us-west": "1234",
    }.items()
    for number in numbers
} | {"EUROPE-WEST10", "EUROPE-WEST12"}  # fmt: skip
CLASSES = {"STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE", "MULTI_REGIONAL", "REGIONAL", "DURABLE_REDUCED_AVAILABILITY"}
MONTH = 7 * 24 * 3600
LONGEST_RETENTION = 3_155_760_000
LOCKED_AFTER = timedelta(days=90)
"""How long uniform access can be taken back."""

WRITABLE = (
    "autoclass", "billing", "cors", "customPlacementConfig", "defaultEventBasedHold", "encryption",
    "iamConfiguration", "labels", "lifecycle", "location", "logging", "objectRetention", "retentionPolicy", "rpo",
    "softDeletePolicy", "storageClass", "versioning", "website",
)  # fmt: skip
_REFUSED = ("hierarchicalNamespace", "ipFilter")
_LIFECYCLE_OF_UPLOADS = {"age", "matchesPrefix", "matchesSuffix"}


def check_name(name):
    """Refuse what is no name of a bucket."""
    parts = name.split(".")
    is_right = (
        re.fullmatch(r"[a-z0-9][a-z0-9._-]+[a-z0-9]", name)
        and all(0 < len(part) <= 63 for part in parts)
        and len(name) <= 222
        and not re.fullmatch(r"\d+\.\d+\.\d+\.\d+", name)
        and not name.startswith("goog")
        and not re.search("g[o0][o0]g[l1]e", name)
    )
    if not is_right:
        xml = ("InvalidBucketName", "The specified bucket is not valid.")
        raise invalid(f"Invalid bucket name: '{name}'", xml=xml)
    if len(parts) > 1:
        raise Refusal(403, "forbidden", "The bucket you tried to create requires domain ownership verification.")


def defaults():
    return {
        "location": "US",
        "storageClass": "STANDARD",
        "iamConfiguration": {
            "bucketPolicyOnly": {"enabled": False},
            "uniformBucketLevelAccess": {"enabled": False},
            "publicAccessPrevention": "inherited",
        },
        "softDeletePolicy": {"retentionDurationSeconds": str(MONTH), "effectiveTime": rfc3339(now())},
    }


def settle(fields, before=None):
    """Check the fields of a bucket, given those it had before, and add what the service adds."""
    _settle_place(fields, before)
    _settle_class(fields)
    _settle_access(fields)
    _settle_retention(fields, before)
    _settle_soft_delete(fields, before)
    _check_lifecycle(fields.get("lifecycle") or {})
    for name in _REFUSED:
        if (fields.get(name) or {}).get("enabled") or (fields.get(name) or {}).get("mode"):
            raise Refusal(501, "notImplemented", f"The fake does not have this feature of buckets: {name}")
    for name, value in (fields.get("labels") or {}).items():
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", name) or not re.fullmatch(r"[a-z0-9_-]{0,63}", value):
            raise invalid(f"Invalid label: {name}={value}")
    if len(fields.get("labels") or {}) > 64:
        raise invalid("Bucket may not have more than 64 labels.")


def _settle_place(fields, before):
    place = fields["location"] = fields["location"].upper()
    if before is not None and place != before["location"]:
        raise invalid("Cannot change the location of a bucket.")
    kinds = {"multi-region": MULTI_REGIONS, "dual-region": DUAL_REGIONS, "region": REGIONS}
    fields["locationType"] = next((kind for kind, places in kinds.items() if place in places), None)
    if placed := (fields.get("customPlacementConfig") or {}).get("dataLocations"):
        placed[:] = [each.upper() for each in placed]
        if len(placed) != 2 or not set(placed) <= REGIONS or place not in MULTI_REGIONS:
            raise invalid("Invalid custom placement config")
        fields["locationType"] = "dual-region"
    if fields["locationType"] is None:
        xml = ("InvalidLocationConstraint", "The specified location constraint is not valid.")
        raise invalid("The specified location constraint is not valid.", xml=xml)
    if fields["locationType"] != "region":
        fields.setdefault("rpo", "DEFAULT")


def check_class(name):
    if name not in CLASSES:
        raise invalid(f"Invalid storage class: {name}", xml=("InvalidStorageClass", "The storage class is not valid."))


def _settle_class(fields):
    check_class(fields.get("storageClass"))
    autoclass = fields.get("autoclass")
    if autoclass and autoclass.get("enabled"):
        autoclass.setdefault("terminalStorageClass", "NEARLINE")
        autoclass.setdefault("toggleTime", rfc3339(now()))


def _settle_access(fields):
    access = fields["iamConfiguration"] = {**defaults()["iamConfiguration"], **(fields.get("iamConfiguration") or {})}
    if access["publicAccessPrevention"] == "unspecified":
        access["publicAccessPrevention"] = "inherited"
    if access["publicAccessPrevention"] not in ("inherited", "enforced"):
        raise invalid("Invalid value for publicAccessPrevention")
    uniform = access["uniformBucketLevelAccess"] = dict(access["uniformBucketLevelAccess"] or {"enabled": False})
    if not uniform.get("enabled"):
        uniform.pop("lockedTime", None)
    elif "lockedTime" not in uniform:
        uniform["lockedTime"] = rfc3339(now() + LOCKED_AFTER)
    access["bucketPolicyOnly"] = uniform


def _settle_retention(fields, before):
    policy, old = fields.get("retentionPolicy"), (before or {}).get("retentionPolicy")
    if policy is None:
        fields.pop("retentionPolicy", None)
        if old and old.get("isLocked"):
            raise Refusal(
                403, "forbidden", "Cannot remove retention policy from a bucket with a Locked Retention Policy."
            )
        return
    seconds = int(policy.get("retentionPeriod") or 0)
    if not 0 < seconds < LONGEST_RETENTION:
        raise invalid("Retention period must be greater than zero and less than 100 years")
    if old and old.get("isLocked") and seconds < int(old["retentionPeriod"]):
        message = "Cannot reduce retention duration of a locked Retention Policy for bucket."
        raise Refusal(403, "forbidden", message)
    effective = old["effectiveTime"] if old and int(old["retentionPeriod"]) == seconds else rfc3339(now())
    fields["retentionPolicy"] = {"retentionPeriod": str(seconds), "effectiveTime": effective}
    if old and old.get("isLocked"):
        fields["retentionPolicy"]["isLocked"] = True


def _settle_soft_delete(fields, before):
    policy = fields.get("softDeletePolicy") or {"retentionDurationSeconds": str(MONTH)}
    seconds = int(policy.get("retentionDurationSeconds") or 0)
    if seconds and not MONTH <= seconds <= 90 * 24 * 3600:
        raise invalid("Soft delete retention duration must be zero or between 7 and 90 days.")
    old = (before or {}).get("softDeletePolicy") or {}
    is_same = old.get("retentionDurationSeconds") == str(seconds)
    effective = old.get("effectiveTime") if is_same else rfc3339(now())
    fields["softDeletePolicy"] = {"retentionDurationSeconds": str(seconds), "effectiveTime": effective}


def _check_lifecycle(lifecycle):
    rules = lifecycle.get("rule") or []
    if len(rules) > 100:
        raise invalid("Lifecycle configuration has too many rules.")
    for rule in rules:
        action, condition = rule.get("action") or {}, rule.get("condition") or {}
        if action.get("type") not in ("Delete", "SetStorageClass", "AbortIncompleteMultipartUpload"):
            raise invalid(f"Invalid lifecycle action: {action.get('type')}")
        if not condition:
            raise invalid("A lifecycle rule must have a condition.")
        if action["type"] == "SetStorageClass":
            check_class(action.get("storageClass"))
        elif "storageClass" in action:
            raise invalid(f"Storage class cannot be specified for action {action['type']}.")
        if action["type"] == "AbortIncompleteMultipartUpload" and not condition.keys() <= _LIFECYCLE_OF_UPLOADS:
            raise invalid("AbortIncompleteMultipartUpload supports only age, matchesPrefix and matchesSuffix.")
        if any(isinstance(value, int) and value < 0 for value in condition.values()):
            raise invalid("Lifecycle conditions must not be negative.")


def merge(old, patch):
    """Return what a patch makes of a value: ``None`` deletes, an object is merged, anything else replaces."""
    if not isinstance(patch, dict) or not isinstance(old, dict):
        if isinstance(patch, dict):
            return {name: merge(None, value) for name, value in patch.items() if value is not None}
        return patch
    merged = {**old, **{name: merge(old.get(name), value) for name, value in patch.items()}}
    return {name: value for name, value in merged.items() if value is not None}


def check_custom_time(old, new):
    """Refuse to take a custom time back: https://cloud.google.com/storage/docs/metadata#custom-time."""
    if old and (not new or parse_time(new) < parse_time(old)):
        raise invalid("Custom time cannot be removed or set to an earlier time.")
