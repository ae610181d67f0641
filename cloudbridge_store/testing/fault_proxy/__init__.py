"""A proxy between a client and a real server, which passes everything on byte for byte and fails where a rule says so.

What a driver does when the network or the service misbehaves shows only against real answers that go wrong on their
way. A test gives the driver the proxy's address in place of the server's::

    from cloudbridge_store.testing.fault_proxy import FaultProxy, LostAnswer, Match, ResetAnswerBody, Rule

    with FaultProxy("http://127.0.0.1:9000") as proxy:
        provider = make_provider(endpoint=proxy.url)
        proxy.add(Rule(Match("PUT", path="/report$"), LostAnswer()))
        broken = proxy.add(Rule(Match("GET"), ResetAnswerBody(), at=-1, skip=1, times=2))
        ...
        assert broken.consumed == 2
        proxy.assert_consumed()
        assert [request.method for request in proxy.requests] == ["PUT", "HEAD", "PUT", "GET", "GET", "GET"]

Requests reach the server as the client sent them, ``Host`` and target included. So signatures stay valid, if the client
signs for the proxy's address. Plain exchanges are streamed; the answer of one that a fault alters is held in memory.

Faults, all of them dataclasses whose parameters say the rest:

* the connection: :class:`Refused`, :class:`ResetBeforeRequest`, :class:`ResetRequestBody`, :class:`LostAnswer`,
  :class:`ResetAnswerBody`, :class:`CutAnswer`, :class:`CutChunk`, :class:`EndChunksEarly`, :class:`StallBeforeHead`,
  :class:`StallInBody`, :class:`Drip`
* bytes: :class:`FlipRequestBit`, :class:`FlipAnswerBit`, :class:`ShrinkAnswer`, :class:`GrowAnswer`
* headers: :class:`ChangeHeaders`, :class:`EtagMissing`, :class:`EtagChanged`, :class:`WrongContentRange`,
  :class:`IgnoreRange`
* other answers: :class:`Status`, :class:`EarlyStatus`, :class:`ErrorDocument`, :class:`HtmlPage`, :class:`NotHttp`,
  :class:`Redirect`, each of them before or after the request is carried out
* listings: :class:`RepeatPage`, :class:`TokenLoop`, :class:`XmlBomb`, and :class:`ShrinkAnswer` for truncated XML
* TLS: ``FaultProxy(..., certificate=...)``, with a certificate that is not right; ``handshakes_failed`` counts

A rule without a fault and with a hook changes the world between two requests. ``FaultProxy(None)`` is the stranger to
whom a :class:`Redirect` leads. Other processes use :class:`RemoteProxy` and
``python -m cloudbridge_store.testing.fault_proxy --upstream URL``.
"""

from __future__ import annotations

from cloudbridge_store.testing.fault_proxy.admin import Admin, RemoteProxy
from cloudbridge_store.testing.fault_proxy.altering import (
    ChangeHeaders,
    EtagChanged,
    EtagMissing,
    FlipAnswerBit,
    GrowAnswer,
    IgnoreRange,
    ShrinkAnswer,
    WrongContentRange,
)
from cloudbridge_store.testing.fault_proxy.answering import (
    EarlyStatus,
    ErrorDocument,
    HtmlPage,
    Invented,
    NotHttp,
    Redirect,
    Status,
)
from cloudbridge_store.testing.fault_proxy.breaking import (
    CutAnswer,
    CutChunk,
    Drip,
    EndChunksEarly,
    FlipRequestBit,
    LostAnswer,
    Refused,
    ResetAnswerBody,
    ResetBeforeRequest,
    ResetRequestBody,
    StallBeforeHead,
    StallInBody,
)
from cloudbridge_store.testing.fault_proxy.exchange import Exchange
from cloudbridge_store.testing.fault_proxy.listing import RepeatPage, TokenLoop, XmlBomb
from cloudbridge_store.testing.fault_proxy.messages import Answer, Request
from cloudbridge_store.testing.fault_proxy.play import Edit, Fault
from cloudbridge_store.testing.fault_proxy.proxy import FaultProxy
from cloudbridge_store.testing.fault_proxy.records import Recorded
from cloudbridge_store.testing.fault_proxy.rules import Match, Rule

__all__ = [
    "Admin",
    "Answer",
    "ChangeHeaders",
    "CutAnswer",
    "CutChunk",
    "Drip",
    "EarlyStatus",
    "Edit",
    "EndChunksEarly",
    "ErrorDocument",
    "EtagChanged",
    "EtagMissing",
    "Exchange",
    "Fault",
    "FaultProxy",
    "FlipAnswerBit",
    "FlipRequestBit",
    "GrowAnswer",
    "HtmlPage",
    "IgnoreRange",
    "Invented",
    "LostAnswer",
    "Match",
    "NotHttp",
    "Recorded",
    "Redirect",
    "Refused",
    "RemoteProxy",
    "RepeatPage",
    "Request",
    "ResetAnswerBody",
    "ResetBeforeRequest",
    "ResetRequestBody",
    "Rule",
    "ShrinkAnswer",
    "StallBeforeHead",
    "StallInBody",
    "Status",
    "TokenLoop",
    "WrongContentRange",
    "XmlBomb",
]
