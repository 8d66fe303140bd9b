"""The reports of finance and operations on rows that are put in by hand, the same on both databases."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from backhaul.calendars import holidays_of, known_region
from backhaul.domain.business_days import numbered
from backhaul.domain.words import ExceptionKind
from backhaul.store.engine import Store
from backhaul.store.exceptions import raise_exception
from backhaul.store.months import keep_months
from backhaul.store.service_levels import keep_targets
from backhaul.store.snapshots import take_snapshot
from backhaul.store.tables import (
    decisions,
    deliveries,
    events,
    matches,
    receipt_lines,
    receipts,
    return_lines,
    returns,
    rmas,
    runs,
    watermarks,
)
from backhaul.store.transaction import Transaction
from backhaul.store.whereabouts import refresh
from tests.store.test_views import put_delivery, put_receipt, put_return

MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def store(store_url: str) -> Store:
    return Store(store_url).ready()


def write(store: Store, *statements: sa.Executable) -> None:
    with store.write() as connection:
        for statement in statements:
            connection.execute(statement)
        refresh(connection, "acme", list(connection.execute(sa.select(returns.c.return_id)).scalars()))


def by(connection: sa.Connection, now: datetime) -> Transaction:
    return Transaction(connection, "acme", "run", now)


def rows(store: Store, words: str) -> list[dict[str, Any]]:
    with store.read() as connection:
        return [dict(row) for row in connection.execute(sa.text(words)).mappings()]


def processed(store: Store, return_id: str, start: datetime, *hours: int) -> None:
    """A return of one line, processed: hours after its start at which it was announced, delivered, received, decided, told and done."""
    announced, delivered, received, decided, told, done = (start + timedelta(hours=hour) for hour in hours)
    put_return(store, return_id, ["available"], decision="process", state="closed")
    put_delivery(store, "rma.create", return_id, "confirmed")
    put_delivery(store, "loop.process", return_id, "confirmed")
    put_receipt(store, return_id, received)
    of = {table: table.c.return_id == return_id for table in (returns, decisions, deliveries)}
    write(
        store,
        sa.update(returns).where(of[returns]).values(created_at=start, first_seen_at=start, refund_processed_at=done),
        sa.update(decisions).where(of[decisions]).values(decided_at=decided, assessed_at=decided),
        sa.update(receipts).where(receipts.c.rma_key == return_id).values(delivered_at=delivered),
        sa.update(deliveries).where(of[deliveries], deliveries.c.kind == "rma.create").values(accepted_at=announced),
        sa.update(deliveries).where(of[deliveries], deliveries.c.kind == "loop.process").values(accepted_at=told, confirmed_at=done),
    )


def test_a_return_has_its_times_and_the_hours_between(store: Store) -> None:
    processed(store, "1", MONDAY, 1, 48, 60, 61, 62, 70)
    (row,) = rows(store, "SELECT * FROM recon_cycle_times")
    steps = ("announce", "label", "deliver", "receive", "decide", "tell", "finish")
    hours = [row[f"hours_to_{step}"] for step in steps] + [row["hours_in_all"]]
    assert hours[1] is None  # no update of its RMA, so no label that we know of
    assert [round(hour, 3) for hour in hours if hour is not None] == [1, 48, 12, 1, 1, 8, 70]


def test_a_month_has_the_percentiles_of_each_step(store: Store) -> None:
    for number in range(1, 11):
        processed(store, str(number), MONDAY, number, 48, 60, 61, 62, 70)
    words = "SELECT * FROM recon_monthly WHERE step = 'announce'"
    (row,) = rows(store, words)
    assert (row["month"], row["returns"], round(row["mean_hours"], 3), row["as_of"]) == ("2026-03", 10, 5.5, None)
    assert [round(row[name], 3) for name in ("p50_hours", "p90_hours", "p99_hours")] == [5, 9, 10]
    with store.write() as connection:
        assert keep_months(by(connection, MONDAY)) == 1
        assert keep_months(by(connection, MONDAY)) == 0  # nothing has changed since
    (kept,) = rows(store, words)
    assert kept["as_of"] is not None and {**kept, "as_of": None} == pytest.approx(row)
    processed(store, "11", MONDAY, 100, 101, 102, 103, 104, 105)
    assert rows(store, words) == [kept]  # until the next reconcile
    with store.write() as connection:
        keep_months(by(connection, MONDAY + DAY))
    (anew,) = rows(store, words)
    assert (anew["returns"], round(anew["p99_hours"], 3)) == (11, 100)


def test_service_levels_count_business_days_and_say_what_is_met_late_or_due_soon(store: Store) -> None:
    friday = MONDAY + 4 * DAY
    processed(store, "met", friday, 72, 73, 74, 75, 76, 77)  # announced on Monday: one business day
    processed(store, "late", friday, 96, 97, 98, 99, 100, 101)  # on Tuesday: two
    put_return(store, "waits", ["awaited"])
    put_return(store, "fresh", ["awaited"])
    today = datetime.now(UTC)
    with store.write() as connection:
        days = numbered(date(2026, 1, 1), today.date() + 10 * DAY, {today.date()})
        keep_targets(by(connection, today), {"announce": 1}, days)
    write(
        store,
        sa.update(returns).where(returns.c.return_id == "waits").values(created_at=today - 9 * DAY),
        sa.update(returns).where(returns.c.return_id == "fresh").values(created_at=today),
    )
    found = {row["return_id"]: row for row in rows(store, "SELECT * FROM recon_service_levels")}
    assert {name: (row["taken_days"], row["status"]) for name, row in found.items() if name in ("met", "late", "fresh")} == {
        "met": (1, "met"),
        "late": (2, "late"),
        "fresh": (0, "due_soon"),
    }
    assert (found["waits"]["status"], found["met"]["due_on"]) == ("late", "2026-03-09")


def test_targets_that_are_taken_out_of_the_config_are_judged_no_more(store: Store) -> None:
    processed(store, "1", MONDAY, 1, 2, 3, 4, 5, 6)
    with store.write() as connection:
        keep_targets(by(connection, MONDAY), {"announce": 1, "decide": 1}, numbered(date(2026, 1, 1), date(2026, 12, 31), ()))
        keep_targets(by(connection, MONDAY), {"decide": 2}, numbered(date(2026, 1, 1), date(2026, 12, 31), ()))
    assert [(row["step"], row["within_days"]) for row in rows(store, "SELECT * FROM recon_service_levels")] == [("decide", 2)]


def test_weekends_and_holidays_bear_the_number_of_the_day_before() -> None:
    days = dict(numbered(date(2026, 7, 1), date(2026, 7, 6), holidays_of("US", 2026)))  # the 4th is a Saturday, kept on Friday
    assert days == {"2026-07-01": 1, "2026-07-02": 2, "2026-07-03": 2, "2026-07-04": 2, "2026-07-05": 2, "2026-07-06": 3}
    assert known_region("DE-BY") == "DE-BY"
    with pytest.raises(ValueError, match="such as US, US-CA"):
        known_region("Atlantis")


def test_a_scorecard_sets_the_reason_given_against_what_was_found(store: Store) -> None:
    put_return(store, "1", ["available", "damaged", "missing"])
    put_return(store, "2", ["damaged"])
    extra = {"merchant": "acme", "return_id": "1", "match_no": 9, "line_item_id": None, "sku": "TEE", "condition": "available"}
    write(
        store,
        sa.update(returns).values(created_at=MONDAY),
        sa.update(return_lines).values(return_reason="Too small"),
        sa.insert(matches).values(extra | {"discrepancy": "over", "units": 2}),
    )
    with store.write() as connection:
        raise_exception(by(connection, MONDAY), ExceptionKind.CLEAN_AFTER_FLAG, "2", "why", "2")
    found = {row["return_reason"]: row for row in rows(store, "SELECT * FROM recon_scorecards")}
    card = found["Too small"]
    assert [card[name] for name in ("sku", "month", "units", "available_units", "damaged_units", "short_units", "corrected_units")] == [
        *("TEE", "2026-03", 4, 1, 2, 1, 1)
    ]
    assert [Decimal(str(card[name])) for name in ("damaged_value", "short_value", "corrected_value")] == [
        *(Decimal("18.6"), Decimal("9.3"), Decimal("9.3"))
    ]
    assert round(float(card["damage_rate"]), 3) == 0.667
    assert (found[None]["over_units"], found[None]["units"]) == (2, 0)  # no line, so no reason


def test_freshness_tells_of_every_source_and_of_what_is_polled(store: Store) -> None:
    now = datetime.now(UTC)
    event = {"merchant": "acme", "topic": "t", "body": "{}", "body_hash": "h"}
    counts = dict.fromkeys(("records_in", "records_out", "unchanged", "quarantined", "delivered", "refused"), 0) | {"counts": {}}
    run = {"run_id": "u", "flow": "sync", "merchant": "acme", "trigger": "schedule", "state": "completed", "started_at": now - HOUR}
    write(
        store,
        sa.insert(watermarks).values(merchant="acme", source="loop", high_water_at=now - 2 * DAY),
        sa.insert(events).values(event | {"source": "masonhub", "channel": "poll", "occurred_at": now - DAY, "received_at": now - HOUR}),
        sa.insert(events).values(event | {"source": "loop", "channel": "webhook", "received_at": now - 3 * HOUR}),
        sa.insert(runs).values(run | counts | {"finished_at": now - HOUR}),
    )
    found = {(row["source"], row["channel"]): row for row in rows(store, "SELECT * FROM recon_freshness")}
    assert {key: round(row["lag_hours"]) for key, row in found.items()} == {
        ("loop", "list"): 48,
        ("loop", "webhook"): 3,
        ("masonhub", "poll"): 24,
    }
    assert [found[key]["checked_hours_ago"] is not None for key in sorted(found)] == [True, False, True]


def test_units_that_nobody_expected_are_offered_to_the_lines_that_lack_them(store: Store) -> None:
    put_return(store, "near", ["missing"])
    put_return(store, "by parcel", ["awaited"])
    put_return(store, "other", ["available"])
    parcel = {"merchant": "acme", "rma_key": "dc:9", "warehouse": "masonhub", "package_id": "1Z", "content_hash": "h", "run_id": "r"}
    line = {"merchant": "acme", "rma_key": "dc:9", "line_no": 0, "sku": "TEE", "condition": "available", "units": 1}
    write(
        store,
        sa.update(returns).where(returns.c.return_id == "by parcel").values(tracking_number="1Z"),
        sa.insert(rmas).values(parcel | {"first_seen_at": datetime.now(UTC), "manifest_id": "#1001-R1"}),
        sa.insert(receipt_lines).values(line),
    )
    found = rows(store, "SELECT * FROM recon_candidates ORDER BY place")
    assert [(row["kind"], row["candidate_return_id"]) for row in found] == [("blind", "by parcel"), ("blind", "near")]


def test_a_day_has_its_snapshot_and_the_days_before_are_worked_out_once(store: Store) -> None:
    processed(store, "1", MONDAY, 1, 24, 25, 26, 27, 48)
    put_return(store, "2", ["damaged"], decision="flag")
    write(
        store,
        sa.update(returns).where(returns.c.return_id == "2").values(created_at=MONDAY, first_seen_at=MONDAY, currency="USD"),
        sa.update(decisions).where(decisions.c.return_id == "2").values(decided_at=MONDAY + DAY, assessed_at=MONDAY + DAY),
    )
    with store.write() as connection:
        raise_exception(by(connection, MONDAY + DAY), ExceptionKind.DELIVERY_REFUSED, "loop.flag:2", "why", "2")
    write(store)
    for _ in range(2):
        with store.write() as connection:
            take_snapshot(by(connection, MONDAY + 3 * DAY))
    found = rows(store, "SELECT * FROM recon_daily_history ORDER BY day")
    counts = ("announced_returns", "unannounced_returns", "decided_returns", "processed_returns", "exception_returns", "open_exceptions")
    assert [(row["day"], *(row[name] for name in counts), bool(row["is_backfilled"])) for row in found] == [
        ("2026-03-02", 1, 1, 0, 0, 0, 0, True),
        ("2026-03-03", 0, 0, 2, 0, 0, 1, True),  # decided, and told, that day
        ("2026-03-04", 0, 0, 1, 1, 0, 1, True),
        ("2026-03-05", 0, 0, 0, 1, 1, 1, False),
    ]
    assert [row["value_at_risk"] if row["value_at_risk"] is None else Decimal(str(row["value_at_risk"])) for row in found][-2:] == [
        None,
        Decimal("9.3"),
    ]
