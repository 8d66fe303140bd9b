"""Vendor calls of a day's work against the fewest that could have done it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import Any

from backhaul.config import load
from backhaul.sandbox import Sandbox, config_env, config_toml, scenarios
from benchmarks.surroundings import folder, sqlite

PAGE, RMAS_A_CALL = 750, 30
STATES = ("open", "closed", "cancelled", "expired", "review")


def measure(count: int) -> dict[str, Any]:
    """Sync `count` returns in, let half of the parcels arrive, and sync once more; count the calls of both syncs.

    The fewest: a page for each 750 returns of a state, at least one a state and sync, and two more (closed, review) to see what our
    own acts did; a call for the RMAs of 30 returns announced, read back, or polled; one call a process, two a flag; and in each sync one
    call for the shipping notice report and one for the RMAs that the warehouse made itself.
    """
    from flows.sync import sync

    with _house() as (box, config):
        made = scenarios.populate(box.world, "acme", count, days=5)
        journal = box.world.journal
        journal.clear()
        sync.fn("acme", config=config, trigger="command")
        first = journal.counts()["acme"]
        scenarios.receive_some(box.world, "acme", share=0.5)
        journal.clear()
        sync.fn("acme", config=config, trigger="command")
        second = journal.counts()["acme"]
        acted = len({call.path for name in ("loop.process", "loop.note", "loop.flag") for call in journal.writes(name, "acme")})
    announced = made.states["open"] + made.states["review"]
    pages = sum(max(1, ceil(made.states.get(state, 0) / PAGE)) for state in STATES)
    fewest = pages + 2 * ceil(announced / RMAS_A_CALL) + 2  # announce, read back; the report; the warehouse's own
    fewest += len(STATES) + 2 + ceil(announced / RMAS_A_CALL) + acted + 2  # look, look at our acts, poll, act; report; warehouse's own
    calls = Counter(first) + Counter(second)
    return {"calls_vs_minimum": round(calls.total() / fewest, 2), "calls": {"made": dict(sorted(calls.items())), "fewest": fewest}}


def measure_quiet(count: int) -> dict[str, Any]:
    """Have the RMAs of `count` returns received, all of which may still be corrected, and count the calls of a sync with no news.

    The warehouse tells of no change: those RMAs are asked for again and again, and its own list is read, within `poll_calls_per_sync`.
    """
    from flows.sync import sync

    with _house('mode = "shadow"') as (box, config):
        scenarios.populate(box.world, "acme", count, days=5)
        sync.fn("acme", config=config, trigger="command")
        received = len(scenarios.receive_some(box.world, "acme", share=1.0, mix={"all": 1}))
        for _ in range(2 + 2 * received // (RMAS_A_CALL * 45)):  # until every receipt is taken in; the warehouse's own list has a fourth
            sync.fn("acme", config=config, trigger="command")
        box.world.journal.clear()
        quiet = sync.fn("acme", config=config, trigger="command")
        calls = box.world.journal.counts()["acme"]
        budget = load(config).merchant("acme").account("acme", "masonhub").section.poll_calls_per_sync
    if quiet.counts.get("receipts_out"):
        raise RuntimeError("the sync was not quiet")
    asked = sum(number for name, number in calls.items() if name.startswith("masonhub."))
    return {"quiet_sync_calls": asked, "quiet_sync": {"received": received, "budget": budget, "calls": dict(sorted(calls.items()))}}


@contextmanager
def _house(mode: str = 'mode = "live"') -> Iterator[tuple[Sandbox, str]]:
    """A merchant at a sandbox, and its config; no limit of calls a minute holds anything up."""
    with Sandbox(seed=11) as box, folder() as path, sqlite() as fresh:
        text = config_toml(box, store_url=fresh(path)).replace('mode = "live"', mode, 1)
        limit = "requests_per_minute = 100000\napi_key", "requests_per_minute = 100000\ntoken"
        text = text.replace("api_key", limit[0], 1).replace("token =", f"{limit[1]} =", 1)
        (path / "backhaul.toml").write_text(text)
        os.environ.update(config_env(box) | {"GX_ANALYTICS_ENABLED": "false"})
        yield box, str(path / "backhaul.toml")
