"""MasonHub's documented records and callbacks as receipts, and what odd ones become."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from backhaul.connectors.masonhub.normalise import normalise
from backhaul.domain.schema import RECEIPT_LINES, RECEIPTS
from tests.connectors.vendor_server import PAYLOADS

RECEIVED = datetime(2026, 3, 9, 16, 20, 11, tzinfo=UTC)
THIN = ["tendered", "inTransit", "delivered", "undeliverable", "onDock", "receivingStarted"]


def callback(name):
    """The receipts in a documented callback."""
    body = json.loads((PAYLOADS / "masonhub" / f"callback_{name}.json").read_bytes())
    return normalise([json.dumps(one).encode() for one in body["data"]])


def rows(frame):
    return [dict(zip(frame.columns, values, strict=True)) for values in frame.to_numpy(dtype=object).tolist()]


def lines(batch):
    return [
        (row["sku"], row["inventory_status"], row["condition"], row["units"], row["is_known"], row["is_expected"])
        for row in rows(batch.lines)
    ]


def record(details=None, **line):
    return {
        "id": "a-1",
        "customer_identifier": "1",
        "status": "received",
        "line_items": [{"customer_sku_id": "TEE", "quantity": 2, "receiving_details": {} if details is None else details} | line],
    }


def of(*records):
    return normalise([json.dumps(one).encode() for one in records])


def test_a_full_receipt_keeps_every_wanted_field():
    batch = callback("v2_received_full")
    assert rows(batch.receipts) == [
        {
            "rma_key": "ret-900001",
            "return_id": "ret-900001",
            "rma_id": "33455ccc-40f5-431b-81a1-44098f8a92bd",
            "rma_status": "received",
            "rma_stage": "received",
            "event_status": "received",
            "is_terminal": True,
            "has_lines": True,
            "package_id": "9400100000000000000001",
            "return_type": "rma_submitted_by_customer",
            "manifest_id": "#10021-R1",
            "version": 2,
            "as_of": RECEIVED,
            "delivered_at": datetime(2026, 3, 7, 18, tzinfo=UTC),
            "received_at": RECEIVED,
            "closed_at": None,
            "unparsed_money": None,
            "unparsed_times": None,
            "unparsed_keys": None,
        }
    ]
    assert lines(batch) == [("TEE-NVY-M", "available", "available", 2, True, True), ("CAP-RED", "available", "available", 1, True, True)]
    assert batch.lines["line_no"].tolist() == [0, 1] and batch.lines["rma_key"].tolist() == ["ret-900001"] * 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "v1_received_full",
            [("TEE-NVY-M", "available", "available", 2, True, True), ("CAP-RED", "available", "available", 1, True, True)],
        ),
        (
            "v1_received_damaged_split",
            [
                ("TEE-NVY-M", "available", "available", 1, True, True),
                ("TEE-NVY-M", "damaged", "damaged", 1, True, True),
                ("CAP-RED", "quality-control", "pending", 1, True, True),
            ],
        ),
        (
            "v1_received_over",
            [("TEE-NVY-M", "available", "available", 3, True, True), ("CAP-RED", "available", "available", 1, True, True)],
        ),
        ("v1_received_partial_short", [("TEE-NVY-M", "available", "available", 1, True, True)]),
        (
            "v1_received_short_key",
            [("TEE-NVY-M", "available", "available", 1, True, True), ("CAP-RED", "available", "available", 1, True, True)],
        ),
        (
            "v1_received_unexpected_item",
            [
                ("TEE-NVY-M", "available", "available", 2, True, True),
                ("CAP-RED", "available", "available", 1, True, True),
                ("SOCK-GRY", "available", "available", 1, True, False),
            ],
        ),
        ("v2_received_damaged", [("TEE-NVY-M", "damaged", "damaged", 2, True, True)]),
    ],
)
def test_a_received_callback_is_terminal_and_its_units_are_those_graded(name, expected):
    batch = callback(name)
    (receipt,) = rows(batch.receipts)
    assert lines(batch) == expected
    assert receipt["is_terminal"] and receipt["has_lines"] and receipt["as_of"] == RECEIVED == receipt["received_at"]


@pytest.mark.parametrize("event", THIN)
def test_a_carriers_event_says_nothing_of_units_and_nothing_of_the_record(event):
    (receipt,) = rows(callback(f"v2_{event}").receipts)
    assert receipt["event_status"] == event and receipt["rma_status"] is None
    assert not receipt["is_terminal"] and not receipt["has_lines"] and receipt["as_of"].tzinfo is UTC
    assert receipt["return_id"] == "ret-900001"


def test_a_version_one_carrier_event_with_an_empty_list_of_lines_says_nothing_of_units():
    (receipt,) = rows(callback("v1_in_transit_minimal").receipts)
    assert (receipt["event_status"], receipt["rma_status"], receipt["has_lines"], receipt["is_terminal"]) == (
        "inTransit",
        None,
        False,
        False,
    )
    assert receipt["as_of"] is None and receipt["package_id"] == "9400100000000000000001"


def test_an_rma_that_the_warehouse_made_is_keyed_by_its_own_id():
    batch = callback("v1_dc_created_blind_return")
    (receipt,) = rows(batch.receipts)
    assert receipt["rma_key"] == "dc:0b4f3d1e-3333-4a7e-9a55-000000000003" and receipt["return_id"] is None
    assert receipt["return_type"] == "rma_created_by_distribution_center"
    assert lines(batch) == [("BOOT-42", "under-investigation", "pending", 1, True, False)]


def test_listed_records_open_received_and_deleted():
    body = json.loads((PAYLOADS / "masonhub" / "rma_list_response_mixed.json").read_bytes())
    batch = of(*body["data"])
    assert batch.receipts["rma_status"].tolist() == ["open", "received", "deleted"]
    assert batch.receipts["is_terminal"].tolist() == [False, True, False]
    assert batch.receipts["has_lines"].tolist() == [True, True, True]
    assert batch.receipts["version"].tolist() == [1, 1, 1] and len(batch.lines) == 1


def test_the_outer_ids_win_over_those_in_details_and_the_record_over_the_event():
    inner = {
        "id": "inner",
        "customer_identifier": "2",
        "status": "in-receiving",
        "version": "8",
        "updated_at": "2026-03-01T00:00:00Z",
        "line_items": [],
    }
    (receipt,) = rows(
        of({"id": "outer", "customer_identifier": "1", "status": "received", "as_of": "2026-03-02T00:00:00Z", "details": inner}).receipts
    )
    assert (receipt["rma_id"], receipt["return_id"], receipt["rma_status"], receipt["version"]) == ("outer", "1", "in-receiving", 8)
    assert receipt["event_status"] == "received" and not receipt["is_terminal"]
    assert receipt["as_of"] == datetime(2026, 3, 2, tzinfo=UTC)
    (inner_only,) = rows(of({"id": None, "customer_identifier": None, "status": "received", "details": inner | {"status": None}}).receipts)
    assert (inner_only["rma_id"], inner_only["return_id"], inner_only["rma_status"]) == ("inner", "2", "received")
    assert inner_only["as_of"] == datetime(2026, 3, 1, tzinfo=UTC)


def test_a_thin_event_that_says_received_is_not_terminal_since_it_names_no_units():
    (receipt,) = rows(of({"id": "a", "customer_identifier": "1", "status": "received", "as_of": "2026-03-02T00:00:00Z"}).receipts)
    assert (receipt["event_status"], receipt["rma_status"], receipt["is_terminal"], receipt["has_lines"]) == (
        "received",
        None,
        False,
        False,
    )


@pytest.mark.parametrize(
    ("word", "condition", "is_known"),
    [
        ("available", "available", True),
        ("Available", "available", True),
        ("damaged", "damaged", True),
        ("disposed", "damaged", True),
        ("qc", "pending", True),
        ("Quality-Control", "pending", True),
        ("quarantine", "pending", True),
        ("under-investigation", "pending", True),
        ("refurbishing", "pending", True),
        ("relabeled", "pending", False),
    ],
)
def test_a_condition_is_known_by_its_word_or_pending(word, condition, is_known):
    assert lines(of(record({word: [{"notes": "x", "quantity": 1}, {"quantity": "2"}]}))) == [("TEE", word, condition, 3, is_known, True)]


@pytest.mark.parametrize(
    ("details", "received", "expected"),
    [
        ({}, 2, [("TEE", "quantity_received", "pending", 2, False, True)]),
        ([], "2", [("TEE", "quantity_received", "pending", 2, False, True)]),
        (None, 0, []),
        ({"available": []}, 1, [("TEE", "quantity_received", "pending", 1, False, True)]),
        ({"short": [{"quantity": 1}]}, 1, [("TEE", "quantity_received", "pending", 1, False, True)]),
        ({"SHORT": [{"quantity": 2}]}, 0, []),
        ({"available": [{"quantity": 1}]}, 5, [("TEE", "available", "available", 1, True, True)]),
        ({"available": [{"quantity": 0}]}, 1, []),
        ({"available": 2}, None, [("TEE", "available", "available", 2, True, True)]),
        ({"available": {"quantity": 2}}, None, [("TEE", "available", "available", 2, True, True)]),
    ],
)
def test_graded_units_are_the_truth_and_ungraded_ones_are_pending_never_guessed(details, received, expected):
    assert lines(of(record(details, quantity_received=received))) == expected


@pytest.mark.parametrize("quantity", [-1, "-1", 1.5, "two", None, True, ""])
def test_units_that_are_no_count_are_named_and_left_out(quantity):
    (row,) = rows(of(record({"available": [{"quantity": 1}, {"quantity": quantity}]})).lines)
    assert row["units"] is None and row["unparsed_units"] == "receiving_details.available.quantity"


def test_a_received_quantity_that_is_no_count_is_named_too():
    (row,) = rows(of(record({}, quantity_received=-3)).lines)
    assert (row["units"], row["unparsed_units"], row["condition"]) == (None, "quantity_received", "pending")


@pytest.mark.parametrize(("flag", "is_expected"), [(True, False), ("true", False), (False, True), ("false", True), (None, True)])
def test_a_line_is_expected_unless_the_warehouse_says_otherwise(flag, is_expected):
    assert lines(of(record({"available": [{"quantity": 1}]}, not_on_original_rma=flag)))[0][-1] is is_expected


@pytest.mark.parametrize(
    ("stamps", "chosen"),
    [
        ({"as_of": "2026-03-01T00:00:00Z", "updated_at": "2026-03-02T00:00:00Z"}, 1),
        ({"updated_at": "2026-03-02T00:00:00Z", "received_at": "2026-03-03T00:00:00Z"}, 2),
        ({"received_at": "2026-03-03T00:00:00Z", "processed_at": "2026-03-04T00:00:00Z"}, 3),
        ({"processed_at": "2026-03-04T00:00:00Z"}, 4),
    ],
)
def test_a_fact_is_dated_by_the_first_time_there_is(stamps, chosen):
    assert of(record() | stamps).receipts["as_of"].tolist() == [datetime(2026, 3, chosen, tzinfo=UTC)]


def test_a_time_that_does_not_parse_is_named():
    (row,) = rows(of(record() | {"updated_at": "soon"}).receipts)
    assert row["as_of"] is None and row["unparsed_times"] == "updated_at"


def test_a_text_among_the_counts_is_not_kept_and_its_record_is_quarantined_all_the_same():
    batch = of(record({"available": 1, "customer_name": "Canarina", "damaged": "2"}))
    assert "Canarina" not in batch.bodies[0] and '"damaged":"2"' in batch.bodies[0]
    assert "receiving_details.customer_name.quantity" in batch.receipts.to_string() + batch.lines.to_string()


def test_no_personal_data_passes_the_door():
    body = record({"available": [{"notes": "call Dana", "quantity": 1}]}, return_notes="from Dana")
    body |= {"customer_address_name": "Dana Example", "customer_address_city": "New York", "notes": "Dana", "customer_instructions": "Dana"}
    batch = of(body, {"id": "5", "line_items": "Dana", "customer_address_name": "Dana", "package_id": "dana@example.com"})
    text = "".join(batch.bodies) + batch.rejected[0].body + batch.rejected[0].reason + batch.receipts.to_string() + batch.lines.to_string()
    assert [word for word in ("Dana", "dana", "New York") if word in text] == []


def test_one_record_that_cannot_be_decoded_harms_no_other():
    batch = of(
        record(),
        record() | {"customer_identifier": 77, "line_items": {}},
        {"id": "x", "details": 5},
        record() | {"customer_identifier": "2"},
    )
    assert batch.receipts["rma_key"].tolist() == ["1", "2"]
    assert [(one.rule, one.record_key) for one in batch.rejected] == [("WIRE-002", "77"), ("WIRE-002", "dc:x")]
    assert normalise([b"[]"]).rejected[0].record_key.startswith("sha256:")


def test_frames_have_exactly_the_declared_columns_even_when_empty():
    for batch in (of(), of(record({"available": [{"quantity": 1}]}))):
        for frame, table in ((batch.receipts, RECEIPTS), (batch.lines, RECEIPT_LINES)):
            assert tuple(frame.columns) == table.all_columns and all(str(kind) == "object" for kind in frame.dtypes)
    assert of(record() | {"customer_identifier": None, "id": None}).receipts["rma_key"].tolist() == [None]
