"""Rules of buckets, passed on as the JSON interface has them: CORS, and the life cycle of objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudbridge_store.drivers.base import RuleKind
from cloudbridge_store.drivers.gcp.service import Service, bucket_path


def get_rules(service: Service, bucket: str, kind: RuleKind) -> Sequence[Mapping[str, Any]]:
    """Return a bucket's rules."""
    found = service.ask("GET", bucket_path(bucket), {"fields": f"name,{kind}"})
    rules = found.get(kind) or []
    return list(rules.get("rule", ()) if isinstance(rules, dict) else rules)


def set_rules(service: Service, bucket: str, kind: RuleKind, rules: Sequence[Mapping[str, Any]]) -> None:
    """Replace a bucket's rules, or remove them."""
    given = [dict(rule) for rule in rules]
    document: dict[str, Any] = {kind: given if kind == "cors" else {"rule": given}}
    service.ask("PATCH", bucket_path(bucket), {"fields": "name"}, document=document if given else {kind: None})
