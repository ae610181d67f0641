"""What a service can do, and how much of it. Part of ``drivers.base``, which has all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from cloudbridge_store.drivers.values import CONTENT_HEADERS, GiB, KiB, Method, MiB, RuleKind


class UploadLimits(NamedTuple):
    """How an upload can be cut, in bytes and parts: fields of :class:`Capabilities`, as one service has them set."""

    min_part: int
    """Least size of every part but the last."""
    max_part: int
    max_parts: int
    max_put: int


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a service can do and how much of it, in one value. Sizes are bytes, ``0`` and empty mean "cannot"."""

    multipart: bool = False
    copy: bool = False
    copy_url: bool = False
    """The service itself can fetch what a URL leads to, or what one of its own addresses names."""
    conditional_put: frozenset[Literal["if_match", "if_none_match"]] = frozenset()
    """``if_none_match`` is ``"*"`` only: create, never replace."""
    conditional_multipart: bool = True
    """Conditions hold for uploads in parts, too."""
    conditional_copy: bool = True
    """Conditions hold for copies, too."""
    separate_uploads: bool = True
    """Uploads in parts of one key do not disturb each other; else the first to finish ends the others."""
    conditional_read: bool = False
    user_metadata: bool = False
    tags: bool = False
    content_headers: frozenset[str] = CONTENT_HEADERS
    storage_classes: frozenset[str] = frozenset()
    change_storage_class: bool = False
    versions: bool = False
    """Buckets can keep every version of their objects."""
    switch_versions: bool = False
    """Whether a bucket does can be asked and chosen here; otherwise whoever runs the account chooses elsewhere."""
    delete_marks: bool = True
    """A deletion is a version of its own, and what was there before is back when the newest version is deleted.
    Otherwise nothing is, until a version is restored."""
    encryption: frozenset[Literal["service", "kms", "customer"]] = frozenset()
    """Kinds of :class:`Encryption` that a write can ask for."""
    batch_delete: int = 0
    """Most keys in one :meth:`Driver.delete_objects`."""
    sign: frozenset[Method] = frozenset()
    sign_content_type: bool = True
    """A signed PUT can say which content type it must carry."""
    sign_options: frozenset[Literal["content_type", "content_disposition"]] = frozenset(
        {"content_type", "content_disposition"}
    )
    """Which headers of its answer a signed GET can choose."""
    sign_prefix: bool = False
    """One signature can be for all keys that begin alike."""
    temp_url_key: bool = False
    """URLs are signed with a key of their own, which :meth:`Driver.set_temp_url_key` sets."""
    sign_form: bool = False
    public_access: bool = False
    website: bool = False
    cdn: bool = False
    rules: frozenset[RuleKind] = frozenset()
    """Kinds of rules that a bucket can have."""
    account_rules: frozenset[RuleKind] = frozenset()
    """Kinds of rules that hold for all buckets of the account together."""
    usage: bool = False
    """Objects and bytes are counted, and buckets and the account have metadata of their own."""
    list_uploads: bool = False
    special_buckets: frozenset[str] = frozenset()
    """Names that no bucket may have by CloudBridge's rule, and that the service gives a meaning of their own."""
    locations: bool = False
    """A bucket's place can be chosen when it is created."""
    byte_order: bool = True
    """Listings are in UTF-8 byte order throughout. Otherwise each page is, but from page to page keys with characters
    beyond U+FFFF may come before those with U+E000 to U+FFFF in the same place, as in UTF-16."""
    nested_keys: bool = True
    """``a`` and ``a/b`` can both exist."""
    shared: bool = True
    """Another process that connects with the same configuration sees the same data."""
    checksums: frozenset[str] = frozenset()
    """Digests held for every object that was put in one request: ``md5``, ``crc32``, ``crc32c``, ``sha256``..."""
    max_page: int = 1000
    max_put: int = 5 * GiB
    """This, and what parts may be, are the documented values; :meth:`Driver.upload_limits` has those that hold."""
    min_part: int = 5 * MiB
    """Least size of every part but the last."""
    max_part: int = 5 * GiB
    max_parts: int = 10_000
    equal_parts: bool = False
    """All parts but the last must be of one size."""
    max_url_seconds: int = 7 * 86_400
    max_key_bytes: int = 1024
    literal_keys: bool = False
    """Keys with dot segments and control characters can be asked for: ``keys="literal"``."""
    max_metadata_bytes: int = 2 * KiB
    """Names and values together, as UTF-8."""
    max_tags: int = 10
    multipart_threshold: int = 100 * MiB
    """Size from which parts are worth their requests here; used where the user does not say."""
    hints: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What to do about something that is lacking, where something can be done: by the name of a field above, or of what
    is not in one, such as ``if_none_match``."""
