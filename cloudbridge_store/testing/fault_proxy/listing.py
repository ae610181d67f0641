"""Faults of listings: pages that come again, pages that lead back, and XML that explodes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from cloudbridge_store.testing.fault_proxy.answering import Invented
from cloudbridge_store.testing.fault_proxy.messages import Answer
from cloudbridge_store.testing.fault_proxy.play import Edit

if TYPE_CHECKING:
    from cloudbridge_store.testing.fault_proxy.exchange import Exchange

_TOKENS = (
    "NextContinuationToken", "NextMarker", "NextKeyMarker", "NextVersionIdMarker", "NextUploadIdMarker", "nextPageToken",
)  # fmt: skip
_TOKEN = re.compile(
    rb"(?P<before><(?P<xml>%(names)b)>|\"(?P<json>%(names)b)\"\s*:\s*\")(?P<value>[^<\"]*)"
    % {b"names": "|".join(_TOKENS).encode()}
)
_ROOT_END = re.compile(rb"</[\w:]+>\s*$")


@dataclass(frozen=True)
class _Remembering(Edit):
    """An edit that needs an answer from before. The first matching answer passes, whatever ``skip`` says."""

    def edit(self, exchange: Exchange, answer: Answer) -> Answer | None:
        rule = exchange.rule
        assert rule is not None
        if rule.memory is None:
            rule.memory = answer
            return None
        return self.again(answer, rule.memory)

    def again(self, answer: Answer, before: Answer) -> Answer | None:
        raise NotImplementedError


@dataclass(frozen=True)
class RepeatPage(_Remembering):
    """The body of the last matching answer that passed comes again instead of this one's."""

    def again(self, answer: Answer, before: Answer) -> Answer | None:
        """Put the old body in place of the new one."""
        return answer.with_body(before.body) if answer.has_body and answer.body != before.body else None


@dataclass(frozen=True)
class TokenLoop(_Remembering):
    """The page says that more follows, and gives the token of the last matching page that passed: a circle.

    It knows the tokens of S3, Azure and GCS. The last page is told to go on, too.
    """

    def again(self, answer: Answer, before: Answer) -> Answer | None:
        """Put the old tokens in place of the new ones."""
        old = {found["xml"] or found["json"]: found["value"] for found in _TOKEN.finditer(before.body)}
        if not old:
            return None
        seen: set[bytes] = set()

        def put(found: re.Match[bytes]) -> bytes:
            name = found["xml"] or found["json"]
            seen.add(name)
            return found["before"] + old.get(name, found["value"])

        body = _TOKEN.sub(put, answer.body)
        body = body.replace(b"<IsTruncated>false</IsTruncated>", b"<IsTruncated>true</IsTruncated>")
        for name, value in old.items():
            if name not in seen:
                body = _insert(body, name, value)
        return answer.with_body(body) if answer.has_body and body != answer.body else None


def _insert(body: bytes, name: bytes, value: bytes) -> bytes:
    # Azure's last page has the empty element.
    empty = re.compile(rb"<%b\s*/>" % name)
    element = b"<%b>%b</%b>" % (name, value, name)
    if empty.search(body):
        return empty.sub(lambda _: element, body)
    if body.lstrip().startswith(b"{"):
        return body.replace(b"{", b'{"%b": "%b",' % (name, value), 1)
    return _ROOT_END.sub(lambda found: element + found.group(), body)


@dataclass(frozen=True)
class XmlBomb(Invented):
    """XML of a few hundred bytes whose entities expand to gigabytes.

    :param root: the document's element.
    :param levels: each level is ten times the one before.
    """

    root: str = "ListBucketResult"
    levels: int = 10

    def invent(self, exchange: Exchange) -> Answer:
        """Build it."""
        entities = ['<!ENTITY e0 "bombbombbomb">']
        entities += [f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, self.levels)]
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE {self.root} [{"".join(entities)}]>\n'
            f"<{self.root}><Name>&e{self.levels - 1};</Name><IsTruncated>false</IsTruncated></{self.root}>"
        )
        return exchange.make_answer(HTTPStatus.OK, {"Content-Type": "application/xml"}, text.encode())
