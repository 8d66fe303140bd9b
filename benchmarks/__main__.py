"""`python -m benchmarks [--quick] [--only NAME…]`: measure every number, print a table, write `build/bench.json`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import backfill, calls, commands, console, fleet, growth, serve, views, webhook, workers
from benchmarks.surroundings import DATABASES, ROOT, facts

RESULT = ROOT / "build" / "bench.json"
TARGETS = {
    "backfill.returns_per_s": "",
    "backfill.vs_dlt": "at least 10",
    "backfill.vs_dlt_tuned": "",
    "backfill.vs_floor": "at most 2",
    "backfill.cpu_vs_dlt": "",
    "backfill.cpu_vs_floor": "",
    "memory_growth": "under 1.5",
    "noop_growth": "under 1.5",
    "webhook_p99_ms": "under 50",
    "webhook_to_rma_p95_s": "under 5",
    "hung_to_rma_p95_s": "under 5",
    "calls_vs_minimum": "at most 1.1",
    "quiet_sync_calls": "at most 60",
    "workers_speedup": "at least 2.5",
    "fleet_idle_500_s": "under 60",
    "fleet_news_500_s": "under 120",
    "fleet_idle_p50_s": "",
    "fleet_hung_others_p50_s": "at most 1.2 idle",
    "fleet_cpu_idle_ms": "at most 30",
    "fleet_cpu_news_ms": "at most 70",
    "fleet_peak_mib": "under 500",
    "three_workers_fleet": "at least 2.3",
    "serve_100_rma_p95_s": "under 5",
    "serve_100_accepted_p99_ms": "under 50",
    "serve_flooded_others_p95_s": "under 5",
    "serve_cpu_webhook_ms": "",
    "pages_1m_p95_ms": "under 300",
    "trends_1m_p95_ms": "under 1,000",
    "search_1m_p95_ms": "under 50",
    "views_1m_slowest_s": "under 5",
    "views_1m_month_slowest_s": "under 1",
    "help_cpu_s": "under 0.2",
    "show_cpu_s": "under 0.4",
}
PARTS = ("backfill", "growth", "webhook", "hung", "calls", "fleet", "serve", "views", "console", "commands", "workers", "shared")
_FULL_ALONE = ("workers", "shared")  # three processes take minutes to come and go


def main() -> int:
    """Measure what was asked for. A part that fails is named, its numbers stay empty, and the exit code is 1."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, one round, no three workers: under four minutes")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="measure these alone")
    chosen = parser.parse_args()
    parts = chosen.only or [part for part in PARTS if not (chosen.quick and part in _FULL_ALONE)]
    found: dict[str, Any] = {"backfill": {}, "postgresql": {}} | {name: None for name in TARGETS if "." not in name}
    found["environment"] = facts() | {"quick": chosen.quick, "failed": {}}
    for part in parts:
        for name, step in _steps(part, chosen.quick, found):
            began = time.monotonic()
            try:
                step()
            except Exception as error:
                found["environment"]["failed"][name] = f"{error.__class__.__name__}: {error}"
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    show(found)
    return 1 if found["environment"]["failed"] else 0


def _steps(part: str, is_quick: bool, found: dict[str, Any]) -> list[tuple[str, Callable[[], None]]]:
    """The measurements of a part; each puts its numbers in `found`, SQLite's at the top, PostgreSQL's under its name."""
    if part == "growth":
        sizes = (12_000, 12_000, 24_000) if is_quick else (10_000, 100_000, 1_000_000)
        return [("growth", lambda: _keep(found, growth.measure(*sizes)))]
    if part == "views":
        return [("views", lambda: _keep(found, views.measure(20_000 if is_quick else 1_000_000)))]
    if part == "commands":
        return [("commands", lambda: found.update(commands.measure(3 if is_quick else 9)))]
    if part == "shared":
        return [("shared", lambda: found.update(fleet.measure_shared(50 if is_quick else 500)))]
    if part == "calls":
        count = 600 if is_quick else 3_000
        return [
            ("calls", lambda: found.update(calls.measure(count))),
            ("quiet sync", lambda: found.update(calls.measure_quiet(count + count // 4))),
        ]
    if part == "workers":
        return [("workers", lambda: found.update(workers.measure(30 if is_quick else 150)))]
    measure, quick, full = _ON_EACH[part]
    size = quick if is_quick else full
    return [(f"{part} {database}", partial(_on_one, found, database, measure, size)) for database in DATABASES]


def _on_one(found: dict[str, Any], database: str, measure: Callable[[str, int, int], dict[str, Any]], size: tuple[int, int]) -> None:
    _keep(found, {database: measure(database, *size)})


def _keep(found: dict[str, Any], by_database: dict[str, dict[str, Any]]) -> None:
    for database, numbers in by_database.items():
        (found if database == "sqlite" else found[database]).update(numbers)


def _backfill(database: str, count: int, rounds: int) -> dict[str, Any]:
    return {"backfill": backfill.measure(count, rounds, database)}


def _webhook(database: str, seconds: int, probes: int) -> dict[str, Any]:
    """The receiver's numbers, at 200 webhooks a second."""
    with tempfile.TemporaryDirectory() as folder, DATABASES[database]() as fresh:
        took = webhook.measure(fresh(Path(folder)), Path(folder), 200, seconds, probes)
    return {"webhook_p99_ms": round(took["accepted p99"], 1), "webhook_to_rma_p95_s": round(took["webhook to RMA p95"] / 1000, 2)}


def _hung(database: str, _seconds: int, probes: int) -> dict[str, Any]:
    """The receiver's number for a merchant beside two whose vendors hang."""
    with tempfile.TemporaryDirectory() as folder, DATABASES[database]() as fresh:
        took = webhook.measure_hung(fresh(Path(folder)), Path(folder), probes)
    return {"hung_to_rma_p95_s": round(took / 1000, 2)}


_ON_EACH: dict[str, tuple[Callable[[str, int, int], dict[str, Any]], tuple[int, int], tuple[int, int]]] = {  # its quick and its full size
    "backfill": (_backfill, (6_000, 1), (20_000, 3)),  # returns, rounds
    "webhook": (_webhook, (3, 6), (20, 20)),  # seconds, probes
    "hung": (_hung, (0, 6), (0, 40)),  # probes
    "fleet": (fleet.measure, (50, 3), (500, 10)),  # merchants, and the seconds an answer of the one that hangs
    "serve": (serve.measure, (5, 1), (30, 1)),  # seconds
    "console": (console.measure, (20_000, 5), (1_000_000, 11)),  # returns, rounds
}


def show(found: dict[str, Any]) -> None:
    """Print the table."""
    table = Table(title=f"Backhaul {found['environment']['commit']}, {'quick' if found['environment']['quick'] else 'full'}")
    for heading in ("number", "target", *DATABASES):
        table.add_column(heading, justify="left" if heading in ("number", "target") else "right")
    for name, target in TARGETS.items():
        table.add_row(name, target, _shown(found, name), _shown(found["postgresql"], name))
    Console().print(table)
    for part, why in found["environment"]["failed"].items():
        print(f"{part} failed: {why}", file=sys.stderr)


def _shown(found: dict[str, Any], name: str) -> str:
    value: Any = found
    for step in name.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return "" if value is None else str(value)


if __name__ == "__main__":
    sys.exit(main())
