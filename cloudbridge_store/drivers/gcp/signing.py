"""Signed URLs and forms: version 4 of the service's signatures, by a service account's key or by IAM for it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

from cloudbridge_store.drivers.base import FormOptions, Method, SignedForm, SignedRequest, SignOptions, TiB
from cloudbridge_store.drivers.gcp.answers import json_of, reason_of, refusal, required
from cloudbridge_store.drivers.gcp.service import Service, query_text, xml_path
from cloudbridge_store.errors import AuthenticationError, InvalidRequestError

_ALGORITHM = "GOOG4-RSA-SHA256"
_REQUEST = "goog4_request"
_LARGEST = 5 * TiB
_CHOSEN_BY_SENDER = "${filename}"
_NO_SIGNER = (
    "Use a service account's key, or name an account that these credentials may sign for by "
    "gcp_service_account_email (permission iam.serviceAccounts.signBlob)"
)


def sign_url(
    service: Service, bucket: str, key: str, method: Method, seconds: int, options: SignOptions
) -> SignedRequest:
    """Sign one method on one object. :raises AuthenticationError: there is nothing to sign with."""
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    if method == "GET":
        if options.content_type is not None:
            query["response-content-type"] = options.content_type
        if options.content_disposition is not None:
            query["response-content-disposition"] = options.content_disposition
    elif method == "PUT" and options.content_type is not None:
        headers["Content-Type"] = options.content_type
    parts = urlsplit(service.endpoint)
    path = f"{parts.path}{xml_path(bucket, key)}"
    bound = {"host": parts.netloc, **{name.lower(): text for name, text in headers.items()}}
    signed = _signed_query(service, f"{method}\n{path}", {**query, "X-Goog-Expires": str(seconds)}, bound)
    return SignedRequest(f"{parts.scheme}://{parts.netloc}{path}?{signed}", method, headers)


def _signed_query(service: Service, request: str, query: Mapping[str, str], bound: Mapping[str, str]) -> str:
    """Return the query of a URL, with its signature.

    :param request: method and path, by lines.
    :param bound: the headers that a request must have as they are here; their names in lower case.
    """
    now = datetime.now(UTC)
    names = ";".join(sorted(bound))
    whole = {
        **query,
        "X-Goog-Algorithm": _ALGORITHM,
        "X-Goog-Credential": f"{_signer(service)}/{_scope(now)}",
        "X-Goog-Date": _stamp(now),
        "X-Goog-SignedHeaders": names,
    }
    # Sorted as it is sent: by its encoded form.
    text = "&".join(sorted(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in whole.items()))
    lines = "".join(f"{name}:{' '.join(bound[name].split())}\n" for name in sorted(bound))
    canonical = f"{request}\n{text}\n{lines}\n{names}\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"{_ALGORITHM}\n{_stamp(now)}\n{_scope(now)}\n{digest}"
    return f"{text}&X-Goog-Signature={_sign(service, to_sign.encode()).hex()}"


def sign_form(service: Service, bucket: str, key: str, seconds: int, options: FormOptions) -> SignedForm:
    """Sign a policy document for a form."""
    if not options.prefix and key.endswith(_CHOSEN_BY_SENDER):
        raise InvalidRequestError(f"the service takes {_CHOSEN_BY_SENDER} at the end of a key for the sender's choice")
    now = datetime.now(UTC)
    fields = {
        "key": f"{key}{_CHOSEN_BY_SENDER}" if options.prefix else key,
        "x-goog-algorithm": _ALGORITHM,
        "x-goog-credential": f"{_signer(service)}/{_scope(now)}",
        "x-goog-date": _stamp(now),
    }
    if options.content_type is not None:
        fields["Content-Type"] = options.content_type
    terms: list[Any] = [{"bucket": bucket}, *({name: text} for name, text in fields.items() if name != "key")]
    terms.append(["starts-with", "$key", key] if options.prefix else {"key": key})
    if options.min_size or options.max_size is not None:
        largest = _LARGEST if options.max_size is None else options.max_size
        terms.append(["content-length-range", options.min_size, largest])
    expires = (now + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    policy = base64.b64encode(json.dumps({"conditions": terms, "expiration": expires}).encode()).decode()
    fields.update({"policy": policy, "x-goog-signature": _sign(service, policy.encode()).hex()})
    return SignedForm(f"{service.endpoint}{xml_path(bucket)}/", fields)


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%SZ")


def _scope(moment: datetime) -> str:
    return f"{moment:%Y%m%d}/auto/storage/{_REQUEST}"


def _signer(service: Service) -> str:
    email = service.identity.email
    if not email:
        raise AuthenticationError("the credentials cannot sign", hint=_NO_SIGNER)
    return email


def _sign(service: Service, data: bytes) -> bytes:
    return service.identity.sign(data) or _sign_by_iam(service, data)


def _sign_by_iam(service: Service, data: bytes) -> bytes:
    """Have IAM sign for a service account.

    :raises GoogleAPICallError: it may not be done by these credentials.
    :raises AuthenticationError: there is no such account.
    """
    path = f"/v1/projects/-/serviceAccounts/{quote(_signer(service), safe='@')}:signBlob"
    headers: dict[str, str] = {"Content-Type": "application/json", "User-Agent": service.wire.agent}
    service.identity.authorize(headers)
    document: Mapping[str, str] = {"payload": base64.b64encode(data).decode()}
    body = json.dumps(document).encode()
    answer = service.wire.exchange("POST", f"{service.iam_endpoint}{path}?{query_text({'alt': 'json'})}", headers, body)
    if answer.status == HTTPStatus.NOT_FOUND:
        message = reason_of(answer)[1] or f"IAM has no account {_signer(service)}"
        raise AuthenticationError(message, status=answer.status, hint=_NO_SIGNER) from refusal(answer)
    if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise refusal(answer)
    return base64.b64decode(required(json_of(answer), "signedBlob"))
