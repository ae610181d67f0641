"""Directives whose tables come from the code: ``config-keys`` and ``capabilities`` of a provider, and S3 presets."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from cloudbridge_store.config import COMMON_KEYS, ConfigKey
from cloudbridge_store.core import registry
from cloudbridge_store.drivers.presets import S3_PRESETS, S3Preset, override_keys


class _TableDirective(SphinxDirective):
    required_arguments = 1
    heads: ClassVar[tuple[str, ...]]

    def _rows(self) -> list[tuple[str, ...]]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        lines = [".. list-table::", "   :header-rows: 1", ""]
        for row in (self.heads, *self._rows()):
            lines += [f"   {' ' if column else '*'} - {cell}" for column, cell in enumerate(row)]
        return self.parse_text_to_nodes("\n".join(lines))


class ConfigKeys(_TableDirective):
    """The configuration keys of a provider, or, as ``common``, those that all have."""

    heads = ("key", "type", "default", "environment", "what it is")

    def _rows(self) -> list[tuple[str, ...]]:
        name = self.arguments[0]
        return [_key_row(key) for key in (COMMON_KEYS if name == "common" else registry.load(name).config_keys)]


def _key_row(key: ConfigKey) -> tuple[str, ...]:
    variables = ", ".join(f"``{name}``" for name in key.variables if name)
    default = "" if key.default is None else f"``{key.default}``"
    text = f"{key.help}; a secret" if key.secret else key.help
    return f"``{key.name}``", key.kind.__name__, default, variables, text


class Capabilities(_TableDirective):
    """What a provider can do, and its limits."""

    heads = ("capability", "value")

    def _rows(self) -> list[tuple[str, ...]]:
        able = _capabilities(self.arguments[0])
        return [(f"``{each.name}``", _shown(getattr(able, each.name))) for each in fields(able) if each.name != "hints"]


def _capabilities(name: str) -> Any:
    from cloudbridge_store import CloudProviderFactory

    with CloudProviderFactory().create_provider(name) as provider:
        return provider.capabilities


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, frozenset):
        return ", ".join(f"``{each}``" for each in sorted(value)) or "none"
    return f"{value:,}"


class S3Presets(_TableDirective):
    """The S3-compatible services: where they are, and in what they differ."""

    required_arguments = 0
    heads = ("name", "service", "endpoint", "regions, for example", "style", "differs in")

    def _rows(self) -> list[tuple[str, ...]]:
        return [_preset_row(preset) for preset in S3_PRESETS.values()]


def _preset_row(preset: S3Preset) -> tuple[str, ...]:
    others = [pattern for _, pattern in preset.elsewhere]
    endpoint = ", ".join(f"``{each}``" for each in (preset.endpoint, *others) if each) or "your own"
    regions = ", ".join(f"``{each}``" for each in preset.regions)
    if preset.default_region:
        regions = "; ".join(part for part in (regions, f"default ``{preset.default_region}``") if part)
    return (
        f"``{preset.name}``",
        preset.title,
        endpoint,
        regions,
        preset.addressing_style,
        "; ".join(_quirks(preset)),
    )


def _quirks(preset: S3Preset) -> list[str]:
    usual = S3Preset("", "")
    flags = [key.name.removeprefix("s3_") for key in override_keys()]
    differing = [flag for flag in flags if flag != "addressing_style" and getattr(preset, flag) != getattr(usual, flag)]
    return [*(f"``{flag}`` {_flag(getattr(preset, flag))}" for flag in differing), *filter(None, [preset.notes])]


def _flag(value: Any) -> str:
    if isinstance(value, str):
        return value
    return ", ".join(f"``{each}``" for each in value) if isinstance(value, tuple) else _shown(value)


class S3Flags(_TableDirective):
    """The flags of a preset: the config key of each, and what most services have."""

    required_arguments = 0
    heads = ("key", "what it says", "most services")

    def _rows(self) -> list[tuple[str, ...]]:
        return [_flag_row(key) for key in override_keys()]


def _flag_row(key: ConfigKey) -> tuple[str, ...]:
    usual = getattr(S3Preset("", ""), key.name.removeprefix("s3_"))
    return f"``{key.name}``", key.help.removesuffix("; default: the preset's"), _flag(usual)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("config-keys", ConfigKeys)
    app.add_directive("capabilities", Capabilities)
    app.add_directive("s3-presets", S3Presets)
    app.add_directive("s3-flags", S3Flags)
    return {"parallel_read_safe": True}
