"""Which RMAs a sync asks the warehouse about, in an order that is fair when its budget cannot cover all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from backhaul.domain.words import DeliveryKind, RmaStage
from backhaul.store import bulk
from backhaul.store.tables import IS_HELD, IS_OPEN_RMA, IS_UNCONFIRMED, decisions, deliveries, receipts, returns, rmas, watermarks

_OVER = (RmaStage.CLOSED.value, RmaStage.GONE.value)


def keys_to_poll(
    connection: sa.Connection, merchant: str, warehouse: str, now: datetime, correction_days: int, is_announced_by_us: bool
) -> list[str]:
    """Return ids whose RMA may have news, least recently polled first.

    Those are: RMAs that are not terminal, announced ones not seen yet, those whose return is on hold, and those received in the last
    `correction_days`. Where others announce (`is_announced_by_us` false), also every live open return without a known RMA.
    """
    mine = (rmas.c.merchant == merchant) & (rmas.c.warehouse == warehouse)
    alive = sa.or_(rmas.c.rma_stage.is_(None), rmas.c.rma_stage.not_in(_OVER))
    open_rmas = sa.select(rmas.c.return_id, rmas.c.polled_at).where(mine, IS_OPEN_RMA.of(rmas), alive)
    corrected = (
        sa.select(rmas.c.return_id, rmas.c.polled_at)
        .join(receipts, (receipts.c.merchant == rmas.c.merchant) & (receipts.c.rma_key == rmas.c.rma_key))
        .where(mine, receipts.c.received_at >= now - timedelta(days=correction_days))
    )
    held = (
        sa.select(rmas.c.return_id, rmas.c.polled_at)
        .select_from(decisions)
        .join(rmas, (rmas.c.merchant == decisions.c.merchant) & (rmas.c.rma_key == decisions.c.return_id))
        .where(decisions.c.merchant == merchant, IS_HELD.of(decisions), rmas.c.warehouse == warehouse)
    )
    queries = [open_rmas, corrected, held, _unseen(merchant, warehouse)]
    if not is_announced_by_us:
        queries.append(
            sa.select(returns.c.return_id, sa.null().label("polled_at"))
            .outerjoin(rmas, (rmas.c.merchant == returns.c.merchant) & (rmas.c.rma_key == returns.c.return_id))
            .where(returns.c.merchant == merchant, returns.c.warehouse == warehouse, rmas.c.rma_key.is_(None))
            .where(returns.c.loop_state.in_(("open", "review")), sa.not_(returns.c.is_history))
        )
    found: dict[str, datetime | None] = {}
    for query in queries:
        found.update((return_id, polled_at) for return_id, polled_at in connection.execute(query) if return_id is not None)
    return sorted(found, key=lambda key: ((polled_at := found[key]) is not None, polled_at.isoformat() if polled_at else "", key))


def unseen_keys(connection: sa.Connection, merchant: str, warehouse: str) -> list[str]:
    """Return ids that were announced and whose RMA has not been seen: one adopted may have changed last before anybody asked for news."""
    return sorted(return_id for return_id, _ in connection.execute(_unseen(merchant, warehouse)))


def _unseen(merchant: str, warehouse: str) -> sa.Select[Any]:
    return (
        sa.select(deliveries.c.return_id, sa.null().label("polled_at"))
        .where(deliveries.c.merchant == merchant, deliveries.c.warehouse == warehouse, deliveries.c.kind == DeliveryKind.RMA_CREATE.value)
        .where(IS_UNCONFIRMED.of(deliveries))
    )


def high_water(connection: sa.Connection, merchant: str, warehouse: str) -> datetime | None:
    """The newest time of the warehouse's own that its list of changes has been taken in to; None before the first."""
    query = sa.select(watermarks.c.high_water_at).where(watermarks.c.merchant == merchant, watermarks.c.source == warehouse)
    return connection.execute(query).scalar()


def move_high_water(connection: sa.Connection, merchant: str, warehouse: str, high_water_at: datetime) -> None:
    """Note, in the transaction that loads them, that the changes up to this time have been taken in."""
    bulk.upsert(connection, watermarks, ("merchant", "source", "high_water_at"), [(merchant, warehouse, high_water_at)])


def note_polled(connection: sa.Connection, merchant: str, return_ids: Sequence[str], now: datetime) -> None:
    """Remember when these were asked for, so that the next sync starts with the others."""
    which = bulk.one_of(connection, rmas.c.rma_key, return_ids)
    connection.execute(sa.update(rmas).where(rmas.c.merchant == merchant, which).values(polled_at=now))
