"""``providers``, ``ls`` and ``stat``: what there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from cloudbridge_store import Bucket, BucketObject, CloudProviderFactory
from cloudbridge_store.cli.errors import describe
from cloudbridge_store.cli.locations import Remote, all_profiles
from cloudbridge_store.cli.output import human_size, printable, shown_time
from cloudbridge_store.cli.parameters import State, UrlType, pass_state, shared_options
from cloudbridge_store.errors import (
    BucketNotFoundError,
    InvalidConfigurationException,
    MissingDependencyError,
    ObjectNotFoundError,
)

_PAGE = 1000
_SIZE_WIDTH = 14
_EXTRA = re.compile(r"cloudbridge-store\[([\w-]+)\]")


@click.command("providers")
@shared_options
@pass_state
def providers(state: State) -> None:
    """List the providers: whether they are installed, and what they can do."""
    for name in CloudProviderFactory().list_providers():
        record = _describe_provider(name)
        installed = "installed" if record["installed"] else "not installed"
        able = ", ".join(_abilities(record["capabilities"])) if record["capabilities"] else record["reason"]
        state.output.result(printable(f"{name:<14} {installed:<14} {able}"), record)


def _describe_provider(name: str) -> dict[str, Any]:
    record: dict[str, Any] = {
        "name": name,
        "installed": True,
        "extra": _extra(name),
        "capabilities": None,
        "reason": None,
    }
    try:
        with CloudProviderFactory().create_provider(name, {"profile": name}) as provider:
            return {**record, "capabilities": asdict(provider.capabilities)}
    except MissingDependencyError as error:
        found = _EXTRA.search(str(error))
        return {
            **record,
            "installed": False,
            "extra": found[1] if found else record["extra"],
            "reason": describe(error),
        }
    except InvalidConfigurationException as error:
        return {**record, "reason": describe(error)}


def _extra(name: str) -> str | None:
    from importlib import metadata  # here, because it is slow to import

    try:
        extras = metadata.metadata("cloudbridge-store").get_all("Provides-Extra") or ()
    except metadata.PackageNotFoundError:
        return None
    return name if name in extras else None


def _abilities(capabilities: dict[str, Any]) -> list[str]:
    # Numbers are limits rather than abilities, except where 0 stands for "cannot".
    return [
        name
        for name, value in capabilities.items()
        if value is True or (value and (isinstance(value, frozenset) or name == "batch_delete"))
    ]


@click.command("ls")
@click.argument("url", metavar="[URL]", type=UrlType("root"), default="cbs://")
@click.option("-l", "--long", is_flag=True, help="Show size and time of each too.")
@click.option("-r", "--recursive", is_flag=True, help="List every object, not one level.")
@click.option("-h", "--human", is_flag=True, help="With -l: sizes in KiB, MiB, ...")
@shared_options
@pass_state
def list_contents(state: State, url: Remote, long: bool, recursive: bool, human: bool) -> None:
    """List profiles, the buckets of one, or the objects of a bucket whose key starts with what the URL goes on with.

    One level is listed: what is behind the next slash is shown as one line that ends in it.
    """
    if not url.profile:
        _list_profiles(state)
    elif not url.bucket:
        _list_buckets(state, url, long=long)
    else:
        _list_objects(state, url, recursive=recursive, line=_Line(long=long, human=human))


def _list_profiles(state: State) -> None:
    for name, profile in all_profiles().items():
        url = Remote(name)
        record = {"url": str(url), "profile": name, "provider": profile.provider, "built_in": profile.built_in}
        state.output.result(printable(f"{url!s:<30} {profile.provider}"), record)


def _list_buckets(state: State, url: Remote, *, long: bool) -> None:
    for bucket in state.stores.provider(url.profile).storage.buckets:
        place = Remote(url.profile, bucket.name)
        text = f"{shown_time(bucket.created)}  {bucket.name}" if long else bucket.name
        state.output.result(printable(text), {"url": str(place), **record_of(bucket)})


def _list_objects(state: State, url: Remote, *, recursive: bool, line: _Line) -> None:
    bucket = state.stores.bucket(url)
    empty = True
    for entry in bucket.objects.iter(prefix=url.key) if recursive else _one_level(bucket, url.key):
        empty = False
        if isinstance(entry, str):
            place = str(url.at(entry))
            state.output.result(line.prefix(entry), {"url": place, "prefix": entry, "bucket": bucket.name})
        else:
            state.output.result(line.object(entry), {"url": str(url.at(entry.name)), **record_of(entry)})
    if empty and url.key:
        message = f"no key starts with {url}"
        raise ObjectNotFoundError(message)


def _one_level(bucket: Bucket, prefix: str) -> Iterator[BucketObject | str]:
    marker: str | None = None
    while True:
        page = bucket.objects.list(limit=_PAGE, marker=marker, prefix=prefix, delimiter="/")
        entries: list[BucketObject | str] = [*page.prefixes, *page]
        yield from sorted(entries, key=_byte_order)
        marker = page.marker
        if marker is None:
            return


def _byte_order(entry: BucketObject | str) -> bytes:
    return (entry if isinstance(entry, str) else entry.name).encode("utf-8", "surrogatepass")


def record_of(resource: Bucket | BucketObject) -> dict[str, Any]:
    """Return what is known about a bucket or object, its times with their offset."""
    record = resource.to_json()
    del record["id"]
    if isinstance(resource, Bucket):
        return {**record, "created": resource.created}
    return {**record, "last_modified": resource.modified}


class _Line:
    """The text of one entry."""

    def __init__(self, *, long: bool, human: bool) -> None:
        self._long = long
        self._human = human

    def object(self, entry: BucketObject) -> str:
        if not self._long:
            return printable(entry.name)
        size = human_size(entry.size) if self._human else str(entry.size)
        return printable(f"{size:>{_SIZE_WIDTH}}  {shown_time(entry.modified)}  {entry.name}")

    def prefix(self, name: str) -> str:
        return printable(f"{'PREFIX':>{_SIZE_WIDTH}}  {shown_time(None)}  {name}" if self._long else name)


@click.command("stat")
@click.argument("urls", metavar="URL...", type=UrlType("bucket"), nargs=-1, required=True)
@shared_options
@pass_state
def stat(state: State, urls: tuple[Remote, ...]) -> None:
    """Describe objects, or buckets: size, time, ETag, content type, metadata, checksums."""
    for url in urls:
        record = {"url": str(url), **_described(state, url)}
        lines = (f"{name + ':':<15} {_shown(value)}" for name, value in record.items() if value not in (None, {}))
        state.output.result("\n".join(map(printable, lines)), record)


def _described(state: State, url: Remote) -> dict[str, Any]:
    if url.key:
        return record_of(state.stores.stored(url))
    bucket = state.stores.provider(url.profile).storage.buckets.get(url.bucket)
    if bucket is None:
        message = f"{url} does not exist"
        raise BucketNotFoundError(message)
    return record_of(bucket)


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return ", ".join(f"{name}={text}" for name, text in value.items()) if isinstance(value, dict) else str(value)
