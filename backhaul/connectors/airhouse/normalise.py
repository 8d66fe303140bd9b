"""Airhouse's returns as frames (docs/vendors/airhouse.md, 3.6). What the wire is taken to mean stands in `wire`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from backhaul.connectors import decoding, parse
from backhaul.connectors.airhouse.wire import (
    CONDITIONS,
    CONTAINERS,
    DAMAGED_WORDS,
    FREE,
    NOT_RESTOCKED,
    RESTOCKED,
    STAGES,
    TERMINAL,
    WANTED,
    EventWire,
    ItemWire,
    ReturnWire,
    status_of,
    word,
)
from backhaul.connectors.base import ReceiptBatch, Rejected
from backhaul.connectors.frames import Unreadable, frame
from backhaul.connectors.parse import UNPARSED
from backhaul.connectors.text import kept
from backhaul.domain.schema import RECEIPT_LINES, RECEIPTS

UNDECODABLE = "WIRE-002"
MADE_BY_WAREHOUSE = "dc:{rma_id}"  # a return without an external_id: one keyed in on the dashboard, or a parcel that came back unasked

_DECODER = msgspec.json.Decoder(ReturnWire)
_TIMES = ("updated_at", "delivered_at", "received_at", "closed_at")

Graded = tuple[str, int | None, str | None]  # our word for the condition, units, the wire field that makes no sense


def normalise(records: Sequence[msgspec.Raw | bytes]) -> ReceiptBatch:
    """Airhouse returns as `schema.RECEIPTS` and `schema.RECEIPT_LINES`, in their order.

    One that cannot be decoded is in `rejected` (rule WIRE-002) and harms no other. A status that is not known becomes no status, and
    figures that make no sense are named in `unparsed_units`, so that the suites quarantine both. Notes are dropped.
    """
    wires, rejected = decoded(records)
    return batch(wires, rejected)


def normalise_event(raw: bytes) -> ReceiptBatch:
    """A webhook's body, of any topic, as receipts: the same rows as the return read by GET. Raises StructuralError without a return."""
    event = decoding.shaped(raw, EventWire, "Airhouse's webhook")
    return normalise([event.data.record])


def decoded(records: Sequence[msgspec.Raw | bytes]) -> tuple[list[ReturnWire], list[Rejected]]:
    """The returns that can be read, and those that cannot."""
    return decoding.decoded(_DECODER.decode, records, _rejected)


def batch(wires: Sequence[ReturnWire], rejected: list[Rejected]) -> ReceiptBatch:
    """Decoded returns as frames."""
    times, keys = Unreadable(), Unreadable()
    stamps = {name: times.parse(name, [getattr(wire, name) for wire in wires], parse.time) for name in _TIMES}
    statuses = [status_of(parse.text(wire.status)) for wire in wires]
    columns: dict[str, list[Any]] = {
        "rma_key": [_rma_key(wire) for wire in wires],
        "return_id": keys.parse("external_id", [wire.external_id for wire in wires], parse.key),
        "rma_id": keys.parse("id", [wire.id for wire in wires], parse.key),
        "rma_status": statuses,
        "rma_stage": [STAGES.get(status) if status is not None else None for status in statuses],
        "event_status": statuses,  # the topic of a webhook would make its rows differ from a poll's
        "is_terminal": [status in TERMINAL for status in statuses],
        "has_lines": [wire.items is not None for wire in wires],
        "package_id": keys.parse("tracking_number", [wire.tracking_number for wire in wires], parse.key),
        "return_type": [parse.text(wire.type) for wire in wires],
        "manifest_id": [parse.text(wire.order_number) for wire in wires],
        "version": [None] * len(wires),
        "as_of": stamps["updated_at"],
        "delivered_at": stamps["delivered_at"],
        "received_at": stamps["received_at"],
        "closed_at": stamps["closed_at"],
        "unparsed_money": [None] * len(wires),
        "unparsed_times": times.column(len(wires)),
    }
    columns["unparsed_keys"] = keys.column(len(wires))
    bodies = [decoding.body_of(wire, WANTED, CONTAINERS, FREE) for wire in wires]
    return ReceiptBatch(frame(RECEIPTS, columns), frame(RECEIPT_LINES, _line_columns(wires)), bodies, rejected)


def _rma_key(wire: ReturnWire) -> str | None:
    own = parse.ident(wire.id)
    return parse.ident(wire.external_id) or (MADE_BY_WAREHOUSE.format(rma_id=own) if own is not None else None)


def _line_columns(wires: Sequence[ReturnWire]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [] for name in RECEIPT_LINES.all_columns}
    for wire in wires:
        if status_of(parse.text(wire.status)) not in TERMINAL:
            continue  # Airhouse counts while it checks in; the figures say which units are good only once it is done
        graded = [(item, one) for item in wire.items or () for one in graded_units(item)]
        contradiction = _contradiction(wire, [one for _, one in graded])
        for number, (item, (condition, units, unparsed)) in enumerate(graded):
            expected = parse.count(item.expected_quantity)
            is_expected = not parse.is_true(item.unexpected) and expected != 0
            sku = parse.sku(item.sku)
            is_readable = sku is not UNPARSED
            row = (_rma_key(wire), number, sku if is_readable else None, condition, CONDITIONS[condition], units, True, is_expected)
            marks = (unparsed or contradiction, None if is_readable else "sku")
            for column, value in zip(columns.values(), (*row, *marks), strict=True):
                column.append(value)
    return columns


def graded_units(item: ItemWire) -> Iterator[Graded]:
    """The units of an item that arrived: restocked ones are available, received ones that were not restocked are damaged.

    A figure that is absent or no count, and more restocked than received, make no sense: units are None, and the field is named.
    """
    received, restocked = parse.count(item.received_quantity), parse.count(item.restocked_quantity)
    if not isinstance(received, int):
        yield RESTOCKED, None, "received_quantity"
    elif not isinstance(restocked, int) or restocked > received:
        yield RESTOCKED, None, "restocked_quantity"
    else:
        if restocked:
            yield RESTOCKED, restocked, None
        if received > restocked:
            yield NOT_RESTOCKED, received - restocked, None


def _contradiction(wire: ReturnWire, graded: Sequence[Graded]) -> str | None:
    """A return that is called damaged while every unit of it was restocked: one of the two is wrong, and money hangs on it."""
    says_damaged = DAMAGED_WORDS & {word(parse.text(wire.condition)), word(parse.text(wire.status))}
    return "restocked_quantity" if says_damaged and all(condition == RESTOCKED for condition, _, _ in graded) else None


def _rejected(raw: bytes, error: Exception) -> Rejected:
    body = kept(raw, WANTED, CONTAINERS, FREE)
    external_id, own = (parse.ident(value) if isinstance(value := body.get(name), str | int) else None for name in ("external_id", "id"))
    key = external_id or (MADE_BY_WAREHOUSE.format(rma_id=own) if own else None)
    return decoding.rejected(UNDECODABLE, raw, body, key, error, body.get("order_number"))
