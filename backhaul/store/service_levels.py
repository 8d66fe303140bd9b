"""What `recon_service_levels` measures against: a merchant's targets, and its business days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from backhaul.store import bulk
from backhaul.store.tables import business_days, service_targets
from backhaul.store.transaction import Transaction


def keep_targets(tx: Transaction, targets: Mapping[str, int], days: Sequence[tuple[str, int]]) -> None:
    """Make a merchant's targets, in business days by step, and its numbered days these. Nothing is written where they are so already."""
    held = {row.step: row.within_days for row in _held(tx, service_targets)}
    if held != dict(targets):
        tx.connection.execute(sa.delete(service_targets).where(service_targets.c.merchant == tx.merchant))
        rows = [(tx.merchant, step, within) for step, within in targets.items()]
        bulk.insert(tx.connection, service_targets, ("merchant", "step", "within_days"), rows)
    if [(row.day, row.number) for row in _held(tx, business_days, business_days.c.day)] != list(days):
        tx.connection.execute(sa.delete(business_days).where(business_days.c.merchant == tx.merchant))
        bulk.insert(tx.connection, business_days, ("merchant", "day", "number"), [(tx.merchant, *one) for one in days])


def has_targets(connection: sa.Connection, merchant: str) -> bool:
    """Whether any target of a merchant is kept."""
    query = sa.select(service_targets.c.step).where(service_targets.c.merchant == merchant)
    return connection.execute(query.limit(1)).first() is not None


def _held(tx: Transaction, table: sa.Table, *order: sa.Column[str]) -> Sequence[sa.Row[tuple[object, ...]]]:
    return tx.connection.execute(sa.select(table).where(table.c.merchant == tx.merchant).order_by(*order)).all()
