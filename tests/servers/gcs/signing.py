"""Requests that carry a signature of version 4 instead of a token.

* https://cloud.google.com/storage/docs/authentication/signatures
* https://cloud.google.com/storage/docs/authentication/canonical-requests
* What is refused, and how: https://cloud.google.com/storage/docs/xml-api/reference-status
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from servers.gcs.identity import Caller
from servers.gcs.model import now
from servers.gcs.refusals import Refusal

ALGORITHM = "GOOG4-RSA-SHA256"
LONGEST = 604_800
SKEW = timedelta(minutes=15)
_NAMES = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
_WRONG = "The request signature we calculated does not match the signature you provided."
_WRONG += " Check your Google secret key and signing method."


def is_signed(query):
    """Say whether a query carries a signature, or something of one."""
    return "x-goog-signature=" in query.lower() or "x-goog-credential=" in query.lower()


def malformed(details):
    return Refusal(400, "invalid", details, xml=("MalformedSecurityHeader", "Your request has a malformed header."))


def mismatch(details=_WRONG):
    return Refusal(403, "forbidden", details, xml=("SignatureDoesNotMatch", "Access denied."))


def expired(over):
    details = f"Request signature expired at: {over:%Y-%m-%dT%H:%M:%S}+00:00"
    return Refusal(400, "invalid", details, xml=("ExpiredToken", "The provided token has expired."))


def check(state, asked):
    """Return who has signed a request. :raises Refusal: nobody, or not this request, or not for now."""
    pairs = parse_qsl(asked.query, keep_blank_values=True)
    given = {name.lower(): value for name, value in pairs}
    signed = {name: given.get(f"x-goog-{name.lower()}") for name in _NAMES}
    for name, value in signed.items():
        if not value:
            raise malformed(f"Missing query parameter: X-Goog-{name}")
    if signed["Algorithm"] != ALGORITHM:
        raise malformed(f"Unsupported algorithm: {signed['Algorithm']}")
    account, scope = read_credential(state, signed["Credential"], signed["Date"])
    begun, seconds = read_date(signed["Date"]), signed["Expires"]
    if not re.fullmatch(r"\d{1,9}", seconds) or not 0 < int(seconds) <= LONGEST:
        raise malformed(f"X-Goog-Expires must be between 1 and {LONGEST} seconds.")
    names = signed["SignedHeaders"].split(";")
    _check_names(asked, names)
    text = _string_to_sign(asked, pairs, names, signed, scope)
    check_signature(account, text, signed["Signature"])
    over = begun + timedelta(seconds=int(seconds))
    if now() >= over:
        raise expired(over)
    return Caller(account)


def check_signature(account, text, signature):
    try:
        raw = bytes.fromhex(signature)
    except ValueError:
        raise mismatch() from None
    if not account.has_signed(text, raw):
        raise mismatch()


def read_date(text):
    """Return the moment of a signature. :raises Refusal: it is none, or it is yet to come."""
    try:
        begun = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise malformed("Invalid X-Goog-Date: it must be like 20060102T150405Z.") from None
    if begun > now() + SKEW:
        raise Refusal(403, "forbidden", "X-Goog-Date is in the future.", xml=("RequestTimeTooSkewed", "Access denied."))
    return begun


def read_credential(state, text, date):
    """Return the account of a credential and its scope."""
    email, _, scope = text.partition("/")
    found = re.fullmatch(r"(\d{8})/[\w-]+/storage/goog4_request", scope)
    if not found or found[1] != date[:8]:
        raise malformed("Invalid X-Goog-Credential.")
    account = state.identity.accounts.get(email)
    if account is None:
        raise mismatch("The account that signed is not known.")
    return account, scope


def _check_names(asked, names):
    if names != sorted(names) or "host" not in names:
        raise malformed("The signed headers must be sorted, and host must be one of them.")
    for name in names:
        if name not in asked.headers:
            raise malformed(f"Header was included in signedheaders, but not in the request: {name}")
    for name in asked.headers:
        if name.startswith("x-goog-") and name not in names:
            raise malformed(f"Header was included in the request, but not in signedheaders: {name}")


def _string_to_sign(asked, pairs, names, signed, scope):
    query = sorted(f"{_quote(name)}={_quote(value)}" for name, value in pairs if name.lower() != "x-goog-signature")
    headers = "".join(f"{name}:{' '.join(asked.headers[name].split())}\n" for name in names)
    canonical = "\n".join(
        (
            asked.method,
            quote(unquote_to_bytes(asked.path), safe="/~"),
            "&".join(query),
            headers,
            ";".join(names),
            asked.headers.get("x-goog-content-sha256", "UNSIGNED-PAYLOAD"),
        )
    )
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    return f"{ALGORITHM}\n{signed['Date']}\n{scope}\n{digest}".encode()


def _quote(text):
    return quote(text, safe="-_.~")
