"""Deletions: of one object with its segments, and of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from urllib.parse import quote, unquote

from cloudbridge_store.drivers.openstack.errors import AnswerError, LateError, meaning_of_status
from cloudbridge_store.drivers.openstack.listing import ask_page, exists
from cloudbridge_store.drivers.openstack.names import OWN, beside
from cloudbridge_store.drivers.openstack.segments import Segment, Segments
from cloudbridge_store.drivers.openstack.service import Service
from cloudbridge_store.errors import BucketNotFoundError, ForeignAnswerError, StoreError

_WORKERS = 8
_SMALL_BATCH = 1000
_LONGEST_LINE = 2048
"""Characters in a line; Swift refuses a whole batch for one of twice the longest path that it takes, unquoted."""


def delete_object(service: Service, segments: Segments, bucket: str, key: str, version: str | None) -> None:
    """Delete an object, and then its segments; a missing one is fine, a missing container is not."""
    gone = segments.of(bucket, key, version)
    query = {"version-id": version} if version is not None else None
    answer = service.send("DELETE", bucket, key, query=query, ok=(404,))
    if answer.status == HTTPStatus.NOT_FOUND and not exists(service, bucket):
        raise BucketNotFoundError("there is no such bucket", bucket=bucket, key=key, status=404)
    if version is None:
        segments.remove(bucket, gone, key)
    else:
        segments.delete([(each.bucket, each.key) for each in gone])


def delete_objects(service: Service, segments: Segments, bucket: str, keys: Sequence[str]) -> Mapping[str, Exception]:
    """Delete objects and return the error of each that was refused; in one request where the service takes batches."""
    if not service.has("bulk_delete"):
        return _one_by_one(service, segments, bucket, keys)
    if not exists(service, bucket):
        raise BucketNotFoundError("there is no such bucket", bucket=bucket, status=404)
    gone = _segments_of(segments, bucket, keys)
    long = [key for key in keys if len(_line(bucket, key)) > _LONGEST_LINE]
    plain = [key for key in keys if len(_line(bucket, key)) <= _LONGEST_LINE]
    size = min(_SMALL_BATCH, service.limit("bulk_delete", "max_deletes_per_request", _SMALL_BATCH))
    refused = dict(_one_by_one(service, segments, bucket, long))
    for at in range(0, len(plain), size):
        refused |= _batch(service, bucket, plain[at : at + size])
    # The token ended in the middle of a batch, which says so of each name: by itself each goes with another token.
    expired = [key for key, error in refused.items() if getattr(error, "status", None) == HTTPStatus.UNAUTHORIZED]
    for key in expired:
        del refused[key]
    refused |= _one_by_one(service, segments, bucket, expired)
    done = gone.keys() - refused.keys()
    segments.remove(bucket, [each for key in done for each in gone[key]], *done)
    return refused


def _segments_of(segments: Segments, bucket: str, keys: Sequence[str]) -> dict[str, list[Segment]]:
    """Return the segments of those objects that have some: a batch deletes manifests without asking."""
    if not segments.may_be(bucket):
        return {}
    with ThreadPoolExecutor(_WORKERS, "cloudbridge-delete") as pool:
        found = zip(keys, pool.map(lambda key: segments.of(bucket, key), keys), strict=True)
        return {key: each for key, each in found if each}


def _one_by_one(service: Service, segments: Segments, bucket: str, keys: Sequence[str]) -> Mapping[str, Exception]:
    def delete(key: str) -> Exception | None:
        try:
            delete_object(service, segments, bucket, key, None)
        except AnswerError as error:
            if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status in (401, 429, 498):
                raise  # of all, not of this one: the call is repeated
            return error
        return None

    with ThreadPoolExecutor(_WORKERS, "cloudbridge-delete") as pool:
        return {key: error for key, error in zip(keys, pool.map(delete, keys), strict=True) if error is not None}


def _batch(service: Service, bucket: str, keys: Sequence[str]) -> dict[str, Exception]:
    answer = service.send(
        "POST",
        query={"bulk-delete": "true"},
        headers={"Content-Type": "text/plain", "Accept": "application/json"},
        body="\n".join(_line(bucket, key) for key in keys).encode(),
    )
    found = answer.json()
    if not isinstance(found, dict) or "Response Status" not in found:
        raise ForeignAnswerError("the answer to a batch of deletions says nothing about them", status=answer.status)
    refused: dict[str, Exception] = {}
    for name, status in found.get("Errors", ()):
        key = unquote(name).lstrip("/").partition("/")[2]
        refused[key] = _refusal(bucket, key, str(status))
    status = int(str(found["Response Status"]).split()[0])
    # It ends before its time where something goes wrong in its middle; of what it did not come to it says nothing.
    reached = sum(int(found.get(name, 0)) for name in ("Number Deleted", "Number Not Found")) + len(refused)
    if status >= HTTPStatus.BAD_REQUEST and reached < len(keys):
        raise AnswerError("POST", bucket, None, status, answer.headers, str(found.get("Response Body", "")).encode())
    return refused


def _line(bucket: str, key: str) -> str:
    return f"{quote(bucket, safe='')}/{quote(key)}"


def _refusal(bucket: str, key: str, text: str) -> StoreError:
    status = int(text.split(maxsplit=1)[0]) if text[:3].isdecimal() else None
    meaning = meaning_of_status(status or HTTPStatus.INTERNAL_SERVER_ERROR)
    return meaning.error(text, bucket=bucket, key=key, status=status, hint=meaning.hint)


def delete_bucket(service: Service, segments: Segments, bucket: str) -> None:
    """Delete an empty container, and what this library has beside it: it belongs to no object any more."""
    try:
        service.send("DELETE", bucket)
    except AnswerError as error:
        if (
            error.status == HTTPStatus.CONFLICT
            and not segments.keeps_versions(bucket)
            and not ask_page(service, bucket, 1)
        ):
            raise LateError("DELETE", bucket, None, error.status, error.headers, error.body) from error
        raise
    if not segments.may_be(bucket):
        return
    segments.clear(bucket, OWN)
    service.send("DELETE", beside(bucket), ok=(404, 409))
    segments.forget(bucket)
