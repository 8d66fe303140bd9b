"""A ground to try things on: one sandbox whose clock stands still until it is moved, one store, and a new merchant for every trial.

The flows are the product's own, run as functions with the sandbox's clock. Nothing is waited for in earnest: a run that sleeps moves the
clock on, and the pauses between attempts are longer than a run would wait.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from backhaul import config
from backhaul.connectors import http
from backhaul.domain import backoff
from backhaul.pipeline import backfilling, delivering, lane
from backhaul.pipeline.delivering import Courier
from backhaul.pipeline.session import open_session
from backhaul.receiver import app as door
from backhaul.receiver.app import make_app
from backhaul.receiver.service import make_service
from backhaul.sandbox.core.courier import Posting
from backhaul.sandbox.server import Sandbox
from backhaul.store.engine import Store
from flows import recorded
from flows.audit import audit
from flows.backfill import backfill
from flows.deliver import deliver
from flows.events import handle_events
from flows.import_file import import_file
from flows.sync import sync
from tests.chaos.moments import empty

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
MOMENT = timedelta(seconds=2)  # Loop tells whole seconds: what happens in two different ones is in order
LONG = timedelta(minutes=16)  # past every lease, every pause, and `process_settle_seconds`
RECEIVER = "http://receiver"
FLOWS: dict[str, Any] = {
    "audit": audit,
    "backfill": backfill,
    "deliver": deliver,
    "events": handle_events,
    "import": import_file,
    "sync": sync,
}
Row = dict[str, Any]
_text = lru_cache(sa.text)  # one statement, so that its key in SQLAlchemy's cache is worked out once


class Ground:
    """The sandbox and the store that all trials of a test module share. `open` gives the next trial its merchant."""

    def __init__(self, folder: Path, store_url: str) -> None:
        self.folder, self.store_url = folder, store_url
        self.box = Sandbox(merchants=(), start=START, is_ticking=False).start()
        self.world = self.box.world
        self.world.courier.options.lose = 1.0  # nothing is posted by itself; a trial hands over what it wants
        self.store = Store(store_url)
        if self.store.is_sqlite:  # as on the tests' PostgreSQL: what is committed need not survive a power cut
            sa.event.listen(self.store.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
        self.store.ready()
        self.skew = timedelta()  # of our clock; the vendors' is right
        self._numbers = count(1)

    def close(self) -> None:
        """Stop serving."""
        self.store.engine.dispose()
        self.box.stop()

    def now(self) -> datetime:
        """The simulated now, by our clock."""
        return self.world.now + self.skew

    def open(self, warehouse: str = "masonhub", **changes: str) -> Account:
        """A merchant that nothing has happened to. `changes` are lines for a section of its config, by its name."""
        self.world.faults.clear()
        self.world.journal.clear()
        self.world.courier.postings.clear()
        self.skew = timedelta()
        empty(self.store)
        return Account(self, f"m{next(self._numbers)}", warehouse, changes)


class Account:
    """One merchant: what shoppers, people and its warehouse do, what Backhaul does, and what can be seen of both."""

    def __init__(self, ground: Ground, merchant: str, warehouse: str, changes: dict[str, str]) -> None:
        self.ground, self.world, self.store = ground, ground.world, ground.store
        self.merchant, self.warehouse = merchant, warehouse
        self.keys = self.world.add_merchant(merchant).keys
        self.loop, self.rmas = self.world.loop(merchant), self.world.masonhub(merchant)
        self.file = ground.folder / f"{merchant}.toml"
        self.changes, self.mode = changes, "live"
        self.write_config()
        self._taken = 0
        self.undelivered: list[Posting] = []  # postings that the receiver did not take, to be posted again
        self.retried: Counter[str] = Counter()  # how often an operator had a return's deliveries tried again
        self.elsewhere: Callable[[str, list[str], Row], object] | None = None
        self.since = ""  # where a backfill begins
        self.figures: dict[str, dict[str, tuple[int, int, int]]] | None = None  # by return and SKU, where a person keys them into a file

    def write_config(self) -> None:
        """Write the config file anew."""
        name, box, changes = self.merchant, self.ground.box, self.changes
        secrets = {"LOOP": self.keys.loop_api_key, "HOOK": self.keys.loop_webhook_secret}
        if self.warehouse == "masonhub":
            secrets |= {"TOKEN": self.keys.masonhub_token, "CALLBACK": self.keys.masonhub_callback_token}
            words = f'base_url = "{box.masonhub_url(name)}"\ntoken = "env:{name}_TOKEN"\ncallback_token = "env:{name}_CALLBACK"'
        else:
            secrets |= {"TOKEN": self.keys.airhouse_api_key, "CALLBACK": self.keys.airhouse_webhook_secret}
            words = f'base_url = "{box.airhouse_url(name)}"\napi_key = "env:{name}_TOKEN"\n' + changes.get(
                "airhouse", "assumed_contract = true"
            )
        os.environ.update({f"{name}_{part}": secret for part, secret in secrets.items()})
        unhurried = "requests_per_minute = 1000000"
        hooks = f'api_key = "env:{name}_LOOP"\nwebhook_secret = "env:{name}_HOOK"'
        sections = {
            f"merchants.{name}": f'warehouse = "{self.warehouse}"\nmode = "{self.mode}"',
            f"merchants.{name}.loop": f'base_url = "{box.loop_url(name)}"\n{hooks}\n{unhurried}\n{changes.get("loop", "")}',
            f"merchants.{name}.{self.warehouse}": f"{words}\n{unhurried}",
            f"merchants.{name}.policy": changes.get("policy", ""),
        }
        parts = [f'[store]\nurl = "{self.ground.store_url}"', *(f"[{head}]\n{body}" for head, body in sections.items())]
        self.file.write_text("\n".join(parts), encoding="utf-8")

    # What shoppers, people and warehouses do

    def shop(self, *skus: str | None, **fields: Any) -> str:
        """A shopper starts a return; gives its id."""
        return str(self.world.create_return(self.merchant, skus or ("TEE-NVY-M",), **fields).id)

    def receive(self, return_id: str, units: Any = "all", **how: Any) -> None:
        """The warehouse receives a parcel."""
        self.world.receive(self.merchant, return_id, units, **how)

    def wait(self, step: timedelta = MOMENT) -> None:
        """Time passes."""
        self.world.advance(step)

    def subscribe(self) -> None:
        """Let the vendors post: what they want to post is kept for `fresh_postings`."""
        self.world.subscribe(self.merchant, RECEIVER)

    def fresh_postings(self) -> list[Posting]:
        """What the vendors wanted to post since the last look."""
        all_of_them = [posting for posting in self.world.courier.postings if posting.merchant == self.merchant]
        fresh, self._taken = all_of_them[self._taken :], len(all_of_them)
        return fresh

    # What Backhaul does

    def run(self, flow: str, *words: str, **more: Any) -> None:
        """A flow, a moment later, in this process or wherever `elsewhere` runs it."""
        self.wait()
        more = {"config": str(self.file), "trigger": "command"} | more
        if self.elsewhere is not None:
            self.elsewhere(flow, [self.merchant, *words], more)
        else:
            FLOWS[flow].fn(self.merchant, *words, **more)

    def sync(self) -> None:
        """One sync."""
        self.run("sync")

    def deliver(self, retry: str | None = None) -> None:
        """Drain the outbox."""
        self.run("deliver", retry=[retry] if retry is not None else None)

    def send_shadowed(self, return_ids: Sequence[str]) -> None:
        """A person has what was decided in shadow sent."""
        self.run("deliver", from_shadow=list(return_ids))

    def take_in(self) -> None:
        """Take in the events that wait."""
        self.run("events", trigger="webhook")

    def bring_in(self, file: Path) -> None:
        """Import a file."""
        self.run("import", str(file))

    def backfill(self, start: str, end: str) -> None:
        """Read a range of the past."""
        self.run("backfill", start, end, workers=1)

    def post(self, postings: Sequence[Posting]) -> list[int]:
        """Hand postings to the receiver, one after the other; returns the statuses."""
        service = make_service(config.load(self.file), self.store, clock=self.ground.now)

        async def run() -> list[int]:
            app = make_app(service)
            async with app.router.lifespan_context(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=RECEIVER) as client:
                return [(await client.post(one.url, content=one.body, headers=one.headers)).status_code for one in postings]

        return asyncio.run(run()) if postings else []

    # What can be seen

    def rows(self, query: str, **values: Any) -> list[Row]:
        """The rows of a query; `:m` is the merchant."""
        with self.store.read() as connection:
            return [dict(row) for row in connection.execute(_text(query), {"m": self.merchant} | values).mappings()]

    def effects(self) -> dict[str, dict[str, int]]:
        """How often each thing really happened at a vendor, by effect and record."""
        return self.world.journal.effect_table().get(self.merchant, {})

    def state(self, return_id: str, kind: str) -> str | None:
        """The state of a return's newest delivery of a kind."""
        query = "SELECT state FROM deliveries WHERE merchant = :m AND return_id = :r AND kind = :k ORDER BY delivery_id"
        found = self.rows(query, r=return_id, k=kind)
        return found[-1]["state"] if found else None

    def exceptions(self) -> set[tuple[str, str]]:
        """The open exceptions: kind and subject."""
        query = "SELECT kind, subject FROM exceptions WHERE merchant = :m AND resolved_at IS NULL"
        return {(row["kind"], row["subject"]) for row in self.rows(query)}


class InTurn(ThreadPoolExecutor):
    """Threads that run one after the other, so that a trial does the same each time."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it now."""
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:
            done.set_exception(error)
        return done


@contextmanager
def ground_on(store_url: str, folder: Path) -> Iterator[Ground]:
    """A ground on a store, with nothing to wait for in earnest."""
    ground, interval = Ground(folder, store_url), sys.getswitchinterval()
    sys.setswitchinterval(0.0005)  # the vendors answer from a thread of this process
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded, "open_session", partial(open_session, clock=ground.now))
        patch.setattr(recorded, "Store", lambda _: ground.store)  # one engine for all flows: each of its own compiles every query anew
        patch.setattr(Store, "ready", lambda store: store)
        patch.setattr(Store, "close", lambda _: None)
        patch.setattr(delivering, "Courier", partial(Courier, sleep=lambda seconds: ground.world.advance(timedelta(seconds=seconds))))
        patch.setattr(delivering, "ThreadPoolExecutor", InTurn)
        patch.setattr(lane, "random", SimpleNamespace(random=lambda: 0.5))  # so that what is the same is seen to be
        patch.setattr(backoff, "SHORTEST", timedelta(seconds=50))  # so that no retry falls due within a run's patience
        patch.setattr(http, "BACKOFF_FIRST", 0.0)
        patch.setattr(http, "PAUSE_UNASKED", 0.0)
        patch.setattr(backfilling, "_WAITS", (0.0,) * len(backfilling._WAITS))
        patch.setattr(door, "_STORE_PATIENCE", 0.5)
        patch.setattr(ssl, "create_default_context", lru_cache(ssl.create_default_context))  # loopback needs none, and each costs 30 ms
        yield ground
    sys.setswitchinterval(interval)
    ground.close()


def moment(value: Any) -> datetime:
    """A time as either database gives it to a query in words."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
