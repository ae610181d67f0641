"""Temporary URLs: what Swift's ``tempurl`` signs with a key of its own, which is the account's or a container's."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from email.message import Message
from email.utils import collapse_rfc2231_value
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from cloudbridge_store.drivers.base import Method, SignedRequest, SignOptions
from cloudbridge_store.drivers.openstack.service import Service
from cloudbridge_store.errors import AuthenticationError, UnsupportedOperationError
from cloudbridge_store.redaction import Secret

# The best first, but for the widest known.
_DIGESTS = ("sha256", "sha512", "sha1")
_METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")
_REMEMBERED = 60.0
"""Seconds that a key is taken to be the service's: as long may somebody else's replacement stay unseen."""
_MOST_REMEMBERED = 1000


class UrlSigner:
    """Signs URLs of one account.

    The key is the configuration's, else the container's, else the account's; the last two are asked for, and remembered
    for a minute. None is ever made here.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._keys: dict[str, tuple[Secret, float]] = {}

    def sign(self, bucket: str, key: str, method: Method, seconds: int, options: SignOptions) -> SignedRequest:
        """Sign one method, on one object or on all whose key starts so.

        :raises AuthenticationError: there is no key to sign with.
        :raises UnsupportedOperationError: the service has no temporary URLs, or none for this method.
        """
        able = self._able()
        if method not in able.get("methods", _METHODS):
            raise UnsupportedOperationError(f"this service's temporary URLs cannot {method}", bucket=bucket, key=key)
        if not options.prefix and not key.strip("/"):
            message = "temporary URLs do not reach an object whose name has nothing but slashes"
            raise UnsupportedOperationError(message, bucket=bucket, key=key)
        account = self._service.public_url
        place = f"{urlsplit(account).path}/{quote(bucket, safe='')}/{quote(key)}"
        expires = int(time.time()) + seconds
        # Swift signs names as they are, not as they are quoted.
        named = f"prefix:{unquote(place)}" if options.prefix else unquote(place)
        query = {
            "temp_url_sig": self._sign(able, bucket, f"{method}\n{expires}\n{named}"),
            "temp_url_expires": str(expires),
            **({"temp_url_prefix": key} if options.prefix else {}),
            **(self._disposition(key, options.content_disposition) if method == "GET" else {}),
        }
        url = urlsplit(account)._replace(path=place, query=urlencode(query, quote_via=quote)).geturl()
        return SignedRequest(url, method)

    def _sign(self, able: Mapping[str, Any], bucket: str, text: str) -> str:
        # Services older than the list of digests have the first that there was.
        allowed = able.get("allowed_digests", ("sha1",))
        digest = next((each for each in _DIGESTS if each in allowed), None)
        if digest is None:
            raise UnsupportedOperationError(f"this service signs temporary URLs with none but {', '.join(allowed)}")
        return hmac.new(self._key(bucket).encode(), text.encode(), digest).hexdigest()

    def _able(self) -> Mapping[str, Any]:
        """Return what the service says of its temporary URLs, and what is known of it where it says nothing."""
        if not self._service.info:
            return {"allowed_digests": (self._service.preset.tempurl_digest,)}
        found = self._service.info.get("tempurl")
        if not isinstance(found, Mapping):
            raise UnsupportedOperationError("this service has no temporary URLs: its /info does not name tempurl")
        return found

    def _key(self, bucket: str) -> Secret:
        given = self._service.config["os_temp_url_key"]
        if given:
            return Secret(given)
        now = time.monotonic()
        found, until = self._keys.get(bucket, (None, now))
        if found is None or until <= now:
            found = self._ask(bucket) or self._ask(None)
            if found is None:
                raise AuthenticationError(
                    "neither the container nor the account has a key to sign temporary URLs with, as far as it is shown",
                    hint="Give it as os_temp_url_key, or set one: provider.storage.set_temp_url_key()",
                    bucket=bucket,
                )
            if len(self._keys) >= _MOST_REMEMBERED:
                self._keys.clear()
            self._keys[bucket] = found, now + _REMEMBERED
        return found

    def _ask(self, bucket: str | None) -> Secret | None:
        if bucket is not None and not self._service.preset.container_keys:
            return None
        # Who may not look at the account may still have what is in it, and sees no key.
        headers = self._service.send("HEAD", bucket, ok=(HTTPStatus.FORBIDDEN,)).headers
        name = _header(bucket)
        value = headers.get(name) or headers.get(f"{name}-2")
        return Secret(value) if value else None

    def _disposition(self, key: str, value: str | None) -> dict[str, str]:
        """Return the query by which Swift makes a ``Content-Disposition``: it knows the kind and a file name, no more.

        :raises UnsupportedOperationError: there is more in it.
        """
        if value is None:
            return {}
        message = Message()
        message["Content-Disposition"] = value
        kind = message.get_content_disposition()
        # Of a plain name and one as RFC 2231 has it, which comes behind, the second counts.
        named: dict[str, Any] = dict((message.get_params(header="Content-Disposition") or [])[1:])
        inline = {"inline": ""} if kind == "inline" else {}
        known = {"filename"} if self._service.preset.inline_names or not inline else set()
        if kind not in ("inline", "attachment") or named.keys() - known:
            raise UnsupportedOperationError(
                "a temporary URL says inline or attachment, and a file name; content_disposition says more", key=key
            )
        name = collapse_rfc2231_value(named.get("filename") or "")
        # Without a name, the one stored with the object would be left.
        name = name or ("" if inline else key.rstrip("/").rpartition("/")[2])
        return {**({"filename": name} if name else {}), **inline}

    def set_key(self, key: str, bucket: str | None, *, keep: bool) -> None:
        """Set the account's key, or a container's.

        :param keep: the one before goes to the second place, where it counts, too.
        :raises UnsupportedOperationError: the service has no temporary URLs, or no keys of containers.
        """
        self._able()
        if bucket is not None and not self._service.preset.container_keys:
            raise UnsupportedOperationError("this service has no keys of containers, only the account's", bucket=bucket)
        name = _header(bucket)
        headers = {name: key}
        if keep:
            before = self._service.send("HEAD", bucket).headers.get(name)
            # Set a second time, because nobody answered the first, it is not the one before.
            if before and before != key:
                headers[f"{name}-2"] = before
        self._service.send("POST", bucket, headers=headers)
        self._keys.clear()


def _header(bucket: str | None) -> str:
    return f"X-{'Account' if bucket is None else 'Container'}-Meta-Temp-URL-Key"
