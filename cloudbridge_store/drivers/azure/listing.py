"""Pages of objects and of unfinished uploads."""

from __future__ import annotations

import re
from typing import NamedTuple
from xml.etree.ElementTree import Element

from azure.core.exceptions import HttpResponseError

from cloudbridge_store.drivers.azure import uploads
from cloudbridge_store.drivers.azure.codes import ADDRESS
from cloudbridge_store.drivers.azure.documents import plain_text, read_document
from cloudbridge_store.drivers.azure.service import Service
from cloudbridge_store.drivers.azure.translate import checksums, parse_time
from cloudbridge_store.drivers.base import ObjectInfo, Page, UploadInfo
from cloudbridge_store.errors import ForeignAnswerError

MAX_PAGE = 5000
_SEPARATOR = "\0"
_PLANE = 0x10000


class Asked(NamedTuple):
    """A listing that is asked for."""

    bucket: str
    prefix: str
    delimiter: str
    start_after: str


def list_objects(
    service: Service, bucket: str, prefix: str, delimiter: str, start_after: str, limit: int, token: str | None
) -> Page[ObjectInfo]:
    """List objects. What is not behind ``start_after`` is left out here: the service may not know where to begin."""
    asked = Asked(bucket, prefix, delimiter, start_after)
    if len(delimiter) > 1 or delimiter >= chr(_PLANE):
        return _roll_up(service, asked, limit, token)
    root = _ask(service, asked, limit, token)
    blobs = root.find("Blobs")
    if blobs is None:
        raise ForeignAnswerError("the page has no list", hint=ADDRESS)
    items = [read_object(each) for each in blobs.iterfind("Blob")]
    prefixes = [plain_text(each.find("Name")) for each in blobs.iterfind("BlobPrefix")]
    if start_after:
        items = [each for each in items if _is_behind(each.key, start_after)]
        prefixes = [each for each in prefixes if _has_behind(service, asked, each)]
    items.sort(key=_order)
    prefixes.sort(key=str.encode)
    return Page(items, root.findtext("NextMarker") or None, prefixes)


def _roll_up(service: Service, asked: Asked, limit: int, token: str | None) -> Page[ObjectInfo]:
    """List by a delimiter of more than one unit of UTF-16. Emulators cut prefixes wrong by such; they are rare.

    A token holds the page's marker, and the last prefix: more keys of it may follow.
    """
    marker, rolled = (*(token or "").split(_SEPARATOR), "")[:2]
    page = list_objects(service, asked.bucket, asked.prefix, "", asked.start_after, limit, marker)
    items: list[ObjectInfo] = []
    prefixes: list[str] = []
    for info in page.items:
        if rolled and info.key.startswith(rolled):
            continue
        end = info.key.find(asked.delimiter, len(asked.prefix))
        if end < 0:
            items.append(info)
        else:
            rolled = info.key[: end + len(asked.delimiter)]
            prefixes.append(rolled)
    return Page(items, f"{page.token}{_SEPARATOR}{rolled}" if page.token else None, prefixes)


def _order(info: ObjectInfo) -> bytes:
    return info.key.encode()


def _is_behind(key: str, start: str) -> bool:
    return key.encode() > start.encode()


def _has_behind(service: Service, asked: Asked, prefix: str) -> bool:
    """Say whether a common prefix has a key behind the start: one that the start is in has to be looked into."""
    start = asked.start_after
    if _is_behind(prefix, start):
        return True
    if not start.startswith(prefix):
        return False
    inside = asked._replace(prefix=prefix, delimiter="")
    token: str | None = ""
    while token is not None:
        root = _ask(service, inside, MAX_PAGE, token)
        if any(_is_behind(plain_text(each), start) for each in root.iterfind("Blobs/Blob/Name")):
            return True
        token = root.findtext("NextMarker") or None
    return False


def _ask(service: Service, asked: Asked, limit: int, token: str | None, include: str = "") -> Element:
    query = {"restype": "container", "comp": "list", "maxresults": str(max(1, min(limit, MAX_PAGE)))}
    given = {"prefix": asked.prefix, "delimiter": asked.delimiter, "marker": token, "include": include}
    query |= {name: value for name, value in given.items() if value}
    path = service.path(asked.bucket)
    if asked.start_after and not asked.delimiter and service.knows_start and not _DISPUTED.search(asked.start_after):
        try:
            # The service begins with the start itself, where there is such a key.
            more = {**query, "startFrom": asked.start_after}
            return read_document(service.send("GET", path, more, {"x-ms-version": _WITH_START}), "EnumerationResults")
        except HttpResponseError as error:
            if getattr(error, "error_code", None) not in _UNKNOWN:
                raise
            service.knows_start = False
    return read_document(service.send("GET", path, query), "EnumerationResults")


_DISPUTED = re.compile("[\ue000-\uffff]")
"""Characters that come before those of four bytes in UTF-8, and after them in UTF-16, which may be the service's order:
behind a name with one, the service could leave out what follows it here."""
_WITH_START = "2026-02-06"
"""The version of the service that lists from a given name on."""
_UNKNOWN = frozenset({"InvalidHeaderValue", "InvalidQueryParameterValue", "UnsupportedQueryParameter"})


def read_object(blob: Element) -> ObjectInfo:
    """Describe an object, or a version of it, by its entry in a listing."""
    name, properties = blob.find("Name"), blob.find("Properties")
    if properties is None:
        raise ForeignAnswerError("the list has an entry that says nothing", hint=ADDRESS)
    told = {each.tag: each.text for each in properties}
    return ObjectInfo(
        plain_text(name),
        int(told.get("Content-Length") or 0),
        parse_time(told.get("Last-Modified") or ""),
        (told.get("Etag") or "").strip('"'),
        told.get("Content-Type"),
        checksums(told.get("Content-MD5")),
        storage_class=told.get("AccessTier"),
        version=blob.findtext("VersionId"),
    )


def list_uploads(service: Service, bucket: str, prefix: str, limit: int, token: str | None) -> Page[UploadInfo]:
    """List the unfinished uploads of keys that have no object: the service lists no others.

    A token holds the page's marker, and the last upload where the page had more.
    """
    marker, key, upload_id = (*(token or "").split(_SEPARATOR), "", "")[:3]
    root = _ask(service, Asked(bucket, prefix, "", ""), MAX_PAGE, marker, "uncommittedblobs")
    found: list[UploadInfo] = []
    for name in _names_without_object(root):
        if name.encode() < key.encode():
            continue
        for upload in uploads.unfinished(service, bucket, name):
            if name == key and upload.upload_id <= upload_id:
                continue
            if len(found) == limit:
                return Page(found, _SEPARATOR.join((marker, found[-1].key, found[-1].upload_id)))
            found.append(upload)
    following = root.findtext("NextMarker")
    return Page(found, f"{following}{_SEPARATOR}{_SEPARATOR}" if following else None)


def _names_without_object(root: Element) -> list[str]:
    """Return the names that may have blocks only: what is stored in one request has an MD5, empty or not.

    Asked for the blocks of a blob that cannot have any, which an empty one to append to is, the service would refuse.
    """
    names = []
    for blob in root.iterfind("Blobs/Blob"):
        size, digest = blob.findtext("Properties/Content-Length"), blob.findtext("Properties/Content-MD5")
        has_blocks = blob.findtext("Properties/BlobType", "BlockBlob") == "BlockBlob"
        if size in ("0", None) and not digest and has_blocks:
            names.append(plain_text(blob.find("Name")))
    return sorted(names, key=str.encode)
