"""botocore's signature, made of what a request has, and the request it is made for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from botocore.auth import SIGNED_HEADERS_BLACKLIST, S3SigV4Auth
from botocore.awsrequest import AWSRequest

from cloudbridge_store.drivers.streams import SentStream
from cloudbridge_store.redaction import Secret, SecretBytes

_MOST_KEYS = 8


class Headers(dict[str, str]):
    """Headers in the way that botocore's signer asks for them."""

    def get_all(self, name: str) -> list[str]:
        """Return the one value of a header."""
        return [self[name]]


class SignedRequest:
    """A request that can be signed and sent: what botocore's signer and its HTTP session look at, and no more."""

    __slots__ = (
        "auth_path",
        "body",
        "context",
        "headers",
        "host",
        "method",
        "params",
        "signable",
        "stream_output",
        "url",
    )

    def __init__(self, method: str, url: str, host: str, headers: dict[str, Any], body: Any) -> None:
        self.method = method
        self.url = url
        self.host = host
        self.headers = headers
        self.body = body
        self.params: dict[str, str] = {}
        self.context: dict[str, Any] = {}
        self.auth_path = None
        self.stream_output = False
        self.signable: Headers | None = None


class Signer(S3SigV4Auth):  # type: ignore[misc]
    """botocore's signer in Python, which makes the key of a day once and looks through the headers once.

    :param keys: holds the keys of the day.
    """

    def __init__(self, credentials: Any, region: str, keys: dict[tuple[str, ...], bytes]) -> None:
        super().__init__(credentials, "s3", region)
        self._keys = keys

    def headers_to_sign(self, request: SignedRequest) -> Headers:
        """Return the headers that the signature covers."""
        if request.signable is None:
            names = {name.lower(): value for name, value in request.headers.items()}
            request.signable = Headers((name, names[name]) for name in names if name not in SIGNED_HEADERS_BLACKLIST)
            request.signable["host"] = request.host
        return request.signable

    def payload(self, request: SignedRequest) -> str:
        """Return the digest of the body, or the word for none."""
        body = request.body
        if not isinstance(body, SentStream) or not self._should_sha256_sign_payload(request):
            known: str = super().payload(request)
            return known
        digest = hashlib.sha256()
        for piece in body.pieces():
            digest.update(piece)
        body.seek(0)
        return digest.hexdigest()

    def signature(self, string_to_sign: str, request: SignedRequest) -> str:
        """Sign with the key of the day."""
        day = request.context["timestamp"][:8]
        name = (Secret(self.credentials.secret_key), self._region_name, day)
        key = self._keys.get(name)
        if key is None:
            if len(self._keys) >= _MOST_KEYS:
                self._keys.clear()
            key = SecretBytes(f"AWS4{self.credentials.secret_key}".encode())
            for step in (day, self._region_name, self._service_name, "aws4_request"):
                key = SecretBytes(self._sign(key, step))
            self._keys[name] = key
        signed: str = self._sign(key, string_to_sign, hex=True)
        return signed


def host_of(url: str) -> str:
    """Return the Host header of an address as botocore signs it."""
    host: str = S3SigV4Auth(None, "s3", "").headers_to_sign(AWSRequest("GET", url))["host"]
    return host


def encoded(headers: Iterable[tuple[str, str]]) -> dict[str, bytes]:
    """Return headers as bytes: what is not ASCII goes as UTF-8."""
    return {name: value.encode() for name, value in headers}
