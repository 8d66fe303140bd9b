"""The invariants (docs/architecture.md) on a believable account of every kind of return, on both databases; I3 and I8 have files too."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from backhaul.errors import BackhaulError
from backhaul.sandbox import scenarios
from tests.e2e.house import House

RETURNS = 60
LEASES_OVER = timedelta(minutes=20)


@pytest.fixture(scope="module")
def house(build_shared: Callable[..., House], module_store_url: str) -> House:
    """An account of sixty returns, synced, two thirds of its parcels received, synced until all is quiet."""
    house = build_shared(None, module_store_url)
    scenarios.populate(house.world, "acme", RETURNS, days=6)
    house.sync()
    scenarios.receive_some(house.world, "acme", 0.7, mix={name: 1 for name in scenarios.MIX if name not in ("resolved_later", "corrected")})
    house.sync()
    house.sync()
    return house


def test_i1_every_return_seen_alive_with_a_sku_has_exactly_one_rma_keyed_by_its_id(house: House) -> None:
    alive = {"open", "review"}
    for item in house.world.loop("acme"):
        first_state = house.rows("SELECT first_state FROM returns WHERE return_id = :r", r=str(item.id))[0]["first_state"]
        is_announced = first_state in alive and any(line.sku for line in item.lines)
        assert len(house.world.masonhub("acme").all_of(str(item.id))) == is_announced, item.id
        assert house.effects("masonhub.create", str(item.id)) == is_announced


def test_i2_only_returns_whose_units_are_all_available_were_processed_and_each_once(house: House) -> None:
    processed = [row for row in house.rows("SELECT * FROM recon_returns") if house.effects("loop.process", row["return_id"])]
    assert len(processed) > 5
    for row in processed:
        assert row["available_units"] == row["expected_units"] and row["decision"] == "process"
        assert house.effects("loop.process", row["return_id"]) == 1
        rma = house.rma(row["return_id"])
        assert sum(int(line["quantity"]) for line in rma.lines if not line["not_on_original_rma"]) == row["expected_units"]


def test_i3_every_write_that_a_vendor_saw_is_a_delivery_with_its_attempts(house: House) -> None:
    kinds = {"masonhub.create": "rma.create", "loop.process": "loop.process", "loop.flag": "loop.flag", "loop.note": "loop.note"}
    for operation, kind in kinds.items():
        sent = sum(len(call.body) if isinstance(call.body, list) else 1 for call in house.world.journal.writes(operation))
        query = "SELECT count(*) AS n FROM delivery_attempts a JOIN deliveries d ON d.delivery_id = a.delivery_id WHERE d.kind = :k"
        assert house.rows(query, k=kind)[0]["n"] == sent > 0, kind


def test_i4_every_return_is_in_the_store_and_the_counts_of_each_run_add_up(house: House) -> None:
    stored = {row["return_id"] for row in house.rows("SELECT return_id FROM returns")}
    assert stored == {str(item.id) for item in house.world.loop("acme")}
    lines = {row["line_item_id"] for row in house.rows("SELECT line_item_id FROM return_lines")}
    assert lines == {str(line.line_item_id) for item in house.world.loop("acme") for line in item.lines}
    for run in house.runs():
        assert run["records_in"] == run["records_out"] + run["unchanged"] + run["quarantined"], run


def test_i5_a_window_of_which_one_state_pass_fails_loads_nothing_and_moves_no_watermark(house: House) -> None:
    before = house.dump()
    time.sleep(1.1)  # Loop tells whole seconds, and the watermark is to be seen to move
    for _ in range(4):
        house.shop(order_number=9000)
    house.world.fault("500", "loop.list", times=None, record="state=review")
    with pytest.raises(BackhaulError, match="loop"):
        house.sync()
    assert house.dump() == before
    assert house.runs()[-1]["state"] == "failed"
    house.world.faults.clear()
    house.sync()
    assert len(house.rows("SELECT * FROM returns WHERE order_name = '#9000'")) == 4
    assert house.dump()["watermarks"] != before["watermarks"]


def test_i6_a_sync_without_news_changes_nothing_but_the_run_history(house: House) -> None:
    house.sync()
    before, runs = house.dump(), len(house.runs())
    house.sync()
    house.sync()
    assert house.dump() == before
    assert len(house.runs()) == runs + 2
    assert all(before[name] for name in ("returns", "rmas", "receipts", "decisions", "deliveries", "events", "watermarks"))


def test_i7_a_return_met_early_or_late_ends_as_the_same_rows(build: Callable[..., House]) -> None:
    often, seldom = build(), build()
    for house in (often, seldom):
        house.shop("TEE-NVY-M", "CAP-RED-1", at=house.world.now)
    often.sync()
    for house in (often, seldom):
        [item] = list(house.world.loop("acme"))
        house.world.set_tracking("acme", item.id, "9400100000000000000042")
    often.sync()
    seldom.sync()
    for house in (often, seldom):
        [item] = list(house.world.loop("acme"))
        house.receive(str(item.id), "damaged")
        house.sync()
        house.sync()
    for view, columns in (
        (
            "recon_returns",
            "loop_state, decision, reasons, stage, damaged_units, available_units, return_total, delivery_state, value_at_risk",
        ),
        ("recon_lines", "line_item_id, sku, price, condition, units, discrepancy"),
    ):
        query = f"SELECT {columns} FROM {view} ORDER BY 1, 2"
        assert often.rows(query) == seldom.rows(query) != []
    assert often.rma("37600001").package_id == seldom.rma("37600001").package_id


def test_i8_a_sync_that_ends_anywhere_between_two_calls_is_completed_by_the_next(build: Callable[..., House]) -> None:
    for after in (3, 6, 9):  # calls answered before all vendors fall silent
        house = build()
        clean, damaged = house.shop(), house.shop()
        house.world.fault("401", "*", times=3, after=after)  # ends the run at once
        with pytest.raises(BackhaulError):
            sync_often(house)
        house.world.faults.clear()
        house.let_time_pass(LEASES_OVER)
        house.sync()
        house.receive(clean)
        house.receive(damaged, "damaged")
        house.world.fault("401", "*", times=1, after=after)
        with pytest.raises(BackhaulError):
            sync_often(house)
        house.let_time_pass(LEASES_OVER)
        house.sync()
        house.sync()
        assert house.outcome(clean) == ("process", [], "processed"), after
        assert house.outcome(damaged) == ("flag", ["damaged"], "flagged"), after
        effects = [house.effects(name) for name in ("masonhub.create", "loop.process", "loop.note", "loop.flag")]
        assert effects == [2, 1, 1, 1], after


def sync_often(house: House) -> None:
    for _ in range(3):
        house.sync()
