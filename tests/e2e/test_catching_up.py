"""A sync that has much to catch up with takes it in batch by batch, and forgets nothing when it is stopped in between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from backhaul.errors import BackhaulError
from backhaul.pipeline import intake
from backhaul.pipeline.intake import Pull
from backhaul.sandbox import scenarios
from backhaul.store.tables import watermarks
from flows.recorded import recorded_run
from tasks.returns import check_returns, extract_returns, keep_news, load_returns, pending_windows
from tests.e2e.house import House


@pytest.fixture
def behind(build: Callable[..., House], monkeypatch: pytest.MonkeyPatch) -> House:
    """A house that has 90 returns of several states to catch up with, and takes in some 20 at once."""
    monkeypatch.setattr(intake, "BATCH", 20)
    house = build({"acme": {"mode": "shadow"}})
    scenarios.populate(house.world, "acme", 90, days=6)
    for row in list(house.world.loop("acme"))[:60]:
        (house.world.cancel_return if int(row.id) % 2 else house.world.close_return)("acme", row.id)
    return house


def marks(house: House) -> list[dict[str, object]]:
    return house.rows("SELECT high_water_at FROM watermarks WHERE source = 'loop'")


def test_the_watermark_moves_with_the_last_batch_and_each_is_stored_before_the_next_is_read(behind: House) -> None:
    stored, moved = [], []
    with recorded_run("look", "acme", config=str(behind.file), trigger="command") as session:
        [window] = pending_windows(session)
        pull = Pull(session, window)
        while (batch := extract_returns(session, pull)) is not None:
            load_returns(session, check_returns(session, keep_news(session, batch)), window)
            stored.append(behind.rows("SELECT count(*) AS number FROM returns")[0]["number"])
            moved.append(bool(marks(behind)))
    assert len(stored) > 2 and stored == sorted(stored) and stored[0] < 90 == stored[-1]
    assert moved == [False] * (len(moved) - 1) + [True]


def test_a_catch_up_that_breaks_off_keeps_what_it_has_and_a_rerun_changes_nothing_twice(behind: House) -> None:
    behind.world.fault("400", "loop.list", after=3, times=None)
    with pytest.raises(BackhaulError, match="400"):
        behind.sync()
    kept = behind.rows("SELECT count(*) AS number FROM returns")[0]["number"]
    assert 0 < kept < 90 and marks(behind) == []
    behind.world.faults.clear()
    behind.sync()
    assert marks(behind)
    assert behind.rows("SELECT count(*) AS number FROM returns") == [{"number": 90}]
    assert behind.rows("SELECT count(*) AS number FROM return_versions") == [{"number": 90}]
    before = behind.dump()
    behind.sync()
    assert behind.dump() == before


@pytest.mark.parametrize("days", [119, 120, 300])
def test_a_sync_months_late_asks_for_the_shipping_notice_in_spans_that_loop_takes(build: Callable[..., House], days: int) -> None:
    house = build({"acme": {"mode": "shadow"}})
    house.shop()
    house.sync()
    today = datetime.now(UTC)
    with house.store.write() as connection:
        connection.execute(sa.update(watermarks).values(high_water_at=today - timedelta(days=days)))
    before = len(house.world.journal.calls("loop.asn"))

    counts = house.sync().counts

    asked = [call.params for call in house.world.journal.calls("loop.asn")[before:]]
    spans = [(date.fromisoformat(str(one["from"])), date.fromisoformat(str(one["to"]))) for one in asked]
    assert "asn_unavailable" not in counts
    assert max(to - since for since, to in spans) < timedelta(days=120)  # both days are counted
    assert spans[0][0] <= (today - timedelta(days=days)).date() and spans[-1][1] >= today.date()
