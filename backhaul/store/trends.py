"""What the charts draw: the daily figures, added up over the merchants, warehouses and days that are asked for."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from backhaul.store.desk import typed

_COUNTS = ("returns", "available_units", "damaged_units", "missing_units", "processed_returns", "flagged_returns", "open_returns")


def by_day(connection: sa.Connection, first: str, last: str, merchant: str | None, warehouse: str | None) -> list[dict[str, Any]]:
    """A row a day from `first` to `last` (ISO days, both counted): returns and units, over all currencies."""
    sums = ", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in _COUNTS)
    conditions, values = _chosen(first, last, merchant, warehouse)
    statement = f"SELECT day, {sums} FROM recon_daily WHERE {conditions} GROUP BY day ORDER BY day"  # noqa: S608 - words of this module
    return [{name: value if name == "day" else int(value) for name, value in row.items()}
            for row in connection.execute(sa.text(statement), values).mappings()]  # fmt: skip


def value_by_day(connection: sa.Connection, first: str, last: str, merchant: str | None, warehouse: str | None) -> list[dict[str, Any]]:
    """A row a day and currency: the value of the returns that were started."""
    conditions, values = _chosen(first, last, merchant, warehouse)
    statement = (
        f"SELECT day, currency, sum(return_total) AS value FROM recon_daily WHERE {conditions} "  # noqa: S608 - words of this module
        "AND currency IS NOT NULL GROUP BY day, currency ORDER BY day"
    )
    return [dict(row) | {"value": typed("money", row["value"])} for row in connection.execute(sa.text(statement), values).mappings()]


def _chosen(first: str, last: str, merchant: str | None, warehouse: str | None) -> tuple[str, dict[str, str]]:
    conditions, values = ["day >= :first", "day <= :last"], {"first": first, "last": last}
    for name, value in (("merchant", merchant), ("warehouse", warehouse)):
        if value:
            conditions.append(f"{name} = :{name}")
            values[name] = value
    return " AND ".join(conditions), values
