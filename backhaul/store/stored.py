"""What the tables took in lately, as rows of normalised frames: for those who judge it once more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from backhaul.domain.schema import Frame
from backhaul.store import bulk
from backhaul.store.tables import receipt_lines, receipts, return_lines, returns

Rows = list[dict[str, Any]]

# A head table, its key, the time by which a row is recent, and its lines.
_KINDS: Mapping[str, tuple[sa.Table, str, str, sa.Table]] = {
    "returns": (returns, "return_id", "loaded_at", return_lines),
    "receipts": (receipts, "rma_key", "as_of", receipt_lines),
}


def stored_since(connection: sa.Connection, merchant: str, heads: str, since: datetime, after: str, limit: int) -> tuple[Rows, Rows]:
    """Up to `limit` rows of `heads` (returns or receipts) that are not older than `since`, by key from `after` on, and all their lines."""
    table, key, recent, lines = _KINDS[heads]
    query = sa.select(table).where(table.c.merchant == merchant, table.c[recent] >= since, table.c[key] > after)
    found: Rows = [dict(row) for row in connection.execute(query.order_by(table.c[key]).limit(limit)).mappings()]
    of_them = sa.select(lines).where(lines.c.merchant == merchant)
    own = bulk.select_by_keys(connection, of_them, lines.c[key], [row[key] for row in found])
    return found, [dict(row._mapping) for row in own]


def as_frame_rows(rows: Rows, frame: Frame) -> list[list[Any]]:
    """Rows in the order of a frame's columns; what no table stores is absent."""
    return [[row.get(name) for name in frame.all_columns] for row in rows]
