"""Multipart uploads, as static large objects: the parts are segments, the end is their manifest.

Swift knows nothing of uploads. What stands for one is an object beside the container, in whose name and content are
the key; the parts have the upload's id and their number in their names. The id is drawn at random, so that uploads of
one key do not meet.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

from cloudbridge_store.drivers.base import (
    Body,
    KiB,
    MiB,
    ObjectInfo,
    Page,
    Part,
    PutOptions,
    Stored,
    UploadInfo,
    UploadLimits,
)
from cloudbridge_store.drivers.openstack.errors import NOT_SWIFT, AnswerError, reworded
from cloudbridge_store.drivers.openstack.expiry import expire_segments
from cloudbridge_store.drivers.openstack.names import UPLOADS, beside, head_of, mark_of, part_of, parts_of
from cloudbridge_store.drivers.openstack.segments import NEWEST, Segment, Segments, listed, manifest_etag, tidying_up
from cloudbridge_store.drivers.openstack.service import Answer, Service
from cloudbridge_store.drivers.openstack.settings import MAX_FILE, MAX_SEGMENTS, MIN_SEGMENT
from cloudbridge_store.drivers.openstack.translate import (
    describing,
    etag_of,
    is_static,
    stored,
)
from cloudbridge_store.errors import (
    ForeignAnswerError,
    IntegrityError,
    InvalidRequestError,
    UploadNotFoundError,
)

_ID = re.compile("[0-9a-f]{32}")
_MANY = 100
"""Segments from which on a manifest takes the service long, so that it is asked for a sign of life meanwhile."""
_MANIFEST = 8 * MiB
"""Bytes in a manifest, unless ``/info`` says another number."""
_ENTRY = KiB
"""Most bytes that a segment takes in a manifest: a container's name of 256 bytes, spelt out, and what is around it."""
_MOST_ALIVE = 10_000
_DOUBT = 300.0
"""Seconds that a service may work on a manifest whose sender has gone."""
_log = logging.getLogger("cloudbridge_store")


class Doubt(NamedTuple):
    """The end of an upload of which nobody knows whether it was carried out."""

    until: float
    """When it is out of the question that it still will be, on the monotonic clock."""
    left: Sequence[Segment]
    """What the object, once it is made, leaves behind."""


def upload_limits(service: Service) -> UploadLimits:
    """Return what ``/info`` permits, and of what it does not tell, the documented defaults."""
    least = service.limit("slo", "min_segment_size", MIN_SEGMENT)
    # A segment is an object like others, and must fit in one request.
    largest = max(service.limit("swift", "max_file_size", MAX_FILE), least)
    room = service.limit("slo", "max_manifest_size", _MANIFEST) // _ENTRY
    most = min(service.limit("slo", "max_manifest_segments", MAX_SEGMENTS), room)
    return UploadLimits(least, largest, max(most, 1), largest)


class Uploads:
    """The uploads of an account."""

    def __init__(self, service: Service, segments: Segments) -> None:
        self._service = service
        self._segments = segments
        self._lock = threading.Lock()
        self._alive: set[tuple[str, str, str]] = set()
        """Those that were seen, so that not every part asks."""
        self._doubtful: dict[tuple[str, ...], Doubt] = {}
        """Those whose end nobody answered yet."""

    def start(self, bucket: str, key: str) -> str:
        """Start an upload and return its id. :raises BucketNotFoundError:"""
        described = self._service.send("HEAD", bucket).headers
        upload_id = uuid.uuid4().hex
        if not self._segments.may_be(bucket):
            self._segments.make_room(bucket, described)
        try:
            self._segments.mark(bucket, key, upload_id)
        except AnswerError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            # The container of segments is gone since it was seen.
            self._segments.make_room(bucket, described)
            self._segments.mark(bucket, key, upload_id)
        self._remember(bucket, key, upload_id)
        return upload_id

    def _remember(self, bucket: str, key: str, upload_id: str) -> None:
        with self._lock:
            if len(self._alive) >= _MOST_ALIVE:
                self._alive.clear()
            self._alive.add((bucket, key, upload_id))

    def _forget(self, bucket: str, key: str, upload_id: str) -> None:
        with self._lock:
            self._alive.discard((bucket, key, upload_id))

    def require(self, bucket: str, key: str, upload_id: str) -> None:
        """Raise UploadNotFoundError where there is no such upload, or it was completed."""
        found = None
        if _ID.fullmatch(upload_id):
            found = self._service.send("HEAD", beside(bucket), mark_of(key, upload_id), ok=(404,))
        over = found is None or found.status == HTTPStatus.NOT_FOUND
        if not over and self._made_of(bucket, key, upload_id):
            # It was completed, and nobody was told, or killed before all was done.
            over = True
            self._tidy(bucket, key, upload_id)
        if over:
            self._forget(bucket, key, upload_id)
            raise UploadNotFoundError("there is no such upload, or it was completed", bucket=bucket, key=key)
        self._remember(bucket, key, upload_id)

    def _made_of(self, bucket: str, key: str, upload_id: str, *, perhaps: bool = False) -> list[Segment]:
        """Return the segments of the object that are parts of an upload: it was completed, and its mark was left.

        :param perhaps: also where the service does not tell which of several uploads of one content made it.
        """
        headers = self._service.send("HEAD", bucket, key, headers=NEWEST, ok=(404,)).headers
        if not is_static(headers):
            return []
        if self._service.preset.manifests:
            start = parts_of(upload_id)
            return [each for each in self._segments.manifest(bucket, key) if each.key.startswith(start)]
        makers = self._segments.makers(bucket, key, etag_of(headers))
        if upload_id not in makers or (len(makers) > 1 and not perhaps):
            return []
        return [Segment(beside(bucket), *each) for each in self._parts(bucket, upload_id)]

    def send_part(self, bucket: str, key: str, upload_id: str, number: int, body: Body) -> Part:
        """Store one part."""
        if (bucket, key, upload_id) not in self._alive:
            self.require(bucket, key, upload_id)
        digest = body.md5.hex()
        headers = {"ETag": digest, "Content-Type": "application/octet-stream"}
        try:
            answer = self._service.send("PUT", beside(bucket), part_of(upload_id, number), headers=headers, body=body)
        except AnswerError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            raise reworded(UploadNotFoundError, "there is no such upload", error, bucket=bucket, key=key) from error
        if (etag := etag_of(answer.headers)) != digest:
            raise IntegrityError(f"the service stored content of MD5 {etag}, {digest} was sent")
        return Part(number, digest, body.size)

    def list_parts(self, bucket: str, key: str, upload_id: str) -> list[Part]:
        """Return the parts that are stored, by number."""
        self.require(bucket, key, upload_id)
        return [Part(_number_of(name), etag, size) for name, etag, size in self._parts(bucket, upload_id)]

    def _parts(self, bucket: str, upload_id: str) -> list[tuple[str, str, int]]:
        return [(each.key, each.etag, each.size) for each in self._entries(bucket, parts_of(upload_id))]

    def _entries(self, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        """Yield all that begins with a prefix; nothing where there is no container of segments."""
        return listed(self._service, beside(bucket), prefix, ok=(404,))

    def _rivals(self, bucket: str, key: str, upload_id: str) -> list[str]:
        """Return the other unfinished uploads of a key."""
        start = mark_of(key, "")
        found = (each.key.removeprefix(start) for each in self._entries(bucket, start))
        return [each for each in found if _ID.fullmatch(each) and each != upload_id]

    def finish(self, bucket: str, key: str, upload_id: str, parts: Sequence[Part], options: PutOptions) -> Stored:
        """Make the object, then remove what is left of the upload, and of an object that was there."""
        self.require(bucket, key, upload_id)
        held = {_number_of(name): (etag, size) for name, etag, size in self._parts(bucket, upload_id)}
        least = upload_limits(self._service).min_part if len(parts) > 1 else 0
        _check_parts(held, parts, least)
        rivals = self._rivals(bucket, key, upload_id)
        before = self._segments.of(bucket, key)
        place = beside(bucket)
        # A segment without content is refused, and adds none.
        chosen = [Segment(place, part_of(upload_id, each.number), each.etag, each.size) for each in parts if each.size]
        used = {each.key for each in chosen}
        unused = [Segment(place, name, "", 0) for each in held if (name := part_of(upload_id, each)) not in used]
        upload = bucket, key, upload_id
        with self._lock:
            self._doubtful[upload] = Doubt(time.monotonic() + _DOUBT, [*unused, *before])
        try:
            if chosen:
                self._segments.record(bucket, key, upload_id, manifest_etag(chosen))
            result = put_manifest(self._service, bucket, key, chosen, options)
        except Exception as error:
            if was_refused(error):
                with self._lock:
                    self._doubtful.pop(upload, None)
            raise
        self._tidy(*upload)
        if rivals:
            self._settle(bucket, key, [upload_id, *rivals])
        return result

    def _settle(self, bucket: str, key: str, uploads: Sequence[str]) -> None:
        """Remove the segments of uploads whose object was replaced by one of them before that could see it.

        What has no mark any more was stored. So whoever is asked for after that is the last; of two that end together,
        at least the second sees both. Where no object is seen, it may be one that is not seen everywhere yet.
        """
        lost: list[str] = []
        with tidying_up(bucket):
            over = [each for each in uploads if self._is_gone(beside(bucket), mark_of(key, each))]
            if over and not self._is_gone(bucket, key):
                lost = [each for each in over if not self._made_of(bucket, key, each, perhaps=True)]
        for each in lost:
            self._segments.sweep_lost(bucket, key, each)

    def _is_gone(self, bucket: str, key: str) -> bool:
        return self._service.send("HEAD", bucket, key, headers=NEWEST, ok=(404,)).status == HTTPStatus.NOT_FOUND

    def _tidy(self, bucket: str, key: str, upload_id: str) -> None:
        """Remove what is left when the object is made."""
        with self._lock:
            doubt = self._doubtful.pop((bucket, key, upload_id), None)
        self._segments.remove(bucket, doubt.left if doubt is not None else (), key)
        self._unmark(bucket, key, upload_id)

    def _is_doubtful(self, *upload: str) -> bool:
        """Say whether the manifest of an upload may still be on its way: nobody answered."""
        now = time.monotonic()
        with self._lock:
            self._doubtful = {each: doubt for each, doubt in self._doubtful.items() if doubt.until > now}
            return upload in self._doubtful

    def _unmark(self, bucket: str, key: str, upload_id: str) -> None:
        self._forget(bucket, key, upload_id)
        self._segments.sweep(bucket, [mark_of(key, upload_id)])

    def abort(self, bucket: str, key: str, upload_id: str) -> None:
        """Discard an upload; one that is gone is fine. What an object consists of is not discarded.

        Nor is what it may consist of in a moment: the upload stays, and is listed, until that is out of the question.
        """
        self._forget(bucket, key, upload_id)
        if self._is_doubtful(bucket, key, upload_id):
            _log.warning("upload %s of %s/%s stays: its end may still be carried out", upload_id, bucket, key)
            return
        if not _ID.fullmatch(upload_id):
            return
        mark = beside(bucket), mark_of(key, upload_id)
        if self._service.send("HEAD", *mark, ok=(404,)).status == HTTPStatus.NOT_FOUND:
            return
        kept = {each.key for each in self._made_of(bucket, key, upload_id, perhaps=True)}
        names = [name for name, _, _ in self._parts(bucket, upload_id) if name not in kept]
        self._segments.delete([(beside(bucket), name) for name in names])
        if not kept:
            self._segments.forget_record(bucket, key, upload_id)
        # The mark last: what is left of an abortion that failed is aborted next time.
        self._segments.delete([mark])

    def list(self, bucket: str, prefix: str, limit: int, token: str | None) -> Page[UploadInfo]:
        """List unfinished uploads by key. There are few, so that they are sorted here: names have them otherwise."""
        self._service.send("HEAD", bucket)
        found = []
        for entry in self._entries(bucket, UPLOADS + head_of(prefix)):
            name, _, upload_id = entry.key.removeprefix(UPLOADS).rpartition("/")
            if not _ID.fullmatch(upload_id):
                continue
            key = name if entry.size == len(name.encode()) else self._whole_key(bucket, entry.key)
            if key.startswith(prefix):
                found.append((key.encode(), upload_id, UploadInfo(upload_id, key, entry.modified)))
        found.sort(key=lambda each: each[:2])
        position = token or ""
        items = [each for each in found if f"{each[0].hex()}/{each[1]}" > position] if position else found
        page = items[:limit]
        more = f"{page[-1][0].hex()}/{page[-1][1]}" if len(items) > limit else None
        return Page([each[2] for each in page], more)

    def _whole_key(self, bucket: str, mark: str) -> str:
        return self._service.send("GET", beside(bucket), mark).body.decode()


def _check_parts(held: Mapping[int, tuple[str, int]], parts: Sequence[Part], least: int) -> None:
    for part in parts:
        if part.size < least and part is not parts[-1]:
            raise InvalidRequestError(f"part {part.number} of {part.size} bytes is too small and not the last")
        # A listing may be late. The service looks at each segment itself.
        if part.number in held and held[part.number] != (part.etag, part.size):
            raise InvalidRequestError(f"part {part.number} has another ETag")


def _number_of(name: str) -> int:
    return int(name.rpartition("/")[2])


def was_refused(error: Exception) -> bool:
    """Say whether an exception of :func:`put_manifest` is certain that there is no object made of the segments."""
    return isinstance(error, (AnswerError, InvalidRequestError)) and (error.status or 0) < 500  # noqa: PLR2004


def put_manifest(service: Service, bucket: str, key: str, segments: Sequence[Segment], options: PutOptions) -> Stored:
    """Make an object of segments. The service compares each with its ETag and size.

    :raises InvalidRequestError: one is missing, or another.
    """
    headers = describing(options)
    if not segments:
        return stored(service.send("PUT", bucket, key, headers=headers, body=b"").headers)
    expire_segments(service, segments, headers)
    manifest = [{"path": f"/{each.bucket}/{each.key}", "etag": each.etag, "size_bytes": each.size} for each in segments]
    expected = manifest_etag(segments)
    query = {"multipart-manifest": "put"}
    if len(segments) > _MANY and "yield_frequency" in service.info.get("slo", {}):
        query["heartbeat"] = "on"
        headers["Accept"] = "application/json"
    try:
        answer = service.send("PUT", bucket, key, query=query, headers=headers, body=json.dumps(manifest).encode())
        # Services older than signs of life pass over the wish for them, and answer as ever.
        etag = _late_etag(answer, bucket, key) if answer.status == HTTPStatus.ACCEPTED else etag_of(answer.headers)
    except AnswerError as error:
        missing = error.status == HTTPStatus.NOT_FOUND and "NoSuchKey" in error.reason  # as Ceph says it
        if error.status == HTTPStatus.BAD_REQUEST or missing:
            raise reworded(InvalidRequestError, f"segments differ: {error.reason}", error) from error
        raise
    if etag != expected:
        raise IntegrityError(f"the object has the ETag {etag}, its parts make {expected}", outcome="applied")
    return Stored(etag, answer.headers.get("x-object-version-id"), {})


def _late_etag(answer: Answer, bucket: str, key: str) -> str:
    """Return the ETag of an answer whose status comes at its end."""
    found = answer.json()
    said = str(found.get("Response Status", "")) if isinstance(found, dict) else ""
    if not said[:3].isdecimal():
        raise ForeignAnswerError("the answer to a manifest says nothing about it", status=answer.status, hint=NOT_SWIFT)
    status = int(said[:3])
    if status >= HTTPStatus.BAD_REQUEST:
        raise AnswerError("PUT", bucket, key, status, answer.headers, json.dumps(found.get("Errors", [])).encode())
    return str(found.get("Etag", "")).strip('"')
