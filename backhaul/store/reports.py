"""What the views say, for the commands that show it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

_STAGES = "SELECT stage, count(*) FROM recon_returns WHERE merchant = :merchant GROUP BY stage ORDER BY stage"
_KINDS = "SELECT kind, count(*) FROM recon_exceptions WHERE merchant = :merchant GROUP BY kind ORDER BY kind"
_EXCEPTIONS = "SELECT * FROM recon_exceptions WHERE merchant = coalesce(:merchant, merchant) ORDER BY opened_at, merchant, kind, subject"
_STANDING = """
SELECT merchant, warehouse, stage, decision, currency, count(*) AS returns, sum(expected_units) AS units,
       round(sum(return_total), 2) AS value, round(sum(value_at_risk), 2) AS at_risk
FROM recon_returns GROUP BY merchant, warehouse, stage, decision, currency ORDER BY merchant, stage, decision, currency
"""
_DISCREPANCIES = """
SELECT merchant, kind, currency, count(DISTINCT return_id) AS returns, sum(units) AS units, round(sum(value), 2) AS value
FROM recon_discrepancies GROUP BY merchant, kind, currency ORDER BY merchant, kind, currency
"""
_FIRST_EXCEPTIONS = "SELECT merchant, kind, return_id, why FROM recon_exceptions ORDER BY merchant, kind, return_id LIMIT :limit"


def returns_by_stage(connection: sa.Connection, merchant: str) -> dict[str, int]:
    """How many of a merchant's returns are at each stage."""
    return {stage: count for stage, count in connection.execute(sa.text(_STAGES), {"merchant": merchant})}


def exceptions_by_kind(connection: sa.Connection, merchant: str) -> dict[str, int]:
    """How many of a merchant's exceptions are open of each kind."""
    return {kind: count for kind, count in connection.execute(sa.text(_KINDS), {"merchant": merchant})}


def all_exceptions(connection: sa.Connection, merchant: str | None) -> list[dict[str, Any]]:
    """All that needs a person, oldest first; of every merchant when none is named."""
    return _rows(connection, _EXCEPTIONS, merchant=merchant)


def first_exceptions(connection: sa.Connection, limit: int) -> list[dict[str, Any]]:
    """Merchant, kind, return and cause of some of what needs a person."""
    return _rows(connection, _FIRST_EXCEPTIONS, limit=limit)


def where_returns_stand(connection: sa.Connection) -> list[dict[str, Any]]:
    """How many returns, units and how much value are at each stage, by merchant, warehouse and decision."""
    return _rows(connection, _STANDING)


def discrepancies_by_kind(connection: sa.Connection) -> list[dict[str, Any]]:
    """How many returns, units and how much value each kind of discrepancy concerns, by merchant."""
    return _rows(connection, _DISCREPANCIES)


def _rows(connection: sa.Connection, words: str, **values: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(sa.text(words), values).mappings()]
