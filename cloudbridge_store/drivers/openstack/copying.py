"""Copies within the service."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

from cloudbridge_store.drivers.base import GiB, ObjectInfo, PutOptions, ReadOptions, Stored
from cloudbridge_store.drivers.openstack.errors import AnswerError, reworded
from cloudbridge_store.drivers.openstack.listing import MAX_PAGE, ask_page
from cloudbridge_store.drivers.openstack.segments import SEGMENTS, Segment, Segments, beside
from cloudbridge_store.drivers.openstack.service import Service
from cloudbridge_store.drivers.openstack.translate import (
    conditions,
    describing,
    etag_of,
    is_static,
    object_info,
    stored,
)
from cloudbridge_store.drivers.openstack.uploads import put_manifest
from cloudbridge_store.errors import (
    BucketNotFoundError,
    ObjectChangedError,
    PreconditionFailedError,
    UnsupportedOperationError,
)

LARGEST = 5 * GiB
_WORKERS = 4


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy: where from, how it was asked for, and where it goes."""

    service: Service
    segments: Segments
    bucket: str
    key: str
    asked: ReadOptions
    to_bucket: str
    to_key: str

    @property
    def _source(self) -> str:
        return f"/{quote(self.bucket, safe='')}/{quote(self.key)}"

    def run(self, headers: dict[str, str], source: ObjectInfo, options: PutOptions | None) -> Stored:
        """Copy in one request where that is possible, else segment by segment.

        :param headers: what describes the source now.
        """
        wanted = options or PutOptions(source.content_type, source.headers or {}, source.metadata or {})
        before = [] if wanted.if_none_match else self.segments.of(self.to_bucket, self.to_key)
        if source.size > self.service.limit("swift", "max_file_size", LARGEST):
            result = self._by_segments(headers, wanted)
        else:
            result = self._at_once(source, options)
        self.segments.remove(self.to_bucket, before)
        return result

    def _at_once(self, source: ObjectInfo, options: PutOptions | None) -> Stored:
        sent = {"X-Copy-From": self._source, "Content-Length": "0"}
        if options is not None:
            # Else all that describes the source comes along.
            sent |= {"X-Fresh-Metadata": "true", **describing(options), **conditions(options)}
        elif source.content_type:
            sent["Content-Type"] = source.content_type
        # The version is the source's, though it stands with the copy's name.
        query = {"version-id": self.asked.version} if self.asked.version else None
        answer = self.service.send("PUT", self.to_bucket, self.to_key, query=query, headers=sent, body=b"")
        result = stored(answer.headers)
        if source.checksums and source.etag != result.etag:
            # It was replaced between the look at it and the copy.
            raise ObjectChangedError("the source changed while it was being copied", outcome="applied")
        return result

    def _by_segments(self, headers: dict[str, str], options: PutOptions) -> Stored:
        """Copy each segment and name the copies in a manifest: manifests never share segments."""
        parts = self._parts(headers)
        self.segments.make_room(self.to_bucket, self._policy())
        start = f"{SEGMENTS}{uuid.uuid4().hex}/"
        made = [
            Segment(beside(self.to_bucket), f"{start}{at:08d}", each.etag, each.size)
            for at, each in enumerate(parts, 1)
        ]
        try:
            with ThreadPoolExecutor(_WORKERS, "cloudbridge-copy") as pool:
                list(pool.map(self._copy_segment, parts, made))
            return put_manifest(self.service, self.to_bucket, self.to_key, made, options)
        except AnswerError as error:
            if error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                self.segments.remove(self.to_bucket, made)
            raise

    def _policy(self) -> str | None:
        return self.service.send("HEAD", self.to_bucket).headers.get("x-storage-policy")

    def _parts(self, headers: dict[str, str]) -> list[Segment]:
        if is_static(headers):
            return self.segments.manifest(self.bucket, self.key, self.asked.version)
        holder, _, prefix = headers.get("x-object-manifest", "").partition("/")
        if not holder:
            raise UnsupportedOperationError("the object is too large to be copied, and has no segments")
        found: list[Segment] = []
        while page := ask_page(self.service, holder, MAX_PAGE, prefix=prefix, marker=found[-1].key if found else None):
            found += [Segment(holder, each["name"], each["hash"], int(each["bytes"])) for each in page]
        return found

    def _copy_segment(self, old: Segment, new: Segment) -> None:
        headers = {"X-Copy-From": f"/{quote(old.bucket, safe='')}/{quote(old.key)}"}
        answer = self.service.send("PUT", new.bucket, new.key, headers=headers, body=b"")
        if etag_of(answer.headers) != old.etag:
            raise ObjectChangedError("a segment of the source changed while it was being copied")


def copy(
    service: Service,
    segments: Segments,
    bucket: str,
    key: str,
    to_bucket: str,
    to_key: str,
    options: PutOptions | None,
    asked: ReadOptions,
) -> Stored:
    """Copy an object as it is now. :raises PreconditionFailedError: ``asked.if_match`` differs."""
    query = {"version-id": asked.version} if asked.version else None
    answer = service.send("HEAD", bucket, key, query=query)
    source = object_info(key, answer.headers, int(answer.header("Content-Length")))
    if asked.if_match not in (None, source.etag):
        raise PreconditionFailedError("the source has another ETag", bucket=bucket, key=key)
    headers = {name.lower(): value for name, value in answer.headers.items()}
    try:
        return Copy(service, segments, bucket, key, asked, to_bucket, to_key).run(headers, source, options)
    except AnswerError as error:
        if error.status == HTTPStatus.NOT_FOUND and error.method == "PUT":
            gone = "there is no such bucket"
            raise reworded(BucketNotFoundError, gone, error, bucket=to_bucket, key=to_key) from error
        raise
