"""Operations to be disturbed: what is there before, what is done, and what must be there afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.config import TransferConfig
from cloudbridge_store.testing.fixtures import noise

KiB, MiB = 2**10, 2**20
OLD, NEW = b"what was there before", noise(200 * KiB, 1)
Kind = Literal["read", "write", "list", "control"]


@dataclass
class Stage:
    """One cell's surroundings.

    :param direct: the bucket, by a provider that nothing disturbs.
    :param bucket: the same by one that is disturbed.
    :param directory: an empty one.
    """

    direct: Bucket
    bucket: Bucket
    key: str
    directory: Path
    part: int

    @property
    def target(self) -> Path:
        """A file to download to."""
        return self.directory / "target"

    def store(self, content: bytes) -> None:
        """Store the object undisturbed."""
        self.direct.objects.create(self.key).upload(content)

    def stored(self) -> bytes | None:
        """Return what is stored, seen undisturbed."""
        obj = self.direct.objects.get(self.key)
        return None if obj is None else obj.content()

    def parts(self) -> TransferConfig:
        """Return a cut by which the content of :meth:`large` takes three parts."""
        return TransferConfig(threshold=self.part, part_size=self.part, max_concurrency=1)

    def large(self) -> bytes:
        """Return a content of three parts."""
        return noise(2 * self.part + 1000, 2)


@dataclass(frozen=True)
class Scenario:
    """One operation.

    :param disturbed: the contract's method that is hit.
    :param check: given what ``run`` returned, says whether it is right, and what is stored too.
    :param unharmed: after a failure, says whether what was there is whole.
    :param needs: capabilities.
    """

    name: str
    kind: Kind
    disturbed: str
    run: Callable[[Stage], Any]
    check: Callable[[Stage, Any], bool]
    prepare: Callable[[Stage], object] = lambda stage: None
    unharmed: Callable[[Stage], bool] = lambda stage: True
    needs: Sequence[str] = field(default=())
    body: bool = False
    """What is disturbed carries content, up or down."""
    requests: int = 2
    """That may be under way, or follow one another, while a trouble lasts; each is tried as often as permitted."""
    verified: bool = True
    """All of an object passes, so that its digest can be compared."""


def _old_or_new(*new: bytes) -> Callable[[Stage], bool]:
    return lambda stage: stage.stored() in (OLD, *new)


def _download(stage: Stage, **options: Any) -> None:
    stage.target.write_bytes(OLD)
    stage.bucket.objects.create(stage.key).download_to_file(stage.target, **options)


def _file_is(content: Callable[[Stage], bytes]) -> Callable[[Stage, Any], bool]:
    return lambda stage, _: stage.target.read_bytes() == content(stage) and _only_target(stage)


def _only_target(stage: Stage) -> bool:
    return [each.name for each in stage.directory.iterdir()] == ["target"]


def _old_file(stage: Stage) -> bool:
    return stage.target.read_bytes() == OLD and _only_target(stage)


def _seek(stage: Stage) -> bytes:
    with stage.bucket.objects.create(stage.key).open("rb") as file:
        file.seek(100_000)
        return bytes(file.read(1000))


def _large(stage: Stage) -> bytes:
    return stage.large()


def _new(_: Stage) -> bytes:
    return NEW


def _names(stage: Stage) -> list[str]:
    return [f"{stage.key}/{number}" for number in range(5)]


_READ: dict[str, Any] = {
    "kind": "read", "disturbed": "get_object", "prepare": lambda stage: stage.store(NEW), "body": True,
}  # fmt: skip
_PUT: dict[str, Any] = {"kind": "write", "disturbed": "put_object", "unharmed": _old_or_new(NEW), "body": True}
_PARTS: dict[str, Any] = {
    "kind": "write",
    "run": lambda stage: stage.bucket.objects.create(stage.key).upload(stage.large(), stage.parts()),
    "check": lambda stage, _: stage.stored() == stage.large(),
    "prepare": lambda stage: stage.store(OLD),
    "unharmed": lambda stage: stage.stored() in (OLD, stage.large()),
    "needs": ("multipart",),
}

SCENARIOS: Sequence[Scenario] = (
    Scenario("content", run=lambda s: s.bucket.objects.create(s.key).content(), check=lambda _, r: r == NEW, **_READ),
    Scenario(
        "iter_content", run=lambda s: b"".join(s.bucket.objects.create(s.key).iter_content(30_000)),
        check=lambda _, r: r == NEW, **_READ,
    ),
    Scenario(
        "read_range", run=lambda s: s.bucket.objects.create(s.key).read_range(1000, 100_000),
        check=lambda _, r: r == NEW[1000:101_000], verified=False, **_READ,
    ),
    Scenario("seek", run=_seek, check=lambda _, r: r == NEW[100_000:101_000], verified=False, **_READ),
    Scenario("download", run=_download, check=_file_is(_new), unharmed=_old_file, **_READ),
    Scenario(
        "download_ranges",
        run=lambda s: _download(s, config=TransferConfig(threshold=1, part_size=50 * KiB, max_concurrency=2)),
        check=_file_is(_new), unharmed=_old_file, requests=6, **_READ,
    ),
    Scenario(
        "put", run=lambda s: s.bucket.objects.create(s.key).upload(NEW), check=lambda s, _: s.stored() == NEW,
        prepare=lambda s: s.store(OLD), **_PUT,
    ),
    Scenario(
        "put_new", run=lambda s: s.bucket.objects.create(s.key).upload(NEW, if_none_match="*"),
        check=lambda s, _: s.stored() == NEW, **{**_PUT, "unharmed": lambda s: s.stored() in (None, NEW)},
        needs=("conditional_put",),
    ),
    Scenario(
        "put_stream", run=lambda s: s.bucket.objects.create(s.key).upload(iter([NEW[:70_000], NEW[70_000:]])),
        check=lambda s, _: s.stored() == NEW, prepare=lambda s: s.store(OLD), **_PUT,
    ),
    Scenario("start_upload", disturbed="start_upload", **_PARTS),
    Scenario("upload_part", disturbed="upload_part", body=True, **_PARTS),
    Scenario("finish_upload", disturbed="finish_upload", **_PARTS),
    Scenario(
        "copy", "write", "copy_object", run=lambda s: s.bucket.objects.create(s.key).copy_to(s.bucket, s.key + "-2"),
        check=lambda s, _: s.direct.objects.create(s.key + "-2").content() == NEW, prepare=lambda s: s.store(NEW),
        unharmed=lambda s: s.stored() == NEW, needs=("copy",),
    ),
    Scenario(
        "head", "control", "head_object", run=lambda s: s.bucket.objects.get(s.key),
        check=lambda _, r: r.size == len(NEW), prepare=lambda s: s.store(NEW),
    ),
    Scenario(
        "delete", "control", "delete_object", run=lambda s: s.bucket.objects.create(s.key).delete(),
        check=lambda s, _: s.stored() is None, prepare=lambda s: s.store(OLD), unharmed=lambda s: s.stored() in (OLD, None),
    ),
    Scenario(
        "delete_many", "control", "delete_objects", run=lambda s: s.bucket.objects.delete_many(_names(s)),
        check=lambda s, _: not list(s.direct.objects.iter(prefix=s.key)),
        prepare=lambda s: s.direct.objects.upload_many(dict.fromkeys(_names(s), b"x")), needs=("batch_delete",),
    ),
    Scenario(
        "list", "list", "list_objects", run=lambda s: [each.name for each in s.bucket.objects.iter(2, prefix=s.key)],
        check=lambda s, r: r == _names(s),
        prepare=lambda s: s.direct.objects.upload_many(dict.fromkeys(_names(s), b"x")),
    ),
    Scenario("head_bucket", "control", "head_bucket", run=lambda s: s.bucket.exists, check=lambda _, r: r is True),
)  # fmt: skip
