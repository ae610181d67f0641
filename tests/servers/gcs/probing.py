"""What tests that ask the fake by plain requests share."""

from __future__ import annotations

import re
from urllib.parse import quote

QUARTER = 256 * 1024
"""Bytes that a piece of a resumable upload is a multiple of."""


def path_of(bucket, name=None):
    """Return where a bucket is in the JSON API, or an object of it."""
    return f"/storage/v1/b/{bucket.name}" + ("" if name is None else f"/o/{quote(name, safe='')}")


def upload_path(bucket):
    return f"/upload/storage/v1/b/{bucket.name}/o"


def code_of(answer):
    """Return the status and the code of a refusal in XML."""
    assert answer.headers["Content-Type"].startswith("application/xml")
    return answer.status_code, re.search("<Code>(.*?)</Code>", answer.text)[1]
