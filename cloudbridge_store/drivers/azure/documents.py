"""The XML documents that the service answers."""

from __future__ import annotations

from urllib.parse import unquote
from xml.etree.ElementTree import Element, ParseError, fromstring

from cloudbridge_store.drivers.azure.answers import Answer
from cloudbridge_store.drivers.azure.codes import ADDRESS
from cloudbridge_store.errors import ForeignAnswerError


def read_document(answer: Answer, name: str) -> Element:
    """Return the root of a document. :raises ForeignAnswerError: it is not the one that was asked for."""
    content = answer.content
    if b"<!" in content[:1000]:
        # The service declares no entities; what others declare may grow without bounds.
        raise ForeignAnswerError("the answer is a page of HTML, or declares a document type", hint=ADDRESS)
    try:
        root = fromstring(content.decode("utf-8-sig"))  # noqa: S314 - without declarations nothing can grow
    except (ParseError, ValueError):
        raise ForeignAnswerError("the answer is not XML", hint=ADDRESS) from None
    if root.tag != name:
        raise ForeignAnswerError(f"the answer is a document {root.tag[:40]}, not {name}", hint=ADDRESS)
    return root


def plain_text(element: Element | None) -> str:
    """Return a name: the service encodes those that XML cannot hold, and says so."""
    if element is None:
        raise ForeignAnswerError("the answer has an entry without a name", hint=ADDRESS)
    text = element.text or ""
    return unquote(text) if element.get("Encoded") == "true" else text
