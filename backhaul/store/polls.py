"""Which RMAs a sync asks a warehouse about, in an order that is fair when its budget cannot cover all; how far its own list was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa

from backhaul.domain.words import DeliveryKind, RmaStage
from backhaul.store import bulk
from backhaul.store.indexed import IS_HELD, IS_LIVE, IS_OPEN_RMA, IS_UNCONFIRMED
from backhaul.store.prepared import Parameter, Prepared, prepared
from backhaul.store.tables import decisions, deliveries, polls, receipts, returns, rmas, scans
from backhaul.store.transaction import Transaction
from backhaul.store.watermarks import move_watermark, watermark

_OVER = (RmaStage.CLOSED.value, RmaStage.GONE.value)
_FORGOTTEN_AFTER = timedelta(days=60)  # what was not asked for in so long needs no asking, or is asked first


@dataclass(frozen=True, slots=True)
class Scan:
    """How far a warehouse's own list has been read: the newest time taken in, and where a list that was not read to its end goes on."""

    high_water_at: datetime | None = None
    cursor: str | None = None


def keys_to_poll(
    connection: sa.Connection, merchant: str, warehouse: str, now: datetime, correction_days: int, is_announced_by_us: bool, limit: int
) -> tuple[list[str], int]:
    """The `limit` return ids whose RMA may have news that were asked for least recently, and how many there are in all.

    Those are: RMAs that are not terminal, announced ones not seen yet, those whose return is on hold, and those received in the last
    `correction_days`. Where others announce (`is_announced_by_us` false), also every live open return without a known RMA.
    """
    which = {"merchant": merchant, "warehouse": warehouse, "corrected_since": now - timedelta(days=correction_days), "most": limit}
    return _counted(_to_poll(is_announced_by_us)(connection, **which))


@cache
def _to_poll(is_announced_by_us: bool) -> Prepared:
    @prepared
    def query(merchant: Parameter, warehouse: Parameter, corrected_since: Parameter, most: Parameter) -> sa.Select[Any]:
        wanted = sa.union(*_with_news(merchant, warehouse, corrected_since, is_announced_by_us))
        return _least_recently_asked(merchant, warehouse, wanted, most)

    return query


def _with_news(merchant: Parameter, warehouse: Parameter, corrected_since: Parameter, is_announced_by_us: bool) -> list[sa.Select[Any]]:
    mine = (rmas.c.merchant == merchant) & (rmas.c.warehouse == warehouse)
    alive = sa.or_(rmas.c.rma_stage.is_(None), rmas.c.rma_stage.not_in(_OVER))
    open_rmas = sa.select(rmas.c.return_id).where(mine, IS_OPEN_RMA.of(rmas), alive)
    corrected = (
        sa.select(rmas.c.return_id)
        .join(receipts, (receipts.c.merchant == rmas.c.merchant) & (receipts.c.rma_key == rmas.c.rma_key))
        .where(mine, receipts.c.merchant == merchant, receipts.c.received_at >= corrected_since)
    )
    held = (
        sa.select(rmas.c.return_id)
        .select_from(decisions)
        .join(rmas, (rmas.c.merchant == decisions.c.merchant) & (rmas.c.rma_key == decisions.c.return_id))
        .where(decisions.c.merchant == merchant, IS_HELD.of(decisions), rmas.c.warehouse == warehouse)
    )
    queries = [open_rmas, corrected, held, _unseen(merchant, warehouse)]
    if not is_announced_by_us:
        queries.append(
            sa.select(returns.c.return_id)
            .outerjoin(rmas, (rmas.c.merchant == returns.c.merchant) & (rmas.c.rma_key == returns.c.return_id))
            .where(returns.c.merchant == merchant, returns.c.warehouse == warehouse, IS_LIVE.of(returns), rmas.c.rma_key.is_(None))
        )
    return queries


def unseen_keys(connection: sa.Connection, merchant: str, warehouse: str, limit: int) -> tuple[list[str], int]:
    """Return ids that were announced and whose RMA has not been seen: one adopted may have changed last before anybody asked for news.

    Chosen and counted like `keys_to_poll`.
    """
    return _counted(_unseen_first(connection, merchant=merchant, warehouse=warehouse, most=limit))


@prepared
def _unseen_first(merchant: Parameter, warehouse: Parameter, most: Parameter) -> sa.Select[Any]:
    return _least_recently_asked(merchant, warehouse, _unseen(merchant, warehouse), most)


def _unseen(merchant: Parameter, warehouse: Parameter) -> sa.Select[Any]:
    return (
        sa.select(deliveries.c.return_id)
        .where(deliveries.c.merchant == merchant, deliveries.c.warehouse == warehouse, deliveries.c.kind == DeliveryKind.RMA_CREATE.value)
        .where(IS_UNCONFIRMED.of(deliveries))
    )


def _least_recently_asked(
    merchant: Parameter, warehouse: Parameter, wanted: sa.Select[Any] | sa.CompoundSelect[Any], most: Parameter
) -> sa.Select[Any]:
    keys = wanted.subquery("wanted")
    asked = (polls.c.merchant == merchant) & (polls.c.warehouse == warehouse) & (polls.c.return_id == keys.c.return_id)
    return (
        sa.select(keys.c.return_id, sa.func.count().over().label("waiting"))
        .outerjoin(polls, asked)
        .where(keys.c.return_id.is_not(None))
        .order_by(polls.c.polled_at.asc().nulls_first(), keys.c.return_id)
        .limit(most)
    )


def _counted(found: sa.CursorResult[Any]) -> tuple[list[str], int]:
    rows = found.all()
    return [row.return_id for row in rows], rows[0].waiting if rows else 0


def note_polled(tx: Transaction, warehouse: str, return_ids: Sequence[str]) -> None:
    """Remember when these were asked for, so that the next sync starts with the others. Needed only while a budget cannot cover all."""
    mine = (polls.c.merchant == tx.merchant) & (polls.c.warehouse == warehouse)
    tx.connection.execute(sa.delete(polls).where(mine, polls.c.polled_at < tx.now - _FORGOTTEN_AFTER))
    columns = ("merchant", "warehouse", "return_id", "polled_at")
    bulk.upsert(tx.connection, polls, columns, [(tx.merchant, warehouse, return_id, tx.now) for return_id in return_ids])


def scan_of(connection: sa.Connection, merchant: str, warehouse: str) -> Scan:
    """How far a warehouse's own list has been read."""
    return Scan(watermark(connection, merchant, warehouse), _cursor(connection, merchant=merchant, warehouse=warehouse).scalar())


@prepared
def _cursor(merchant: Parameter, warehouse: Parameter) -> sa.Select[Any]:
    return sa.select(scans.c.cursor).where(scans.c.merchant == merchant, scans.c.warehouse == warehouse)


def move_scan(tx: Transaction, warehouse: str, to: Scan) -> None:
    """Note, in the transaction that loads them, how far the list has been taken in."""
    if to.high_water_at is not None:
        move_watermark(tx, warehouse, to.high_water_at)
    if to.cursor is not None:
        bulk.upsert(tx.connection, scans, ("merchant", "warehouse", "cursor"), [(tx.merchant, warehouse, to.cursor)])
    else:
        tx.connection.execute(sa.delete(scans).where(scans.c.merchant == tx.merchant, scans.c.warehouse == warehouse))
