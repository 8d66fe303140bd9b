"""What the charts draw: the figures of `recon_daily` that they need, added up over the merchants, warehouses and days that are asked for.

The view ranks every return that there is to tell percentiles; here only the days that are drawn are read, along the index of when returns
were started.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from backhaul.store.desk import typed
from backhaul.store.indexed import IS_CURRENT
from backhaul.store.tables import decisions, returns

_UNITS = ("available_units", "damaged_units", "missing_units")
_DECIDED = {"processed_returns": ("process",), "flagged_returns": ("flag",), "open_returns": ("wait", "hold")}


def by_day(
    connection: sa.Connection, first: date, last: date, merchant: str | None, warehouse: str | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """From `first` to `last`, both counted: a row a day with returns and units, and a row a day and currency with the value."""
    day = sa.func.substr(returns.c.created_at, 1, 10)
    if connection.dialect.name == "postgresql":
        day = sa.func.to_char(sa.func.timezone("UTC", returns.c.created_at), "YYYY-MM-DD")
    query = (
        sa.select(
            day.label("day"), returns.c.currency, sa.func.count().label("returns"), sa.func.sum(returns.c.return_total).label("value")
        )
        .add_columns(*(sa.func.coalesce(sa.func.sum(decisions.c[name]), 0).label(name) for name in _UNITS))
        .add_columns(*(_counted(kinds).label(name) for name, kinds in _DECIDED.items()))
        .select_from(returns)
        .outerjoin(decisions, _same() & IS_CURRENT.of(decisions))
        .where(returns.c.created_at >= _midnight(first), returns.c.created_at < _midnight(last + timedelta(days=1)))
        .group_by("day", returns.c.currency)
        .order_by("day", returns.c.currency)
    )
    for column, value in ((returns.c.merchant, merchant), (returns.c.warehouse, warehouse)):
        query = query if value is None else query.where(column == value)
    days: dict[str, dict[str, Any]] = defaultdict(lambda: dict.fromkeys(("returns", *_UNITS, *_DECIDED), 0))
    values = []
    for row in connection.execute(query).mappings():
        for name in ("returns", *_UNITS, *_DECIDED):
            days[row["day"]][name] += int(row[name])
        if row["currency"] is not None:
            values.append({"day": row["day"], "currency": row["currency"], "value": typed("money", row["value"])})
    return [{"day": one} | counts for one, counts in days.items()], values


def _counted(kinds: tuple[str, ...]) -> sa.ColumnElement[Any]:
    return sa.func.sum(sa.case((decisions.c.decision.in_(kinds), 1), else_=0))


def _same() -> sa.ColumnElement[bool]:
    return (decisions.c.merchant == returns.c.merchant) & (decisions.c.return_id == returns.c.return_id)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
