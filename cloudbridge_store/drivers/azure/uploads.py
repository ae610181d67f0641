"""Uploads in parts: blocks, which the service keeps with an object's name until a list makes an object of some.

The service knows no uploads. One is here what its blocks' names say: each name has the upload's id, the part's number,
when it was sent and its MD5, so that a part counts by its content, and the latest of a number is known. A first block
with number 0 says that the upload was started, and one with the last number that it was aborted.

What follows from how the service keeps blocks:

* Any write of the object drops all blocks of its name: it ends the other uploads of that key.
* Blocks cannot be dropped one by one. Those of an aborted upload go with the next write of that key, or a week after
  its last block; until then they cost what stored bytes cost, and nobody sees them.
* The service lists names with blocks only where there is no object of that name yet.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple
from xml.sax.saxutils import escape

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from cloudbridge_store.drivers.azure.documents import read_document
from cloudbridge_store.drivers.azure.errors import code_of, reworded
from cloudbridge_store.drivers.azure.objects import condition_failed
from cloudbridge_store.drivers.azure.service import Service
from cloudbridge_store.drivers.azure.translate import (
    asking_for,
    conditions,
    describing,
    encode_md5,
    etag_of,
    more_headers,
    stored,
)
from cloudbridge_store.drivers.base import Body, Part, PutOptions, Stored, UploadInfo
from cloudbridge_store.drivers.streams import SentStream
from cloudbridge_store.errors import InvalidRequestError, PreconditionFailedError, UploadNotFoundError

_START, _ABORT = 0, 0xFFFF
_UPLOAD_ID = re.compile("[0-9a-f]{32}")
_SIZE = 42
_FILLER = b"\0"
"""What a block that stands for no bytes holds: the service takes no empty ones."""
_OF_BLOCKS = frozenset({"x-ms-lease-id", "x-ms-encryption-scope"})
"""Headers that have to come with every block, where they come with the object."""
_EMPTY = hashlib.md5(b"", usedforsecurity=False).digest()


class Block(NamedTuple):
    """A block of ours. Its name has 42 bytes: all names of an object's blocks must have one length."""

    upload_id: str
    number: int
    sent: int
    """When, in nanoseconds since 1970, by the sender's clock."""
    md5: bytes
    size: int = 0

    @property
    def name(self) -> str:
        """The block's name as the service has it."""
        numbers = self.number.to_bytes(2, "big") + self.sent.to_bytes(8, "big")
        return base64.b64encode(bytes.fromhex(self.upload_id) + numbers + self.md5).decode()

    @classmethod
    def read(cls, name: str, size: int) -> Block | None:
        """Return what a name says; ``None`` for a block of another program."""
        try:
            raw = base64.b64decode(name, validate=True)
        except binascii.Error:
            return None
        if len(raw) != _SIZE:
            return None
        numbers = int.from_bytes(raw[16:18], "big"), int.from_bytes(raw[18:26], "big")
        return cls(raw[:16].hex(), *numbers, raw[26:], 0 if raw[26:] == _EMPTY else size)

    @property
    def part(self) -> Part:
        """The part that it is."""
        return Part(self.number, self.md5.hex(), self.size)


def start(service: Service, bucket: str, key: str, options: PutOptions) -> str:
    """Start an upload and return its id."""
    upload_id = uuid.uuid4().hex
    _put_mark(service, bucket, key, Block(upload_id, _START, time.time_ns(), _EMPTY), options)
    service.live_uploads.add((bucket, key, upload_id))
    return upload_id


def _put_mark(service: Service, bucket: str, key: str, block: Block, options: PutOptions) -> None:
    headers = block_headers(options)
    service.send("PUT", service.path(bucket, key), {"comp": "block", "blockid": block.name}, headers, _FILLER)


def block_headers(options: PutOptions) -> dict[str, str]:
    """Return the headers of an object to be that each of its blocks needs already."""
    return {
        **asking_for(options.encryption),
        **{name: value for name, value in more_headers(options).items() if name.lower() in _OF_BLOCKS},
    }


def send_part(
    service: Service, bucket: str, key: str, upload_id: str, number: int, body: Body, options: PutOptions
) -> Part:
    """Store one part. Whether the upload exists is looked up once: the service would take blocks of any."""
    if (bucket, key, upload_id) not in service.live_uploads:
        _find(service, bucket, key, upload_id)
        service.live_uploads.add((bucket, key, upload_id))
    block = Block(upload_id, number, time.time_ns(), body.md5, body.size)
    query = {"comp": "block", "blockid": block.name}
    path = service.path(bucket, key)
    with body.open() as stream:
        sent: SentStream | bytes = SentStream(stream, body.size) if body.size else _FILLER
        digest = {"Content-MD5": encode_md5(body.md5)} if body.size else {}
        service.send("PUT", path, query, {**digest, **block_headers(options)}, sent)
    return block.part


def list_parts(service: Service, bucket: str, key: str, upload_id: str) -> list[Part]:
    """List the parts stored so far, by number."""
    found = _find(service, bucket, key, upload_id)
    return [found[number].part for number in sorted(found)]


def _find(service: Service, bucket: str, key: str, upload_id: str) -> dict[int, Block]:
    """Return an upload's blocks by part number, the latest of each. :raises UploadNotFoundError:"""
    if not _UPLOAD_ID.fullmatch(upload_id):
        raise UploadNotFoundError("no upload has such an id", bucket=bucket, key=key)
    blocks = sorted(_list_blocks(service, bucket, key), key=_when)
    found = {each.number: each for each in blocks if each.upload_id == upload_id}
    started = found.pop(_START, None)
    if started is None or _ABORT in found:
        reason = "the upload was aborted" if started else "there is no such upload: any write of the object ends it"
        raise UploadNotFoundError(reason, bucket=bucket, key=key)
    return found


def _when(block: Block) -> int:
    return block.sent


def _list_blocks(service: Service, bucket: str, key: str) -> list[Block]:
    """Return all blocks of ours that no object is made of yet."""
    query = {"comp": "blocklist", "blocklisttype": "uncommitted"}
    try:
        answer = service.send("GET", service.path(bucket, key), query)
    except ResourceNotFoundError as error:
        if code_of(error) != "BlobNotFound":
            raise
        return []
    root = read_document(answer, "BlockList")
    named = (
        (each.findtext("Name", ""), int(each.findtext("Size") or 0))
        for each in root.iterfind("UncommittedBlocks/Block")
    )
    return [block for block in (Block.read(name, size) for name, size in named) if block is not None]


def finish(
    service: Service, bucket: str, key: str, upload_id: str, parts: Sequence[Part], options: PutOptions
) -> Stored:
    """Make the object of these parts, and drop all other blocks of its name."""
    try:
        found = _find(service, bucket, key, upload_id)
    except UploadNotFoundError:
        _refuse_changed(service, bucket, key, options)
        raise
    document = _block_list(found, parts)
    headers = {"Content-Type": "application/xml", **conditions(options), **describing(options)}
    try:
        answer = service.send("PUT", service.path(bucket, key), {"comp": "blocklist"}, headers, document)
    except HttpResponseError as error:
        failed = condition_failed(error, options, bucket, key)
        if code_of(error) == "InvalidBlockList":
            reason = "the upload's parts are gone: another write of the object has ended it"
            failed = reworded(UploadNotFoundError, reason, error, bucket=bucket, key=key)
        raise failed from failed.__cause__
    service.live_uploads.discard((bucket, key, upload_id))
    return stored(answer.headers)


def put_among_blocks(service: Service, bucket: str, key: str, body: Body, options: PutOptions) -> Stored:
    """Store an object on condition that there is none, where blocks of unfinished uploads have its name.

    To Azurite they are an object for that condition, unless it comes with a list of blocks.
    """
    described = {**options.extra, "x-ms-blob-content-md5": encode_md5(body.md5)}
    upload_id = start(service, bucket, key, options)
    part = send_part(service, bucket, key, upload_id, 1, body, options)
    return finish(service, bucket, key, upload_id, [part], replace(options, extra=described))


def _refuse_changed(service: Service, bucket: str, key: str, options: PutOptions) -> None:
    """Raise for a condition that does not hold any more: it is the write that ended the upload."""
    if not options.conditional:
        return
    try:
        etag = etag_of(service.send("HEAD", service.path(bucket, key)).headers)
    except ResourceNotFoundError:
        return
    if options.if_none_match == "*" or options.if_match not in (None, "*", etag):
        reason = "the object was written meanwhile, which also ended the upload"
        raise PreconditionFailedError(reason, bucket=bucket, key=key)


def _block_list(found: Mapping[int, Block], parts: Sequence[Part]) -> bytes:
    names = []
    for part in parts:
        block = found.get(part.number)
        if block is None or block.md5.hex() != part.etag:
            raise InvalidRequestError(f"part {part.number} is not there, or has another ETag")
        if block.md5 != _EMPTY:
            names.append(f"<Uncommitted>{escape(block.name)}</Uncommitted>")
    return f'<?xml version="1.0" encoding="utf-8"?><BlockList>{"".join(names)}</BlockList>'.encode()


def abort(service: Service, bucket: str, key: str, upload_id: str) -> None:
    """End an upload; one that is gone is fine. The module says what becomes of its parts."""
    service.live_uploads.discard((bucket, key, upload_id))
    try:
        _find(service, bucket, key, upload_id)
    except UploadNotFoundError:
        return
    _put_mark(service, bucket, key, Block(upload_id, _ABORT, time.time_ns(), _EMPTY), PutOptions())


def unfinished(service: Service, bucket: str, key: str) -> Iterator[UploadInfo]:
    """Yield the uploads of one key, by id."""
    blocks = _list_blocks(service, bucket, key)
    over = {each.upload_id for each in blocks if each.number == _ABORT}
    started = {each.upload_id: each.sent for each in blocks if each.number == _START and each.upload_id not in over}
    for upload_id in sorted(started):
        yield UploadInfo(upload_id, key, datetime.fromtimestamp(started[upload_id] // 10**9, UTC))
