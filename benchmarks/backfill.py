"""Backfill against dlt and the floor: the same pages, the same kind of database, each contestant in a process of its own, in turn."""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.job import Taken
from benchmarks.pages import Pages, serving
from benchmarks.surroundings import DATABASES, ask, dlt_python, folder

CONTESTANTS = {
    "backhaul": ("benchmarks.contestant_backhaul", ()),
    "floor": ("benchmarks.floor", ()),
    "dlt": ("benchmarks.contestant_dlt", ("as_documented",)),
    "dlt_tuned": ("benchmarks.contestant_dlt", ("tuned",)),
}


def measure(count: int, rounds: int, database: str) -> dict[str, Any]:
    """Race `rounds` times over `count` returns; each contestant's best round counts, since others' work only ever slows one down.

    `returns_per_s` is Backhaul's; `vs_dlt` how many times dlt's that is (dlt with its own settings alone); `vs_dlt_tuned` the same for
    dlt with our own code before it, which drops what is not wanted and flattens lines; `vs_floor` our time over the floor's;
    `cpu_vs_floor` and `cpu_vs_dlt` the same in processor time, which a busy machine disturbs less.
    """
    best: dict[str, Taken] = {}
    with serving(count) as pages, DATABASES[database]() as fresh:
        for _ in range(rounds):
            for name, (module, arguments) in CONTESTANTS.items():
                taken = _run(pages, fresh, name, module, arguments)
                if name not in best or taken.seconds < best[name].seconds:
                    best[name] = taken
    ours, floor, dlt, tuned = (best[name] for name in ("backhaul", "floor", "dlt", "dlt_tuned"))
    speed = {name: taken.returns / taken.seconds for name, taken in best.items()}
    return {
        "returns": count,
        "returns_per_s": round(speed["backhaul"]),
        "floor_returns_per_s": round(speed["floor"]),
        "dlt_returns_per_s": round(speed["dlt"]),
        "dlt_tuned_returns_per_s": round(speed["dlt_tuned"]),
        "vs_dlt": round(speed["backhaul"] / speed["dlt"], 2),
        "vs_dlt_tuned": round(speed["backhaul"] / speed["dlt_tuned"], 2),
        "vs_floor": round(ours.seconds / floor.seconds, 2),
        "cpu_vs_floor": round(ours.cpu_s / floor.cpu_s, 2),
        "cpu_vs_dlt": round(dlt.cpu_s / ours.cpu_s, 2),
        "cpu_vs_dlt_tuned": round(tuned.cpu_s / ours.cpu_s, 2),
    }


def _run(pages: Pages, fresh: Any, name: str, module: str, arguments: tuple[str, ...]) -> Taken:
    with folder() as path:
        python = dlt_python() if name.startswith("dlt") else sys.executable
        taken = ask(python, module, pages.job(fresh(path), str(path)), *arguments)
    if taken.returns != pages.count:
        raise RuntimeError(f"{name} loaded {taken.returns} of {pages.count} returns, so its time says nothing")
    return taken
