"""Loop's actions, details, notes, ASN report, keys and limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from backhaul.sandbox import Sandbox

ONE = "/warehouse/return"


def state_of(loop: httpx.Client, return_id: int) -> str:
    return str(loop.get(f"{ONE}/details", params={"return_id": return_id}).json()["state"])


def test_process_answers_a_bare_true_and_closes_the_return_later(box: Sandbox, loop: httpx.Client) -> None:
    box.world.loop("acme").options.process_delay = timedelta(minutes=5)
    made = box.world.create_return("acme").id
    answer = loop.post(f"{ONE}/{made}/process")
    assert (answer.status_code, answer.text) == (200, "true")
    assert state_of(loop, made) == "open"
    box.advance(timedelta(minutes=6))
    assert state_of(loop, made) == "closed"
    assert box.world.effects("acme", "loop.process", made) == 1


@pytest.mark.parametrize(
    ("state", "fields", "expected"),
    [
        ("closed", {}, {"errors": {"message": "Return is closed and therefore cannot be processed.", "code": "UNPROCESSABLE_RETURN"}}),
        (
            "open",
            {"is_flagged": True},
            {"errors": {"message": "Return is open and therefore cannot be processed.", "code": "UNPROCESSABLE_FLAGGED_RETURN"}},
        ),
        ("cancelled", {}, {"message": "Return is cancelled and therefore cannot be processed."}),
        ("review", {}, {"message": "Return is review and therefore cannot be processed."}),
    ],
)
def test_refusals_to_process_come_with_http_200(
    box: Sandbox, loop: httpx.Client, state: str, fields: dict[str, bool], expected: dict[str, object]
) -> None:
    made = box.world.create_return("acme", state=state, **fields).id
    answer = loop.post(f"{ONE}/{made}/process")
    assert (answer.status_code, answer.json()) == (200, expected)
    assert box.world.effects("acme", "loop.process") == 0


def test_an_unknown_return_is_http_200_in_two_envelopes(loop: httpx.Client) -> None:
    action, details = loop.post(f"{ONE}/1/flag"), loop.get(f"{ONE}/details", params={"return_id": 1})
    assert action.status_code == details.status_code == 200
    assert action.json() == {"errors": {"message": "No return found with this ID."}}
    assert details.json() == {"error": {"message": "No return found with this ID."}}


def test_processing_can_fail_after_it_was_accepted(box: Sandbox, loop: httpx.Client) -> None:
    made = box.world.create_return("acme").id
    box.world.fail_processing("acme", made)
    assert loop.post(f"{ONE}/{made}/process").json() is True
    assert state_of(loop, made) == "review"


def test_was_processed_lags_behind_closed(box: Sandbox, loop: httpx.Client) -> None:
    box.world.loop("acme").options.was_processed_lag = timedelta(hours=2)
    made = box.world.create_return("acme").id
    loop.post(f"{ONE}/{made}/process")
    record = loop.get(f"{ONE}/list", params={"state": "closed"}).json()[0]
    assert record["state"] == "closed" and record["was_processed"] is False
    box.advance(timedelta(hours=3))
    assert loop.get(f"{ONE}/list", params={"state": "closed"}).json()[0]["was_processed"] is True


@pytest.mark.parametrize(("to_review", "state"), [(True, "review"), (False, "open")])
def test_a_flag_blocks_processing_whatever_state_it_leaves(box: Sandbox, loop: httpx.Client, to_review: bool, state: str) -> None:
    box.world.loop("acme").options.flag_to_review = to_review
    made = box.world.create_return("acme").id
    assert loop.post(f"{ONE}/{made}/flag").json() is True
    assert loop.post(f"{ONE}/{made}/flag").json() is True
    assert state_of(loop, made) == state
    assert loop.post(f"{ONE}/{made}/process").json()["errors"]["code"] == "UNPROCESSABLE_FLAGGED_RETURN"


def test_details_have_integer_ids_and_dates_without_a_zone(box: Sandbox, loop: httpx.Client) -> None:
    made = box.world.create_return("acme", order_number=2222)
    for params in ({"return_id": made.id}, {"order_name": "2222"}, {"order_id": 5_444_175_002_222}):
        record = loop.get(f"{ONE}/details", params=params).json()
        assert record["id"] == made.id and record["created_at"] == made_at(made.created_at)
        assert record["line_items"][0]["line_item_id"] == made.lines[0].line_item_id


def made_at(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M:%S")


def test_no_notes_is_a_bare_false_and_a_long_note_is_refused(box: Sandbox, loop: httpx.Client) -> None:
    made = box.world.create_return("acme").id
    nothing = loop.get(f"{ONE}/{made}/notes")
    assert (nothing.status_code, nothing.json()) == (422, False)
    assert loop.post(f"{ONE}/{made}/note", json={"content": "x" * 255}).status_code == 422
    assert loop.post(f"{ONE}/{made}/note", json={"content": "x" * 254}).json() is True
    assert [note["content"] for note in loop.get(f"{ONE}/{made}/notes").json()] == ["x" * 254]
    box.world.loop("acme").options.notes_in_object = True
    assert len(loop.get(f"{ONE}/{made}/notes").json()["notes"]) == 1


def test_the_asn_report_has_a_row_a_line_with_mixed_id_types(box: Sandbox, loop: httpx.Client) -> None:
    made = box.world.create_return("acme", ["A", "A", None])
    rows = loop.get("/warehouse/reporting/asn").json()
    assert [row["id"] for row in rows] == [made.id] * 3 and [row["sku"] for row in rows] == ["A", "A", None]
    assert isinstance(rows[0]["return_line_item_id"], str)
    assert loop.get("/warehouse/reporting/asn", params={"to": "nonsense"}).json() == []


@pytest.mark.parametrize("headers", [{}, {"X-Authorization": "wrong"}, {"X-Authorization": "read-nothing"}])
def test_a_missing_key_a_wrong_one_and_one_without_the_scope_are_all_401(box: Sandbox, headers: dict[str, str]) -> None:
    box.world.loop("acme").keys["read-nothing"] = frozenset({"orders"})
    answer = httpx.get(f"{box.loop_url('acme')}{ONE}/list", headers=headers)
    assert answer.status_code == 401 and answer.json()["error"]["http_code"] == "GEN-UNAUTHORIZED"
    box.world.loop("acme").options.unauthorised_form = "errors"
    assert httpx.get(f"{box.loop_url('acme')}{ONE}/list", headers=headers).json() == {"errors": "Unauthorized."}


def test_the_key_of_one_merchant_does_not_open_another(box: Sandbox) -> None:
    headers = {"X-Authorization": box.keys["acme"].loop_api_key}
    assert httpx.get(f"{box.loop_url('bolt')}{ONE}/list", headers=headers).status_code == 401


def test_over_the_rate_limit_is_429_with_retry_after_and_no_effect(box: Sandbox, loop: httpx.Client) -> None:
    box.world.loop("acme").options.rate_limit = 2
    made = box.world.create_return("acme").id
    assert [loop.get(f"{ONE}/list").status_code for _ in range(2)] == [200, 200]
    answer = loop.post(f"{ONE}/{made}/process")
    assert answer.status_code == 429 and 1 <= int(answer.headers["Retry-After"]) <= 60
    assert box.world.effects("acme", "loop.process") == 0


def test_webhooks_are_managed_in_the_documented_shapes(loop: httpx.Client) -> None:
    wanted = {"topic": "return", "trigger": "return.created", "url": "http://127.0.0.1:9/x"}
    made = loop.post("/webhooks", json=wanted)
    assert made.status_code == 201 and made.json()["status"] == "active"
    assert loop.post("/webhooks", json=wanted | {"topic": "nonsense"}).status_code == 422
    key = made.json()["id"]
    assert loop.put(f"/webhooks/{key}", json=wanted | {"status": "inactive"}).status_code == 204
    assert loop.get("/webhooks").json()["webhooks"][0] | {"shop_id": 0} == {"id": key, "shop_id": 0, **wanted, "status": "inactive"}
    missing = loop.put("/webhooks/1", json=wanted)
    assert (missing.status_code, missing.json()) == (404, {"errors": {"code": "NOT_FOUND"}})


def test_a_line_that_is_taken_off_stays_without_amounts_and_only_presentment_is_current(box: Sandbox, loop: httpx.Client) -> None:
    made = box.world.create_return("acme", ("A", "B"))
    off, kept = made.lines
    box.world.loop("acme").remove(made.id, [off])
    record = loop.get("/warehouse/return/list").json()[0]
    shown = {line["line_item_id"]: line for line in record["line_items"]}
    assert shown[str(off.line_item_id)]["price"] == "0.00" and shown[str(off.line_item_id)]["returned_at"] is None
    assert record["presentment"]["line_items"] == [{"line_item_id": str(kept.line_item_id)}]


def test_details_and_list_can_be_written_as_they_were_recorded(box: Sandbox, loop: httpx.Client) -> None:
    made = box.world.create_return("acme", ("A",), destination_id=67_896)
    box.world.loop("acme").options.surface = "recorded"
    (details,) = loop.get("/warehouse/return/details", params={"return_id": made.id}).json()
    (record,) = loop.get("/warehouse/return/list").json()
    assert details["line_items"][0]["reason"] == "Too small" and "return_reason" not in details["line_items"][0]
    assert details["order_id"] != int(record["order_id"]) and details["exchange_order_id"] == []
    assert record["edited_at"] is None and details["edited_at"] == details["updated_at"]
    assert record["created_at"].endswith("+00:00") and record["destination_id"] == details["destination_id"] == 67_896


@pytest.mark.parametrize(("end", "status"), [("2026-04-30", 200), ("2026-05-01", 422)])
def test_the_shipping_notice_takes_at_most_120_days(loop: httpx.Client, end: str, status: int) -> None:
    assert loop.get("/warehouse/reporting/asn", params={"from": "2026-01-01", "to": end}).status_code == status
