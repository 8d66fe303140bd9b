"""A snapshot a day of where returns stand, so that a trend can be drawn; days before the first are worked out from decisions."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from backhaul.domain.whereabouts import Stage
from backhaul.store import bulk
from backhaul.store.indexed import IS_UNRESOLVED
from backhaul.store.tables import daily_history, exceptions, returns, whereabouts
from backhaul.store.transaction import Transaction
from backhaul.store.views import view_sql

Group = tuple[str, str]  # warehouse and currency, each empty where there is none

_STAGES = tuple(f"{stage.value}_returns" for stage in Stage)
_COLUMNS = ("merchant", "warehouse", "currency", "day", *_STAGES, "value_at_risk", "open_exceptions", "is_backfilled", "taken_at")


def take_snapshot(tx: Transaction) -> None:
    """Write where a merchant's returns stand now as this day's snapshot, over an earlier one; the first ever fills the days before."""
    today = tx.now.date()
    has_any = sa.select(daily_history.c.day).where(daily_history.c.merchant == tx.merchant).limit(1)
    if tx.connection.execute(has_any).first() is None:
        _backfill(tx, today)
    counted, at_risk = _standing(tx)
    opened = _open_exceptions(tx)
    mine = (daily_history.c.merchant == tx.merchant) & (daily_history.c.day == today.isoformat())
    rows = [
        _row(tx, group, today, counted[group], at_risk.get(group, Decimal(0)), opened[group], is_backfilled=False)
        for group in sorted({*counted, *opened})
    ]
    query = (
        sa.select(*(daily_history.c[name] for name in _COLUMNS)).where(mine).order_by(daily_history.c.warehouse, daily_history.c.currency)
    )
    if [tuple(row[:-1]) for row in tx.connection.execute(query)] != [row[:-1] for row in rows]:
        tx.connection.execute(sa.delete(daily_history).where(mine))
        bulk.insert(tx.connection, daily_history, _COLUMNS, rows)


def _standing(tx: Transaction) -> tuple[defaultdict[Group, Counter[str]], dict[Group, Decimal]]:
    """By group: how many returns are at each stage, and the value at risk."""
    currency = sa.func.coalesce(returns.c.currency, "")
    same = (whereabouts.c.merchant == returns.c.merchant) & (whereabouts.c.return_id == returns.c.return_id)
    query = (
        sa.select(returns.c.warehouse, currency, whereabouts.c.stage, sa.func.count(), sa.func.sum(whereabouts.c.value_at_risk))
        .join(whereabouts, same)
        .where(returns.c.merchant == tx.merchant)
        .group_by(returns.c.warehouse, currency, whereabouts.c.stage)
    )
    counted: defaultdict[Group, Counter[str]] = defaultdict(Counter)
    at_risk: dict[Group, Decimal] = {}
    for warehouse, money, stage, number, value in tx.connection.execute(query):
        group = warehouse, money
        counted[group][stage] = number
        at_risk[group] = at_risk.get(group, Decimal(0)) + value
    return counted, at_risk


def _open_exceptions(tx: Transaction) -> Counter[Group]:
    warehouse, currency = (sa.func.coalesce(returns.c[name], "") for name in ("warehouse", "currency"))
    same = (returns.c.merchant == exceptions.c.merchant) & (returns.c.return_id == exceptions.c.return_id)
    query = (
        sa.select(warehouse, currency, sa.func.count())
        .select_from(exceptions)
        .outerjoin(returns, same)
        .where(exceptions.c.merchant == tx.merchant, IS_UNRESOLVED.of(exceptions))
        .group_by(warehouse, currency)
    )
    return Counter({(warehouse, currency): number for warehouse, currency, number in tx.connection.execute(query)})


def _backfill(tx: Transaction, today: date) -> None:
    """Write the days before today as far as decisions, deliveries and exceptions tell; the value at risk of a past day nothing tells."""
    moves: defaultdict[str, defaultdict[Group, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    dialect = tx.connection.dialect.name
    for row in tx.connection.execute(sa.text(view_sql("_marks", dialect)), {"merchant": tx.merchant}):
        change = moves[row.day][row.warehouse, row.currency]
        change[row.stage] += row.returns
        if row.before is not None:
            change[row.before] -= row.returns
    for row in tx.connection.execute(sa.text(view_sql("_exceptions_by_day", dialect)), {"merchant": tx.merchant}):
        moves[row.day][row.warehouse, row.currency]["exceptions"] += int(row.change)
    standing: defaultdict[Group, Counter[str]] = defaultdict(Counter)
    rows: list[tuple[Any, ...]] = []
    day = date.fromisoformat(min(moves, default=today.isoformat()))
    while day < today:
        for group, change in moves[day.isoformat()].items():
            standing[group].update(change)
        for group, counted in sorted(standing.items()):
            rows.append(_row(tx, group, day, counted, None, counted["exceptions"], is_backfilled=True))
        day += timedelta(days=1)
    bulk.insert(tx.connection, daily_history, _COLUMNS, rows)


def _row(
    tx: Transaction, group: Group, day: date, counted: Counter[str], at_risk: Any, opened: int, *, is_backfilled: bool
) -> tuple[Any, ...]:
    stages = (counted[stage.value] for stage in Stage)
    return tx.merchant, *group, day.isoformat(), *stages, at_risk, opened, is_backfilled, tx.now
