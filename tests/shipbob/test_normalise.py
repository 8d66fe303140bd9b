"""ShipBob's documented records as receipts. A test whose name says "is assumed" rests on no document."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from backhaul.connectors.shipbob.endpoints import CONDITIONS, STAGES, stage_of
from backhaul.connectors.shipbob.normalise import normalise
from backhaul.connectors.text import mended
from backhaul.domain.words import RmaStage
from tests.shipbob.conftest import payload, receipt, told, units


def with_line(**changes: Any) -> dict[str, Any]:
    """The clean return with its first line changed and its second gone."""
    record = payload("return_completed_clean")
    return record | {"inventory": [record["inventory"][0] | changes]}


def taken(action: Any, count: Any = 1) -> list[dict[str, Any]]:
    return [{"action": action, "quantity_processed": count, "action_reason": None, "image_url": None}]


def asked(action: Any) -> dict[str, Any]:
    return {"action": action, "action_type": "Override", "instructions": None}


def test_a_completed_return_is_terminal_and_says_when() -> None:
    batch = told("return_completed_clean")
    found = receipt(batch)
    assert units(batch) == [("TEE-BLU-M", "Restock", "available", 2), ("CAP-RED", "Restock", "available", 1)]
    assert found["unparsed_times"] is None
    expected = {
        "rma_key": "50000001",
        "return_id": "50000001",
        "rma_id": "3300001",
        "rma_status": "Completed",
        "event_status": "Completed",
        "is_terminal": True,
        "has_lines": True,
        "package_id": "1Z0000000000000001",
        "return_type": "Regular",
        "as_of": datetime(2026, 11, 11, 16, 48, 12, tzinfo=UTC),
        "delivered_at": datetime(2026, 11, 9, 14, 2, 31, tzinfo=UTC),
        "received_at": datetime(2026, 11, 11, 16, 48, 12, tzinfo=UTC),
    }
    assert {name: found[name] for name in expected} == expected


def test_an_announced_return_holds_no_units_whichever_way_that_is_written() -> None:
    batch = told("return_get_awaiting_arrival")
    assert units(batch) == [] and receipt(batch)["has_lines"] and not receipt(batch)["is_terminal"]
    assert receipt(batch)["received_at"] is None


def test_that_units_show_while_the_return_is_processed_is_assumed() -> None:
    batch = told("return_get_processing_partial")
    assert units(batch) == [("TEE-BLU-M", "Restock", "available", 2)]
    assert not receipt(batch)["is_terminal"] and receipt(batch)["received_at"] is None


def test_that_a_failed_inspection_shows_as_the_backup_action_is_assumed() -> None:
    assert units(told("return_completed_damaged_split")) == [
        ("TEE-BLU-M", "Restock", "available", 1),
        ("TEE-BLU-M", "Quarantine", "damaged", 1),
        ("CAP-RED", "Dispose", "damaged", 1),
    ]


def test_that_a_short_parcel_is_completed_with_fewer_units_is_assumed() -> None:
    batch = told("return_completed_short")
    assert sum(line[3] for line in units(batch)) == 2 and receipt(batch)["is_terminal"]


def test_that_an_empty_parcel_is_completed_without_units_is_assumed() -> None:
    batch = told("return_completed_empty_box")
    assert units(batch) == [] and receipt(batch)["is_terminal"] and receipt(batch)["has_lines"]


def test_that_surplus_and_unannounced_units_show_as_units_is_assumed() -> None:
    batch = told("return_completed_over_unexpected")
    assert [(line["sku"], line["units"], line["is_expected"]) for line in batch.lines.to_dict("records")] == [
        ("TEE-BLU-M", 3, True),
        ("CAP-RED", 1, True),
        ("SOCK-WHT", 1, False),
    ]


def test_a_return_to_sender_is_the_warehouses_own() -> None:
    found = receipt(told("return_rts_made_by_warehouse"))
    assert (found["rma_key"], found["return_id"], found["manifest_id"]) == ("dc:3300006", None, "RTS-104458283")


def test_that_quarantine_which_was_asked_for_says_nothing_of_the_condition_is_assumed() -> None:
    batch = told("return_rts_made_by_warehouse")
    assert units(batch) == [("TEE-BLU-M", "Quarantine", "pending", 2)] and list(batch.lines["is_known"]) == [True]


@pytest.mark.parametrize(("done", "wanted"), list(CONDITIONS))
def test_each_pair_of_the_table_has_its_condition_however_it_is_written(done: str, wanted: str) -> None:
    batch = told(with_line(action_taken=taken(f" {done.title()} "), action_requested=asked(wanted.upper() or None)))
    assert list(batch.lines["condition"]) == [CONDITIONS[done, wanted]] and list(batch.lines["is_known"]) == [True]


@pytest.mark.parametrize(
    ("done", "wanted"),
    [
        ("Donate", "Restock"),
        (None, "Restock"),
        ("Default", "Restock"),
        ("Quarantine", "Default"),
        ("Quarantine", None),
        ("Dispose", "Refurbish"),
        ("Quarantine", "Dispose"),
    ],
)
def test_what_is_not_in_the_table_is_never_guessed(done: str | None, wanted: str | None) -> None:
    batch = told(with_line(action_taken=taken(done, 2), action_requested=asked(wanted)))
    [line] = batch.lines.to_dict("records")
    assert (line["condition"], line["is_known"], line["units"]) == ("pending", False, 2)
    assert line["inventory_status"] == (done or "quantity_processed")


@pytest.mark.parametrize("count", [-1, None, "many", 1.5, True])
def test_units_that_are_no_count_quarantine_the_receipt(count: Any) -> None:
    [line] = told(with_line(action_taken=taken("Restock", count))).lines.to_dict("records")
    assert (line["units"], line["unparsed_units"]) == (None, "action_taken.quantity_processed")


def test_an_entry_of_no_units_is_no_line() -> None:
    assert units(told(with_line(action_taken=[*taken("Quarantine", 0), *taken("Restock", 1)]))) == [
        ("TEE-BLU-M", "Restock", "available", 1)
    ]


@pytest.mark.parametrize(
    ("said", "status", "stage", "is_terminal"),
    [
        ("AwaitingArrival", "AwaitingArrival", RmaStage.ANNOUNCED, False),
        ("Awaiting Arrival", "AwaitingArrival", RmaStage.ANNOUNCED, False),
        ("In Transit", "InTransit", RmaStage.ANNOUNCED, False),
        ("arrived", "Arrived", RmaStage.RECEIVING, False),
        ("Processing", "Processing", RmaStage.RECEIVING, False),
        ("Action Required", "ActionRequired", RmaStage.RECEIVING, False),
        ("Completed", "Completed", RmaStage.RECEIVED, True),
        ("Cancelled", "Cancelled", RmaStage.GONE, False),
        ("Pending Approval", None, None, False),
        ("", None, None, False),
    ],
)
def test_each_status_has_its_stage_and_an_unknown_one_has_none(said: str, status: str | None, stage: Any, is_terminal: bool) -> None:
    found = receipt(told(payload("return_completed_clean") | {"status": said}))
    assert (found["rma_status"], found["event_status"], found["is_terminal"], stage_of(said)) == (status, status, is_terminal, stage)
    assert found["rma_stage"] == (None if stage is None else stage.value)
    assert len(STAGES) == 7


def test_received_at_falls_back_to_the_step_before_it() -> None:
    record = payload("return_completed_clean") | {"completed_date": None, "processing_date": None}
    assert receipt(told(record))["received_at"] == datetime(2026, 11, 9, 14, 2, 31, tzinfo=UTC)


def test_a_time_without_a_zone_is_utc_and_one_that_is_none_is_named() -> None:
    assert receipt(told(payload("return_completed_clean") | {"arrived_date": "2026-11-09T14:02:31.5"}))["delivered_at"].tzinfo is UTC
    record = payload("return_completed_clean") | {"arrived_date": "soon", "status_history": [{"timestamp": "later"}]}
    assert receipt(told(record))["unparsed_times"] == "arrived_date,status_history.timestamp"


@pytest.mark.parametrize(("kind", "is_ours"), [("Regular", True), (None, True), ("RTS", False), ("Return To Sender", False)])
def test_a_return_to_sender_is_known_by_either_spelling(kind: str | None, is_ours: bool) -> None:
    assert (receipt(told(payload("return_completed_clean") | {"return_type": kind}))["return_id"] is not None) is is_ours


@pytest.mark.parametrize("reference", ["#1001", "RMA-7", "50000001-2", " ", None])
def test_a_reference_that_is_no_loop_id_is_somebody_elses(reference: str | None) -> None:
    found = receipt(told(payload("return_completed_clean") | {"reference_id": reference}))
    assert (found["rma_key"], found["return_id"]) == ("dc:3300001", None)


def test_nothing_personal_and_nothing_that_staff_wrote_is_kept() -> None:
    record = payload("return_completed_damaged_split")
    record |= {"customer_name": "Jo Smith", "ship_from": {"name": "Jo Smith", "address1": "1 Invented Street"}}
    record["inventory"][0]["action_taken"][1]["action_reason"] = "Jo Smith's parcel, jo@example.com"
    for batch in (told(record), told(record | {"inventory": "none"})):
        shown = batch.bodies + [one.body + one.reason for one in batch.rejected] + [batch.receipts.to_json(), batch.lines.to_json()]
        assert not any(word in text for text in shown for word in ("Jo", "Invented", "jo@", "images.example"))


def test_a_record_that_cannot_be_decoded_harms_no_other() -> None:
    batch = told(payload("return_completed_clean") | {"inventory": 7}, "return_rts_made_by_warehouse")
    assert list(batch.receipts["rma_key"]) == ["dc:3300006"]
    [bad] = batch.rejected
    assert (bad.record_key, bad.rule) == ("50000001", "WIRE-002") and "inventory" in bad.reason
    assert normalise([b"<html>"]).rejected[0].record_key.startswith("sha256:")


def test_a_kept_body_makes_the_same_rows_again() -> None:
    names = ("clean", "damaged_split", "over_unexpected", "short", "empty_box")
    first = told(*(f"return_completed_{name}" for name in names), "return_rts_made_by_warehouse", "return_get_processing_partial")
    again = normalise([body.encode() for body in first.bodies])
    assert first.receipts.equals(again.receipts) and first.lines.equals(again.lines) and first.bodies == again.bodies


def test_every_row_of_the_documented_list_is_read() -> None:
    rows = payload("return_list_page")["items"]
    assert list(told(*rows).receipts["rma_status"]) == ["AwaitingArrival", "Arrived"]


def test_a_key_that_held_a_nul_is_named_and_never_taken_for_another() -> None:
    raw = json.dumps(with_line(sku="TEE\0-BLU", name="x") | {"tracking_number": "1Z\0", "reference_id": "50000001\0"}).encode()
    batch = normalise([mended(raw)])
    assert receipt(batch)["unparsed_keys"] == "tracking_number,reference_id" and receipt(batch)["return_id"] is None
    assert list(batch.lines["sku"]) == [None] and list(batch.lines["unparsed_keys"]) == ["sku"]
