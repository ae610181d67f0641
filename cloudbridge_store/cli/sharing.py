"""``presign`` and ``serve``: let others read and write single objects."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import quote

import click

from cloudbridge_store import CloudProvider, ProviderList
from cloudbridge_store.cli.locations import Remote
from cloudbridge_store.cli.parameters import DurationType, State, UrlType, pass_state, shared_options
from cloudbridge_store.config import resolve


@click.command("presign")
@click.argument("url", metavar="URL", type=UrlType("key"))
@click.option("--expires", type=DurationType(), default="1h", show_default=True, help="Seconds, or 90m, 1h, 7d.")
@click.option("--put", is_flag=True, help="A URL to upload to, rather than one to read.")
@click.option("--content-type", metavar="TYPE", help="The type that the answer has; with --put: that must be sent.")
@click.option("--filename", metavar="NAME", help="Let browsers save it under this name.")
@click.option("--base-url", metavar="URL", help="LOCAL only: where cloudbridge-store serve answers.")
@shared_options
@pass_state
def presign(
    state: State,
    url: Remote,
    expires: int,
    put: bool,
    content_type: str | None,
    filename: str | None,
    base_url: str | None,
) -> None:
    """Print a URL with which anybody can read one object, or with --put write it, until it expires."""
    if put and filename:
        message = "--filename is for reading, not for --put"
        raise click.UsageError(message)
    _open_signer(state, url, base_url)
    request = (
        state.stores.bucket(url)
        .objects.create(url.key)
        .sign(
            "PUT" if put else "GET",
            expires,
            content_type=content_type,
            content_disposition=_attachment(filename) if filename else None,
        )
    )
    record = {"url": request.url, "method": request.method, "headers": dict(request.headers), "expires_in": expires}
    state.output.result(request.url, record)
    for name, value in request.headers.items():
        state.output.note(f"to be sent with it: {name}: {value}")


def _open_signer(state: State, url: Remote, base_url: str | None) -> None:
    provider = state.stores.provider(url.profile, **({"local_base_url": base_url} if base_url else {}))
    if provider.PROVIDER_ID == ProviderList.LOCAL and not base_url and not _setting(provider, "local_base_url"):
        message = (
            f"a URL of profile {url.profile!r} lives only while a server answers it: run 'cloudbridge-store serve "
            f"{url.profile}' and give what it prints as --base-url, or as local_base_url in the profile"
        )
        raise click.UsageError(message)


def _setting(provider: CloudProvider, key: str) -> Any:
    return resolve(provider.PROVIDER_ID, provider.config, provider.config_keys()).get(key)


def _attachment(name: str) -> str:
    # RFC 6266: the plain form for what is plain, the encoded one beside it for the rest.
    plain = "".join(char if char.isascii() and char.isprintable() and char not in '"\\' else "_" for char in name)
    encoded = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'attachment; filename="{plain}"{encoded}'


@click.command("serve")
@click.argument("profile", default=ProviderList.LOCAL)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65_535), help="0: any that is free.")
@click.option("--allow-remote", is_flag=True, help="Permit an address that other machines can reach.")
@shared_options
@pass_state
def serve(state: State, profile: str, host: str, port: int, allow_remote: bool) -> None:
    """Answer the signed URLs of a LOCAL profile, until interrupted. Nothing else is answered."""
    if not allow_remote and not _is_loopback(host):
        message = f"{host} can be reached by other machines, over plain http; --allow-remote permits it"
        raise click.UsageError(message)
    provider = state.stores.provider(profile)
    if provider.PROVIDER_ID != ProviderList.LOCAL:
        message = f"profile {profile!r} is of provider {provider.PROVIDER_ID}, whose URLs its service answers"
        raise click.UsageError(message)

    def announce(base_url: str) -> None:
        state.output.result(base_url, {"base_url": base_url})
        state.output.note(f"sign with: cloudbridge-store presign --base-url {base_url} cbs://{profile}/BUCKET/KEY")
        state.output.note("stop with Ctrl-C")

    try:
        provider.native.serve_forever(host, port, ready=announce)
    except KeyboardInterrupt:
        # The way to stop a server is no failure of it.
        state.output.note("stopped")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
