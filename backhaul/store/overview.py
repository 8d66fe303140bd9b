"""What the console's first page and a merchant's page ask of the store."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from backhaul.store.desk import typed
from backhaul.store.indexed import IS_OWED, IS_QUARANTINED, IS_WAITING
from backhaul.store.tables import deliveries, events, operator_actions, quarantine, reason_codes, runs
from backhaul.store.watermarks import all_watermarks

NEWEST = 5_000  # returns of a merchant in which reasons without a code are looked for
_LOOKED_BACK = 20_000  # events, newest first: what came last is among them, and finding it costs the same in any store

_STAGES = """
SELECT merchant, stage, currency, count(*) AS returns, sum(value_at_risk) AS at_risk
FROM whereabouts GROUP BY merchant, stage, currency ORDER BY merchant, stage, currency
"""
_EXCEPTIONS = """
SELECT merchant, kind, sum(CASE WHEN age_days < 1 THEN 1 ELSE 0 END) AS today,
       sum(CASE WHEN age_days >= 1 AND age_days < 3 THEN 1 ELSE 0 END) AS days,
       sum(CASE WHEN age_days >= 3 AND age_days < 7 THEN 1 ELSE 0 END) AS week,
       sum(CASE WHEN age_days >= 7 THEN 1 ELSE 0 END) AS older, count(*) AS total
FROM recon_exceptions GROUP BY merchant, kind ORDER BY total DESC, kind
"""
_LAST_NEWS = """
SELECT merchant, source, max(received_at) AS received_at,
       max(CASE WHEN channel = 'webhook' THEN received_at END) AS webhook_at,
       sum(CASE WHEN channel = 'webhook' AND received_at >= :since THEN 1 ELSE 0 END) AS webhooks,
       sum(CASE WHEN outcome IS NOT NULL AND received_at >= :since THEN 1 ELSE 0 END) AS odd
FROM events WHERE event_id > (SELECT coalesce(max(event_id), 0) FROM events) - :looked_back
GROUP BY merchant, source ORDER BY merchant, source
"""
_GAPS = """
SELECT l.return_reason, count(*) AS lines, max(r.created_at) AS last_seen_at
FROM (SELECT merchant, return_id, created_at FROM returns WHERE merchant = :merchant AND created_at IS NOT NULL
      ORDER BY created_at DESC LIMIT :newest) r
JOIN return_lines l ON l.merchant = r.merchant AND l.return_id = r.return_id
LEFT JOIN reason_codes c ON c.merchant = l.merchant AND c.reason = l.reason_key
WHERE l.return_reason IS NOT NULL AND c.code IS NULL
GROUP BY l.return_reason ORDER BY lines DESC
"""


def stages(connection: sa.Connection) -> list[dict[str, Any]]:
    """How many returns are at each stage, with the value at risk, by merchant and currency."""
    rows = connection.execute(sa.text(_STAGES)).mappings()
    return [dict(row) | {"at_risk": typed("money", row["at_risk"])} for row in rows]


def exceptions_by_age(connection: sa.Connection) -> list[dict[str, Any]]:
    """How many exceptions are open of each kind and age, by merchant; the most numerous first."""
    return [dict(row) for row in connection.execute(sa.text(_EXCEPTIONS)).mappings()]


def last_news(connection: sa.Connection, now: datetime) -> list[dict[str, Any]]:
    """What each source of each merchant said last, by webhook and at all; webhooks and odd events of the last day."""
    since = sa.bindparam("since", now - timedelta(days=1), type_=events.c.received_at.type)
    rows = connection.execute(sa.text(_LAST_NEWS).bindparams(since), {"looked_back": _LOOKED_BACK}).mappings()
    return [dict(row) | {name: typed("time", row[name]) for name in ("received_at", "webhook_at")} for row in rows]


def backlogs(connection: sa.Connection) -> dict[str, dict[str, int]]:
    """How much waits, by merchant: events not taken in, deliveries not through, records in quarantine."""
    found: dict[str, dict[str, int]] = {}
    for name, table, condition in (
        ("events", events, IS_WAITING),
        ("deliveries", deliveries, IS_OWED),
        ("quarantined", quarantine, IS_QUARANTINED),
    ):
        query = sa.select(table.c.merchant, sa.func.count()).where(condition.of(table)).group_by(table.c.merchant)
        for merchant, number in connection.execute(query):
            found.setdefault(merchant, {})[name] = number
    return found


def failed_runs(connection: sa.Connection, since: datetime, limit: int = 8) -> list[dict[str, Any]]:
    """The newest runs that failed since a moment."""
    query = sa.select(runs).where(runs.c.state == "failed", runs.c.started_at >= since).order_by(runs.c.started_at.desc()).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def one_run(connection: sa.Connection, run_id: str) -> dict[str, Any] | None:
    """One run, all of it."""
    row = connection.execute(sa.select(runs).where(runs.c.run_id == run_id)).mappings().first()
    return None if row is None else dict(row)


def last_runs(connection: sa.Connection, merchant: str, limit: int = 8) -> list[dict[str, Any]]:
    """A merchant's newest runs."""
    query = sa.select(runs).where(runs.c.merchant == merchant).order_by(runs.c.started_at.desc()).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def sources(connection: sa.Connection, merchant: str) -> dict[str, datetime]:
    """How far each source of a merchant was taken in."""
    return {one.source: one.high_water_at for one in all_watermarks(connection, merchant)}


def acts(connection: sa.Connection, merchant: str, limit: int = 10) -> list[dict[str, Any]]:
    """What people did about a merchant, newest first."""
    query = sa.select(operator_actions).where(operator_actions.c.merchant == merchant).order_by(operator_actions.c.acted_at.desc())
    return [dict(row) for row in connection.execute(query.limit(limit)).mappings()]


def reason_gaps(connection: sa.Connection, merchant: str) -> list[dict[str, Any]]:
    """The customers' reasons that no warehouse code is given for, in the merchant's newest returns (`recon_unmapped_reasons` has all)."""
    rows = connection.execute(sa.text(_GAPS), {"merchant": merchant, "newest": NEWEST}).mappings()
    return [dict(row) | {"last_seen_at": typed("time", row["last_seen_at"])} for row in rows]


def reason_table(connection: sa.Connection, merchant: str) -> dict[str, str]:
    """The warehouse's code of each reason, as it was last used."""
    query = sa.select(reason_codes.c.reason, reason_codes.c.code).where(reason_codes.c.merchant == merchant).order_by(reason_codes.c.reason)
    return {row.reason: row.code for row in connection.execute(query)}
