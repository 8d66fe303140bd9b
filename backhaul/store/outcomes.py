"""Processes that Loop confirmed, and whose outcomes are followed: found by an index that holds no others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa

from backhaul.store import bulk
from backhaul.store.indexed import IS_FOLLOWED
from backhaul.store.prepared import Parameter, one_of, prepared
from backhaul.store.tables import deliveries, events, returns
from backhaul.store.transaction import Transaction


class Followed(NamedTuple):
    """A confirmed process, and its return as it is stored."""

    delivery_id: int
    return_id: str
    confirmed_at: datetime
    outcomes_asked_at: datetime | None
    loop_state: str
    updated_at: datetime | None
    currency: str | None
    refund: Decimal | None
    gift_card: Decimal | None
    exchange_total: Decimal | None
    exchange_units: int | None
    out_of_stock_units: int | None
    is_finished: bool | None
    refund_processed_at: datetime | None
    shop_cash_processed_at: datetime | None
    gift_card_processed_at: datetime | None
    exchange_processed_at: datetime | None


_FROM_DELIVERY = ("delivery_id", "return_id", "confirmed_at", "outcomes_asked_at")


def followed(connection: sa.Connection, merchant: str) -> list[Followed]:
    """Every confirmed process of which an outcome may be undone, oldest first."""
    return [Followed(*row) for row in _followed(connection, merchant=merchant)]


@prepared
def _followed(merchant: Parameter) -> sa.Select[Any]:
    columns = [(deliveries if name in _FROM_DELIVERY else returns).c[name] for name in Followed._fields]
    return (
        sa.select(*columns)
        .select_from(deliveries)
        .join(returns, (returns.c.merchant == deliveries.c.merchant) & (returns.c.return_id == deliveries.c.return_id))
        .where(deliveries.c.merchant == merchant, IS_FOLLOWED.of(deliveries))
        .order_by(deliveries.c.confirmed_at)
    )


def failures(connection: sa.Connection, merchant: str, return_ids: Sequence[str]) -> dict[str, str]:
    """By return, the body of the newest event in which Loop said that processing failed."""
    query = (
        sa.select(events.c.record_key, events.c.event_id, events.c.body)
        .where(events.c.merchant == merchant, events.c.source == "loop", events.c.topic == "return.processing.failed")
        .where(events.c.body != "")  # one that is past its time
        .order_by(events.c.event_id)
    )
    return {str(row.record_key): row.body for row in bulk.select_by_keys(connection, query, events.c.record_key, return_ids)}


def end(tx: Transaction, delivery_ids: Sequence[int]) -> None:
    """Follow these no longer."""
    if delivery_ids:
        which = one_of(deliveries.c.delivery_id, delivery_ids)
        tx.connection.execute(sa.update(deliveries).where(which).values(outcomes_at=tx.now))


def note_asked(tx: Transaction, delivery_ids: Sequence[int]) -> None:
    """Note when Loop was asked for their outcomes."""
    which = one_of(deliveries.c.delivery_id, delivery_ids)
    tx.connection.execute(sa.update(deliveries).where(which).values(outcomes_asked_at=tx.now))
