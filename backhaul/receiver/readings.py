"""What a verified body says, as far as keeping it needs: its topic, whose it is, when it happened, and its body without personal data."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from backhaul.connectors import parse
from backhaul.connectors.loop import wire as loop_wire
from backhaul.connectors.masonhub import wire as masonhub_wire
from backhaul.connectors.parse import Scalar
from backhaul.connectors.text import BODY_LIMIT, kept, mended, words
from backhaul.errors import StructuralError
from backhaul.store.events import NewEvent

MOST_RECORDS = 1_000  # in one body; MasonHub's documented callbacks hold one, and what is refused comes by poll
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_IDENT = re.compile(r"[A-Za-z0-9_:.-]{1,100}")
_ENVELOPE = frozenset({"topic", "trigger", "return_id", "return_state", "message", "source", "is_partial"})
_ENCODER = msgspec.json.Encoder()
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)


class TooManyRecordsError(StructuralError):
    """A body of more records than are read at once."""


class LoopEvent(loop_wire.ReturnWire, omit_defaults=True, gc=False):
    """A delivery of any topic (docs/vendors/loop.md, 7). `is_partial`: its structure did not decode, so only its id is used."""

    topic: Scalar = None
    trigger: Scalar = None
    return_id: Scalar = None
    return_state: Scalar = None
    message: Scalar = None
    is_partial: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """One event in a body. `body` is JSON."""

    topic: str
    record_key: str | None
    body: str
    occurred_at: datetime | None = None


def read(source: str, raw: bytes) -> list[Reading]:
    """The events in a verified body. Raises StructuralError when it is no JSON object that the vendor could have sent."""
    try:
        return _READERS[source](mended(raw))
    except _UNREADABLE as error:
        raise StructuralError(f"{source}: the body is not a webhook's JSON: {error.__class__.__name__}") from None


def as_events(merchant: str, source: str, raw: bytes, now: datetime) -> list[NewEvent]:
    """The events of a verified body, ready to be kept. The first bears the hash of the raw bytes, others that hash and their place."""
    digest = hashlib.sha256(raw).hexdigest()
    return [
        NewEvent(
            merchant=merchant,
            source=source,
            topic=reading.topic,
            record_key=reading.record_key,
            body_hash=f"{digest}/{place}" if place else digest,
            body=reading.body,
            occurred_at=reading.occurred_at,
            received_at=now,
        )
        for place, reading in enumerate(read(source, raw))
    ]


def _loop(raw: bytes) -> list[Reading]:
    try:
        event = msgspec.json.decode(raw, type=LoopEvent)
        event.message = words(event.message) if isinstance(event.message, str) else None
        body = _body(event, loop_wire.WANTED | _ENVELOPE, loop_wire.CONTAINERS, loop_wire.FREE)
    except _UNREADABLE:
        left = _left(raw, loop_wire.WANTED | _ENVELOPE, loop_wire.CONTAINERS, loop_wire.FREE) | {"is_partial": True}
        ident, return_id, topic, trigger = (_scalar(left.get(name)) for name in ("id", "return_id", "topic", "trigger"))
        event = LoopEvent(id=ident, return_id=return_id, topic=topic, trigger=trigger)
        body = _ENCODER.encode(left).decode()
    owner = event.return_id if event.return_id is not None else event.id
    return [Reading(_word(event.trigger) or _word(event.topic) or "unknown", _ident(owner), body)]


def _masonhub(raw: bytes) -> list[Reading]:
    callback = msgspec.json.decode(raw, type=masonhub_wire.CallbackWire)
    data = bytes(callback.data)
    elements: list[msgspec.Raw | bytes] = list(msgspec.json.decode(data, type=list[msgspec.Raw])) if data.startswith(b"[") else [data]
    if len(elements) > MOST_RECORDS:
        raise TooManyRecordsError(f"over {MOST_RECORDS:,} records")
    kind = _word(callback.message_type) or "unknown"
    return [_masonhub_element(kind, bytes(element)) for element in elements] or [Reading(kind, None, "{}")]


def _masonhub_element(kind: str, raw: bytes) -> Reading:
    try:
        event = msgspec.json.decode(raw, type=masonhub_wire.EventWire)
        body = _body(event, masonhub_wire.WANTED, masonhub_wire.CONTAINERS, masonhub_wire.FREE)
    except _UNREADABLE:
        left = _left(raw, masonhub_wire.WANTED, masonhub_wire.CONTAINERS, masonhub_wire.FREE) | {"is_partial": True}
        event = masonhub_wire.EventWire(customer_identifier=_scalar(left.get("customer_identifier")), id=_scalar(left.get("id")))
        body = _ENCODER.encode(left).decode()
    inner = event.details or event
    key = _ident(event.customer_identifier) or _ident(inner.customer_identifier)
    rma_id = _ident(event.id) or _ident(inner.id)
    moment = parse.time(event.as_of)
    return Reading(
        topic=f"{kind}.{_word(event.status) or _word(event.event_type) or 'unknown'}",
        record_key=key or (f"dc:{rma_id}" if rma_id else None),
        body=body,
        occurred_at=moment if isinstance(moment, datetime) else None,
    )


def _airhouse(raw: bytes) -> list[Reading]:
    from backhaul.connectors.airhouse import wire

    envelope = frozenset({"id", "topic", "created_at", "data", "return"})
    left = _left(raw, wire.WANTED | envelope, wire.CONTAINERS | {"data", "return"}, wire.FREE)
    data = left.get("data")
    record = data.get("return") if isinstance(data, dict) else None
    record = record if isinstance(record, dict) else {}
    moment = parse.time(_scalar(record.get("updated_at")) or _scalar(left.get("created_at")))
    return [
        Reading(
            topic=_word(_scalar(left.get("topic"))) or "unknown",
            record_key=_ident(_scalar(record.get("external_id"))),
            body=_ENCODER.encode(left).decode(),
            occurred_at=moment if isinstance(moment, datetime) else None,
        )
    ]


def _body(event: msgspec.Struct, *fields: frozenset[str]) -> str:
    """What is kept of an event that decoded; no text of one that is far too long is long."""
    body = _ENCODER.encode(event)
    return (body if len(body) <= BODY_LIMIT else _ENCODER.encode(kept(body, *fields))).decode()


def _left(raw: bytes, *fields: frozenset[str]) -> dict[str, Any]:
    left = kept(raw, *fields)
    if "unreadable_bytes" in left:
        raise ValueError("not a JSON object")
    return left


def _scalar(value: Any) -> Scalar:
    return value if isinstance(value, str | int | float) else None


def _word(value: Scalar) -> str | None:
    written = parse.text(value)
    return written if written is not None and _WORD.fullmatch(written) else None


def _ident(value: Scalar) -> str | None:
    written = parse.ident(value)
    return written if written is not None and _IDENT.fullmatch(written) else None


_READERS = {"loop": _loop, "masonhub": _masonhub, "airhouse": _airhouse}
