"""Server-side encryption in S3's words. A customer's key travels with its MD5, both in base64."""

from __future__ import annotations

import base64
import hashlib
import json

from cloudbridge_store.drivers.base import Encryption
from cloudbridge_store.redaction import hide


def asking_for(encryption: Encryption | None) -> dict[str, str]:
    """Return the parameters of a write that say how its object is encrypted."""
    if encryption is None:
        return {}
    if encryption.kind == "customer":
        return unlocking(encryption.key)
    if encryption.kind == "service":
        return {"ServerSideEncryption": "AES256"}
    parameters = {"ServerSideEncryption": "aws:kms"}
    if encryption.key_id is not None:
        parameters["SSEKMSKeyId"] = encryption.key_id
    if encryption.context:
        text = json.dumps(dict(encryption.context), sort_keys=True, separators=(",", ":"))
        parameters["SSEKMSEncryptionContext"] = base64.b64encode(text.encode()).decode()
    return parameters


def unlocking(key: bytes | None, prefix: str = "") -> dict[str, str]:
    """Return the parameters of a request about an object that has a customer's key; none without one.

    :param prefix: ``CopySource`` for the source of a copy.
    """
    if key is None:
        return {}
    digest = hashlib.md5(key, usedforsecurity=False).digest()
    return {
        f"{prefix}SSECustomerAlgorithm": "AES256",
        f"{prefix}SSECustomerKey": hide(base64.b64encode(key).decode()),
        f"{prefix}SSECustomerKeyMD5": hide(base64.b64encode(digest).decode()),
    }
