"""The vendors' call budgets, one for all workers: a row a key on PostgreSQL, locked for the moment that a call is written down.

A strict sliding window by the database's own clock. Calls are counted by the second, and a second counts until it is wholly over a
minute old. Measured cost: one short transaction a call, which is small beside the call itself.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from backhaul.store.engine import Store
from backhaul.store.tables import call_budgets

_WINDOW = 60.0


class StoreLedger:
    """A `Ledger` (connectors/budget.py) in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def spend(self, vendor: str, merchant: str, calls: int) -> float:
        """Write one call down and return 0, or write nothing and return the seconds until one is free. Raises StoreError."""
        with self._store.write() as connection:
            row, now = self._locked(connection, vendor, merchant)
            if row.paused_until > now:
                return float(row.paused_until - now)
            made = {second: count for second, count in _made(row).items() if int(second) + 1 > now - _WINDOW}
            if sum(made.values()) >= calls:
                return max(0.05, min(map(int, made)) + 1 + _WINDOW - now)
            this = str(int(now))
            made[this] = made.get(this, 0) + 1
            connection.execute(sa.update(call_budgets).where(_key(vendor, merchant)).values(made=made))
            return 0.0

    def pause(self, vendor: str, merchant: str, seconds: float) -> None:
        """Let nobody on this key call for so many seconds. Raises StoreError."""
        with self._store.write() as connection:
            row, now = self._locked(connection, vendor, merchant)
            until = max(row.paused_until, now + seconds)
            connection.execute(sa.update(call_budgets).where(_key(vendor, merchant)).values(paused_until=until))

    def _locked(self, connection: sa.Connection, vendor: str, merchant: str) -> tuple[Any, float]:
        """The key's row, ours until the transaction ends, and the database's time."""
        query = sa.select(call_budgets).where(_key(vendor, merchant)).with_for_update()
        row = connection.execute(query).one_or_none()
        if row is None:
            connection.execute(
                postgresql.insert(call_budgets).values(merchant=merchant, vendor=vendor, made={}, paused_until=0.0).on_conflict_do_nothing()
            )
            row = connection.execute(query).one()
        now = connection.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
        return row, float(now)


def ledger_of(store: Store) -> StoreLedger | None:
    """The store's ledger; None on SQLite, whose one writer would make every call wait for a load."""
    return None if store.is_sqlite else StoreLedger(store)


def _key(vendor: str, merchant: str) -> sa.ColumnElement[bool]:
    return (call_budgets.c.vendor == vendor) & (call_budgets.c.merchant == merchant)


def _made(row: Any) -> dict[str, int]:
    return json.loads(row.made) if isinstance(row.made, str) else dict(row.made)
