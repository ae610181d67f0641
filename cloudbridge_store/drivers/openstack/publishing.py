"""Who may read a container, and under which addresses: its ACL, static websites, and Rackspace's CDN."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from urllib.parse import quote

from cloudbridge_store.drivers.base import CdnInfo
from cloudbridge_store.drivers.openstack.errors import AnswerError
from cloudbridge_store.drivers.openstack.names import beside
from cloudbridge_store.drivers.openstack.segments import ANONYMOUS, READ_ACL, Segments, acl_of
from cloudbridge_store.drivers.openstack.service import Answer, Service
from cloudbridge_store.errors import ForeignAnswerError, UnsupportedOperationError

_EVERYBODY = ".r:*"
_LISTINGS = ".rlistings"
_META, _REMOVE = "X-Container-Meta-", "X-Remove-Container-Meta-"
_INDEX, _ERROR = "Web-Index", "Web-Error"
_CDN_SERVICE = "rax:object-cdn"
_CDN_URLS = MappingProxyType({
    "https": "X-Cdn-Ssl-Uri", "http": "X-Cdn-Uri", "streaming": "X-Cdn-Streaming-Uri", "ios": "X-Cdn-Ios-Uri"
})  # fmt: skip
_STATUS = "404"


def public_url(service: Service, bucket: str, key: str) -> str:
    """Return the address of an object without a signature."""
    return f"{service.public_url}/{quote(bucket, safe='')}/{quote(key)}"


def set_public(service: Service, segments: Segments, bucket: str, *, public: bool) -> None:
    """Let everybody read, or nobody without a token; what the ACL says of users stays.

    The container of its segments likewise: Swift asks its ACL, too, before it sends a large object.
    """
    headers = service.send("HEAD", bucket).headers
    segments.forget(bucket)  # what was believed of it is not good enough for who may read
    places = [bucket, beside(bucket)] if segments.may_be(bucket) else [bucket]
    # Before a bucket is public its large objects can be read, and they cannot be when it is private.
    for place in reversed(places) if public else places:
        found = headers if place == bucket else service.send("HEAD", place, ok=(404,)).headers
        _set_acl(service, place, found, public=public)


def _set_acl(service: Service, bucket: str, headers: Mapping[str, str], *, public: bool) -> None:
    named = acl_of(headers)
    if public:
        # Without the second nobody is served the index of a website.
        wanted = (_EVERYBODY, _LISTINGS) if headers.get(f"{_META}{_INDEX}") else (_EVERYBODY,)
        kept = [*named, *(each for each in wanted if each not in named)]
    else:
        kept = [each for each in named if each != _LISTINGS and not each.startswith(ANONYMOUS)]
    if kept != named:
        # An empty one removes it; what Swift has for that beside it, Ceph passes over.
        service.send("POST", bucket, headers={READ_ACL: ",".join(kept)})


def set_website(service: Service, bucket: str, index: str | None, error: str | None) -> str:
    """Serve a container as a static site, or stop; return where. Its objects have to be public.

    Swift puts the status before the name of the error page: ``missing.html`` is the object ``404missing.html``. A name
    that starts with 404 is taken for the whole.

    :raises UnsupportedOperationError: the service does not serve websites.
    """
    if service.info and not service.has("staticweb"):
        raise UnsupportedOperationError("this service serves no websites: its /info does not name staticweb")
    url = f"{service.public_url}/{quote(bucket, safe='')}"
    if service.preset.cdn:
        url = _website_of_cdn(service, bucket, needed=index is not None) or url
    headers = {}
    suffix = error.removeprefix(_STATUS) if error is not None and index is not None else None
    for name, value in ((_INDEX, index), (_ERROR, suffix)):
        if value is None:
            headers[f"{_REMOVE}{name}"] = "x"
        else:
            headers[f"{_META}{name}"] = value.encode().decode("latin-1")
    named = acl_of(service.send("HEAD", bucket).headers)
    # Who may list is served the index; without one they would be served a list.
    kept = [each for each in named if each != _LISTINGS]
    if index is not None and _EVERYBODY in named:
        kept.append(_LISTINGS)
    if sorted(kept) != sorted(named):
        headers[READ_ACL] = ",".join(kept)
    service.send("POST", bucket, headers=headers)
    return f"{url}/"


def _website_of_cdn(service: Service, bucket: str, *, needed: bool) -> str | None:
    found = get_cdn(service, bucket)
    if not found.enabled and needed:
        hint = "Call bucket.enable_cdn() first: only the CDN serves websites here"
        raise UnsupportedOperationError("the bucket is not in the CDN", hint=hint, bucket=bucket)
    return _best(found)


def set_cdn(service: Service, bucket: str, *, enabled: bool, ttl: int | None) -> str:
    """Put a container into the CDN, or take it out; return the address there."""
    headers = {"X-Cdn-Enabled": str(enabled), **({"X-Ttl": str(ttl)} if ttl is not None else {})}
    if enabled:
        # The CDN takes any name; a container that is not there is found out now.
        service.send("HEAD", bucket)
    answer = _ask(service, "PUT" if enabled else "POST", bucket, headers=headers)
    url = _best(_described(answer)) or _best(get_cdn(service, bucket))
    if url is None and enabled:
        raise ForeignAnswerError("the CDN does not say where it serves the container", bucket=bucket)
    return url or ""


def get_cdn(service: Service, bucket: str) -> CdnInfo:
    """Say what the CDN has of a container; one that never was there is not enabled."""
    try:
        return _described(_ask(service, "HEAD", bucket))
    except AnswerError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
    service.send("HEAD", bucket)
    return CdnInfo(enabled=False)


def purge_cdn(service: Service, bucket: str, key: str | None, email: str | None) -> None:
    """Have the CDN forget an object, or all of a container."""
    _ask(service, "DELETE", bucket, key, headers={"X-Purge-Email": email} if email is not None else None)


def _ask(
    service: Service, method: str, bucket: str, key: str | None = None, *, headers: dict[str, str] | None = None
) -> Answer:
    url = service.login.endpoint(_CDN_SERVICE)
    if url is None:
        hint = "It is found by a login with a user, by region: check os_region_name; a token and an address have none"
        raise UnsupportedOperationError("the catalogue has no CDN", hint=hint, bucket=bucket)
    return service.send(method, bucket, key, headers=headers, url=url)


def _described(answer: Answer) -> CdnInfo:
    ttl = answer.headers.get("X-Ttl", "")
    urls = {kind: answer.headers[name] for kind, name in _CDN_URLS.items() if answer.headers.get(name)}
    enabled = answer.headers.get("X-Cdn-Enabled", "").lower() == "true"
    return CdnInfo(enabled, int(ttl) if ttl.isdecimal() else None, MappingProxyType(urls))


def _best(found: CdnInfo) -> str | None:
    return found.urls.get("https") or found.urls.get("http")
