"""What a person has confirmed: units of an RMA's SKU that belong to another return."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from backhaul.store import bulk
from backhaul.store.prepared import Parameter, one_of, prepared
from backhaul.store.tables import receipt_lines, ties
from backhaul.store.transaction import Transaction

_CANDIDATES = """
SELECT * FROM recon_candidates WHERE merchant = coalesce(:merchant, merchant) AND rma_key = coalesce(:rma_key, rma_key)
ORDER BY merchant, found_at, rma_key, sku, condition, place
"""


def candidates(connection: sa.Connection, merchant: str | None, rma_key: str | None = None) -> list[dict[str, Any]]:
    """Units that no line expected, each with the lines that may be theirs, likeliest first."""
    values = {"merchant": merchant, "rma_key": rma_key}
    return [dict(row) for row in connection.execute(sa.text(_CANDIDATES), values).mappings()]


def ties_about(connection: sa.Connection, merchant: str, keys: Sequence[str]) -> list[sa.Row[Any]]:
    """The ties to these returns, and those of units that came under their own RMAs."""
    return list({(row.rma_key, row.sku): row for row in _about.for_keys(connection, keys, merchant=merchant)}.values())


@prepared
def _about(merchant: Parameter, keys: Parameter) -> sa.Select[Any]:
    return sa.select(ties).where(ties.c.merchant == merchant, one_of(ties.c.return_id, keys) | one_of(ties.c.rma_key, keys))


def tied_skus(connection: sa.Connection, merchant: str, rma_keys: Sequence[str]) -> dict[str, dict[str, str]]:
    """By RMA and SKU, the return that its units are tied to."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    query = sa.select(ties).where(ties.c.merchant == merchant)
    for row in bulk.select_by_keys(connection, query, ties.c.rma_key, rma_keys):
        found[row.rma_key][row.sku] = row.return_id
    return found


def has_untied(connection: sa.Connection, merchant: str, rma_key: str) -> bool:
    """Whether units came under an RMA that are tied to no return."""
    same = (ties.c.merchant == receipt_lines.c.merchant) & (ties.c.rma_key == receipt_lines.c.rma_key)
    of_line = sa.exists().where(same, ties.c.sku == sa.func.trim(receipt_lines.c.sku))
    mine = (receipt_lines.c.merchant == merchant) & (receipt_lines.c.rma_key == rma_key) & (receipt_lines.c.units > 0)
    return connection.execute(sa.select(sa.exists().where(mine, ~of_line))).scalar_one()


def keep_ties(tx: Transaction, rma_key: str, skus: Iterable[str], return_id: str) -> None:
    """Keep that an RMA's units of these SKUs, as far as no line of its own takes them, are this return's."""
    columns = ("merchant", "rma_key", "sku", "return_id", "tied_at")
    bulk.insert(tx.connection, ties, columns, [(tx.merchant, rma_key, sku, return_id, tx.now) for sku in skus])
    tx.move([rma_key, return_id])
