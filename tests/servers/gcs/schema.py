"""Which parameters and fields the service knows, and of what type: from the API's published description.

https://storage.googleapis.com/$discovery/rest?version=v1, which is also in the package google-api-python-client.
"""

from __future__ import annotations

import re

from servers.gcs.refusals import invalid

COMMON = frozenset(
    {"alt", "fields", "key", "oauth_token", "prettyPrint", "quotaUser", "userIp", "uploadType", "userProject"},
)

_TYPES = {"text": str, "integer": int, "boolean": bool}
_SHAPES = {
    "time": re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)"),
    "date": re.compile(r"\d{4}-\d\d-\d\d"),
    "number": re.compile(r"-?\d{1,20}"),
}


BUCKET = {
    "acl": ["any"],
    "autoclass": {
        "enabled": "boolean",
        "terminalStorageClass": "text",
        "terminalStorageClassUpdateTime": "time",
        "toggleTime": "time",
    },
    "billing": {"requesterPays": "boolean"},
    "cors": [{"maxAgeSeconds": "integer", "method": ["text"], "origin": ["text"], "responseHeader": ["text"]}],
    "customPlacementConfig": {"dataLocations": ["text"]},
    "defaultEventBasedHold": "boolean",
    "defaultObjectAcl": ["any"],
    "encryption": {
        "customerManagedEncryptionEnforcementConfig": {"effectiveTime": "time", "restrictionMode": "text"},
        "customerSuppliedEncryptionEnforcementConfig": {"effectiveTime": "time", "restrictionMode": "text"},
        "defaultKmsKeyName": "text",
        "googleManagedEncryptionEnforcementConfig": {"effectiveTime": "time", "restrictionMode": "text"},
    },
    "etag": "text",
    "generation": "number",
    "hardDeleteTime": "time",
    "hierarchicalNamespace": {"enabled": "boolean"},
    "iamConfiguration": {
        "bucketPolicyOnly": {"enabled": "boolean", "lockedTime": "time"},
        "publicAccessPrevention": "text",
        "uniformBucketLevelAccess": {"enabled": "boolean", "lockedTime": "time"},
    },
    "id": "text",
    "ipFilter": {
        "allowAllServiceAgentAccess": "boolean",
        "allowCrossOrgVpcs": "boolean",
        "mode": "text",
        "publicNetworkSource": {"allowedIpCidrRanges": ["text"]},
        "vpcNetworkSources": [{"allowedIpCidrRanges": ["text"], "network": "text"}],
    },
    "kind": "text",
    "labels": {"*": "text"},
    "lifecycle": {
        "rule": [
            {
                "action": {"storageClass": "text", "type": "text"},
                "condition": {
                    "age": "integer",
                    "createdBefore": "date",
                    "customTimeBefore": "date",
                    "daysSinceCustomTime": "integer",
                    "daysSinceNoncurrentTime": "integer",
                    "isLive": "boolean",
                    "matchesPattern": "text",
                    "matchesPrefix": ["text"],
                    "matchesStorageClass": ["text"],
                    "matchesSuffix": ["text"],
                    "noncurrentTimeBefore": "date",
                    "numNewerVersions": "integer",
                    "sizeAboveBytes": "number",
                    "sizeBelowBytes": "number",
                },
            }
        ]
    },
    "location": "text",
    "locationType": "text",
    "logging": {"logBucket": "text", "logObjectPrefix": "text"},
    "metageneration": "number",
    "name": "text",
    "objectRetention": {"mode": "text"},
    "owner": {"entity": "text", "entityId": "text"},
    "projectNumber": "number",
    "retentionPolicy": {"effectiveTime": "time", "isLocked": "boolean", "retentionPeriod": "number"},
    "rpo": "text",
    "satisfiesPZI": "boolean",
    "satisfiesPZS": "boolean",
    "selfLink": "text",
    "softDeletePolicy": {
        "effectiveTime": "time",
        "hardDeletePause": {"effectiveTime": "time", "enabled": "boolean"},
        "retentionDurationSeconds": "number",
    },
    "softDeleteTime": "time",
    "storageClass": "text",
    "timeCreated": "time",
    "updated": "time",
    "versioning": {"enabled": "boolean"},
    "website": {"mainPageSuffix": "text", "notFoundPage": "text"},
}
OBJECT = {
    "acl": ["any"],
    "bucket": "text",
    "cacheControl": "text",
    "componentCount": "integer",
    "contentDisposition": "text",
    "contentEncoding": "text",
    "contentLanguage": "text",
    "contentType": "text",
    "contexts": {"custom": {"*": {"createTime": "time", "updateTime": "time", "value": "text"}}},
    "crc32c": "text",
    "customTime": "time",
    "customerEncryption": {"encryptionAlgorithm": "text", "keySha256": "text"},
    "etag": "text",
    "eventBasedHold": "boolean",
    "generation": "number",
    "hardDeleteTime": "time",
    "id": "text",
    "kind": "text",
    "kmsKeyName": "text",
    "md5Hash": "text",
    "mediaLink": "text",
    "metadata": {"*": "text"},
    "metageneration": "number",
    "name": "text",
    "owner": {"entity": "text", "entityId": "text"},
    "restoreToken": "text",
    "retention": {"mode": "text", "retainUntilTime": "time"},
    "retentionExpirationTime": "time",
    "selfLink": "text",
    "size": "number",
    "softDeleteTime": "time",
    "storageClass": "text",
    "temporaryHold": "boolean",
    "timeCreated": "time",
    "timeDeleted": "time",
    "timeFinalized": "time",
    "timeStorageClassUpdated": "time",
    "updated": "time",
}
BUCKET_ACL = {
    "bucket": "text",
    "domain": "text",
    "email": "text",
    "entity": "text",
    "entityId": "text",
    "etag": "text",
    "id": "text",
    "kind": "text",
    "projectTeam": {"projectNumber": "text", "team": "text"},
    "role": "text",
    "selfLink": "text",
}
OBJECT_ACL = {
    "bucket": "text",
    "domain": "text",
    "email": "text",
    "entity": "text",
    "entityId": "text",
    "etag": "text",
    "generation": "number",
    "id": "text",
    "kind": "text",
    "object": "text",
    "projectTeam": {"projectNumber": "text", "team": "text"},
    "role": "text",
    "selfLink": "text",
}
POLICY = {
    "bindings": [{"condition": "any", "members": ["text"], "role": "text"}],
    "etag": "text",
    "kind": "text",
    "resourceId": "text",
    "version": "integer",
}
COMPOSE = {
    "deleteSourceObjects": "boolean",
    "destination": OBJECT,
    "kind": "text",
    "sourceObjects": [{"name": "text", "generation": "number", "objectPreconditions": {"ifGenerationMatch": "number"}}],
}
LIST = {"kind": "text", "nextPageToken": "text", "prefixes": ["text"], "items": ["any"]}
REWRITE = {
    "kind": "text",
    "totalBytesRewritten": "number",
    "objectSize": "number",
    "done": "boolean",
    "rewriteToken": "text",
    "resource": OBJECT,
}


def check(value, shape, path=""):
    """Refuse what does not have the shape of a resource. ``None`` stands for what is to be deleted.

    The service itself drops unknown fields in silence. They are refused here, since they are mistakes of the caller.
    """
    if value is None or shape == "any":
        return
    if isinstance(shape, list):
        _expect(isinstance(value, list), value, path)
        for each in value:
            check(each, shape[0], path)
    elif isinstance(shape, dict):
        _expect(isinstance(value, dict), value, path)
        for name, each in value.items():
            if name not in shape and "*" not in shape:
                raise invalid(f'Unknown name "{path}{name}": Cannot find field.', reason="badRequest")
            check(each, shape.get(name, shape.get("*")), f"{path}{name}.")
    elif shape in _SHAPES:
        is_number = shape == "number" and isinstance(value, int) and not isinstance(value, bool)
        _expect(is_number or (isinstance(value, str) and _SHAPES[shape].fullmatch(value)), value, path)
    else:
        _expect(isinstance(value, _TYPES[shape]) and (shape == "boolean" or not isinstance(value, bool)), value, path)


def _expect(is_right, value, path):
    if not is_right:
        raise invalid(f"Invalid value for: {value!r} is not a valid value ({path.rstrip('.')})")


def names(*shapes):
    """Return all names of fields that occur in shapes, at any depth."""
    found = set()
    for shape in shapes:
        if isinstance(shape, list):
            found |= names(*shape)
        elif isinstance(shape, dict):
            found |= shape.keys() | names(*shape.values())
    return found


ALL_NAMES = names(BUCKET, OBJECT, BUCKET_ACL, OBJECT_ACL, POLICY, LIST, REWRITE) | {
    "projectTeam", "projectNumber", "team", "permissions",
}  # fmt: skip
