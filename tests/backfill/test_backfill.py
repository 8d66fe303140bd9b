"""Backfill, over simulated vendors on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from msgspec import Raw

from backhaul.domain.windows import Window
from backhaul.errors import ConfigError, StoreError
from backhaul.pipeline import backfilling, intake
from backhaul.pipeline.backfilling import WindowsFailedError
from backhaul.sandbox import scenarios
from backhaul.sandbox.core.faults import Fault
from backhaul.sandbox.loop.wire import list_record
from backhaul.store import windows
from backhaul.store.transaction import Transaction
from backhaul.store.whereabouts import Difference, differences
from backhaul.store.windows import Scope
from flows.backfill import asked_range, backfill
from flows.sync import sync
from tests.backfill.conftest import MERCHANT, Line
from tests.connectors.vendor_server import Answer, Vendor


def _run(line: Line, back: int = 40, **options: object) -> dict[str, int]:
    start, end = line.days(back)
    return backfill.fn(MERCHANT, start, end, config=line.config, trigger="command", **options).counts


def test_a_backfill_reads_and_records_and_sends_nothing(line: Line) -> None:
    made = scenarios.populate(line.world, MERCHANT, returns=120, days=30, malformed=5)
    counts = _run(line)
    assert counts["records_in"] == 120 == counts["records_out"] + counts["quarantined"]
    assert line.rows("SELECT count(*) FROM returns WHERE is_history") == [(120 - len(made.spoiled_ids),)]
    assert line.rows("SELECT count(*) FROM decisions") == line.rows("SELECT count(*) FROM returns")
    assert line.rows("SELECT count(*) FROM deliveries") == [(0,)]
    assert line.world.journal.writes() == []
    assert line.rows("SELECT DISTINCT state FROM windows") == [("completed",)]
    assert line.rows("SELECT DISTINCT stage FROM recon_returns") == [("history",)]
    assert not _stands_elsewhere(line)


def _stands_elsewhere(line: Line) -> list[Difference]:
    """The returns of which the store keeps something else than their facts come to."""
    with line.store.read() as connection:
        return list(differences(connection, MERCHANT))


def test_the_warehouses_side_of_the_past_is_matched_too(sqlite_line: Line) -> None:
    line = sqlite_line
    scenarios.populate(line.world, MERCHANT, returns=40, days=5)
    sync.fn(MERCHANT, config=line.config)
    scenarios.receive_some(line.world, MERCHANT, share=1.0, mix={"damaged": 1})
    for table in ("returns", "return_lines", "rmas", "receipts", "receipt_lines", "decisions", "matches", "deliveries", "watermarks"):
        line.write(f"DELETE FROM {table}")
    before = line.world.journal.count("masonhub.create")
    line.write("DELETE FROM whereabouts")
    _run(line, 8)
    assert not _stands_elsewhere(line)
    assert line.rows("SELECT count(*) FROM recon_returns WHERE damaged_units > 0")[0][0] > 10
    assert line.world.journal.count("masonhub.create") == before and line.rows("SELECT count(*) FROM deliveries") == [(0,)]


def test_a_rerun_does_only_what_is_not_done_and_force_changes_nothing(line: Line) -> None:
    scenarios.populate(line.world, MERCHANT, returns=60, days=30)
    _run(line)
    tables = line.tables("windows")
    calls = line.world.journal.count("loop.list")
    again = _run(line)
    assert again["windows_planned"] == 1  # the one that ends now: time has passed
    assert line.world.journal.count("loop.list") == calls + 5
    forced = _run(line, force=True)
    assert forced["windows_planned"] >= 6 and forced["unchanged"] == forced["records_in"] == 60
    assert line.tables("windows") == tables


def test_a_failing_window_stops_no_other_is_named_and_is_all_that_a_rerun_does(sqlite_line: Line) -> None:
    line = sqlite_line
    scenarios.populate(line.world, MERCHANT, returns=60, days=30)
    bad = backfilling.cut(Window(line.world.now - timedelta(days=20), line.world.now))[1]
    line.world.faults.add(Fault(target="loop.list", kind="400", times=None, record=f"{bad.start:%Y-%m-%dT00:00:00.000Z}&to="[:10]))
    with pytest.raises(WindowsFailedError) as failure:
        _run(line)
    assert str(bad) in str(failure.value) and "answered 400" in str(failure.value)
    states = dict(line.rows("SELECT state, count(*) FROM windows GROUP BY state"))
    assert states["completed"] >= 4 and 1 <= states["failed"] <= 2  # the one before ends where the bad one starts
    line.world.faults.clear()
    counts = _run(line)
    assert counts["windows_planned"] == states["failed"] + 1
    assert line.rows("SELECT count(*) FROM returns") == [(60,)]


def test_with_act_what_was_history_is_acted_on_as_sync_would(sqlite_line: Line) -> None:
    line = sqlite_line
    scenarios.populate(line.world, MERCHANT, returns=60, days=30)
    _run(line)
    counts = _run(line, act=True)
    wanted = line.rows("SELECT count(*) FROM returns r WHERE loop_state IN ('open', 'review') AND EXISTS "
                       "(SELECT 1 FROM return_lines l WHERE l.return_id = r.return_id AND l.sku IS NOT NULL)")  # fmt: skip
    assert [(counts["delivered"],)] == wanted and len(line.world.masonhub(MERCHANT).rmas) == counts["delivered"]
    assert line.rows("SELECT count(*) FROM returns WHERE is_history") == [(0,)]


def test_a_return_seen_live_stays_live(sqlite_line: Line) -> None:
    line = sqlite_line
    scenarios.populate(line.world, MERCHANT, returns=20, days=3)
    sync.fn(MERCHANT, config=line.config)
    before = line.tables("windows")
    _run(line, 10)
    after = line.tables("windows")
    assert line.rows("SELECT count(*) FROM returns WHERE is_history") == [(0,)]
    assert after["returns"] == before["returns"] and after["decisions"] == before["decisions"]


def test_batches_bound_what_is_held_and_lose_nothing(sqlite_line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line = sqlite_line
    scenarios.populate(line.world, MERCHANT, returns=90, days=6)
    with line.session() as session:
        whole = line.world.now - timedelta(days=10), line.world.now
        batches = [batch for batch, _ in session.loop.batches(*whole, size=25)]
        at_once = session.loop.returns(*whole)
    assert len(batches) >= 2  # a page is never cut
    assert {key for batch in batches for key in batch.returns["return_id"]} == set(at_once.returns["return_id"])
    monkeypatch.setattr(intake, "BATCH", 25)
    assert _run(line)["records_out"] == 90


def test_a_worker_killed_mid_window_loses_nothing_and_a_rerun_completes(sqlite_line: Line, tmp_path: Path) -> None:
    line = sqlite_line
    scenarios.populate(line.world, MERCHANT, returns=60, days=30)
    line.world.faults.add(Fault(target="loop.list", kind="slow", times=None, seconds=0.5))
    start, end = line.days(40)
    command = [sys.executable, "-c", "from backhaul.cli import main; main()", "--config", line.config]
    worker = subprocess.Popen([*command, "backfill", MERCHANT, "--from", start, "--to", end], env=dict(os.environ), stderr=subprocess.PIPE)
    give_up_at = time.monotonic() + 300
    while line.rows("SELECT count(*) FROM windows WHERE state = 'completed'") == [(0,)] and time.monotonic() < give_up_at:
        time.sleep(0.1)
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    held = line.rows("SELECT count(*) FROM windows WHERE state = 'running'")[0][0]
    assert held >= 1
    line.world.faults.clear()
    line.write("UPDATE windows SET lease_expires_at = '2026-01-01 00:00:00.000000+00:00' WHERE state = 'running'")  # its 30 s are over
    _run(line)
    assert line.rows("SELECT count(*) FROM returns") == [(60,)]
    assert line.rows("SELECT DISTINCT state FROM windows") == [("completed",)]


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)  # a file does not go away
def test_a_database_that_goes_away_mid_window_fails_windows_by_name_and_a_rerun_completes(line: Line) -> None:
    scenarios.populate(line.world, MERCHANT, returns=60, days=30)
    strikes = iter(range(3))

    def cut_off(session: object, window: Window) -> None:
        backfilling.load_window(session, window, acts=False)  # type: ignore[arg-type]
        if next(strikes, None) == 1:
            line.write(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )

    whole = asked_range(*line.days(40))
    with line.session() as session:
        scope = Scope.of_backfill(MERCHANT, whole, acts=False)
        backfilling.lay_out(session, scope, is_forced=False)
        standing = backfilling.Work(session, scope, cut_off, 3).through()
    assert all("the store cannot be used" in error for _, error in standing.failed)
    _run(line)
    assert line.rows("SELECT count(*) FROM returns") == [(60,)]


def test_pages_that_repeat_fail_the_window_with_a_clear_message(sqlite_line: Line) -> None:
    line = sqlite_line
    account = line.world.loop(MERCHANT)
    scenarios.populate(line.world, MERCHANT, returns=5, days=2)
    page = [Raw(msgspec.json.encode(list_record(item))) for item in account]
    stuck = Vendor()
    stuck.respond = lambda _: Answer(msgspec.json.encode({"nextPageUrl": "https://loop.invalid/?cursor=again", "returns": page}))
    try:
        real = line.box.loop_url(MERCHANT)
        Path(line.config).write_text(Path(line.config).read_text().replace(real, stuck.url))
        with pytest.raises(WindowsFailedError, match=r"Loop (keeps sending the same returns|says there is more|paged the single second)"):
            _run(line, 6)
        assert len(stuck.requests) < 1_000
        Path(line.config).write_text(Path(line.config).read_text().replace(stuck.url, real))
    finally:
        stuck.stop()
    _run(line, 6)
    assert line.rows("SELECT count(*) FROM returns") == [(5,)]


@pytest.mark.parametrize(
    ("start", "end", "why"),
    [
        ("2026-05-02", "2026-05-01", "not after its start"),
        ("2026-05-01", "2126-05-01", "lies in the future"),
        ("2026-05-01T10:00", "2026-05-02", "has no zone"),
        ("next week", "2026-05-02", "is not a date"),
    ],
)
def test_a_range_that_cannot_be_is_refused_in_one_line(start: str, end: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        asked_range(start, end)


def test_windows_cover_a_range_over_a_clock_change_without_gap_or_overlap() -> None:
    whole = asked_range("2026-03-20T00:00:00+01:00", "2026-04-05T00:00:00+02:00")  # Berlin loses an hour in between
    pieces = backfilling.cut(whole)
    assert (pieces[0].start, pieces[-1].end) == (datetime(2026, 3, 19, 23, tzinfo=UTC), datetime(2026, 4, 4, 22, tzinfo=UTC))
    assert all(one.end == two.start for one, two in pairwise(pieces))
    assert all(piece.end - piece.start <= backfilling.SPAN for piece in pieces)


def _by(connection: sa.Connection, run_id: str, seconds: int = 0) -> Transaction:
    return Transaction(connection, MERCHANT, run_id, datetime(2026, 6, 1, tzinfo=UTC) + timedelta(seconds=seconds))


def _one_window(connection: sa.Connection) -> tuple[windows.Scope, Window]:
    whole = asked_range("2026-05-04", "2026-05-11")
    scope = Scope.of_backfill(MERCHANT, whole, acts=False)
    windows.lay_out(_by(connection, "one"), scope, [whole], is_forced=False)
    return scope, whole


def test_a_window_is_claimed_by_one_run_until_its_lease_runs_out(line: Line) -> None:
    with line.store.write() as connection:
        scope, whole = _one_window(connection)
        assert windows.claim(_by(connection, "one"), scope) == whole
        assert windows.claim(_by(connection, "two"), scope) is None
        windows.renew(_by(connection, "one", 20), scope)
        assert windows.claim(_by(connection, "two", 40), scope) is None
        assert windows.claim(_by(connection, "two", 60), scope) == whole
        windows.settle(_by(connection, "one", 60), scope, whole, {})  # it has lost the window, and may not speak for it
        assert windows.standing(connection, scope).states == {"running": 1}


def test_a_claim_whose_answer_was_lost_is_taken_again_by_the_same_run_and_one_in_hand_is_not(line: Line) -> None:
    with line.store.write() as connection:
        scope, whole = _one_window(connection)
        tx = _by(connection, "one")
        assert windows.claim(tx, scope) == whole
        assert windows.claim(tx, scope, [whole]) is None
        assert windows.claim(tx, scope) == whole


def test_one_batch_is_read_ahead_and_what_goes_wrong_with_it_is_raised_in_its_turn() -> None:
    begun: list[int] = []
    second = threading.Event()

    def give() -> int | None:
        begun.append(len(begun))
        if begun[-1] == 1:
            second.set()
        if begun[-1] == 2:
            raise StoreError("the third cannot be read")
        return begun[-1]

    worked_on = []

    def work() -> None:
        with closing(backfilling._one_ahead(give)) as items:
            for item in items:
                assert item or second.wait(10)  # the next is read while this one is worked on
                worked_on.append(item)

    with pytest.raises(StoreError, match="third"):
        work()
    assert worked_on == [0, 1] and begun == [0, 1, 2]
    assert list(backfilling._one_ahead(iter([5, None]).__next__)) == [5]
