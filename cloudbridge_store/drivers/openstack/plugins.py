"""Ways to log in, as plugins of keystoneauth: its own, and two that it lacks."""

from __future__ import annotations

import os
import time
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

from keystoneauth1 import exceptions
from keystoneauth1.identity import v2, v3
from keystoneauth1.plugin import BaseAuthPlugin

from cloudbridge_store.config import refuse_http
from cloudbridge_store.drivers.openstack.plan import Plan
from cloudbridge_store.drivers.openstack.settings import SERVICE, auth_url_of, auth_version_of, root_of, sendable, until
from cloudbridge_store.errors import InvalidConfigurationException


class Account(NamedTuple):
    """What an authentication of version 1 answers."""

    token: str
    url: str
    until: float


class AccountPlugin(BaseAuthPlugin):
    """A plugin whose service tells the account's address itself; there is no catalogue."""

    @abstractmethod
    def get_account(self, session: Any) -> Account:
        """Return token and address, logging in where there is no token that is good."""


class V1Password(AccountPlugin):
    """Swift's own authentication, version 1: a user and a key in headers, a token and an address in headers.

    TempAuth has it, Ceph, and services that never had Keystone.
    """

    def __init__(self, auth_url: str, user: str, key: str) -> None:
        super().__init__()
        self._auth_url = auth_url
        self._user = user
        self._key = key
        self._account: Account | None = None

    def get_account(self, session: Any) -> Account:
        if self._account is None or self._account.until < time.time():
            self._account = self._log_in(session)
        return self._account

    def _log_in(self, session: Any) -> Account:
        # Not logged: keystoneauth knows the names of its own secrets only.
        answer = session.get(
            self._auth_url,
            headers={"X-Auth-User": self._user, "X-Auth-Key": self._key},
            authenticated=False,
            log=False,
        )
        token = answer.headers.get("X-Auth-Token") or answer.headers.get("X-Storage-Token")
        url = answer.headers.get("X-Storage-Url")
        if not token or not url:
            raise exceptions.InvalidResponse(response=answer)
        lifetime = answer.headers.get("X-Auth-Token-Expires", "")
        return Account(token, url, until(time.time() + int(lifetime)) if lifetime.isdecimal() else float("inf"))

    def get_token(self, session: Any, **_: Any) -> str:
        """Return the token, for keystoneauth."""
        return self.get_account(session).token

    def get_endpoint(self, session: Any, **_: Any) -> str:
        """Return the account's address, for keystoneauth."""
        return self.get_account(session).url

    def invalidate(self) -> bool:
        """Forget the token; say whether there was one."""
        known, self._account = self._account, None
        return known is not None


class RackspaceKey(v2.Auth):
    """Rackspace's extension of version 2: a user and an API key."""

    def __init__(self, auth_url: str, user: str, key: str, **scope: Any) -> None:
        super().__init__(auth_url, **scope)
        self._user = user
        self._key = key

    def get_auth_data(self, headers: Any = None) -> dict[str, Any]:
        """Return what proves who we are."""
        return {"RAX-KSKEY:apiKeyCredentials": {"username": self._user, "apiKey": self._key}}

    def get_cache_id_elements(self) -> dict[str, Any]:
        """Return what tells this login from others."""
        return {"rackspace_auth_url": self.auth_url, "rackspace_username": self._user}


def make_plugin(plan: Plan) -> tuple[Any, Mapping[str, Any]]:
    """Return the plugin that the configuration means, and what ``clouds.yaml`` says beside it.

    :raises InvalidConfigurationException: it means none.
    """
    if plan.config["os_cloud"]:
        return _from_clouds(plan)
    url = auth_url_of(plan)
    version = auth_version_of(plan, url)
    if version == 1:
        return V1Password(url, *_user_and_key(plan)), {}
    if version == 2:  # noqa: PLR2004 - the protocol's
        return _version_2(plan, url), {}
    return _version_3(plan, url), {}


def _user_and_key(plan: Plan) -> tuple[str, str]:
    key = "os_api_key" if plan.config["os_api_key"] else "os_password"
    return sendable(plan.config, "os_username"), sendable(plan.config, key)


def _version_2(plan: Plan, url: str) -> Any:
    config = plan.config
    url = f"{root_of(url)}/v2.0"
    scope = {"tenant_id": config["os_project_id"], "tenant_name": config["os_project_name"]}
    if config["os_username"] and config["os_api_key"]:
        return RackspaceKey(url, config["os_username"], config["os_api_key"], **scope)
    if config["os_username"]:
        return v2.Password(url, username=config["os_username"], password=config["os_password"], **scope)
    return v2.Token(url, token=config["os_auth_token"], **scope)


def _version_3(plan: Plan, url: str) -> Any:
    config = plan.config
    # As every Keystone has it; one request less than asking, and no address of somebody else's choosing.
    url = f"{root_of(url)}/v3"
    # An application credential has its project in itself, and is refused with one beside it.
    if not config["os_username"] and not config["os_user_id"] and config["os_application_credential_secret"]:
        return v3.ApplicationCredential(
            url,
            application_credential_secret=config["os_application_credential_secret"],
            application_credential_id=config["os_application_credential_id"],
        )
    scope = _scope(config)
    if config["os_username"] or config["os_user_id"]:
        return v3.Password(
            url,
            username=config["os_username"],
            user_id=config["os_user_id"],
            password=config["os_password"],
            **_domain("user_domain", config, default=bool(config["os_username"])),
            **scope,
        )
    return v3.Token(url, token=config["os_auth_token"], **scope)


def _scope(config: Mapping[str, Any]) -> dict[str, Any]:
    if config["os_trust_id"]:
        return {"trust_id": config["os_trust_id"]}
    if config["os_project_id"]:
        return {"project_id": config["os_project_id"]}
    if config["os_project_name"]:
        return {"project_name": config["os_project_name"], **_domain("project_domain", config, default=True)}
    return {}


def _domain(name: str, config: Mapping[str, Any], *, default: bool) -> dict[str, Any]:
    """Return a domain as it was given, by id or by name; a name of a user or project needs one."""
    if config[f"os_{name}_id"]:
        return {f"{name}_id": config[f"os_{name}_id"]}
    if config[f"os_{name}_name"]:
        return {f"{name}_name": config[f"os_{name}_name"]}
    if config["os_domain_name"] and default:
        return {f"{name}_name": config["os_domain_name"]}
    return {f"{name}_id": "default"} if default else {}


def _from_clouds(plan: Plan) -> tuple[Any, Mapping[str, Any]]:
    from openstack.config.loader import CONFIG_FILES, SECURE_FILES, OpenStackConfig
    from openstack.exceptions import ConfigException

    name = plan.config["os_cloud"]
    try:
        # The environment was looked at already for keys, which go before the file; not for where the files are.
        files = [*filter(None, [os.environ.get("OS_CLIENT_CONFIG_FILE")]), *CONFIG_FILES]
        secure = [*filter(None, [os.environ.get("OS_CLIENT_SECURE_FILE")]), *SECURE_FILES]
        found = OpenStackConfig(config_files=files, secure_files=secure, load_envvars=False)
        cloud = found.get_one(name, region_name=plan.config["os_region_name"])
        plugin = cloud.get_auth()
    except (ConfigException, exceptions.AuthPluginException) as error:
        message = f"config key os_cloud: {error}"
        raise InvalidConfigurationException(message) from None
    except (AttributeError, TypeError, ValueError, OSError) as error:
        # It does not look whether there are mappings and texts where it expects them. What it says may hold a value.
        message = f"config key os_cloud: clouds.yaml is not what openstacksdk can read ({type(error).__name__})"
        raise InvalidConfigurationException(message) from None
    if url := getattr(plugin, "auth_url", None):
        refuse_http(url, plan.settings)
    return plugin, {**cloud.config, **_of_objects(cloud)}


def _of_objects(cloud: Any) -> dict[str, Any]:
    """Return what a cloud's entry says of the object store alone, such as ``object_store_endpoint_override``."""
    interfaces = cloud.get_interface(SERVICE)
    return {
        "endpoint": cloud.get_endpoint(SERVICE),
        "interface": interfaces[0] if isinstance(interfaces, list) and interfaces else interfaces,
        "region_name": cloud.get_region_name(SERVICE),
    }
