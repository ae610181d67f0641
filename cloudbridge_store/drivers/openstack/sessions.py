"""keystoneauth's session for logging in, and openstacksdk's connection for those who want more."""

from __future__ import annotations

from typing import Any

import requests
from keystoneauth1.session import Session
from requests.adapters import HTTPAdapter

from cloudbridge_store.drivers.openstack.auth import interface_of
from cloudbridge_store.drivers.openstack.plan import Plan
from cloudbridge_store.drivers.openstack.trust import Trust


class _Adapter(HTTPAdapter):
    """Sends with both time-outs: keystoneauth has room for one."""

    def __init__(self, connect: float, read: float) -> None:
        self._timeouts = connect, read
        super().__init__(max_retries=0)

    def send(self, request: Any, *arguments: Any, **named: Any) -> Any:
        return super().send(request, *arguments, **{**named, "timeout": self._timeouts})


def make_session(plan: Plan, plugin: Any, trust: Trust) -> Session:
    """Return a session that repeats nothing and follows nowhere."""
    settings = plan.settings
    http = requests.Session()
    for scheme in ("http://", "https://"):
        http.mount(scheme, _Adapter(settings.connect_timeout, settings.read_timeout))
    if settings.proxies is not None:
        http.trust_env = False
        http.proxies.update(settings.proxies)
    return Session(
        auth=plugin,
        session=http,
        verify=trust.bundle or True if trust.verify else False,
        cert=trust.certificate,
        redirect=False,
        connect_retries=0,
        user_agent=" ".join(part for part in ("cloudbridge-store", settings.user_agent) if part),
    )


def make_connection(session: Session, region: str | None, interface: str | None) -> Any:
    """Return openstacksdk's connection as the same user, for all of OpenStack."""
    import openstack  # here, as it takes longer than all else together

    chosen: dict[str, Any] = {"interface": interface_of(interface)} if interface else {}
    return openstack.connection.Connection(session=session, region_name=region, **chosen)
