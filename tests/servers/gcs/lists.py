"""Lists of objects, page by page: https://cloud.google.com/storage/docs/json_api/v1/objects/list"""

from __future__ import annotations

import base64
import bisect
import hashlib
import json
import re

from servers.gcs.refusals import invalid
from servers.gcs.resources import object_resource

MOST = 1000
_LAST = chr(0x10FFFF)
_BOUND = (
    "prefix", "delimiter", "versions", "softDeleted", "startOffset", "endOffset", "matchGlob",
    "includeTrailingDelimiter",
)  # fmt: skip


def write_token(bound, position):
    """Return the token of the page after a position. It is good only together with what ``bound`` says."""
    return base64.urlsafe_b64encode(json.dumps([_digest(bound), position]).encode()).decode()


def read_token(call, bound):
    """Return the position after which a page begins, or ``None`` for the first page."""
    text = call.get("pageToken")
    if not text:
        return None
    try:
        digest, position = json.loads(base64.urlsafe_b64decode(text))
    except ValueError:
        digest = position = None
    if digest != _digest(bound):
        raise invalid("Invalid argument.", ("parameter", "pageToken"))
    return position


def _digest(bound):
    return hashlib.sha256(json.dumps(bound).encode()).hexdigest()[:12]


def list_objects(call):
    bucket = call.bucket
    call.allow("objects.list", bucket)
    limit = call.number("maxResults")
    limit = MOST if limit is None else min(limit, MOST)
    if limit < 1:
        raise invalid("Invalid value for maxResults", ("parameter", "maxResults"), "invalidParameter")
    for name in ("includeFoldersAsPrefixes", "filter"):
        if call.get(name, "false") not in ("false", ""):
            raise invalid(f"The fake does not do this: {name}", ("parameter", name))
    if call.flag("versions") and call.flag("softDeleted"):
        raise invalid("Cannot list versions and soft-deleted objects at once.")
    bound = [bucket.name, *map(call.get, _BOUND)]
    after = read_token(call, bound)
    answer = {"kind": "storage#objects"}
    shown, prefixes, last = [], [], None
    for position, version in _entries(call, bucket, after):
        if len(shown) + len(prefixes) == limit:
            answer["nextPageToken"] = write_token(bound, last)
            break
        last = position
        if version is None:
            prefixes.append(position[0])
        else:
            shown.append(object_resource(call.url, version, full=call.is_full))
    answer |= {"prefixes": prefixes} if prefixes else {}
    answer |= {"items": shown} if shown else {}
    return call.answer(answer)


def _entries(call, bucket, after):
    """Yield all that a list shows after a position: a position, and a version or ``None`` for a prefix."""
    prefix, delimiter = call.get("prefix", ""), call.get("delimiter", "")
    start, end = call.get("startOffset", ""), call.get("endOffset") or None
    versions = _versions_by_name(call, bucket)
    names = sorted({each.name for each in bucket.soft}) if call.flag("softDeleted") else bucket.names
    pattern = _glob(call.get("matchGlob"))
    trailing = call.flag("includeTrailingDelimiter")
    index = bisect.bisect_left(names, max(prefix, start, after[0] if after else ""))
    while index < len(names):
        name = names[index]
        if not name.startswith(prefix) or (end is not None and name >= end):
            return
        index += 1
        cut = name.find(delimiter, len(prefix)) if delimiter else -1
        rolled_up = name[: cut + len(delimiter)] if cut >= 0 else None
        found = []
        if shown := versions(name):
            if rolled_up is None or (trailing and rolled_up == name):
                found = [([name, 0, each.generation], each) for each in shown]
            if rolled_up is not None:
                found.append(([rolled_up, 1, 0], None))
        if pattern and not pattern.fullmatch(name) and (rolled_up is None or not pattern.fullmatch(rolled_up)):
            continue
        yield from (each for each in found if after is None or each[0] > after)
        if rolled_up is not None and found:
            index = bisect.bisect_left(names, rolled_up + _LAST, index)


def _versions_by_name(call, bucket):
    """Return what gives the versions of a name that are to be shown."""
    if call.flag("softDeleted"):
        found = {}
        for each in bucket.soft:
            found.setdefault(each.name, []).append(each)
        return found.__getitem__
    if call.flag("versions"):
        return bucket.versions.__getitem__
    return lambda name: [live] if (live := bucket.live(name)) else []


_GLOB = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^\]]+\]|\{[^{}]*\}|.", re.DOTALL)
_WILD = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def _glob(text):
    return re.compile(_expression(text), re.DOTALL) if text else None


def _expression(text):
    found = ""
    for token in _GLOB.findall(text):
        if token in _WILD:
            found += _WILD[token]
        elif token[0] == "[" and len(token) > 1:
            found += (
                f"[{'^' if token[1] == '!' else ''}{re.escape(token[1:-1].lstrip('!')).replace(chr(92) + '-', '-')}]"
            )
        elif token[0] == "{" and len(token) > 1:
            found += f"(?:{'|'.join(map(_expression, token[1:-1].split(',')))})"
        else:
            found += re.escape(token)
    return found
