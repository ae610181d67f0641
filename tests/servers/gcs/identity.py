"""Who asks: service accounts with keys, the tokens given for them, signatures made and checked with their keys.

* Tokens for assertions: https://developers.google.com/identity/protocols/oauth2/service-account, RFC 7523.
* ``signBlob``: https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signBlob
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import threading
import time
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from servers.gcs.refusals import Refusal, bad_credentials
from servers.gcs.wire import Answer

LIFETIME = 3600
SKEW = 300
"""Seconds by which the clock of who signs may differ."""
SHORT = 1
"""Seconds that tokens of the short-lived endpoint really last."""
REFRESH_TOKEN, CLIENT_ID, CLIENT_SECRET = "test-refresh-token", "test-client-id", "test-client-secret"
_SCOPE = "https://www.googleapis.com/auth/"
FULL = frozenset({"cloud-platform", "devstorage.full_control"})
WRITING = FULL | {"devstorage.read_write"}
READING = WRITING | {"devstorage.read_only", "cloud-platform.read-only"}
_KNOWN = READING | {"iam", "userinfo.email", "openid"}
_PUBLIC_TOKEN_URL = "https://oauth2.googleapis.com/token"
_AUDIENCES = ("https://storage.googleapis.com/", "https://www.googleapis.com/")


@dataclass(eq=False)
class Account:
    """A service account. Its project is the one where it may do everything."""

    email: str
    project: str
    keys: dict = field(default_factory=dict)

    def add_key(self):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = secrets.token_hex(20)
        self.keys[name] = key
        return name

    def sign(self, text):
        """Sign by the last key. Return the key's name and the signature."""
        name, key = list(self.keys.items())[-1]
        return name, key.sign(text, padding.PKCS1v15(), hashes.SHA256())

    def has_signed(self, text, signature, key_name=None):
        return any(_is_signed(key, text, signature) for name, key in self.keys.items() if key_name in (None, name))

    def as_file(self, key_name, url, token_uri):
        """Return what stands in the file of a key, as the console gives it out."""
        pem = self.keys[key_name].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "project_id": self.project,
            "private_key_id": key_name,
            "private_key": pem.decode(),
            "client_email": self.email,
            "client_id": "1" * 21,
            "auth_uri": f"{url}/auth",
            "token_uri": token_uri,
            "universe_domain": "googleapis.com",
        }


def _is_signed(key, text, signature):
    try:
        key.public_key().verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


@dataclass(frozen=True)
class Caller:
    """Who asks, and what the credentials are good for. ``account`` is ``None`` for who did not say."""

    account: Account | None = None
    scopes: frozenset = READING

    @property
    def email(self):
        return self.account.email if self.account else None


class GrantRefused(Exception):
    """A refusal in the shape of OAuth 2.0."""

    def __init__(self, code, description, status=400):
        super().__init__(description)
        self.answer = _json({"error": code, "error_description": description}, status)


class Identity:
    """The accounts and their tokens."""

    def __init__(self, accounts, url):
        self.accounts = {account.email: account for account in accounts}
        self._url = url
        self._tokens = {}
        self._lock = threading.Lock()

    def grant(self, asked, form):
        """Answer at the endpoint of tokens."""
        seconds = SHORT if asked.path.startswith("/short/") else LIFETIME
        try:
            kind = form.get("grant_type")
            if kind == "urn:ietf:params:oauth:grant-type:jwt-bearer":
                account, scopes = self._by_assertion(form.get("assertion", ""), f"{self._url}{asked.path}")
            elif kind == "refresh_token":
                account, scopes = self._by_refresh_token(form), frozenset({"cloud-platform"})
            else:
                raise GrantRefused("unsupported_grant_type", f"Invalid grant_type: {kind}")
        except GrantRefused as refused:
            return refused.answer
        return self.give(account, scopes, seconds)

    def give(self, account, scopes, seconds=LIFETIME):
        """Answer with a new token."""
        token = f"ya29.fake-{secrets.token_urlsafe(40)}"
        with self._lock:
            self._tokens[token] = (Caller(account, scopes), time.time() + seconds)
        return _json({"access_token": token, "expires_in": LIFETIME - 1, "token_type": "Bearer"})

    def revoke(self, form):
        """Answer at the endpoint that makes a token worthless."""
        with self._lock:
            known = self._tokens.pop(form.get("token"), None)
        return _json({}) if known else GrantRefused("invalid_token", "Token expired or revoked").answer

    def _by_refresh_token(self, form):
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            raise GrantRefused("invalid_client", "Unauthorized", 401)
        if form.get("refresh_token") != REFRESH_TOKEN:
            raise GrantRefused("invalid_grant", "Bad Request")
        return next(iter(self.accounts.values()))

    def _by_assertion(self, assertion, url):
        claims, account = self._read_jwt(assertion)
        if claims.get("aud") not in (url, _PUBLIC_TOKEN_URL):
            raise GrantRefused("invalid_grant", "Invalid JWT: Failed audience check.")
        scopes = {name.removeprefix(_SCOPE) for name in str(claims.get("scope") or "").split()}
        if not scopes or not scopes <= _KNOWN:
            raise GrantRefused("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        return account, frozenset(scopes)

    def _read_jwt(self, text):
        try:
            signed, _, signature = text.rpartition(".")
            head, claims = (json.loads(_decode(part)) for part in signed.split("."))
            signature = _decode(signature)
        except (ValueError, binascii.Error):
            raise GrantRefused("invalid_grant", "Invalid JWT: malformed.") from None
        account = self.accounts.get(claims.get("iss"))
        if account is None:
            raise GrantRefused("invalid_grant", "Invalid grant: account not found")
        right = head.get("alg") == "RS256" and account.has_signed(signed.encode(), signature, head.get("kid"))
        if not right:
            raise GrantRefused("invalid_grant", "Invalid JWT Signature.")
        begun, over = claims.get("iat"), claims.get("exp")
        if not (isinstance(begun, int | float) and isinstance(over, int | float)) or not (
            begun - SKEW <= time.time() < over + SKEW and over - begun <= LIFETIME
        ):
            message = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
            raise GrantRefused("invalid_grant", f"{message} Check your iat and exp values in the JWT claim.")
        return claims, account

    def find(self, header):
        """Return who an ``Authorization`` header stands for. :raises Refusal: it stands for nobody."""
        if header is None:
            return Caller()
        kind, _, token = header.partition(" ")
        if kind.lower() != "bearer":
            raise bad_credentials()
        if token.count(".") == 2 and not token.startswith("ya29."):
            return self._by_own_jwt(token)
        with self._lock:
            caller, over = self._tokens.get(token, (None, 0))
        if caller is None or time.time() >= over:
            raise bad_credentials()
        return caller

    def _by_own_jwt(self, token):
        """Believe an account that signed a token itself, for this service or with scopes."""
        try:
            claims, account = self._read_jwt(token)
        except GrantRefused as refused:
            raise bad_credentials() from refused
        scopes = {name.removeprefix(_SCOPE) for name in str(claims.get("scope") or "").split()}
        if claims.get("sub") != account.email or not (scopes or claims.get("aud") in (*_AUDIENCES, f"{self._url}/")):
            raise bad_credentials()
        return Caller(account, frozenset(scopes) if scopes else READING)

    def sign_blob(self, asked, email):
        """Answer where IAM signs for those who hold no key: an account may sign for itself."""
        caller = self.find(asked.headers.get("authorization"))
        if caller.account is None:
            raise Refusal(401, "UNAUTHENTICATED", "Request is missing required authentication credential.")
        account = self.accounts.get(caller.email if email == "-" else email)
        if account is None:
            raise Refusal(404, "NOT_FOUND", f"Not found; Gaia id not found for email {email}")
        if account is not caller.account or not caller.scopes & {"cloud-platform", "iam"}:
            message = "Permission 'iam.serviceAccounts.signBlob' denied on resource (or it may not exist)."
            raise Refusal(403, "PERMISSION_DENIED", message)
        try:
            payload = base64.b64decode(json.loads(asked.body.read())["payload"], validate=True)
        except (ValueError, KeyError, TypeError):
            raise Refusal(400, "INVALID_ARGUMENT", "Invalid value at 'payload' (TYPE_BYTES)") from None
        name, signature = account.sign(payload)
        return _json({"keyId": name, "signedBlob": base64.b64encode(signature).decode()})


def _decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _json(value, status=200):
    return Answer(status, {"Content-Type": "application/json; charset=UTF-8"}, json.dumps(value).encode())
