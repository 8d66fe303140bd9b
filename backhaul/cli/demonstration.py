"""The demo: the whole job on a simulated world, told as it happens."""

from __future__ import annotations

import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.rule import Rule

from backhaul.cli.output import print_rows, say
from backhaul.cli.running import report_failures, run_each
from backhaul.sandbox.scenarios import MIX, populate, receive_some
from backhaul.sandbox.server import Sandbox
from backhaul.sandbox.settings import config_env, config_toml
from backhaul.store.engine import Store
from backhaul.store.reports import discrepancies_by_kind, first_exceptions, where_returns_stand

FOLDER = Path("build/demo")
MERCHANTS = ("acme", "birch")
_MIX = {**MIX, "corrected": 6, "resolved_later": 8}
_SHOWN = ("records_in", "records_out", "quarantined", "decided_process", "decided_flag", "decided_hold", "delivered", "refused")


def demonstrate(returns: int, seed: int) -> int:
    """Run the demo in `build/demo`; returns the exit code. The store stays there, to be queried afterwards."""
    console = Console()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True, mode=0o700)
    started, start = time.monotonic(), datetime.now(UTC) - timedelta(days=3)
    with Sandbox(seed, MERCHANTS, start=start) as box:
        for merchant in MERCHANTS:
            populate(box.world, merchant, returns // len(MERCHANTS), days=6, malformed=2)
        config = FOLDER / "backhaul.toml"
        with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            opened.write(_config(box))
        os.environ.update(config_env(box))
        say(f"A simulated Loop and its warehouses answer on {box.url}: {returns} returns of two merchants, some damaged on the wire.")
        failures = _sync(console, "Sync 1: take the returns in, announce each at its warehouse", config)
        for merchant in MERCHANTS:
            outcomes = receive_some(box.world, merchant, share=0.7, blind=1, mix=_MIX)
            say(f"Parcels arrive for {merchant}: {len(outcomes)} of them, some damaged, short, over or strange.")
        failures += _sync(console, "Sync 2: take the receipts in, decide, tell Loop to process or flag", config)
        box.advance(timedelta(days=2, hours=12))
        say("Two and a half days pass: inspections end, and some receipts are corrected.")
        failures += _sync(console, "Sync 3: what was in inspection is decided, corrections become exceptions", config)
        _report(console, config)
    say(f"\nDone in {time.monotonic() - started:.0f} s. The store is {FOLDER}/backhaul.db: query its views, or ask for one return's life:")
    say(f"  .venv/bin/backhaul --config {config} show RETURN_ID")
    return 1 if failures else 0


def _config(box: Sandbox) -> str:
    text = config_toml(box, store_url=f"sqlite:///{FOLDER.absolute()}/backhaul.db", warehouses={"birch": "airhouse"})
    return text.replace("webhook_secret", "first_sync_days = 30\nwebhook_secret", len(MERCHANTS))


def _sync(console: Console, title: str, config: Path) -> int:
    from flows.sync import sync

    console.print(Rule(title, align="left"))
    started = time.monotonic()
    done = run_each(sync, MERCHANTS, config=str(config), trigger="demo")
    print_rows([one.row(_SHOWN) for one in done], as_json=False, title=f"{time.monotonic() - started:.1f} s")
    return report_failures(done)


def _report(console: Console, config: Path) -> None:
    store = Store(f"sqlite:///{FOLDER.absolute()}/backhaul.db")
    with store.read() as connection:
        for title, rows in (
            ("Where the returns stand", where_returns_stand(connection)),
            ("Discrepancies", discrepancies_by_kind(connection)),
            ("What needs a person (the first of them)", first_exceptions(connection, 12)),
        ):
            console.print(Rule(title, align="left"))
            print_rows(rows, as_json=False, title="")
    store.close()
