"""A customer's request: what could identify them is removed from the returns of an order; what happened stays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from backhaul.domain.words import DeliveryKind
from backhaul.store.indexed import IS_UNSENT
from backhaul.store.prepared import one_of
from backhaul.store.retention import GONE, prove
from backhaul.store.tables import deliveries, delivery_attempts, events, exceptions, quarantine, return_versions, returns, rmas
from backhaul.store.transaction import Transaction

_ALIVE = ("open", "review")
_DRAFTS = (DeliveryKind.RMA_CREATE.value, DeliveryKind.RMA_UPDATE.value)
_IN_DRAFTS = ("order_name", "order_number", "tracking_number")
_REMOVED = "removed at the customer's request"


class Ordered(NamedTuple):
    """A return, or a quarantined record, of an order. `is_under_way`: it cannot be finished without what would be removed."""

    return_id: str
    loop_state: str | None
    is_under_way: bool


def returns_of(connection: sa.Connection, merchant: str, order: str) -> list[Ordered]:
    """The returns of an order, by its name with or without `#`."""
    names = {order, f"#{order.lstrip('#')}", order.lstrip("#")}
    owed = sa.select(deliveries.c.return_id).where(deliveries.c.merchant == merchant, IS_UNSENT.of(deliveries))
    query = sa.select(returns.c.return_id, returns.c.loop_state, returns.c.loop_state.in_(_ALIVE) | returns.c.return_id.in_(owed))
    found = {
        row[0]: Ordered(*row) for row in connection.execute(query.where(returns.c.merchant == merchant, returns.c.order_name.in_(names)))
    }
    held = sa.select(quarantine.c.record_key, quarantine.c.released_at).where(
        quarantine.c.merchant == merchant, quarantine.c.order_name.in_(names)
    )
    for key, released_at in connection.execute(held):
        found.setdefault(key, Ordered(key, None, released_at is None))
    return sorted(found.values())


def forget(tx: Transaction, return_ids: Sequence[str]) -> dict[str, int]:
    """Remove what could identify the customer of these returns; returns how many rows of each table were cleared.

    Amounts, SKUs, reasons, decisions, deliveries and hashes stay: the hashes are why the same record, read again, is no news.
    """
    cleared: dict[str, int] = {}
    steps: tuple[tuple[sa.Table, sa.Column[Any], Mapping[str, Any]], ...] = (
        (returns, returns.c.return_id, {"order_id": None, "order_name": None, "tracking_number": None}),
        (return_versions, return_versions.c.return_id, {"body": GONE}),
        (rmas, rmas.c.return_id, {"package_id": None, "manifest_id": None}),
        (events, events.c.record_key, {"body": GONE}),
        (quarantine, quarantine.c.record_key, {"body": GONE, "order_name": None}),
        (deliveries, deliveries.c.return_id, {"message": None}),
        (exceptions, exceptions.c.return_id, {"why": _REMOVED}),
    )
    for table, column, values in steps:
        which = one_of(column, list(return_ids))
        done = tx.connection.execute(sa.update(table).where(table.c.merchant == tx.merchant, which).values(values))
        cleared[table.name] = int(done.rowcount)
    theirs = sa.select(deliveries.c.delivery_id).where(deliveries.c.merchant == tx.merchant)
    theirs = theirs.where(one_of(deliveries.c.return_id, list(return_ids)))
    attempts = sa.update(delivery_attempts).where(delivery_attempts.c.delivery_id.in_(theirs)).values(message=None)
    cleared[delivery_attempts.name] = int(tx.connection.execute(attempts).rowcount)
    _mask_drafts(tx, theirs)
    for return_id in return_ids:
        prove(tx, "forgotten", sum(cleared.values()), tx.now, return_id)
    return cleared


def _mask_drafts(tx: Transaction, theirs: sa.Select[Any]) -> None:
    """Take the order and the parcel out of the RMAs that were announced; units and reasons stay."""
    query = sa.select(deliveries.c.delivery_id, deliveries.c.payload).where(
        deliveries.c.delivery_id.in_(theirs), deliveries.c.kind.in_(_DRAFTS), deliveries.c.payload.is_not(None)
    )
    for row in tx.connection.execute(query).all():
        masked = json.dumps(json.loads(row.payload) | dict.fromkeys(_IN_DRAFTS), sort_keys=True, separators=(",", ":"))
        tx.connection.execute(sa.update(deliveries).where(deliveries.c.delivery_id == row.delivery_id).values(payload=masked))
