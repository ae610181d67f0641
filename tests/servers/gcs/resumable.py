"""Resumable uploads: https://cloud.google.com/storage/docs/performing-resumable-uploads

A session's address is all that is needed to go on with it: no token is asked for. What has arrived is kept in steps of
256 KiB, also where the connection broke.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from dataclasses import replace
from urllib.parse import quote

from servers.gcs.call import json_answer
from servers.gcs.content import Writer
from servers.gcs.creating import read_hashes
from servers.gcs.refusals import Refusal, invalid
from servers.gcs.resources import object_resource
from servers.gcs.wire import Answer, Gone

STEP = 256 * 1024
LIFETIME = 7 * 24 * 3600


class Session:
    """An upload that is under way."""

    def __init__(self, state, plan, total):
        self.name = f"AB{secrets.token_urlsafe(60)}"
        self.plan = plan
        self.total = total
        self.lock = threading.Lock()
        self.writer = Writer(state.directory)
        self.answer = None
        self.is_cancelled = False
        self.over = time.time() + LIFETIME
        self._turn = 0

    def begin_turn(self):
        """Have a new request be the one that writes, in place of one that may hang. The caller holds the lock."""
        self._turn += 1
        return self._turn

    def check(self):
        """Refuse to go on with what is over. The caller holds the lock."""
        if self.is_cancelled:
            raise Refusal(499, "cancelled", "Upload has been cancelled")
        if time.time() > self.over:
            raise Refusal(410, "gone", "Gone")

    def check_turn(self, turn):
        """:raises Gone: another request has taken over. The caller holds the lock."""
        if turn != self._turn:
            raise Gone

    def take(self, pieces, skipped, turn):
        """Keep what arrives, in steps; the first bytes are skipped. Return what does not fill a step."""
        pending = bytearray()
        for piece in pieces:
            pending += piece[skipped:]
            skipped = max(skipped - len(piece), 0)
            whole = len(pending) - len(pending) % STEP
            if whole:
                with self.lock:
                    self.check_turn(turn)
                    self.writer.write(pending[:whole])
                del pending[:whole]
        return pending


def begin(call, plan, path):
    """Answer with the address of a new session."""
    declared = call.headers.get("x-upload-content-length")
    if declared is not None and not declared.isdigit():
        raise invalid("Invalid X-Upload-Content-Length")
    session = Session(call.state, plan, None if declared is None else int(declared))
    with call.state.lock:
        call.state.sessions[session.name] = session
    separator = "&" if "?" in path else "?"
    address = f"{call.url}{path}{separator}name={quote(plan.name, safe='')}&upload_id={session.name}"
    return Answer(200, {"Location": address, "X-GUploader-UploadID": session.name})


def find(state, name):
    with state.lock:
        session = state.sessions.get(name)
    if session is None:
        raise Refusal(404, "notFound", "Not Found")
    return session


def cancel(state, name):
    """Forget an upload. The answer to that is 499."""
    session = find(state, name)
    with session.lock:
        session.check()
        session.is_cancelled = True
        session.begin_turn()
        session.writer = None
    return Answer(499, {"Content-Type": "text/plain; charset=utf-8"})


def put(state, asked, name, url):
    """Take a piece of an upload, or tell how far it is."""
    session = find(state, name)
    with session.lock:
        session.check()
        if session.answer is not None:
            return Answer(200, dict(session.answer.headers), session.answer.body)
        first, last, total = _read_range(asked)
        _check_total(session, total)
        if first is None:
            return _settle(state, session, asked, url)
        _check_piece(session, first, last, total)
        turn, skipped = session.begin_turn(), session.writer.size - first
    # Without the lock: a request that hangs must not keep others from asking how far the upload is.
    rest = session.take(asked.body.pieces(), skipped, turn)
    with session.lock:
        session.check_turn(turn)
        session.writer.write(rest)
        if total == "unknown":
            _check_total(session, session.writer.size)
        return _settle(state, session, asked, url)


def _settle(state, session, asked, url):
    """Make the object if all of it is there. The caller holds the session's lock."""
    if session.total is None or session.writer.size < session.total:
        return _how_far(session)
    plan = replace(session.plan, digests={**session.plan.digests, **read_hashes(asked.headers)})
    version = plan.commit(state, session.writer.finish())
    session.begin_turn()
    # The session outlives the object, and must not keep its content.
    session.answer, session.plan, session.writer = _finished(version, url), None, None
    return Answer(200, dict(session.answer.headers), session.answer.body)


def _finished(version, url):
    answer = json_answer(object_resource(url, version, has_key=True))
    answer.headers |= {"X-Goog-Generation": version.generation, "X-Goog-Metageneration": version.metageneration}
    return answer


def _how_far(session):
    headers = {"X-GUploader-UploadID": session.name}
    if size := session.writer.size:
        headers["Range"] = f"bytes=0-{size - 1}"
    return Answer(308, headers)


def _read_range(asked):
    """Return the first byte of a piece, the one after its last, and the size of all. ``None`` is what is not known."""
    text, length = asked.headers.get("content-range"), asked.body.length
    if text is None:
        if length is None:
            return 0, None, "unknown"
        return 0, length, length
    found = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", text)
    if not found:
        raise invalid(f"Failed to parse Content-Range header: {text}", reason="badRequest")
    total = None if found[3] == "*" else int(found[3])
    if found[1] is None:
        if length:
            raise invalid("A request for the status of an upload has no body.", reason="badRequest")
        return None, None, total
    first, over = int(found[1]), int(found[2]) + 1
    is_right = first < over and (total is None or over <= total) and (length is None or length == over - first)
    if not is_right:
        raise invalid(f"Invalid Content-Range header: {text}", reason="badRequest")
    return first, over, total


def _check_total(session, total):
    if total in (None, "unknown"):
        return
    if session.total not in (None, total) or total < session.writer.size:
        message = f"Invalid request. According to the Content-Range header, the final size of the upload is {total}"
        raise invalid(f"{message} byte(s), which does not match what is known of it.", reason="badRequest")
    session.total = total


def _check_piece(session, first, over, total):
    size = session.writer.size
    if first > size:
        message = f"Invalid request. According to the Content-Range header, the upload offset is {first} byte(s),"
        raise invalid(f"{message} which exceeds already uploaded size of {size} byte(s).", reason="badRequest")
    is_last = total == "unknown" or (over is not None and over == session.total)
    if not is_last and (over - first) % STEP:
        message = f"Invalid request. The number of bytes uploaded is required to be equal or greater than {STEP},"
        message += f" except for the final request (it's recommended to be the exact multiple of {STEP})."
        message += f" The received request contained {over - first} bytes, which does not meet this requirement."
        raise invalid(message, reason="badRequest")
