"""What this library puts beside a container, and how it is called.

The segments of a container's large objects are in a container of their own beside it, as python-swiftclient has it,
so that no listing shows them.
"""

from __future__ import annotations

import hashlib

from cloudbridge_store.errors import UnsupportedOperationError

SUFFIX = "_segments"
LONGEST_BUCKET = 256
OWN = ".cloudbridge/"
"""What the names of all that this library puts beside a container begin with."""
SEGMENTS, UPLOADS, RECORDS = f"{OWN}segments/", f"{OWN}uploads/", f"{OWN}made/"
_LONGEST_KEY = 900
"""Bytes of a key that go into a name; of a longer one the content has the rest."""


def beside(bucket: str) -> str:
    """Return the container of a container's segments. :raises UnsupportedOperationError: its name would be too long."""
    name = f"{bucket}{SUFFIX}"
    if len(name.encode()) > LONGEST_BUCKET:
        raise UnsupportedOperationError("the name is too long for a container of segments beside it", bucket=bucket)
    return name


def head_of(key: str) -> str:
    """Return what the name of an upload of a key begins with: all of the key, unless it is long."""
    return key.encode()[:_LONGEST_KEY].decode(errors="ignore")


def mark_of(key: str, upload_id: str) -> str:
    """Return the name of what stands for an unfinished upload."""
    head = head_of(key)
    if head != key:
        head += hashlib.sha256(key.encode()).hexdigest()[:16]
    return f"{UPLOADS}{head}/{upload_id}"


def parts_of(upload_id: str) -> str:
    """Return what the names of all segments of an upload begin with."""
    return f"{SEGMENTS}{upload_id}/"


def part_of(upload_id: str, number: int) -> str:
    """Return the name of one segment."""
    return f"{parts_of(upload_id)}{number:08d}"


def records_of(key: str) -> str:
    """Return what the names of all records of a key begin with: of this key only, not of those that begin with it."""
    return f"{RECORDS}{hashlib.sha256(key.encode()).hexdigest()}/"


def record_of(key: str, upload_id: str, etag: str) -> str:
    """Return the name of the record of what an upload made."""
    return f"{records_of(key)}{upload_id}/{etag}"
