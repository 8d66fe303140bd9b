"""A return as its story needs it (`domain/story.py`), and its lines with all that was said, expected, found and graded."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from backhaul.domain.story import Case
from backhaul.domain.whereabouts import Awaited
from backhaul.domain.words import DecisionKind, DeliveryKind, RmaStage
from backhaul.store.indexed import IS_CURRENT, IS_QUARANTINED, IS_UNRESOLVED
from backhaul.store.tables import (
    decisions,
    deliveries,
    exceptions,
    quarantine,
    receipt_lines,
    receipts,
    return_lines,
    returns,
    rmas,
    whereabouts,
)

_DECIDING = {DeliveryKind.LOOP_PROCESS: DecisionKind.PROCESS, DeliveryKind.LOOP_FLAG: DecisionKind.FLAG}


def case(connection: sa.Connection, merchant: str, return_id: str) -> Case | None:
    """The facts of one return; None when the store has neither the return nor a record of it in quarantine."""
    head = _one(connection, returns, merchant, "return_id", return_id)
    held = sa.select(quarantine.c.quarantine_id).where(
        quarantine.c.merchant == merchant, quarantine.c.record_key == return_id, IS_QUARANTINED.of(quarantine)
    )
    is_quarantined = connection.execute(held.limit(1)).first() is not None
    if head is None:
        return Case(loop_state=None, waits_for=Awaited.PERSON) if is_quarantined else None
    rma = _one(connection, rmas, merchant, "rma_key", return_id) or {}
    receipt = _one(connection, receipts, merchant, "rma_key", return_id) or {}
    decision = _decision(connection, merchant, return_id)
    sent = _sent(connection, merchant, return_id)
    is_received = rma.get("rma_stage") in (RmaStage.RECEIVING, RmaStage.RECEIVED, RmaStage.CLOSED)
    return Case(
        loop_state=head["loop_state"],
        created_at=head["created_at"],
        is_history=head["is_history"],
        decision=decision.get("decision"),
        reasons=tuple(decision.get("reasons") or ()),
        due_at=decision.get("due_at"),
        delivery_state=next((state for kind, state in sent.items() if _DECIDING.get(DeliveryKind(kind)) == decision.get("decision")), None),
        **{name: decision.get(f"{name}_units", 0) for name in ("expected", "available", "damaged", "pending", "missing", "unverifiable")},
        unexpected=decision.get("unexpected_units", 0),
        rma_stage=rma.get("rma_stage"),
        label_status=head["label_status"],
        delivered_at=receipt.get("delivered_at"),
        received_at=receipt.get("received_at") if is_received or not rma else None,
        currency=head["currency"],
        refund=head["refund"],
        gift_card=head["gift_card"],
        is_exchange=bool(head["exchange_total"] or head["exchange_units"]),
        is_paid=bool(head["is_paid"]),
        paid_at=head["refund_processed_at"] or head["gift_card_processed_at"] or head["exchange_processed_at"],
        waits_for=(_one(connection, whereabouts, merchant, "return_id", return_id) or {}).get("waits_for"),
    )


def _one(connection: sa.Connection, table: sa.Table, merchant: str, key: str, value: str) -> dict[str, Any] | None:
    row = connection.execute(sa.select(table).where(table.c.merchant == merchant, table.c[key] == value)).mappings().first()
    return None if row is None else dict(row)


def _decision(connection: sa.Connection, merchant: str, return_id: str) -> dict[str, Any]:
    query = sa.select(decisions).where(decisions.c.merchant == merchant, decisions.c.return_id == return_id, IS_CURRENT.of(decisions))
    row = connection.execute(query).mappings().first()
    return {} if row is None else dict(row)


def _sent(connection: sa.Connection, merchant: str, return_id: str) -> dict[str, str]:
    """The state of the newest delivery of each kind that the story tells of."""
    query = sa.select(deliveries.c.kind, deliveries.c.state).where(
        deliveries.c.merchant == merchant,
        deliveries.c.return_id == return_id,
        deliveries.c.kind.in_(list(_DECIDING)),
    )
    return {kind: state for kind, state in connection.execute(query.order_by(deliveries.c.delivery_id))}


def lines(connection: sa.Connection, merchant: str, return_id: str) -> list[dict[str, Any]]:
    """Each line as the customer sent it back, and what became of it; then what arrived that no line expected."""
    words = """
    SELECT l.line_item_id, coalesce(l.sku, x.sku) AS sku, l.title, l.return_reason, l.parent_return_reason, l.line_outcome, l.price,
           l.discount, l.tax, l.refund, x.condition, x.discrepancy, x.units
    FROM return_lines l
    LEFT JOIN matches x ON x.merchant = l.merchant AND x.return_id = l.return_id AND x.line_item_id = l.line_item_id
    WHERE l.merchant = :merchant AND l.return_id = :return_id
    UNION ALL
    SELECT NULL, sku, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, condition, discrepancy, units
    FROM matches WHERE merchant = :merchant AND return_id = :return_id AND line_item_id IS NULL
    """
    typed = sa.text(words).columns(
        *(return_lines.c[name] for name in ("line_item_id", "sku", "title", "return_reason", "parent_return_reason", "line_outcome")),
        *(return_lines.c[name] for name in ("price", "discount", "tax", "refund")),
        *(sa.column(name, sa.Text()) for name in ("condition", "discrepancy")),
        sa.column("units", sa.Integer()),
    )
    found = [dict(row) for row in connection.execute(typed, {"merchant": merchant, "return_id": return_id}).mappings()]
    return sorted(found, key=lambda line: (line["line_item_id"] is None, line["line_item_id"] or "", line["sku"] or ""))


def open_exceptions(connection: sa.Connection, merchant: str, return_id: str) -> list[dict[str, Any]]:
    """What about the return needs a person: kind, subject, why, remedy and since when."""
    query = sa.select(*(exceptions.c[name] for name in ("kind", "subject", "why", "remedy", "opened_at"))).where(
        exceptions.c.merchant == merchant, exceptions.c.return_id == return_id, IS_UNRESOLVED.of(exceptions)
    )
    return [dict(row) for row in connection.execute(query.order_by(exceptions.c.opened_at)).mappings()]


def graded(connection: sa.Connection, merchant: str, return_id: str) -> list[dict[str, Any]]:
    """What the warehouse says arrived: SKU, its own word for the condition, ours, and units."""
    query = sa.select(receipt_lines).where(receipt_lines.c.merchant == merchant, receipt_lines.c.rma_key == return_id)
    return [dict(row) for row in connection.execute(query.order_by(receipt_lines.c.line_no)).mappings()]
