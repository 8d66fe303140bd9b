"""MasonHub's records and callbacks as frames (docs/vendors/masonhub.md, 4.6 and 5.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from backhaul.connectors import decoding, parse
from backhaul.connectors.base import ReceiptBatch, Rejected
from backhaul.connectors.frames import Unreadable, frame
from backhaul.connectors.masonhub.endpoints import CONDITIONS, EVENT_ONLY, NOT_ARRIVED, STAGES, TERMINAL, UNGRADED
from backhaul.connectors.masonhub.wire import CONTAINERS, FREE, WANTED, DetailWire, EventWire, LineWire, RmaWire
from backhaul.connectors.parse import UNPARSED, Scalar
from backhaul.connectors.text import kept, plain
from backhaul.domain.schema import RECEIPT_LINES, RECEIPTS

UNDECODABLE = "WIRE-002"
_WORD_LIMIT = 60  # characters of a warehouse's word for a condition
MADE_BY_WAREHOUSE = "dc:{rma_id}"

_DECODER = msgspec.json.Decoder(EventWire)
_RANKED_TIMES = ("as_of", "updated_at", "received_at", "processed_at")  # the first that is there dates the fact


@dataclass(frozen=True, slots=True)
class Fact:
    """One decoded record or event: the outer element, and the RMA it speaks of (itself, or its `details`)."""

    event: EventWire
    rma: RmaWire

    @property
    def return_id(self) -> str | None:
        """The Loop return id: the outer key, since the one in `details` has been seen to differ."""
        return parse.ident(self.event.customer_identifier) or parse.ident(self.rma.customer_identifier)

    @property
    def rma_id(self) -> str | None:
        """MasonHub's id, the outer one first."""
        return parse.ident(self.event.id) or parse.ident(self.rma.id)

    @property
    def rma_key(self) -> str | None:
        """The RMA's key; None only for a record without any id."""
        if self.return_id is not None:
            return self.return_id
        return MADE_BY_WAREHOUSE.format(rma_id=self.rma_id) if self.rma_id is not None else None

    @property
    def event_status(self) -> str | None:
        """The status as the event names it."""
        return parse.text(self.event.status) or parse.text(self.event.event_type) or parse.text(self.rma.status)

    @property
    def rma_status(self) -> str | None:
        """The record's own status; None for a thin event, and where version 1.0 puts an event's word in its place."""
        status = parse.text(self.rma.status) or parse.text(self.event.status)
        return None if self.rma.line_items is None or status is None or status.casefold() in EVENT_ONLY else status

    @property
    def has_lines(self) -> bool:
        """The record says what arrived. A carrier's event with an empty list of lines does not."""
        return self.rma.line_items is not None and (bool(self.rma.line_items) or self.rma_status is not None)

    def stamp(self, field: str) -> Scalar:
        """A time field, the outer one first."""
        outer: Scalar = getattr(self.event, field)
        inner: Scalar = getattr(self.rma, field)
        return inner if outer is None or outer == "" else outer


def normalise(records: Sequence[msgspec.Raw | bytes]) -> ReceiptBatch:
    """RMA records or callback elements as `schema.RECEIPTS` and `schema.RECEIPT_LINES`, in their order.

    One that cannot be decoded is in `rejected` (rule WIRE-002) and harms no other. Units that are no count are None and named in
    `unparsed_units`. Notes, names and addresses are dropped.
    """
    facts, rejected = decoded(records)
    return batch(facts, rejected)


def decoded(records: Sequence[msgspec.Raw | bytes]) -> tuple[list[Fact], list[Rejected]]:
    """The records that can be read, and those that cannot."""
    events, rejected = decoding.decoded(_DECODER.decode, records, _rejected)
    return [Fact(event, event.details or event) for event in events], rejected


def newest(facts: Sequence[Fact]) -> list[Fact]:
    """One fact a key: a key can be announced again after its RMA was deleted, and both records are found by it."""
    best: dict[str, Fact] = {}
    loose: list[Fact] = []  # without any key; the suites quarantine them
    for fact in facts:
        key = fact.rma_key
        if key is None:
            loose.append(fact)
        elif key not in best or _rank(fact) >= _rank(best[key]):
            best[key] = fact
    return [*best.values(), *loose]


def _rank(fact: Fact) -> tuple[bool, float, int]:
    moment = next((at for name in _RANKED_TIMES if isinstance(at := parse.time(fact.stamp(name)), datetime)), None)
    version = parse.count(fact.rma.version)
    is_live = (fact.rma_status or "").casefold() != "deleted"
    return is_live, moment.timestamp() if moment else 0.0, version if isinstance(version, int) else 0


def batch(facts: Sequence[Fact], rejected: list[Rejected]) -> ReceiptBatch:
    """Decoded facts as frames."""
    times, keys = Unreadable(), Unreadable()
    stamps = {name: times.parse(name, [fact.stamp(name) for fact in facts], parse.time) for name in (*_RANKED_TIMES, "delivered_at")}
    versions = [parse.count(fact.rma.version) for fact in facts]
    columns: dict[str, list[Any]] = {
        "rma_key": [fact.rma_key for fact in facts],
        "return_id": [fact.return_id for fact in facts],
        "rma_id": [fact.rma_id for fact in facts],
        "rma_status": [fact.rma_status for fact in facts],
        "rma_stage": [STAGES.get((fact.rma_status or "").casefold()) for fact in facts],
        "event_status": [fact.event_status for fact in facts],
        "is_terminal": [(fact.rma_status or "").casefold() == TERMINAL for fact in facts],
        "has_lines": [fact.has_lines for fact in facts],
        "package_id": keys.parse("package_id", [fact.rma.package_id for fact in facts], parse.key),
        "return_type": [parse.text(fact.rma.return_type) for fact in facts],
        "manifest_id": [parse.text(fact.rma.manifest_id) for fact in facts],
        "version": [version if isinstance(version, int) else None for version in versions],
        "as_of": [next(filter(None, row), None) for row in zip(*(stamps[name] for name in _RANKED_TIMES), strict=True)],
        "delivered_at": stamps["delivered_at"],
        "received_at": [one or other for one, other in zip(stamps["received_at"], stamps["processed_at"], strict=True)],
        "closed_at": [None] * len(facts),
        "unparsed_money": [None] * len(facts),
        "unparsed_times": times.column(len(facts)),
    }
    for field in ("customer_identifier", "id"):  # a key that cannot be read is not the absence of one: the warehouse did not make the RMA
        for of in ("event", "rma"):
            keys.parse(field, [getattr(getattr(fact, of), field) for fact in facts], parse.key)
    columns["unparsed_keys"] = keys.column(len(facts))
    bodies = [decoding.body_of(fact.event, WANTED, CONTAINERS, FREE) for fact in facts]
    return ReceiptBatch(frame(RECEIPTS, columns), frame(RECEIPT_LINES, _line_columns(facts)), bodies, rejected)


def _line_columns(facts: Sequence[Fact]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [] for name in RECEIPT_LINES.all_columns}
    for fact in facts:
        key, number = fact.rma_key, 0
        for line in fact.rma.line_items or ():
            for word, units, unparsed in _graded(line):
                condition = CONDITIONS.get(word.strip().casefold())
                sku = parse.sku(line.customer_sku_id)
                row = (
                    key,
                    number,
                    None if sku is UNPARSED else sku,
                    plain(word, _WORD_LIMIT),
                    condition or "pending",
                    units,
                    condition is not None,
                    not parse.is_true(line.not_on_original_rma),
                    unparsed,
                    "customer_sku_id" if sku is UNPARSED else None,
                )
                for column, value in zip(columns.values(), row, strict=True):
                    column.append(value)
                number += 1
    return columns


def _graded(line: LineWire) -> Iterator[tuple[str, int | None, str | None]]:
    """The units of a line that arrived: the word for their condition, how many, and the wire field if that is no count.

    `receiving_details` is the truth; `quantity_received` counts only where nothing that arrived is graded (quirk Q3).
    """
    is_graded = False
    details = line.receiving_details
    for word, entries in details.items() if isinstance(details, dict) else [("", details)] if details else []:
        counts = [parse.count(_quantity(entry)) for entry in (entries if isinstance(entries, list) else [entries])]
        if not counts or word.strip().casefold() == NOT_ARRIVED:
            continue
        is_graded = True
        if any(units is None or units is UNPARSED for units in counts):
            yield word, None, f"receiving_details.{plain(word, _WORD_LIMIT)}.quantity"
        elif total := sum(units for units in counts if isinstance(units, int)):
            yield word, total, None
    if not is_graded:
        received = parse.count(line.quantity_received)
        if received is UNPARSED:
            yield UNGRADED, None, UNGRADED
        elif isinstance(received, int) and received > 0:
            yield UNGRADED, received, None


def _quantity(entry: DetailWire | Scalar) -> Scalar:
    return entry.quantity if isinstance(entry, DetailWire) else entry


def _rejected(raw: bytes, error: Exception) -> Rejected:
    body = kept(raw, WANTED, CONTAINERS, FREE)
    inner = body.get("details")
    nested: dict[str, Any] = inner if isinstance(inner, dict) else {}
    return_id = _plain(body.get("customer_identifier")) or _plain(nested.get("customer_identifier"))
    rma_id = _plain(body.get("id")) or _plain(nested.get("id"))
    key = return_id or (MADE_BY_WAREHOUSE.format(rma_id=rma_id) if rma_id else None)
    return decoding.rejected(UNDECODABLE, raw, body, key, error)


def _plain(value: Any) -> str | None:
    return parse.ident(value) if isinstance(value, str | int) else None
