"""What became of a write whose answer was lost: found out, not guessed.

A request may have been carried out although no answer came. Repeating it blindly turns one's own success into a failed
condition, or one upload into two. Here the service is asked what it has, by checksum, ETag, size and time; nothing is
added to objects for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cloudbridge_store.checksums import composite_etag
from cloudbridge_store.drivers.base import (
    READ_ALL,
    Body,
    BucketInfo,
    ObjectInfo,
    Page,
    PutOptions,
    ReadOptions,
    Stored,
    UploadInfo,
)
from cloudbridge_store.errors import (
    BucketNotFoundError,
    DuplicateResourceException,
    NotFoundError,
    PreconditionFailedError,
    StoreError,
    UploadNotFoundError,
)
from cloudbridge_store.results import every_item

if TYPE_CHECKING:
    from cloudbridge_store.core.session import Session

CLOCK_TOLERANCE = timedelta(seconds=5)
"""How far this machine's clock may be ahead of the service's for a time to count as "since then"."""


class Verdict(NamedTuple):
    """What is known about a doubtful write."""

    state: Literal["applied", "not_applied", "unknown"]
    result: Any = None
    """What the lost answer would have said, where it was applied."""


NOT_APPLIED, UNKNOWN = Verdict("not_applied"), Verdict("unknown")


@dataclass(frozen=True, slots=True)
class Doubt:
    """A write that was tried, and whose outcome at least one attempt did not tell.

    :param since: when the first attempt began.
    """

    session: Session
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    since: datetime

    def is_recent(self, moment: datetime) -> bool:
        """Say whether something may have been written by one of the attempts."""
        return moment.replace(microsecond=0) >= (self.since - CLOCK_TOLERANCE).replace(microsecond=0)


def _settle_put(doubt: Doubt) -> Verdict:
    bucket, key, body, options = doubt.args
    found = _find(doubt, bucket, key, ReadOptions(customer_key=options.customer_key))
    if found is None:
        return NOT_APPLIED
    return _judge(doubt, found, options, same=_holds(found, body))


def _settle_copy(doubt: Doubt) -> Verdict:
    bucket, key, to_bucket, to_key, options = doubt.args
    options = options or PutOptions()
    asked = doubt.kwargs.get("source", READ_ALL)
    if (bucket, key) == (to_bucket, to_key) and asked.version is None:
        return UNKNOWN  # what is there is the source, copied or not
    source = _find(doubt, bucket, key, asked)
    found = _find(doubt, to_bucket, to_key, ReadOptions(customer_key=options.customer_key))
    if found is None:
        return NOT_APPLIED
    return _judge(doubt, found, options, same=source is not None and _same(source, found))


def _judge(doubt: Doubt, found: ObjectInfo, options: PutOptions, *, same: bool) -> Verdict:
    """Say what an object means whose content is, or is not, the one that was written."""
    if same:
        return _applied(found) if doubt.is_recent(found.modified) else UNKNOWN
    return NOT_APPLIED if found.etag == options.if_match else UNKNOWN


def _settle_finish(doubt: Doubt) -> Verdict:
    bucket, key, upload_id, parts, options = doubt.args
    session = doubt.session
    try:
        session.call(session.driver.list_parts, bucket, key, upload_id)
    except UploadNotFoundError:
        pass
    else:
        return NOT_APPLIED
    found = _find(doubt, bucket, key, ReadOptions(customer_key=options.customer_key))
    if found is None or found.size != sum(part.size for part in parts):
        return UNKNOWN
    certain = found.etag == composite_etag(part.etag for part in parts)
    return _applied(found) if certain or doubt.is_recent(found.modified) else UNKNOWN


def _settle_create(doubt: Doubt) -> Verdict:
    found = _find_bucket(doubt)
    if found is None:
        return NOT_APPLIED
    created = found.created or _when_created(doubt.session, found.name)
    if created is not None and not doubt.is_recent(created):
        return NOT_APPLIED  # it was there before: the next attempt says so
    return Verdict("applied", found)


def _settle_delete_bucket(doubt: Doubt) -> Verdict:
    return Verdict("applied") if _find_bucket(doubt) is None else NOT_APPLIED


def _find_bucket(doubt: Doubt) -> BucketInfo | None:
    session = doubt.session
    try:
        return session.call(session.driver.head_bucket, doubt.args[0])
    except NotFoundError:
        return None


def _when_created(session: Session, name: str) -> datetime | None:
    """Return when a bucket was created, which many services say in their list only."""

    def fetch(limit: int, token: str | None) -> Page[BucketInfo]:
        return session.call(session.driver.list_buckets, limit=limit, token=token)

    def same(bucket: BucketInfo) -> BucketInfo:
        return bucket

    buckets = every_item(fetch, same, size=session.capabilities.max_page)
    return next((bucket.created for bucket in buckets if bucket.name == name), None)


_SETTLERS: Mapping[str, tuple[Callable[[Doubt], Verdict], tuple[type[StoreError], ...]]] = {
    "put_object": (_settle_put, (PreconditionFailedError,)),
    "copy_object": (_settle_copy, (PreconditionFailedError,)),
    "finish_upload": (_settle_finish, (UploadNotFoundError, PreconditionFailedError)),
    "create_bucket": (_settle_create, (DuplicateResourceException,)),
    "delete_bucket": (_settle_delete_bucket, (BucketNotFoundError,)),
}
"""How to find out, and the errors by which one's own earlier success shows."""


def may_be_settled(operation: str) -> bool:
    """Say whether there is a way to find out what became of an operation."""
    return operation in _SETTLERS


def shows_own_success(operation: str, error: type[StoreError]) -> bool:
    """Say whether an error may only mean that an earlier attempt did it."""
    return operation in _SETTLERS and issubclass(error, _SETTLERS[operation][1])


def settle(operation: str, doubt: Doubt) -> Verdict:
    """Find out what became of a write; ``unknown`` where the service does not say either."""
    try:
        return _SETTLERS[operation][0](doubt)
    except StoreError:
        return UNKNOWN


def _find(doubt: Doubt, bucket: str, key: str, source: ReadOptions) -> ObjectInfo | None:
    session = doubt.session
    try:
        return session.call(session.driver.head_object, bucket, key, source)
    except NotFoundError:
        return None


def _applied(found: ObjectInfo) -> Verdict:
    return Verdict("applied", Stored(found.etag, found.version, found.checksums))


def _holds(found: ObjectInfo, body: Body) -> bool:
    """Say whether an object certainly has a body's content."""
    if found.size != body.size:
        return False
    held = found.checksums or {}
    if "crc32" in held:
        return held["crc32"] == f"{body.crc32:08x}"
    return "md5" in held and held["md5"] == body.md5.hex()


def _same(one: ObjectInfo, other: ObjectInfo) -> bool:
    """Say whether two objects certainly have the same content."""
    if one.size != other.size:
        return False
    first, second = one.checksums or {}, other.checksums or {}
    both = first.keys() & second.keys()
    return one.etag == other.etag if not both else all(first[name] == second[name] for name in both)


def abort_twins(
    session: Session, bucket: str, key: str, upload_id: str | None, since: datetime, until: datetime
) -> None:
    """Abort what a lost answer to a start belonged to: an upload of that key, that time, and not one part.

    Called when one's own is over. Whoever else had started one by then has sent a part of it.

    :param upload_id: one's own; ``None``: no start was answered.
    """
    driver = session.driver
    if not session.capabilities.list_uploads:
        return
    found = session.call(driver.list_uploads, bucket, prefix=key, limit=session.capabilities.max_page)
    for upload in found.items:
        if upload.upload_id == upload_id or upload.key != key or not _started_between(upload, since, until):
            continue
        if not session.call(driver.list_parts, bucket, key, upload.upload_id):
            session.call(driver.abort_upload, bucket, key, upload.upload_id)


def _started_between(upload: UploadInfo, since: datetime, until: datetime) -> bool:
    return upload.started is not None and since - CLOCK_TOLERANCE <= upload.started <= until + CLOCK_TOLERANCE
