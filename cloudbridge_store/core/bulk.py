"""Many objects at once: batch deletion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import groupby, islice
from operator import itemgetter

from cloudbridge_store.core.parallel import run_parallel
from cloudbridge_store.core.session import Session
from cloudbridge_store.errors import (
    BucketNotFoundError,
    ConnectionFailedError,
    CredentialsExpiredError,
    OperationTimeoutError,
    ServiceUnavailableError,
    StoreError,
    ThrottledError,
    TransferError,
)

WORKERS = 8
_SINGLE_BATCH = 100
_PASSING = (
    ThrottledError,
    ServiceUnavailableError,
    OperationTimeoutError,
    ConnectionFailedError,
    CredentialsExpiredError,
)
"""What a service may say of one object of a batch, and not when it is asked again."""


def delete_keys(session: Session, bucket: str, keys: Iterable[str]) -> int:
    """Delete objects, batched where the service can, and return how many were asked for; missing ones are fine.

    :raises TransferError: in the end, with the error of each key that was refused.
    """
    count = 0
    failures: dict[str, Exception] = {}
    size = session.capabilities.batch_delete or _SINGLE_BATCH

    def delete(batch: list[str]) -> tuple[int, Mapping[str, Exception]]:
        if not session.capabilities.batch_delete:
            return len(batch), _delete_singly(session, bucket, batch)
        refused = session.call(session.driver.delete_objects, bucket, batch)
        # What passes is tried again by itself, with the pauses of any other request.
        passing = [key for key, error in refused.items() if isinstance(error, _PASSING)]
        context = {"operation": "delete_objects", "bucket": bucket}
        lasting = {key: session.wrap(refused[key], key=key, **context) for key in refused.keys() - passing}
        return len(batch), {**lasting, **_delete_singly(session, bucket, passing)}

    with closing(run_parallel(delete, _batches(keys, size), WORKERS)) as results:
        for done, refused in results:
            count += done
            failures.update(refused)
    if failures:
        message = f"{len(failures)} of {count} objects could not be deleted, the first: {next(iter(failures.values()))}"
        raise TransferError(message, failures=failures, provider=session.provider, bucket=bucket)
    return count


def delete_versions(session: Session, bucket: str, versions: Iterable[tuple[str, str | None]]) -> None:
    """Delete versions, given by key and version in the order of keys, for good. :raises StoreError: the first refusal.

    Those of one key go one after the other: services trip over two at once.
    """

    def delete(of_one_key: list[tuple[str, str | None]]) -> None:
        for version in of_one_key:
            session.call(session.driver.delete_object, bucket, *version)

    groups = (list(group) for _, group in groupby(versions, itemgetter(0)))
    with closing(run_parallel(delete, groups, WORKERS)) as results:
        for _ in results:
            pass


def _batches(keys: Iterable[str], size: int) -> Iterator[list[str]]:
    source = iter(keys)
    while batch := list(islice(source, size)):
        yield batch


def _delete_singly(session: Session, bucket: str, keys: Iterable[str]) -> dict[str, Exception]:
    failures: dict[str, Exception] = {}
    for key in keys:
        try:
            session.call(session.driver.delete_object, bucket, key, None)
        except BucketNotFoundError:
            raise
        except StoreError as error:
            failures[key] = error
    return failures
