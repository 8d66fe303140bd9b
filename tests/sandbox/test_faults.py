"""Faults: what the client sees, and whether the effect happened."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from backhaul.sandbox import Sandbox


def process(loop: httpx.Client, return_id: int) -> httpx.Response:
    return loop.post(f"/warehouse/return/{return_id}/process")


@pytest.mark.parametrize(("kind", "happened"), [("reset_before", 0), ("lost_after", 1)])
def test_a_connection_breaks_off_before_or_after_the_effect(box: Sandbox, loop: httpx.Client, kind: str, happened: int) -> None:
    made = box.world.create_return("acme").id
    box.world.fault(kind, "loop.process")
    with pytest.raises(httpx.TransportError):
        process(loop, made)
    assert box.world.effects("acme", "loop.process", made) == happened
    assert process(loop, made).status_code == 200


@pytest.mark.parametrize(
    ("fault", "status", "text", "happened"),
    [
        ({"kind": "429", "retry_after": 7}, 429, "Too Many Attempts.", 0),
        ({"kind": "503", "retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 503, "unavailable", 0),
        ({"kind": "500"}, 500, "went wrong", 0),
        ({"kind": "500", "after_effect": True}, 500, "went wrong", 1),
        ({"kind": "html"}, 200, "<html>", 0),
        ({"kind": "redirect"}, 302, "/login", 0),
    ],
)
def test_a_fault_answers_for_the_vendor(
    box: Sandbox, loop: httpx.Client, fault: dict[str, Any], status: int, text: str, happened: int
) -> None:
    made = box.world.create_return("acme").id
    box.world.fault(target="loop.process", **fault)
    answer = process(loop, made)
    assert answer.status_code == status and text in answer.text
    assert answer.headers.get("Retry-After") == (str(fault["retry_after"]) if "retry_after" in fault else None)
    assert box.world.effects("acme", "loop.process", made) == happened


def test_a_malformed_body_is_cut_off_after_the_effect(box: Sandbox, loop: httpx.Client) -> None:
    made = box.world.create_return("acme").id
    box.world.fault("malformed", "loop.*", times=None)
    for answer in (process(loop, made), loop.get("/warehouse/return/list")):
        with pytest.raises(json.JSONDecodeError):
            answer.json()
    assert box.world.effects("acme", "loop.process", made) == 1


def test_a_hang_outlasts_the_client_and_does_nothing(box: Sandbox, loop: httpx.Client) -> None:
    made = box.world.create_return("acme").id
    box.world.fault("hang", "loop.process", seconds=20)
    with pytest.raises(httpx.ReadTimeout):
        loop.post(f"/warehouse/return/{made}/process", timeout=0.1)
    assert box.world.effects("acme", "loop.process", made) == 0


def test_the_sandbox_stops_at_once_even_while_a_call_hangs() -> None:
    began = time.monotonic()
    with Sandbox() as box:
        box.world.fault("hang", "loop.list", seconds=30)
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{box.loop_url('acme')}/warehouse/return/list", timeout=0.05)
    assert time.monotonic() - began < 1.5


def test_a_slow_answer_is_right(box: Sandbox, loop: httpx.Client) -> None:
    box.world.fault("slow", "loop.list", seconds=0.15)
    answer = loop.get("/warehouse/return/list")
    assert answer.json() == [] and answer.elapsed.total_seconds() >= 0.15


def test_a_fault_strikes_after_some_calls_so_many_times_and_only_its_record(box: Sandbox, loop: httpx.Client) -> None:
    made, other = (box.world.create_return("acme").id for _ in range(2))
    box.world.fault("503", "loop.details", after=1, times=2, record=str(made))
    seen = [loop.get("/warehouse/return/details", params={"return_id": made}).status_code for _ in range(4)]
    assert seen == [200, 503, 503, 200]
    box.world.fault("503", "loop.details", record=str(made))
    assert loop.get("/warehouse/return/details", params={"return_id": other}).status_code == 200
    assert box.world.faults.pending != []


def test_an_unknown_kind_of_fault_is_a_mistake(box: Sandbox) -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        box.world.fault("explode")


def test_a_lost_batch_was_created_at_masonhub(box: Sandbox, masonhub: httpx.Client) -> None:
    line = {"customer_sku_id": "TEE", "quantity": 1, "return_reason_code": "other", "return_inventory_status": "qc"}
    body = {"customer_identifier": "37600001", "return_type": "rma_submitted_by_customer", "generate_return_label": False}
    box.world.fault("lost_after", "masonhub.create")
    with pytest.raises(httpx.TransportError):
        masonhub.post("/rmas", json=[body | {"package_id": "LOOP-37600001", "line_items": [line]}])
    assert masonhub.get("/rmas", params={"cid": "37600001"}).json()["data"][0]["status"] == "open"
    written = box.world.journal.writes("masonhub.create")[0]
    assert written.fault == "lost_after" and written.body[0]["package_id"] == "LOOP-37600001"
