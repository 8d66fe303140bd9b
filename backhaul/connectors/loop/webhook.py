"""Loop's webhooks: their proof, and what is taken from them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from backhaul.connectors.decoding import body_of, encoded
from backhaul.connectors.loop import signature
from backhaul.connectors.loop.wire import CONTAINERS, FREE, WANTED, ReturnWire
from backhaul.connectors.parse import Scalar
from backhaul.connectors.readings import MOST_RECORDS, UNREADABLE, Reading, TooManyRecordsError, ident, left_of, scalar, word
from backhaul.connectors.text import words

_ENVELOPE = frozenset({"topic", "trigger", "return_id", "return_state", "message", "source", "is_partial"})


class LoopEvent(ReturnWire, omit_defaults=True, gc=False):
    """A delivery of any topic (docs/vendors/loop.md). `is_partial`: its structure did not decode, so only its id is used."""

    topic: Scalar = None
    trigger: Scalar = None
    return_id: Scalar = None
    return_state: Scalar = None
    message: Scalar = None
    is_partial: bool = False


def proves(secret: bytes, headers: Mapping[str, str], raw: bytes, now: datetime) -> bool:
    """`X-Loop-Signature`: base64 of HMAC-SHA256 over the body."""
    return signature.verify(secret, raw, headers.get(signature.HEADER.lower()))


def read(headers: Mapping[str, str], raw: bytes) -> list[Reading]:
    """The one event in a delivery's body. Raises TooManyRecordsError for a return of more lines than are read at once."""
    try:
        event = msgspec.json.decode(raw, type=LoopEvent)
        if len(event.line_items or ()) > MOST_RECORDS:
            raise TooManyRecordsError(f"over {MOST_RECORDS:,} lines")
        event.message = words(event.message) if isinstance(event.message, str) else None
        body = body_of(event, WANTED | _ENVELOPE, CONTAINERS, FREE)
    except UNREADABLE:
        left = left_of(raw, WANTED | _ENVELOPE, CONTAINERS, FREE) | {"is_partial": True}
        own, return_id, topic, trigger = (scalar(left.get(name)) for name in ("id", "return_id", "topic", "trigger"))
        event = LoopEvent(id=own, return_id=return_id, topic=topic, trigger=trigger)
        body = encoded(left)
    owner = event.return_id if event.return_id is not None else event.id
    return [Reading(word(event.trigger) or word(event.topic) or "unknown", ident(owner), body)]
