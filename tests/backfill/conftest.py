"""A merchant on simulated vendors, with a store of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from backhaul import config
from backhaul.pipeline.session import Session, open_session
from backhaul.sandbox.server import Sandbox
from backhaul.sandbox.settings import config_env, config_toml
from backhaul.sandbox.world import World
from backhaul.store.engine import Store
from backhaul.store.tables import metadata

MERCHANT = "acme"
_CHANGES_WITH_EACH_RUN = {"run_id", "first_seen_at", "loaded_at", "seen_at", "decided_at", "assessed_at", "received_at", "handled_at"} | {
    "started_at", "finished_at", "event_id", "quarantined_at", "quarantine_id", "found_at", "opened_at"
}  # fmt: skip


@dataclass
class Line:
    """The merchant's vendors, its config file and its store."""

    box: Sandbox
    config: str
    store: Store

    @property
    def world(self) -> World:
        """The simulated vendors."""
        return self.box.world

    def days(self, back: int) -> tuple[str, str]:
        """From so many days ago until tomorrow, as one types it."""
        now = self.world.now
        return f"{now - timedelta(days=back):%Y-%m-%d}", f"{now + timedelta(days=1):%Y-%m-%d}"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds."""
        with self.store.read() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]

    def write(self, statement: str) -> None:
        """Change the store behind the program's back."""
        with self.store.write() as connection:
            connection.execute(sa.text(statement))

    def tables(self, *but: str) -> dict[str, list[tuple[Any, ...]]]:
        """All that the store holds, but for run history and the clock's marks on rows."""
        found = {}
        with self.store.read() as connection:
            for table in metadata.sorted_tables:
                if table.name in ("runs", "call_budgets", *but):
                    continue
                columns = [column for column in table.columns if column.name not in _CHANGES_WITH_EACH_RUN]
                found[table.name] = sorted((tuple(row) for row in connection.execute(sa.select(*columns))), key=repr)
        return found

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session as a flow has it."""
        with open_session(config.load(self.config), self.store, MERCHANT, "test", trigger="command") as opened:
            yield opened


@contextmanager
def line_on(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, box: Sandbox, **loop: int) -> Iterator[Line]:
    """A line on a store."""
    text = config_toml(box, store_url=url)
    for name, value in loop.items():
        text = text.replace("webhook_secret", f"{name} = {value}\nwebhook_secret")
    file = folder / f"{len(list(folder.iterdir()))}.toml"
    file.write_text(text)
    for name, value in config_env(box).items():
        monkeypatch.setenv(name, value)
    store = Store(url).ready()
    yield Line(box, str(file), store)
    store.close()


@pytest.fixture
def box() -> Iterator[Sandbox]:
    """Simulated vendors."""
    with Sandbox(seed=5, merchants=(MERCHANT,)) as started:
        yield started


@pytest.fixture
def line(box: Sandbox, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """A merchant on a store of either kind."""
    with line_on(store_url, tmp_path, monkeypatch, box) as made:
        yield made


@pytest.fixture
def sqlite_line(box: Sandbox, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """A merchant on SQLite."""
    with line_on(sqlite_url, tmp_path, monkeypatch, box) as made:
        yield made
