"""What went wrong, as an exit code and as one line.

====  ====================================================================
code  meaning
====  ====================================================================
0     everything was done
1     some of several transfers or deletions failed, or a check of ``demo``
2     usage, configuration, or a name or value that cannot be
3     not found
4     not authenticated, or not permitted
5     the service could not be reached or had no capacity, after retries
6     anything else
130   interrupted (Ctrl-C)
141   the reader of our output went away (as for any program in a pipe)
143   terminated (SIGTERM)
====  ====================================================================
"""

from __future__ import annotations

import errno
from enum import IntEnum

import click

from cloudbridge_store.cli.output import printable
from cloudbridge_store.errors import (
    AuthenticationError,
    ConnectionFailedError,
    InvalidConfigurationException,
    InvalidNameException,
    InvalidValueException,
    NotFoundError,
    OperationTimeoutError,
    PermissionDeniedError,
    ServiceUnavailableError,
    ThrottledError,
    TransferError,
)


class ExitCode(IntEnum):
    """How the command ends."""

    OK = 0
    PARTIAL = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_PERMITTED = 4
    UNAVAILABLE = 5
    OTHER = 6
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


_CODES: tuple[tuple[tuple[type[BaseException], ...], ExitCode], ...] = (
    (
        (click.ClickException, InvalidConfigurationException, InvalidNameException, InvalidValueException),
        ExitCode.USAGE,
    ),
    ((NotFoundError, FileNotFoundError), ExitCode.NOT_FOUND),
    ((AuthenticationError, PermissionDeniedError, PermissionError), ExitCode.NOT_PERMITTED),
    (
        (ServiceUnavailableError, ThrottledError, ConnectionFailedError, OperationTimeoutError),
        ExitCode.UNAVAILABLE,
    ),
    ((TransferError,), ExitCode.PARTIAL),
)


class VerificationError(Exception):
    """What was read back is not what was stored."""


def exit_code(error: BaseException) -> ExitCode:
    """Return the code that the command ends with because of ``error``."""
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return ExitCode.INTERRUPTED
    if isinstance(error, VerificationError):
        return ExitCode.PARTIAL
    for kinds, code in _CODES:
        if isinstance(error, kinds):
            return code
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM):
        return ExitCode.NOT_PERMITTED
    return ExitCode.OTHER


def describe(error: BaseException) -> str:
    """Return what ``error`` says, in one line."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return one_line(f"{error.format_message()} (see {error.ctx.command_path} --help)")
    if isinstance(error, click.ClickException):
        return one_line(error.format_message())
    return one_line(str(error) or type(error).__name__)


def one_line(text: str) -> str:
    """Return ``text`` with its line breaks as spaces and nothing that a terminal would obey."""
    return printable(" ".join(text.split()))
