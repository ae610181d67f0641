"""Copies that the service makes: of an object of this account, or of what any URL leads to."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from cloudbridge_store.config import refuse_http
from cloudbridge_store.drivers.azure import background, tagging, uploads
from cloudbridge_store.drivers.azure.codes import BY_CODE
from cloudbridge_store.drivers.azure.errors import code_of, reworded
from cloudbridge_store.drivers.azure.service import Service
from cloudbridge_store.drivers.azure.signing import Signer, address
from cloudbridge_store.drivers.azure.translate import (
    conditions,
    describing,
    matching,
    object_info,
    stored,
)
from cloudbridge_store.drivers.azure.versions import selecting
from cloudbridge_store.drivers.base import MiB, ObjectInfo, PutOptions, ReadOptions, Stored
from cloudbridge_store.errors import (
    ArchivedError,
    InvalidRequestError,
    PreconditionFailedError,
    UnsupportedOperationError,
)
from cloudbridge_store.redaction import hide

LARGEST_AT_ONCE = 256 * MiB
"""Bytes that Copy Blob From URL takes. It takes neither nothing nor what is no block blob."""
BLOCK = 64 * MiB
"""Bytes that the service fetches in one request, well within a read time-out."""
_MOST_BLOCKS = 50_000
_WORKERS = 8
_NO_SOURCE = frozenset({"BlobNotFound", "ResourceNotFound"})
"""What is missing is the source: a copy's target need not exist."""
_SOURCE_SECONDS = 3_600
"""How long the service may read the source by the signature that it is given."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is copied, and how the service gets at it."""

    url: str = field(repr=False)
    authorization: str | None = field(default=None, repr=False)
    etag: str | None = None
    size: int | None = None
    """``None`` where only the service will find out."""
    digest: str | None = None
    """MD5 of the whole, as headers have it, where one is held."""

    @property
    def headers(self) -> dict[str, str]:
        """What every request says that reads it."""
        found = {"x-ms-copy-source": self.url}
        if self.authorization is not None:
            found["x-ms-copy-source-authorization"] = self.authorization
        if self.etag is not None:
            found["x-ms-source-if-match"] = f'"{self.etag}"'
        return found


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy: from where to where."""

    service: Service
    source: Source
    bucket: str
    key: str

    @property
    def _path(self) -> str:
        return self.service.path(self.bucket, self.key)

    def at_once(self, headers: Mapping[str, str]) -> Stored:
        """Copy in one request. Content headers and metadata come along; ``headers`` say the rest."""
        more = {"x-ms-requires-sync": "true", **self.source.headers, **headers}
        return stored(self.service.send("PUT", self._path, {}, more).headers)

    def described(self, options: PutOptions) -> Stored:
        """Copy by blocks, of which the service makes the object at the end, described by nothing but the options."""
        try:
            blocks = self._send_blocks(options)
        except HttpResponseError as error:
            # Emulators do not fetch blocks. Azure itself does not answer this.
            if error.status_code != HTTPStatus.NOT_IMPLEMENTED:
                raise
            return self._described_afterwards(options)
        names = "".join(f"<Uncommitted>{each}</Uncommitted>" for each in blocks)
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{names}</BlockList>'.encode()
        headers = {**describing(options), **conditions(options)}
        if self.source.digest is not None:
            headers["x-ms-blob-content-md5"] = self.source.digest
        return stored(self.service.send("PUT", self._path, {"comp": "blocklist"}, headers, body).headers)

    def _send_blocks(self, options: PutOptions) -> list[str]:
        size = self.source.size
        step = BLOCK if size is None else max(BLOCK, -(-size // _MOST_BLOCKS))
        count = 1 if size is None else -(-size // step)
        # Named as parts of an upload that nobody started: all names of an object's blocks must have one length.
        copy_id = uuid.uuid4().hex
        names = [uploads.Block(copy_id, number, 0, bytes(16)).name for number in range(1, count + 1)]
        common = {**self.source.headers, **uploads.block_headers(options)}

        def send(number: int) -> str:
            headers = dict(common)
            if size is not None:
                headers["x-ms-source-range"] = f"bytes={number * step}-{min(size, (number + 1) * step) - 1}"
            query = {"comp": "block", "blockid": names[number]}
            self.service.step(lambda: self.service.send("PUT", self._path, query, headers))
            return names[number]

        if count <= 1:
            return [send(number) for number in range(count)]
        with ThreadPoolExecutor(_WORKERS, "cloudbridge-copy") as pool:
            return list(pool.map(send, range(count)))

    def in_background(self, headers: Mapping[str, str]) -> Any:
        """Copy as the service finds time, and return the headers of the object."""
        settings = self.service.settings
        seconds = settings.deadline + (self.source.size or 0) / settings.slowest_rate
        return background.copy(self.service, self._path, {**self.source.headers, **headers}, seconds)

    def _described_afterwards(self, options: PutOptions) -> Stored:
        """Copy, and then describe the copy: for a moment readers see it with what described the source."""
        if options.encryption is not None and options.encryption.kind != "service":
            raise UnsupportedOperationError("this server cannot encrypt a copy in another way than its source")
        given = describing(options)
        with_copy = {name: value for name, value in given.items() if not name.startswith("x-ms-blob-")}
        answer = self.in_background({**with_copy, **conditions(options)})
        content = {name: value for name, value in given.items() if name.startswith("x-ms-blob-")}
        if (digest := self.source.digest or answer.get("Content-MD5")) is not None:
            content["x-ms-blob-content-md5"] = digest
        own = matching(answer["ETag"].strip('"'), None)
        answer = self.service.send("PUT", self._path, {"comp": "properties"}, {**content, **own}).headers
        if not options.metadata:
            # None given with the copy means the source's.
            own = matching(answer["ETag"].strip('"'), None)
            answer = self.service.send("PUT", self._path, {"comp": "metadata"}, own).headers
        return stored(answer)


def copy(
    service: Service,
    signer: Signer,
    names: tuple[str, str, str, str],
    options: PutOptions | None,
    asked: ReadOptions,
) -> Stored:
    """Copy an object as it is now.

    :param names: of the bucket and the object, and of those to be.
    :raises PreconditionFailedError: ``asked.if_match`` differs, or a condition fails.
    :raises ArchivedError: it has to be brought back from the archive first.
    :raises UnsupportedOperationError: only its owner has the key of the source.
    """
    bucket, key, to_bucket, to_key = names
    if asked.customer_key is not None:
        hint = "download it and upload it again"
        raise UnsupportedOperationError("Azure copies nothing that has a customer's key", hint=hint)
    selected = selecting(asked.version)
    found = service.send("HEAD", service.path(bucket, key), selected).headers
    info = object_info(key, found)
    _refuse_source(info, asked, bucket, key)
    url, authorization = _readable(service, signer, bucket, key, asked.version)
    one = Copy(service, Source(url, authorization, info.etag, info.size, found.get("Content-MD5")), to_bucket, to_key)
    tags = {}
    if options is None and found.get("x-ms-tag-count"):
        tags = tagging.get_tags(service, bucket, key, selected)
    if options is None and 0 < info.size <= LARGEST_AT_ONCE and _is_block_blob(found):
        return one.at_once(_beside_properties(found, tags))
    return one.described(options or _description(info, found, tags))


def _refuse_source(info: ObjectInfo, asked: ReadOptions, bucket: str, key: str) -> None:
    if asked.if_match not in (None, info.etag):
        raise PreconditionFailedError("the source has another ETag", bucket=bucket, key=key)
    if info.storage_class == "Archive":
        # Of a source that cannot be read the service says no more than that.
        hint = BY_CODE["BlobArchived"].hint
        raise ArchivedError("the source is in the archive", bucket=bucket, key=key, hint=hint)


def copy_url(service: Service, bucket: str, key: str, url: str, options: PutOptions) -> Stored:
    """Store what a URL leads to, which the service fetches.

    :raises InvalidConfigurationException: plain http. :raises InvalidRequestError: the service gets nothing from there.
    """
    url = hide(url)
    refuse_http(url, service.settings)
    try:
        return Copy(service, Source(url), bucket, key).described(options)
    except ResourceNotFoundError as error:
        if code_of(error) not in _NO_SOURCE:
            raise
        reason = "the service finds nothing at the URL, or nothing that it may read"
        failed = reworded(InvalidRequestError, reason, error, bucket=bucket, key=key)
        raise failed from failed.__cause__


def _description(info: ObjectInfo, found: Mapping[str, str], tags: Mapping[str, str]) -> PutOptions:
    return PutOptions(info.content_type, info.headers or {}, info.metadata or {}, tags, _chosen_tier(found))


def _beside_properties(found: Mapping[str, str], tags: Mapping[str, str]) -> dict[str, str]:
    """Return the headers for what does not come along by itself."""
    options = PutOptions(tags=tags, storage_class=_chosen_tier(found))
    return describing(options)


def _chosen_tier(found: Mapping[str, str]) -> str | None:
    """Return the source's tier, unless nobody chose it: then that of the copy is the account's default likewise.

    The tiers of page blobs are others.
    """
    chosen = found.get("x-ms-access-tier-inferred") != "true" and _is_block_blob(found)
    return found.get("x-ms-access-tier") if chosen else None


def _is_block_blob(found: Mapping[str, str]) -> bool:
    return found.get("x-ms-blob-type", "BlockBlob") == "BlockBlob"


def _readable(service: Service, signer: Signer, bucket: str, key: str, version: str | None) -> tuple[str, str | None]:
    """Return the source's URL and what shows the service that it may be read for this copy."""
    url, query = address(service, bucket, key), urlencode(selecting(version))
    identity = service.identity
    if identity.kind == "token":
        return "?".join(filter(None, (url, query))), hide(f"Bearer {service.token()!s}")
    if identity.sas is not None:
        signature = str(identity.sas)
    else:
        signature = signer.sign(bucket, key, "r", _SOURCE_SECONDS, version=version)
    return hide("?".join((url, "&".join(filter(None, (query, signature)))))), None
