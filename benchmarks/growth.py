"""What must not grow: the memory of a backfill with its range, and the cost of an idle sync with what is stored."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

from benchmarks.job import Taken
from benchmarks.pages import serving
from benchmarks.surroundings import ask, folder, sqlite

LONG_AGO = timedelta(days=10)  # before the 7 days that a first sync looks back


def measure(small: int, middle: int, large: int) -> dict[str, Any]:
    """Peak memory of a backfill of `large` over one of `middle` returns; an idle sync with `large` stored over one with `small`."""
    backfills, idle = zip(*(_one(count) for count in (small, middle, large)), strict=True)
    return {
        "memory_growth": round(backfills[2].more["peak_mib"] / backfills[1].more["peak_mib"], 2),
        "noop_growth": round(idle[2].seconds / idle[0].seconds, 2),
        "growth": {
            "returns": [small, middle, large],
            "peak_mib": [round(taken.more["peak_mib"]) for taken in backfills],
            "backfill_s": [round(taken.seconds, 1) for taken in backfills],
            "noop_ms": [round(taken.seconds * 1000, 1) for taken in idle],
            "noop_cpu_ms": [round(taken.cpu_s * 1000, 1) for taken in idle],
        },
    }


def _one(count: int) -> tuple[Taken, Taken]:
    with serving(count, LONG_AGO) as pages, sqlite() as fresh, folder() as path:
        job = pages.job(fresh(path), str(path))
        return ask(sys.executable, "benchmarks.contestant_backhaul", job), ask(sys.executable, "benchmarks.contestant_noop", job)
