"""Who requests are made as: found where the configuration says, and fetched anew when a token has run out.

Nothing is sent, and no metadata server is asked, until the first request.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import google.auth.exceptions
from google.auth import credentials as google_credentials
from google.auth import transport

from cloudbridge_store.drivers.gcp.settings import emulator
from cloudbridge_store.drivers.gcp.wire import Answer, Wire
from cloudbridge_store.errors import InvalidConfigurationException
from cloudbridge_store.redaction import hide

SCOPES = (
    "https://www.googleapis.com/auth/devstorage.full_control",
    "https://www.googleapis.com/auth/iam",  # to have IAM sign URLs, where there is no key
)
_PUBLIC = "googleapis.com"


class Requester(transport.Request):
    """How google.auth sends its own requests: by our connections, with our time-outs."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> _TokenAnswer:
        """Send one request. :raises TransportError: no answer came."""
        # Both can say who we are; nothing shows them.
        body, hidden = hide(body), hide(headers or {})
        try:
            return _TokenAnswer(self._wire.exchange(method, url, hidden, body))
        except Exception as error:
            raise google.auth.exceptions.TransportError(error) from error


class _TokenAnswer(transport.Response):
    """An answer as google.auth reads it."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer._replace(data=hide(answer.data))

    @property
    def status(self) -> int:
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._answer.headers  # which are looked up in any case

    @property
    def data(self) -> bytes:
        return self._answer.data


class Identity:
    """The credentials of a configuration.

    :raises InvalidConfigurationException: they are not what they should be; the message names the file or the key.
    """

    def __init__(self, config: Mapping[str, Any], wire: Wire) -> None:
        self.requester = Requester(wire)
        self._config = config
        self._lock = threading.Lock()
        self._stale = False
        self._credentials: Any = None
        self._info: Mapping[str, Any] | None = None
        self._found_project: str | None = None
        self.anonymous = bool(config["gcp_anonymous"])
        self._read()

    def _read(self) -> None:
        """Take the first of what the configuration holds."""
        config = self._config
        if self.anonymous:
            return
        if config["gcp_credentials_obj"] is not None:
            given = _checked_object(config["gcp_credentials_obj"])
            self._credentials = google_credentials.with_scopes_if_required(given, SCOPES)
        elif config["gcp_service_creds_dict"]:
            self._take("config key gcp_service_creds_dict", hide(config["gcp_service_creds_dict"]))
        elif config["gcp_service_creds_file"]:
            path = Path(config["gcp_service_creds_file"]).expanduser()
            self._take(f"credentials file {path}", _load(path))
        elif config["gcp_access_token"]:
            from google.oauth2.credentials import Credentials

            self._credentials = Credentials(token=str(config["gcp_access_token"]))
        else:
            # An emulator asks nobody who they are; Google's own clients look at it likewise.
            self.anonymous = emulator() is not None and not config["gcp_endpoint_url"]

    def _take(self, where: str, info: Any) -> None:
        if not isinstance(info, dict) or not isinstance(info.get("type"), str):
            reason = 'it is no object with a "type", such as "service_account"'
            if isinstance(info, dict) and ("secret" in info or "accessId" in info):
                reason = "it holds HMAC keys, which are for the S3 protocol: use provider gcs-interop"
            message = f"{where}: {reason}"
            raise InvalidConfigurationException(message)
        self._found_project = info.get("project_id") or info.get("quota_project_id")
        if info["type"] != "service_account":
            # Making these may send requests.
            self._info = info
            return
        from google.oauth2 import service_account

        try:
            self._credentials = service_account.Credentials.from_service_account_info(info, scopes=SCOPES)
        except (ValueError, TypeError, google.auth.exceptions.GoogleAuthError) as error:
            # The text can hold a piece of the key.
            missing = [name for name in ("client_email", "private_key", "token_uri") if not info.get(name)]
            reason = f"it lacks {', '.join(missing)}" if missing else "its private_key is none"
            message = f"{where}: {reason}"
            raise InvalidConfigurationException(message) from (error if missing else None)

    @property
    def universe(self) -> str:
        """Domain of the cloud that the credentials are for, as far as they say."""
        info = self._info or {}
        return str(info.get("universe_domain") or getattr(self._credentials, "universe_domain", None) or _PUBLIC)

    @property
    def project(self) -> str | None:
        """The project that buckets are created in; ``None`` where nothing names one."""
        if self._config["gcp_project_name"]:
            return str(self._config["gcp_project_name"])
        if self._found_project is None and not self.anonymous:
            self._found_project = getattr(self.credentials, "project_id", None)
        return self._found_project

    def find_project(self) -> str | None:
        """Return the project; that of an external account is asked for. :raises GoogleAuthError: it cannot be."""
        if self.project is None and hasattr(self.credentials, "get_project_id"):
            try:
                self._found_project = self.credentials.get_project_id(self.requester)
            except ValueError:
                return None  # what answered is not the service
        return self.project

    @property
    def credentials(self) -> Any:
        """Those of google.auth; found when first asked for. :raises DefaultCredentialsError: there are none."""
        if self._credentials is None:
            with self._lock:
                if self._credentials is None:
                    self._credentials = self._find()
        return self._credentials

    def _find(self) -> Any:
        if self.anonymous:
            return google_credentials.AnonymousCredentials()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            # Without scopes: a user's credentials are for what the user agreed to, and an external account would be
            # asked for its project, by a service that not every network lets through.
            if self._info is None:
                found, project = google.auth.default(request=self.requester)
            else:
                found, project = google.auth.load_credentials_from_dict(self._info, request=self.requester)
        self._found_project = self._found_project or project
        return google_credentials.with_scopes_if_required(found, SCOPES)

    def authorize(self, headers: dict[str, str]) -> None:
        """Add what says who we are, with a token that is good now. :raises GoogleAuthError: none can be had."""
        if self.anonymous:
            return
        credentials = self.credentials
        if self._stale or not credentials.valid:
            with self._lock:
                if self._stale or not credentials.valid:
                    credentials.refresh(self.requester)
                    self._stale = False
        said: dict[str, str] = {}
        credentials.apply(said)
        headers.update(hide(said))

    def renew(self) -> bool:
        """Fetch a new token before the next request; ``False`` where there is none to be had."""
        if self.anonymous or not _renewable(self.credentials):
            return False
        self._stale = True
        return True

    # Signing

    @property
    def email(self) -> str | None:
        """The service account that signs, as far as it is known."""
        if self._config["gcp_service_account_email"]:
            return str(self._config["gcp_service_account_email"])
        credentials = self.credentials
        found = getattr(credentials, "service_account_email", None)
        if found == "default":
            self.authorize({})  # by which the metadata server says what it is called
            found = getattr(credentials, "service_account_email", None)
        return found or getattr(credentials, "signer_email", None)

    def sign(self, data: bytes) -> bytes | None:
        """Sign with the key that the credentials hold; ``None`` where they hold none."""
        if self._config["gcp_service_account_email"] or not hasattr(self.credentials, "signer"):
            return None
        if not isinstance(self.credentials, google_credentials.Signing):
            return None
        signer = getattr(self.credentials, "_signer", None) or self.credentials.signer
        from google.auth.crypt import Signer

        if not isinstance(signer, Signer) or type(signer).__module__ == "google.auth.iam":
            return None  # it would ask IAM by connections of its own
        return bytes(signer.sign(data))


def _load(path: Path) -> Any:
    try:
        return hide(json.loads(path.read_bytes()))
    except OSError as error:
        message = f"credentials file {path}: {error.strerror or error}"
        raise InvalidConfigurationException(message) from error
    except ValueError:
        message = f"credentials file {path}: it is not JSON"  # the error would show what it is
        raise InvalidConfigurationException(message) from None


def _checked_object(value: Any) -> Any:
    missing = [name for name in ("apply", "refresh", "valid") if not hasattr(value, name)]
    if missing:
        message = f"config key gcp_credentials_obj must be credentials of google.auth, not a {type(value).__name__}"
        raise InvalidConfigurationException(message)
    return value


def _renewable(credentials: Any) -> bool:
    from google.oauth2.credentials import Credentials

    if isinstance(credentials, google_credentials.AnonymousCredentials):
        return False
    return not isinstance(credentials, Credentials) or bool(
        credentials.refresh_token or getattr(credentials, "refresh_handler", None)
    )
