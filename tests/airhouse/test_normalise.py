"""Every documented Airhouse payload through the normaliser, and what is made of figures that make no sense."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from backhaul.connectors.airhouse.normalise import normalise, normalise_event
from backhaul.connectors.airhouse.wire import status_of
from backhaul.domain.schema import RECEIPT_LINES, RECEIPTS
from backhaul.errors import StructuralError
from tests.airhouse.conftest import PAYLOADS, item, payload, receipt, record, told, units

FULL = [("TEE-NVY-M", "available", 2), ("CAP-RED", "available", 1)]


def test_a_created_return_is_a_receipt_without_units() -> None:
    batch = record()
    assert tuple(batch.receipts.columns) == RECEIPTS.all_columns and tuple(batch.lines.columns) == RECEIPT_LINES.all_columns
    assert receipt(batch) == {
        "rma_key": "loop-52393555",
        "return_id": "loop-52393555",
        "rma_id": "ret_7Q2M",
        "rma_status": "requested",
        "rma_stage": "announced",
        "event_status": "requested",
        "is_terminal": False,
        "has_lines": True,
        "package_id": "9400100000000000000001",
        "return_type": "customer_return",
        "manifest_id": "#10021",
        "version": None,
        "as_of": datetime(2026, 3, 2, 10, tzinfo=UTC),
        "delivered_at": None,
        "received_at": None,
        "closed_at": None,
        "unparsed_money": None,
        "unparsed_times": None,
        "unparsed_keys": None,
    }
    assert units(batch) == [] and batch.rejected == []


def test_a_delivered_parcel_has_no_units_yet() -> None:
    batch = told("webhook_return_delivered")
    row = receipt(batch)
    assert (row["rma_status"], row["is_terminal"], row["has_lines"]) == ("delivered", False, True)
    assert row["delivered_at"] == row["as_of"] == datetime(2026, 3, 7, 18, tzinfo=UTC)
    assert units(batch) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("full", FULL),
        ("damaged", [("TEE-NVY-M", "available", 1), ("TEE-NVY-M", "damaged", 1), ("CAP-RED", "available", 1)]),
        ("short", [("TEE-NVY-M", "available", 1)]),
        ("over", [("TEE-NVY-M", "available", 3), ("CAP-RED", "available", 1)]),
        ("unexpected", [*FULL, ("SOCK-GRY", "available", 1)]),
        ("empty_parcel", []),
        ("correction", [("TEE-NVY-M", "damaged", 2), ("CAP-RED", "available", 1)]),
    ],
)
def test_restocked_units_are_available_and_the_rest_of_those_received_are_damaged(name: str, expected: list[tuple[str, str, int]]) -> None:
    batch = told(f"webhook_return_processed_{name}")
    row = receipt(batch)
    assert (row["rma_status"], row["is_terminal"], row["has_lines"]) == ("processed", True, True)
    assert row["received_at"] == datetime(2026, 3, 9, 16, 20, 11, tzinfo=UTC)
    assert units(batch) == expected
    assert list(batch.lines["line_no"]) == list(range(len(expected)))
    assert not batch.lines["unparsed_units"].any() and all(batch.lines["is_known"])


def test_a_correction_is_newer_than_what_it_corrects() -> None:
    first, second = receipt(told("webhook_return_processed_full")), receipt(told("webhook_return_processed_correction"))
    assert first["as_of"] < second["as_of"] and first["rma_key"] == second["rma_key"]


def test_a_unit_that_was_not_announced_is_told_apart() -> None:
    assert list(told("webhook_return_processed_unexpected").lines["is_expected"]) == [True, True, False]


def test_a_closed_return_is_terminal_and_keeps_its_units() -> None:
    batch = told("webhook_return_closed")
    row = receipt(batch)
    assert (row["rma_status"], row["is_terminal"], row["closed_at"]) == ("closed", True, datetime(2026, 3, 9, 16, 25, tzinfo=UTC))
    assert units(batch) == FULL


def test_a_parcel_that_came_back_to_its_sender_belongs_to_no_return_of_ours() -> None:
    batch = told("webhook_return_to_sender")
    row = receipt(batch)
    assert (row["rma_key"], row["return_id"], row["return_type"]) == ("dc:ret_RTS1", None, "return_to_sender")
    assert units(batch) == [("TEE-NVY-M", "available", 1)] and list(batch.lines["rma_key"]) == ["dc:ret_RTS1"]


def test_a_list_is_read_record_by_record() -> None:
    batch = normalise([json.dumps(one).encode() for one in payload("return_list_response")["data"]])
    assert list(batch.receipts["rma_status"]) == ["requested", "processed"]
    assert units(batch) == [("BOOT-42", "available", 1)]


def test_a_webhook_makes_the_same_rows_as_the_record_read_by_get() -> None:
    raw = json.dumps(payload("webhook_return_processed_damaged")["data"]["return"]).encode()
    by_poll, by_webhook = normalise([raw]), told("webhook_return_processed_damaged")
    assert by_poll.receipts.equals(by_webhook.receipts) and by_poll.lines.equals(by_webhook.lines) and by_poll.bodies == by_webhook.bodies


def test_both_vocabularies_of_statuses_are_read() -> None:
    mapping = payload("legacy_beta_statuses")["mapping"]
    assert {name: status_of(name) for name in mapping} == mapping
    assert status_of("  received \N{EN DASH}  good ") == "processed" and status_of("closed") == "closed"


def test_a_beta_status_gives_the_units_their_condition() -> None:
    batch = record(status="Received - Damaged", items=[item(received=2, restocked=1)])
    assert units(batch) == [("TEE-NVY-M", "available", 1), ("TEE-NVY-M", "damaged", 1)]
    assert units(record(status="Waiting for Carrier", items=[item()])) == []


@pytest.mark.parametrize("changes", [{"status": "Received - Damaged"}, {"status": "processed", "condition": "damaged"}])
def test_a_return_called_damaged_of_which_all_was_restocked_is_not_believed(changes: dict[str, str]) -> None:
    assert list(record(items=[item()], **changes).lines["unparsed_units"]) == ["restocked_quantity"]


@pytest.mark.parametrize("status", ["Archived", "", None, 7])
def test_a_status_that_is_not_known_is_never_guessed(status: object) -> None:
    batch = record(status=status, items=[item()])
    row = receipt(batch)
    assert (row["rma_status"], row["event_status"], row["is_terminal"]) == (None, None, False)
    assert units(batch) == []


@pytest.mark.parametrize(
    ("figures", "field"),
    [
        ({"restocked": 2}, "restocked_quantity"),
        ({"restocked": None}, "restocked_quantity"),
        ({"received": None}, "received_quantity"),
        ({"received": -1}, "received_quantity"),
        ({"received": "two"}, "received_quantity"),
        ({"received": True}, "received_quantity"),
    ],
)
def test_figures_that_make_no_sense_are_named_and_not_counted(figures: dict[str, object], field: str) -> None:
    (line,) = record(status="processed", items=[item(**figures)]).lines.to_dict("records")
    assert (line["units"], line["unparsed_units"]) == (None, field)


def test_figures_as_text_are_figures() -> None:
    assert units(record(status="processed", items=[item(received="2", restocked="1.0")]))[0] == ("TEE-NVY-M", "available", 1)


def test_a_time_that_does_not_parse_is_named() -> None:
    row = receipt(record(received_at="yesterday"))
    assert (row["received_at"], row["unparsed_times"]) == (None, "received_at")


def test_a_record_that_cannot_be_decoded_harms_no_other_and_keeps_no_notes() -> None:
    bad = payload("return_create_response_201") | {"items": "none", "notes": "call jane@example.com", "customer": "Jane"}
    batch = normalise([json.dumps(bad).encode(), b"{", json.dumps(payload("return_create_response_201")).encode()])
    assert list(batch.receipts["rma_key"]) == ["loop-52393555"]
    first, second = batch.rejected
    assert (first.record_key, first.rule, first.order_name) == ("loop-52393555", "WIRE-002", "#10021")
    assert second.record_key.startswith("sha256:")
    assert "jane" not in (first.body + first.reason).lower()


def test_notes_are_left_at_the_door() -> None:
    assert "hole in sleeve" not in told("webhook_return_processed_damaged").bodies[0]
    assert "Empty box" not in told("webhook_return_processed_empty_parcel").bodies[0]


def test_a_webhook_without_a_return_is_no_receipt() -> None:
    with pytest.raises(StructuralError, match="shape"):
        normalise_event(b'{"id": "evt_1", "topic": "return.processed", "data": {}}')
    with pytest.raises(StructuralError, match="shape"):
        normalise_event(b"\xff")


def test_every_documented_payload_is_used() -> None:
    tests = "".join(file.read_text(encoding="utf-8") for file in PAYLOADS.parent.glob("*.py"))
    names = {file.stem.removeprefix("webhook_return_processed_") for file in PAYLOADS.glob("*.json")}
    assert len(names) == 17
    assert {name for name in names if f'"{name}"' not in tests} == set()
