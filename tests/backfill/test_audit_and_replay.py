"""Audit and replay, over simulated vendors on loopback."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from backhaul import config
from backhaul.domain.windows import Window
from backhaul.pipeline import auditing
from backhaul.pipeline.replaying import Replay, replay_decisions
from backhaul.sandbox import scenarios
from backhaul.sandbox.core.faults import Fault
from flows.audit import audit
from flows.fleet import FleetError, audit_all, sync_all
from flows.sync import sync
from tests.backfill.conftest import MERCHANT, Line


@pytest.fixture
def synced(line: Line) -> Line:
    """A merchant whose store holds all that its vendors do."""
    scenarios.populate(line.world, MERCHANT, returns=40, days=2)
    sync.fn(MERCHANT, config=line.config)
    scenarios.receive_some(line.world, MERCHANT, share=0.6)
    sync.fn(MERCHANT, config=line.config)
    return line


def _audit(line: Line) -> dict[str, int]:
    return audit.fn(MERCHANT, config=line.config, trigger="command").counts


def test_an_audit_of_a_store_that_holds_everything_proves_it_and_changes_nothing(synced: Line) -> None:
    before = synced.tables("windows")
    counts = _audit(synced)
    assert counts["at_vendors"] > 30 and "missing" not in counts and "gaps" not in counts
    assert synced.tables("windows") == before
    proofs = synced.rows("SELECT state, proof FROM windows WHERE purpose = 'audit'")
    assert len(proofs) == 4 and all(state == "completed" and proof for state, proof in proofs)


def test_what_the_store_has_lost_is_found_and_brought_back_live(synced: Line) -> None:
    old = f"{synced.world.now - timedelta(hours=1):%Y-%m-%d %H:%M:%S}"
    lost = [key for (key,) in synced.rows(f"SELECT return_id FROM returns WHERE updated_at < '{old}' ORDER BY 1 LIMIT 3")]
    keys = ", ".join(f"'{key}'" for key in lost)
    for table in ("returns", "return_lines", "rmas", "receipts", "receipt_lines"):
        column = "rma_key" if table in ("rmas", "receipts", "receipt_lines") else "return_id"
        synced.write(f"DELETE FROM {table} WHERE {column} IN ({keys})")
    counts = _audit(synced)
    assert counts["missing"] >= 3 and counts["repaired"] == counts["missing"] and "gaps" not in counts
    assert synced.rows(f"SELECT count(*) FROM returns WHERE return_id IN ({keys}) AND NOT is_history") == [(3,)]
    assert "missing" not in _audit(synced)


def test_a_return_that_loop_shows_no_more_is_a_gap_until_it_is_shown_again(synced: Line) -> None:
    at = synced.world.now - timedelta(days=1)
    synced.write(
        "INSERT INTO returns (merchant, return_id, loop_state, updated_at, warehouse, content_hash, version_no, is_history, is_due,"
        f" first_state, first_seen_at, loaded_at, run_id) SELECT merchant, '999', loop_state, '{at:%Y-%m-%d %H:%M:%S}.000000+00:00',"
        " warehouse, 'x', 1, is_history,"
        " is_due, first_state, first_seen_at, loaded_at, run_id FROM returns LIMIT 1"
    )
    assert _audit(synced)["gaps"] == 1
    gap = "SELECT subject, resolved_at IS NULL FROM exceptions WHERE kind = 'audit_gap'"
    assert synced.rows(gap) == [("loop:999", True)]
    synced.world.faults.add(Fault(target="loop.list", kind="400", times=1))
    with pytest.raises(Exception, match="windows failed"):
        _audit(synced)
    opened = synced.rows(gap)
    assert ("loop:999", True) in opened and any(subject.startswith("window:") for subject, is_open in opened if is_open)
    _audit(synced)
    assert all(not is_open for subject, is_open in synced.rows(gap) if subject.startswith("window:"))


def test_silence_longer_than_is_normal_for_the_merchant_is_an_exception_until_it_ends(sqlite_line: Line) -> None:
    line = sqlite_line
    scenarios.populate(line.world, MERCHANT, returns=80, days=5)
    sync.fn(MERCHANT, config=line.config)
    silence = "SELECT subject FROM exceptions WHERE kind = 'silence' AND resolved_at IS NULL"
    with line.session() as session:
        auditing.notice_silence(session)
        assert line.rows(silence) == []
        now = session.clock()
        session.clock = lambda: now + timedelta(days=2)
        auditing.notice_silence(session)
        assert ("loop:list",) in line.rows(silence)
        session.clock = lambda: now
        auditing.notice_silence(session)
        assert line.rows(silence) == []


def _replay(line: Line) -> Replay:
    whole = Window(line.world.now - timedelta(days=3), line.world.now + timedelta(minutes=5))
    return replay_decisions(line.store, MERCHANT, config.load(line.config).merchant(MERCHANT), whole)


def test_a_replay_under_the_same_rules_finds_no_difference_and_under_others_names_each(synced: Line) -> None:
    before, writes = synced.tables(), len(synced.world.journal.writes())
    assert _replay(synced).replayed == 40 and _replay(synced).differences == []
    process = synced.rows("SELECT return_id FROM decisions WHERE decision = 'process' AND unexpected_units > 0 AND is_current")
    hold = synced.rows(
        "SELECT return_id FROM decisions WHERE decision = 'hold' AND pending_units > 0"
        " AND damaged_units = 0 AND missing_units = 0 AND is_current"
    )
    file = Path(synced.config)
    file.write_text(file.read_text() + '\n[merchants.acme.policy]\nunexpected = "flag"\npending_hold_days = 0\n')
    found = {one.return_id: (one.decision, one.would_be) for one in _replay(synced).differences}
    assert found == {key: ("process", "flag") for (key,) in process} | {key: ("hold", "flag") for (key,) in hold}
    assert found
    assert synced.tables() == before and len(synced.world.journal.writes()) == writes


def test_one_merchant_that_fails_stops_no_other_of_the_fleet(sqlite_line: Line) -> None:
    with pytest.raises(FleetError, match="1 merchants failed: nobody"):
        sync_all.fn(["nobody", MERCHANT], config=sqlite_line.config)
    assert sqlite_line.rows("SELECT flow, state FROM runs") == [("sync", "completed")]
    assert [one.error for one in audit_all.fn(config=sqlite_line.config)] == [None]
