"""A console over real HTTP, on a store that a simulated world has filled; one browser for the session."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
import uvicorn
from playwright.sync_api import Browser, sync_playwright

from backhaul.config import load
from backhaul.console.app import make_app
from backhaul.console.desk import Desk
from backhaul.console.setting_up import make_desk
from backhaul.sandbox.scenarios import MIX, populate, receive_some
from backhaul.store import tables
from tests.e2e.house import House
from tests.stores import postgres_database, sqlite_store

HOSTILE = '<script>alert(1)</script>"\'><img src=x onerror=alert(2)>\u202e=HYPERLINK("http://x.example")'
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@dataclass
class World:
    """A filled store with its console: `page` asks it over HTTP."""

    house: House
    desk: Desk
    url: str
    http: httpx.Client

    def page(self, path: str, **how: object) -> httpx.Response:
        return self.http.get(path, **how)


@contextmanager
def filled(folder: Path, store_url: str) -> Iterator[World]:
    """Two merchants' returns in every state, with quarantine, exceptions, and one return whose every text is hostile."""
    house = House(folder, store_url, {"acme": {}, "birch": {}})
    try:
        _fill(house)
        desk = make_desk(load(house.file))
        with serving(desk) as (address, client):
            yield World(house, desk, address, client)
        desk.store.close()
    finally:
        house.close()


@pytest.fixture(scope="session")
def sqlite_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The world on a SQLite file."""
    folder = tmp_path_factory.mktemp("console")
    with filled(folder, sqlite_store(folder / "store.db")) as world:
        yield world


@pytest.fixture(scope="session")
def postgresql_world(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The world on a real PostgreSQL."""
    with postgres_database(postgres, "console") as url, filled(tmp_path_factory.mktemp("console"), url) as world:
        yield world


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> World:
    """The same world on each database."""
    found: World = request.getfixturevalue(f"{request.param}_world")
    return found


def _fill(house: House) -> None:
    for merchant in ("acme", "birch"):
        populate(house.world, merchant, 70 if merchant == "acme" else 12, days=6, malformed=2)
        house.sync(merchant)
    receive_some(house.world, "acme", 0.8, blind=1, mix={**MIX, "damaged": 20, "quality_control": 10, "corrected": 8})
    house.sync()
    house.box.advance(timedelta(days=2))
    house.sync()
    with house.store.write() as connection:
        connection.execute(
            sa.update(tables.returns).where(tables.returns.c.return_id == _some(connection)).values(order_name=HOSTILE, outcome=HOSTILE)
        )
        connection.execute(sa.update(tables.return_lines).where(tables.return_lines.c.return_id == _some(connection)).values(
            title=HOSTILE, return_reason=HOSTILE, sku=HOSTILE))  # fmt: skip
        held = sa.select(tables.quarantine.c.quarantine_id).limit(1).scalar_subquery()
        connection.execute(sa.update(tables.quarantine).where(tables.quarantine.c.quarantine_id == held).values(
            order_name=HOSTILE, reason=HOSTILE, body=f'{{"state": {_quoted(HOSTILE)}}}'))  # fmt: skip
        connection.execute(sa.update(tables.deliveries).where(tables.deliveries.c.return_id == _some(connection)).values(message=HOSTILE))
        connection.execute(sa.update(tables.events).where(tables.events.c.record_key == _some(connection)).values(topic=HOSTILE))
        connection.execute(sa.update(tables.exceptions).values(why=HOSTILE))
        connection.execute(sa.update(tables.runs).where(tables.runs.c.merchant == "birch").values(error=HOSTILE, state="failed"))


def _some(connection: sa.Connection) -> str:
    query = sa.select(tables.decisions.c.return_id).where(tables.decisions.c.merchant == "acme", tables.decisions.c.decision == "flag")
    return str(connection.execute(query.order_by(tables.decisions.c.return_id).limit(1)).scalar_one())


def _quoted(text: str) -> str:
    return json.dumps(text)


class serving:  # noqa: N801 - used as a function is
    """A console's app on a free port of loopback, for the length of a `with`."""

    def __init__(self, desk: Desk) -> None:
        config = uvicorn.Config(make_app(desk), host="127.0.0.1", port=0, log_config=None, lifespan="off", ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> tuple[str, httpx.Client]:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"
        self._client = httpx.Client(base_url=url, timeout=60)
        return url, self._client

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._server.should_exit = True
        self._thread.join(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's Chromium, without a screen. Playwright runs an event loop in this thread, so that it ends with its tests."""
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        pytest.fail("no Chromium is on the PATH: run 'apt-get install -y chromium' (make test does, as root), or install Google Chrome")
    with sync_playwright() as driver:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        opened = driver.chromium.launch(executable_path=found, args=arguments)
        yield opened
        opened.close()
