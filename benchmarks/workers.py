"""One backfill over three worker processes, against one: the time it takes, once the tables are seen to be the same and nothing done twice.

PostgreSQL, a Prefect server, the workers and the sandbox on one machine; every vendor call is answered after 200 ms.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from backhaul.sandbox import scenarios
from backhaul.sandbox.core.faults import Fault
from backhaul.store.engine import Store
from backhaul.store.tables import decisions, return_lines, return_versions, returns, windows
from benchmarks.surroundings import DATABASES
from tests.deployments.conftest import Fleet, running_fleet

MERCHANT = "acme"
_CLOCK = {"run_id", "first_seen_at", "loaded_at", "seen_at", "decided_at", "assessed_at", "started_at", "finished_at", "attempts"}
_EMPTIED = ("returns", "return_lines", "return_versions", "decisions", "matches", "windows", "check_results")


def measure(weeks: int) -> dict[str, Any]:
    """How many times as fast three processes are as one over so many weekly windows, from the first one's start to the last one's end.

    Raises RuntimeError when the tables differ, a window was done twice, or a run did not complete.
    """
    with tempfile.TemporaryDirectory() as folder, DATABASES["postgresql"]() as fresh:
        url = fresh(Path(folder))
        with running_fleet(workers=3, store_url=url, requests_per_minute=6_000) as fleet:
            one, three = _both(fleet, url, weeks)
    differing = [name for name, rows in one["tables"].items() if three["tables"][name] != rows]
    if differing:
        raise RuntimeError(f"three workers did not do the same as one: {', '.join(differing)} differ")
    calls = {"workers_list_calls": [one["list_calls"], three["list_calls"]]}  # a read that fails is made again, so they may differ by few
    return {"workers_speedup": round(one["seconds"] / three["seconds"], 2), "workers_runs": len(three["by_run"])} | calls


def _both(fleet: Fleet, url: str, weeks: int) -> tuple[dict[str, Any], dict[str, Any]]:
    scenarios.populate(fleet.box.world, MERCHANT, returns=6 * weeks, days=7 * weeks - 3)
    fleet.box.world.faults.add(Fault(target="*", kind="slow", times=None, seconds=0.2))
    now = fleet.box.world.now.replace(hour=0, minute=0, second=0, microsecond=0)
    span = {"start": f"{now - timedelta(weeks=weeks):%Y-%m-%d}", "end": f"{now:%Y-%m-%d}"}
    deployment = fleet.call("GET", "/deployments/name/sync-all/sync")
    fleet.call("PATCH", f"/deployments/{deployment['id']}", {"paused": True})  # a sync in between would make history live
    store = Store(url)
    results = {}
    for processes in (3, 1):
        calls = fleet.box.world.journal.count("loop.list")
        results[processes] = _backfill(fleet, store, {"merchant": MERCHANT, "workers": 1, "fan_out": processes - 1} | span)
        results[processes]["list_calls"] = fleet.box.world.journal.count("loop.list") - calls
        with store.write() as connection:
            for name in _EMPTIED:
                connection.execute(sa.text(f"DELETE FROM {name}"))
    store.close()
    return results[1], results[3]


def _backfill(fleet: Fleet, store: Store, asked: dict[str, Any]) -> dict[str, Any]:
    run = fleet.start("backfill/backfill", asked)
    if fleet.until(run, "Completed", "Failed", "Crashed") != "Completed":
        raise RuntimeError("the backfill did not complete")
    with store.read() as connection:
        rows = connection.execute(sa.select(windows)).all()
    if {row.state for row in rows} != {"completed"} or {row.attempts for row in rows} != {1}:
        raise RuntimeError("a window was not done, or done twice")
    span = max(row.finished_at for row in rows) - min(row.started_at for row in rows)
    return {"seconds": span.total_seconds(), "by_run": Counter(row.run_id for row in rows), "tables": _tables(store)}


def _tables(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    with store.read() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(sa.select(*(c for c in table.columns if c.name not in _CLOCK)))), key=repr)
            for table in (returns, return_lines, return_versions, decisions, windows)
        }
