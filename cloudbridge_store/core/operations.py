"""What the session must know of each method of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of :class:`~cloudbridge_store.drivers.base.Driver`."""

    subject: Literal["service", "bucket", "object"]
    """Which of bucket and key its first arguments name."""
    repeatable: Literal["always", "unless_conditional", "never"]
    """Whether carrying it out twice leaves what carrying it out once leaves."""
    writes: bool = False


OPERATIONS: Mapping[str, Operation] = {
    "authenticate": Operation("service", "always"),
    "create_bucket": Operation("bucket", "never", writes=True),
    "head_bucket": Operation("bucket", "always"),
    "list_buckets": Operation("service", "always"),
    "delete_bucket": Operation("bucket", "never", writes=True),
    "regions": Operation("service", "always"),
    "head_object": Operation("object", "always"),
    "list_objects": Operation("bucket", "always"),
    "get_object": Operation("object", "always"),
    "put_object": Operation("object", "unless_conditional", writes=True),
    "delete_object": Operation("object", "always", writes=True),
    "delete_objects": Operation("bucket", "always", writes=True),
    "copy_object": Operation("object", "unless_conditional", writes=True),
    "copy_url": Operation("object", "unless_conditional", writes=True),
    "sign_url": Operation("object", "always"),
    "sign_form": Operation("object", "always"),
    "set_temp_url_key": Operation("service", "always", writes=True),
    "upload_limits": Operation("service", "always"),
    # The session remembers when one was started twice, and whoever uses it ends that.
    "start_upload": Operation("object", "always", writes=True),
    "upload_part": Operation("object", "always", writes=True),
    "list_parts": Operation("object", "always"),
    "finish_upload": Operation("object", "never", writes=True),
    "abort_upload": Operation("object", "always", writes=True),
    "list_uploads": Operation("bucket", "always"),
    "list_versions": Operation("bucket", "always"),
    "get_versioning": Operation("bucket", "always"),
    "set_versioning": Operation("bucket", "always", writes=True),
    "set_storage_class": Operation("object", "always", writes=True),
    "get_tags": Operation("object", "always"),
    "set_tags": Operation("object", "always", writes=True),
    "set_public": Operation("bucket", "always", writes=True),
    "public_url": Operation("object", "always"),
    "set_website": Operation("bucket", "always", writes=True),
    "set_cdn": Operation("bucket", "always", writes=True),
    "get_cdn": Operation("bucket", "always"),
    "purge_cdn": Operation("bucket", "always", writes=True),
    "get_rules": Operation("bucket", "always"),
    "get_usage": Operation("bucket", "always"),
    "set_bucket_metadata": Operation("bucket", "always", writes=True),
    "set_rules": Operation("bucket", "always", writes=True),
    "get_account_rules": Operation("service", "always"),
    "set_account_rules": Operation("service", "always", writes=True),
}

STEP = Operation("service", "always", writes=True)
"""One of the many requests that an operation consists of: drivers have such repeated that can be."""
