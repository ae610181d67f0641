"""Deletions in batches."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cloudbridge_store.drivers.aws.errors import item_error
from cloudbridge_store.drivers.aws.service import Service

NOT_IN_XML = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
"""What XML cannot hold, or gives back as something else: a key with it is not asked for in a document."""


def delete_objects(service: Service, bucket: str, keys: Sequence[str]) -> Mapping[str, Exception]:
    """Delete objects and return the error of each that was refused."""
    answer = service.send(
        "delete_objects",
        Bucket=bucket,
        Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
        ChecksumAlgorithm="SHA256" if service.preset.delete_digest == "sha256" else None,
    )
    refused = [each for each in answer.get("Errors", ()) if each.get("Code") != "NoSuchKey"]
    return {each["Key"]: item_error(each, bucket) for each in refused}
