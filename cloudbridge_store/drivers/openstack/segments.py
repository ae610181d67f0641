"""Large objects: the segments below a manifest, where they are, and when they go.

Whatever replaces or deletes a large object removes its segments afterwards: a reader sees the old object or the new
one. If that fails, what stays costs room and nothing else.

Where a service does not tell what a large object consists of, a record beside the container does, written before the
object is made. It counts for as long as the object has the ETag that is in it. Two uploads of the same content make the
same ETag: then either may be what the object consists of, and both count, but none while the mark of an unfinished
upload is there. A copy has one, too, while its object is made: whatever then replaces an object of the same content
leaves the copy's segments alone.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote

from cloudbridge_store.drivers.base import ObjectInfo
from cloudbridge_store.drivers.openstack.errors import NOT_SWIFT, classify
from cloudbridge_store.drivers.openstack.listing import describe, entries_of
from cloudbridge_store.drivers.openstack.names import (
    LONGEST_BUCKET,
    OWN,
    SUFFIX,
    beside,
    mark_of,
    parts_of,
    record_of,
    records_of,
)
from cloudbridge_store.drivers.openstack.service import Service
from cloudbridge_store.drivers.openstack.translate import etag_of, is_static
from cloudbridge_store.errors import ForeignAnswerError, StoreError

_MEMORY = 10.0
"""Seconds that a container is believed to have no large objects, after the service said so, or to have objects that are
being replaced."""
_MOST_KNOWN = 10_000
_ATTEMPTS = 3
_WORKERS = 8
_ONE_UPLOAD = re.compile(r"\d+\.\d+/\d+/\d*/")
"""What python-swiftclient puts behind the key of a dynamic large object: when its file was changed, the file's size,
and the size of a segment."""
_log = logging.getLogger("cloudbridge_store")


NEWEST = {"X-Newest": "true"}
"""Has Swift ask all of its servers what an object is, and not the first that answers: for what is not to be deleted."""
READ_ACL = "X-Container-Read"
ANONYMOUS = (".r:", ".ref:", ".referer:", ".referrer:")
"""All the spellings by which Swift lets somebody read who says nothing but where they come from."""


def acl_of(headers: Mapping[str, str]) -> list[str]:
    """Return who may read a container."""
    return [each.strip() for each in headers.get(READ_ACL, "").split(",") if each.strip()]


class Segment(NamedTuple):
    """One segment of a manifest."""

    bucket: str
    key: str
    etag: str
    size: int


def manifest_etag(segments: Sequence[Segment]) -> str:
    """Return the ETag that an object of these segments has."""
    return hashlib.md5("".join(each.etag for each in segments).encode(), usedforsecurity=False).hexdigest()


def listed(
    service: Service, bucket: str, prefix: str, url: str | None = None, *, ok: Collection[int] = ()
) -> Iterator[ObjectInfo]:
    """Yield all in a container whose names begin with a prefix, from all pages.

    :param url: address of its account, where it is not our own.
    :param ok: 404, where a container that is not there has none.
    """
    query = {"format": "json", "prefix": prefix}
    while True:
        answer = service.send("GET", bucket, query=query, url=url, ok=ok)
        found = [] if answer.status == HTTPStatus.NOT_FOUND else [describe(each) for each in entries_of(answer)]
        if not found:
            return
        if found[-1].key <= query.get("marker", ""):
            raise ForeignAnswerError("the listing begins again and again", bucket=bucket, hint=NOT_SWIFT)
        yield from found
        query["marker"] = found[-1].key


def below(
    service: Service, bucket: str, prefix: str, url: str | None = None, *, ok: Collection[int] = ()
) -> Iterator[Segment]:
    """Yield what :func:`listed` does, as segments."""
    return (Segment(bucket, each.key, each.etag, each.size) for each in listed(service, bucket, prefix, url, ok=ok))


@contextmanager
def tidying_up(bucket: str) -> Iterator[None]:
    """Do what is no failure where it fails, as what was asked for is done: that is logged.

    :raises Exception: it is a mistake of ours.
    """
    try:
        yield
    except Exception as error:
        if not isinstance(error, (StoreError, OSError)) and classify(error) is None:
            raise
        _log.warning("segments in %s were left behind: %s", beside(bucket), error)


class Segments:
    """What is known of the segments of an account."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._none_until: dict[str, float] = {}
        self._there: set[str] = set()
        self._owed: dict[tuple[str, str], list[Segment]] = {}
        """Segments that objects had when they were to be replaced or deleted, until that was answered."""
        self._guesses: dict[str, tuple[float, bool]] = {}
        """Until when a container's writes are tried on condition that they replace nothing, or are not."""

    def may_be(self, bucket: str) -> bool:
        """Say whether a container may have large objects whose segments are beside it."""
        if len(bucket.encode()) + len(SUFFIX) > LONGEST_BUCKET:
            return False
        if bucket in self._there:
            return True
        if self._none_until.get(bucket, 0.0) > time.monotonic():
            return False
        found = self._service.send("HEAD", beside(bucket), ok=(404,)).status != HTTPStatus.NOT_FOUND
        with self._lock:
            if len(self._there) + len(self._none_until) >= _MOST_KNOWN:
                self._there.clear()
                self._none_until.clear()
                self._guesses.clear()
            if found:
                self._there.add(bucket)
            else:
                self._none_until[bucket] = time.monotonic() + _MEMORY
        return found

    def expects_nothing(self, bucket: str, key: str) -> bool:
        """Say whether a write is best tried on condition that it replaces nothing, as then no segments have to go.

        Not where a container keeps versions: what is refused then becomes one.
        """
        if not self.may_be(bucket) or (bucket, key) in self._owed or not self._service.keeps_conditions:
            return False
        until, best = self._guesses.get(bucket, (0.0, False))
        if until < time.monotonic():
            best = not self.keeps_versions(bucket)
            self._guess(bucket, best)
        return best

    def expect_something(self, bucket: str) -> None:
        """Have the next writes to a container asked for what they replace: one did replace something, or may have."""
        self._guess(bucket, False)

    def _guess(self, bucket: str, best: bool) -> None:
        with self._lock:
            self._guesses[bucket] = time.monotonic() + _MEMORY, best

    def make_room(self, bucket: str, described: Mapping[str, str]) -> None:
        """Create the container of a container's segments, where it is not there.

        :param described: headers of the container: both are in one storage policy, and public or not.
        """
        place, policy = beside(bucket), described.get("x-storage-policy")
        if self._service.send("HEAD", place, ok=(404,)).status == HTTPStatus.NOT_FOUND:
            public = [each for each in acl_of(described) if each.startswith(ANONYMOUS)]
            headers = {READ_ACL: ",".join(public)} if public else {}
            chosen = {"X-Storage-Policy": policy} if policy else {}
            answer = self._service.send("PUT", place, headers={**headers, **chosen}, ok=(400,) if chosen else ())
            if answer.status == HTTPStatus.BAD_REQUEST:
                # In a policy that is deprecated, no container can be created any more.
                self._service.send("PUT", place, headers=headers)
        with self._lock:
            self._there.add(bucket)

    def forget(self, bucket: str) -> None:
        """Know nothing of a container any more."""
        with self._lock:
            self._there.discard(bucket)
            self._none_until.pop(bucket, None)
            self._guesses.pop(bucket, None)

    def of(self, bucket: str, key: str, version: str | None = None) -> list[Segment]:
        """Return the segments of an object that go with it: those beside its container. None of a plain object.

        Those that a write or deletion was to remove are among them, if nobody answered whether it was carried out.
        """
        if not self.may_be(bucket):
            return []
        found = self.now(bucket, key, version)
        if version is not None:
            return found
        with self._lock:
            found += [each for each in self._owed.get((bucket, key), ()) if each not in found]
            if own := [each for each in found if each.key.startswith(OWN)]:
                if len(self._owed) >= _MOST_KNOWN:
                    self._owed.clear()
                self._owed[bucket, key] = own
        return found

    def now(self, bucket: str, key: str, version: str | None = None) -> list[Segment]:
        """Return the segments beside its container that an object consists of, as the service tells it now."""
        answer = self._service.send("HEAD", bucket, key, query=_version(version), ok=(404,))
        if not is_static(answer.headers):
            return self._dynamic(bucket, key, answer.headers.get("x-object-manifest", ""))
        if not self._service.preset.manifests:
            return self._recorded(bucket, key, etag_of(answer.headers))
        return [each for each in self.manifest(bucket, key, version) if each.bucket == beside(bucket)]

    def _dynamic(self, bucket: str, key: str, manifest: str) -> list[Segment]:
        """Return the segments of a dynamic large object, where their names say that they are nobody else's.

        It consists of all that begins with a prefix. python-swiftclient's tell uploads of a key apart; below a shorter
        one, such as the key and a slash, are those of other objects, whose keys begin so.
        """
        holder, _, prefix = unquote(manifest).partition("/")
        start = f"{key}/"
        if holder != beside(bucket) or not prefix.startswith(start) or not _ONE_UPLOAD.fullmatch(prefix, len(start)):
            return []
        return list(self._listed(bucket, prefix))

    def _listed(self, bucket: str, prefix: str) -> Iterator[Segment]:
        """Yield all beside a container whose names begin with a prefix."""
        return below(self._service, beside(bucket), prefix, ok=(404,))

    def record(self, bucket: str, key: str, upload_id: str, etag: str) -> None:
        """Write down that an upload is about to make an object of an ETag, where the service would not tell."""
        if not self._service.preset.manifests:
            self._service.send("PUT", beside(bucket), record_of(key, upload_id, etag), body=key.encode())

    def mark(self, bucket: str, key: str, upload_id: str) -> None:
        """Store what stands for an unfinished upload: until it is gone, its segments are nobody's but the upload's."""
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        self._service.send("PUT", beside(bucket), mark_of(key, upload_id), headers=headers, body=key.encode())

    def notes_of_copy(self, key: str, made_by: str, etag: str) -> Sequence[str]:
        """Return the names of what :meth:`announce_copy` stores."""
        return () if self._service.preset.manifests else (mark_of(key, made_by), record_of(key, made_by, etag))

    def announce_copy(self, bucket: str, key: str, made_by: str, etag: str) -> None:
        """Write down that a copy is about to make an object of an ETag, where the service would not tell.

        Its mark comes first, and goes when the object is made: :meth:`finish_copy`.
        """
        if not self._service.preset.manifests:
            self.mark(bucket, key, made_by)
            self.record(bucket, key, made_by, etag)

    def finish_copy(self, bucket: str, key: str, made_by: str) -> None:
        """Say that a copy's object is made."""
        if not self._service.preset.manifests:
            self.sweep(bucket, [mark_of(key, made_by)])

    def forget_record(self, bucket: str, key: str, upload_id: str) -> None:
        """Remove what :meth:`record` wrote of an upload."""
        if not self._service.preset.manifests:
            self.clear(bucket, f"{records_of(key)}{upload_id}/")

    def makers(self, bucket: str, key: str, etag: str) -> list[str]:
        """Return the uploads of which an object of this ETag may have been made, by their records."""
        start = records_of(key)
        found = (each.key.removeprefix(start).partition("/") for each in self._listed(bucket, start))
        return [upload_id for upload_id, _, made in found if made == etag]

    def behind(self, bucket: str, key: str, etag: str) -> list[Segment]:
        """Return all segments of an object of this ETag, in their order, by the records of this library.

        Nothing where there is no record, as of what other programs made.
        """
        for upload_id in self.makers(bucket, key, etag):
            found = [each for each in self._listed(bucket, parts_of(upload_id)) if each.size]
            if manifest_etag(found) == etag:
                return found
        return []

    def _recorded(self, bucket: str, key: str, etag: str) -> list[Segment]:
        place = beside(bucket)
        found: list[Segment] = []
        for upload_id in self.makers(bucket, key, etag):
            # What is not completed yet is nobody's but the upload's.
            if self._service.send("HEAD", place, mark_of(key, upload_id), ok=(404,)).status == HTTPStatus.NOT_FOUND:
                found += self._listed(bucket, parts_of(upload_id))
                found.append(Segment(place, record_of(key, upload_id, etag), "", 0))
        return found

    def manifest(self, bucket: str, key: str, version: str | None = None, *, whole: bool = False) -> list[Segment]:
        """Return what a manifest names; nothing where there is none any more.

        :param whole: nothing also where something in it is no whole and plain object.
        """
        query = {"multipart-manifest": "get", **_version(version)}
        answer = self._service.send("GET", bucket, key, query=query, headers=NEWEST, stream=True, ok=(404,))
        if answer.stream is None:
            return []
        if not is_static(answer.headers):
            # Replaced meanwhile by a plain object, which may be large.
            answer.stream.drain()
            return []
        answer.body = answer.stream.read()
        found = []
        entries = answer.json()
        if whole and any(each.get("range") or each.get("sub_slo") or "data" in each for each in entries):
            return []
        for each in entries:
            holder, _, name = str(each.get("name", "")).lstrip("/").partition("/")
            found.append(Segment(holder, name, str(each.get("hash", "")), int(each.get("bytes", 0))))
        return found

    def remove(self, bucket: str, segments: Collection[Segment], *keys: str) -> None:
        """Delete segments that no object consists of any more. A failure is logged: what was asked for is done.

        :param keys: the objects that consisted of them, and were replaced or deleted.

        Where the container keeps versions, an older one may still consist of them.
        """
        with self._lock:
            for key in keys:
                self._owed.pop((bucket, key), None)
        if not segments:
            return
        with tidying_up(bucket):
            if not self.keeps_versions(bucket):
                self.delete([(each.bucket, each.key) for each in segments])

    def sweep_lost(self, bucket: str, key: str, upload_id: str) -> None:
        """Delete what an upload made, of which no object consists any more. A failure is logged."""
        with tidying_up(bucket):
            if not self.keeps_versions(bucket):
                self.clear(bucket, parts_of(upload_id))
                self.forget_record(bucket, key, upload_id)

    def sweep(self, bucket: str, names: Sequence[str]) -> None:
        """Delete what lies beside a container. A failure is logged: what was asked for is done."""
        with tidying_up(bucket):
            self.delete([(beside(bucket), name) for name in names])

    def clear(self, bucket: str, prefix: str) -> None:
        """Delete all beside a container that begins with a prefix."""
        self.delete([(each.bucket, each.key) for each in self._listed(bucket, prefix)])

    def keeps_versions(self, bucket: str) -> bool:
        """Say whether a container keeps versions, or did."""
        headers = self._service.send("HEAD", bucket, ok=(404,)).headers
        # Also where it says that they are not enabled any more: those that were kept are still there.
        names = ("x-versions-enabled", "x-versions-location", "x-history-location")
        return any(name in headers for name in names)

    def delete(self, names: Sequence[tuple[str, str]]) -> None:
        """Delete objects, given by container and name. :raises AnswerError: the first that was refused for good."""
        with ThreadPoolExecutor(_WORKERS, "cloudbridge-segments") as pool:
            for error in pool.map(self._delete_one, names):
                if error is not None:
                    raise error

    def _delete_one(self, name: tuple[str, str]) -> Exception | None:
        error: Exception | None = None
        for _ in range(_ATTEMPTS):
            try:
                self._service.send("DELETE", *name, ok=(404,))
            except Exception as failure:
                error = failure
            else:
                return None
        return error


def _version(version: str | None) -> dict[str, str]:
    return {"version-id": version} if version is not None else {}
