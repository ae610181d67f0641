"""Dynamic large objects of more segments than one page of a listing has.

Such an object is whatever begins with a prefix. Swift looks at one page of that before it answers: of an object that
goes on behind it, a HEAD says that it is empty, a range within the page has the page for the whole, and any other range
is answered with everything, without a length. So here the pages are added up, and the segments read one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote

from cloudbridge_store.drivers.base import Download, ReadOptions
from cloudbridge_store.drivers.http import sent_range
from cloudbridge_store.drivers.openstack.errors import AnswerError, reworded
from cloudbridge_store.drivers.openstack.segments import Segment, below
from cloudbridge_store.drivers.openstack.service import Answer, Service
from cloudbridge_store.drivers.openstack.translate import is_dynamic, object_info, quoted
from cloudbridge_store.drivers.streams import BodyStream
from cloudbridge_store.errors import IntegrityError, InvalidRangeError, ObjectChangedError

_NOT_AS_LISTED = (
    HTTPStatus.NOT_FOUND,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
)
_CHANGED = "a segment changed while the object was read"


def size_of(service: Service, answer: Answer, url: str | None = None) -> int:
    """Return the size of the object that the answer to a HEAD describes.

    :param url: address of its account, where it is not our own.
    """
    if is_dynamic(answer.headers) and answer.headers.get("content-length", "0") == "0":
        return sum(each.size for each in segments_of(service, answer.headers, url))
    return answer.length()


def segments_of(service: Service, headers: Mapping[str, str], url: str | None = None) -> list[Segment]:
    """Return what a dynamic large object consists of now, from all pages."""
    bucket, _, prefix = unquote(headers["x-object-manifest"]).partition("/")
    return list(below(service, bucket, prefix, url))


class Span(NamedTuple):
    """A part of a segment."""

    segment: Segment
    start: int
    stop: int


def spans(segments: Sequence[Segment], start: int, stop: int) -> list[Span]:
    """Return what of each segment is between two positions in the object."""
    found, at = [], 0
    for each in segments:
        first, last = max(start - at, 0), min(stop - at, each.size)
        if first < last:
            found.append(Span(each, first, last))
        at += each.size
    return found


class SegmentsStream:
    """Segments on their way, one after the other. One that was replaced meanwhile is not read.

    :param wanted: at least one byte of each.
    """

    def __init__(self, service: Service, wanted: Sequence[Span]) -> None:
        self._service = service
        self._left = list(reversed(wanted))
        self._now: BodyStream | None = None

    def readinto(self, buffer: memoryview, /) -> int:
        """Receive bytes in place; 0 only at the end. :raises ObjectChangedError: a segment was replaced or deleted."""
        while buffer:
            if self._now is not None and (count := self._now.readinto(buffer)):
                return count
            if not self._left:
                break
            self._now = self._open(self._left.pop())
        return 0

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none only at the end."""
        buffer = bytearray(size)
        return bytes(memoryview(buffer)[: self.readinto(memoryview(buffer))])

    def close(self) -> None:
        """Give up what is left."""
        self._left.clear()
        if self._now is not None:
            self._now.close()

    def _open(self, span: Span) -> BodyStream:
        segment, start, stop = span
        headers = {"Range": f"bytes={start}-{stop - 1}", "If-Match": quoted(segment.etag)}
        try:
            answer = self._service.send("GET", segment.bucket, segment.key, headers=headers, stream=True)
        except AnswerError as error:
            if error.status not in _NOT_AS_LISTED:
                raise
            raise reworded(ObjectChangedError, _CHANGED, error) from error
        assert answer.stream is not None
        try:
            sent = sent_range(answer.status, answer.length(), answer.headers.get("content-range"))
            if sent != (start, stop - start, segment.size):
                raise IntegrityError(f"of a segment's bytes {start} to {stop} the service sends {sent}")
        except BaseException:
            answer.stream.raw.close()
            raise
        return BodyStream(answer.stream.raw, stop - start)


def _knew_all(service: Service, answer: Answer) -> bool:
    """Say whether the answer to a range certainly knows of all segments; no is no more than a doubt.

    Only then it has an ETag of them all, which is quoted; else that of the manifest, which is not. With Swift's
    ``etag_quoter`` all are.
    """
    quoted_by_itself = answer.headers.get("etag", "").startswith('"')
    return quoted_by_itself and bool(service.info) and not service.has("etag_quoter")


def open_dynamic(service: Service, bucket: str, key: str, options: ReadOptions, answer: Answer) -> Download | None:
    """Read a dynamic large object by its segments; ``None`` where Swift knew all of them, and sends what it says.

    :param answer: to the GET, which looked at the conditions.
    :raises InvalidRangeError: the range begins behind the end.
    """
    assert answer.stream is not None
    announced = answer.headers.get("content-length")
    if answer.status == HTTPStatus.OK and announced is not None:
        return None
    try:
        if announced is not None:
            if _knew_all(service, answer):
                return None
            # A part of the first page. Only without a range Swift tells whether there are others.
            query = {"version-id": options.version} if options.version is not None else None
            if service.send("HEAD", bucket, key, query=query).headers.get("content-length", "0") != "0":
                return None
        found = segments_of(service, answer.headers)
        info = object_info(key, answer.headers, sum(each.size for each in found))
    except BaseException:
        answer.stream.raw.close()
        raise
    answer.stream.raw.close()
    stop = info.size if options.stop is None else min(options.stop, info.size)
    if options.start >= stop and options.start:
        raise InvalidRangeError("the range begins behind the end", bucket=bucket, key=key)
    wanted = spans(found, options.start, stop)
    return Download(info, SegmentsStream(service, wanted), options.start, stop - options.start)
