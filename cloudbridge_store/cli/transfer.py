"""``cp`` and ``cat``: bytes from one place to another."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

import click

from cloudbridge_store import BucketObject, TransferConfig
from cloudbridge_store.cli.copying import ExistsError, Item, Report, copy_items
from cloudbridge_store.cli.errors import ExitCode, describe
from cloudbridge_store.cli.filters import FilteringCommand, chosen
from cloudbridge_store.cli.locations import Local, Location, Remote, Standard
from cloudbridge_store.cli.output import human_size
from cloudbridge_store.cli.parameters import (
    LocationType,
    Parameter,
    SizeType,
    State,
    UrlType,
    pass_state,
    shared_options,
)
from cloudbridge_store.cli.progress import Meter
from cloudbridge_store.cli.routes import PIECE, Options, Route, nothing_below
from cloudbridge_store.errors import CloudBridgeBaseException

_RANGE = re.compile(r"(\d+):(\d*)")
_JOBS = 8


@click.command("cp", cls=FilteringCommand)
@click.argument("locations", metavar="SOURCE... DESTINATION", type=LocationType(), nargs=-1, required=True)
@click.option("-r", "--recursive", is_flag=True, help="Copy what is below a directory, or a URL as if it were one.")
@click.option("--no-clobber", is_flag=True, help="Never replace; what exists is left as it is, and no failure.")
@click.option("--content-type", metavar="TYPE", help="Media type; by default guessed from the name.")
@click.option("--metadata", metavar="KEY=VALUE", multiple=True, help="Store with the object. Repeatable.")
@click.option("--storage-class", metavar="NAME", help="As the service names it.")
@click.option("-j", "--jobs", type=click.IntRange(1), help=f"Files at a time, or parts of a single one. [{_JOBS}]")
@click.option("--part-size", type=SizeType(), help="Size of the pieces of large files, such as 16MiB.")
@click.option("--no-progress", is_flag=True, help="No progress bar; there is none anyway where stderr is no terminal.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be copied.")
@shared_options
@pass_state
@click.pass_context
def copy(context: click.Context, state: State, /, locations: tuple[Location, ...], **given: Any) -> None:
    """Copy files and objects: up, down, and between stores; - is standard input or output.

    A destination that ends in a slash, or is a directory or bucket, gets each source under its own name. With -r what
    is below the source gets below the destination, under the same relative path; a link is not followed, and counts as
    a failure. Of --include and --exclude the last that fits the relative path decides; what none fits is copied, unless
    the first of them is an --include.
    """
    sources, destination = _sources_and_destination(locations)
    _refuse_misfits(sources, destination, given)
    single = len(sources) == 1 and not given["recursive"]
    options = Options(
        chosen(context),
        _keywords(given),
        TransferConfig(part_size=given["part_size"], max_concurrency=given["jobs"] if single else None),
        given["no_clobber"],
        given["jobs"] or _JOBS,
    )
    job = _Copy(state, options, recursive=given["recursive"], dry_run=given["dry_run"])
    with Meter(shown=not (given["no_progress"] or state.quiet or state.json)) as meter:
        clean = job.run(sources, destination, meter)
    if not clean:
        context.exit(ExitCode.PARTIAL)


def _sources_and_destination(locations: Sequence[Location]) -> tuple[list[Location], Location]:
    *sources, destination = locations
    if not sources:
        message = "cp needs a source and a destination"
        raise click.UsageError(message)
    for place in locations:
        if isinstance(place, Remote) and not place.bucket:
            message = f"{place} names no bucket"
            raise click.UsageError(message)
    return sources, destination


def _refuse_misfits(sources: Sequence[Location], destination: Location, given: dict[str, Any]) -> None:
    several_into_one = len(sources) > 1 and not (isinstance(destination, Remote | Local) and destination.is_directory)
    if several_into_one and not isinstance(destination, Standard):
        message = f"several sources need a directory or prefix to be copied into: {destination}/"
        raise click.UsageError(message)
    for name in ("content_type", "metadata", "storage_class"):
        if given[name] and not isinstance(destination, Remote):
            message = f"--{name.replace('_', '-')} is for what is stored, and {destination} is no cbs:// URL"
            raise click.UsageError(message)


def _keywords(given: dict[str, Any]) -> dict[str, Any]:
    keywords = {name: given[name] for name in ("content_type", "storage_class") if given[name] is not None}
    if given["metadata"]:
        keywords["metadata"] = dict(map(_pair, given["metadata"]))
    if given["no_clobber"]:
        keywords["if_none_match"] = "*"
    return keywords


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        message = f"--metadata {text!r} is not KEY=VALUE"
        raise click.UsageError(message)
    return name, value


class _Copy:
    """One ``cp``."""

    def __init__(self, state: State, options: Options, *, recursive: bool, dry_run: bool) -> None:
        self._output = state.output
        self._options = options
        self._recursive = recursive
        self._dry_run = dry_run
        self._route = Route(state.stores, options)

    def run(self, sources: Sequence[Location], destination: Location, meter: Meter) -> bool:
        """Copy all sources and say whether everything was copied."""
        if len(sources) == 1 and not self._below(sources[0]):
            self._copy_one(self._route.single(sources[0], destination), meter)
            return True
        singles = [source for source in sources if not self._below(source)]
        report = self._copy_singles(singles, destination, meter)
        self._tell(f"{len(singles)} sources", destination, report)
        clean = report.ok
        for source in sources:
            if self._below(source):
                found = self._copy_below(source, destination, meter)
                self._tell(str(source), destination, found)
                clean = clean and found.ok
        return clean

    def _below(self, source: Location) -> bool:
        return (
            self._recursive
            and not isinstance(source, Standard)
            and (not isinstance(source, Local) or source.path.is_dir())
        )

    def _copy_one(self, item: Item, meter: Meter) -> None:
        if self._dry_run:
            self._show([item])
            return
        meter.expect(item.size or 0)
        report = Report()
        started = time.perf_counter()
        try:
            report.bytes = item.copy(meter)
            report.transferred = 1
        except ExistsError:
            report.existing.append(item.destination)
            self._output.note(f"{item.destination} exists and was left as it is")
        report.seconds = time.perf_counter() - started
        if self._output.json and item.destination != "-":
            self._output.result("", {"source": item.source, "destination": item.destination, **report.record()})

    def _copy_singles(self, sources: Iterable[Location], destination: Location, meter: Meter) -> Report:
        report = Report()
        items: list[Item] = []
        for source in sources:
            try:
                item = self._route.single(source, destination)
                if any(item.destination == each.destination != "-" for each in items):
                    raise _twice(item)
                items.append(item)
            except (CloudBridgeBaseException, OSError, click.UsageError) as error:
                report.failures[str(source)] = error
        if self._dry_run:
            self._show(items)
            return report
        # Standard output takes one after another.
        jobs = 1 if isinstance(destination, Standard) else self._options.jobs
        return copy_items(items, jobs, meter, report)

    def _copy_below(self, source: Location, destination: Location, meter: Meter) -> Report:
        report = Report()
        match source, destination:
            case Remote(), Local():
                items = self._route.to_directory(source, destination)
                if not self._dry_run:
                    return self._found(source, self._route.download(source, destination, meter))
            case Remote(), Remote():
                items = self._route.below_prefix(source, destination)
            case Local(), Remote():
                items = self._route.below_directory(source, destination, report)
            case _:
                message = f"no directory can be copied from {source} to {destination}"
                raise click.UsageError(message)
        if self._dry_run:
            self._show(items)
            return report
        return self._found(source, copy_items(items, self._options.jobs, meter, report))

    def _found(self, source: Location, report: Report) -> Report:
        if isinstance(source, Remote) and report.nothing:
            raise nothing_below(source)
        return report

    def _show(self, items: Iterable[Item]) -> None:
        for item in items:
            record = {"source": item.source, "destination": item.destination, "size": item.size, "dry_run": True}
            self._output.result(f"copy {item.source} -> {item.destination}", record)

    def _tell(self, source: str, destination: Location, report: Report) -> None:
        for name, reason in report.skipped.items():
            self._output.problem(f"{name}: skipped: {reason}")
        for name, error in report.failures.items():
            self._output.problem(f"{name}: {describe(error)}")
        if self._dry_run or isinstance(destination, Standard) or report.nothing:
            return
        if self._output.json:
            self._output.result("", {"source": source, "destination": str(destination), **report.record()})
        kept = f", {len(report.existing)} existed" if report.existing else ""
        rest = f", {len(report.skipped)} skipped, {len(report.failures)} failed" if not report.ok else ""
        size, seconds = human_size(report.bytes), f"{report.seconds:.1f} s"
        self._output.note(f"{report.transferred} copied, {size} in {seconds}{kept}{rest}")


def _twice(item: Item) -> click.UsageError:
    return click.UsageError(f"{item.destination} would be written twice, the second time from {item.source}")


class RangeType(Parameter):
    """``OFFSET:LENGTH`` in bytes; without a length: to the end."""

    name = "range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return offset and length."""
        found = _RANGE.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is not OFFSET:LENGTH, such as 0:100, or 1000: for all from there", param, ctx)
        return int(found[1]), int(found[2]) if found[2] else None


@click.command("cat")
@click.argument("urls", metavar="URL...", type=UrlType("key"), nargs=-1, required=True)
@click.option(
    "--range", "window", type=RangeType(), metavar="OFFSET:[LENGTH]", help="Only these bytes, counted from 0."
)
@shared_options
@pass_state
def concatenate(state: State, urls: tuple[Remote, ...], window: tuple[int, int | None] | None) -> None:
    """Write objects to standard output, one after the other."""
    stream = sys.stdout.buffer
    for url in urls:
        obj = state.stores.stored(url)
        for piece in obj.iter_content(PIECE) if window is None else _window(obj, *window):
            stream.write(piece)
    stream.flush()


def _window(obj: BucketObject, offset: int, length: int | None) -> Iterable[bytes]:
    with obj.open("rb") as stream:
        stream.seek(offset, os.SEEK_SET)
        left = max(0, obj.size - offset) if length is None else length
        while left and (piece := stream.read(min(PIECE, left))):
            left -= len(piece)
            yield piece
