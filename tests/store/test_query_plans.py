"""Looks that are taken every second, or by every run, use an index that what is handled is not in: asserted on plans, at 100,000 rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from backhaul.domain.windows import Window
from backhaul.domain.words import DeliveryKind
from backhaul.receiver.metrics import Metrics
from backhaul.store import desk, due, events, outbox, overview, polls, quarantine, trends
from backhaul.store.engine import Store
from backhaul.store.facts import due_returns
from backhaul.store.returns import changed_in
from backhaul.store.runs import start_run
from backhaul.store.search import search
from backhaul.store.tables import metadata
from backhaul.store.transaction import Transaction
from backhaul.store.turns import longest_waiting_first
from backhaul.store.types import Json
from tests.stores import postgres_database, sqlite_store

ROWS = 100_000
NOW = datetime(2026, 3, 1, tzinfo=UTC)
LONG_AGO = "'2025-01-01 00:00:00.000000+00:00'"
DONE: dict[str, dict[str, str]] = {
    "returns": {
        "return_id": "'r' || i",
        "order_name": "'#' || i",
        "tracking_number": "'9400' || i",
        "loop_state": "'closed'",
        "warehouse": "'masonhub'",
        "first_state": "'open'",
        "created_at": LONG_AGO,
    },
    "decisions": {"return_id": "'r' || i", "decision_no": "1", "is_current": "true", "decision": "'process'"},
    "return_lines": {"return_id": "'r' || i", "line_item_id": "'1'", "sku": "'TEE-' || (i % 50)"},
    "rmas": {
        "rma_key": "'r' || i",
        "return_id": "'r' || i",
        "rma_id": "'m' || i",
        "package_id": "'9400' || i",
        "warehouse": "'masonhub'",
        "is_terminal": "true",
        "rma_status": "'received'",
    },
    "receipts": {"rma_key": "'r' || i", "return_id": "'r' || i", "received_at": LONG_AGO},
    "events": {"source": "'loop'", "channel": "'webhook'", "body_hash": "'h' || i", "record_key": "'r' || i", "handled_at": LONG_AGO},
    "deliveries": {
        "kind": "'rma.create'",
        "return_id": "'r' || i",
        "effect_key": "'e' || i",
        "state": "'confirmed'",
        "warehouse": "'masonhub'",
    },
    "runs": {"run_id": "'u' || i", "flow": "'sync'", "state": "'completed'"},
    "quarantine": {"source": "'loop'", "record_key": "'r' || i", "content_hash": "'c' || i", "released_at": LONG_AGO},
    "exceptions": {"kind": "'asn_only'", "subject": "'r' || i", "resolved_at": LONG_AGO},
    "polls": {"warehouse": "'masonhub'", "return_id": "'r' || i"},
    "whereabouts": {"return_id": "'r' || i", "stage": "'processed'", "value_at_risk": "i % 90"},
}
OPEN: dict[str, dict[str, str]] = {
    "returns": {"loop_state": "'open'", "is_due": "true"},
    "return_lines": {},
    "decisions": {"decision": "'hold'", "due_at": LONG_AGO},
    "rmas": {"is_terminal": "false", "rma_status": "'open'"},
    "receipts": {"received_at": "'2026-02-28 00:00:00.000000+00:00'"},
    "events": {"handled_at": "null"},
    "deliveries": {"state": "'pending'"},
    "runs": {"state": "'running'"},
    "quarantine": {"released_at": "null"},
    "exceptions": {"resolved_at": "null"},
    "polls": {},
    "whereabouts": {"stage": "'held'"},
}


def fill(connection: sa.Connection, name: str, first: int, count: int, values: dict[str, str]) -> None:
    """Rows `first` onwards of a table, in which what is not named has the emptiest value that it may have."""
    table = metadata.tables[name]
    columns: dict[str, str] = {}
    for column in table.columns:
        if column.name in values:
            columns[column.name] = values[column.name]
        elif column.name == "merchant":
            columns[column.name] = "'acme'"
        elif not column.nullable and not (column.primary_key and isinstance(column.type, sa.BigInteger)):
            columns[column.name] = _empty(column.type)
    counted = "WITH RECURSIVE n(i) AS (SELECT CAST(:first AS integer) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :stop)"
    as_times = {column.name for column in table.columns if type(column.type).__name__ == "Time"}
    chosen = (f"CAST({value} AS {'timestamptz' if connection.dialect.name == 'postgresql' else 'text'})" if name in as_times else value
              for name, value in columns.items())  # fmt: skip
    statement = f"INSERT INTO {name} ({', '.join(columns)}) {counted} SELECT {', '.join(chosen)} FROM n"
    connection.execute(sa.text(statement), {"first": first, "stop": first + count})


def _empty(kind: sa.types.TypeEngine[Any]) -> str:
    if type(kind).__name__ == "Time":
        return LONG_AGO
    if isinstance(kind, sa.Boolean):
        return "false"
    if isinstance(kind, Json):
        return "'{}'"
    return "0" if isinstance(kind, sa.Integer | sa.Float | sa.Numeric) else "''"


@pytest.fixture(scope="module", params=["sqlite", "sqlite analysed", "postgresql"])
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store in which 100,000 of everything are done, and a few are not."""
    with ExitStack() as stack:
        if request.param == "postgresql":
            url = stack.enter_context(postgres_database(request.getfixturevalue("postgres"), "plans"))
        else:
            url = sqlite_store(tmp_path_factory.mktemp("plans") / "store.db")
        yield from _filled(url, is_analysed=request.param != "sqlite")


def _filled(url: str, *, is_analysed: bool) -> Iterator[Store]:
    store = Store(url).ready()
    with store.write() as connection:
        for name, done in DONE.items():
            fill(connection, name, 1, ROWS, done)
            fill(connection, name, ROWS + 1, 20, done | OPEN[name])
    if is_analysed and store.is_sqlite:
        store.count_for_planner()
    elif is_analysed:
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
    yield store
    store.close()


def plans(store: Store, look: Callable[[sa.Connection], object]) -> list[str]:
    """The plan of every statement that a look sends, line by line. What it writes is undone."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if not many and re.match(r"\s*(SELECT|UPDATE|DELETE|WITH)", statement):
            sent.append((statement, parameters))

    with store.engine.connect() as connection:
        sa.event.listen(store.engine, "before_cursor_execute", note)
        try:
            look(connection)
        finally:
            sa.event.remove(store.engine, "before_cursor_execute", note)
        connection.rollback()
    assert sent
    explain = "EXPLAIN QUERY PLAN" if store.is_sqlite else "EXPLAIN"
    with store.engine.connect() as connection:
        return [str(row[-1]) for statement, values in sent for row in connection.exec_driver_sql(f"{explain} {statement}", values)]


def ways_in(store: Store, lines: list[str]) -> dict[str, set[str]]:
    """By table, the indexes that it is looked into with (`key` for its primary key); `whole` where it is read from end to end."""
    found: dict[str, set[str]] = {}
    for line in lines:
        if store.is_sqlite:
            at = re.match(r"(?:SEARCH|SCAN) (\w+)(?: USING (?:COVERING )?(?:INDEX (\w+)|INTEGER PRIMARY KEY))?", line)
            table, index = (at[1], at[2] or ("key" if "PRIMARY KEY" in line else "whole")) if at else (None, None)
        else:
            at = re.search(r"(?:Seq Scan|(?:Index|Index Only) Scan(?: Backward)? using (\w+)) on (\w+)|Bitmap Index Scan on (\w+)", line)
            table, index = (at[2], at[1] or at[3] or "whole") if at else (None, None)
        if index is not None:
            owner = next((name for name in metadata.tables if index in (f"pk_{name}", f"sqlite_autoindex_{name}_1")), None)
            owner = owner or next((name for name, t in metadata.tables.items() if index in {i.name for i in t.indexes}), table)
            found.setdefault(str(owner), set()).add("key" if index.startswith(("pk_", "sqlite_autoindex_")) else index)
    return found


def keys_to_poll(is_announced_by_us: bool) -> Callable[[sa.Connection], object]:
    return lambda connection: polls.keys_to_poll(connection, "acme", "masonhub", NOW, 14, is_announced_by_us, 30)


def counted(connection: sa.Connection, query: str) -> object:
    return connection.execute(sa.text(query), {"merchant": "acme"}).all()


def by(connection: sa.Connection) -> Transaction:
    return Transaction(connection, "acme", "run", NOW)


UNSENT = {"ix_deliveries_open", "ix_deliveries_sending", "ix_deliveries_owed"}


def transaction(connection: sa.Connection) -> Transaction:
    return Transaction(connection, "acme", "run", NOW)


LOOKS: dict[str, tuple[Callable[[sa.Connection], object], dict[str, set[str]]]] = {
    "events.claim": (lambda c: events.claim(by(c), 100), {"events": {"ix_events_waiting", "key"}}),
    "events.backlog": (lambda c: events.backlog(c, NOW), {"events": {"ix_events_waiting"}}),
    "due.due_together": (lambda c: due.due_together(by(c), list(DeliveryKind), None, 10), {"deliveries": {*UNSENT, "key"}}),
    "due.upcoming": (lambda c: due.upcoming(c, "acme", NOW), {"deliveries": {*UNSENT, "key"}}),
    "outbox.dead_owners": (lambda c: outbox.dead_owners(c, "acme", NOW), {"deliveries": UNSENT}),
    "due_returns": (
        lambda c: due_returns(c, "acme", NOW, "", 100),
        {"returns": {"ix_returns_due"}, "decisions": {"ix_decisions_due"}, "quarantine": {"ix_quarantine_held"}},
    ),
    "polls.keys_to_poll": (
        keys_to_poll(True),
        {
            "rmas": {"ix_rmas_open", "key"},
            "receipts": {"ix_receipts_received"},
            "decisions": {"ix_decisions_decision"},
            "deliveries": {"ix_deliveries_unconfirmed"},
            "polls": {"key"},
        },
    ),
    "polls.keys_to_poll, announced by others": (keys_to_poll(False), {"returns": {"ix_returns_live"}}),
    "quarantine.known_quarantine": (lambda c: quarantine.known_quarantine(c, "acme", "loop"), {"quarantine": {"ix_quarantine_held"}}),
    "search.search": (
        lambda c: search(c, "4711"),
        {
            "returns": {"ix_returns_find", "ix_returns_find_order", "ix_returns_find_tracking", "key"},
            "return_lines": {"ix_return_lines_find_sku"},
            "rmas": {"ix_rmas_find", "ix_rmas_find_package"},
            "quarantine": {"ix_quarantine_find", "ix_quarantine_find_order"},
        },
    ),
    "returns.changed_in": (lambda c: changed_in(c, "acme", Window(NOW, NOW + timedelta(days=1))), {"returns": {"ix_returns_updated"}}),
    "turns.longest_waiting_first": (
        lambda c: longest_waiting_first(c, "sync", ["acme"]),
        {"runs": {"ix_runs_merchant", "ix_runs_started"}},
    ),
    "overview.stages": (overview.stages, {"whereabouts": {"ix_whereabouts_standing", "whole"}}),
    "trends.by_day": (
        lambda c: trends.by_day(c, NOW.date(), NOW.date(), None, None),
        {"returns": {"ix_returns_created"}, "decisions": {"ix_decisions_current"}},
    ),
    "returns by their stage": (
        lambda c: desk.page(c, desk.RETURNS, {"merchant": "acme", "stage": "held"}),
        {"whereabouts": {"ix_whereabouts_by_stage", "ix_whereabouts_standing", "key"}, "returns": {"key", "ix_returns_find"}},
    ),
    "returns by their decision": (
        lambda c: desk.page(c, desk.RETURNS, {"decision": "hold"}),
        {"decisions": {"ix_decisions_decision", "ix_decisions_current"}, "returns": {"key", "ix_returns_find"}},
    ),
    "returns with most at risk": (
        lambda c: desk.page(c, desk.RETURNS, {}, order="value_at_risk", is_counted=False),
        {"whereabouts": {"ix_whereabouts_at_risk"}, "returns": {"key", "ix_returns_find"}},
    ),
    "exceptions that are open": (
        lambda c: counted(c, "SELECT kind, why FROM recon_exceptions WHERE merchant = :merchant"),
        {"exceptions": {"ix_exceptions_open"}},
    ),
}


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_that_is_taken_often_passes_what_is_handled_by(full: Store, name: str) -> None:
    look, allowed = LOOKS[name]
    lines = plans(full, look)
    found = ways_in(full, lines)
    for table, indexes in allowed.items():
        assert found.get(table) and found[table] <= indexes, "\n".join(lines)


def test_a_run_that_starts_looks_at_the_running_ones_only(full: Store) -> None:
    lines = plans(full, lambda _: start_run(full, "sync", "acme", "command", NOW))
    assert ways_in(full, lines)["runs"] <= {"ix_runs_running", "key"}, "\n".join(lines)


def test_metrics_count_what_is_not_through(full: Store) -> None:
    lines = plans(full, lambda _: Metrics(full, lambda: NOW + timedelta(seconds=1)).text())
    found = ways_in(full, lines)
    assert {name: found[name] for name in ("events", "deliveries", "quarantine")} == {
        "events": {"ix_events_waiting"},
        "deliveries": {"ix_deliveries_owed", "ix_deliveries_held_back"},
        "quarantine": {"ix_quarantine_held"},
    }, "\n".join(lines)
