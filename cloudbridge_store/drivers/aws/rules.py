"""Rules of buckets, passed on as S3 has them: CORS, and the life cycle of objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from cloudbridge_store.drivers.aws.errors import code_of
from cloudbridge_store.drivers.aws.service import Service
from cloudbridge_store.drivers.base import RuleKind


class _Names(NamedTuple):
    """What S3 calls one kind of rules."""

    operation: str
    parameter: str
    rules: str
    none: str


_KINDS: Mapping[RuleKind, _Names] = {
    "cors": _Names("bucket_cors", "CORSConfiguration", "CORSRules", "NoSuchCORSConfiguration"),
    "lifecycle": _Names(
        "bucket_lifecycle_configuration", "LifecycleConfiguration", "Rules", "NoSuchLifecycleConfiguration"
    ),
}


def get_rules(service: Service, bucket: str, kind: RuleKind) -> Sequence[Mapping[str, Any]]:
    """Return a bucket's rules."""
    names = _KINDS[kind]
    try:
        answer = service.send(f"get_{names.operation}", Bucket=bucket)
    except ClientError as error:
        if code_of(error) != names.none:
            raise
        return []
    return list(answer.get(names.rules, ()))


def set_rules(service: Service, bucket: str, kind: RuleKind, rules: Sequence[Mapping[str, Any]]) -> None:
    """Replace a bucket's rules, or remove them."""
    names = _KINDS[kind]
    if rules:
        configuration = {names.parameter: {names.rules: [dict(rule) for rule in rules]}}
        service.send(f"put_{names.operation}", Bucket=bucket, **configuration)
    else:
        service.send(f"delete_{names.operation.removesuffix('_configuration')}", Bucket=bucket)
