"""A merchant whose warehouse is ShipBob, from the shopper to Loop's refund: the real sync, the real door, the simulated vendors."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from backhaul import config
from backhaul.connectors import http
from backhaul.connectors.deadline import left
from backhaul.connectors.shipbob.client import ShipBob
from backhaul.domain import backoff
from backhaul.errors import ConfigError
from backhaul.pipeline.session import check_secrets
from backhaul.receiver.app import make_app
from backhaul.receiver.service import make_service
from backhaul.sandbox.core.faults import Fault
from backhaul.sandbox.server import Sandbox
from backhaul.sandbox.settings import config_env
from backhaul.sandbox.shipbob.hooks import secret_of
from backhaul.sandbox.shipbob.state import CENTER, CHANNEL, ShipBobAccount
from backhaul.setup.diagnosis import diagnose
from backhaul.store.engine import Store
from flows.events import handle_events
from flows.sync import sync
from tests.sandbox.receiver import Receiver
from tests.stores import sqlite_store

_budgets = count(60_000)


class Dock:
    """One sandbox, one store, one config with the merchant `acme`."""

    def __init__(self, folder: Path, *, mode: str = "live", assumed: bool = True) -> None:
        self.box = Sandbox(merchants=("acme",)).start()
        self.world = self.box.world
        self.account = self.world.account("acme", ShipBobAccount)
        self.env = config_env(self.box) | {
            "ACME_SHIPBOB_TOKEN": self.account.token,
            "ACME_SHIPBOB_SECRET": secret_of(self.world.seed, "acme"),
        }
        os.environ.update(self.env)
        limit = f"requests_per_minute = {next(_budgets)}"
        self.file = folder / "backhaul.toml"
        self.file.write_text(
            "\n".join(
                [
                    f'[store]\nurl = "sqlite:///{folder / "store.db"}"',
                    f'[merchants.acme]\nwarehouse = "shipbob"\nmode = "{mode}"',
                    f'[merchants.acme.loop]\nbase_url = "{self.box.loop_url("acme")}"\napi_key = "env:ACME_LOOP_API_KEY"\n{limit}',
                    f'[merchants.acme.shipbob]\nbase_url = "{self.box.url}/acme/shipbob"\ntoken = "env:ACME_SHIPBOB_TOKEN"\n{limit}',
                    f'webhook_secret = "env:ACME_SHIPBOB_SECRET"\nassumed_contract = {str(assumed).lower()}',
                    f"channel_id = {CHANNEL}\nfulfillment_center_id = {CENTER}",
                ]
            ),
            encoding="utf-8",
        )
        self.store = Store(sqlite_store(folder / "store.db")).ready()

    def close(self) -> None:
        self.store.close()
        self.box.stop()
        for name in self.env:
            os.environ.pop(name, None)

    def shop(self, *skus: str) -> str:
        return str(self.world.create_return("acme", skus).id)

    def sync(self) -> None:
        sync.fn("acme", config=str(self.file), trigger="command")

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        with self.store.read() as connection:
            return [dict(row) for row in connection.execute(sa.text(query), values).mappings()]

    def outcome(self, return_id: str) -> tuple[str, str]:
        [row] = self.rows("SELECT decision, stage FROM recon_returns WHERE return_id = :r", r=return_id)
        return row["decision"], row["stage"]


Build = Callable[..., Dock]


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    made: list[Dock] = []

    def make(**how: Any) -> Dock:
        made.append(Dock(tmp_path, **how))
        return made[-1]

    yield make
    for dock in made:
        dock.close()


def test_a_return_is_announced_received_and_processed_and_a_damaged_one_is_flagged(build: Build) -> None:
    dock = build()
    good, damaged = dock.shop("TEE-NVY-M", "CAP-RED"), dock.shop("TEE-NVY-M")
    dock.sync()
    assert {dock.outcome(good), dock.outcome(damaged)} == {("wait", "announced")}
    assert dock.world.effects("acme", "shipbob.create") == 2
    dock.account.move(dock.account.need(good), "Arrived")
    dock.sync()
    assert dock.outcome(good) == ("wait", "receiving")
    dock.account.receive(good)
    dock.account.receive(damaged, "damaged")
    dock.sync()
    dock.sync()
    assert dock.outcome(good)[0] == "process" and dock.outcome(damaged) == ("flag", "flagged")
    assert dock.world.effects("acme", "loop.process", good) == 1 and dock.world.effects("acme", "loop.process", damaged) == 0
    assert dock.world.effects("acme", "loop.flag", damaged) == 1


@pytest.mark.parametrize("kind", ["400", "422", "redirect", "html"])
def test_a_read_that_fails_before_a_write_kills_no_delivery(build: Build, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "SHORTEST", timedelta(milliseconds=5))
    monkeypatch.setattr(http, "BACKOFF_FIRST", 0.001)
    dock = build()
    return_id = dock.shop("TEE-NVY-M")
    dock.world.faults.add(Fault(target="shipbob.product.list", kind=kind, times=http.READ_ATTEMPTS if kind not in ("400", "422") else 1))
    dock.sync()
    dock.sync()
    dock.sync()
    assert dock.outcome(return_id) == ("wait", "announced")
    assert dock.world.effects("acme", "shipbob.create") == 1


def test_the_reads_and_the_write_of_a_delivery_end_together_before_its_lease(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    dock, found = build(), list[float]()
    create = ShipBob.create

    def looked_at(client: ShipBob, drafts: Any) -> Any:
        found.append(left())
        return create(client, drafts)

    monkeypatch.setattr(ShipBob, "create", looked_at)
    dock.shop("TEE-NVY-M")
    dock.sync()
    assert found and max(found) <= http.CALL_DEADLINE < backoff.LEASE.total_seconds()


def test_without_an_assumed_contract_nothing_is_sent_to_loop_and_live_is_refused_before_any_call(build: Build) -> None:
    dock = build(mode="shadow", assumed=False)
    return_id = dock.shop("TEE-NVY-M")
    dock.sync()
    dock.account.receive(return_id)
    dock.sync()
    assert dock.outcome(return_id)[0] == "process" and dock.world.effects("acme", "loop.process", return_id) == 0
    found = {one.check: one for one in diagnose(config.load(dock.file), ["acme"])}
    assert found["shipbob.contract"].state == "warn" and "in shadow, because" in found["shipbob.contract"].what
    assert found["shipbob.token"].state == "ok"
    dock.file.write_text(dock.file.read_text().replace('"shadow"', '"live"'))
    calls = dock.world.journal.count(merchant="acme")
    with pytest.raises(ConfigError, match="mode must be 'shadow'"):
        check_secrets(config.load(dock.file), ["acme"])
    assert dock.world.journal.count(merchant="acme") == calls


def test_a_webhook_is_a_signal_and_the_return_is_read_back(build: Build) -> None:
    dock = build()
    return_id = dock.shop("TEE-NVY-M")
    dock.sync()
    receiver = Receiver()
    topics = ["return.created", "return.updated", "return.completed"]
    dock.account.register(f"{receiver.url}/webhooks/acme/shipbob", topics, secret_of(dock.world.seed, "acme"))
    dock.account.options.hook_body = "id"
    dock.account.receive(return_id)
    assert dock.box.drain()
    receiver.server.shutdown()
    receiver.server.server_close()
    service = make_service(config.load(dock.file), dock.store, clock=lambda: dock.world.now)

    async def post() -> list[int]:
        app = make_app(service)
        transport = httpx.ASGITransport(app)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
            posts = [(await client.post(path, content=body, headers=headers)).status_code for path, headers, body in receiver.got * 2]
            path, headers, body = receiver.got[0]
            return [*posts, (await client.post(path, content=body + b" ", headers=headers)).status_code]

    statuses = asyncio.run(post())
    assert len(receiver.got) > 1 and statuses == [200] * (len(statuses) - 1) + [401]
    handle_events.fn("acme", config=str(dock.file), trigger="command")
    kept = dock.rows("SELECT record_key, handled_at FROM events WHERE source = 'shipbob' AND channel = 'webhook'")
    assert len(kept) == len(receiver.got)  # bodies repeat, messages do not
    assert all(row["handled_at"] is not None for row in kept)
    assert dock.outcome(return_id)[0] == "process"
