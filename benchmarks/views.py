"""How long the public views take on a million returns of one merchant and a year: whole, and for one month of it.

The store is filled by SQL, with the shares that a merchant has: four of five processed, one of twelve flagged, the rest under way.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from backhaul.domain.business_days import numbered
from backhaul.store.engine import Store
from backhaul.store.months import keep_months
from backhaul.store.service_levels import keep_targets
from backhaul.store.snapshots import take_snapshot
from backhaul.store.tables import metadata
from backhaul.store.transaction import Transaction
from backhaul.store.views import VIEWS
from backhaul.store.whereabouts import fill_missing
from benchmarks.surroundings import DATABASES, folder

YEAR = 365 * 86_400  # seconds
MERCHANT = "acme"
# By view, the column that a month is told by; a view that is not here is filtered by merchant alone.
MONTH_BY = {
    "recon_returns": "created_at",
    "recon_open": "created_at",
    "recon_lines": "created_at",
    "recon_daily": "day",
    "recon_cycle_times": "created_at",
    "recon_monthly": "month",
    "recon_scorecards": "month",
    "recon_daily_history": "day",
    "recon_service_levels": "created_at",
    "processed_not_received": "created_at",
    "received_not_processed": "created_at",
}


def measure(count: int) -> dict[str, dict[str, Any]]:
    """By database: the slowest view whole and filtered, in seconds, and each one's."""
    found: dict[str, dict[str, Any]] = {}
    for name, database in DATABASES.items():
        with database() as fresh, folder() as path:
            store = Store(fresh(path)).ready()
            began = time.monotonic()
            fill(store, count)
            filled_in = time.monotonic() - began
            took = {view: _times(store, view) for view in VIEWS}
            store.close()
        found[name] = {
            "views_1m_slowest_s": max(whole for whole, _ in took.values()),
            "views_1m_month_slowest_s": max(month for _, month in took.values()),
            "views": {"returns": count, "filled_in_s": round(filled_in), "whole_and_month_s": took},
        }
    return found


def fill(store: Store, count: int) -> None:
    """A year of one merchant's returns, up to now."""
    start = int((datetime.now(UTC) - timedelta(days=365)).timestamp())
    is_sqlite = store.is_sqlite

    def at(seconds: str) -> str:
        moment = f"{start} + {seconds}"
        if is_sqlite:
            return f"strftime('%Y-%m-%d %H:%M:%S', {moment}, 'unixepoch') || '.000000+00:00'"
        return f"to_timestamp({moment})"

    created = f"CAST(i AS bigint) * {YEAR} / {count}"
    with store.write() as connection:
        for table, columns, where in _tables(created, at, is_sqlite, count):
            _insert(connection, table, columns, where, count)
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    with store.write() as connection:
        fill_missing(connection)
        tx = Transaction(connection, MERCHANT, "run", datetime.now(UTC))
        keep_targets(tx, {"announce": 1, "inspect": 3}, numbered(date(2024, 1, 1), date(2027, 12, 31), ()))
        take_snapshot(tx)
        keep_months(tx)
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE" if is_sqlite else "VACUUM ANALYZE")


def _tables(created: str, at: Callable[[str], str], is_sqlite: bool, count: int) -> list[tuple[str, dict[str, str], str]]:
    """Each table's columns as SQL of `i`, the return's number, and which numbers have a row."""
    key, none = "CAST(i AS text)", "'[]'" if is_sqlite else "CAST('[]' AS jsonb)"
    state = "CASE WHEN i % 100 < 80 THEN 'closed' WHEN i % 100 < 88 THEN 'review' ELSE 'open' END"
    decision = "CASE WHEN i % 100 < 80 THEN 'process' WHEN i % 100 < 88 THEN 'flag' WHEN i % 100 < 90 THEN 'hold' ELSE 'wait' END"
    condition = (
        "CASE WHEN i % 100 < 80 THEN 'available' WHEN i % 100 < 88 THEN 'damaged' WHEN i % 100 < 90 THEN 'pending' ELSE 'awaited' END"
    )
    money = {"price": "10 + i % 90", "discount": "i % 3", "tax": "1"}
    counts = {f"{name}_units": "0" for name in ("expected", "available", "damaged", "pending", "missing", "awaited", "unverifiable")}
    counts |= {"unexpected_units": "0", "expected_units": "1", "available_units": "CASE WHEN i % 100 < 80 THEN 1 ELSE 0 END"}
    counts |= {"damaged_units": "CASE WHEN i % 100 BETWEEN 80 AND 87 THEN 1 ELSE 0 END"}
    line = {"return_id": key, "line_item_id": key, "sku": "'SKU-' || (i % 500)", "return_reason": "'reason ' || (i % 12)"}
    owed = {
        "return_id": key,
        "warehouse": "'masonhub'",
        "owed_since": at(created),
        "created_at": at(created),
        "next_attempt_at": at(created),
    }
    sent = owed | {"accepted_at": at(f"{created} + 60"), "confirmed_at": at(f"{created} + 864000"), "state": "'confirmed'"}
    return [
        (
            "returns",
            {
                "return_id": key,
                "loop_state": state,
                "created_at": at(created),
                "updated_at": at(f"{created} + 864000"),
                "order_name": f"'#' || {key}",
                "outcome": "'refund'",
                "currency": "'USD'",
                "return_total": "11 + i % 90",
                "refund": "11 + i % 90",
                "tracking_number": f"'1Z' || {key}",
                "label_status": "'in_transit'",
                "is_paid": "i % 100 < 80",
                "warehouse": "'masonhub'",
                "content_hash": key,
                "version_no": "1",
                "first_state": "'open'",
                "first_seen_at": at(created),
                "loaded_at": at(created),
            },
            "",
        ),
        ("return_lines", line | money | {"reason_key": "'reason ' || (i % 12)", "title": "'A tee'"}, ""),
        (
            "matches",
            {
                "return_id": key,
                "match_no": "0",
                "line_item_id": key,
                "sku": line["sku"],
                "condition": condition,
                "units": "1",
                "discrepancy": f"CASE WHEN i % 100 BETWEEN 80 AND 89 THEN {condition} END",
            },
            "",
        ),
        (
            "decisions",
            counts
            | {
                "return_id": key,
                "decision_no": "1",
                "is_current": "true",
                "decision": decision,
                "reasons": none,
                "policy_hash": "'p'",
                "decided_at": at(f"{created} + 800000 + i % 9999"),
                "assessed_at": at(created),
            },
            "",
        ),
        (
            "rmas",
            {
                "rma_key": key,
                "return_id": key,
                "rma_id": key,
                "rma_status": "'received'",
                "rma_stage": "'received'",
                "is_terminal": "true",
                "warehouse": "'masonhub'",
                "content_hash": key,
                "first_seen_at": at(created),
            },
            "i % 100 < 95",
        ),
        (
            "receipts",
            {
                "rma_key": key,
                "return_id": key,
                "event_status": "'received'",
                "as_of": at(created),
                "delivered_at": at(f"{created} + 600000"),
                "received_at": at(f"{created} + 700000"),
            },
            "i % 100 < 90",
        ),
        ("receipt_lines", {"rma_key": key, "line_no": "0", "sku": line["sku"], "condition": condition, "units": "1"}, "i % 100 < 90"),
        ("deliveries", sent | {"kind": "'rma.create'", "effect_key": f"'rma.create:' || {key}"}, ""),
        (
            "deliveries",
            sent | {"kind": "'loop.process'", "effect_key": f"'loop.process:' || {key}", "outcomes_at": at(created)},
            "i % 100 < 80",
        ),
        ("deliveries", sent | {"kind": "'loop.flag'", "effect_key": f"'loop.flag:' || {key}"}, "i % 100 BETWEEN 80 AND 87"),
        (
            "exceptions",
            {
                "kind": "'delivery_refused'",
                "subject": f"'loop.process:' || {key}",
                "return_id": key,
                "why": "'no'",
                "remedy": "'see'",
                "opened_at": at(created),
                "resolved_at": f"CASE WHEN i % 1000 < 495 THEN {at(created)} END",
            },
            "i % 100 BETWEEN 48 AND 49",
        ),
        (
            "events",
            {
                "source": "CASE WHEN i % 3 = 0 THEN 'masonhub' ELSE 'loop' END",
                "channel": "CASE WHEN i % 2 = 0 THEN 'webhook' ELSE 'poll' END",
                "topic": "'return.created'",
                "record_key": key,
                "body_hash": key,
                "received_at": at(created),
                "handled_at": f"CASE WHEN i % 100000 <> 7 THEN {at(created)} END",
                "outcome": "CASE WHEN i % 5000 = 9 THEN 'unreadable' END",
            },
            "",
        ),
        (
            "quarantine",
            {
                "source": "CASE WHEN i % 300 = 0 THEN 'masonhub' ELSE 'loop' END",
                "record_key": key,
                "order_name": f"'#' || {key}",
                "rules": none,
                "reason": "'price is negative'",
                "body": """'{"price": "-1"}'""",
                "content_hash": key,
                "quarantined_at": at(created),
                "released_at": f"CASE WHEN i % 1000 <> 0 THEN {at(created)} END",
            },
            "i % 100 = 0",
        ),
        (
            "runs",
            {
                "run_id": f"'run-' || {key}",
                "flow": "CASE WHEN i % 50 = 0 THEN 'reconcile' ELSE 'sync' END",
                "trigger": "'schedule'",
                "state": "CASE WHEN i % 9001 = 5 THEN 'failed' ELSE 'completed' END",
                "started_at": at(f"CAST(i AS bigint) * {YEAR * 10} / {count}"),
                "counts": "'{}'" if is_sqlite else "CAST('{}' AS jsonb)",
                "duration_s": "1.5",
            },
            f"i <= {count // 10}",
        ),
        ("reason_codes", {"reason": "'reason ' || i", "code": "'other'"}, "i <= 6"),
    ]


def _insert(connection: sa.Connection, name: str, columns: dict[str, str], where: str, count: int) -> None:
    table = metadata.tables[name]
    values = dict(columns)
    for column in table.columns:
        is_numbered = column.primary_key and isinstance(column.type, sa.BigInteger)
        if column.name not in values and not column.nullable and not is_numbered:
            values[column.name] = f"'{MERCHANT}'" if column.name == "merchant" else _empty(column.type)
    if connection.dialect.name == "postgresql":
        source = f"generate_series(1, {count}) AS n(i)"
    else:
        source = f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n)"
    chosen = f" WHERE {where}" if where else ""
    statement = f"INSERT INTO {name} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM {source}{chosen}"
    connection.exec_driver_sql(statement.replace("%", "%%") if connection.dialect.name == "postgresql" else statement)


def _empty(kind: sa.types.TypeEngine[Any]) -> str:
    if isinstance(kind, sa.Boolean):
        return "false"
    return "0" if isinstance(kind, sa.Integer | sa.Float | sa.Numeric) else "''"


def _times(store: Store, view: str) -> tuple[float, float]:
    """Seconds for all rows of a view, and for those of the merchant and one month; every column is worked out, no row is fetched."""
    month = (datetime.now(UTC) - timedelta(days=75)).strftime("%Y-%m")
    column = MONTH_BY.get(view)
    month_filter = f" AND {column} >= '{month}-01' AND {column} < '{month}-29'" if column else ""
    month_filter = f" AND month = '{month}'" if column == "month" else month_filter
    return _timed(store, view, ""), _timed(store, view, f" WHERE merchant = '{MERCHANT}'{month_filter}")


def _timed(store: Store, view: str, where: str) -> float:
    with store.read() as connection:
        names = list(connection.exec_driver_sql(f"SELECT * FROM {view} LIMIT 0").keys())
        every = ", ".join(f"count({name})" for name in names)
        began = time.monotonic()
        connection.exec_driver_sql(f"SELECT {every} FROM {view}{where}").all()
        return round(time.monotonic() - began, 2)


if __name__ == "__main__":
    for database, numbers in measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000).items():
        print(database, numbers["views"]["filled_in_s"], "s to fill")
        for view, (whole, month) in numbers["views"]["whole_and_month_s"].items():
            print(f"  {view:<26} {whole:>7.2f} {month:>7.2f}")
