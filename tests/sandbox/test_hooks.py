"""Webhooks and callbacks: signed bytes, payloads of each surface, retries, and what can go wrong on the way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from typing import Any

import httpx

from backhaul.sandbox import Sandbox
from backhaul.sandbox.loop.hooks import php_json, signature
from tests.sandbox.receiver import Receiver
from tests.sandbox.rma_bodies import rma


def triggers(receiver: Receiver) -> list[object]:
    return [body["trigger"] for body in receiver.bodies()]


def test_the_signature_is_over_compact_json_with_escaped_slashes() -> None:
    body = {"topic": "return", "trigger": "return.created", "shop_id": 12345, "id": "37603915", "state": "open"}
    body |= {"status_page_url": "https://example.loopreturns.com/#/return/x", "customer_detail": {"first_name": "Zoë"}}
    raw = php_json(body)
    assert b"https:\\/\\/example.loopreturns.com\\/#\\/return\\/x" in raw and b"Zo\\u00eb" in raw
    assert signature("test-secret-not-real", raw) == "odmiLqqEf+Esff5G22Lj36gI5iHWvDBLc8ciF1bmZnk="


def test_a_new_return_is_posted_signed_and_without_a_label(box: Sandbox, receiver: Receiver) -> None:
    box.world.subscribe("acme", receiver.url)
    made = box.world.create_return("acme", ["TEE"])
    assert box.drain()
    path, headers, raw = receiver.got[0]
    body = json.loads(raw)
    wanted = base64.b64encode(hmac.new(box.keys["acme"].loop_webhook_secret.encode(), raw, hashlib.sha256).digest()).decode()
    assert path == "/webhooks/acme/loop" and headers["x-loop-signature"] == wanted and b"\\/" in raw
    assert body["trigger"] == "return.created" and body["id"] == str(made.id) and "updated_at" not in body
    assert (body["carrier"], body["tracking_number"], body["labels"]) == ("", "N/A", [])
    assert re.fullmatch(r"\S+T\S+\+00:00", body["created_at"]) and " " in body["line_items"][0]["returned_at"]
    assert body["address"]["phone"] and isinstance(body["provider_order_number"], int)


def test_the_label_comes_later_with_integer_ids(box: Sandbox, receiver: Receiver) -> None:
    box.world.subscribe("acme", receiver.url)
    made = box.world.create_return("acme").id
    box.world.set_tracking("acme", made, "9400100000000000000001")
    assert box.drain()
    assert triggers(receiver) == ["return.created", "return.updated", "label.updated"]
    label = receiver.bodies()[-1]
    assert label["id"] == made and label["tracking_number"] == "9400100000000000000001"


def test_processing_tells_of_its_end(box: Sandbox, receiver: Receiver, loop: httpx.Client) -> None:
    good, bad = (box.world.create_return("acme").id for _ in range(2))
    box.world.fail_processing("acme", bad, "Card declined")
    box.world.subscribe("acme", receiver.url)
    for made in (good, bad):
        loop.post(f"/warehouse/return/{made}/process")
    assert box.drain()
    assert triggers(receiver) == ["return.updated", "return.closed", "return.updated", "return.processing.failed"]
    assert receiver.bodies()[1]["refunds"] != []
    failed = {"topic": "return.processing", "trigger": "return.processing.failed", "return_id": bad}
    assert receiver.bodies()[-1] == failed | {"return_state": "review", "message": "Card declined", "source": "api"}


def test_an_inactive_webhook_stays_silent_and_a_foreign_topic_gives_an_empty_body(box: Sandbox, receiver: Receiver) -> None:
    account = box.world.loop("acme")
    account.subscribe("return", "return.created", f"{receiver.url}/off", "inactive")
    account.subscribe("label", "return.created", f"{receiver.url}/on")
    box.world.create_return("acme")
    assert box.drain()
    assert [(path, body) for path, _, body in receiver.got] == [("/on", b"{}")]


def test_a_failed_delivery_is_tried_again_and_gives_up_in_the_end(box: Sandbox, receiver: Receiver) -> None:
    box.world.courier.options.first_retry = 0.01
    box.world.loop("acme").subscribe("return", "return.created", receiver.url)
    receiver.answers = [500, 503]
    box.world.create_return("acme")
    assert box.drain()
    assert box.world.courier.postings[-1].statuses == [500, 503, 200]
    receiver.answers = [500] * 9
    box.world.create_return("acme")
    assert box.drain()
    assert box.world.courier.postings[-1].statuses == [500] * 6


def test_a_webhook_can_switch_itself_off_after_failures(box: Sandbox, receiver: Receiver) -> None:
    account = box.world.loop("acme")
    account.options.disable_webhooks_after, box.world.courier.options.first_retry = 2, 0.01
    hook = account.subscribe("return", "return.created", receiver.url)
    receiver.answers = [500] * 6
    box.world.create_return("acme")
    assert box.drain() and hook.status == "inactive"


def test_deliveries_can_be_lost_repeated_and_overtaken(box: Sandbox, receiver: Receiver) -> None:
    options = box.world.courier.options
    box.world.subscribe("acme", receiver.url)
    options.lose = 1.0
    box.world.create_return("acme")
    options.lose, options.duplicate = 0.0, 1.0
    second = box.world.create_return("acme").id
    options.duplicate, options.reorder, options.reorder_delay = 0.0, 1.0, 0.2
    third = box.world.create_return("acme").id
    options.reorder = 0.0
    fourth = box.world.create_return("acme").id
    assert box.drain()
    assert [int(str(body["id"])) for body in receiver.bodies()] == [second, second, fourth, third]


def announce(box: Sandbox, masonhub: httpx.Client, receiver: Receiver, version: str) -> None:
    box.world.masonhub("acme").options.callback_version = version
    box.world.subscribe("acme", receiver.url)
    masonhub.post("/rmas", json=[rma(customer_instructions="Steam")])


def test_a_v1_callback_is_flat_and_carries_the_token(box: Sandbox, masonhub: httpx.Client, receiver: Receiver) -> None:
    announce(box, masonhub, receiver, "1.0")
    box.world.receive("acme", "37600001", "damaged")
    assert box.drain()
    path, headers, raw = receiver.got[0]
    body: dict[str, Any] = json.loads(raw)
    event = body["data"][0]
    assert path == "/webhooks/acme/masonhub" and headers["authorization"] == f"Bearer {box.keys['acme'].masonhub_callback_token}"
    assert (body["message_type"], body["api_version"], event["status"]) == ("rmaEvent", "1.0", "received")
    assert event["customer_instruction"] == "Steam" and "damaged" in event["line_items"][0]["receiving_details"]


def test_a_v2_callback_has_details_and_a_carrier_event_has_none(box: Sandbox, masonhub: httpx.Client, receiver: Receiver) -> None:
    announce(box, masonhub, receiver, "2.0")
    box.world.masonhub("acme").carrier("37600001", "inTransit")
    box.world.receive("acme", "37600001", "all")
    assert box.drain()
    carrier, received = (body["data"][0] for body in receiver.bodies())  # type: ignore[index]
    assert carrier["event_type"] == "inTransit" and "status" not in carrier and "details" not in carrier
    assert received["status"] == "received" and received["as_of"].endswith("-05:00")
    assert received["details"]["version"] == "2" and received["details"]["processed_at"] is not None
    assert len({body["message_id"] for body in receiver.bodies()}) == 2


def test_the_token_can_travel_in_the_body(box: Sandbox, masonhub: httpx.Client, receiver: Receiver) -> None:
    box.world.masonhub("acme").options.token_in_body = True
    announce(box, masonhub, receiver, "1.0")
    box.world.receive("acme", "37600001")
    assert box.drain()
    assert receiver.bodies()[0]["token"] == box.keys["acme"].masonhub_callback_token and "authorization" not in receiver.got[0][1]
