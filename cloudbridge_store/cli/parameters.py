"""Types of arguments and options, and the options that all commands share."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import click
from click.shell_completion import CompletionItem

from cloudbridge_store.cli.completion import complete_location
from cloudbridge_store.cli.locations import Override, Remote, Stores, parse, parse_override
from cloudbridge_store.cli.output import Output

Command = TypeVar("Command", bound=Callable[..., Any])

if TYPE_CHECKING:
    # Generic since click 8.4, and only there may it be subscribed.
    Parameter = click.ParamType[Any]
else:
    Parameter = click.ParamType

_SIZE = re.compile(r"(\d+)\s*([kmgt]?)(i?b)?", re.IGNORECASE)
_DURATION = re.compile(r"(\d+)([smhdw]?)")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class LocationType(Parameter):
    """A URL, a path, or ``-``."""

    name = "location"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return what :func:`~cloudbridge_store.cli.locations.parse` makes of it."""
        return parse(value) if isinstance(value, str) else value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
        """Offer URLs that exist, and files."""
        return complete_location(incomplete, files=True)


class UrlType(Parameter):
    """A URL that names at least so much."""

    name = "url"
    _shapes: ClassVar = {"root": "", "profile": "PROFILE", "bucket": "PROFILE/bucket", "key": "PROFILE/bucket/key"}

    def __init__(self, least: Literal["root", "profile", "bucket", "key"], *, bucket_only: bool = False) -> None:
        self._least = least
        self._bucket_only = bucket_only

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a :class:`Remote`."""
        location = parse(value) if isinstance(value, str) else value
        if isinstance(location, Remote) and self._fits(location):
            return location
        return self.fail(f"{value!r} is not of the form cbs://{self._shapes[self._least]}", param, ctx)

    def _fits(self, location: Remote) -> bool:
        named = self._least == "root" or bool(getattr(location, self._least))
        return named and not (self._bucket_only and location.key)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
        """Offer URLs that exist."""
        return complete_location(incomplete, files=False)


class SizeType(Parameter):
    """Bytes, with or without a binary unit: ``8388608``, ``8M``, ``8MiB``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return bytes."""
        if isinstance(value, int):
            return value
        found = _SIZE.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is not a size such as 8388608 or 8MiB", param, ctx)
        return int(found[1]) * 1024 ** _POWERS[found[2].lower()]


class DurationType(Parameter):
    """Seconds, or a number with ``s``, ``m``, ``h``, ``d`` or ``w``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return seconds."""
        if isinstance(value, int):
            return value
        found = _DURATION.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is not a time such as 3600, 90m, 1h or 7d", param, ctx)
        return int(found[1]) * _SECONDS[found[2]]


@dataclass
class State:
    """What the shared options say, and what a command opens because of it."""

    json: bool = False
    quiet: bool = False
    debug: bool = False
    overrides: list[Override] = field(default_factory=list)

    @cached_property
    def output(self) -> Output:
        """Where the command prints."""
        return Output(json=self.json, quiet=self.quiet)

    @cached_property
    def stores(self) -> Stores:
        """The providers it uses; closed when it ends."""
        stores = Stores(self.overrides)
        click.get_current_context().call_on_close(stores.close)
        return stores


pass_state = click.make_pass_decorator(State, ensure=True)


def _set_flag(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        setattr(context.ensure_object(State), str(parameter.name), True)


def _add_overrides(context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> None:
    context.ensure_object(State).overrides.extend(map(parse_override, values))


def _start_log(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if not value:
        return
    log, handler = logging.getLogger("cloudbridge_store"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)

    def stop() -> None:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)

    context.call_on_close(stop)


def shared_options(command: Command) -> Command:
    """Give a command the options that may stand before or behind its name."""
    options = (
        click.option(
            "--config",
            "overrides",
            multiple=True,
            metavar="[PROFILE:]KEY=VALUE",
            expose_value=False,
            callback=_add_overrides,
            help="Set a key of the profile in the URL; with PROFILE: only of that one. Repeatable.",
        ),
        _flag("--json", help="Print one JSON object per line."),
        _flag("-q", "--quiet", help="Print results and errors only, no progress."),
        click.option(
            "-v",
            "--verbose",
            is_flag=True,
            expose_value=False,
            callback=_start_log,
            help="Log every request on stderr.",
        ),
        _flag("--debug", help="Show the traceback of an error."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _flag(*names: str, help: str) -> Callable[[Command], Command]:
    return click.option(*names, is_flag=True, expose_value=False, callback=_set_flag, help=help)
