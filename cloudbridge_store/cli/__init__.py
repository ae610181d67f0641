"""The ``cloudbridge-store`` command, short name ``cbs``. Built on click and tqdm, on top of the public API only."""

from __future__ import annotations

import sys

_USAGE = 2


def main() -> None:
    """Run the command with the process's arguments and exit with its code (see :mod:`cloudbridge_store.cli.errors`)."""
    try:
        import click  # noqa: F401 - asked for first, so that what is missing is said in one line
    except ImportError:
        sys.stderr.write("error: the command line needs click: pip install 'cloudbridge-store[cli]'\n")
        sys.exit(_USAGE)
    from cloudbridge_store.cli.application import run

    run()
