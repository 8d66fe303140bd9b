"""Airhouse from Loop's return to Loop's process or flag, through the simulated vendors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backhaul.errors import ConfigError
from tests.airhouse.conftest import TO_AIRHOUSE, TO_MASONHUB, Build, Dock

PROCESSED = ["airhouse.create", "airhouse.close", "loop.process"]
FLAGGED = ["airhouse.create", "airhouse.close", "loop.note", "loop.flag"]


MISSING, RECORDED = ("flag", ["missing"], "flagged"), ("process", [], "processed")
ANNOUNCED_ONLY = ("flag", ["unexpected"], "flagged")


@pytest.mark.parametrize(("policy", "surplus"), [("record", RECORDED), ("flag", ANNOUNCED_ONLY)])
def test_a_return_is_closed_at_airhouse_before_loop_is_told(build: Build, policy: str, surplus: tuple[str, list[str], str]) -> None:
    outcomes = {
        "all": ("process", [], "processed"),
        "damaged": ("flag", ["damaged"], "flagged"),
        "short": MISSING,
        "empty": MISSING,
        "over": surplus,
        "unexpected": surplus,
    }
    dock = build(policy=f'unexpected = "{policy}"')
    made = {name: dock.shop("TEE-NVY-M", "CAP-RED", order_number=number) for number, name in enumerate(outcomes)}
    dock.sync()
    assert {dock.outcome(return_id) for return_id in made.values()} == {("wait", (), "announced")}
    assert dock.writes() == ["airhouse.create"] * len(made)

    for return_id in made.values():
        dock.airhouse.move(dock.airhouse.need(return_id), "delivered")
    dock.sync()
    assert {dock.outcome(return_id) for return_id in made.values()} == {("wait", (), "receiving")}
    assert dock.writes() == ["airhouse.create"] * len(made)

    for name, return_id in made.items():
        dock.world.receive("acme", return_id, name)
    dock.sync()
    dock.sync()
    for name, return_id in made.items():
        decision, reasons, stage = outcomes[name]
        assert dock.outcome(return_id) == (decision, tuple(reasons), stage), name
        assert dock.writes(return_id) == (PROCESSED if decision == "process" else FLAGGED), name
        assert dock.airhouse.need(return_id).status == "closed" and dock.states(return_id)["rma.close"] == "confirmed", name
    assert dock.rows("SELECT count(*) AS n FROM delivery_attempts") == [{"n": len(dock.writes())}]
    found = dock.rows("SELECT return_id, sku, kind, units FROM recon_discrepancies WHERE kind IN ('over', 'unexpected') ORDER BY return_id")
    assert [tuple(row.values()) for row in found] == [
        (made["over"], "CAP-RED", "over", 1),
        (made["unexpected"], "SOCK-GRY", "unexpected", 1),
    ]


def test_two_syncs_in_a_row_change_no_table_but_the_run_history(build: Build, store_url: str) -> None:
    dock = build(store_url)
    returns = [dock.shop("TEE-NVY-M", order_number=number) for number in range(3)]
    dock.sync()
    dock.world.receive("acme", returns[0], "all")
    dock.world.receive("acme", returns[1], "damaged")
    for _ in range(3):
        dock.sync()
    before, calls = dock.dump(), dock.world.journal.count("airhouse.list")
    dock.sync()
    assert dock.dump() == before
    assert dock.world.journal.count("airhouse.list") == calls + 1


def test_news_is_asked_for_from_where_it_was_taken_in_to(dock: Dock) -> None:
    dock.shop()
    dock.sync()
    dock.sync()
    [row] = dock.rows("SELECT high_water_at FROM watermarks WHERE source = 'airhouse'")
    asked = [call.params["updated_since"] for call in dock.world.journal.calls("airhouse.list")]
    first, second = (datetime.fromisoformat(text) for text in asked)
    assert second - first > timedelta(days=13)
    assert second == datetime.fromisoformat(row["high_water_at"]) - timedelta(minutes=10)


def test_a_time_from_the_future_does_not_hide_what_comes_before_it(dock: Dock) -> None:
    ahead, behind = dock.shop(order_number=1), dock.shop(order_number=2)
    dock.sync()
    dock.world.receive("acme", ahead)
    dock.airhouse.need(ahead).updated_at = datetime.now(UTC) + timedelta(days=400)
    dock.sync()
    dock.world.receive("acme", behind)
    dock.sync()
    assert dock.outcome(ahead)[0] == dock.outcome(behind)[0] == "process"


def test_a_return_that_is_there_already_is_adopted(dock: Dock) -> None:
    return_id = dock.shop("TEE-NVY-M")
    theirs = dock.airhouse.create({"external_id": return_id, "items": [{"sku": "TEE-NVY-M", "expected_quantity": 1}]})
    theirs.updated_at = theirs.updated_at - timedelta(days=40)  # older than any news that is asked for
    dock.sync()
    assert dock.states(return_id) == {"rma.create": "confirmed"} and dock.effects("airhouse.create") == 0
    assert dock.rows("SELECT rma_id FROM rmas") == [{"rma_id": theirs.id}]


def test_a_lost_answer_to_create_and_to_close_is_adopted_not_repeated(dock: Dock) -> None:
    return_id = dock.shop("TEE-NVY-M")
    dock.world.fault("lost_after", "airhouse.create")
    dock.world.fault("lost_after", "airhouse.close")
    dock.sync()
    dock.world.receive("acme", return_id)
    dock.sync()
    assert dock.effects("airhouse.create", return_id) == dock.effects("airhouse.close", return_id) == 1
    assert dock.effects("loop.process", return_id) == 1 and dock.outcome(return_id)[2] == "processed"


def test_loop_is_not_told_while_the_close_is_refused(dock: Dock) -> None:
    return_id = dock.shop("TEE-NVY-M")
    dock.sync()
    dock.world.receive("acme", return_id)
    dock.world.fault("422", "airhouse.close")
    dock.sync()
    assert dock.states(return_id) == {"rma.create": "confirmed", "rma.close": "refused", "loop.process": "pending"}
    assert dock.effects("loop.process") == 0 and dock.exceptions() == {"delivery_refused", "delivery_blocked"}


def test_a_correction_after_the_process_is_an_exception_and_changes_nothing_in_loop(dock: Dock) -> None:
    return_id = dock.shop("TEE-NVY-M", "CAP-RED")
    dock.sync()
    dock.world.receive("acme", return_id)
    dock.sync()
    dock.world.receive("acme", return_id, "damaged")
    dock.sync()
    assert dock.outcome(return_id) == ("process", (), "processed") and dock.writes() == PROCESSED
    assert dock.exceptions() == {"correction_after_process"}
    dock.world.receive("acme", return_id)
    dock.sync()
    assert dock.exceptions() == set()


def test_more_restocked_than_received_quarantines_the_receipt_until_it_is_put_right(build: Build, store_url: str) -> None:
    dock = build(store_url)
    return_id = dock.shop("TEE-NVY-M")
    dock.sync()
    dock.world.receive("acme", return_id)
    dock.airhouse.need(return_id).items[0]["restocked_quantity"] = 2
    dock.sync()
    assert dock.outcome(return_id) == ("wait", (), "exception")
    assert dock.exceptions() == {"receipt_quarantined", "quarantined"}
    [held] = dock.rows("SELECT rules, source, order_name FROM quarantine")
    assert "RLINE-006" in str(held["rules"]) and (held["source"], held["order_name"]) == ("airhouse", "#1001")
    before = dock.dump()
    dock.sync()
    assert dock.dump() == before

    dock.world.receive("acme", return_id)
    dock.sync()
    assert dock.outcome(return_id) == ("process", (), "processed") and dock.exceptions() == set()


def test_a_status_that_nobody_knows_waits_for_a_person(dock: Dock) -> None:
    return_id = dock.shop("TEE-NVY-M")
    dock.sync()
    dock.airhouse.move(dock.airhouse.need(return_id), "archived")
    dock.sync()
    assert dock.outcome(return_id) == ("wait", (), "exception") and "receipt_quarantined" in dock.exceptions()


def test_the_older_words_for_statuses_are_read(dock: Dock) -> None:
    dock.airhouse.options.has_beta_names = True
    return_id = dock.shop("TEE-NVY-M")
    dock.sync()
    dock.world.receive("acme", return_id)
    dock.sync()
    assert dock.outcome(return_id) == ("process", (), "processed")


def test_a_change_in_loop_is_a_change_at_airhouse_until_the_parcel_is_there(dock: Dock) -> None:
    return_id = dock.shop("TEE-NVY-M")
    dock.sync()
    dock.world.set_tracking("acme", return_id, "9400100000000000000042")
    dock.world.edit_return("acme", return_id, ["TEE-NVY-M", "CAP-RED"])
    dock.sync()
    held = dock.airhouse.need(return_id)
    assert held.tracking_number == "9400100000000000000042" and [each["sku"] for each in held.items] == ["CAP-RED", "TEE-NVY-M"]
    dock.airhouse.move(held, "delivered")
    dock.world.edit_return("acme", return_id, ["TEE-NVY-M"])
    dock.sync()
    dock.sync()
    assert "edit_after_receiving" in dock.exceptions() and len(held.items) == 2


def test_a_return_cancelled_in_loop_is_cancelled_at_airhouse(dock: Dock) -> None:
    return_id = dock.shop("TEE-NVY-M")
    dock.sync()
    dock.world.cancel_return("acme", return_id)
    dock.sync()
    dock.sync()
    assert dock.airhouse.need(return_id).status == "cancelled"
    assert dock.states(return_id) == {"rma.create": "confirmed", "rma.cancel": "confirmed"} and dock.exceptions() == set()


def test_a_return_cancelled_at_airhouse_needs_a_person(dock: Dock) -> None:
    return_id = dock.shop("TEE-NVY-M")
    dock.sync()
    dock.airhouse.move(dock.airhouse.need(return_id), "cancelled")
    dock.sync()
    assert dock.outcome(return_id)[0] == "wait" and dock.exceptions() == {"rma_not_found"}


def test_in_shadow_mode_nothing_is_closed(dock: Dock) -> None:
    dock.file.write_text(dock.file.read_text(encoding="utf-8").replace('warehouse = "airhouse"', 'warehouse = "airhouse"\nmode = "shadow"'))
    return_id = dock.shop("TEE-NVY-M")
    dock.sync()
    dock.world.receive("acme", return_id)
    dock.sync()
    assert dock.writes() == ["airhouse.create"]
    assert dock.states(return_id) == {"rma.create": "confirmed", "rma.close": "shadow", "loop.process": "shadow"}


@pytest.mark.parametrize("arrives", ["all", "damaged"])
def test_a_merchant_may_use_both_warehouses_and_a_return_goes_where_its_destination_says(
    build: Build, store_url: str, arrives: str
) -> None:
    dock = build(store_url, is_routed=True)
    destinations: dict[str, Any] = {"airhouse": TO_AIRHOUSE, "masonhub": TO_MASONHUB, "default": None}
    made = {name: dock.shop("TEE-NVY-M", order_number=n, destination_id=to) for n, (name, to) in enumerate(destinations.items())}
    dock.sync()
    assert list(dock.airhouse.by_external) == [made["airhouse"]]
    assert {rma.customer_identifier for rma in dock.world.masonhub("acme").rmas} == {made["masonhub"], made["default"]}
    found = dock.rows("SELECT return_id, warehouse FROM recon_returns ORDER BY return_id")
    assert [row["warehouse"] for row in found] == ["airhouse", "masonhub", "masonhub"]

    for return_id in made.values():
        dock.world.receive("acme", return_id, arrives)
    for _ in range(3):
        dock.sync()
    decided = {"all": ("process", (), "processed"), "damaged": ("flag", ("damaged",), "flagged")}[arrives]
    assert {dock.outcome(return_id) for return_id in made.values()} == {decided}
    assert dock.effects("airhouse.close") == 1
    assert "rma.close" in dock.states(made["airhouse"]) and "rma.close" not in dock.states(made["masonhub"])
    before = dock.dump()
    dock.sync()
    assert dock.dump() == before


def test_a_return_whose_destination_moves_to_another_warehouse_is_withdrawn_here_and_announced_there(build: Build, store_url: str) -> None:
    dock = build(store_url, is_routed=True)
    return_id = dock.shop("TEE-NVY-M", destination_id=TO_MASONHUB)
    dock.sync()
    loop = dock.world.loop("acme")
    loop.change(loop.need(return_id), "return.updated", destination_id=int(TO_AIRHOUSE))
    for _ in range(3):
        dock.sync()
    rma = dock.world.masonhub("acme").find(return_id)
    assert (rma is None or rma.status == "deleted") and list(dock.airhouse.by_external) == [return_id]
    dock.world.receive("acme", return_id)
    for _ in range(3):
        dock.sync()
    assert dock.outcome(return_id) == ("process", (), "processed") and dock.effects("loop.process") == 1
    assert dock.rows("SELECT kind FROM recon_exceptions") == []


def test_many_returns_of_both_warehouses_are_announced_in_calls_that_each_takes(build: Build) -> None:
    dock = build(is_routed=True)
    for number in range(12):
        dock.shop("TEE-NVY-M", order_number=number, destination_id=(TO_AIRHOUSE, TO_MASONHUB)[number % 2])
    dock.sync()
    assert dock.effects("airhouse.create") == 6 and len(dock.world.masonhub("acme").rmas) == 6
    assert dock.world.journal.count("airhouse.create") == 6


def test_sync_refuses_in_one_line_until_the_contract_is_assumed(build: Build) -> None:
    dock = build(assumed=False)
    dock.shop("TEE-NVY-M")
    with pytest.raises(ConfigError, match="assumed_contract is not true"):
        dock.sync()
    told = dock.command("sync")
    assert told.returncode == 2 and told.stdout == ""
    assert told.stderr.startswith("backhaul: merchants.acme.airhouse.assumed_contract is not true") and told.stderr.count("\n") == 1
    assert dock.world.journal.count() == 0
