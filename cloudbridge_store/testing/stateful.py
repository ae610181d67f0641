"""Random histories of operations, compared step by step with a dictionary."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from cloudbridge_store.buckets import Bucket
from cloudbridge_store.errors import (
    CloudBridgeBaseException,
    InvalidRangeError,
    NotFoundError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from cloudbridge_store.provider import CloudProvider

_KEYS = ("a", "a/", "a/b", "a/b/c", "a-b", "a b", "a//c", "b", "B", "é", "e\u0301", "\ue000", "\U00010000/x", "%2F")
_PLAIN_KEY = "plain"
_PREFIXES = ("", "a", "a/", "a/b", "é", "zz", "\U00010000/")
_UNPRINTABLE: tuple[Literal["C"]] = ("C",)
_keys = st.sampled_from(_KEYS)
_contents = st.binary(max_size=40)
_metadata = st.dictionaries(
    st.sampled_from(("a", "b-c", "de")),
    st.text(st.characters(codec="utf-8", exclude_categories=_UNPRINTABLE), max_size=8),
    max_size=2,
)
# A value that is empty is a test of its own: not every emulator takes it.
_tags = st.dictionaries(st.sampled_from(("a", "b")), st.sampled_from(("1", "2", "x y")), max_size=2)


@dataclass
class _Entry:
    """What the model knows of one object."""

    content: bytes
    content_type: str = "application/octet-stream"
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    etag: str = ""


class StoreMachine(RuleBasedStateMachine):
    """The operations, each carried out on the store and on a dictionary; outcome and state must be the same."""

    make_provider: ClassVar[Callable[[], CloudProvider]]

    def __init__(self) -> None:
        super().__init__()
        self.provider = type(self).make_provider()
        self.able = self.provider.capabilities
        self.bucket: Bucket = self.provider.storage.buckets.create(f"cbs-test-{uuid.uuid4().hex[:20]}")
        self.model: dict[str, _Entry] = {}
        self.etags: list[str] = []

    def teardown(self) -> None:
        """Compare everything once more, and clean up."""
        try:
            for key, entry in self.model.items():
                assert self.bucket.objects.create(key).content() == entry.content
        finally:
            if self.able.list_uploads:
                self.bucket.abort_uploads()
            self.bucket.delete(delete_contents=True)
            self.provider.close()

    def _usable(self, key: str) -> str:
        """Return the key, or a plain one where this store cannot hold it beside the others."""
        nested = not self.able.nested_keys and "/" in key
        return _PLAIN_KEY if nested or self.provider.session.driver.refuse_key(key) else key

    def _expect(self, call: Callable[[], Any], expected: type[CloudBridgeBaseException] | None) -> Any:
        """Carry out a call; it must fail exactly as the model does."""
        try:
            result = call()
        except CloudBridgeBaseException as error:
            assert expected is not None, f"unexpected {error!r}"
            assert isinstance(error, expected), f"{error!r} is no {expected.__name__}"
            return None
        assert expected is None, f"{expected.__name__} was expected"
        return result

    def _record(self, key: str, entry: _Entry) -> None:
        obj = self.bucket.objects.get(key)
        assert obj is not None
        before = self.model.get(key)
        if before is not None and before.content != entry.content:
            assert obj.etag != before.etag
        self.etags.append(obj.etag)
        self.model[key] = replace(entry, etag=obj.etag)

    def _options(self, metadata: Mapping[str, str], tags: Mapping[str, str]) -> dict[str, Any]:
        metadata = metadata if self.able.user_metadata else {}
        return {"metadata": metadata, "tags": tags if self.able.tags else {}}

    @rule(key=_keys, content=_contents, metadata=_metadata, tags=_tags)
    def put(self, key: str, content: bytes, metadata: Mapping[str, str], tags: Mapping[str, str]) -> None:
        key, options = self._usable(key), self._options(metadata, tags)
        self._expect(lambda: self.bucket.objects.create(key).upload(content, **options), None)
        self._record(key, _Entry(content, **options))

    @precondition(lambda self: "if_none_match" in self.able.conditional_put)
    @rule(key=_keys, content=_contents)
    def put_if_absent(self, key: str, content: bytes) -> None:
        key = self._usable(key)
        expected = PreconditionFailedError if key in self.model else None
        self._expect(lambda: self.bucket.objects.create(key).upload(content, if_none_match="*"), expected)
        if expected is None:
            self._record(key, _Entry(content))

    @precondition(lambda self: "if_match" in self.able.conditional_put and self.etags)
    @rule(key=_keys, content=_contents, age=st.integers(0, 20))
    def put_if_match(self, key: str, content: bytes, age: int) -> None:
        key = self._usable(key)
        # By age, because ETags differ from run to run, and what is drawn must not.
        etag = self.model[key].etag if age == 0 and key in self.model else self.etags[-age % len(self.etags)]
        holds = key in self.model and self.model[key].etag == etag
        expected = None if holds else PreconditionFailedError
        self._expect(lambda: self.bucket.objects.create(key).upload(content, if_match=etag), expected)
        if holds:
            self._record(key, _Entry(content))

    @precondition(lambda self: self.able.copy)
    @rule(source=_keys, key=_keys, anew=st.booleans())
    def copy(self, source: str, key: str, anew: bool) -> None:
        source, key = self._usable(source), self._usable(key)
        options = {"content_type": "x/y"} if anew or source == key else {}
        expected = None if source in self.model else ObjectNotFoundError
        self._expect(lambda: self.bucket.objects.create(source).copy_to(self.bucket, key, **options), expected)  # type: ignore[arg-type]
        if expected is None:
            entry = self.model[source]
            self._record(key, _Entry(entry.content, "x/y") if options else entry)

    @rule(key=_keys)
    def delete(self, key: str) -> None:
        key = self._usable(key)
        self._expect(self.bucket.objects.create(key).delete, None)
        self.model.pop(key, None)

    @rule(keys=st.lists(_keys, max_size=5, unique=True))
    def delete_many(self, keys: list[str]) -> None:
        chosen = sorted({self._usable(key) for key in keys})
        assert self._expect(lambda: self.bucket.objects.delete_many(chosen), None) == len(chosen)
        for key in chosen:
            self.model.pop(key, None)

    @precondition(lambda self: self.able.tags)
    @rule(key=_keys, tags=_tags)
    def set_tags(self, key: str, tags: Mapping[str, str]) -> None:
        key = self._usable(key)
        expected = None if key in self.model else NotFoundError
        self._expect(lambda: self.bucket.objects.create(key).set_tags(tags), expected)
        if expected is None:
            self.model[key].tags = tags

    @precondition(lambda self: self.able.multipart)
    @rule(key=_keys, content=_contents, reverse=st.booleans(), abort=st.booleans())
    def put_in_parts(self, key: str, content: bytes, reverse: bool, abort: bool) -> None:
        key = self._usable(key)
        upload = self._expect(self.bucket.objects.create(key).create_multipart_upload, None)
        # Parts of the least size would cost more than all other steps where that size is 5 MiB.
        pieces = [content, content[::-1]] if self.able.min_part == 1 and content else [content]
        numbered = list(enumerate(pieces, start=1))
        parts = [upload.upload_part(number, piece) for number, piece in (numbered[::-1] if reverse else numbered)]
        if abort:
            upload.abort()
            return
        self._expect(lambda: upload.complete(parts), None)
        self._record(key, _Entry(b"".join(pieces)))

    @rule(key=_keys)
    def describe(self, key: str) -> None:
        key = self._usable(key)
        found, entry = self.bucket.objects.get(key), self.model.get(key)
        assert self.bucket.objects.exists(key) is (entry is not None)
        assert (found is None) == (entry is None)
        if found is None or entry is None:
            return
        assert (found.size, found.etag, found.content_type) == (len(entry.content), entry.etag, entry.content_type)
        assert found.metadata == entry.metadata
        if self.able.tags:
            assert found.get_tags() == entry.tags

    @rule(key=_keys, offset=st.integers(0, 45), length=st.integers(1, 45))
    def read(self, key: str, offset: int, length: int) -> None:
        key = self._usable(key)
        entry = self.model.get(key)
        expected: type[CloudBridgeBaseException] | None = ObjectNotFoundError
        if entry is not None:
            outside = offset >= len(entry.content) and offset > 0
            expected = InvalidRangeError if outside else None
        received = self._expect(lambda: self.bucket.objects.create(key).read_range(offset, length), expected)
        if entry is not None and expected is None:
            assert received == entry.content[offset : offset + length]
            assert self.bucket.objects.create(key).content() == entry.content

    @rule(
        prefix=st.sampled_from(_PREFIXES),
        delimiter=st.sampled_from(("", "/", "b")),
        start_after=st.one_of(st.just(""), _keys),
        limit=st.integers(1, 4),
    )
    def list_pages(self, prefix: str, delimiter: str, start_after: str, limit: int) -> None:
        if delimiter and start_after:
            start_after = ""  # services differ where it falls inside a common prefix
        keys, prefixes, marker = [], [], None
        while True:
            page = self.bucket.objects.list(limit, marker, prefix, delimiter=delimiter or None, start_after=start_after)
            keys += [each.name for each in page]
            prefixes += page.prefixes
            marker = page.marker
            if marker is None:
                break
            assert len(page) + len(page.prefixes) == limit
        assert (keys, prefixes) == self._listed(prefix, delimiter, start_after)

    def _listed(self, prefix: str, delimiter: str, start_after: str) -> tuple[list[str], list[str]]:
        keys, prefixes = [], []
        for key in sorted(self.model, key=str.encode):
            if not key.startswith(prefix) or key.encode() <= start_after.encode():
                continue
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            if not found:
                keys.append(key)
            elif prefix + head + delimiter not in prefixes:
                prefixes.append(prefix + head + delimiter)
        return keys, prefixes

    @invariant()
    def same_state(self) -> None:
        """What is listed is what the model holds, after every step."""
        listed = [(each.name, each.size, each.etag) for each in self.bucket.objects]
        entries = [(key, self.model[key]) for key in sorted(self.model, key=str.encode)]
        assert listed == [(key, len(entry.content), entry.etag) for key, entry in entries]


def run_state_machine(make_provider: Callable[[], CloudProvider], *, examples: int, steps: int) -> None:
    """Play random histories against a store and a dictionary; the first difference fails, cut down to what it needs.

    :param make_provider: returns a new provider of the store; each history makes a bucket of its own.
    :param examples: number of histories.
    :param steps: most operations in one.

    With ``CI=true`` the histories are the same each time.
    """
    machine = type("BoundStoreMachine", (StoreMachine,), {"make_provider": staticmethod(make_provider)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            print_blob=True,
            derandomize=os.environ.get("CI") == "true",
            suppress_health_check=list(HealthCheck),
        ),
    )
