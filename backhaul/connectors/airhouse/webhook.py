"""Airhouse's webhooks, as assumed in `wire`: their proof, what is taken from them, and the receipts that they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from backhaul.connectors import parse
from backhaul.connectors.airhouse import signature
from backhaul.connectors.airhouse.normalise import normalise_event
from backhaul.connectors.airhouse.wire import CONTAINERS, FREE, WANTED
from backhaul.connectors.base import ReceiptBatch
from backhaul.connectors.decoding import encoded
from backhaul.connectors.frames import joined
from backhaul.connectors.readings import Reading, ident, left_of, scalar, word
from backhaul.connectors.vendor import Told
from backhaul.errors import StructuralError

_ENVELOPE = frozenset({"id", "topic", "created_at", "data", "return"})


def proves(secret: bytes, headers: Mapping[str, str], raw: bytes, now: datetime) -> bool:
    """`X-Airhouse-Signature: t=…,v1=…`, at most five minutes old."""
    return signature.verify(secret, raw, headers.get(signature.HEADER.lower()), now)


def read(headers: Mapping[str, str], raw: bytes) -> list[Reading]:
    """The one event in a webhook's body."""
    left = left_of(raw, WANTED | _ENVELOPE, CONTAINERS | {"data", "return"}, FREE)
    data = left.get("data")
    record = data.get("return") if isinstance(data, dict) else None
    record = record if isinstance(record, dict) else {}
    moment = parse.time(scalar(record.get("updated_at")) or scalar(left.get("created_at")))
    return [
        Reading(
            topic=word(scalar(left.get("topic"))) or "unknown",
            record_key=ident(scalar(record.get("external_id"))),
            body=encoded(left),
            occurred_at=moment if isinstance(moment, datetime) else None,
        )
    ]


def receipts(told: Sequence[Told]) -> tuple[ReceiptBatch, int]:
    """What events tell, each return once, by its newest event; and how many hold no return, which the next poll tells."""
    newest: dict[object, tuple[str, ReceiptBatch]] = {}
    without = 0
    for place, event in enumerate(told):
        try:
            batch = normalise_event(event.body)
        except StructuralError:
            without += 1
            continue
        is_read = len(batch.receipts) == 1 and batch.receipts["rma_key"].iloc[0] is not None
        key = batch.receipts["rma_key"].iloc[0] if is_read else place
        stamp = str(batch.receipts["as_of"].iloc[0]) if is_read else ""
        if key not in newest or stamp >= newest[key][0]:
            newest[key] = (stamp, batch)
    return joined([batch for _, batch in newest.values()]), without
