"""A merchant that uses Airhouse, in a sandbox served for real, and ways to run Backhaul and to look at what it did."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from backhaul.connectors.airhouse.normalise import normalise, normalise_event
from backhaul.connectors.base import ReceiptBatch
from backhaul.domain import backoff
from backhaul.pipeline.reconciling import RunSummary
from backhaul.sandbox.server import Sandbox
from backhaul.sandbox.settings import config_env
from backhaul.store.engine import Store
from backhaul.store.tables import metadata
from flows.import_file import import_file
from flows.sync import sync
from tests import command
from tests.stores import sqlite_store

PAYLOADS = Path(__file__).parent / "payloads"
HEADER = "external_id,order_number,sku,expected,received,restocked,status,request_date,delivery_date,received_date"
TO_AIRHOUSE, TO_MASONHUB = 67_897, 67_896
Row = dict[str, Any]

_budgets = count(30_000)  # a dock's own limit gives it call budgets of its own, whatever other tests have used up


def payload(name: str) -> Any:
    """A documented payload."""
    return json.loads((PAYLOADS / f"{name}.json").read_bytes())


def told(name: str) -> ReceiptBatch:
    """What a documented webhook tells."""
    return normalise_event((PAYLOADS / f"{name}.json").read_bytes())


def receipt(batch: ReceiptBatch, place: int = 0) -> Row:
    """One receipt of a batch."""
    return {str(name): value for name, value in batch.receipts.iloc[place].items()}


def units(batch: ReceiptBatch) -> list[tuple[str, str, int]]:
    """SKU, condition and units of every receipt line."""
    return [(line["sku"], line["condition"], line["units"]) for line in batch.lines.to_dict("records")]


def record(**changes: Any) -> ReceiptBatch:
    """The created return of the documented answer, with changes, as receipts."""
    return normalise([json.dumps(payload("return_create_response_201") | changes).encode()])


def item(sku: str = "TEE-NVY-M", received: Any = 1, restocked: Any = 1, **changes: Any) -> Row:
    """One item of a return."""
    return {
        "sku": sku,
        "expected_quantity": 1,
        "received_quantity": received,
        "restocked_quantity": restocked,
        "unexpected": False,
    } | changes


class Dock:
    """One sandbox, one store, one config with the merchant `acme`."""

    def __init__(self, folder: Path, store_url: str, *, is_routed: bool, assumed: bool, policy: str) -> None:
        self.folder, self.store_url = folder, store_url
        self.box = Sandbox(merchants=("acme",)).start()
        self.world = self.box.world
        self.airhouse = self.world.airhouse("acme")
        self.env = config_env(self.box)
        os.environ.update(self.env)
        self.file = folder / "backhaul.toml"
        self.write_config(is_routed=is_routed, assumed=assumed, policy=policy)
        self.store = Store(store_url).ready()

    def write_config(self, *, is_routed: bool = False, assumed: bool = True, policy: str = "") -> None:
        """Write the config file."""
        limit = f"requests_per_minute = {next(_budgets)}"
        parts = [
            f'[store]\nurl = "{self.store_url}"',
            f'[merchants.acme]\nwarehouse = "{"masonhub" if is_routed else "airhouse"}"',
            f'[merchants.acme.loop]\nbase_url = "{self.box.loop_url("acme")}"\napi_key = "env:ACME_LOOP_API_KEY"\n{limit}',
            f'[merchants.acme.airhouse]\nbase_url = "{self.box.airhouse_url("acme")}"\napi_key = "env:ACME_AIRHOUSE_API_KEY"\n{limit}',
            f"assumed_contract = {str(assumed).lower()}",
            f"[merchants.acme.policy]\n{policy}",
        ]
        if is_routed:
            parts.append(
                f'[merchants.acme.masonhub]\nbase_url = "{self.box.masonhub_url("acme")}"\ntoken = "env:ACME_MASONHUB_TOKEN"\n{limit}'
            )
            parts.append(f'[merchants.acme.routes]\n"{TO_AIRHOUSE}" = "airhouse"')
        self.file.write_text("\n".join(parts), encoding="utf-8")

    def close(self) -> None:
        """Stop serving, and forget the secrets."""
        self.store.close()
        self.box.stop()
        for name in self.env:
            os.environ.pop(name, None)

    def shop(self, *skus: str | None, **fields: Any) -> str:
        """A shopper starts a return; gives its id."""
        return str(self.world.create_return("acme", skus or ("TEE-NVY-M",), **fields).id)

    def sync(self) -> RunSummary:
        """One sync, in this process."""
        return sync.fn("acme", config=str(self.file), trigger="command")

    def write_csv(self, *rows: str, header: str = HEADER, name: str = "figures.csv", encoding: str = "utf-8") -> Path:
        """A file of figures."""
        file = self.folder / name
        file.write_text("\n".join([header, *rows, ""]), encoding=encoding)
        return file

    def bring_in(self, file: Path) -> RunSummary:
        """One import, in this process."""
        return import_file.fn("acme", str(file), config=str(self.file), trigger="command")

    def command(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """The command, in this process."""
        return command.run("--config", self.file, *words)

    def rows(self, query: str, **values: Any) -> list[Row]:
        """The rows of a query."""
        with self.store.read() as connection:
            return [dict(row) for row in connection.execute(sa.text(query), values).mappings()]

    def outcome(self, return_id: str) -> tuple[str, tuple[str, ...], str]:
        """A return's decision, reasons and stage."""
        [row] = self.rows("SELECT decision, reasons, stage FROM recon_returns WHERE return_id = :r", r=return_id)
        reasons = json.loads(row["reasons"]) if isinstance(row["reasons"], str) else row["reasons"]
        return row["decision"], tuple(reasons), row["stage"]

    def states(self, return_id: str) -> dict[str, str]:
        """The state of each of a return's deliveries, by kind, oldest first."""
        found = self.rows("SELECT kind, state FROM deliveries WHERE return_id = :r ORDER BY delivery_id", r=return_id)
        return {row["kind"]: row["state"] for row in found}

    def exceptions(self) -> set[str]:
        """The kinds of the open exceptions."""
        return {row["kind"] for row in self.rows("SELECT kind FROM recon_exceptions")}

    def writes(self, return_id: str | None = None) -> list[str]:
        """The writes that the vendors were asked for, of one return or of all, in order."""
        held = self.airhouse.find(return_id or "")
        mine = {return_id, held.id if held is not None else None}

        def is_mine(path: str, body: Any) -> bool:
            return bool(mine & {*path.split("/")}) or (isinstance(body, dict) and body.get("external_id") == return_id)

        return [call.operation for call in self.world.journal.writes() if return_id is None or is_mine(call.path, call.body)]

    def effects(self, name: str, return_id: str | None = None) -> int:
        """How often something really happened at a vendor."""
        return self.world.effects("acme", name, return_id)

    def dump(self) -> dict[str, list[str]]:
        """Every row of every table but the run history, as text."""
        with self.store.read() as connection:
            tables = [table for table in metadata.sorted_tables if table.name != "runs"]
            return {table.name: sorted(repr(tuple(row)) for row in connection.execute(sa.select(table))) for table in tables}


Build = Callable[..., Dock]


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch, one_engine: None) -> None:
    """The pauses between attempts, by the same rules, a hundred times shorter."""
    monkeypatch.setattr(backoff, "SHORTEST", timedelta(milliseconds=20))


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    """Builds docks for one test."""
    opened: list[Dock] = []

    def make(store_url: str | None = None, *, is_routed: bool = False, assumed: bool = True, policy: str = "") -> Dock:
        dock = Dock(tmp_path, store_url or sqlite_store(tmp_path / "store.db"), is_routed=is_routed, assumed=assumed, policy=policy)
        opened.append(dock)
        return dock

    yield make
    for dock in opened:
        dock.close()


@pytest.fixture
def dock(build: Build) -> Dock:
    """A merchant that uses Airhouse through its API, on SQLite."""
    return build()
