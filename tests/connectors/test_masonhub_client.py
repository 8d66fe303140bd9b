"""The MasonHub client over real HTTP: what it sends, and what it makes of the answers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from backhaul.connectors.base import Verdict, Warehouse
from backhaul.connectors.masonhub.client import MasonHub
from backhaul.connectors.masonhub.endpoints import RMAS
from backhaul.connectors.masonhub.settings import MasonHubSettings
from backhaul.domain.rma import RmaDraft, RmaLine
from backhaul.errors import (
    PermanentVendorError,
    RefusedError,
    StructuralError,
    ThrottledError,
    TransientVendorError,
    UnauthorizedError,
    VendorError,
)
from tests.connectors.vendor_server import PAYLOADS, SECRET, Answer, said

SINCE, UNTIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC)
ERRORS = json.loads((PAYLOADS / "masonhub" / "errors.json").read_bytes())


def draft(return_id="ret-900001", **changes):
    fields = {
        "return_id": return_id,
        "order_name": "#1001",
        "order_number": "10021",
        "ordinal": 1,
        "tracking_number": None,
        "lines": (RmaLine("TEE-NVY-M", 2, "tooBig", "Too long"), RmaLine("CAP-RED", 1, "other")),
    }
    return RmaDraft(**fields | changes)


def documented(name):
    return json.loads((PAYLOADS / "masonhub" / f"{name}.json").read_bytes())


def verdicts(outcomes):
    return {outcome.return_id: (outcome.verdict, outcome.code) for outcome in outcomes}


def failed(*messages, key="1", status="failure"):
    return {"results": [{"customer_identifier": key, "status": status, "messages": list(messages)}]}


def test_a_draft_is_announced_in_masonhubs_words(vendor, masonhub):
    vendor.says(said(documented("rma_create_response_success")))
    masonhub.create([draft()])
    (request,) = vendor.requests
    assert (request.method, request.path) == ("POST", "/api/rmas")
    assert request.headers["Authorization"] == f"Bearer {SECRET}" and request.headers["Content-Type"] == "application/json"
    assert request.json == [
        {
            "customer_identifier": "ret-900001",
            "return_type": "rma_submitted_by_customer",
            "generate_return_label": False,
            "package_id": "LOOP-ret-900001",
            "manifest_id": "#1001-R1",
            "line_items": [
                {
                    "customer_sku_id": "TEE-NVY-M",
                    "quantity": 2,
                    "return_reason_code": "tooBig",
                    "return_inventory_status": "qc",
                    "return_notes": "Too long",
                },
                {"customer_sku_id": "CAP-RED", "quantity": 1, "return_reason_code": "other", "return_inventory_status": "qc"},
            ],
        }
    ]


def test_an_update_is_a_full_put_without_a_new_label(vendor, masonhub):
    vendor.says(said(documented("rma_create_response_success")))
    (outcome,) = masonhub.update([draft(tracking_number="9400100000000000000001")])
    assert outcome.verdict is Verdict.ACCEPTED
    (sent,) = vendor.requests[0].json
    assert vendor.requests[0].method == "PUT" and sent["generate_return_label"] is False
    assert sent["package_id"] == "9400100000000000000001" and len(sent["line_items"]) == 2


@pytest.mark.parametrize(
    ("changes", "manifest"),
    [
        ({"order_name": "#1001", "ordinal": 2}, "#1001-R2"),
        ({"order_name": "#EXCHANGE-2026-0000123"}, "#EXCHANGE-2026-00-R1"),
        ({"order_name": "#EXCHANGE-2026-0000123", "ordinal": 12}, "#EXCHANGE-2026-0-R12"),
        ({"order_name": None}, "10021-R1"),
        ({"order_name": None, "order_number": None}, "ret-900001-R1"),
    ],
)
def test_a_manifest_id_fits_twenty_characters_and_keeps_the_ordinal(vendor, masonhub, changes, manifest):
    masonhub_sent(vendor, masonhub, draft(**changes))
    assert vendor.requests[0].json[0]["manifest_id"] == manifest and len(manifest) <= 20


def masonhub_sent(vendor, masonhub, *drafts):
    vendor.says(said({"results": []}))
    assert masonhub.create(drafts) == []


@pytest.mark.parametrize(
    ("tracking", "package"), [(None, "LOOP-1"), ("1Z", "LOOP-1"), ("1Z999", "1Z999"), ("x" * 120, "x" * 100), (" 94001 ", "94001")]
)
def test_a_package_id_has_5_to_100_characters(vendor, masonhub, tracking, package):
    masonhub_sent(vendor, masonhub, draft("1", tracking_number=tracking))
    assert vendor.requests[0].json[0]["package_id"] == package


@pytest.mark.parametrize(
    ("reason", "notes"), [(None, None), ("x", None), ("", None), ("ok", "ok"), ("y" * 60, "y" * 50), ("a  b\nc", "a b c")]
)
def test_return_notes_have_2_to_50_characters_or_are_left_out(vendor, masonhub, reason, notes):
    masonhub_sent(vendor, masonhub, draft(lines=(RmaLine("A", 1, "other", reason),)))
    assert vendor.requests[0].json[0]["line_items"][0].get("return_notes") == notes


@pytest.mark.parametrize("send", [True, False])
def test_the_order_is_named_only_when_told_to(vendor, send):
    settings = MasonHubSettings(base_url=vendor.url, token="env:ACME_MASONHUB_TOKEN", send_order_id=send)
    vendor.says(said({"results": []}))
    with MasonHub.connect(settings, merchant=f"acme-{send}", token=SecretStr(f"{SECRET}\n")) as client:
        warehouse: Warehouse = client
        warehouse.create([draft()])
    line = vendor.requests[0].json[0]["line_items"][0]
    assert line.get("customer_order_id") == ("10021" if send else None)
    assert vendor.requests[0].headers["Authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rma_create_response_success", {"ret-900001": (Verdict.ACCEPTED, None), "ret-900002": (Verdict.ACCEPTED, None)}),
        ("rma_create_response_success_legacy_uri", {"ret-900001": (Verdict.ACCEPTED, None)}),
        ("rma_create_response_with_label", {"ret-900003": (Verdict.ACCEPTED, None)}),
        ("rma_create_response_partial_failure", {"ret-900001": (Verdict.EXISTS, "301"), "ret-900002": (Verdict.ACCEPTED, None)}),
        ("rma_create_response_partial_failure_shape2", {"ret-900001": (Verdict.EXISTS, "301"), "ret-900002": (Verdict.ACCEPTED, None)}),
        ("rma_create_response_all_failed", {"ret-900004": (Verdict.REFUSED, "303"), "ret-900005": (Verdict.REFUSED, "300")}),
    ],
)
@pytest.mark.parametrize("envelope", ["object", "array"])
@pytest.mark.parametrize("status", [200, 201, 207])
def test_a_creation_is_judged_record_by_record_in_every_documented_shape(vendor, masonhub, name, expected, envelope, status):
    body = documented(name)
    vendor.says(said([body] if envelope == "array" else body, status))
    assert verdicts(masonhub.create([draft(f"ret-90000{number}") for number in range(1, 6)])) == expected


def test_an_update_once_receiving_has_begun_is_not_open(vendor, masonhub):
    vendor.says(said(documented("rma_update_response_not_open")))
    (outcome,) = masonhub.update([draft()])
    assert (outcome.verdict, outcome.code) == (Verdict.NOT_OPEN, "409")
    assert outcome.message == "409: 'ret-900001' must be in the 'open' status to be updated."


def test_a_cancellation_is_a_delete_with_a_body_and_an_unknown_key_is_missing(vendor, masonhub):
    vendor.says(said(documented("rma_delete_response_partial")))
    outcomes = masonhub.cancel(["ret-900001", "nope-1"])
    assert verdicts(outcomes) == {"ret-900001": (Verdict.ACCEPTED, None), "nope-1": (Verdict.MISSING, "303")}
    assert (vendor.requests[0].method, vendor.requests[0].json) == ("DELETE", documented("rma_delete_request"))


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        ("303: 'RMA' with customer_identifier '1' does not exist", Verdict.MISSING),
        ("303: 'Return' with customer_identifier '1' does not exist", Verdict.MISSING),
        ({"field_name": "customer_identifier", "errors": ["303: 'rma' with customer_identifier '1' does not exist"]}, Verdict.MISSING),
        (
            {"field_name": "line_items[0].customer_order_id", "errors": ["303: 'Order' with customer_identifier '1' does not exist"]},
            Verdict.REFUSED,
        ),
        ({"line_items[0].customer_sku_id": ["303: 'Sku' with customer_identifier 'TEE' does not exist"]}, Verdict.REFUSED),
        ("303: 'Sku' with customer_identifier 'TEE' does not exist", Verdict.REFUSED),
        ("300: 'fit' is not an accepted value", Verdict.REFUSED),
        ("no code here", Verdict.REFUSED),
        ({"field_name": "status", "errors": "409: '1' must be in the 'open' status to be updated."}, Verdict.NOT_OPEN),
    ],
)
def test_what_an_update_was_refused_for(vendor, masonhub, message, verdict):
    vendor.says(said(failed(message)))
    (outcome,) = masonhub.update([draft("1")])
    assert outcome.verdict is verdict and outcome.message


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        ("301: '1' is already taken and 'customer_identifier' must be unique", Verdict.EXISTS),
        ({"field_name": "package_id", "errors": ["301: 'LOOP-1' is already taken and 'package_id' must be unique"]}, Verdict.REFUSED),
        ("301: 'LOOP-1' is already taken and 'package_id' must be unique", Verdict.REFUSED),
        ("303: 'RMA' with customer_identifier '1' does not exist", Verdict.REFUSED),
    ],
)
def test_what_a_creation_was_refused_for(vendor, masonhub, message, verdict):
    vendor.says(said(failed("300: first", message, status="FAILURE")))
    (outcome,) = masonhub.create([draft("1")])
    assert outcome.verdict is verdict


def test_an_id_in_the_answer_may_be_a_number_and_results_are_in_the_order_asked(vendor, masonhub):
    results = [{"customer_identifier": 2, "status": "SUCCESS"}, {"customer_identifier": 1, "status": "Success"}]
    vendor.says(said({"results": results}))
    assert [outcome.return_id for outcome in masonhub.create([draft("1"), draft("2")])] == ["1", "2"]


def test_a_record_that_the_answer_does_not_speak_of_has_no_outcome(vendor, masonhub):
    results = [{"customer_identifier": "2", "status": "success"}, {"customer_identifier": "3", "status": "queued"}, {"status": "success"}]
    vendor.says(said({"results": results}))
    assert verdicts(masonhub.create([draft("1"), draft("2"), draft("3")])) == {"2": (Verdict.ACCEPTED, None)}


@pytest.mark.parametrize("body", [{"records_submitted": 1}, {}, [], "ok", True, {"results": None}, {"message": "fine"}, {"results": "x"}])
def test_an_answer_without_results_is_uncertain(vendor, masonhub, body):
    vendor.says(said(body))
    with pytest.raises(TransientVendorError) as caught:
        masonhub.create([draft()])
    assert caught.value.is_certain is False


@pytest.mark.parametrize(
    ("status", "kind", "is_certain"),
    [
        (400, RefusedError, True),
        (401, UnauthorizedError, True),
        (403, UnauthorizedError, True),
        (404, RefusedError, True),
        (429, ThrottledError, True),
        (500, TransientVendorError, False),
        (503, TransientVendorError, False),
        (302, TransientVendorError, False),
    ],
)
def test_a_whole_request_that_fails_keeps_its_kind(vendor, masonhub, status, kind, is_certain):
    case = next(case for case in ERRORS if case["http_status"] == status)
    body = case["body_text"].encode() if "body_text" in case else json.dumps(case["body"]).encode()
    vendor.says(Answer(body, status, case.get("headers", {})))
    with pytest.raises(VendorError) as caught:
        masonhub.create([draft()])
    assert type(caught.value) is kind and caught.value.is_certain is is_certain and len(vendor.requests) == 1
    assert caught.value.retry_after == (30 if status == 429 else None)
    assert case.get("body", {}).get("message", "") in str(caught.value) and "acme" in str(caught.value)


def test_more_than_thirty_records_are_not_sent_and_none_cost_no_call(vendor, masonhub):
    with pytest.raises(ValueError, match="30"):
        masonhub.create([draft(str(number)) for number in range(31)])
    assert masonhub.create([]) == [] and masonhub.cancel([]) == []
    assert vendor.requests == []


def test_rmas_are_found_by_key_thirty_a_call(vendor, masonhub):
    def respond(request):
        return said(
            {
                "limit": 100,
                "data": [
                    {"id": f"x{key}", "customer_identifier": key, "status": "open", "line_items": []}
                    for key in request.query["cid"].split(",")
                    if key != "7"
                ],
            }
        )

    vendor.respond = respond
    keys = [str(number) for number in range(75)]
    batch = masonhub.find([*keys, "3"])
    assert batch.receipts["rma_key"].tolist() == [key for key in keys if key != "7"]
    assert [len(request.query["cid"].split(",")) for request in vendor.requests] == [30, 30, 15]
    assert vendor.requests[0].query["limit"] == "100" and vendor.requests[0].path == "/api/rmas"


def test_documented_search_results_are_read(vendor, masonhub):
    vendor.says(said(documented("rma_list_response_detail")))
    batch = masonhub.find(["ret-900001"])
    assert batch.receipts["rma_key"].tolist() == ["ret-900001"] and batch.lines["units"].tolist() == [2, 1]
    vendor.says(said(documented("rma_list_response_empty")))
    assert len(masonhub.find(["nope-1"]).receipts) == 0
    vendor.says(said({"message": "The record or records you are looking for could not be found."}, 404))
    assert len(masonhub.find(["nope-1"]).receipts) == 0
    assert len(masonhub.find([]).receipts) == 0


def test_a_404_that_is_not_masonhubs_own_is_an_error(vendor, masonhub):
    vendor.says(Answer(b"<html>no such site</html>", 404))
    with pytest.raises(TransientVendorError):
        masonhub.find(["1"])


def test_a_key_announced_again_after_a_deletion_is_found_once_and_live(vendor, masonhub):
    old = {"id": "old", "customer_identifier": "1", "status": "deleted", "updated_at": "2026-03-09T00:00:00Z", "line_items": []}
    new = {"id": "new", "customer_identifier": "1", "status": "open", "updated_at": "2026-03-08T00:00:00Z", "line_items": []}
    for data in ([old, new], [new, old]):
        vendor.says(said({"data": data}))
        assert masonhub.find(["1"]).receipts["rma_id"].tolist() == ["new"]
    vendor.says(said({"data": [old]}))
    assert masonhub.find(["1"]).receipts["rma_status"].tolist() == ["deleted"]


def test_a_server_that_ignores_cid_does_not_pass_off_other_rmas(vendor, masonhub):
    vendor.says(said(documented("rma_list_response_mixed")))
    assert masonhub.find(["ret-900010"]).receipts["rma_key"].tolist() == ["ret-900010"]


def dc_made(number):
    return {"id": f"dc{number}", "customer_identifier": None, "status": "received", "line_items": []}


@pytest.mark.parametrize("cap", [100, 30])
def test_news_reads_every_page_of_the_window_whatever_size_the_server_keeps_to(vendor, masonhub, cap):
    rows = [
        dc_made(number) if number % 2 else {"id": f"x{number}", "customer_identifier": str(number), "status": "received"}
        for number in range(205)
    ]

    def respond(request):
        size, offset = min(cap, int(request.query["limit"])), int(request.query.get("offset", 0))
        return said({"limit": size, "offset": offset, "data": rows[offset : offset + size]})

    vendor.respond = respond
    batch = masonhub.news(SINCE, UNTIL).batch
    assert batch.receipts["rma_key"].tolist() == [f"dc:dc{number}" for number in range(1, 205, 2)]
    assert vendor.requests[0].query == {
        "status": "received",
        "sdt": "2026-03-01T00:00:00Z",
        "edt": "2026-03-31T23:59:59Z",
        "limit": "100",
        "offset": "0",
    }
    assert len(vendor.requests) == -(-205 // cap)


def test_news_keeps_only_what_the_warehouse_made_itself(vendor, masonhub):
    vendor.says(said(documented("rma_list_response_mixed")))
    assert masonhub.news(SINCE, UNTIL).batch.receipts["rma_key"].tolist() == ["dc:0b4f3d1e-3333-4a7e-9a55-000000000003"]


def test_a_server_that_ignores_offset_is_a_structural_error(vendor, masonhub):
    vendor.says(said({"data": [dc_made(number) for number in range(100)]}))
    with pytest.raises(StructuralError, match="every offset"):
        masonhub.news(SINCE, UNTIL)


@pytest.mark.parametrize("body", [{"returns": []}, 5, {"data": {}}, documented("rma_list_response_summary")])
def test_a_search_result_of_another_shape_is_structural(vendor, masonhub, body):
    vendor.says(said(body))
    with pytest.raises(StructuralError, match="acme"):
        masonhub.news(SINCE, UNTIL)


def test_callbacks_are_listed_and_registered(vendor, masonhub):
    vendor.says(said(documented("callback_list_response")))
    (callback,) = masonhub.callbacks()
    assert (callback.message_type, callback.api_version, callback.url) == ("rmaEvent", "2.0", "https://client.example/api/rmaEvent")
    assert vendor.requests[0].query == {"message_type": "all"}
    registration = documented("callback_register")
    for shape in ("response_documented_sample", "response_client_expected"):
        vendor.says(said(registration[shape]["body"]))
        masonhub.register_callback("https://client.example/api/rmaEvent", "a-long-random-string")
        assert vendor.requests[-1].json == registration["request"]["body"] and vendor.requests[-1].path == "/api/callbacks"


def test_masonhub_has_nothing_to_close(vendor, masonhub):
    assert (masonhub.name, masonhub.batch_size, masonhub.must_close) == ("masonhub", 30, False)
    with pytest.raises(PermanentVendorError):
        masonhub.close(["1"])
    assert vendor.requests == []


def test_a_message_that_echoes_the_token_or_a_customer_is_kept_without_them(vendor, masonhub):
    vendor.says(said(failed(f"400: {SECRET.replace('-', chr(45))} refused for sam@example.com, +1 555 000 0000", key="ret-900001")))
    (outcome,) = masonhub.create([draft()])
    assert outcome.message == "400: [secret] refused for [e-mail] [number]" and outcome.code == "400"


def test_news_in_parts_goes_on_where_it_was_left_in_the_range_that_was_asked_for_first(vendor, masonhub):
    rows = [dc_made(number) for number in range(250)]

    def respond(request):
        offset = int(request.query["offset"])
        return said({"limit": 100, "data": rows[offset : offset + 100]})

    vendor.respond = respond
    first = masonhub.news(SINCE, UNTIL, calls=2)
    assert (len(first.batch.receipts), first.calls) == (200, 2)
    rest = masonhub.news(UNTIL, UNTIL, calls=2, cursor=first.cursor)
    assert (len(rest.batch.receipts), rest.calls, rest.cursor) == (50, 1, None)
    assert {request.query["sdt"] for request in vendor.requests} == {"2026-03-01T00:00:00Z"}


def test_a_search_that_pages_without_end_fails_and_says_why(vendor, masonhub, monkeypatch):
    monkeypatch.setattr("backhaul.connectors.masonhub.client.RMAS", replace(RMAS, pages_longest=5))
    vendor.respond = lambda request: said({"data": [dc_made(int(request.query["offset"]) + number) for number in range(100)]})
    with pytest.raises(StructuralError, match="has not ended after 5 pages"):
        masonhub.news(SINCE, UNTIL)
    with pytest.raises(StructuralError, match=f"over {RMAS.pages_of_keys} pages; it seems to pass over the filter cid"):
        masonhub.find(["1"])
    assert len(vendor.requests) == 5 + RMAS.pages_of_keys
