"""ShipBob's returns as frames. What its words are taken to mean stands in `endpoints`.

The same record gives the same rows by every road: what the record lacks is filled in by the client, before it is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from backhaul.connectors import decoding, parse
from backhaul.connectors.base import ReceiptBatch, Rejected
from backhaul.connectors.frames import Unreadable, frame
from backhaul.connectors.parse import UNPARSED
from backhaul.connectors.shipbob.endpoints import CONDITIONS, TO_SENDER, TYPES, UNGRADED, stage_of, status_of, word
from backhaul.connectors.shipbob.wire import CONTAINERS, WANTED, LineWire, ReturnWire, TakenWire
from backhaul.connectors.text import kept, plain
from backhaul.domain.schema import RECEIPT_LINES, RECEIPTS
from backhaul.domain.words import RmaStage

UNDECODABLE = "WIRE-002"
_WORD_LIMIT = 60  # characters of a warehouse's word for a condition
MADE_BY_WAREHOUSE = "dc:{rma_id}"

_DECODER = msgspec.json.Decoder(ReturnWire)
_LOOP_ID = re.compile(r"\d{1,20}", re.ASCII)
_TIMES = ("insert_date", "awaiting_arrival_date", "arrived_date", "processing_date", "completed_date", "cancelled_date")
_FINISHED = ("completed_date", "processing_date", "arrived_date")  # the first that is there is when receiving ended


def normalise(records: Sequence[msgspec.Raw | bytes]) -> ReceiptBatch:
    """Full records as `schema.RECEIPTS` and `schema.RECEIPT_LINES`, in their order.

    One that cannot be decoded is in `rejected` (rule WIRE-002) and harms no other. A status that is not known becomes no status, and
    units that are no count are named in `unparsed_units`, so that the suites quarantine both.
    """
    wires, rejected = decoded(records)
    return batch(wires, rejected)


def decoded(records: Sequence[msgspec.Raw | bytes]) -> tuple[list[ReturnWire], list[Rejected]]:
    """The returns that can be read, and those that cannot."""
    return decoding.decoded(_DECODER.decode, records, _rejected)


def return_id_of(wire: ReturnWire) -> str | None:
    """The Loop return id, which is digits only. A reference of any other form, or on a return to sender, is somebody else's."""
    reference = parse.ident(wire.reference_id)
    is_ours = reference is not None and _LOOP_ID.fullmatch(reference) and type_of(wire) != TO_SENDER
    return reference if is_ours else None


def key_of(wire: ReturnWire) -> str | None:
    """The RMA's key; None only for a record without any id."""
    own = parse.ident(wire.id)
    return return_id_of(wire) or (None if own is None else MADE_BY_WAREHOUSE.format(rma_id=own))


def type_of(wire: ReturnWire) -> str | None:
    """`Regular` or `ReturnToSender`, however it is spelled; another word as it stands."""
    said = parse.text(wire.return_type)
    return TYPES.get(word(said), said)


def newest(wires: Sequence[ReturnWire]) -> list[ReturnWire]:
    """One record a key: of several, the live one before a cancelled one, the later made before the earlier."""
    best: dict[str, ReturnWire] = {}
    loose: list[ReturnWire] = []  # without any key; the suites quarantine them
    for wire in wires:
        key = key_of(wire)
        if key is None:
            loose.append(wire)
        elif key not in best or _rank(wire) >= _rank(best[key]):
            best[key] = wire
    return [*best.values(), *loose]


def batch(wires: Sequence[ReturnWire], rejected: list[Rejected]) -> ReceiptBatch:
    """Decoded returns as frames."""
    times, keys = Unreadable(), Unreadable()
    stamps = {name: times.parse(name, [getattr(wire, name) for wire in wires], parse.time) for name in _TIMES}
    statuses = [status_of(parse.text(wire.status)) for wire in wires]
    stages = [stage_of(status) for status in statuses]
    ends = [stage is RmaStage.RECEIVED for stage in stages]
    columns: dict[str, list[Any]] = {
        "rma_key": [key_of(wire) for wire in wires],
        "return_id": [return_id_of(wire) for wire in wires],
        "rma_id": keys.parse("id", [wire.id for wire in wires], parse.key),
        "rma_status": statuses,
        "rma_stage": [None if stage is None else stage.value for stage in stages],
        "event_status": statuses,
        "is_terminal": ends,
        "has_lines": [wire.inventory is not None for wire in wires],
        "package_id": keys.parse("tracking_number", [wire.tracking_number for wire in wires], parse.key),
        "return_type": [type_of(wire) for wire in wires],
        "manifest_id": [parse.text(wire.reference_id) for wire in wires],
        "version": [None] * len(wires),
        "as_of": _latest(wires, [list(row) for row in zip(*stamps.values(), strict=True)], times),
        "delivered_at": stamps["arrived_date"],
        "received_at": _received(ends, [list(row) for row in zip(*(stamps[name] for name in _FINISHED), strict=True)]),
        "closed_at": [None] * len(wires),
        "unparsed_money": [None] * len(wires),
        "unparsed_times": times.column(len(wires)),
    }
    keys.parse("reference_id", [wire.reference_id for wire in wires], parse.key)  # unreadable is not absent: it may be a Loop return's
    columns["unparsed_keys"] = keys.column(len(wires))
    bodies = [decoding.body_of(wire, WANTED, CONTAINERS) for wire in wires]
    return ReceiptBatch(frame(RECEIPTS, columns), frame(RECEIPT_LINES, _line_columns(wires)), bodies, rejected)


def _latest(wires: Sequence[ReturnWire], stamps: Sequence[list[datetime | None]], times: Unreadable) -> list[datetime | None]:
    """The newest date anywhere in each record: ShipBob gives no time of its last change."""
    found: list[datetime | None] = []
    for row, wire in enumerate(wires):
        steps = [parse.time(step.timestamp) for step in wire.status_history or ()]
        if any(step is parse.UNPARSED for step in steps):
            times.mark(row, "status_history.timestamp")
        moments = [moment for moment in (*stamps[row], *steps) if isinstance(moment, datetime)]
        found.append(max(moments, default=None))
    return found


def _received(ends: Sequence[bool], stamps: Sequence[list[datetime | None]]) -> list[datetime | None]:
    return [next(filter(None, row), None) if is_end else None for is_end, row in zip(ends, stamps, strict=True)]


def _line_columns(wires: Sequence[ReturnWire]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [] for name in RECEIPT_LINES.all_columns}
    for wire in wires:
        key, number = key_of(wire), 0
        for line in wire.inventory or ():
            sku = parse.sku(line.sku)
            is_readable = sku is not UNPARSED
            for taken in line.action_taken or ():
                row = _graded(line, taken)
                if row is None:
                    continue
                for column, value in zip(
                    columns.values(), (key, number, sku if is_readable else None, *row, None if is_readable else "sku"), strict=True
                ):
                    column.append(value)
                number += 1
    return columns


def _graded(line: LineWire, taken: TakenWire) -> tuple[str, str, int | None, bool, bool, str | None] | None:
    """One entry of `action_taken`: its word, condition, units, whether it was known and expected, and the field if that is no count."""
    counted = parse.count(taken.quantity_processed)
    if counted == 0:
        return None
    units = counted if isinstance(counted, int) else None
    action = parse.text(taken.action)
    condition = CONDITIONS.get((word(action), word(requested(line))))
    unparsed = "action_taken.quantity_processed" if units is None else None
    return (
        plain(action or UNGRADED, _WORD_LIMIT),
        condition or "pending",
        units,
        condition is not None,
        parse.count(line.quantity) != 0,
        unparsed,
    )


def requested(line: LineWire) -> str | None:
    """The action that was asked for the units of a line."""
    return None if line.action_requested is None else parse.text(line.action_requested.action)


def taken_words(line: LineWire) -> Iterator[str]:
    """What was done with the units of a line."""
    return (word(parse.text(taken.action)) for taken in line.action_taken or ())


def _rank(wire: ReturnWire) -> tuple[bool, int]:
    own = parse.ident(wire.id) or ""
    return stage_of(parse.text(wire.status)) is not RmaStage.GONE, int(own) if own.isascii() and own.isdigit() else 0


def _rejected(raw: bytes, error: Exception) -> Rejected:
    body = kept(raw, WANTED, CONTAINERS)
    own, reference, kind = (
        value if isinstance(value := body.get(name), str | int) else None for name in ("id", "reference_id", "return_type")
    )
    key = key_of(ReturnWire(id=own, reference_id=reference, return_type=kind))
    return decoding.rejected(UNDECODABLE, raw, body, key, error)
