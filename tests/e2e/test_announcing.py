"""What the warehouse is told, as it arrives there: the RMA's fields, its changes, its withdrawal (docs/architecture.md)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.e2e.house import House, prepare

TRACKING = "9400100000000000000042"
MERCHANTS = {
    "acme": {},
    "label": {"policy": {"announce": "on_label"}},
    "silent": {"policy": {"announce": "off"}},
    "ordered": {"masonhub": {"send_order_id": True}},
}


@pytest.fixture(scope="module")
def house(build_shared: Callable[..., House]) -> House:
    return build_shared(MERCHANTS)


def created(house: House, return_id: str, merchant: str = "acme") -> dict[str, Any]:
    return written(house, "masonhub.create", return_id, merchant)[0]


def written(house: House, operation: str, return_id: str, merchant: str = "acme") -> list[dict[str, Any]]:
    calls = house.world.journal.writes(operation, merchant)
    return [record for call in calls for record in call.body if record["customer_identifier"] == return_id]


def test_an_rma_is_keyed_by_the_return_id_and_asks_for_no_label(house: House) -> None:
    return_id = house.shop("TEE-NVY-M", order_number=1201)
    house.sync()
    record = created(house, return_id)
    assert record["customer_identifier"] == return_id
    assert record["generate_return_label"] is False
    assert record["package_id"] == f"LOOP-{return_id}"
    assert record["manifest_id"] == "#1201-R1"
    assert "customer_order_id" not in record["line_items"][0]
    assert not any(name.startswith("customer_address") for name in record)


def test_the_tracking_number_replaces_the_stand_in_once_it_is_known(house: House) -> None:
    return_id = house.shop(order_number=1202)
    house.sync()
    house.world.set_tracking("acme", return_id, TRACKING)
    house.sync()
    house.sync()
    [update] = written(house, "masonhub.update", return_id)
    assert update["package_id"] == TRACKING
    assert update["generate_return_label"] is False
    assert update["line_items"] == created(house, return_id)["line_items"]
    assert house.rma(return_id).package_id == TRACKING
    assert house.state(return_id, "rma.update") == "confirmed"


def test_units_are_grouped_by_sku_and_reason_code_and_unmapped_reasons_are_counted(house: House) -> None:
    reasons = ["Too small", "Too small", "Arrived damaged", "The cat did not like it"]
    return_id = house.shop("TEE-NVY-M", "TEE-NVY-M", "TEE-NVY-M", "CAP-RED-1", order_number=1203, reasons=reasons)
    house.sync()
    lines = {(line["customer_sku_id"], line["return_reason_code"]): line["quantity"] for line in created(house, return_id)["line_items"]}
    assert lines == {("TEE-NVY-M", "tooSmall"): 2, ("TEE-NVY-M", "damaged"): 1, ("CAP-RED-1", "other"): 1}
    unmapped = house.rows("SELECT return_reason, lines FROM recon_unmapped_reasons WHERE merchant = 'acme'")
    assert {"return_reason": "The cat did not like it", "lines": 1} in unmapped
    assert "Too small" not in {row["return_reason"] for row in unmapped}


def test_several_returns_of_one_order_are_told_apart_by_their_ordinal(house: House) -> None:
    first, second = house.shop(order_number=1204), house.shop(order_number=1204)
    house.sync()
    third = house.shop(order_number=1204)
    house.sync()
    assert [created(house, return_id)["manifest_id"] for return_id in (first, second, third)] == ["#1204-R1", "#1204-R2", "#1204-R3"]


def test_what_is_too_long_for_masonhub_is_cut_so_that_it_is_accepted(house: House) -> None:
    return_id = house.shop(order_number=1205, reasons=["It " + "really " * 20 + "did not fit"])
    house.world.loop("acme").corrupt(return_id, order_name="#WHOLESALE-2026-000001205")
    house.world.set_tracking("acme", return_id, "T" * 140)
    house.sync()
    record = created(house, return_id)
    assert record["manifest_id"] == "#WHOLESALE-2026-0-R1"
    assert len(record["manifest_id"]) == 20
    assert len(record["package_id"]) == 100
    assert 2 <= len(record["line_items"][0]["return_notes"]) <= 50
    assert house.effects("masonhub.create", return_id) == 1


def test_lines_edited_before_receiving_replace_those_of_the_rma(house: House) -> None:
    return_id = house.shop("TEE-NVY-M", order_number=1206)
    house.sync()
    house.world.edit_return("acme", return_id, ["TEE-NVY-M", "CAP-RED-1"])
    house.sync()
    assert [line["customer_sku_id"] for line in house.rma(return_id).lines] == ["CAP-RED-1", "TEE-NVY-M"]
    assert house.exceptions(return_id) == set()


def test_lines_edited_after_receiving_began_ask_a_person(house: House) -> None:
    return_id = house.shop("TEE-NVY-M", order_number=1207)
    house.sync()
    house.world.masonhub("acme").start_receiving(return_id)
    house.world.edit_return("acme", return_id, ["TEE-NVY-M", "CAP-RED-1"])
    house.sync()
    assert house.exceptions(return_id) == {"edit_after_receiving"}
    assert [line["customer_sku_id"] for line in house.rma(return_id).lines] == ["TEE-NVY-M"]


def test_an_update_whose_answer_is_unknown_is_not_taken_for_done_because_the_rma_exists(house: House) -> None:
    return_id = house.shop("TEE-NVY-M", order_number=1208)
    house.sync()
    house.world.fault("503", "masonhub.update", record=return_id, retry_after=60)
    house.world.edit_return("acme", return_id, ["CAP-RED-1"])
    house.sync()
    house.world.loop("acme").change(house.world.loop("acme").need(return_id), outcome="credit")  # news, before the next attempt
    house.sync()
    house.let_time_pass(timedelta(minutes=5))
    house.sync()
    assert [line["customer_sku_id"] for line in house.rma(return_id).lines] == ["CAP-RED-1"]


def test_an_update_that_was_given_up_does_not_hold_up_the_next(house: House) -> None:
    return_id = house.shop("TEE-NVY-M", order_number=1209)
    house.sync()
    house.world.fault("404", "masonhub.update", record=return_id)
    house.world.edit_return("acme", return_id, ["TEE-NVY-M", "TEE-NVY-M"])
    house.sync()
    assert house.state(return_id, "rma.update") in ("dead", "refused")
    house.world.set_tracking("acme", return_id, TRACKING)
    house.sync()
    assert house.rma(return_id).package_id == TRACKING
    assert house.rma(return_id).lines[0]["quantity"] == 2


def test_a_return_cancelled_before_its_rma_was_made_gets_none(house: House) -> None:
    return_id = house.shop(order_number=1210)
    prepare(house)
    house.world.cancel_return("acme", return_id)
    house.sync()
    assert house.effects("masonhub.create", return_id) == 0
    assert house.state(return_id, "rma.create") == "superseded"


def test_under_on_label_the_rma_waits_for_the_tracking_number(house: House) -> None:
    return_id = house.shop(merchant="label")
    house.sync("label")
    assert house.deliveries(return_id, merchant="label") == []
    assert house.outcome(return_id, "label") == ("wait", [], "unannounced")
    house.world.set_tracking("label", return_id, TRACKING)
    house.sync("label")
    assert created(house, return_id, "label")["package_id"] == TRACKING


def test_under_off_nothing_is_announced_and_the_rmas_that_others_made_are_read(house: House) -> None:
    return_id = house.shop(merchant="silent")
    line = {"customer_sku_id": "TEE-NVY-M", "quantity": 1, "return_reason_code": "other"}
    body = {"customer_identifier": return_id, "return_type": "rma_submitted_by_customer", "package_id": "OTHERS-1", "line_items": [line]}
    house.world.masonhub("silent").create(body)
    house.sync("silent")
    house.receive(return_id, "all", "silent")
    house.sync("silent")
    assert house.world.journal.writes("masonhub.create", "silent") == []
    assert house.outcome(return_id, "silent") == ("process", [], "processed")


def test_the_order_is_named_only_where_the_config_says_so(house: House) -> None:
    return_id = house.shop(merchant="ordered", order_number=1300)
    house.sync("ordered")
    assert [line["customer_order_id"] for line in created(house, return_id, "ordered")["line_items"]] == ["1300"]
