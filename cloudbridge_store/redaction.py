"""Secrets: values whose ``repr`` does not show them, and a filter that takes them out of what SDKs log."""

from __future__ import annotations

import logging
import pkgutil
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any

_HIDDEN = "***"


class Secret(str):
    """Text that only shows itself to whoever asks for it: its ``repr``, and that of whatever holds it, is ``'***'``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{_HIDDEN}'"


class SecretBytes(bytes):
    """The same for bytes, which have no other text than their ``repr``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"b'{_HIDDEN}'"

    __str__ = __repr__


def hide(value: Any) -> Any:
    """Return ``value`` with all text and bytes in it hidden; it is equal to what it was."""
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, bytes):
        return SecretBytes(value)
    if isinstance(value, Mapping):
        return {name: hide(each) for name, each in value.items()}
    if isinstance(value, list):
        return [hide(each) for each in value]
    return value


def unhide(value: Any) -> Any:
    """Return what :func:`hide` was given: of a value that turned out to be none, or where its ``repr`` has to tell."""
    if isinstance(value, Secret):
        return str(value)
    if isinstance(value, SecretBytes):
        return bytes(value)
    if isinstance(value, dict):
        return {name: unhide(each) for name, each in value.items()}
    if isinstance(value, list):
        return [unhide(each) for each in value]
    return tuple(unhide(each) for each in value) if type(value) is tuple else value


_USERINFO = re.compile(r"(?<=://)[^/?#\s'\"@]*(?:@[^/?#\s'\"@]*)*@")
_BARE_USERINFO = re.compile(r"[^/?#\s:@]+:[^/?#\s]*@")
_NAMES = (
    *("authorization", "proxy-authorization", "x-amz-security-token", "x-amz-signature", "x-amz-credential"),
    r"x-amz-(?:copy-source-)?server-side-encryption-customer-key(?:-md5)?",
    *("x-amz-s3session-token", "x-auth-token", "cookie", "set-cookie", "credential", "signature", "cbs-signature"),
    *("awsaccesskeyid", "accesskeyid", "secretaccesskey", "sessiontoken", "password", "canonicalrequest"),
    *("accesskey", "accesstoken", "refreshtoken", "clientsecret", "secretkey"),
    *("sig", "accountkey", "sharedaccesssignature", r"x-ms-encryption-key(?:-sha256)?"),
    *("access_token", "refresh_token", "id_token", "client_secret", "client_assertion"),
    *("x-goog-signature", "x-goog-credential", r"x-goog-(?:copy-source-)?encryption-key(?:-sha256)?"),
    *("assertion", "subject_token", "private_key", "private_key_id", "signedblob", "upload_id"),
    *("x-auth-key", "x-storage-token", "x-subject-token", "x-service-token", "apikey", "temp_url_sig"),
    r"x-(?:account|container)-meta-temp-url-key(?:-2)?",
)
_SCHEMES = "Bearer|SharedKey|Basic"
_NAMED = re.compile(
    rf"(?P<name>(?:(?<![a-z])|(?<=\\n))(?:{'|'.join(_NAMES)})(?:'|\")?\s*(?:[:=>]|%3D)\s*(?:b(?=['\"]))?)"
    rf"(?:(?P<quote>['\"]).*?(?P=quote)|(?:(?:{_SCHEMES})\s+)?[^\s&<>'\",;\\]+)",
    re.IGNORECASE,
)
_OLD_AUTHORIZATION = re.compile(r"(?<=\bAWS )[^\s:'\"]+:[A-Za-z0-9+/=]+")


def has_userinfo(value: object) -> bool:
    """Say whether a value is a URL with a user or a password in it."""
    return isinstance(value, str) and bool(_USERINFO.search(value) or _BARE_USERINFO.match(value))


def redact(text: str) -> str:
    """Return ``text`` without the values of signatures, tokens, keys and passwords that stand in it by name."""
    text = _OLD_AUTHORIZATION.sub(_HIDDEN, _USERINFO.sub(f"{_HIDDEN}@", text))
    return _NAMED.sub(rf"\g<name>{_HIDDEN}", text)


class RedactingFilter(logging.Filter):
    """Lets every record through, with the secrets taken out of its message and its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Alter the record."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):
            return True  # the handler reports what is wrong with it
        safe = redact(text)
        if safe != text:
            record.msg, record.args = safe, None
        if record.exc_info:
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
        return True


_filter = RedactingFilter()


@cache
def protect_loggers(package: str) -> None:
    """Put the filter on the logger of every module of a package: a filter is not asked about what others pass on."""
    for name in _modules(package):
        logging.getLogger(name).addFilter(_filter)


def _modules(package: str) -> Iterator[str]:
    spec = find_spec(package)
    if spec is None:
        return
    yield package
    for path in spec.submodule_search_locations or ():
        yield from _below(path, package)


def _below(path: str, package: str) -> Iterator[str]:
    for found in pkgutil.iter_modules([path]):
        name = f"{package}.{found.name}"
        yield name
        if found.ispkg:
            yield from _below(f"{path}/{found.name}", name)
