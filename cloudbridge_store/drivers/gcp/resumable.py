"""Large objects as one sequence of bytes, by resumable uploads: what broke off goes on where it was.

For what has to be stored under a condition, which uploads in parts know none of. Nobody sees anything of an upload
before it is over, and the service forgets one that nobody goes on with after a week.

https://cloud.google.com/storage/docs/performing-resumable-uploads
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import suppress
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit
from weakref import WeakKeyDictionary

from urllib3 import HTTPHeaderDict

from cloudbridge_store.drivers.base import Body, PutOptions, Stored
from cloudbridge_store.drivers.gcp.answers import NOT_GCS, REQUEST_ID, json_of, refusal
from cloudbridge_store.drivers.gcp.errors import failure_of, passes
from cloudbridge_store.drivers.gcp.service import JSON, REFUSED, Service, query_text, upload_path
from cloudbridge_store.drivers.gcp.translate import stored, unlocking
from cloudbridge_store.drivers.gcp.wire import Answer
from cloudbridge_store.drivers.gcp.writing import description_of, query_of
from cloudbridge_store.drivers.streams import SentStream
from cloudbridge_store.errors import (
    ConnectionFailedError,
    ForeignAnswerError,
    OperationTimeoutError,
    ServiceUnavailableError,
)

_HELD = re.compile(r"bytes=0-(\d+)")
_BROKEN = (ConnectionFailedError, OperationTimeoutError)
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


class _Place(NamedTuple):
    """What an upload is for."""

    bucket: str
    key: str
    options: PutOptions


class _Upload:
    """An upload that is under way.

    :param upload_id: all that anybody needs to go on with it.
    """

    def __init__(self, service: Service, place: _Place, upload_id: str, size: int) -> None:
        self.place = place
        self._service = service
        self._size = size
        self._headers = unlocking(place.options.customer_key)
        query = {"uploadType": "resumable", "upload_id": upload_id}
        self._target = f"{upload_path(place.bucket)}?{query_text(query)}"

    def run(self, body: Body, held: int | None) -> Stored:
        """Send what is missing. What arrived before a connection broke is not sent again.

        :param held: the bytes that the service has, ``None`` where it has to be asked.
        """
        reached: int | Stored = self._ask() if held is None else held
        while not isinstance(reached, Stored):
            before = reached
            reached = self._push(body, before)
            if not isinstance(reached, Stored) and reached <= before:
                raise ServiceUnavailableError("the service took nothing of what was sent")
        return reached

    def _push(self, body: Body, held: int) -> int | Stored:
        """Send what is missing, and return how far that led, also where the connection broke on the way."""
        try:
            return self._send(body, held)
        except Exception as error:
            if not issubclass(failure_of(error), _BROKEN):
                raise
            reached = self._ask()
            if isinstance(reached, Stored) or reached > held:
                return reached
            raise

    def _ask(self) -> int | Stored:
        """Return how many bytes the service has, or the object that they have become."""
        headers = {**self._headers, "Content-Range": f"bytes */{self._size}"}
        return self._reached(self._service.exchange("PUT", self._target, headers))

    def cancel(self) -> None:
        """Have the service forget it. What goes wrong in that does not matter beside what went wrong before."""
        with suppress(Exception):
            self._service.exchange("DELETE", self._target, self._headers)

    def _send(self, body: Body, held: int) -> int | Stored:
        if held == self._size:
            return self._ask()
        headers = {
            **self._headers,
            "Content-Length": str(self._size - held),
            "Content-Range": f"bytes {held}-{self._size - 1}/{self._size}",
        }
        with body.open() as stream:
            stream.seek(held)
            pieces = SentStream(stream, self._size).pieces()
            return self._reached(self._service.exchange("PUT", self._target, headers, pieces))

    def _reached(self, answer: Answer) -> int | Stored:
        if answer.status in _GONE:
            raise ServiceUnavailableError("the service has forgotten the upload", status=answer.status)
        if answer.status == HTTPStatus.PERMANENT_REDIRECT:
            return self._held(answer.headers.get("range"))
        if answer.status >= REFUSED:
            raise refusal(_without_number(answer))
        return stored(json_of(answer))

    def _held(self, text: str | None) -> int:
        if text is None:
            return 0
        found = _HELD.fullmatch(text)
        if found is None or (held := int(found[1]) + 1) > self._size:
            raise ForeignAnswerError(f"the answer says that it has {text} of {self._size} bytes", hint=NOT_GCS)
        return held


def _without_number(answer: Answer) -> Answer:
    # Errors show it, and it is the upload's id, by which anybody could go on with it.
    headers = HTTPHeaderDict(answer.headers)
    headers[REQUEST_ID] = ""
    return answer._replace(headers=headers)


class ResumableUploads:
    """Uploads that broke off, by the body of each: the next attempt goes on with it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._left: WeakKeyDictionary[Body, _Upload] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def put_object(self, bucket: str, key: str, body: Body, options: PutOptions) -> Stored:
        """Store an object."""
        place = _Place(bucket, key, options)
        with self._lock:
            upload = self._left.pop(body, None)
        if upload is None or upload.place != place:
            upload, reached = self._begin(place, body), 0
        else:
            reached = None
        try:
            return upload.run(body, reached)
        except Exception as error:
            if passes(error):
                with self._lock:
                    self._left[body] = upload
            else:
                upload.cancel()
            raise

    def _begin(self, place: _Place, body: Body) -> _Upload:
        description = description_of(place.key, body, place.options)
        headers = {
            "Content-Type": JSON,
            "X-Upload-Content-Type": description["contentType"],
            "X-Upload-Content-Length": str(body.size),
            **unlocking(place.options.customer_key),
        }
        query = {"uploadType": "resumable", **query_of(place.options)}
        target = f"{upload_path(place.bucket)}?{query_text(query)}"
        answer = self._service.send("POST", target, headers, json.dumps(description).encode())
        # Whose address it names is not looked at: it is the same service, which the token is for.
        found = parse_qs(urlsplit(answer.headers.get("location", "")).query).get("upload_id")
        if not found:
            raise ForeignAnswerError("the answer names no upload", hint=NOT_GCS)
        return _Upload(self._service, place, found[0], body.size)
