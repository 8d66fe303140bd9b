"""What the receiver tells the store of itself: that it is open, and what it refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx

from backhaul.receiver.app import make_app
from backhaul.receiver.entrances import Entrances
from backhaul.receiver.service import make_service
from backhaul.setup.webhooks import troubles
from tests.receiver.conftest import MERCHANT, RECEIVER, Desk

LOOP = f"/webhooks/{MERCHANT}/loop"


def receive(desk: Desk, use: Callable[[httpx.AsyncClient, Entrances], Coroutine[Any, Any, None]]) -> None:
    """The receiver as `serve` has it, but for its worker."""
    service = make_service(desk.settings, desk.store, clock=desk.now)
    told = Entrances(desk.store, service.door.entrances, desk.now)

    async def run() -> None:
        app = make_app(replace(service, entrances=told))
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=RECEIVER) as client:
            await use(client, told)

    asyncio.run(run())


def found(desk: Desk) -> dict[str, str]:
    with desk.store.read() as connection:
        return {one.check: one.what for one in troubles(connection, MERCHANT, desk.settings.merchant(MERCHANT), desk.now())}


async def nothing(client: httpx.AsyncClient, _: Entrances) -> None:
    await client.get("/healthz")


def test_a_receiver_says_that_it_is_open_and_after_its_end_no_longer(desk):
    assert "none has ever been" in found(desk)["receiver"]

    receive(desk, nothing)
    assert found(desk) == {}

    desk.box.advance(timedelta(minutes=6))
    assert "the last was 6 min ago" in found(desk)["receiver"]


def test_what_is_refused_is_counted_also_what_was_not_told_before_the_end(desk):
    async def refuse(client: httpx.AsyncClient, told: Entrances) -> None:
        for _ in range(3):
            assert (await client.post(LOOP, content=b"{}", headers={"x-loop-signature": "invented"})).status_code == 401
        await told.tell()
        assert (await client.post(LOOP, content=b"{}")).status_code == 401

    receive(desk, refuse)

    assert "loop: 4 requests refused" in found(desk)["webhooks.refused"]


def test_names_that_a_stranger_invents_leave_nothing_in_the_store(desk):
    async def knock(client: httpx.AsyncClient, told: Entrances) -> None:
        assert (await client.post("/webhooks/invented/loop", content=b"{}")).status_code == 401
        assert (await client.post(f"/webhooks/{MERCHANT}/invented", content=b"{}")).status_code == 404
        assert (await client.post(f"/webhooks/{MERCHANT}/airhouse", content=b"{}")).status_code == 401
        assert told.untold == {}

    receive(desk, knock)

    assert desk.rows("SELECT merchant, source, refused FROM entrances ORDER BY source") == [
        {"merchant": MERCHANT, "source": "loop", "refused": 0},
        {"merchant": MERCHANT, "source": "masonhub", "refused": 0},
    ]


def test_what_a_store_that_is_away_was_not_told_is_told_later(desk):
    told = Entrances(desk.store, [(MERCHANT, "loop"), (MERCHANT, "masonhub")], desk.now)
    told.note_refusal(MERCHANT, "loop", 401)
    with desk.store.write() as connection:
        connection.exec_driver_sql("ALTER TABLE entrances RENAME TO away")
    asyncio.run(told.tell())
    told.note_refusal(MERCHANT, "loop", 401)
    with desk.store.write() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO entrances")
    asyncio.run(told.tell())

    assert "loop: 2 requests refused" in found(desk)["webhooks.refused"]
