"""MasonHub's quirks: batches that half succeed, message shapes, checks, lists without a total, receiving."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from backhaul.sandbox import Sandbox
from tests.sandbox.rma_bodies import line, rma


def delete(masonhub: httpx.Client, path: str, body: Any) -> httpx.Response:
    return masonhub.request("DELETE", path, json=body)


def first(masonhub: httpx.Client, cid: str = "37600001") -> dict[str, Any]:
    found: dict[str, Any] = masonhub.get("/rmas", params={"cid": cid}).json()["data"][0]
    return found


def test_a_batch_succeeds_record_by_record_with_http_200(box: Sandbox, masonhub: httpx.Client) -> None:
    masonhub.post("/rmas", json=[rma()])
    answer = masonhub.post("/rmas", json=[rma(), rma("37600002")])
    body = answer.json()
    assert (answer.status_code, body["records_failed"], body["records_succeeded"]) == (200, 1, 1)
    text = "301: '37600001' is already taken and 'customer_identifier' must be unique"
    assert body["results"][0]["messages"] == [{"field_name": "customer_identifier", "errors": [text]}]
    assert body["results"][1]["url"].endswith("/rmas?cid=37600002")
    assert box.world.effects("acme", "masonhub.create", "37600001") == 1


def test_bodies_are_arrays_of_at_most_thirty(masonhub: httpx.Client) -> None:
    assert masonhub.post("/rmas", json=rma()).json() == {"message": "One or more parameters were bad."}
    assert masonhub.post("/rmas", json=[rma(f"cid-{n}") for n in range(31)]).status_code == 400
    assert masonhub.post("/rmas", json=[rma(f"cid-{n}") for n in range(30)]).json()["records_succeeded"] == 30


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"manifest_id": "x" * 21}, "manifest_id"),
        ({"return_type": "quality_control"}, "return_type"),
        ({"package_id": None}, "package_id"),
        ({"generate_return_label": True}, "customer_address_name"),
        ({"line_items": []}, "line_items"),
        ({"line_items": line(return_reason_code="fit")}, "line_items[0].return_reason_code"),
        ({"line_items": line(return_notes="x")}, "line_items[0].return_notes"),
        ({"line_items": line(return_inventory_status="quality-control")}, "line_items[0].return_inventory_status"),
        ({"line_items": line(quantity="2")}, "line_items[0].quantity"),
        ({"line_items": line(customer_sku_id=None)}, "line_items[0].customer_sku_id"),
    ],
)
def test_what_breaks_a_rule_fails_that_record_alone(masonhub: httpx.Client, change: dict[str, Any], field: str) -> None:
    body = masonhub.post("/rmas", json=[rma(**change), rma("37600002")]).json()
    assert [each["status"] for each in body["results"]] == ["failure", "success"]
    assert body["results"][0]["messages"][0]["field_name"] == field


def test_an_order_id_is_checked_only_when_it_is_sent(box: Sandbox, masonhub: httpx.Client) -> None:
    box.world.masonhub("acme").options.orders = {"1001": {"TEE-NVY-M": 1}}
    ordered = [
        rma(cid, line_items=line(customer_order_id=order, quantity=n))
        for cid, order, n in (("cid-a", "1001", 1), ("cid-b", "1001", 2), ("cid-c", "9", 1))
    ]
    statuses = [each["status"] for each in masonhub.post("/rmas", json=[rma(), *ordered]).json()["results"]]
    assert statuses == ["success", "success", "failure", "failure"]


def test_an_unknown_sku_fails_when_the_catalogue_is_known(box: Sandbox, masonhub: httpx.Client) -> None:
    box.world.masonhub("acme").options.known_skus = frozenset({"CAP-RED"})
    assert "303: 'Sku'" in masonhub.post("/rmas", json=[rma()]).text


def test_every_shape_of_a_result_can_be_had(box: Sandbox, masonhub: httpx.Client) -> None:
    options = box.world.masonhub("acme").options
    masonhub.post("/rmas", json=[rma()])
    text = "301: '37600001' is already taken and 'customer_identifier' must be unique"
    options.message_shape, options.status_case = "mapping", "mixed"
    failed = masonhub.post("/rmas", json=[rma()]).json()["results"][0]
    assert failed["status"] == "Failure" and failed["messages"] == [{"customer_identifier": [text]}]
    options.message_shape, options.link, options.results_in_array = "strings", "uri", True
    body = masonhub.post("/rmas", json=[rma(), rma("37600002")]).json()
    assert body[0]["results"][0]["messages"] == [text] and "uri" in body[0]["results"][1] and "url" not in body[0]["results"][1]


def test_an_update_replaces_the_record_and_only_while_it_is_open(box: Sandbox, masonhub: httpx.Client) -> None:
    masonhub.post("/rmas", json=[rma()])
    assert masonhub.put("/rmas", json=[rma(manifest_id=None, package_id="LOOP-1")]).json()["records_succeeded"] == 1
    assert (first(masonhub)["version"], first(masonhub)["manifest_id"], first(masonhub)["package_id"]) == (2, None, "LOOP-1")
    box.world.receive("acme", "37600001", "partial")
    text = masonhub.put("/rmas", json=[rma()]).json()["results"][0]["messages"][0]["errors"][0]
    assert text == "409: '37600001' must be in the 'open' status to be updated."
    assert "303: 'RMA'" in masonhub.put("/rmas", json=[rma("nope-1")]).text


def test_delete_takes_a_body_is_soft_and_frees_the_key(masonhub: httpx.Client) -> None:
    masonhub.post("/rmas", json=[rma()])
    body = delete(masonhub, "/rmas", [{"customer_identifier": "37600001"}, {"customer_identifier": "nope-1"}]).json()
    assert body["results"][1]["messages"] == ["303: 'RMA' with customer_identifier 'nope-1' does not exist"]
    assert first(masonhub)["status"] == "deleted" and first(masonhub)["deleted_at"] is not None
    assert masonhub.post("/rmas", json=[rma()]).json()["records_succeeded"] == 1


def test_a_label_is_made_by_default_and_needs_an_address(masonhub: httpx.Client) -> None:
    parts = {"name": "Dana Example", "street_line_one": "12 Sample St", "city": "New York", "state": "NY", "postal_code": "10016"}
    address = {f"customer_address_{name}": text for name, text in (parts | {"country_code": "US"}).items()}
    body = {key: value for key, value in rma(**address).items() if key not in ("generate_return_label", "package_id")}
    extra = masonhub.post("/rmas", json=[body]).json()["results"][0]["additional_data"]
    assert first(masonhub)["package_id"] == extra["return_tracking_number"]


def test_the_list_has_no_total_and_pages_by_offset(masonhub: httpx.Client) -> None:
    masonhub.post("/rmas", json=[rma(f"cid-{n}") for n in range(5)])
    page = masonhub.get("/rmas", params={"limit": 2, "offset": 4}).json()
    assert [each["customer_identifier"] for each in page["data"]] == ["cid-4"]
    assert set(page) == {"search_criteria", "limit", "offset", "list_type", "include_counts", "data"}
    by_cid = masonhub.get("/rmas", params={"cid": "cid-1,cid-3,cid-9"}).json()
    assert [each["customer_identifier"] for each in by_cid["data"]] == ["cid-1", "cid-3"]
    assert masonhub.get("/rmas", params={"id": by_cid["data"][0]["id"]}).json()["data"][0]["customer_identifier"] == "cid-1"
    assert masonhub.get("/rmas", params={"limit": 101}).status_code == 400
    assert masonhub.get("/rmas", params={"cid": ",".join(f"c{n}" for n in range(31))}).status_code == 400


def test_dates_filter_on_creation_and_status_on_the_record(box: Sandbox, masonhub: httpx.Client) -> None:
    masonhub.post("/rmas", json=[rma("cid-1")])
    middle = box.advance(timedelta(days=1)) - timedelta(hours=1)
    masonhub.post("/rmas", json=[rma("cid-2")])
    box.world.receive("acme", "cid-1")
    found = masonhub.get("/rmas", params={"sdt": middle.isoformat()}).json()["data"]
    assert [each["customer_identifier"] for each in found] == ["cid-2"]
    assert [each["customer_identifier"] for each in masonhub.get("/rmas", params={"status": "received"}).json()["data"]] == ["cid-1"]
    assert masonhub.get("/rmas", params={"status": "inTransit"}).status_code == 400


def test_a_summary_has_other_names_and_counts_as_text(masonhub: httpx.Client) -> None:
    masonhub.post("/rmas", json=[rma()])
    body = masonhub.get("/rmas", params={"list_type": "summary"}).json()
    assert body["number_of_returns"] == 1 and body["returns"][0]["number_units"] == "2"


def test_a_new_record_can_take_a_while_to_show(box: Sandbox, masonhub: httpx.Client) -> None:
    box.world.masonhub("acme").options.visible_after = timedelta(seconds=60)
    masonhub.post("/rmas", json=[rma()])
    assert masonhub.get("/rmas", params={"cid": "37600001"}).json()["data"] == []
    assert masonhub.post("/rmas", json=[rma()]).json()["records_failed"] == 1
    box.advance(timedelta(minutes=2))
    assert first(masonhub)["status"] == "open"


def test_an_unexpected_line_counts_zero_received_beside_its_graded_units(box: Sandbox, masonhub: httpx.Client) -> None:
    masonhub.post("/rmas", json=[rma()])
    box.world.receive("acme", "37600001", {"TEE-NVY-M": {"available": 1, "damaged": 1}, "SOCK-GRY": {"available": 1}})
    record = first(masonhub)
    expected, surprise = record["line_items"]
    assert record["status"] == "received" and record["received_at"] is not None
    assert expected["quantity_received"] == 2 and set(expected["receiving_details"]) == {"available", "damaged"}
    assert (surprise["quantity_received"], surprise["not_on_original_rma"]) == (0, True)
    assert surprise["receiving_details"]["available"][0]["quantity"] == 1


def test_short_is_a_key_that_counts_nothing_received(box: Sandbox, masonhub: httpx.Client) -> None:
    masonhub.post("/rmas", json=[rma()])
    box.world.receive("acme", "37600001", "short_key")
    received = first(masonhub)["line_items"][0]
    assert received["quantity_received"] == 1 and set(received["receiving_details"]) == {"available", "short"}


def test_receiving_can_be_corrected(box: Sandbox, masonhub: httpx.Client) -> None:
    masonhub.post("/rmas", json=[rma()])
    box.world.receive("acme", "37600001", "all")
    version = first(masonhub)["version"]
    box.world.receive("acme", "37600001", "damaged")
    assert first(masonhub)["version"] == version + 1 and "damaged" in first(masonhub)["line_items"][0]["receiving_details"]


def test_units_of_a_sku_on_two_lines_are_spread_in_order(box: Sandbox, masonhub: httpx.Client) -> None:
    masonhub.post("/rmas", json=[rma(line_items=line(quantity=1) + line(quantity=1, return_reason_code="other"))])
    box.world.receive("acme", "37600001", {"TEE-NVY-M": {"available": 2, "damaged": 1}})
    details = [each["receiving_details"] for each in first(masonhub)["line_items"]]
    assert [set(each) for each in details] == [{"available"}, {"available", "damaged"}]


def test_a_blind_return_has_no_customer_identifier(box: Sandbox, masonhub: httpx.Client) -> None:
    box.world.blind_return("acme", {"BOOT-42": {"under-investigation": 1}})
    record = masonhub.get("/rmas", params={"status": "received"}).json()["data"][0]
    assert record["customer_identifier"] is None and record["return_type"] == "rma_created_by_distribution_center"


def test_a_wrong_token_is_401_with_the_documented_words(box: Sandbox) -> None:
    answer = httpx.get(f"{box.masonhub_url('acme')}/rmas", headers={"Authorization": "Bearer x"})
    assert (answer.status_code, answer.json()["message"]) == (401, "The access token provided is missing or invlid.")


def test_callbacks_hold_one_url_a_message_type(masonhub: httpx.Client) -> None:
    for url in ("http://127.0.0.1:9/a", "http://127.0.0.1:9/b"):
        done = masonhub.post("/callbacks", json=[{"url": url, "message_type": "rmaEvent", "api_version": "2.0", "token": "t"}]).json()
    assert done[0]["messages"] == ["Callback url updated successfuly."]
    listed = masonhub.get("/callbacks", params={"message_type": "rmaEvent"}).json()
    assert [each["url"] for each in listed] == ["http://127.0.0.1:9/b"]
