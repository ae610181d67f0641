"""What a service is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudbridge_store.config import Settings
from cloudbridge_store.drivers.swift_presets import SwiftPreset


@dataclass(frozen=True, slots=True)
class Plan:
    """The configuration, parsed, and the kind of service it means."""

    config: Mapping[str, Any] = field(repr=False)
    settings: Settings
    preset: SwiftPreset
