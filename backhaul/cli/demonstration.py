"""The demo: the whole job on a simulated world, told as it happens."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.rule import Rule

from backhaul.cli.output import print_rows, say
from backhaul.cli.progress import told
from backhaul.cli.running import SHOWN, Done, report_failures, run_each
from backhaul.connectors.registry import WAREHOUSES
from backhaul.sandbox.scenarios import MIX, populate, receive_some
from backhaul.sandbox.server import Sandbox
from backhaul.sandbox.settings import config_env, config_toml
from backhaul.sandbox.vendors import VENDORS
from backhaul.store.engine import Store
from backhaul.store.reports import discrepancies_by_kind, first_exceptions, where_returns_stand

FOLDER = Path("build/demo")
MERCHANTS = dict(zip(("acme", "birch", "cedar", "dune", "elm"), WAREHOUSES, strict=False))  # each with its warehouse
_MIX = {**MIX, "corrected": 6, "resolved_later": 8}


def demonstrate(returns: int, seed: int) -> int:
    """Run the demo in `build/demo`; returns the exit code. The store stays there, to be queried afterwards."""
    console = Console()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True, mode=0o700)
    started, start = time.monotonic(), datetime.now(UTC) - timedelta(days=3)
    shares = _shares(returns)
    with Sandbox(seed, tuple(MERCHANTS), start=start) as box:
        for merchant, share in shares.items():
            populate(box.world, merchant, share, days=6, malformed=2)
        config = FOLDER / "backhaul.toml"
        with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            opened.write(_config(box))
        os.environ.update(config_env(box))
        _introduce(box.url, shares)
        done = _sync(console, "Sync 1: take the returns in, announce each at its warehouse", config)
        for merchant in MERCHANTS:
            outcomes = receive_some(box.world, merchant, share=0.7, blind=1, mix=_MIX)
            say(f"Parcels arrive for {merchant}: {len(outcomes)} of them, some damaged, short, over or strange.")
        done += _sync(console, "Sync 2: take the receipts in, decide, tell Loop to process or flag", config)
        box.advance(timedelta(days=2, hours=12))
        say("Two and a half days pass: inspections end, and some receipts are corrected.")
        done += _sync(console, "Sync 3: what was in inspection is decided, corrections become exceptions", config)
        _report(console, sum(one.counts.get("quarantined", 0) for one in done))
    say(f"\nDone in {time.monotonic() - started:.0f} s. The store is {FOLDER}/backhaul.db: query its views, or ask for one return's life:")
    say(f"  .venv/bin/backhaul --config {config} show RETURN_ID")
    say("Or see it all in a browser:")
    say(f"  .venv/bin/backhaul --config {config} console")
    return 1 if any(one.error for one in done) else 0


def _shares(returns: int) -> dict[str, int]:
    """How many returns each merchant has: the last few, since its warehouse takes them one a call and not many calls a minute."""
    *most, last = MERCHANTS
    few = min(20, returns // 10)
    each, over = divmod(returns - few, len(most))
    return {name: each + (place < over) for place, name in enumerate(most)} | {last: few}


def _introduce(url: str, shares: Mapping[str, int]) -> None:
    say(f"A simulated Loop and its warehouses answer on {url}.")
    say(f"They hold {sum(shares.values())} returns, some of them damaged on the wire:")
    for merchant, share in shares.items():
        begins = "" if VENDORS[MERCHANTS[merchant]].mode == "live" else ", in shadow: Loop is told nothing"
        say(f"  {merchant:<6} {share:>4} returns, to {WAREHOUSES[MERCHANTS[merchant]].title}{begins}")


def _config(box: Sandbox) -> str:
    text = config_toml(box, store_url=f"sqlite:///{FOLDER.absolute()}/backhaul.db", warehouses=MERCHANTS)
    return text.replace(".loop]\n", ".loop]\nfirst_sync_days = 30\n")


def _sync(console: Console, title: str, config: Path) -> list[Done]:
    from flows.sync import sync

    console.print(Rule(title, align="left"))
    started = time.monotonic()
    with told(title):
        done = run_each(sync, list(MERCHANTS), config=str(config), trigger="demo")
    print_rows([one.row(SHOWN) for one in done], as_json=False, title=f"{time.monotonic() - started:.1f} s")
    report_failures(done)
    return done


def _report(console: Console, quarantined: int) -> None:
    store = Store(f"sqlite:///{FOLDER.absolute()}/backhaul.db")
    with store.read() as connection:
        standing = where_returns_stand(connection)
        for title, rows in (
            ("Where the returns stand", standing),
            ("Discrepancies", discrepancies_by_kind(connection)),
            ("What needs a person (the first of them)", first_exceptions(connection, 12)),
        ):
            console.print(Rule(title, align="left"))
            print_rows(rows, as_json=False, title="")
    store.close()
    stand = sum(row["returns"] for row in standing)
    say(f"\nNothing is lost: {stand} returns stand above and {quarantined} are in quarantine, {stand + quarantined} in all.")
