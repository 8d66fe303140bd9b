"""MasonHub's callbacks: their proof, what is taken from them, and the receipts that they are."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from backhaul.connectors import parse
from backhaul.connectors.base import ReceiptBatch
from backhaul.connectors.decoding import body_of, encoded
from backhaul.connectors.masonhub import normalise
from backhaul.connectors.masonhub.endpoints import RMA_EVENT
from backhaul.connectors.masonhub.wire import CONTAINERS, FREE, WANTED, CallbackWire, EventWire
from backhaul.connectors.readings import MOST_RECORDS, UNREADABLE, Reading, TooManyRecordsError, ident, left_of, scalar, word
from backhaul.connectors.vendor import Told


class _Token(msgspec.Struct):
    token: str | None = None


def proves(secret: bytes, headers: Mapping[str, str], raw: bytes, now: datetime) -> bool:
    """The callback's token: in `Authorization` (with or without `Bearer`), else in the body's `token`.

    The body is looked into, for its token alone, only where there is no header (docs/vendors/masonhub.md).
    """
    shown = headers.get("authorization", "").strip()
    if shown:
        scheme, _, rest = shown.partition(" ")
        return _is_same(rest.strip() if scheme.lower() == "bearer" and rest else shown, secret)
    try:
        token = msgspec.json.decode(raw, type=_Token).token
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return token is not None and _is_same(token, secret)


def _is_same(shown: str, secret: bytes) -> bool:
    return hmac.compare_digest(shown.encode("utf-8", "surrogatepass"), secret)


def read(headers: Mapping[str, str], raw: bytes) -> list[Reading]:
    """The events in a callback's body, an element each. Raises TooManyRecordsError."""
    callback = msgspec.json.decode(raw, type=CallbackWire)
    data = bytes(callback.data)
    elements: list[msgspec.Raw | bytes] = list(msgspec.json.decode(data, type=list[msgspec.Raw])) if data.startswith(b"[") else [data]
    if len(elements) > MOST_RECORDS:
        raise TooManyRecordsError(f"over {MOST_RECORDS:,} records")
    kind = word(callback.message_type) or "unknown"
    return [_element(kind, bytes(element)) for element in elements] or [Reading(kind, None, "{}")]


def _element(kind: str, raw: bytes) -> Reading:
    try:
        event = msgspec.json.decode(raw, type=EventWire)
        body = body_of(event, WANTED, CONTAINERS, FREE)
    except UNREADABLE:
        left = left_of(raw, WANTED, CONTAINERS, FREE) | {"is_partial": True}
        event = EventWire(customer_identifier=scalar(left.get("customer_identifier")), id=scalar(left.get("id")))
        body = encoded(left)
    inner = event.details or event
    key = ident(event.customer_identifier) or ident(inner.customer_identifier)
    rma_id = ident(event.id) or ident(inner.id)
    moment = parse.time(event.as_of)
    return Reading(
        topic=f"{kind}.{word(event.status) or word(event.event_type) or 'unknown'}",
        record_key=key or (f"dc:{rma_id}" if rma_id else None),
        body=body,
        occurred_at=moment if isinstance(moment, datetime) else None,
    )


def receipts(told: Sequence[Told]) -> tuple[ReceiptBatch, int]:
    """What events tell, each RMA once: the newest record of it, or what a carrier told where there is no record."""
    facts, rejected = normalise.decoded([event.body for event in told if event.topic.startswith(RMA_EVENT)])
    records = normalise.newest([fact for fact in facts if fact.has_lines])
    recorded = {fact.rma_key for fact in records}
    thin = [fact for fact in facts if not fact.has_lines and fact.rma_key not in recorded]
    return normalise.batch([*records, *normalise.newest(thin)], rejected), 0
