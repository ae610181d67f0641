"""Copies within the service, by rewriting: what is too much for one request goes on by a token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cloudbridge_store.drivers.base import READ_ALL, PutOptions, ReadOptions, Stored
from cloudbridge_store.drivers.gcp.answers import required
from cloudbridge_store.drivers.gcp.errors import failure_of, passes
from cloudbridge_store.drivers.gcp.service import Service, object_path
from cloudbridge_store.drivers.gcp.translate import (
    DESCRIBED_FIELDS,
    STORED_FIELDS,
    conditions,
    describing,
    kms_key,
    matching,
    matching_version,
    stored,
    unlocking,
    version_of,
)
from cloudbridge_store.errors import InvalidRequestError

_COPIED = (
    "cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "contentType", "customTime", "metadata",
    "storageClass",
)  # fmt: skip


def copy(
    service: Service,
    bucket: str,
    key: str,
    to_bucket: str,
    to_key: str,
    options: PutOptions | None,
    source: ReadOptions,
) -> Stored:
    """Copy an object.

    Without options its description is asked for and sent along: by itself the service would give the copy the storage
    class of the bucket that it goes to.
    """
    headers = unlocking(source.customer_key, "copy-source-")
    path = f"{object_path(bucket, key)}/rewriteTo{object_path(to_bucket, to_key)}"
    query: dict[str, Any] = _choosing(source)
    if options is not None:
        query.update(conditions(options), destinationKmsKeyName=kms_key(options.encryption))
        headers.update(unlocking(options.customer_key))
        return _rewrite(service, path, query, describing(options), headers)
    found = _described(service, bucket, key, source)
    if source.version is None:
        # What is described is what is copied.
        query = {"ifSourceGenerationMatch": matching(source.if_match) or str(required(found, "generation"))}
    headers.update(unlocking(source.customer_key))
    return _rewrite(service, path, query, _coming_along(found), headers)


def _choosing(source: ReadOptions) -> dict[str, str | None]:
    """Return the parameters that say what is copied: conditions are about the live generation, not about a version."""
    if source.version is not None:
        return {"sourceGeneration": matching_version(source)}
    return {"ifSourceGenerationMatch": matching(source.if_match)}


def _described(service: Service, bucket: str, key: str, source: ReadOptions) -> dict[str, Any]:
    query = {"generation": version_of(source.version), "fields": f"{DESCRIBED_FIELDS},contexts,kmsKeyName"}
    return service.ask("GET", object_path(bucket, key), query, headers=unlocking(source.customer_key))


def _coming_along(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what describes an object, as a request may say it."""
    document = {name: found[name] for name in _COPIED if name in found}
    if custom := (found.get("contexts") or {}).get("custom"):
        # The service notes by itself when each was made.
        document["contexts"] = {"custom": {name: {"value": each.get("value")} for name, each in custom.items()}}
    return document


def _rewrite(
    service: Service, path: str, query: dict[str, Any], document: dict[str, Any], headers: dict[str, str]
) -> Stored:
    """Copy, call by call. One that broke off goes on where it was, also when it is asked for again much later."""
    asked = {**query, "fields": f"done,rewriteToken,resource({STORED_FIELDS})"}
    # Each request has to be the same but for the token.
    same = json.dumps([path, asked, document], sort_keys=True)
    token = old = service.rewrites.pop(same, None)
    while True:
        try:
            found = service.ask("POST", path, {**asked, "rewriteToken": token}, document=document, headers=headers)
        except Exception as error:
            if token is not None and token == old and failure_of(error) is InvalidRequestError:
                token = None  # the service keeps none for longer than a week
                continue
            if token is not None and passes(error):
                service.rewrites[same] = token
            raise
        if required(found, "done"):
            return stored(required(found, "resource"))
        token = str(required(found, "rewriteToken"))


def set_storage_class(service: Service, bucket: str, key: str, name: str) -> None:
    """Move an object to another storage class; all else stays, but for its ETag, and for an access list of its own.

    The service writes it anew where it is, so that it has another generation afterwards. What others stored in the
    meantime stays: the rewriting is bound to what was there.

    :raises PreconditionFailedError: somebody replaced the object at the same time.
    """
    found = _described(service, bucket, key, READ_ALL)
    generation = str(required(found, "generation"))
    document = _coming_along(found) | {"storageClass": name}
    # The key it is encrypted with would not come along: it would get the bucket's default one. The service names a
    # version of it, and takes the key alone.
    encrypted, _, _ = str(found.get("kmsKeyName") or "").partition("/cryptoKeyVersions/")
    query = {
        "ifSourceGenerationMatch": generation,
        "ifGenerationMatch": generation,
        "destinationKmsKeyName": encrypted or None,
    }
    path = f"{object_path(bucket, key)}/rewriteTo{object_path(bucket, key)}"
    _rewrite(service, path, query, document, {})
