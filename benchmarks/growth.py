"""What must not grow: the memory of a backfill with its range, and the cost of an idle sync with what is stored."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

from benchmarks.job import Taken
from benchmarks.pages import serving
from benchmarks.surroundings import DATABASES, ask, folder

LONG_AGO = timedelta(days=10)  # before the 7 days that a first sync looks back


def measure(small: int, middle: int, large: int) -> dict[str, dict[str, Any]]:
    """By database: a backfill's peak memory for `large` over that for `middle`; an idle sync with `large` stored over one with `small`."""
    found: dict[str, dict[int, tuple[Taken, Taken]]] = {name: {} for name in DATABASES}
    for count in sorted({small, middle, large}):
        with serving(count, LONG_AGO) as pages:
            for name, database in DATABASES.items():
                with database() as fresh, folder() as path:
                    job = pages.job(fresh(path), str(path))
                    filled = ask(sys.executable, "benchmarks.contestant_backhaul", job)
                    found[name][count] = filled, ask(sys.executable, "benchmarks.contestant_noop", job)
    return {name: _compared(taken, small, middle, large) for name, taken in found.items()}


def _compared(taken: dict[int, tuple[Taken, Taken]], small: int, middle: int, large: int) -> dict[str, Any]:
    filled, idle = ({count: pair[place] for count, pair in taken.items()} for place in (0, 1))
    return {
        "memory_growth": round(filled[large].more["peak_mib"] / filled[middle].more["peak_mib"], 2),
        "noop_growth": round(idle[large].seconds / idle[small].seconds, 2),
        "growth": {
            "returns": list(taken),
            "peak_mib": [round(one.more["peak_mib"]) for one in filled.values()],
            "backfill_s": [round(one.seconds, 1) for one in filled.values()],
            "noop_ms": [round(one.seconds * 1000, 1) for one in idle.values()],
            "noop_cpu_ms": [round(one.cpu_s * 1000, 1) for one in idle.values()],
        },
    }
