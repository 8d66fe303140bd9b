"""The Loop client over real HTTP: what it sends, and what it makes of the answers."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import SecretStr

from backhaul.connectors.loop.client import LoopClient
from backhaul.connectors.loop.settings import LoopSettings
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

START = datetime(2026, 1, 5, tzinfo=UTC)
END = START + timedelta(days=1)
ERRORS = {name: case for name, case in json.loads((PAYLOADS / "loop" / "errors.json").read_bytes()).items() if name != "_note"}


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stored(key: int, seconds: float, **more) -> dict:
    return {"id": str(key), "state": "open", "updated_at": at(seconds), "line_items": [], **more}


class List:
    """A simulated list: filters, sorts and pages as Loop does, with its default state set and its dropped filters."""

    def __init__(self, rows: list[dict], size: int) -> None:
        self.rows, self.size = rows, size

    def __call__(self, request):
        query = request.query
        inside = [row for row in self.rows if query["from"] <= row["updated_at"] <= query["to"] and row["state"] == query["state"]]
        inside.sort(key=lambda row: row["updated_at"])
        if query.get("paginate") != "true":
            return said(inside)
        more = "http://elsewhere.invalid/list?cursor=abc&to=x" if len(inside) > self.size else None
        return said({"returns": inside[: self.size], "nextPageUrl": more, "previousPageUrl": None})


def ids(batch) -> list[str]:
    return sorted(batch.returns["return_id"], key=int)


def test_the_list_is_asked_as_the_contract_says(vendor, loop, payload):
    vendor.says(Answer(payload("loop/returns-list-empty-page.json")))
    assert ids(loop.returns(START, END - timedelta(microseconds=500), ["review"])) == []
    (request,) = vendor.requests
    assert request.path == "/api/warehouse/return/list" and request.headers["X-Authorization"] == SECRET
    assert request.query == {
        "from": "2026-01-05T00:00:00.000Z",
        "to": "2026-01-06T00:00:00.000Z",
        "filter": "updated_at",
        "state": "review",
        "paginate": "true",
        "pageSize": "750",
    }


@pytest.mark.parametrize("name", ["returns-list-paginated", "returns-list-unpaginated"])
def test_both_shapes_of_the_list_are_read(vendor, loop, payload, name):
    body = json.loads(payload(f"loop/{name}.json"))
    if isinstance(body, dict):
        body["nextPageUrl"] = None
    vendor.says(said(body))
    told = body if isinstance(body, list) else body["returns"]
    assert ids(loop.returns(START, END, ["open"])) == sorted((str(row["id"]) for row in told), key=int)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_no_return_is_lost_to_a_tie_at_the_edge_of_a_page(vendor, loop, size):
    rows = [stored(key, key // 4) for key in range(20)]
    vendor.respond = List(rows, size)
    assert ids(loop.returns(START, END, ["open"])) == [str(key) for key in range(20)]
    unpaginated = [request.query for request in vendor.requests if "paginate" not in request.query]
    assert bool(unpaginated) is (size < 4)
    assert all("pageSize" not in query and query["to"].endswith(".999Z") for query in unpaginated)


def test_full_pages_cost_no_more_calls_than_there_are_pages(vendor, loop):
    vendor.respond = List([stored(key, key) for key in range(1500)], 750)
    assert len(ids(loop.returns(START, END, ["open"]))) == 1500
    assert len(vendor.requests) == 3  # 750, then 749 new ones and one again, then the last


def test_every_state_is_one_pass_over_the_same_fixed_range(vendor, loop):
    vendor.respond = List([stored(1, 5), stored(2, 6, state="cancelled"), stored(3, 7, state="review")], 750)
    batch = loop.returns(START, END)
    assert sorted(batch.returns["return_id"]) == ["1", "2", "3"]
    assert [request.query["state"] for request in vendor.requests] == ["open", "closed", "cancelled", "expired", "review"]
    assert len({(request.query["from"], request.query["to"]) for request in vendor.requests}) == 1


def test_a_return_that_two_passes_show_is_taken_as_last_updated_and_on_a_tie_as_last_seen(vendor, loop):
    seen = {
        "open": [stored(1, 9), stored(2, 5), stored(3, 5, updated_at=None)],
        "closed": [stored(1, 5, state="closed"), stored(2, 5, state="closed"), stored(3, 1, state="closed")],
    }
    vendor.respond = lambda request: said(seen.get(request.query["state"], []))
    batch = loop.returns(START, END)
    assert dict(zip(batch.returns["return_id"], batch.returns["loop_state"], strict=True)) == {"1": "open", "2": "closed", "3": "closed"}


def test_records_that_cannot_be_decoded_are_counted_once_and_stop_no_page(vendor, loop):
    vendor.respond = List([stored(1, 1), stored(2, 2, line_items="none"), stored(3, 3)], 2)
    batch = loop.returns(START, END, ["open"])
    assert sorted(batch.returns["return_id"]) == ["1", "3"] and [one.record_key for one in batch.rejected] == ["2"]


def test_a_range_over_120_days_is_refused_before_any_call(vendor, loop):
    with pytest.raises(ValueError, match="120"):
        loop.returns(START, START + timedelta(days=120, seconds=1), ["open"])
    assert vendor.requests == []
    vendor.says(said([]))
    assert ids(loop.returns(START, START + timedelta(days=120), ["open"])) == []


@pytest.mark.parametrize("body", [{"message": "hello"}, {"returns": {"id": 1}}, "returns", True, None])
def test_a_list_that_is_neither_array_nor_envelope_is_structural(vendor, loop, body):
    vendor.says(said(body))
    with pytest.raises(StructuralError, match="acme"):
        loop.returns(START, END, ["open"])


def test_a_server_that_always_sends_the_same_page_is_a_structural_error(vendor, loop):
    vendor.says(said({"returns": [stored(1, 1), stored(2, 2)], "nextPageUrl": "again"}))
    with pytest.raises(StructuralError):
        loop.returns(START, END, ["open"])
    assert len(vendor.requests) < 80


def test_a_page_of_html_is_read_again(vendor, loop):
    vendor.says(Answer(b"<html>busy</html>"), said([stored(1, 1)]))
    assert ids(loop.returns(START, END, ["open"])) == ["1"]


def test_details_are_one_row(vendor, loop, payload):
    vendor.says(Answer(payload("loop/return-details.json")))
    batch = loop.details("37603915")
    assert batch.returns["return_id"].tolist() == ["37603915"] and len(batch.lines) == 2
    assert vendor.requests[0].path == "/api/warehouse/return/details" and vendor.requests[0].query == {"return_id": "37603915"}


@pytest.mark.parametrize("body", [ERRORS["details_unknown_return"]["body"], ERRORS["action_unknown_return"]["body"]])
def test_an_unknown_return_has_no_details(vendor, loop, body):
    vendor.says(said(body))
    batch = loop.details("1")
    assert len(batch.returns) == 0 and batch.bodies == []


@pytest.mark.parametrize("body", [[{"id": 38}], [5], "x", {"errors": {"message": "Boom", "code": "UNEXPECTED_ERROR"}}])
def test_details_of_another_shape_are_structural(vendor, loop, body):
    vendor.says(said(body))
    with pytest.raises(StructuralError):
        loop.details("1")


def test_the_asn_report_is_read_without_its_personal_fields(vendor, loop, payload):
    vendor.says(Answer(payload("loop/asn-report.json")))
    (row,) = loop.asn(date(2026, 1, 1), date(2026, 1, 7))
    assert (row.report_id, row.line_item_id, row.order_name, row.state) == ("37603915", "293482039", "#10382", "open")
    assert (row.sku, row.tracking_number) == ("2039473-Y", "9400100000000000000001")
    assert row.updated_at == datetime(2026, 1, 5, 22, 27, 18, tzinfo=UTC) and row.created_at < row.updated_at
    assert "shopper" not in repr(row)
    assert vendor.requests[0].path == "/api/warehouse/reporting/asn"
    assert vendor.requests[0].query == {"from": "2026-01-01", "to": "2026-01-07"}


@pytest.mark.parametrize("act", ["process", "flag"])
@pytest.mark.parametrize("body", [b"true", b'"true"', b" true\n"])
def test_true_in_either_spelling_is_success(vendor, loop, act, body):
    vendor.says(Answer(body))
    getattr(loop, act)("37603915")
    (request,) = vendor.requests
    assert (request.method, request.path, request.body) == ("POST", f"/api/warehouse/return/37603915/{act}", b"")


@pytest.mark.parametrize("name", sorted(name for name, case in ERRORS.items() if case["http_status"] in (200, 404, 409, 422)))
def test_every_documented_refusal_is_refused_whatever_its_envelope(vendor, loop, name):
    case = ERRORS[name]
    vendor.says(said(case["body"], case["http_status"]))
    with pytest.raises(RefusedError) as caught:
        loop.process("37603915")
    assert caught.value.is_certain and len(vendor.requests) == 1
    assert caught.value.code in (None, "UNPROCESSABLE_RETURN", "UNPROCESSABLE_FLAGGED_RETURN", "NOT_FOUND")


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("process_closed", "UNPROCESSABLE_RETURN", "Return is closed and therefore cannot be processed."),
        ("process_flagged", "UNPROCESSABLE_FLAGGED_RETURN", "Return is open and therefore cannot be processed."),
        ("process_cancelled", None, "Return is cancelled"),
        ("process_in_review", None, "Return is review"),
        ("cancel_expired", None, "Return is expired"),
        ("action_unknown_return", None, "No return found with this ID."),
        ("webhook_not_found", "NOT_FOUND", "NOT_FOUND"),
        ("destination_not_found", "NOT_FOUND", "could not be found"),
        ("remove_missing_line_item", None, "line item id field is required"),
        ("list_invalid_state", None, "The given data was invalid. (state)"),
    ],
)
def test_a_refusal_carries_loops_code_and_words(vendor, loop, name, code, words):
    vendor.says(said(ERRORS[name]["body"], ERRORS[name]["http_status"]))
    with pytest.raises(RefusedError) as caught:
        loop.process("37603915")
    assert caught.value.code == code and words in str(caught.value) and "acme" in str(caught.value)


@pytest.mark.parametrize("body", [False, {"errors": [{"message": "No."}]}, {"errors": "Unauthorized."}])
def test_false_and_the_odd_envelopes_are_refusals_too(vendor, loop, body):
    vendor.says(said(body))
    with pytest.raises(RefusedError):
        loop.flag("1")


@pytest.mark.parametrize("body", [{}, [], {"id": 5, "state": "closed"}, 1, None, "ok", {"status": "queued"}])
def test_json_that_is_neither_true_nor_a_refusal_is_uncertain(vendor, loop, body):
    vendor.says(said(body))
    with pytest.raises(TransientVendorError) as caught:
        loop.process("1")
    assert caught.value.is_certain is False


@pytest.mark.parametrize(
    ("name", "kind", "is_certain"),
    [
        ("bad_or_unscoped_key", UnauthorizedError, True),
        ("bad_key_returns_api_alt", UnauthorizedError, True),
        ("remove_unknown_return", UnauthorizedError, True),
        ("rate_limited", ThrottledError, True),
        ("remove_failed", TransientVendorError, False),
    ],
)
def test_failures_of_a_write_keep_their_kind(vendor, loop, name, kind, is_certain):
    vendor.says(said(ERRORS[name]["body"], ERRORS[name]["http_status"]))
    with pytest.raises(VendorError) as caught:
        loop.process("1")
    assert type(caught.value) is kind and caught.value.is_certain is is_certain


def test_a_note_is_sent_as_content_and_must_stay_under_255_characters(vendor, loop):
    loop.note("5", "x" * 254)
    assert (vendor.requests[0].path, vendor.requests[0].json) == ("/api/warehouse/return/5/note", {"content": "x" * 254})
    for text in ("x" * 255, ""):
        with pytest.raises(ValueError, match="254"):
            loop.note("5", text)
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    ("answer", "texts"),
    [
        (said([{"id": 1, "content": "a", "created_at": "x"}, {"id": 2, "content": None}]), ["a"]),
        (said({"notes": [{"id": 1, "content": "b"}]}), ["b"]),
        (said(False, 422), []),
        (said([]), []),
    ],
)
def test_notes_are_read_in_every_shape(vendor, loop, answer, texts):
    vendor.says(answer)
    assert loop.notes("5") == texts
    assert vendor.requests[0].path == "/api/warehouse/return/5/notes"


def test_notes_that_cannot_be_read_are_an_error_not_none(vendor, loop):
    vendor.says(said({"message": "Bad."}, 422))
    with pytest.raises(PermanentVendorError):
        loop.notes("5")
    vendor.says(said(ERRORS["action_unknown_return"]["body"]))
    with pytest.raises(StructuralError, match="No return found"):
        loop.notes("5")


@pytest.mark.parametrize("return_id", ["../5", "5/flag", "", "5?x=1", "a" * 65, ".."])
def test_an_id_that_would_change_the_path_is_never_sent(vendor, loop, return_id):
    with pytest.raises(PermanentVendorError, match="nothing was sent"):
        loop.process(return_id)
    assert vendor.requests == []


def test_webhooks_are_listed_made_and_changed(vendor, loop, payload):
    vendor.says(Answer(payload("loop/webhooks-list.json")))
    (hook,) = loop.webhooks()
    assert (hook.id, hook.topic, hook.trigger, hook.url, hook.status) == (
        "12345",
        "return",
        "return.created",
        "https://example.com/webhook",
        "active",
    )
    vendor.says(said({"id": 7, "topic": "return", "trigger": "return.closed", "url": "https://example.com/webhook"}, 201))
    assert loop.create_webhook("return", "return.closed", "https://example.com/webhook").id == "7"
    assert vendor.requests[-1].json == json.loads(payload("loop/webhook-create-request.json"))
    vendor.says(Answer(b"", 204))
    loop.update_webhook("7", "return", "return.closed", "https://example.com/new", "inactive")
    assert (vendor.requests[-1].method, vendor.requests[-1].path) == ("PUT", "/api/webhooks/7")
    assert vendor.requests[-1].json["status"] == "inactive"


def test_a_client_is_made_from_settings(vendor):
    settings = LoopSettings(base_url=f"{vendor.url}/2026-07", api_key="env:ACME_LOOP_API_KEY")
    with LoopClient.connect(settings, merchant="acme-from-settings", api_key=SecretStr(SECRET)) as client:
        client.process("5")
        assert client.http.calls == 1
    assert vendor.requests[0].path == "/api/2026-07/warehouse/return/5/process"
    assert vendor.requests[0].headers["X-Authorization"] == SECRET


@pytest.mark.parametrize("form", [SECRET, SECRET.replace("-", "\\u002d")])
def test_a_refusal_that_echoes_the_key_is_kept_without_it(vendor, loop, form):
    vendor.says(Answer(f'{{"errors":{{"message":"Return refused for {form}","code":"{form}"}}}}'.encode()))
    with pytest.raises(RefusedError) as caught:
        loop.process("37603915")
    assert SECRET not in f"{caught.value} {caught.value.code}" and "Return refused for [secret]" in str(caught.value)


def test_a_record_that_echoes_the_key_is_read_without_it(vendor, loop):
    vendor.says(said([stored(1, 1) | {"order_name": SECRET}]))
    assert loop.returns(START, END, ["open"]).returns["order_name"].tolist() == ["[secret]"]


def test_an_array_of_details_is_as_many_returns_with_the_asked_one_first(vendor, loop):
    vendor.says(said([{"id": 2, "line_items": []}, {"id": 1, "line_items": []}]))
    assert loop.details("1").returns["return_id"].tolist() == ["1", "2"]
    vendor.says(said([]))
    assert len(loop.details("1").returns) == 0


def test_a_long_span_of_the_asn_report_is_asked_for_in_parts_that_loop_takes(vendor, loop):
    vendor.says(said([]))
    loop.asn(date(2026, 1, 1), date(2026, 9, 1))
    asked = [(request.query["from"], request.query["to"]) for request in vendor.requests]
    assert asked == [("2026-01-01", "2026-04-30"), ("2026-05-01", "2026-08-28"), ("2026-08-29", "2026-09-01")]
