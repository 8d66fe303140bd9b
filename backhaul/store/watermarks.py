"""How far each source has been taken in: the newest of its own times that has come from it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from backhaul.store import bulk
from backhaul.store.prepared import Parameter, prepared
from backhaul.store.tables import watermarks
from backhaul.store.transaction import Transaction


class Watermark(NamedTuple):
    """How far one source of one merchant has been taken in."""

    merchant: str
    source: str
    high_water_at: datetime


def watermark(connection: sa.Connection, merchant: str, source: str) -> datetime | None:
    """The newest time of a source that was taken in; None before the first."""
    return _watermark(connection, merchant=merchant, source=source).scalar()


@prepared
def _watermark(merchant: Parameter, source: Parameter) -> sa.Select[Any]:
    return sa.select(watermarks.c.high_water_at).where(watermarks.c.merchant == merchant, watermarks.c.source == source)


def move_watermark(tx: Transaction, source: str, to: datetime) -> None:
    """Note how far a source has been taken in, in the transaction that does it. It never goes back."""
    before = watermark(tx.connection, tx.merchant, source)
    if before is None or to > before:
        bulk.upsert(tx.connection, watermarks, ("merchant", "source", "high_water_at"), [(tx.merchant, source, to)])


def all_watermarks(connection: sa.Connection, merchant: str | None = None) -> list[Watermark]:
    """Every watermark, by merchant and source; of one merchant if one is named."""
    query = sa.select(*(watermarks.c[name] for name in Watermark._fields)).order_by(watermarks.c.merchant, watermarks.c.source)
    return [Watermark(*row) for row in connection.execute(query if merchant is None else query.where(watermarks.c.merchant == merchant))]
