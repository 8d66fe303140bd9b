"""Pauses: what a person has stopped, kept where every process sees it before its next call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from backhaul.domain.words import ALL_VENDORS
from backhaul.store import bulk
from backhaul.store.tables import pauses
from backhaul.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is sent to a vendor of a merchant, or with `*` to any, since `paused_at`."""

    merchant: str
    vendor: str
    paused_at: datetime
    operator: str
    why: str

    def covers(self, vendor: str) -> bool:
        """Whether nothing is sent to this vendor."""
        return self.vendor in (ALL_VENDORS, vendor)


def standing_pauses(connection: sa.Connection, merchant: str | None = None) -> list[Pause]:
    """The pauses that stand; of every merchant when none is named."""
    query = sa.select(pauses).order_by(pauses.c.merchant, pauses.c.vendor)
    if merchant is not None:
        query = query.where(pauses.c.merchant == merchant)
    return [Pause(**row._mapping) for row in connection.execute(query)]


def is_paused(connection: sa.Connection, merchant: str, vendor: str) -> bool:
    """Whether a person has stopped what is sent to a vendor."""
    return any(one.covers(vendor) for one in standing_pauses(connection, merchant))


def keep_pause(tx: Transaction, pause: Pause) -> None:
    """Write a pause. One that stands already keeps the time it began at."""
    columns = ("merchant", "vendor", "paused_at", "operator", "why")
    bulk.upsert(tx.connection, pauses, columns, [tuple(getattr(pause, name) for name in columns)])


def end_pauses(tx: Transaction, vendors: Sequence[str]) -> None:
    """Lift pauses of the merchant."""
    tx.connection.execute(sa.delete(pauses).where(pauses.c.merchant == tx.merchant, pauses.c.vendor.in_(vendors)))
