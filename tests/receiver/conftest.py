"""A sandbox whose webhooks wait to be handed over by the test, and the receiver's real application in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from backhaul import config
from backhaul.config import Settings
from backhaul.pipeline.session import Session, open_session
from backhaul.receiver.app import make_app
from backhaul.receiver.service import make_service
from backhaul.sandbox import Sandbox, config_env, config_toml
from backhaul.sandbox.core.courier import Posting
from backhaul.store.engine import Store
from flows.events import take_in_events
from tests.stores import sqlite_store

MERCHANT = "acme"
RECEIVER = "http://receiver"
T = TypeVar("T")


class Desk:
    """One store that takes in one sandbox: by the receiver's routes, and by sessions whose clock is the sandbox's."""

    def __init__(self, box: Sandbox, settings: Settings, store: Store) -> None:
        self.box, self.settings, self.store = box, settings, store
        self.taken = 0  # postings that were handed over, or dropped
        box.world.courier.options.lose = 1.0  # nothing is posted by itself; the test hands over what it wants
        box.world.subscribe(MERCHANT, RECEIVER)

    def now(self) -> datetime:
        return self.box.world.now

    def fresh_postings(self) -> list[Posting]:
        """What the vendors wanted to post since the last look."""
        all_of_them = list(self.box.world.courier.postings)
        fresh, self.taken = all_of_them[self.taken :], len(all_of_them)
        return fresh

    def with_client(self, use: Callable[[httpx.AsyncClient], Coroutine[Any, Any, T]]) -> T:
        """Talk to the receiver in this process, its writer running."""
        service = make_service(self.settings, self.store, clock=self.now)

        async def run() -> T:
            app = make_app(service)
            async with app.router.lifespan_context(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=RECEIVER) as client:
                return await use(client)

        return asyncio.run(run())

    def post(self, postings: list[Posting]) -> list[int]:
        """Hand postings over, one after the other; returns the statuses."""

        async def use(client: httpx.AsyncClient) -> list[int]:
            return [(await client.post(one.url, content=one.body, headers=one.headers)).status_code for one in postings]

        return self.with_client(use) if postings else []

    @contextmanager
    def session(self, flow: str = "test") -> Iterator[Session]:
        with open_session(self.settings, self.store, MERCHANT, flow, trigger="command", clock=self.now) as session:
            yield session

    def take_in(self) -> dict[str, int]:
        """What the worker does with all events that wait; returns the run's counts."""
        with self.session("events") as session:
            take_in_events(session)
            return dict(session.run.counts)

    def rows(self, query: str) -> list[dict[str, Any]]:
        with self.store.read() as connection:
            return [dict(row._mapping) for row in connection.exec_driver_sql(query)]


@pytest.fixture
def make_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Desk]]:
    """Makes a desk for a sandbox that runs already."""
    opened: list[Store] = []

    def make(box: Sandbox, url: str | None = None, *, at_airhouse: bool = False) -> Desk:
        for name, value in config_env(box).items():
            monkeypatch.setenv(name, value)
        url = url or sqlite_store(tmp_path / f"store-{len(opened)}.db")
        file = tmp_path / f"backhaul-{len(opened)}.toml"
        unhurried = "requests_per_minute = 100000\nwebhook_secret"  # all desks share the merchant's budget
        file.write_text(
            config_toml(box, store_url=url, warehouses={MERCHANT: "airhouse"} if at_airhouse else {}).replace("webhook_secret", unhurried),
            encoding="utf-8",
        )
        settings = config.load(file)
        opened.append(Store(settings.store_url()).ready())
        return Desk(box, settings, opened[-1])

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def box() -> Iterator[Sandbox]:
    """A sandbox whose clock stands still until it is advanced."""
    with Sandbox(seed=11, merchants=(MERCHANT,), is_ticking=False) as running:
        yield running


@pytest.fixture
def desk(box: Sandbox, make_desk: Callable[..., Desk]) -> Desk:
    return make_desk(box)
