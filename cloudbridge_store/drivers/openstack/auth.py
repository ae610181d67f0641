"""Logging in: tokens and the account's address, from keystoneauth."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cloudbridge_store.config import refuse_http
from cloudbridge_store.drivers.openstack.plan import Plan
from cloudbridge_store.drivers.openstack.settings import SERVICE, check_login, sendable, until
from cloudbridge_store.drivers.openstack.trust import Trust, trust_of
from cloudbridge_store.errors import InvalidConfigurationException, ProviderConnectionException
from cloudbridge_store.redaction import Secret

_FOREVER = float("inf")


class Ticket(NamedTuple):
    """What requests are sent with. Its ``repr`` shows no token."""

    token: Secret
    url: str
    """The account's address, without a slash at its end."""
    until: float = _FOREVER
    """When it has to be replaced, in seconds since the epoch."""

    def __repr__(self) -> str:
        return f"Ticket('***', {self.url!r})"


class Login(ABC):
    """Who we are, and where the account is."""

    @abstractmethod
    def ticket(self) -> Ticket:
        """Return what to send requests with; logs in where that is needed."""

    @abstractmethod
    def renew(self, refused: Ticket) -> bool:
        """Get a new token in place of one that was refused; ``False`` where there is none to get."""

    @abstractmethod
    def public_url(self) -> str:
        """Return the account's address for everybody, without a slash at its end."""

    @abstractmethod
    def connection(self) -> Any:
        """Return an ``openstack.connection.Connection``."""

    @abstractmethod
    def trust(self) -> Trust:
        """Return what TLS is begun with, to where the ticket leads. Asks nobody."""

    def endpoint(self, service_type: str) -> str | None:
        """Return the address of another service of the catalogue, such as a CDN; ``None`` where it has none."""
        return None

    def regions(self) -> Sequence[str]:
        """Return the regions that the account has an object store in."""
        return ()

    def close(self) -> None:  # noqa: B027 - some have nothing to close
        """Release connections."""


class GivenLogin(Login):
    """A token and an address that came with the configuration."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        url = str(plan.config["os_storage_url"]).rstrip("/")
        self._ticket = Ticket(Secret(sendable(plan.config, "os_auth_token")), url)

    def ticket(self) -> Ticket:
        return self._ticket

    def renew(self, refused: Ticket) -> bool:
        return False

    def public_url(self) -> str:
        return self._ticket.url

    def trust(self) -> Trust:
        return trust_of(self._plan.settings, config=self._plan.config)

    def connection(self) -> Any:
        from keystoneauth1.token_endpoint import Token

        from cloudbridge_store.drivers.openstack.sessions import make_connection, make_session

        plugin, config = Token(self._ticket.url, self._ticket.token), self._plan.config
        session = make_session(self._plan, plugin, self.trust())
        return make_connection(session, config["os_region_name"], config["os_interface"])


class KeystoneLogin(Login):
    """A plugin of keystoneauth, asked once and whenever a token expires or is refused."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._lock = threading.Lock()
        self._ticket: Ticket | None = None
        self._session: Any = None
        self._cloud: Mapping[str, Any] = {}
        self._trust = Trust(verify=True)

    def ticket(self) -> Ticket:
        found = self._ticket
        if found is None or found.until < time.time():
            with self._lock:
                found = self._ticket
                if found is None or found.until < time.time():
                    found = self._ticket = self._log_in()
        return found

    def renew(self, refused: Ticket) -> bool:
        with self._lock:
            # Of many requests that were refused at once, one logs in.
            if self._ticket is None or self._ticket.token == refused.token:
                self.session.auth.invalidate()
                self._ticket = self._log_in()
            return self._ticket.token != refused.token

    @property
    def session(self) -> Any:
        """Keystoneauth's session, made when it is first asked for: importing it takes more than many requests."""
        if self._session is None:
            from cloudbridge_store.drivers.openstack.plugins import make_plugin
            from cloudbridge_store.drivers.openstack.sessions import make_session

            plugin, self._cloud = make_plugin(self._plan)
            self._trust = trust_of(self._plan.settings, self._cloud, self._plan.config)
            self._session = make_session(self._plan, plugin, self._trust)
        return self._session

    def trust(self) -> Trust:
        # Requests have a ticket, so that by then the cloud's entry was read, and is not looked at again.
        with self._lock:
            assert self.session is not None
            return self._trust

    def _log_in(self) -> Ticket:
        from cloudbridge_store.drivers.openstack.plugins import AccountPlugin

        session = self.session
        plugin = session.auth
        if isinstance(plugin, AccountPlugin):
            account = plugin.get_account(session)
            return self._checked(account.token, account.url, account.until)
        if not hasattr(plugin, "get_access"):
            return self._without_catalogue(plugin)
        access = plugin.get_access(session)
        expires = until(access.expires.timestamp()) if access.expires is not None else _FOREVER
        return self._checked(access.auth_token, self._address(access, self._interface), expires)

    def _without_catalogue(self, plugin: Any) -> Ticket:
        """Ask a plugin that has a token and an address, such as ``admin_token`` of ``clouds.yaml``."""
        token, url = plugin.get_token(self.session), plugin.get_endpoint(self.session)
        if not token or not (url or self._given):
            message = "config key os_cloud: that auth_type gives no token, or no address of the account"
            raise InvalidConfigurationException(message)
        return self._checked(sendable({"os_cloud": token}, "os_cloud"), url, _FOREVER)

    def _checked(self, token: str, url: str, until: float) -> Ticket:
        url = (self._given or str(url)).rstrip("/")
        try:
            refuse_http(url, self._plan.settings)
        except InvalidConfigurationException as error:
            # As services answer that do not know of the TLS in front of them.
            message = f"the account's address, as the service or clouds.yaml has it: {error}; or set os_storage_url"
            raise InvalidConfigurationException(message) from None
        return Ticket(Secret(token), url, until)

    @property
    def _given(self) -> str | None:
        """The account's address where it is no matter of the catalogue.

        :raises InvalidConfigurationException: something is to be filled in there that a login does not tell.
        """
        if self._plan.config["os_storage_url"]:
            return str(self._plan.config["os_storage_url"])
        found = self._cloud.get("endpoint")
        if not found or "%(" not in found:
            return found
        session = self.session
        project = session.get_project_id()
        try:
            return str(found % {"project_id": project, "tenant_id": project, "user_id": session.get_user_id()})
        except (KeyError, TypeError, ValueError):
            message = "clouds.yaml: object_store_endpoint_override has more to fill in than project_id and user_id"
            raise InvalidConfigurationException(message) from None

    @property
    def _interface(self) -> str:
        return interface_of(self._plan.config["os_interface"] or self._cloud.get("interface"))

    @property
    def _region(self) -> str | None:
        region = self._plan.config["os_region_name"] or self._cloud.get("region_name")
        return str(region) if region else None

    def _address(self, access: Any, interface: str) -> str:
        """Return the account's address in the region that was asked for.

        :raises ProviderConnectionException: the catalogue has none; the message lists the regions that it has.
        """
        if self._given:
            return self._given
        if not access.has_service_catalog():
            raise ProviderConnectionException(
                "the token has no catalogue of services", hint="Name the project: os_project_name or os_project_id"
            )
        found = _endpoints(access, SERVICE)
        region = self._region or _usual_region(access)
        for each in found:
            same = region is None or (each.region_name or "").lower() == region.lower()
            if same and interface_of(each.interface) == interface:
                return str(each.url)
        if self._region is None and region is not None:
            for each in found:
                if interface_of(each.interface) == interface:
                    return str(each.url)
        raise self._nowhere(found, interface)

    def _nowhere(self, found: Sequence[Any], interface: str) -> ProviderConnectionException:
        if not found:
            return ProviderConnectionException(
                "the catalogue has no object store",
                hint="Check that the project may use one, and what its catalogue has",
            )
        regions = ", ".join(sorted({str(each.region_name) for each in found}))
        interfaces = ", ".join(sorted({interface_of(each.interface) for each in found}))
        return ProviderConnectionException(
            f"there is no object store in region {self._region} by interface {interface}; there are {regions}",
            hint=f"Set os_region_name to one of them, and os_interface to one of {interfaces}",
        )

    def _access(self) -> Any:
        with self._lock:
            session = self.session
        return session.auth.get_access(session) if hasattr(session.auth, "get_access") else None

    def public_url(self) -> str:
        url = self.ticket().url  # first: only then is known what the cloud's entry says of the interface
        access = self._access() if self._interface != "public" else None
        return url if access is None else self._address(access, "public").rstrip("/")

    def endpoint(self, service_type: str) -> str | None:
        access = self._access()
        if access is None or not access.has_service_catalog():
            return None
        region = self._region or _usual_region(access)
        for each in _endpoints(access, service_type):
            here = region is None or (each.region_name or region).lower() == region.lower()
            if interface_of(each.interface) == "public" and here:
                return str(each.url).rstrip("/")
        return None

    def regions(self) -> Sequence[str]:
        access = self._access()
        if access is None or not access.has_service_catalog():
            return ()
        return sorted({str(each.region_name) for each in _endpoints(access, SERVICE) if each.region_name})

    def connection(self) -> Any:
        from cloudbridge_store.drivers.openstack.sessions import make_connection

        session = self.session
        return make_connection(session, self._region, self._plan.config["os_interface"] or self._cloud.get("interface"))

    def close(self) -> None:
        if self._session is not None:
            self._session.session.close()


def _endpoints(access: Any, service_type: str) -> list[Any]:
    """Return the catalogue's entries of one service, without asking any of them."""
    found = access.service_catalog.get_endpoints_data(service_type=service_type)
    return [each for several in found.values() for each in several]


def _usual_region(access: Any) -> str | None:
    # Rackspace tells which of its regions a user's is.
    body = getattr(access, "_data", None)
    user = body.get("access", {}).get("user", {}) if isinstance(body, dict) else {}
    region = user.get("RAX-AUTH:defaultRegion")
    return str(region) if region else None


_INTERFACES = {"publicurl": "public", "internalurl": "internal", "adminurl": "admin", "servicenet": "internal"}


def interface_of(name: str | None) -> str:
    """Return one spelling of an interface's name: ``serviceNet`` is Rackspace's word for ``internal``."""
    lower = (name or "public").lower()
    return _INTERFACES.get(lower, lower)


def make_login(plan: Plan) -> Login:
    """Return what the configuration means. :raises InvalidConfigurationException: it says too little to log in."""
    config = plan.config
    if config["os_storage_url"] and config["os_auth_token"]:
        refuse_http(config["os_storage_url"], plan.settings)
        return GivenLogin(plan)
    if interface_of(config["os_interface"]) not in ("public", "internal", "admin"):
        message = f"config key os_interface must be public, internal or admin, not {config['os_interface']!r}"
        raise InvalidConfigurationException(message)
    if not config["os_cloud"]:
        check_login(plan)
    return KeystoneLogin(plan)
