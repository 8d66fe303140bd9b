"""The assumed Airhouse contract."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import httpx

from backhaul.sandbox import Sandbox
from tests.sandbox.receiver import Receiver

ITEM = {"external_line_id": "1", "sku": "TEE", "expected_quantity": 2, "return_reason": "Too big"}
BODY: dict[str, Any] = {"external_id": "37600001", "order_number": "#1001", "source": "loop", "type": "customer_return", "items": [ITEM]}


def test_the_same_return_twice_is_one_and_another_body_is_a_conflict(box: Sandbox, airhouse: httpx.Client) -> None:
    first, again = airhouse.post("/returns", json=BODY), airhouse.post("/returns", json=BODY)
    other = airhouse.post("/returns", json=BODY | {"order_number": "#1002"})
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert first.json()["id"] == again.json()["id"] == other.json()["error"]["existing_id"]
    assert box.world.effects("acme", "airhouse.create", "37600001") == 1


def test_an_idempotency_key_stands_for_one_body(box: Sandbox, airhouse: httpx.Client) -> None:
    bodies = (BODY, BODY, BODY | {"notes": "other words"}, BODY | {"external_id": "37600002"})
    told = [airhouse.post("/returns", json=body, headers={"Idempotency-Key": "k"}) for body in bodies]
    assert [one.status_code for one in told] == [201, 200, 409, 409]
    assert [one.json()["error"]["code"] for one in told[2:]] == ["duplicate_external_id", "idempotency_key_reused"]
    assert told[0].json()["id"] == told[1].json()["id"] == told[2].json()["error"]["existing_id"]
    assert box.world.effects("acme", "airhouse.create", "37600001") == 1


def test_changes_and_cancelling_need_a_requested_return_and_closing_a_processed_one(box: Sandbox, airhouse: httpx.Client) -> None:
    made = airhouse.post("/returns", json=BODY).json()["id"]
    assert airhouse.patch(f"/returns/{made}", json={"tracking_number": "94001"}).json()["tracking_number"] == "94001"
    assert airhouse.post(f"/returns/{made}/close").json()["error"]["code"] == "invalid_state"
    box.world.receive("acme", "37600001", "damaged")
    item = airhouse.get("/returns", params={"external_id": "37600001"}).json()["data"][0]["items"][0]
    assert (item["expected_quantity"], item["received_quantity"], item["restocked_quantity"]) == (2, 2, 1)
    assert airhouse.patch(f"/returns/{made}", json={}).status_code == airhouse.post(f"/returns/{made}/cancel").status_code == 409
    assert [airhouse.post(f"/returns/{made}/close").json()["status"] for _ in range(2)] == ["closed", "closed"]
    assert box.world.effects("acme", "airhouse.close", "37600001") == 1


def test_the_list_pages_in_order_of_change(airhouse: httpx.Client) -> None:
    made = [airhouse.post("/returns", json=BODY | {"external_id": f"id-{n}"}).json() for n in range(3)]
    page = airhouse.get("/returns", params={"limit": 2}).json()
    rest = airhouse.get("/returns", params={"limit": 2, "cursor": page["next_cursor"]}).json()
    assert [each["id"] for each in page["data"] + rest["data"]] == [each["id"] for each in made] and rest["next_cursor"] is None
    since = airhouse.get("/returns", params={"updated_since": made[2]["updated_at"]}).json()["data"]
    assert [each["external_id"] for each in since] == ["id-2"]
    assert [each["external_id"] for each in airhouse.get("/returns", params={"external_id": "id-1"}).json()["data"]] == ["id-1"]


def test_errors_have_a_code(box: Sandbox, airhouse: httpx.Client) -> None:
    box.world.airhouse("acme").options.known_skus = frozenset({"CAP"})
    assert airhouse.post("/returns", json=BODY).json()["error"]["code"] == "unknown_sku"
    assert airhouse.post("/returns/ret_none/cancel").status_code == 404
    assert httpx.get(f"{box.airhouse_url('acme')}/returns").status_code == 401


def test_events_are_signed_over_the_time_and_the_body(box: Sandbox, airhouse: httpx.Client, receiver: Receiver) -> None:
    airhouse.post("/returns", json=BODY)
    box.world.subscribe("acme", receiver.url)
    box.world.receive("acme", "37600001", {"TEE": {"available": 2}, "SOCK": {"available": 1}})
    assert box.drain()
    _, headers, raw = receiver.got[0]
    stamp, _, given = headers["x-airhouse-signature"].partition(",v1=")
    secret = box.keys["acme"].airhouse_webhook_secret
    assert given == hmac.new(secret.encode(), stamp.removeprefix("t=").encode() + b"." + raw, hashlib.sha256).hexdigest()
    event = json.loads(raw)
    items = event["data"]["return"]["items"]
    assert event["topic"] == "return.processed" and items[1]["unexpected"] is True and items[1]["expected_quantity"] == 0
