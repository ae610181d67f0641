"""What is refused before anything is sent: names, keys, metadata, options that a service lacks, expiry times."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from typing import Any, Literal, TypedDict

from cloudbridge_store.config import refuse_http
from cloudbridge_store.core import content_types
from cloudbridge_store.core.session import Session
from cloudbridge_store.drivers.base import (
    CONTENT_HEADERS,
    READ_ALL,
    Capabilities,
    Encryption,
    Method,
    PutOptions,
    ReadOptions,
    SignOptions,
)
from cloudbridge_store.errors import (
    InvalidConfigurationException,
    InvalidLabelException,
    InvalidNameException,
    InvalidValueException,
)
from cloudbridge_store.redaction import has_userinfo, hide

_BUCKET_NAME = re.compile(r"[a-z][-a-z0-9]{1,61}[a-z0-9]")
# C0, DEL, C1, and the two code points that XML 1.0, and so most listings, cannot hold.
_UNSTORABLE = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
_DOT_SEGMENT = re.compile(r"(?:^|/)\.\.?(?=/|$)")
_COMPLETE_DOT_SEGMENT = re.compile(r"(?:^|/)\.\.?/")
_METADATA_NAME = re.compile(r"[a-z][a-z0-9_-]{0,127}")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_TAG_NAME_LIMIT, _TAG_VALUE_LIMIT = 128, 256
_URL = re.compile(r"(?i:https?)://[!-~]+")
_SHOWN = 80
_LEAST_SECRET = 16


class PutKeywords(TypedDict, total=False):
    """Keywords of every call that stores an object.

    ``if_none_match="*"`` creates and never replaces; ``if_match`` takes the ETag that must be stored now; ``extra``
    goes to the SDK as it is. Sizes and limits stand in the provider's ``capabilities``.
    """

    content_type: str | None
    cache_control: str | None
    content_disposition: str | None
    content_encoding: str | None
    content_language: str | None
    metadata: Mapping[str, str] | None
    tags: Mapping[str, str] | None
    storage_class: str | None
    encryption: Encryption | None
    if_match: str | None
    if_none_match: Literal["*"] | None
    extra: Mapping[str, Any] | None


def bucket_name(name: object, special: Container[str] = ()) -> str:
    """Return the name of a bucket to be created, if CloudBridge's rule permits it.

    :param special: names that are possible beside it.
    :raises InvalidNameException: it does not.
    """
    if isinstance(name, str) and (name in special or _BUCKET_NAME.fullmatch(name)):
        return name
    message = (
        f"Invalid name: {name}. Name must be at least 3 characters long and at most 63 characters. It must consist of "
        "lowercase letters, numbers, or dashes. The name must not start or end with a dash. It must start with a letter."
    )
    raise InvalidNameException(message)


def object_key(session: Session, key: object) -> str:
    """Return an object's key, if every provider stores exactly it and this one can.

    :raises InvalidLabelException: it would be altered, lost, or end up somewhere else.
    """
    reason = _refusal(key, session.capabilities.max_key_bytes, literal=session.settings.keys == "literal")
    if reason is None:
        assert isinstance(key, str)
        reason = session.driver.refuse_key(key)
        if reason is None:
            return key
    shown = repr(key) if len(repr(key)) <= _SHOWN else f"{repr(key)[:_SHOWN]}..."
    message = f"Invalid object key {shown}: {reason}"
    raise InvalidLabelException(message)


def _refusal(key: object, longest: int, *, literal: bool = False) -> str | None:
    if not isinstance(key, str):
        return f"a key is a str, not {type(key).__name__}"
    if not key:
        return "a key has at least one character"
    if literal:
        return _not_text(key, longest)
    if _DOT_SEGMENT.search(key):
        return "the segments . and .. would be resolved away on the way to some services"
    return _unstorable(key, longest)


def _unstorable(text: str, longest: int) -> str | None:
    if found := _UNSTORABLE.search(text):
        return f"it holds the control character or noncharacter U+{ord(found[0]):04X}"
    return _not_text(text, longest)


def _not_text(text: str, longest: int) -> str | None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "it holds half of a surrogate pair, which is not Unicode text"
    return f"it has {size} bytes of UTF-8, and at most {longest} are possible" if size > longest else None


def key_prefix(session: Session, prefix: object, param: str = "prefix") -> str:
    """Return the beginning of keys to list; any text that a key can begin with, ``None`` for all.

    :raises InvalidLabelException: no key can begin so.
    """
    if prefix is None:
        return ""
    if not isinstance(prefix, str):
        raise InvalidValueException(param, prefix, "a str")
    literal = session.settings.keys == "literal"
    reason = (_not_text if literal else _unstorable)(prefix, session.capabilities.max_key_bytes)
    if not literal and reason is None and _COMPLETE_DOT_SEGMENT.search(prefix):
        reason = "no key has a segment . or .."
    if reason is not None:
        message = f"Invalid {param} {prefix[:_SHOWN]!r}: {reason}"
        raise InvalidLabelException(message)
    return prefix


def expiry(session: Session, seconds: object) -> int:
    """Return the life of a signed URL in whole seconds. :raises InvalidValueException: the service would refuse it."""
    longest = session.capabilities.max_url_seconds
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 1 <= seconds <= longest:
        raise InvalidValueException("expires_in", seconds, f"seconds, from 1 to {longest} on this provider")
    return int(seconds)


def signable(session: Session, method: object) -> None:
    """Raise UnsupportedOperationError for a method that this provider cannot sign."""
    if method not in session.capabilities.sign:
        able = ", ".join(sorted(session.capabilities.sign)) or "none"
        raise session.lacking(f"this provider cannot sign {method} requests (it can sign: {able})", "sign", str(method))


def temp_url_key(key: object) -> str:
    """Return a key to sign URLs with. :raises InvalidValueException: one soon guessed, or that no header holds."""
    if not isinstance(key, str) or len(key) < _LEAST_SECRET or not key.isascii() or not key.isprintable():
        raise InvalidValueException("key", "...", f"{_LEAST_SECRET} or more printable characters of ASCII")
    return key


def sign_options(
    session: Session, method: Method, content_type: str | None, content_disposition: str | None
) -> SignOptions:
    """Return what a signed URL binds.

    :raises InvalidValueException: no header can hold it.
    :raises UnsupportedOperationError: this provider's signatures cannot bind it.
    """
    options = SignOptions(
        optional_header("content_type", content_type), optional_header("content_disposition", content_disposition)
    )
    if method == "PUT":
        if content_type is not None:
            session.require("sign_content_type", "bind the content type of a signed PUT")
        return options
    for name in ("content_type", "content_disposition"):
        if getattr(options, name) is not None and name not in session.capabilities.sign_options:
            raise session.lacking(f"this provider's signed URLs cannot say {name}", "sign_options")
    return options


def put_options(session: Session, key: str, keywords: PutKeywords) -> PutOptions:
    """Return the options of a write, checked against what the service can do.

    :raises TypeError: a keyword that is not one of :class:`PutKeywords`.
    :raises InvalidValueException: a value that could not be stored faithfully.
    :raises UnsupportedOperationError: an option that this provider lacks.
    """
    if not keywords:
        return PutOptions(content_type=content_types.guess(key))
    unknown = keywords.keys() - PutKeywords.__annotations__.keys()
    if unknown:
        message = f"unexpected keyword argument {min(unknown)!r}; there are: {', '.join(PutKeywords.__annotations__)}"
        raise TypeError(message)
    given: dict[str, Any] = {name: value for name, value in keywords.items() if value is not None}
    headers = {name: _header(name, given.pop(name)) for name in sorted(CONTENT_HEADERS & given.keys())}
    _refuse_unsupported(session, given, headers)
    _check_conditions(given)
    options: dict[str, Any] = {**given, "headers": headers}
    options["content_type"] = _header("content_type", given.get("content_type") or content_types.guess(key))
    if "metadata" in given:
        options["metadata"] = metadata(session, given["metadata"])
    if "tags" in given:
        options["tags"] = tags(session, given["tags"])
    return PutOptions(**options)


def _refuse_unsupported(session: Session, given: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    able = session.capabilities
    lacking = {name: f"the header {name}" for name in headers if name not in able.content_headers}
    if given.get("metadata") and not able.user_metadata:
        lacking["user_metadata"] = "metadata"
    if given.get("tags") and not able.tags:
        lacking["tags"] = "tags"
    conditions = ("if_match", "if_none_match")
    lacking |= {name: name for name in conditions if name in given and name not in able.conditional_put}
    wanted = given.get("storage_class")
    if wanted is not None and wanted not in able.storage_classes:
        lacking["storage_classes"] = _lacking_class(able, wanted)
    encryption = given.get("encryption")
    if encryption is not None and encryption.kind not in able.encryption:
        lacking[encryption.kind] = _lacking_key(able, encryption)
    if lacking:
        raise session.lacking(f"this provider does not have {', '.join(lacking.values())}", *lacking)


def storage_class(session: Session, name: str) -> str:
    """Return a storage class that the service has. :raises UnsupportedOperationError: it has no such class."""
    if name not in session.capabilities.storage_classes:
        lacking = _lacking_class(session.capabilities, name)
        raise session.lacking(f"this provider does not have {lacking}", "storage_classes")
    return name


def _lacking_class(able: Capabilities, wanted: str) -> str:
    there = ", ".join(sorted(able.storage_classes)) or "none to choose"
    return f"the storage class {wanted} (there are: {there})"


def _lacking_key(able: Capabilities, encryption: Encryption) -> str:
    there = ", ".join(sorted(able.encryption)) or "none to choose"
    return f"encryption of kind {encryption.kind} (there are: {there})"


def read_source(session: Session, version: str | None, encryption: Encryption | None) -> ReadOptions:
    """Return how an object is asked for, by version and by customer's key.

    :raises UnsupportedOperationError: the provider lacks that.
    """
    if version is None and encryption is None:
        return READ_ALL
    if version is not None:
        session.require("versions", "keep versions")
    key = None
    if encryption is not None:
        if encryption.kind not in session.capabilities.encryption:
            lacking = _lacking_key(session.capabilities, encryption)
            raise session.lacking(f"this provider does not have {lacking}", encryption.kind)
        key = encryption.key
    return ReadOptions(version=version, customer_key=key)


def source_url(session: Session, url: object) -> str:
    """Return an address that the service may fetch, as a secret: a signature in it is one.

    :raises InvalidValueException: it is no address of http, or leads over plain http through the net.
    """
    text: str = hide(url)
    if not isinstance(url, str) or not _URL.fullmatch(url) or has_userinfo(url):
        raise InvalidValueException("url", "...", "an https URL of printable ASCII, without a user or a password")
    try:
        refuse_http(text, session.settings)
    except InvalidConfigurationException as error:
        raise InvalidValueException("url", "...", str(error)) from None
    return text


def refuse_conditions(session: Session, options: PutOptions, able: Literal["multipart", "copy"]) -> None:
    """Raise where the service keeps no condition of an upload in parts, or of a copy."""
    if options.conditional and not getattr(session.capabilities, f"conditional_{able}"):
        what = "uploads in parts" if able == "multipart" else "copies"
        message = f"this provider keeps conditions of uploads in one request, and not of {what}"
        raise session.lacking(message, f"conditional_{able}")


def _check_conditions(given: Mapping[str, Any]) -> None:
    if given.get("if_none_match", "*") != "*":
        raise InvalidValueException("if_none_match", given["if_none_match"], 'only "*": create, never replace')
    if "if_match" in given and "if_none_match" in given:
        raise InvalidValueException("if_match", given["if_match"], "cannot hold together with if_none_match")


def _header(name: str, value: object) -> str:
    if not isinstance(value, str) or not value or _CONTROL.search(value) or not value.isascii():
        raise InvalidValueException(name, value, "printable ASCII text")
    return value


def optional_header(name: str, value: str | None) -> str | None:
    """Return a header's value, if it can be sent as it is. :raises InvalidValueException:"""
    return None if value is None else _header(name, value)


def metadata(session: Session, metadata: Mapping[str, str]) -> dict[str, str]:
    """Return metadata that the service can hold. :raises InvalidValueException: it cannot."""
    checked: dict[str, str] = {}
    for name, value in metadata.items():
        if not isinstance(name, str) or not _METADATA_NAME.fullmatch(name):
            hint = "names are lower-case letters, digits, - and _, from a letter on: services fold or refuse others"
            raise InvalidValueException("metadata", name, hint)
        checked[name] = _text("metadata", name, value)
    size = sum(len(name) + len(value.encode()) for name, value in checked.items())
    longest = session.capabilities.max_metadata_bytes
    if size > longest:
        raise InvalidValueException("metadata", f"of {size} bytes", f"at most {longest} on this provider")
    return checked


def tags(session: Session, tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags that the service takes: ``max_tags`` of 128 and 256 characters, as S3 has them.

    :raises InvalidValueException: too many, too long, or not text.
    """
    most = session.capabilities.max_tags
    if len(tags) > most:
        raise InvalidValueException("tags", f"{len(tags)} tags", f"at most {most} on this provider")
    for name, value in tags.items():
        if not isinstance(name, str) or not 1 <= len(name) <= _TAG_NAME_LIMIT or _CONTROL.search(name):
            raise InvalidValueException("tags", name, f"names have 1 to {_TAG_NAME_LIMIT} printable characters")
        if len(_text("tags", name, value)) > _TAG_VALUE_LIMIT:
            raise InvalidValueException("tags", value, f"values have at most {_TAG_VALUE_LIMIT} characters")
    return dict(tags)


def _text(param: str, name: str, value: object) -> str:
    if not isinstance(value, str) or _CONTROL.search(value):
        raise InvalidValueException(param, f"{name}={value!r}", "values are text without control characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidValueException(param, f"{name}={value!r}", "half of a surrogate pair is not text") from None
    return value


def positive(param: str, value: object) -> int:
    """Return a whole number above 0. :raises InvalidValueException:"""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidValueException(param, value, "a whole number of 1 or more")
    return value
