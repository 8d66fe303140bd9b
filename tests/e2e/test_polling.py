"""A sync's calls to a warehouse stay within its budget, and what the budget cannot cover has its turn before anything has a second one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from backhaul.pipeline import receiving
from backhaul.sandbox import scenarios
from flows.recorded import recorded_run
from tests.e2e.house import House

Build = Callable[..., House]
KEYS_A_CALL = 30


def asked_by(house: House, what: Callable[[], object]) -> list[dict[str, str]]:
    """The searches that MasonHub answered meanwhile."""
    before = len(searches(house))
    what()
    return searches(house)[before:]


def searches(house: House) -> list[dict[str, str]]:
    return [dict(call.params) for call in house.world.journal.calls("masonhub.list")]


def keys_of(asked: list[dict[str, str]]) -> list[str]:
    return [key for query in asked for key in query.get("cid", "").split(",") if key]


def narrow(house: House, calls: int) -> None:
    house.write_config(acme={"masonhub": {"poll_calls_per_sync": calls}})


def test_keys_and_the_warehouses_own_list_together_stay_within_the_budget_and_reach_everything(build: Build) -> None:
    house = build({"acme": {"mode": "shadow"}})
    scenarios.populate(house.world, "acme", 90, days=6)
    house.sync()
    scenarios.receive_some(house.world, "acme", 1.0, mix={"all": 1}, blind=180)  # three pages of received RMAs
    house.sync()
    narrow(house, 2)
    late = house.world.blind_return("acme", {"TEE-NVY-M": {"available": 1}}, "94009999999999999999")
    time.sleep(1)  # the list is asked for whole seconds, and not for the one that is not over
    keys = {row["return_id"] for row in house.rows("SELECT return_id FROM rmas WHERE return_id IS NOT NULL")}
    assert len(keys) > 2 * KEYS_A_CALL
    rounds = []
    for _ in range(6):  # the list is three pages, and what came after a reading of it began is in the next
        rounds.append(asked_by(house, house.sync))
    assert [len(asked) for asked in rounds] == [2] * 6
    assert set(keys_of([query for asked in rounds[:3] for query in asked])) == keys
    assert house.rows("SELECT return_id FROM rmas WHERE rma_id = :i", i=str(late.id)) == [{"return_id": None}]


def test_a_quiet_sync_of_a_budget_that_covers_all_writes_nothing(build: Build) -> None:
    house = build({"acme": {"mode": "shadow"}})
    scenarios.populate(house.world, "acme", 20, days=6)
    house.sync()
    house.sync()
    before = house.dump()
    house.sync()
    assert house.dump() == before
    assert before["polls"] == before["scans"] == []


def test_where_others_announce_no_key_without_an_rma_is_asked_twice_before_every_key_was_asked(build: Build) -> None:
    house = build({"acme": {"policy": {"announce": "off"}, "mode": "shadow"}})
    unannounced = {house.shop(order_number=3000 + number) for number in range(70)}
    house.sync()
    theirs = house.shop(order_number=9000)
    body: dict[str, Any] = {
        "customer_identifier": theirs,
        "return_type": "rma_submitted_by_customer",
        "line_items": [{"customer_sku_id": "TEE-NVY-M", "quantity": 1, "return_reason_code": "other"}],
    }
    house.world.masonhub("acme").create(body)
    house.sync()
    assert house.rma(theirs) is not None and house.standing(theirs)["rma_id"] is not None
    narrow(house, 2)
    asked = [key for _ in range(3) for key in keys_of(asked_by(house, house.sync))]
    assert set(asked) == unannounced | {theirs}
    house.receive(theirs)
    for _ in range(3):
        house.sync()
    assert house.standing(theirs)["available_units"] == 1


def test_a_parcel_for_a_return_that_loop_has_not_shown_is_a_persons_until_loop_shows_it(build: Build) -> None:
    house = build({"acme": {"mode": "shadow"}})
    return_id = house.shop("TEE-NVY-M")
    body: dict[str, Any] = {
        "customer_identifier": return_id,
        "return_type": "rma_submitted_by_customer",
        "line_items": [{"customer_sku_id": "TEE-NVY-M", "quantity": 1, "return_reason_code": "other"}],
    }
    house.world.masonhub("acme").create(body)
    house.receive(return_id)
    with recorded_run("events", "acme", config=str(house.file), trigger="webhook") as session:  # before anything is heard of it from Loop
        receiving.take_in(session, "masonhub", session.client("masonhub").find([return_id]), channel="webhook")
    [told] = house.rows("SELECT kind, subject, why FROM recon_exceptions")
    assert (told["kind"], told["subject"]) == ("blind_receipt", return_id)
    assert f"for return {return_id}, which Loop has not shown" in told["why"]

    house.sync()
    assert house.exceptions() == set()
    assert house.outcome(return_id)[0] == "process"
