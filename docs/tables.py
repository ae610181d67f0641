"""Two directives whose tables come from the code: ``config-keys`` and ``capabilities``, each of a provider."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from cloudbridge_store.config import COMMON_KEYS, ConfigKey
from cloudbridge_store.core import registry


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
        return [(f"``{each.name}``", _shown(getattr(able, each.name))) for each in fields(able)]


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


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("config-keys", ConfigKeys)
    app.add_directive("capabilities", Capabilities)
    return {"parallel_read_safe": True}
