"""``mb`` and ``rb``: make and remove buckets."""

from __future__ import annotations

import click

from cloudbridge_store.cli.locations import Remote
from cloudbridge_store.cli.parameters import State, UrlType, pass_state, shared_options

_BUCKET = UrlType("bucket", bucket_only=True)


@click.command("mb")
@click.argument("urls", metavar="URL...", type=_BUCKET, nargs=-1, required=True)
@click.option("--location", metavar="NAME", help="Where to make it, as the service names its places.")
@shared_options
@pass_state
def make_bucket(state: State, urls: tuple[Remote, ...], location: str | None) -> None:
    """Make buckets cbs://PROFILE/bucket."""
    for url in urls:
        bucket = state.stores.provider(url.profile).storage.buckets.create(url.bucket, location)
        state.output.result(str(url), {"url": str(url), "bucket": bucket.name, "location": bucket.location})


@click.command("rb")
@click.argument("urls", metavar="URL...", type=_BUCKET, nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Delete what is in it first: objects and unfinished uploads.")
@shared_options
@pass_state
def remove_bucket(state: State, urls: tuple[Remote, ...], force: bool) -> None:
    """Remove empty buckets."""
    for url in urls:
        state.stores.bucket(url).delete(delete_contents=force)
        state.output.result(str(url), {"url": str(url), "removed": True})
