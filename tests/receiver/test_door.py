"""Who is let in, what is refused, and what is kept."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from backhaul.receiver import app as app_module
from backhaul.receiver import readings
from backhaul.sandbox import Sandbox
from backhaul.sandbox.loop.hooks import TOPICS, php_json
from backhaul.store.inbox import Inbox
from backhaul.store.tables import deliveries

from .conftest import MERCHANT, Desk

LOOP = f"/webhooks/{MERCHANT}/loop"
MASONHUB = f"/webhooks/{MERCHANT}/masonhub"
JSON = {"Content-Type": "application/json"}
Ask = Callable[[httpx.AsyncClient], Coroutine[Any, Any, Any]]


def _signed(desk: Desk, body: bytes, **more: str) -> dict[str, str]:
    secret = desk.box.keys[MERCHANT].loop_webhook_secret.encode()
    return JSON | {"X-Loop-Signature": base64.b64encode(hmac.digest(secret, body, hashlib.sha256)).decode()} | more


def _post(desk: Desk, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post(path, content=body, headers=headers)

    return desk.with_client(ask)


def _kept(desk: Desk) -> list[dict[str, Any]]:
    return desk.rows("SELECT * FROM events ORDER BY event_id")


def test_a_body_with_escaped_slashes_is_verified_as_it_came(desk: Desk) -> None:
    body = b'{"topic":"label","trigger":"label.updated","id":1,"url":"https:\\/\\/example.com\\/x"}'
    assert _post(desk, LOOP, body, _signed(desk, body)).status_code == 200
    assert _post(desk, LOOP, json.dumps(json.loads(body)).encode(), _signed(desk, body)).status_code == 401


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_of_loop_is_kept(desk: Desk, topic: str) -> None:
    body = php_json({"topic": topic, "trigger": "return.updated", "id": 7, "return_id": 8})
    assert _post(desk, LOOP, body, _signed(desk, body)).status_code == 200
    assert len(_kept(desk)) == 1


def test_an_empty_payload_is_kept_and_asks_nothing_of_loop(desk: Desk) -> None:
    assert _post(desk, LOOP, b"{}", _signed(desk, b"{}")).status_code == 200
    desk.take_in()
    assert desk.box.world.journal.count(merchant=MERCHANT) == 0
    assert _kept(desk)[0]["handled_at"] is not None


def test_unknown_merchants_and_wrong_signatures_get_the_same_answer(desk: Desk) -> None:
    body = b'{"topic":"return"}'
    right = _signed(desk, body)
    answers = [
        _post(desk, LOOP, body, JSON),
        _post(desk, LOOP, body, JSON | {"X-Loop-Signature": "="}),
        _post(desk, LOOP, body + b" ", right),
        _post(desk, "/webhooks/nobody/loop", body, right),
        _post(desk, f"/webhooks/{MERCHANT}/airhouse", body, right),
        _post(desk, MASONHUB, body, JSON | {"Authorization": "Bearer wrong"}),
    ]
    assert {(one.status_code, one.content) for one in answers} == {(401, b'{"error":"unauthorized"}')}
    assert _kept(desk) == []


def test_an_unproven_body_never_reaches_a_parser(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "as_events", lambda *_: pytest.fail("parsed"))
    bomb = b"[" * 100_000
    for path, headers in ((LOOP, JSON | {"X-Loop-Signature": "x"}), (MASONHUB, JSON | {"Authorization": "x"}), (MASONHUB, JSON)):
        assert _post(desk, path, bomb, headers).status_code == 401


@pytest.mark.parametrize("body", [b"[" * 500_000, b'{"line_items":' * 50_000, b"", b"null", b"[]", b"\xff\xfe", b'{"id":', b'"text"'])
def test_a_proven_body_that_is_no_object_is_refused_and_not_kept(desk: Desk, body: bytes) -> None:
    assert _post(desk, LOOP, body, _signed(desk, body)).status_code == 400
    token = desk.box.keys[MERCHANT].masonhub_callback_token
    assert _post(desk, MASONHUB, body, JSON | {"Authorization": token}).status_code == 400
    assert _kept(desk) == []


def test_a_body_over_one_mebibyte_is_refused_however_it_is_sent(desk: Desk) -> None:
    body = b'{"x":"' + b"a" * (1 << 20) + b'"}'

    async def chunks() -> Any:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    async def ask(client: httpx.AsyncClient) -> list[int]:
        told = await client.post(LOOP, content=body, headers=_signed(desk, body))
        untold = await client.post(LOOP, content=chunks(), headers=_signed(desk, body))
        return [told.status_code, untold.status_code]

    assert desk.with_client(ask) == [413, 413]
    assert _kept(desk) == []


def test_only_json_by_its_content_type_is_read(desk: Desk) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        assert _post(desk, LOOP, b"{}", _signed(desk, b"{}") | {"Content-Type": kind}).status_code == 415
    assert _post(desk, LOOP, b"{}", _signed(desk, b"{}") | {"Content-Type": "application/json; charset=utf-8"}).status_code == 200


@pytest.mark.parametrize("form", ["bearer", "bare", "body"])
def test_masonhubs_token_is_taken_from_the_header_or_the_body(desk: Desk, form: str) -> None:
    token = desk.box.keys[MERCHANT].masonhub_callback_token
    body: dict[str, Any] = {"message_type": "rmaEvent", "data": [{"id": "r", "customer_identifier": "9", "event_type": "inTransit"}]}
    headers = dict(JSON)
    if form == "body":
        body["token"] = token
    else:
        headers["Authorization"] = token if form == "bare" else f"Bearer {token}"
    assert _post(desk, MASONHUB, json.dumps(body).encode(), headers).status_code == 200
    (kept,) = _kept(desk)
    assert (kept["topic"], kept["record_key"]) == ("rmaEvent.inTransit", "9")
    assert token not in str(kept)


def test_a_callback_of_several_records_is_kept_as_one_event_each(desk: Desk) -> None:
    records = [{"id": f"r{n}", "customer_identifier": str(n), "event_type": "delivered"} for n in range(3)]
    body = json.dumps({"message_type": "rmaEvent", "data": records}).encode()
    headers = JSON | {"Authorization": desk.box.keys[MERCHANT].masonhub_callback_token}
    for _ in range(2):
        assert _post(desk, MASONHUB, body, headers).status_code == 200
    assert [row["record_key"] for row in _kept(desk)] == ["0", "1", "2"]


@pytest.mark.parametrize(("records", "status"), [(1_000, 200), (1_001, 413), (300_000, 413)])
def test_a_callback_of_more_records_than_are_read_at_once_is_refused_whole(desk: Desk, records: int, status: int) -> None:
    body = b'{"message_type":"rmaEvent","data":[' + b",".join([b"{}"] * records) + b"]}"
    headers = JSON | {"Authorization": desk.box.keys[MERCHANT].masonhub_callback_token}
    assert _post(desk, MASONHUB, body, headers).status_code == status
    assert len(_kept(desk)) == (records if status == 200 else 0)


@pytest.mark.parametrize(("lines", "status"), [(1_000, 200), (1_001, 413), (340_000, 413)])
def test_a_return_of_more_lines_than_are_read_at_once_is_left_to_the_poll(desk: Desk, lines: int, status: int) -> None:
    body = b'{"topic":"return","trigger":"return.created","id":77,"line_items":[' + b",".join([b"{}"] * lines) + b"]}"
    assert _post(desk, LOOP, body, _signed(desk, body)).status_code == status
    assert len(_kept(desk)) == (status == 200)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip", "x"])
def test_a_compressed_body_is_refused_unread(desk: Desk, encoding: str) -> None:
    body = gzip.compress(b"{}" * 200_000)
    assert _post(desk, LOOP, body, _signed(desk, body) | {"Content-Encoding": encoding}).status_code == 415
    assert _kept(desk) == []


def test_while_a_body_is_read_others_are_answered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    is_reading, may_end = threading.Event(), threading.Event()

    def slow(*_: object) -> list[Any]:
        is_reading.set()
        assert may_end.wait(300)
        return []

    monkeypatch.setattr(app_module, "as_events", slow)

    async def ask(client: httpx.AsyncClient) -> list[int]:
        reading = asyncio.create_task(client.post(LOOP, content=b"{}", headers=_signed(desk, b"{}")))
        while not is_reading.is_set():
            await asyncio.sleep(0.01)
        other = await client.get("/healthz")
        may_end.set()
        return [other.status_code, (await reading).status_code]

    assert desk.with_client(ask) == [200, 200]


def test_the_same_event_twice_is_kept_once_and_replayed_later_changes_nothing(desk: Desk) -> None:
    desk.box.world.create_return(MERCHANT, ("TEE-NAV-M",))
    postings = desk.fresh_postings()
    assert desk.post(postings * 3) == [200] * 3
    desk.take_in()
    before = {table: desk.rows(f"SELECT * FROM {table}") for table in ("events", "returns", "deliveries", "decisions")}
    calls = desk.box.world.journal.count()
    assert desk.post(postings) == [200]
    desk.take_in()
    assert {table: desk.rows(f"SELECT * FROM {table}") for table in before} == before
    assert desk.box.world.journal.count() == calls


def test_no_personal_data_is_kept(desk: Desk) -> None:
    item = desk.box.world.create_return(MERCHANT, ("TEE-NAV-M",))
    desk.post(desk.fresh_postings())
    desk.take_in()
    kept = str(_kept(desk)) + str(desk.rows("SELECT body FROM return_versions"))
    for personal in ("@", "Example Street", "+1555", "Columbus", "first_name"):
        assert personal not in kept
    assert str(item.id) in kept


def test_a_structure_that_does_not_decode_is_kept_as_a_signal(desk: Desk) -> None:
    item = desk.box.world.create_return(MERCHANT, ("TEE-NAV-M",))
    desk.fresh_postings()
    body = php_json({"topic": "return", "trigger": "return.created", "id": item.id, "line_items": "none", "customer": "a@b.example"})
    assert _post(desk, LOOP, body, _signed(desk, body)).status_code == 200
    desk.take_in()
    (row,) = desk.rows("SELECT return_id, updated_at FROM returns")
    assert row["return_id"] == str(item.id) and row["updated_at"] is not None
    assert "b.example" not in str(_kept(desk))


def test_a_character_that_a_database_cannot_hold_does_not_stop_the_others(desk: Desk) -> None:
    raw = b'{"topic":"return\\u0000","id":"1\\u00002","carrier":"a\\u0000b\\\\u0000"}'
    (event,) = readings.as_events(MERCHANT, "loop", raw, desk.now())
    assert (event.topic, event.record_key) == ("unknown", None)
    assert json.loads(event.body)["carrier"] == "a\N{REPLACEMENT CHARACTER}b\\u0000"


def test_while_the_store_is_away_the_vendor_is_asked_to_come_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with desk.store.write() as connection:
        connection.exec_driver_sql("ALTER TABLE events RENAME TO gone")
    response = _post(desk, LOOP, b"{}", _signed(desk, b"{}"))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "30")
    assert _ready(desk)[0] == 503
    with desk.store.write() as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO events")
    assert _post(desk, LOOP, b"{}", _signed(desk, b"{}")).status_code == 200


def _ready(desk: Desk) -> tuple[int, dict[str, Any]]:
    async def ask(client: httpx.AsyncClient) -> tuple[int, dict[str, Any]]:
        response = await client.get("/readyz")
        return response.status_code, response.json()

    return desk.with_client(ask)


def test_readiness_is_red_once_the_backlog_is_older_than_its_limit(desk: Desk, box: Sandbox) -> None:
    assert _ready(desk) == (200, {"status": "ready", "store": "up", "waiting": 0, "oldest_seconds": 0.0, "worker": "alive"})
    box.world.create_return(MERCHANT, ("TEE-NAV-M",))
    desk.post(desk.fresh_postings())
    box.advance(timedelta(minutes=4))
    assert _ready(desk)[0] == 200
    box.advance(timedelta(minutes=2))
    status, found = _ready(desk)
    assert (status, found["status"], found["waiting"], found["oldest_seconds"]) == (503, "red", 1, 360.0)
    desk.take_in()
    assert _ready(desk)[0] == 200


def test_one_merchants_backlog_does_not_turn_a_service_of_many_red(desk: Desk, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    many = desk.settings.merchants | {name: desk.settings.merchants[MERCHANT] for name in ("bolt", "cove")}
    monkeypatch.setattr(desk, "settings", desk.settings.model_copy(update={"merchants": many}))
    box.world.create_return(MERCHANT, ("TEE-NAV-M",))
    desk.post(desk.fresh_postings())
    box.advance(timedelta(minutes=6))
    status, found = _ready(desk)
    assert (status, found["status"], found["late"]) == (200, "ready", {MERCHANT: 360.0})


def test_metrics_tell_of_events_backlog_deliveries_and_quarantine(desk: Desk) -> None:
    desk.box.world.create_return(MERCHANT, ("TEE-NAV-M",))
    spoiled = desk.box.world.create_return(MERCHANT, ("TEE-NAV-S",))
    desk.box.world.loop(MERCHANT).corrupt(spoiled.id, 0, price="-5.00")
    desk.box.world.set_tracking(MERCHANT, spoiled.id, "9400100000000000000001")
    desk.post(desk.fresh_postings())
    desk.take_in()
    desk.box.world.create_return(MERCHANT, ("TEE-NAV-L",))
    waiting = desk.fresh_postings()
    with desk.store.write() as connection:
        one_of_two = sa.select(sa.func.min(deliveries.c.delivery_id)).scalar_subquery()
        connection.execute(sa.update(deliveries).where(deliveries.c.delivery_id == one_of_two).values(state="refused"))

    async def ask(client: httpx.AsyncClient) -> str:
        for one in waiting:
            await client.post(one.url, content=one.body, headers=one.headers)
        await client.post(LOOP, content=b"{}", headers=JSON)
        return (await client.get("/metrics")).text

    text = desk.with_client(ask)
    assert f'backhaul_events_total{{merchant="{MERCHANT}",source="loop"}} 1.0' in text
    assert 'backhaul_webhook_requests_total{source="loop",status="401"} 1.0' in text
    assert f'backhaul_events_waiting{{merchant="{MERCHANT}"}} 1.0' in text
    assert f'backhaul_deliveries{{kind="rma.create",merchant="{MERCHANT}",state="refused"}} 1.0' in text
    assert 'state="confirmed"' not in text  # what is through is not counted, however much that is
    assert f'backhaul_quarantined{{merchant="{MERCHANT}",source="loop"}} 1.0' in text


def test_on_sqlite_an_event_is_kept_beside_the_store_while_another_writes_and_moved_after(desk: Desk) -> None:
    inbox = Inbox.beside(desk.store)
    assert inbox is not None
    body = b'{"topic":"label","trigger":"label.updated","id":5}'

    async def ask(client: httpx.AsyncClient) -> list[int]:
        other = sqlite3.connect(desk.store.engine.url.database or "", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        statuses = [(await client.post(LOOP, content=body, headers=_signed(desk, body))).status_code for _ in range(3)]
        assert time.monotonic() - began < 2.0
        assert _kept(desk) == [] and inbox.exists
        other.execute("ROLLBACK")
        other.close()
        for _ in range(200):
            if _kept(desk):
                break
            await asyncio.sleep(0.02)
        return statuses

    assert desk.with_client(ask) == [200] * 3
    assert [row["record_key"] for row in _kept(desk)] == ["5"]
    assert stat.S_IMODE(inbox.file.stat().st_mode) == 0o600


def test_what_a_dead_process_left_in_the_inbox_is_taken_in_by_the_next_run(desk: Desk) -> None:
    inbox = Inbox.beside(desk.store)
    assert inbox is not None
    item = desk.box.world.create_return(MERCHANT, ("TEE-NAV-M",))
    (posting,) = desk.fresh_postings()
    inbox.keep(readings.as_events(MERCHANT, "loop", posting.body, desk.now()))
    inbox.close()
    desk.take_in()
    assert desk.box.world.effects(MERCHANT, "masonhub.create", item.id) == 1
    assert desk.post([posting]) == [200]
    assert len(_kept(desk)) == 2  # the webhook once, and the RMA as it was read back
