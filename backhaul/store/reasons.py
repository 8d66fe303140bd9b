"""The config's table of reasons, kept where the coverage view can read it."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from backhaul.store.tables import reason_codes
from backhaul.store.transaction import Transaction


def stored_reasons(connection: sa.Connection, merchant: str) -> dict[str, str]:
    """A merchant's table as it is kept."""
    query = sa.select(reason_codes.c.reason, reason_codes.c.code).where(reason_codes.c.merchant == merchant)
    return {reason: code for reason, code in connection.execute(query)}


def replace_reasons(tx: Transaction, table: Mapping[str, str]) -> None:
    """Keep this table in place of the one before."""
    tx.connection.execute(sa.delete(reason_codes).where(reason_codes.c.merchant == tx.merchant))
    for reason, code in sorted(table.items()):
        tx.connection.execute(sa.insert(reason_codes).values(merchant=tx.merchant, reason=reason, code=code))
