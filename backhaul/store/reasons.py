"""The config's table of reasons, kept where the coverage view can read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from backhaul.store.prepared import Parameter, prepared
from backhaul.store.tables import reason_codes
from backhaul.store.transaction import Transaction


def stored_reasons(connection: sa.Connection, merchant: str) -> dict[str, str]:
    """A merchant's table as it is kept."""
    return {reason: code for reason, code in _of(connection, merchant=merchant)}


@prepared
def _of(merchant: Parameter) -> sa.Select[Any]:
    return sa.select(reason_codes.c.reason, reason_codes.c.code).where(reason_codes.c.merchant == merchant)


def replace_reasons(tx: Transaction, table: Mapping[str, str]) -> None:
    """Keep this table in place of the one before."""
    tx.connection.execute(sa.delete(reason_codes).where(reason_codes.c.merchant == tx.merchant))
    for reason, code in sorted(table.items()):
        tx.connection.execute(sa.insert(reason_codes).values(merchant=tx.merchant, reason=reason, code=code))
