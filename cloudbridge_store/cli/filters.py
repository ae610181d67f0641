"""``--include`` and ``--exclude``: which of many paths are meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate
from typing import Any, Literal, NamedTuple, cast

import click

Kind = Literal["include", "exclude"]
_MEMORY = "cloudbridge_store.filters"


class Rule(NamedTuple):
    """One option."""

    kind: Kind
    pattern: str


class Filters:
    """Rules in the order they were given, of which the last that fits a path decides.

    What no rule fits is taken if the first rule excludes (or there is none), and left out if the first one includes:
    ``--include '*.txt'`` alone means those only. Patterns match the whole path below the directory or prefix that is
    copied; ``*`` crosses slashes.
    """

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        compiled = [(rule.kind == "include", re.compile(translate(rule.pattern)).match) for rule in rules]
        self._compiled = compiled[::-1]
        self._otherwise = not rules or rules[0].kind == "exclude"

    def __contains__(self, path: str) -> bool:
        return next((taken for taken, fits in self._compiled if fits(path)), self._otherwise)


class FilteringCommand(click.Command):
    """A command with ``--include`` and ``--exclude`` that knows in which order they were given."""

    def __init__(self, *args: Any, **extra: Any) -> None:
        super().__init__(*args, **extra)
        for kind, what in (("include", "Take"), ("exclude", "Leave out")):
            text = f"{what} paths that fit. The last of all these options that fits a path decides. Repeatable."
            option = click.Option(
                [f"--{kind}"], multiple=True, metavar="GLOB", expose_value=False, callback=_keep, help=text
            )
            self.params.append(option)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse twice, as click forgets the order of different options."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        rest = super().parse_args(ctx, args)
        values = {kind: iter(ctx.meta.get(f"{_MEMORY}.{kind}", ())) for kind in ("include", "exclude")}
        kinds: list[Kind] = [cast("Kind", option.name) for option in order if option.name in values]
        ctx.meta[_MEMORY] = [Rule(kind, next(values[kind])) for kind in kinds]
        return rest


def _keep(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> None:
    context.meta[f"{_MEMORY}.{parameter.name}"] = values


def chosen(context: click.Context) -> Filters:
    """Return what the command line says."""
    return Filters(context.meta.get(_MEMORY, ()))
