"""Copies within the service."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote

from cloudbridge_store.drivers.base import READ_ALL, GiB, MiB, ObjectInfo, PutOptions, ReadOptions, Stored
from cloudbridge_store.drivers.openstack.addresses import Place, account_url, place_of
from cloudbridge_store.drivers.openstack.dynamic import size_of
from cloudbridge_store.drivers.openstack.errors import AnswerError, classify, reworded
from cloudbridge_store.drivers.openstack.listing import exists
from cloudbridge_store.drivers.openstack.names import beside, part_of
from cloudbridge_store.drivers.openstack.segments import Segment, Segments, manifest_etag
from cloudbridge_store.drivers.openstack.service import Answer, Service
from cloudbridge_store.drivers.openstack.translate import describing, etag_of, is_static, object_info, quoted, stored
from cloudbridge_store.drivers.openstack.uploads import put_manifest, upload_limits, was_refused
from cloudbridge_store.errors import (
    BucketNotFoundError,
    IntegrityError,
    InvalidRequestError,
    ObjectChangedError,
    PermissionDeniedError,
    PreconditionFailedError,
    QuotaExceededError,
    UnsupportedOperationError,
)

LARGEST = GiB
"""Bytes that one request copies: the service says nothing until it is done."""
STEP = 512 * MiB
_SMALL = 100 * MiB
"""Bytes that every service stores in one request, so that its limits are not asked for."""
_WORKERS = 4
_ACL = (
    "Its owner lets you by the read ACL of its container, X-Container-Read: <your project's id>:<your user's id>, or "
    "<account>:<user>; segments of a large object are in a container of their own, which needs the same"
)


class Piece(NamedTuple):
    """What becomes one segment of a copy."""

    bucket: str
    key: str
    etag: str
    """What it is fetched on condition of: of a range its object's."""
    size: int
    start: int | None = None
    """Of a range, in its object."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy: what the source is now, how it was asked for, and where it goes.

    A copy shares no segment with its source, so that each can be deleted.
    """

    service: Service
    segments: Segments
    bucket: str
    source: ObjectInfo
    asked: ReadOptions
    to_bucket: str
    to_key: str
    expires: str | None
    """When the source does, which its copy does as well, unless it is described anew."""
    static: bool = False
    """The source is a static large object."""
    account: str | None = None
    """The source's, where it is not our own."""

    def run(self, options: PutOptions | None) -> Stored:
        """Copy in one request where that is possible, else piece by piece.

        :raises UnsupportedOperationError: the service would copy no content of a large object.
        """
        pieces = self._pieces()
        before = self.segments.of(self.to_bucket, self.to_key)
        result = self._by_pieces(pieces, options or self._as_source()) if pieces else self._at_once(options)
        self.segments.remove(self.to_bucket, before, self.to_key)
        return result

    def _pieces(self) -> Sequence[Piece]:
        """Return what to copy piece by piece; nothing where one request does."""
        if not self.service.preset.ranged_copy:
            return self._known() if self.static else ()
        return (self._named() if self.static else ()) or self._ranges()

    def _named(self) -> Sequence[Piece]:
        """Return what a manifest names; nothing where it names parts of something, or what is large itself.

        A copy made at once would be a plain object that Swift compares conditions of reads with the source's ETag for.
        """
        if self.account is not None:
            return ()
        found = self.segments.manifest(self.bucket, self.source.key, self.asked.version, whole=True)
        if manifest_etag(found) != self.source.etag or any(each.size > LARGEST for each in found):
            return ()
        return [Piece(*each) for each in found]

    def _ranges(self) -> Sequence[Piece]:
        size = self.source.size
        if size <= min(_SMALL, LARGEST):
            return ()
        limits = upload_limits(self.service)
        if size <= min(LARGEST, limits.max_put):
            return ()
        step = min(max(STEP, limits.min_part, -(-size // limits.max_parts)), limits.max_part)
        if size > step * limits.max_parts:
            raise QuotaExceededError(f"{size} bytes are more than {limits.max_parts} segments of {step} bytes can hold")
        key, etag = self.source.key, self.source.etag
        return [Piece(self.bucket, key, etag, min(step, size - at), at) for at in range(0, size, step)]

    def _known(self) -> Sequence[Piece]:
        key, etag = self.source.key, self.source.etag
        known = self.segments.behind(self.bucket, key, etag) if self.account is None else ()
        if not known:
            reason = "this service copies the manifest of a large object, and does not tell what is in it"
            raise UnsupportedOperationError(reason, hint="Download it, and upload it again")
        return [Piece(*each) for each in known]

    def _as_source(self) -> PutOptions:
        source = self.source
        extra = {"X-Delete-At": self.expires} if self.expires else {}
        return PutOptions(source.content_type, source.headers or {}, source.metadata or {}, extra=extra)

    def _send(self, piece: Piece, bucket: str, key: str, headers: dict[str, str]) -> Stored:
        """Have the service fetch the source, if it is still the same, and store it."""
        given = {
            "X-Copy-From": f"/{quote(piece.bucket, safe='')}/{quote(piece.key)}",
            "If-Match": quoted(piece.etag),
            **({"X-Copy-From-Account": quote(self.account, safe="")} if self.account is not None else {}),
            **headers,
        }
        own = (piece.bucket, piece.key) == (self.bucket, self.source.key)
        query = {"version-id": self.asked.version} if self.asked.version and own else None
        try:
            answer = self.service.send("PUT", bucket, key, query=query, headers=given, body=b"")
        except AnswerError as error:
            if error.status != HTTPStatus.PRECONDITION_FAILED or not self._is_same(piece, query):
                raise
            del given["If-Match"]
            answer = self.service.send("PUT", bucket, key, query=query, headers=given, body=b"")
        return stored(answer.headers)

    def _is_same(self, piece: Piece, query: Mapping[str, str] | None) -> bool:
        """Say whether what a condition refused is what it was for, after all; what is copied whole is compared again.

        A plain object that was made of a large one has that one's ETag to Swift, where it looks at conditions.
        """
        if piece.start is not None:
            return False
        url = account_url(self.service, self.account)
        answer = self.service.send("HEAD", piece.bucket, piece.key, query=query, url=url, ok=(404,))
        return answer.status != HTTPStatus.NOT_FOUND and etag_of(answer.headers) == piece.etag

    def _at_once(self, options: PutOptions | None) -> Stored:
        headers = {}
        if options is not None:
            # Else all that describes the source comes along.
            headers = {"X-Fresh-Metadata": "true", **describing(options)}
        elif self.source.content_type:
            headers = {"Content-Type": self.source.content_type}
        whole = Piece(self.bucket, self.source.key, self.source.etag, self.source.size)
        result = self._send(whole, self.to_bucket, self.to_key, headers)
        if self.source.checksums and self.source.etag != result.etag:
            # Not every service looks at the condition.
            raise ObjectChangedError("the source changed while it was being copied", outcome="applied")
        if self.static and not self._has_content():
            reason = "the service copied the manifest of a large object, and not its content"
            hint = "If it is Ceph, say so by os_preset='ceph-swift': then nothing is replaced"
            raise IntegrityError(reason, outcome="applied", hint=hint)
        return result

    def _has_content(self) -> bool:
        headers = self.service.send("HEAD", self.to_bucket, self.to_key).headers
        return headers.get("content-length") == str(self.source.size) and not is_static(headers)

    def _by_pieces(self, pieces: Sequence[Piece], options: PutOptions) -> Stored:
        self.segments.make_room(self.to_bucket, self.service.send("HEAD", self.to_bucket).headers)
        made_by, target = uuid.uuid4().hex, (self.to_bucket, self.to_key)
        names = [part_of(made_by, number) for number in range(1, len(pieces) + 1)]
        asked = False
        try:
            with ThreadPoolExecutor(_WORKERS, "cloudbridge-copy") as pool:
                made = list(pool.map(self._copy_piece, names, pieces))
            etag = manifest_etag(made)
            names += self.segments.notes_of_copy(self.to_key, made_by, etag)
            self.segments.announce_copy(*target, made_by, etag)
            asked = True
            result = put_manifest(self.service, *target, made, options)
        except Exception as error:
            # Where nobody answered the manifest, the object may consist of them by now.
            if not asked or was_refused(error):
                self.segments.sweep(self.to_bucket, names)
            raise
        self.segments.finish_copy(*target, made_by)
        return result

    def _copy_piece(self, name: str, piece: Piece) -> Segment:
        headers = {"X-Fresh-Metadata": "true", "Content-Type": "application/octet-stream"}
        if piece.start is not None:
            headers["Range"] = f"bytes={piece.start}-{piece.start + piece.size - 1}"
        answer = self.service.step(lambda: self._send(piece, beside(self.to_bucket), name, headers))
        if piece.start is None and answer.etag != piece.etag:
            raise ObjectChangedError("a segment of the source changed while it was being copied")
        # The manifest compares size and ETag.
        return Segment(beside(self.to_bucket), name, answer.etag, piece.size)


def copy(
    service: Service, segments: Segments, source: Place, target: Place, options: PutOptions | None, asked: ReadOptions
) -> Stored:
    """Copy an object as it is now.

    :param target: in our own account.
    :raises PreconditionFailedError: ``asked.if_match`` differs.
    """
    return _copy(service, segments, source, _look(service, source, asked), target, options, asked)


def copy_url(service: Service, segments: Segments, url: str, target: Place, options: PutOptions) -> Stored:
    """Copy what an address in this object store names, of another account where that lets us read it.

    :raises PermissionDeniedError: it does not. :raises InvalidRequestError: there is no such object.
    :raises UnsupportedOperationError: the address leads elsewhere.
    """
    source = place_of(service, url)
    try:
        found = _look(service, source, READ_ALL)
    except AnswerError as error:
        failure = classify(error)
        if failure is None or not issubclass(failure.error, (FileNotFoundError, PermissionDeniedError)):
            raise
        if issubclass(failure.error, FileNotFoundError):
            # Of no class for what is missing: that is for the target.
            raise reworded(InvalidRequestError, "there is no object at the address", error) from error
        raise reworded(
            PermissionDeniedError, "the source's account does not let us read it", error, hint=_ACL
        ) from error
    return _copy(service, segments, source, found, target, options, READ_ALL)


def _look(service: Service, source: Place, asked: ReadOptions) -> Answer:
    query = {"version-id": asked.version} if asked.version else None
    return service.send("HEAD", source.bucket, source.key, query=query, url=account_url(service, source.account))


def _describe(service: Service, source: Place, found: Answer) -> ObjectInfo:
    info = object_info(source.key, found.headers, size_of(service, found, account_url(service, source.account)))
    if str(info.size) != found.headers.get("content-length"):
        reason = "Swift copies no dynamic large object of more segments than a page of a listing has"
        raise UnsupportedOperationError(reason, hint="Download it, and upload it again")
    return info


def _copy(
    service: Service,
    segments: Segments,
    source: Place,
    found: Answer,
    target: Place,
    options: PutOptions | None,
    asked: ReadOptions,
) -> Stored:
    info = _describe(service, source, found)
    if asked.if_match not in (None, info.etag):
        raise PreconditionFailedError("the source has another ETag", bucket=source.bucket, key=source.key)
    to = (target.bucket, target.key)
    expires, static = found.headers.get("x-delete-at"), is_static(found.headers)
    try:
        return Copy(service, segments, source.bucket, info, asked, *to, expires, static, source.account).run(options)
    except AnswerError as error:
        meant = _meant(error, service, source, target, static=static)
        raise meant from meant.__cause__


def _meant(error: AnswerError, service: Service, source: Place, target: Place, *, static: bool) -> Exception:
    """Return what the refusal of a copy means: the answer does not say whether it is about the source or the target."""
    if error.method != "PUT":
        return error
    here, there = {"bucket": source.bucket, "key": source.key}, {"bucket": target.bucket, "key": target.key}
    if error.status == HTTPStatus.NOT_FOUND:
        if exists(service, target.bucket):
            gone = "the source, or the container of segments, was deleted while it was being copied"
            return reworded(ObjectChangedError, gone, error, **here)
        return reworded(BucketNotFoundError, "there is no such bucket", error, **there)
    if error.status == HTTPStatus.PRECONDITION_FAILED:
        return reworded(ObjectChangedError, "the source changed while it was being copied", error, **here)
    if static and source.account is not None and error.status == HTTPStatus.CONFLICT:
        # So Swift answers where it may read a manifest for us, and not what that names.
        unread = "the source's account does not let us read its segments"
        return reworded(PermissionDeniedError, unread, error, hint=_ACL)
    return error
