"""``demo``: the main job on real files, on the embedded LOCAL provider."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudbridge_store import CloudProviderFactory, ProviderList
from cloudbridge_store.cli.output import Output, human_size, printable
from cloudbridge_store.cli.parameters import State, pass_state, shared_options
from cloudbridge_store.cli.samples import Samples, find_samples
from cloudbridge_store.errors import InvalidConfigurationException, MissingDependencyError

if TYPE_CHECKING:
    from cloudbridge_store.cli.demonstration import Step

_MIB = 2**20
_OWN_LIMITS = {"most_files": 2000, "most_bytes": 512 * _MIB}
_LIBRARY_LIMITS = {"most_files": 400, "most_bytes": 32 * _MIB}

_ON_AWS = """\
    provider = CloudProviderFactory().create_provider(ProviderList.AWS, {"aws_region_name": "eu-central-1"})
    bucket = provider.storage.buckets.create("a-name-nobody-has-taken")
    bucket.upload_directory("my-files", prefix="files/", progress=True)"""


@click.command("demo")
@click.argument("directory", required=False, type=click.Path(path_type=Path))
@click.option("--root", metavar="DIR", type=click.Path(path_type=Path), help="Keep the store and restored files here.")
@click.option("--no-progress", is_flag=True, help="No progress bars; there are none anyway if stderr is no terminal.")
@shared_options
@pass_state
def demo(state: State, directory: Path | None, root: Path | None, no_progress: bool) -> None:
    """Store, list, find, read, share, copy and restore the files below DIRECTORY, and check every byte.

    Needs no account: the store is a temporary directory. Without DIRECTORY it takes sources of Python's standard
    library. At most 2,000 files and 512 MiB are taken. Your files are only read.
    """
    samples = find_samples(directory, **(_OWN_LIMITS if directory else _LIBRARY_LIMITS))
    with ExitStack() as stack:
        place = root or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cloudbridge-store-demo-")))
        shown = not (no_progress or state.quiet or state.json)
        steps = _run(state.output, samples, place, shown=shown)
    _summarise(state.output, samples, steps)
    if not state.json:
        _tell_about_aws(state.output, root)


def _run(output: Output, samples: Samples, place: Path, *, shown: bool) -> list[Step]:
    from cloudbridge_store.cli.demonstration import Demonstration  # here, for it needs an HTTP client

    files = f"{len(samples.files)} files, {human_size(samples.bytes)}, of {samples.directory}"
    output.note(f"{files} (there are more)" if samples.cut else files)
    # Everything is said, so that neither environment nor profile leads the demo to somebody's real store.
    config = {"profile": ProviderList.LOCAL, "local_root": str(place / "store"), "local_layout": "encoded"}
    steps: list[Step] = []
    with CloudProviderFactory().create_provider(ProviderList.LOCAL, config) as provider:
        for step in Demonstration(provider, samples, place / "restored", shown=shown).run():
            steps.append(step)
            if not output.json:
                output.note(f"  {step.name}: {step.remark or 'done'}")
    return steps


def _summarise(output: Output, samples: Samples, steps: Sequence[Step]) -> None:
    lines = [f"{'step':<26}{'count':>8}{'size':>12}{'seconds':>10}"]
    for step in steps:
        size = human_size(step.bytes) if step.bytes else ""
        lines.append(f"{step.name:<26}{step.count:>8}{size:>12}{step.seconds:>10.3f}")
    seconds = sum(step.seconds for step in steps)
    lines.append(f"{'all verified':<26}{len(samples.files):>8}{human_size(samples.bytes):>12}{seconds:>10.3f}")
    record = {
        "directory": str(samples.directory),
        "files": len(samples.files),
        "bytes": samples.bytes,
        "cut": samples.cut,
        "seconds": round(seconds, 6),
        "steps": [_record(step) for step in steps],
        "ok": True,
    }
    output.result("\n".join(map(printable, lines)), record)


def _record(step: Step) -> dict[str, object]:
    return {
        "step": step.name,
        "count": step.count,
        "bytes": step.bytes,
        "seconds": round(step.seconds, 6),
        "remark": step.remark,
    }


def _tell_about_aws(output: Output, root: Path | None) -> None:
    if root is not None:
        output.note(f"store and restored files are in {root}")
    click.echo(f"\nThe same on AWS:\n\n{_ON_AWS}\n")
    if obstacle := _aws_obstacle():
        click.echo(obstacle)


def _aws_obstacle() -> str | None:
    if ProviderList.AWS not in CloudProviderFactory().list_providers():
        return "The driver for AWS is not part of this release; it comes with a later one."
    try:
        CloudProviderFactory().create_provider(ProviderList.AWS).close()
    except MissingDependencyError as error:
        return f"First: {error}"
    except InvalidConfigurationException:
        # Its SDK is there; what this machine's configuration lacks, the three lines give.
        return None
    return None
