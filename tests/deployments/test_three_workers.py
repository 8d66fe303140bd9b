"""One backfill over three worker processes, against one: the same tables, nothing done twice, and the time it takes.

Takes minutes, so it runs only when asked for: BACKHAUL_SLOW=1 pytest tests/deployments/test_three_workers.py -s
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa

from backhaul.sandbox import scenarios
from backhaul.sandbox.faults import Fault
from backhaul.store.engine import Store
from backhaul.store.tables import decisions, return_lines, return_versions, returns, windows
from tests.deployments.conftest import Fleet, running_fleet

WEEKS = int(os.environ.get("BACKHAUL_WEEKS", "100"))
MERCHANT = "acme"
_CLOCK = {"run_id", "first_seen_at", "loaded_at", "seen_at", "decided_at", "assessed_at", "started_at", "finished_at", "attempts"}

pytestmark = pytest.mark.skipif("BACKHAUL_SLOW" not in os.environ, reason="takes minutes; set BACKHAUL_SLOW=1")


def _tables(store: Store) -> dict[str, list[tuple]]:
    with store.read() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(sa.select(*(c for c in table.columns if c.name not in _CLOCK)))), key=repr)
            for table in (returns, return_lines, return_versions, decisions, windows)
        }


def _backfill(fleet: Fleet, store: Store, start: str, end: str, fan_out: int) -> tuple[float, float, Counter[str]]:
    """Run it; gives the seconds from asking to done, those from the first window's start to the last one's end, and windows by run."""
    asked = {"merchant": MERCHANT, "start": start, "end": end, "workers": 1, "fan_out": fan_out}
    run = fleet.start("backfill/backfill", asked)
    assert fleet.until(run, "Completed", "Failed", "Crashed", within=600) == "Completed"
    with store.read() as connection:
        rows = connection.execute(sa.select(windows)).all()
    assert {row.state for row in rows} == {"completed"} and {row.attempts for row in rows} == {1}
    span = max(row.finished_at for row in rows) - min(row.started_at for row in rows)
    found = fleet.call("GET", f"/flow_runs/{run}")
    return found["total_run_time"], span.total_seconds(), Counter(row.run_id for row in rows)


def test_three_workers_fill_the_same_tables_as_one_and_do_nothing_twice(postgres_url: str) -> None:
    with running_fleet(workers=3, store_url=postgres_url, requests_per_minute=6_000) as fleet:
        scenarios.populate(fleet.box.world, MERCHANT, returns=6 * WEEKS, days=7 * WEEKS - 3)
        fleet.box.world.faults.add(Fault(target="*", kind="slow", times=None, seconds=0.2))
        now = fleet.box.world.now.replace(hour=0, minute=0, second=0, microsecond=0)
        start, end = f"{now - timedelta(weeks=WEEKS):%Y-%m-%d}", f"{now:%Y-%m-%d}"
        deployment = fleet.call("GET", "/deployments/name/sync-all/sync")
        fleet.call("PATCH", f"/deployments/{deployment['id']}", {"paused": True})  # a sync in between would make history live
        store = Store(postgres_url)
        results = {}
        for processes in (3, 1):
            calls = fleet.box.world.journal.count("loop.list")
            taken = _backfill(fleet, store, start, end, processes - 1)
            results[processes] = (*taken, _tables(store), fleet.box.world.journal.count("loop.list") - calls)
            with store.write() as connection:
                for name in ("returns", "return_lines", "return_versions", "decisions", "matches", "windows", "check_results"):
                    connection.execute(sa.text(f"DELETE FROM {name}"))
        store.close()
    three, one = results[3], results[1]
    print(f"\nwindows by run: {sorted(three[2].values())}; run: {one[0]:.0f} s and {three[0]:.0f} s, {one[0] / three[0]:.2f} times as fast")
    print(f"windows: {one[1]:.0f} s and {three[1]:.0f} s, {one[1] / three[1]:.2f} times as fast; list calls: {one[4]} and {three[4]}")
    assert three[3] == one[3] and three[4] == one[4]
    assert len(three[2]) == 3
    assert one[1] / three[1] >= 2.5
