"""A merchant on a real sandbox, its config in a file, its secrets in the environment, and the real command line."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backhaul import cli
from backhaul.connectors.findings import Finding
from backhaul.sandbox import Sandbox
from backhaul.sandbox.settings import config_env, config_toml
from backhaul.store.engine import Store
from backhaul.store.entrances import tell
from backhaul.store.tables import runs, watermarks

PUBLIC_URL = "https://returns.example.com"


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did: its exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@dataclass(frozen=True, slots=True)
class Place:
    """A sandbox, and the files of the merchant acme that point to it."""

    box: Sandbox
    config: Path
    store_url: str

    @property
    def hooks(self) -> list[Any]:
        """Loop's webhooks themselves: what a test sets is set."""
        return list(self.box.world.loop("acme").subscriptions.values())

    @property
    def callbacks(self) -> list[Any]:
        return list(self.box.world.masonhub("acme").callbacks.values())

    @property
    def writes(self) -> int:
        return sum(call.is_write for call in self.box.world.journal.calls())

    def rewrite(self, old: str, new: str) -> None:
        """Change the config by hand."""
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))


@pytest.fixture(scope="session")
def synced_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that one real sync of a small world has filled."""
    folder = tmp_path_factory.mktemp("synced")
    with Sandbox(seed=7, merchants=("acme",)) as box, pytest.MonkeyPatch.context() as patch:
        for name, value in config_env(box).items():
            patch.setenv(name, value)
        for order in (1001, 1002, 1003):
            box.world.create_return("acme", ("TEE-NVY-M", "CHN-OLI-S"), order_number=order)
        file = folder / "backhaul.toml"
        file.write_text(config_toml(box, store_url=f"sqlite:///{folder / 'store.db'}"))
        from flows.sync import sync

        sync.fn("acme", config=str(file), trigger="command")
    return folder / "store.db"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A merchant whose store does not exist yet, at vendors that know nothing of us."""
    with Sandbox(seed=7, merchants=("acme",)) as box:
        for name, value in config_env(box).items():
            monkeypatch.setenv(name, value)
        store_url = f"sqlite:///{tmp_path / 'store.db'}"
        file = tmp_path / "backhaul.toml"
        text = config_toml(box, store_url=store_url)
        for vendor in ("loop", "masonhub"):  # the budget of a key holds for the whole process, and so for all these tests
            text = text.replace(f"[merchants.acme.{vendor}]\n", f"[merchants.acme.{vendor}]\nrequests_per_minute = 100000\n")
        file.write_text(text)
        yield Place(box, file, store_url)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The `backhaul` command, in this process, from its arguments to its exit code."""

    def _run(*arguments: object) -> Ran:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["backhaul", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return _run


@pytest.fixture
def healthy(place: Place, synced_store: Path, run: Run) -> Place:
    """A merchant that was synced a moment ago and is connected."""
    for file in synced_store.parent.glob("store.db*"):
        shutil.copy(file, place.config.parent / file.name)
    freshen(place, datetime.now(UTC))
    assert run("--config", place.config, "connect", "acme", "--public-url", PUBLIC_URL).code == 0
    return place


def freshen(place: Place, at: datetime, newest_news: datetime | None = None) -> None:
    """Let the last sync have ended at this moment, while a receiver is open."""
    store = Store(place.store_url)
    with store.write() as connection:
        connection.execute(runs.update().values(started_at=at - timedelta(seconds=1), finished_at=at))
        connection.execute(watermarks.update().values(high_water_at=newest_news or at))
        tell(connection, [("acme", "loop"), ("acme", "masonhub")], {}, datetime.now(UTC))
    store.close()


@pytest.fixture
def findings(run: Run) -> Callable[[Place], dict[str, Finding]]:
    """What doctor finds at a place, by the check's name."""

    def _findings(place: Place, *options: object) -> dict[str, Finding]:
        return {one["check"]: Finding(**one) for one in run("--config", place.config, "doctor", *options, "--json").json}

    return _findings


def failed(found: dict[str, Finding]) -> set[str]:
    """The checks that failed."""
    return {name for name, finding in found.items() if finding.state == "fail"}
