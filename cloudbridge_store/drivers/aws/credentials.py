"""Sessions of botocore: where credentials come from, and what is known of services."""

from __future__ import annotations

import os
import threading
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore.exceptions import NoCredentialsError
from botocore.loaders import Loader

from cloudbridge_store.drivers.aws.plan import Plan, is_aws
from cloudbridge_store.drivers.aws.translate import parse_time
from cloudbridge_store.errors import InvalidConfigurationException

_AWS_ONLY_CREDENTIALS = ("assume-role-with-web-identity", "sso", "login", "container-role", "iam-role")
"""What a machine gets from AWS for AWS: no other service is shown it, unless a profile is named that does."""


class ChainCredentials:
    """Credentials that boto3's chain is asked for by the first request: it may have to go to the network.

    What the chain finds refreshes itself.
    """

    method = "cloudbridge-store-chain"

    def __init__(self, resolver: Any) -> None:
        self._resolver = resolver
        self._found: Any = None
        self._lock = threading.Lock()

    def load_credentials(self) -> ChainCredentials:
        """Return itself: to botocore's session this is the chain."""
        return self

    def _load(self) -> Any:
        with self._lock:
            if self._found is None:
                self._found = self._resolver.load_credentials()
            if self._found is None:
                raise NoCredentialsError
            return self._found

    def forget(self) -> None:
        """Ask the chain anew at the next request: what it gave is not accepted any more."""
        with self._lock:
            self._found = None

    def get_frozen_credentials(self) -> Any:
        """Return the credentials of this moment."""
        return self._load().get_frozen_credentials()

    def get_deferred_property(self, name: str) -> Any:
        """Return a function that returns a property of the credentials."""
        return lambda: getattr(self._load(), name, None)

    @property
    def access_key(self) -> Any:
        """The access key."""
        return self._load().access_key

    @property
    def secret_key(self) -> Any:
        """The secret key."""
        return self._load().secret_key

    @property
    def token(self) -> Any:
        """The session token."""
        return self._load().token

    @property
    def account_id(self) -> Any:
        """The account, where the chain says."""
        return getattr(self._load(), "account_id", None)


class _SharedLoader(Loader):  # type: ignore[misc]
    """What botocore knows about services, read once for all clients: it takes most of the time that a client takes."""

    @property
    def search_paths(self) -> list[str]:
        """Where the data are; a copy, as each session of boto3 would add one more."""
        return list(super().search_paths)


@cache
def _loader(paths: str | None) -> Loader:
    places = paths.split(os.pathsep) if paths else []
    return _SharedLoader(extra_search_paths=[str(Path(os.path.expandvars(each)).expanduser()) for each in places])


def make_session(plan: Plan) -> Any:
    """Return a session of its own. :raises InvalidConfigurationException: half a pair of keys."""
    config = plan.config
    access, secret = config["aws_access_key"], config["aws_secret_key"]
    if bool(access) != bool(secret):
        raise InvalidConfigurationException("config keys aws_access_key and aws_secret_key come together")
    session = botocore.session.Session(profile=None if access else config["aws_profile"])
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=parse_time)
    if access:
        session.set_credentials(access, secret, config["aws_session_token"])
    elif not config["aws_anonymous"]:
        resolver = session.get_component("credential_provider")
        if not (is_aws(plan.endpoint) or config["aws_profile"]):
            for source in _AWS_ONLY_CREDENTIALS:
                resolver.remove(source)
        chain = ChainCredentials(resolver)
        session.register_component("credential_provider", chain)
    return session
