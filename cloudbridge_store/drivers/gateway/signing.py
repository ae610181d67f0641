"""What a signature stands for: one method on one object until one moment.

A request's target is taken to pieces, put together again, and refused where it does not come out as it went in. So
nothing is decoded twice, each object has one spelling, and no parameter passes that the signature does not cover.
"""

from __future__ import annotations

import hmac
import math
import re
import time
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import quote, unquote

from cloudbridge_store.drivers.base import Method, SignOptions
from cloudbridge_store.errors import InvalidConfigurationException, InvalidValueException
from cloudbridge_store.redaction import hide

_VERSION = "cbs1"
_METHODS = ("GET", "HEAD", "PUT", "DELETE")
_LONGEST_LIFE = 7 * 86_400
_NOTHING = SignOptions()

_TARGET = re.compile(
    r"/(?P<bucket>[^/?]+)/(?P<key>[^?]*)\?cbs-expires=(?P<expires>\d{1,12})&cbs-signature=(?P<signature>[0-9a-f]{64})"
    r"(?:&response-content-disposition=(?P<disposition>[^&]+))?(?:&response-content-type=(?P<type>[^&]+))?",
    re.ASCII,
)
_PRINTABLE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


class Refusal(Exception):
    """A request is answered with this status, these headers, and nothing that says more."""

    def __init__(self, status: HTTPStatus, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers or {}


def is_header_text(value: str) -> bool:
    """Say whether a header field carries this value as it is: printable ASCII without spaces around it."""
    return _PRINTABLE.fullmatch(value) is not None


class Signer:
    """Makes and checks the targets (path and query) of signed URLs.

    :param secret: whoever knows it can sign; 32 random bytes.
    :param now: the clock, in seconds since 1970.
    """

    def __init__(self, secret: bytes, now: Callable[[], float] = time.time) -> None:
        if not secret:
            raise InvalidConfigurationException("URLs cannot be signed with an empty secret")
        self._secret = hide(secret)
        self._now = now

    def sign(self, bucket: str, key: str, method: Method, seconds: int, options: SignOptions) -> str:
        """Return a target that stands for this method on this object.

        :raises InvalidValueException: the life is too long, or an option has no place in this request.
        """
        _check(method, seconds, options)
        expires = math.ceil(self._now() + seconds)
        signature = self._signature(method, bucket, key, expires, options)
        return _target(bucket, key, expires, signature, options if method == "GET" else _NOTHING)

    def verify(self, method: str, target: str, content_type: str | None) -> tuple[str, str, SignOptions]:
        """Return the bucket, the key and what the answer's headers are to be.

        :param content_type: what the request says of its body; a signature may bind it.
        :raises Refusal: nobody signed this request, or it is too late.
        """
        pieces = _TARGET.fullmatch(target)
        if pieces is None:
            raise Refusal(HTTPStatus.FORBIDDEN)
        signature, expires = pieces["signature"], int(pieces["expires"])
        bucket, key = unquote(pieces["bucket"]), unquote(pieces["key"])
        answer = SignOptions(_decoded(pieces["type"]), _decoded(pieces["disposition"]))
        candidates = [answer]
        if method == "PUT" and content_type is not None:
            candidates.append(SignOptions(content_type))
        genuine = [
            hmac.compare_digest(signature, self._signature(method, bucket, key, expires, candidate))
            for candidate in candidates
        ]
        as_spelt = _target(bucket, key, expires, signature, answer) == target
        # Else what binds a PUT's content type could be moved into its query, where it binds nothing.
        in_place = method == "GET" or answer == _NOTHING
        in_time = 0 < expires - self._now() <= _LONGEST_LIFE + 1
        if not (any(genuine) and as_spelt and in_place and in_time):
            raise Refusal(HTTPStatus.FORBIDDEN)
        return bucket, key, answer

    def _signature(self, method: str, bucket: str, key: str, expires: int, options: SignOptions) -> str:
        fields = (_VERSION, method, bucket, key, str(expires), options.content_type, options.content_disposition)
        return hmac.digest(self._secret, b"".join(map(_framed, fields)), "sha256").hex()


def _check(method: Method, seconds: int, options: SignOptions) -> None:
    if method not in _METHODS:
        raise InvalidValueException("method", method, f"one of {', '.join(_METHODS)}")
    if not 1 <= seconds <= _LONGEST_LIFE:
        raise InvalidValueException("expires_in", seconds, f"seconds, from 1 to {_LONGEST_LIFE}")
    places = {"content_type": ("GET", "PUT"), "content_disposition": ("GET",)}
    for name, methods in places.items():
        value = getattr(options, name)
        if value is not None and method not in methods:
            raise InvalidValueException(name, value, f"has a place in {' and '.join(methods)} only")
        if value is not None and not is_header_text(value):
            raise InvalidValueException(name, value, "printable ASCII text")


def _framed(value: str | None) -> bytes:
    """Return a field so that no two sequences of fields make the same bytes."""
    if value is None:
        return b"\0"
    content = value.encode()
    return b"\1" + len(content).to_bytes(8, "big") + content


def _decoded(value: str | None) -> str | None:
    return None if value is None else unquote(value)


def _target(bucket: str, key: str, expires: int, signature: str, answer: SignOptions) -> str:
    # In alphabetical order, so that clients that sort parameters do no harm.
    parameters = [f"cbs-expires={expires}", f"cbs-signature={signature}"]
    if answer.content_disposition is not None:
        parameters.append(f"response-content-disposition={quote(answer.content_disposition, safe='')}")
    if answer.content_type is not None:
        parameters.append(f"response-content-type={quote(answer.content_type, safe='')}")
    return f"/{quote(bucket, safe='')}/{quote(key, safe='/')}?{'&'.join(parameters)}"
