"""How long each step took, by month: marked stale by whatever changes a return, worked out anew by reconcile, read by `recon_monthly`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import sqlalchemy as sa

from backhaul.store import bulk
from backhaul.store.tables import kept_months, monthly_times, stale_months
from backhaul.store.transaction import Transaction
from backhaul.store.types import Time
from backhaul.store.views import view_sql

_CHOSEN = "c.merchant = :merchant AND c.created_at >= :start AND c.created_at < :stop"
_TIMES = tuple(monthly_times.c.keys())


def mark_months(connection: sa.Connection, merchant: str, created: Iterable[datetime | None]) -> None:
    """Note that something has changed of returns that were started at these times."""
    months = {f"{at.astimezone(UTC):%Y-%m}" for at in created if at is not None}
    bulk.insert(connection, stale_months, ("merchant", "month"), [(merchant, month) for month in sorted(months)])


def keep_months(tx: Transaction) -> int:
    """Work out anew the merchant's months of which something has changed; returns how many."""
    stale = list(tx.connection.execute(sa.select(stale_months.c.month).where(stale_months.c.merchant == tx.merchant)).scalars())
    live = view_sql("_months", tx.connection.dialect.name, chosen=_CHOSEN)
    times = [sa.bindparam(name, type_=Time()) for name in ("start", "stop")]
    query = sa.text(f"INSERT INTO monthly_times ({', '.join(_TIMES)}) {live}").bindparams(*times)
    for month in stale:
        start = datetime.fromisoformat(f"{month}-01T00:00:00+00:00")
        stop = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
        for table in (monthly_times, stale_months):
            tx.connection.execute(sa.delete(table).where(table.c.merchant == tx.merchant, table.c.month == month))
        tx.connection.execute(query, {"merchant": tx.merchant, "start": start, "stop": stop})
    bulk.upsert(tx.connection, kept_months, ("merchant", "month", "kept_at"), [(tx.merchant, month, tx.now) for month in stale])
    return len(stale)
