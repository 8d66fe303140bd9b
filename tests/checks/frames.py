"""Frames as the connectors hand them on, one good row at a time, for the tests of the rules."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pandas as pd

from backhaul.checks import Table
from backhaul.domain import schema

STARTED = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
CHANGED = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

_SCHEMAS = {frame.name: frame for frame in (schema.RETURNS, schema.RETURN_LINES, schema.RECEIPTS, schema.RECEIPT_LINES)}
_GOOD: dict[Table, dict[str, Any]] = {
    "returns": {
        "return_id": "37603915",
        "loop_state": "open",
        "created_at": STARTED,
        "updated_at": CHANGED,
        "currency": "USD",
        "return_product_total": Decimal("156.00"),
        "return_discount_total": Decimal("6.10"),
        "return_tax_total": Decimal("8.58"),
        "return_total": Decimal("158.48"),
        "tracking_number": "9261290100130739999999",
    },
    "return_lines": {
        "return_id": "37603915",
        "line_item_id": "74017113",
        "sku": "SHIRT-M",
        "price": Decimal("78.00"),
        "discount": Decimal("0.00"),
        "tax": Decimal("4.29"),
    },
    "receipts": {
        "rma_key": "37603915",
        "return_id": "37603915",
        "event_status": "received",
        "as_of": CHANGED,
        "delivered_at": STARTED,
        "received_at": CHANGED,
    },
    "receipt_lines": {
        "rma_key": "37603915",
        "line_no": 0,
        "sku": "SHIRT-M",
        "condition": "available",
        "units": 2,
        "is_known": True,
    },
}


def good(table: Table, **changes: Any) -> dict[str, Any]:
    """One row that breaks no rule, but for the changes."""
    return _GOOD[table] | changes


def frame(table: Table, *rows: dict[str, Any]) -> pd.DataFrame:
    """Rows as a frame: the schema's columns in order, dtype object, None where a row says nothing."""
    columns = _SCHEMAS[table].all_columns
    return pd.DataFrame([[row.get(name) for name in columns] for row in rows], columns=list(columns), dtype=object)
