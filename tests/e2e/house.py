"""A house to test in: simulated vendors over HTTP, a real store, a real config file, and ways to run Backhaul and see what it did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from backhaul.pipeline.reconciling import RunSummary
from backhaul.sandbox.loop.state import Return
from backhaul.sandbox.server import Sandbox
from backhaul.sandbox.settings import config_env, config_toml
from backhaul.store.engine import Store
from backhaul.store.tables import deliveries, metadata
from flows.deliver import deliver
from flows.recorded import recorded_run
from flows.sync import pull_returns, sync
from tasks.actions import decide_returns, deliver_due
from tasks.receipts import load_receipts, poll_warehouse
from tasks.returns import pending_windows
from tests import command

COMMAND = Path(sys.executable).with_name("backhaul")
Row = dict[str, Any]

_budgets = count(20_000)  # a house's own limit gives it call budgets of its own, whatever other tests have used up


class House:
    """One sandbox, one store, one config. `merchants` maps a name to its changes of its config: `{"policy": {"announce": "off"}}`."""

    def __init__(self, folder: Path, store_url: str, merchants: Mapping[str, Row], **box: Any) -> None:
        self.folder, self.store_url = folder, store_url
        self.box = Sandbox(merchants=tuple(merchants), **box).start()
        self.world = self.box.world
        self.file = folder / "backhaul.toml"
        self.changes = {name: dict(changes) for name, changes in merchants.items()}
        self.env = config_env(self.box)
        os.environ.update(self.env)
        self.write_config()
        self.store = Store(store_url).ready()

    def close(self) -> None:
        """Stop serving, and forget the secrets."""
        self.store.close()
        self.box.stop()
        for name in self.env:
            os.environ.pop(name, None)

    def write_config(self, **changes: Row) -> None:
        """Write the config file, with further changes by merchant."""
        settings = tomllib.loads(config_toml(self.box, store_url=self.store_url))
        limit = {"requests_per_minute": next(_budgets)}
        for name, merchant in settings["merchants"].items():
            self.changes[name] = _merged(self.changes[name], changes.get(name, {}))
            settings["merchants"][name] = _merged(_merged(merchant, {"loop": limit, "masonhub": limit}), self.changes[name])
        self.file.write_text(_toml(settings), encoding="utf-8")

    # What shoppers and warehouses do

    def shop(self, *skus: str | None, merchant: str = "acme", **fields: Any) -> str:
        """A shopper starts a return; gives its id."""
        made: Return = self.world.create_return(merchant, skus or ("TEE-NVY-M",), **fields)
        return str(made.id)

    def receive(self, return_id: str, units: Any = "all", merchant: str = "acme", **how: Any) -> None:
        """The warehouse receives a parcel."""
        self.world.receive(merchant, return_id, units, **how)

    # What Backhaul does

    def sync(self, merchant: str = "acme") -> RunSummary:
        """One sync, in this process."""
        return sync.fn(merchant, config=str(self.file), trigger="command")

    def deliver(self, merchant: str = "acme") -> RunSummary:
        """Drain the outbox, in this process."""
        return deliver.fn(merchant, config=str(self.file), trigger="command")

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The command line from its arguments to its exit code, in this process."""
        return command.run("--config", self.file, *words)

    def process(self, *words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """The same as a process of its own, for what only that shows."""
        return subprocess.run([COMMAND, "--config", self.file, *words], capture_output=True, text=True, timeout=timeout, check=False)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """The real command, running on its own."""
        return subprocess.Popen([COMMAND, "--config", self.file, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def let_time_pass(self, step: timedelta) -> None:
        """Make every moment that the outbox remembers lie so much longer ago."""
        columns = ("next_attempt_at", "last_attempt_at", "lease_expires_at", "accepted_at", "created_at")
        with self.store.write() as connection:
            for row in connection.execute(sa.select(deliveries)).all():
                earlier = {name: row._mapping[name] - step for name in columns if row._mapping[name] is not None}
                connection.execute(sa.update(deliveries).where(deliveries.c.delivery_id == row.delivery_id).values(earlier))

    # What can be seen

    def rows(self, query: str, **values: Any) -> list[Row]:
        """The rows of a query."""
        with self.store.read() as connection:
            return [dict(row) for row in connection.execute(sa.text(query), values).mappings()]

    def standing(self, return_id: str, merchant: str = "acme") -> Row:
        """A return's row of recon_returns."""
        [row] = self.rows("SELECT * FROM recon_returns WHERE merchant = :m AND return_id = :r", m=merchant, r=return_id)
        return {**row, "reasons": json.loads(row["reasons"]) if isinstance(row["reasons"], str) else row["reasons"]}

    def outcome(self, return_id: str, merchant: str = "acme") -> tuple[str, list[str], str]:
        """A return's decision, reasons and stage."""
        row = self.standing(return_id, merchant)
        return row["decision"], row["reasons"], row["stage"]

    def deliveries(self, return_id: str | None = None, kind: str | None = None, merchant: str = "acme") -> list[Row]:
        """Deliveries, oldest first."""
        found = self.rows("SELECT * FROM deliveries WHERE merchant = :m ORDER BY delivery_id", m=merchant)
        return [row for row in found if return_id in (None, row["return_id"]) and kind in (None, row["kind"])]

    def state(self, return_id: str, kind: str, merchant: str = "acme") -> str | None:
        """The state of a return's newest delivery of a kind."""
        found = self.deliveries(return_id, kind, merchant)
        return found[-1]["state"] if found else None

    def attempts(self, return_id: str, kind: str, merchant: str = "acme") -> list[str]:
        """What came of each attempt at a return's deliveries of a kind."""
        query = (
            "SELECT a.outcome FROM delivery_attempts a JOIN deliveries d ON d.delivery_id = a.delivery_id "
            "WHERE d.merchant = :m AND d.return_id = :r AND d.kind = :k ORDER BY a.attempt_id"
        )
        return [row["outcome"] for row in self.rows(query, m=merchant, r=return_id, k=kind)]

    def exceptions(self, return_id: str | None = None, merchant: str = "acme") -> set[str]:
        """The kinds of the open exceptions."""
        found = self.rows("SELECT kind, return_id FROM recon_exceptions WHERE merchant = :m", m=merchant)
        return {row["kind"] for row in found if return_id in (None, row["return_id"])}

    def runs(self, merchant: str = "acme") -> list[Row]:
        """The run history, oldest first."""
        return self.rows("SELECT * FROM runs WHERE merchant = :m ORDER BY started_at", m=merchant)

    def dump(self) -> dict[str, list[str]]:
        """Every row of every table but the run history and the count of calls made, as text."""
        with self.store.read() as connection:
            return {
                table.name: sorted(repr(tuple(row)) for row in connection.execute(sa.select(table)))
                for table in metadata.sorted_tables
                if table.name != "runs"
            }

    def effects(self, name: str, return_id: str | None = None, merchant: str = "acme") -> int:
        """How often something really happened at a vendor."""
        return self.world.effects(merchant, name, return_id)

    def rma(self, return_id: str, merchant: str = "acme") -> Any:
        """The RMA at the warehouse, None when there is none."""
        return self.world.masonhub(merchant).find(return_id)


def prepare(house: House, merchant: str = "acme") -> None:
    """Take all news in and decide, but deliver nothing: what a sync that ended here would leave behind."""
    with recorded_run("prepare", merchant, config=str(house.file), trigger="command") as session:
        for window in pending_windows(session):
            pull_returns(session, window, completes=window)
        load_receipts(session, poll_warehouse(session, "masonhub"))
        decide_returns(session)


def drain(house: House, merchant: str = "acme") -> None:
    """One worker at the outbox, and nothing else."""
    with recorded_run("drain", merchant, config=str(house.file), trigger="command") as session:
        deliver_due(session)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Row:
    merged = dict(base)
    for key, value in changes.items():
        merged[key] = _merged(merged.get(key, {}), value) if isinstance(value, Mapping) else value
    return merged


def _toml(table: Mapping[str, Any], path: Sequence[str] = ()) -> str:
    plain = [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    head = [f"[{'.'.join(json.dumps(part) for part in path)}]"] if path else []
    below = [_toml(value, (*path, key)) for key, value in table.items() if isinstance(value, Mapping)]
    return "\n".join([*head, *plain, *below])
