"""What a client is built from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cloudbridge_store.config import Settings
from cloudbridge_store.drivers.presets import S3Preset


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a client is built from."""

    config: Mapping[str, Any]
    settings: Settings
    preset: S3Preset
    endpoint: str | None

    def endpoint_in(self, region: str | None) -> str | None:
        """Return the service's address in a region; one that the user gave serves them all."""
        config = self.config
        if region is None or config["s3_endpoint_url"]:
            return self.endpoint
        return self.preset.endpoint_url(region, config["s3_account"], bool(config["s3_is_secure"]))


def is_aws(endpoint: str | None) -> bool:
    """Say whether an endpoint is one of AWS itself."""
    host = urlsplit(endpoint).hostname or "" if endpoint else "amazonaws.com"
    return f".{host}".endswith((".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws"))
