"""The command itself: its subcommands, and how it ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn

import click

from cloudbridge_store import __version__
from cloudbridge_store.cli import buckets, demo, listing, removal, sharing, transfer
from cloudbridge_store.cli.errors import ExitCode, describe, exit_code
from cloudbridge_store.cli.parameters import State, shared_options
from cloudbridge_store.errors import CloudBridgeBaseException

_NAME = "cloudbridge-store"
_PATIENCE = 2.0
"""Seconds that threads have to clear away what they have begun, after an interrupt."""


class Application(click.Group):
    """A group of commands whose errors end in the codes of :mod:`cloudbridge_store.cli.errors`."""

    def main(  # type: ignore[override]  # it never returns, whatever the mode
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run a command line and exit."""
        extra["standalone_mode"] = False
        try:
            answer = super().main(args, prog_name or _NAME, **extra)
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted", err=True)
            sys.exit(ExitCode.INTERRUPTED)
        except click.ClickException as error:
            click.echo(f"error: {describe(error)}", err=True)
            sys.exit(ExitCode.USAGE)
        sys.exit(answer if isinstance(answer, int) else ExitCode.OK)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand and return its exit code."""
        state = ctx.ensure_object(State)
        try:
            super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _forget_stdout()
            return ExitCode.BROKEN_PIPE
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:  # the last place that can say it in one line
            if state.debug:
                traceback.print_exc()
            click.echo(f"error: {_explain(error)}", err=True)
            return exit_code(error)
        return ExitCode.OK


def _explain(error: Exception) -> str:
    ours = isinstance(error, (CloudBridgeBaseException, click.ClickException, OSError))
    if ours or exit_code(error) != ExitCode.OTHER:
        return describe(error)
    return f"unexpected {type(error).__name__}: {describe(error)} (please report it, with the output of --debug)"


def _forget_stdout() -> None:
    # What is left in the buffer would be written, and fail again, when the interpreter ends.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@click.group(
    cls=Application,
    invoke_without_command=True,
    context_settings={"help_option_names": ["--help"], "max_content_width": 110},
    epilog="Profiles stand in profiles.toml of the user's configuration directory, or in the file CBS_CONFIG; every "
    "provider is also a profile of its own name, such as local. Completion of URLs: "
    'eval "$(_CLOUDBRIDGE_STORE_COMPLETE=bash_source cloudbridge-store)", or zsh_source, fish_source. '
    "Exit codes: 0 done, 1 some transfers failed, 2 usage or configuration, 3 not found, 4 not permitted, "
    "5 service unavailable, 6 other, 130 interrupted.",
)
@click.version_option(__version__, prog_name=_NAME)
@shared_options
@click.pass_context
def application(context: click.Context) -> None:
    """Work with objects in any cloud, and in a local directory, by URLs cbs://PROFILE/bucket/key."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(ExitCode.USAGE)


for _command in (
    listing.providers,
    listing.list_contents,
    listing.stat,
    transfer.copy,
    transfer.concatenate,
    removal.remove,
    buckets.make_bucket,
    buckets.remove_bucket,
    sharing.presign,
    sharing.serve,
    demo.demo,
):
    application.add_command(_command)


def run() -> NoReturn:
    """Run the process's command line and exit."""
    # SIGTERM as an exception, so that temporary files and unfinished uploads are cleared away.
    signal.signal(signal.SIGTERM, _terminate)
    try:
        application.main()
    except SystemExit as ended:
        code = ended.code
    if code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED) and _workers_remain():
        # A thread that waits for the network would hold the exit up for as long as that takes.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(code or 0))
    sys.exit(code)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    sys.exit(ExitCode.TERMINATED)


def _workers_remain() -> bool:
    deadline = time.monotonic() + _PATIENCE
    workers = [each for each in threading.enumerate() if not each.daemon and each is not threading.main_thread()]
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
    return any(worker.is_alive() for worker in workers)
