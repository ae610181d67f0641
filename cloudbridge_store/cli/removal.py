"""``rm``: delete objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

from cloudbridge_store.cli.errors import ExitCode, describe
from cloudbridge_store.cli.filters import FilteringCommand, Filters, chosen
from cloudbridge_store.cli.locations import Remote
from cloudbridge_store.cli.parameters import State, UrlType, pass_state, shared_options
from cloudbridge_store.errors import ObjectNotFoundError, StoreError, TransferError


@click.command("rm", cls=FilteringCommand)
@click.argument("urls", metavar="URL...", type=UrlType("bucket"), nargs=-1, required=True)
@click.option("-r", "--recursive", is_flag=True, help="Delete everything below the URL as if it were a directory.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be deleted.")
@click.option("-f", "--force", is_flag=True, help="What does not exist is fine.")
@shared_options
@pass_state
@click.pass_context
def remove(
    context: click.Context, state: State, urls: tuple[Remote, ...], recursive: bool, dry_run: bool, force: bool
) -> None:
    """Delete objects. With -r: the object, and all whose key goes on behind a slash; of a bucket, everything."""
    removal = _Removal(state, recursive=recursive, dry_run=dry_run, force=force, filters=chosen(context))
    removal.check(urls)
    for url in urls:
        try:
            removal.run(url)
        except StoreError as error:
            if len(urls) == 1:
                raise
            removal.note_failure(error)
    if removal.failed:
        context.exit(ExitCode.PARTIAL)


class _Removal:
    """Deletes what URLs name, and remembers whether some of it failed."""

    def __init__(self, state: State, *, recursive: bool, dry_run: bool, force: bool, filters: Filters) -> None:
        self.failed = False
        self._state = state
        self._recursive = recursive
        self._dry_run = dry_run
        self._force = force
        self._filters = filters
        self._count = 0

    def check(self, urls: Iterable[Remote]) -> None:
        """Refuse what needs ``-r``, before anything is deleted. :raises click.UsageError:"""
        for url in urls:
            if not url.key and not self._recursive:
                message = f"{url} is a bucket: rm -r deletes all objects in it, rb the bucket"
                raise click.UsageError(message)

    def note_failure(self, error: Exception) -> None:
        """Say what failed; the others go on."""
        self.failed = True
        self._state.output.problem(describe(error))

    def run(self, url: Remote) -> None:
        """Delete what one URL names. :raises ObjectNotFoundError: nothing."""
        self._count = 0
        keys = self._keys(url)
        if self._dry_run:
            for key in keys:
                place = str(url.at(key))
                self._state.output.result(f"delete {place}", {"url": place, "dry_run": True})
        else:
            self._delete(url, keys)
        if not self._count and not self._force:
            message = f"{url} does not exist"
            raise ObjectNotFoundError(message)

    def _delete(self, url: Remote, keys: Iterator[str]) -> None:
        failures: dict[str, Exception] = {}
        try:
            self._state.stores.bucket(url).objects.delete_many(keys)
        except TransferError as error:
            failures = dict(error.failures)
        for failure in failures.values():
            self.note_failure(failure)
        if self._count or self._force:
            count = self._count - len(failures)
            report = {"url": str(url), "deleted": count, "failures": {key: str(each) for key, each in failures.items()}}
            if self._state.json:
                self._state.output.result("", report)
            elif self._recursive:
                self._state.output.note(f"{count} deleted below {url}")

    def _keys(self, url: Remote) -> Iterator[str]:
        for key in self._found(url):
            self._count += 1
            yield key

    def _found(self, url: Remote) -> Iterator[str]:
        objects = self._state.stores.bucket(url).objects
        if url.key and (not self._recursive or "" in self._filters):
            obj = objects.create(url.key)
            if (self._force and not self._recursive) or obj.exists():
                yield url.key
        if self._recursive:
            prefix = url.as_prefix()
            for obj in objects.iter(prefix=prefix):
                if obj.name != url.key and obj.name[len(prefix) :] in self._filters:
                    yield obj.name
